"""The main job, from outside: train, evaluate, predict, resume on real images."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ranvier.datasets import fashion_mnist

ENTRY = [sys.executable, "-m", "ranvier"]


def ranvier(
    *words: str, cwd: Path, code: int = 0, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Runs the command in a folder and checks its exit code."""
    done = subprocess.run(
        [*ENTRY, *words],
        cwd=cwd,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
    return done


def events(text: str) -> dict[str, list[dict[str, Any]]]:
    """The JSON lines of a run, by kind."""
    out: dict[str, list[dict[str, Any]]] = {}
    for line in text.splitlines():
        event = json.loads(line)
        out.setdefault(event["k"], []).append(event)
    return out


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder in which the README's command was run, and what it printed."""
    folder = tmp_path_factory.mktemp("train")
    return folder, ranvier("train", "fashion-mnist", cwd=folder).stdout


def test_it_says_what_it_does(trained: tuple[Path, str]) -> None:
    _, text = trained
    if fashion_mnist.find():
        assert "54,000 rows / 32 = 1,688 updates per epoch, the last of 16 rows" in text
    assert "128*(784+1) + 10*(128+1) = 101,770" in text
    lines = [line for line in text.splitlines() if " epoch=" in line]
    assert len(lines) == 10
    for word in ("accuracy=", "loss=", "val_accuracy=", "val_loss=", "rows_per_s="):
        assert all(word in line for line in lines)
    assert "\r" not in text
    assert "\033" not in text


def test_it_learns(trained: tuple[Path, str]) -> None:
    folder, _ = trained
    run = folder / "runs" / "fashion-mnist-0001"
    last = json.loads((run / "events.jsonl").read_text().splitlines()[-1])
    assert (last["k"], last["status"]) == ("end", "done")
    # The sample has a twelfth of the images: a few points less are right.
    assert last["test_accuracy"] >= (0.87 if fashion_mnist.find() else 0.80)
    done = ranvier("evaluate", str(run), "--json", cwd=folder)
    again = json.loads(done.stdout)["accuracy"]
    assert again == pytest.approx(last["test_accuracy"], abs=1e-6)


def test_it_predicts(trained: tuple[Path, str]) -> None:
    folder, _ = trained
    model = "runs/fashion-mnist-0001/model.keras"
    ranvier("datasets", "--export", "images", "--rows", "20", cwd=folder)
    images = sorted((folder / "images").glob("*.png"))
    done = ranvier("predict", model, *map(str, images), cwd=folder)
    right = 0
    for line, image in zip(done.stdout.splitlines(), images, strict=True):
        name, probability = line.split("   ")[0].rsplit(" ", 1)
        assert 0 < float(probability) <= 1
        assert name in fashion_mnist.class_names
        right += name.lower().replace("/", "-").replace(" ", "-") in image.name
    assert right >= 14
    top = ranvier("predict", model, str(images[0]), "--top", "3", "--json", cwd=folder)
    assert len(json.loads(top.stdout)["predictions"]) == 3


def test_an_image_of_another_size(trained: tuple[Path, str]) -> None:
    folder, _ = trained
    np.save(folder / "big.npy", np.zeros((128, 128), np.uint8))
    model = "runs/fashion-mnist-0001/model.keras"
    done = ranvier("predict", model, "big.npy", cwd=folder, code=1)
    assert (
        "128x128 flattens to 16,384 inputs, this network was built for 784 = 28x28"
        in done.stderr
    )
    (folder / "text.png").write_text("no image")
    done = ranvier("predict", model, "text.png", cwd=folder, code=1)
    assert "error[RV605]" in done.stderr


def test_the_summary(trained: tuple[Path, str]) -> None:
    folder, _ = trained
    done = ranvier("summary", "runs/fashion-mnist-0001", "--json", cwd=folder)
    assert json.loads(done.stdout)["parameters"] == 101_770
    done = ranvier("summary", "runs/fashion-mnist-0001", cwd=folder)
    assert "101,770" in done.stdout


QUICK = ("train", "fashion-mnist", "--sample", "--layers", "16", "--json")


def test_same_seed_same_numbers_for_any_number_of_threads(tmp_path: Path) -> None:
    seen = []
    for threads in ("1", "2", "3"):
        words = (*QUICK, "--epochs", "2", "--threads", threads, "--out", threads)
        found = events(ranvier(*words, cwd=tmp_path).stdout)
        logs = [(e["loss"], e["accuracy"], e["val_loss"]) for e in found["epoch"]]
        seen.append((logs, found["end"][0]["test_loss"]))
    assert seen[0] == seen[1] == seen[2]


def test_a_resumed_run_goes_on_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    whole = events(ranvier(*QUICK, "--epochs", "4", "--out", "a", cwd=tmp_path).stdout)
    ranvier(*QUICK, "--epochs", "2", "--out", "b", cwd=tmp_path)
    words = ("train", "--resume", "b", "--epochs", "4", "--json")
    rest = events(ranvier(*words, cwd=tmp_path).stdout)
    assert [e["epoch"] for e in rest["epoch"]] == [3, 4]
    losses = [e["loss"] for e in whole["epoch"]][2:]
    assert [e["loss"] for e in rest["epoch"]] == losses
    assert rest["end"][0]["test_loss"] == whole["end"][0]["test_loss"]
    done = ranvier("train", "--resume", "b", "--epochs", "4", cwd=tmp_path, code=1)
    assert "already done 4 of 4 epochs" in done.stderr


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_is_saved(stop: signal.Signals, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*ENTRY, *QUICK, "--epochs", "100000", "--out", "run"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["k"] == "epoch":
            break
    process.send_signal(stop)
    rest, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    last = json.loads(rest.splitlines()[-1])
    assert (last["k"], last["status"]) == ("end", "interrupted")
    assert (tmp_path / "run" / "model.keras").exists()
    more = str(last["epoch"] + 1)
    ranvier("train", "--resume", "run", "--epochs", more, cwd=tmp_path)


def test_a_diverging_run_is_exit_code_3(tmp_path: Path) -> None:
    words = ("--optimizer", "sgd", "--learning-rate", "1e30", "--epochs", "2")
    done = ranvier(*QUICK, *words, "--out", "run", cwd=tmp_path, code=3)
    assert "error[RV30" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--optimizer", "adm"), "nearest: 'adam'"),
        (("--activation", "rellu"), "nearest: 'relu'"),
    ],
)
def test_an_unknown_name_is_exit_code_2(
    words: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    done = ranvier(*QUICK, *words, cwd=tmp_path, code=2)
    assert said in done.stderr
    assert not (tmp_path / "runs").exists()


def test_without_the_data_it_says_so_and_uses_the_sample(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from ranvier.datasets import fashion_mnist\n"
        "fashion_mnist.SYSTEM_FOLDERS = ()\n"
        "from ranvier.cli import main\n"
        "sys.exit(main(['train', 'fashion-mnist', '--epochs', '1', '--layers', '8']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={
            **os.environ,
            "RANVIER_HOME": str(tmp_path),
            "KERAS_HOME": str(tmp_path),
            "RANVIER_OFFLINE": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "RV403" in done.stderr
    assert "apt install dataset-fashion-mnist" in done.stderr
    assert "5,000 images for training" in done.stdout


def test_the_tutorial_runs_untouched(tmp_path: Path) -> None:
    (tmp_path / "tutorial.py").write_text(
        "import tensorflow as tf\n"
        "import numpy as np\n"
        "from tensorflow.keras import layers\n"
        "fashion_mnist = tf.keras.datasets.fashion_mnist\n"
        "(train_images, train_labels), (test_images, test_labels) = "
        "fashion_mnist.load_sample()\n"
        "train_images = train_images / 255.0\n"
        "test_images = test_images / 255.0\n"
        "model = tf.keras.Sequential([\n"
        "    layers.Flatten(input_shape=(28, 28)),\n"
        "    layers.Dense(128, activation='relu'),\n"
        "    layers.Dense(10)\n"
        "])\n"
        "model.compile(optimizer='adam',\n"
        "    loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),\n"
        "    metrics=['accuracy'])\n"
        "model.fit(train_images, train_labels, epochs=5)\n"
        "loss, acc = model.evaluate(test_images, test_labels, verbose=2)\n"
        "both = tf.keras.Sequential([model, layers.Softmax()])\n"
        "probabilities = both.predict(test_images)\n"
        "assert probabilities.shape == (1000, 10)\n"
        "assert np.allclose(probabilities.sum(1), 1, atol=1e-5)\n"
        "right = (probabilities.argmax(1) == test_labels).mean()\n"
        "assert abs(right - acc) < 1e-6\n"
        "assert acc > 0.75, acc\n"
        "print('tutorial done')\n"
    )
    done = ranvier("run", "tutorial.py", cwd=tmp_path)
    assert done.stdout.endswith("tutorial done\n")
