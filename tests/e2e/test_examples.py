"""Every script in examples/ runs, without warnings, and says what it should."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples"
SCRIPTS = sorted(FOLDER.glob("*.py"))


def run(script: Path, *arguments: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script), *arguments],
        cwd=cwd,
        # The folder that has the package, when it is not installed.
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def number(text: str, pattern: str) -> float:
    found = re.search(pattern, text)
    assert found is not None, text
    return float(found.group(1))


def test_there_are_examples() -> None:
    assert len(SCRIPTS) >= 6


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_it_starts_with_what_it_shows_and_how_to_run_it(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert text.startswith('"""')
    assert f"python examples/{script.name}" in text.split('"""')[1]
    assert len(text.splitlines()) <= 180


def test_basic_classification(tmp_path: Path) -> None:
    told = run(FOLDER / "basic_classification.py", cwd=tmp_path)
    assert number(told, r"accuracy ([\d.]+)") > 0.78


def test_own_layer(tmp_path: Path) -> None:
    told = run(FOLDER / "own_layer.py", cwd=tmp_path)
    assert number(told, r"new texts ([\d.]+)") > 0.7


def test_gan(tmp_path: Path) -> None:
    told = run(FOLDER / "gan.py", cwd=tmp_path)
    assert abs(number(told, r"after:  mean \[ *([-\d.]+)") - 2) < 0.8


def test_physics_informed(tmp_path: Path) -> None:
    told = run(FOLDER / "physics_informed.py", cwd=tmp_path)
    assert number(told, r"largest error ([\d.]+)") < 0.25


def test_sequences(tmp_path: Path) -> None:
    told = run(FOLDER / "sequences.py", cwd=tmp_path)
    assert number(told, r"epoch 6: loss ([\d.]+)") < 0.5 * number(
        told, r"epoch 1: loss ([\d.]+)"
    )
    assert number(told, r"traced (\d+) times") <= 2


@pytest.mark.parametrize(
    "weight", [(), ("output/bias", "1"), ("hidden/kernel", "0", "0")]
)
def test_explain_weight(tmp_path: Path, weight: tuple[str, ...]) -> None:
    """What provenance tells of a step is what the step then does."""
    told = run(FOLDER / "explain_weight.py", *weight, cwd=tmp_path)
    layer = weight[0].split("/")[0] if weight else "hidden"
    first, where, *_ = told.splitlines()
    assert f"{layer}/" in first
    assert re.search(rf"layer '\w+/{layer}', used at .*explain_weight\.py:\d+", where)
    foretold = number(told, r"becomes ([-\d.e]+):")
    made = number(told, r"the weight is ([-\d.e]+) now")
    assert abs(foretold - made) <= 1e-5 * max(1, abs(made))
    for part in ("loss of this batch", "gradient of", "update of", "adam_update"):
        assert part in told
