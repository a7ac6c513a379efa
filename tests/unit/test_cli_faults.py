"""The command line when things go wrong: programs, pictures, models, full disks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ranvier as keras
from ranvier.cli import main

ENTRY = [sys.executable, "-m", "ranvier"]


def program(folder: Path, text: str, *words: str) -> Any:
    """`ranvier run` on a program with this text."""
    path = folder / "program.py"
    path.write_text(text)
    return subprocess.run(
        [*ENTRY, "run", str(path), *words], capture_output=True, text=True
    )


def test_the_version_needs_no_installed_package(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"ranvier {keras.__version__}\n"


# ----------------------------------------------------------------------- programs


def test_an_error_in_a_program_names_its_line(tmp_path: Path) -> None:
    done = program(
        tmp_path,
        "import keras, numpy as np\n"
        "model = keras.Sequential([keras.layers.Dense(3)])\n"
        "model.compile('adam', 'mse')\n"
        "model.fit(np.zeros((3, 2)), np.zeros((4, 3)))\n",
    )
    assert done.returncode == 1
    assert "error[RV109]" in done.stderr
    assert "program.py:4   model.fit" in done.stderr
    assert "Traceback" not in done.stderr


def test_divergence_in_a_program_has_its_exit_code(tmp_path: Path) -> None:
    done = program(
        tmp_path,
        "import keras, numpy as np\n"
        "model = keras.Sequential([keras.layers.Dense(1)])\n"
        "model.compile(keras.optimizers.SGD(1e30), 'mse')\n"
        "model.fit(np.ones((8, 2)), np.ones((8, 1)), epochs=9, verbose=0)\n",
    )
    assert done.returncode == 3
    assert "error[RV301]" in done.stderr


def test_the_traceback_of_a_program_begins_in_it(tmp_path: Path) -> None:
    done = program(tmp_path, "def f():\n    return 1 / 0\nf()\n")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[0].startswith("Traceback")
    assert "program.py" in lines[1]
    assert lines[-1].startswith("ZeroDivisionError")
    assert "click" not in done.stderr
    assert "runpy" not in done.stderr
    broken = program(tmp_path, "this is no program\n")
    assert broken.returncode == 1
    assert broken.stderr.splitlines()[-1].startswith("SyntaxError")
    assert program(tmp_path, "import sys; sys.exit(7)").returncode == 7


def test_keras_under_all_its_names(tmp_path: Path) -> None:
    done = program(
        tmp_path,
        "import tensorflow as tf\n"
        "from tensorflow import keras\n"
        "import tensorflow.keras.backend as K\n"
        "from tensorflow.keras.models import Sequential, load_model\n"
        "from tensorflow.keras.layers import Dense\n"
        "from tensorflow.keras.optimizers.schedules import ExponentialDecay\n"
        "from tensorflow.keras.utils import to_categorical, Sequence\n"
        "from tensorflow.keras.regularizers import l2\n"
        "from keras.models import Sequential as Again\n"
        "import keras.backend\n"
        "assert Again is Sequential and tf.keras.layers.Dense is Dense\n"
        "K.clear_session(); keras.utils.clear_session()\n"
        "assert Dense(1).name == 'dense' and Dense(1).name == 'dense_1'\n"
        "print(keras.version(), K.floatx())\n",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [keras.__version__, "float32"]


# ------------------------------------------------------------- pictures and models


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    layers = keras.layers
    picture = keras.Input((28, 28))
    models = {
        "one": [picture, layers.Flatten(), layers.Dense(1, activation="sigmoid")],
        "inner": [
            picture,
            keras.Sequential([layers.Flatten(), layers.Dense(4, activation="softmax")]),
        ],
        "open": [keras.Input((None, 3)), layers.Dense(2)],
    }
    for name, parts in models.items():
        keras.Sequential(parts).save(tmp_path / f"{name}.keras")
    np.save(tmp_path / "zeros.npy", np.zeros((28, 28)))
    np.save(tmp_path / "nan.npy", np.full((28, 28), np.nan))
    np.save(tmp_path / "short.npy", np.zeros((5, 3)))
    np.save(tmp_path / "long.npy", np.zeros((6, 3)))
    return tmp_path


def predict(folder: Path, model: str, *arrays: str) -> int:
    paths = [str(folder / f"{name}.npy") for name in arrays]
    return main(["predict", str(folder / f"{model}.keras"), *paths])


def test_one_unit_is_no_choice_among_classes(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(folder, "one", "zeros") == 0
    assert capsys.readouterr().out.startswith("0.5   ")
    words = ["predict", str(folder / "one.keras"), str(folder / "zeros.npy"), "--json"]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["value"] == 0.5


def test_a_softmax_inside_is_not_repeated(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = keras.models.load_model(folder / "inner.keras")
    model.set_weights([np.zeros((784, 4)), np.array([0.0, 0.0, 3.0, 0.0])])
    model.save(folder / "inner.keras")
    assert predict(folder, "inner", "zeros") == 0
    wanted = np.exp(3) / (np.exp(3) + 3)
    assert capsys.readouterr().out.startswith(f"class 2 {wanted:.2f}")


@pytest.mark.parametrize(
    ("model", "arrays", "code"),
    [
        ("one", ["nan"], "RV204"),
        ("one", ["short"], "RV103"),
        ("open", ["zeros"], "RV103"),
        ("open", ["short", "long"], "RV103"),
    ],
)
def test_arrays_that_do_not_fit(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    model: str,
    arrays: list[str],
    code: str,
) -> None:
    assert predict(folder, model, *arrays) == 1
    captured = capsys.readouterr()
    assert f"error[{code}]" in captured.err
    assert captured.out == ""


def test_sizes_that_a_model_leaves_open(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(folder, "open", "short") == 0
    assert capsys.readouterr().out.startswith("class ")


def test_a_json_error_names_no_line_of_the_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["summary", "nowhere.keras", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["place"] == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
@pytest.mark.parametrize("command", [["doctor"], ["datasets", "--json"]])
def test_a_full_disk_behind_stdout(command: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*ENTRY, *command], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert "error[RV603]: the output cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
def test_training_is_kept_when_nobody_can_read_its_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ranvier.cli import output

    real, lines = output._print, []

    def disk_full(text: str) -> None:
        lines.append(text)
        if "epoch=2/3" in text:
            raise output.Unwritable(28, "No space left on device")
        real(text)

    monkeypatch.setattr(output, "_print", disk_full)
    words = ["--sample", "--layers", "8", "--epochs", "3", "--out", str(tmp_path / "r")]
    assert main(["train", "fashion-mnist", *words]) == 1
    assert keras.models.load_model(tmp_path / "r" / "model.keras").built
    monkeypatch.setattr(output, "_print", real)
    assert main(["train", "--resume", str(tmp_path / "r"), "-q"]) == 0
