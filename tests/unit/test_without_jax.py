"""ranvier without JAX: its engine is not among the names, and asking for it says why."""

from __future__ import annotations

import subprocess
import sys


def test_what_is_missing_is_told_with_the_line_that_mends_it() -> None:
    code = """
import sys
sys.modules["jax"] = None
import ranvier
from ranvier.engines import api
print(api.names())
model = ranvier.Sequential([ranvier.Input((2,)), ranvier.layers.Dense(1)])
model.compile("sgd", "mse")
try:
    model.fit([[1.0, 2.0]], [[1.0]], verbose=0, engine="jax")
except Exception as fault:
    print(fault.code, fault.fix)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "['native', 'reference']",
        "RV801 pip install 'ranvier[jax]'",
    ]
