"""The example runs and shows what it says; so do the examples in the docstrings."""

from __future__ import annotations

import doctest
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "estimators.py"
MODULES = ("ranvier.sklearn", "ranvier.sklearn.classifier", "ranvier.sklearn.regressor")


def test_the_example_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLE)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    losses = [float(n) for n in re.findall(r"loss ([\d.]+)", done.stdout)]
    # Over hundreds of updates float32 and float64 drift apart a little.
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
    scores = [float(n) for n in re.findall(r"digits ([\d.]+)", done.stdout)]
    assert len(scores) == 2
    assert min(scores) > 0.95


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted > 0
    assert found.failed == 0
