"""Runs that are broken off at any moment end with the bits of one that never was."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ranvier as keras

EPOCHS = 40
#: Saves after every epoch, so that a kill finds something to go on from.
PROGRAM = (
    "import sys\n"
    "from ranvier.cli import main, train\n"
    "train.SAVE_EVERY = 0.0\n"
    "sys.exit(main(sys.argv[1:]))\n"
)
START = (
    "train", "fashion-mnist", "--sample", "--layers", "128", "--batch-size", "16",
    "--epochs", str(EPOCHS), "--json",
)  # fmt: skip


def command(folder: Path) -> list[str]:
    """Goes on with a run that has a model, else starts it."""
    if (folder / "model.keras").exists():
        words: tuple[str, ...] = ("train", "--resume", str(folder), "--json")
    else:
        for file in folder.glob("*"):
            file.unlink()
        words = (*START, "--out", str(folder))
    return [sys.executable, "-c", PROGRAM, *words]


def state(folder: Path) -> list[Any]:
    model = keras.models.load_model(folder / "model.keras")
    return [v.numpy() for v in (*model.variables, *model.optimizer.variables)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The state at the end of a run that nobody interrupted."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    subprocess.run(command(folder), check=True, capture_output=True)
    return state(folder)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_run_ends_with_the_same_bits(
    stop: signal.Signals, whole: list[Any], tmp_path: Path
) -> None:
    folder, moments = tmp_path / "run", random.Random(int(stop))
    for _ in range(4):
        process = subprocess.Popen(
            command(folder), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        kinds = [json.loads(process.stdout.readline())["k"] for _ in range(3)]
        assert kinds == ["start", "epoch", "epoch"]
        time.sleep(moments.uniform(0.0, 0.04))  # any moment will do
        process.send_signal(stop)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == (130 if stop != signal.SIGKILL else -stop), errors
        assert "Traceback" not in errors
    subprocess.run(command(folder), check=True, capture_output=True)
    for mine, wanted in zip(state(folder), whole, strict=True):
        np.testing.assert_array_equal(mine, wanted)
