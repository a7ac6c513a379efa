"""ranvier without scikit-learn: it is not imported, and what needs it says so."""

from __future__ import annotations

import subprocess
import sys

import pytest


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_ranvier_does_not_import_it() -> None:
    code = "import sys, ranvier; ranvier.models.Sequential; print('sklearn' in sys.modules)"
    assert run(code) == "False"


@pytest.mark.parametrize(
    "how", ["import ranvier.sklearn", "import ranvier; ranvier.sklearn"]
)
def test_what_is_missing_is_told_with_the_line_that_mends_it(how: str) -> None:
    code = f"""
import sys
sys.modules["sklearn"] = None
try:
    {how}
except Exception as fault:
    print(fault.code, fault.fix, "ranvier.sklearn" in sys.modules)
"""
    assert run(code) == "RV801 pip install 'ranvier[sklearn]' False"
