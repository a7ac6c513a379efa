"""Going on after an interruption, averages, and logs sent elsewhere."""

from __future__ import annotations

import http.server
import json
import struct
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ranvier as keras
from ranvier import callbacks
from ranvier.callbacks.callback import used_when
from ranvier.errors import EnvironmentFault, FileError, RanvierWarning, ShapeError

X = np.random.default_rng(0).normal(size=(48, 5)).astype("float32")
Y = X[:, :1] * 2


def network(**options: Any) -> Any:
    """A small model with something random inside."""
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(8, activation="tanh"),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01, **options), "mse")
    return model


def fit(model: Any, *hooks: Any, epochs: int = 5, **options: Any) -> Any:
    return model.fit(
        X, Y, epochs=epochs, batch_size=16, verbose=0, callbacks=list(hooks), **options
    )


class Interrupted(Exception):
    pass


class Stop(callbacks.Callback):
    """Interrupts before an epoch, or after a batch of it."""

    def __init__(self, epoch: int, batch: int | None = None) -> None:
        super().__init__()
        self.at, self.batch, self.now = epoch, batch, -1

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.now = epoch
        if epoch == self.at and self.batch is None:
            raise Interrupted

    @used_when(lambda self: self.batch is not None)
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if (self.now, batch) == (self.at, self.batch):
            raise Interrupted


# --------------------------------------------------------------------------- backup


def test_an_interrupted_run_becomes_what_it_would_have_become(tmp_path: Path) -> None:
    whole = network()
    wanted = fit(whole).history["loss"]
    folder = tmp_path / "backup"
    with pytest.raises(Interrupted):
        fit(network(), callbacks.BackupAndRestore(folder), Stop(3))
    assert sorted(p.name for p in folder.iterdir()) == [
        "epoch-3-batch-0.weights.h5",
        "training_metadata.json",
    ]
    again = network()
    keras.utils.set_random_seed(99)  # nothing hangs on the new process's seed
    assert fit(again, callbacks.BackupAndRestore(folder)).history["loss"] == wanted[3:]
    for found, expected in zip(again.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert not folder.exists()
    # The next fit is not told to begin anywhere else.
    assert len(fit(again, epochs=2).history["loss"]) == 2


def test_what_was_finished_is_not_done_again(tmp_path: Path) -> None:
    keep = callbacks.BackupAndRestore(tmp_path / "b", delete_checkpoint=False)
    fit(network(), keep, epochs=3)
    again = fit(network(), callbacks.BackupAndRestore(tmp_path / "b"), epochs=3)
    assert again.history == {}


def test_backups_between_batches(tmp_path: Path) -> None:
    every = callbacks.BackupAndRestore(tmp_path / "b", save_freq=2)
    model = network()
    with pytest.raises(Interrupted), pytest.warns(RanvierWarning, match="RV501"):
        fit(model, every, Stop(1, 1))
    state = json.loads((tmp_path / "b/training_metadata.json").read_text())
    # Three batches an epoch: after the second and fourth, the fifth was too much.
    assert (state["epoch"], state["batch"]) == (1, 1)
    kept = network()
    kept.load_weights(tmp_path / "b" / state["weights"])
    assert int(kept.optimizer._iterations.numpy()) == 4


def test_the_state_before_the_last_one_serves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "b"
    with pytest.raises(Interrupted):
        fit(
            network(),
            callbacks.BackupAndRestore(folder, double_checkpoint=True),
            Stop(4),
        )
    names = sorted(p.name for p in folder.glob("*.h5"))
    assert names == ["epoch-3-batch-0.weights.h5", "epoch-4-batch-0.weights.h5"]
    (folder / names[1]).write_bytes(b"cut")
    hook = callbacks.BackupAndRestore(folder, double_checkpoint=True)
    wanted = fit(network()).history["loss"]
    assert fit(network(), hook).history["loss"] == wanted[3:]
    assert "the state before it" in capsys.readouterr().err
    assert not folder.exists()


def test_a_backup_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    for text in ("{", "[1]", "{}", '{"epoch": "2"}', '{"epoch": 2, "weights": "../a"}'):
        (tmp_path / "training_metadata.json").write_text(text)
        with pytest.raises(FileError) as caught:
            fit(network(), callbacks.BackupAndRestore(tmp_path))
        assert caught.value.code == "RV605"


def test_backup_leaves_the_files_of_others(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("kept")
    fit(network(), callbacks.BackupAndRestore(tmp_path), epochs=1)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    "arguments",
    [{"backup_dir": ""}, *({"save_freq": f} for f in (0, -1, False, "day"))],
)
def test_arguments_of_backup(arguments: dict[str, Any]) -> None:
    with pytest.raises(ShapeError, match="BackupAndRestore"):
        callbacks.BackupAndRestore(**{"backup_dir": "b"} | arguments)


def test_backup_needs_a_built_model(tmp_path: Path) -> None:
    model = keras.Sequential([keras.layers.Dense(1)])
    hook = callbacks.BackupAndRestore(tmp_path)
    hook.set_model(model)
    with pytest.raises(ShapeError) as caught:
        hook.on_train_begin()
    assert caught.value.code == "RV106"


# ------------------------------------------------------------------------- averages


class See(callbacks.Callback):
    """Notes the first weights of the model after an epoch, and while it is tested."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[Any] = []
        self.tests: list[Any] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.ends.append(self.model.get_weights()[0])

    def on_test_end(self, logs: Any = None) -> None:
        self.tests.append(self.model.get_weights()[0])


def test_validation_sees_the_averages_and_training_does_not() -> None:
    options: dict[str, Any] = {"use_ema": True, "ema_momentum": 0.5}
    plain, swapped = network(**options), network(**options)
    wanted, found = See(), See()
    data = {"validation_data": (X, Y)}
    a = fit(plain, wanted, **data)
    # `found` comes first, so it sees the end of a test before the weights come back.
    b = fit(swapped, found, callbacks.SwapEMAWeights(), **data)
    assert a.history["loss"] == b.history["loss"]
    np.testing.assert_array_equal(wanted.ends, found.ends)
    for weights, averages in zip(wanted.tests, found.tests, strict=True):
        assert not np.allclose(weights, averages)
    for x, y in zip(plain.get_weights(), swapped.get_weights(), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("stop", [False, True])
def test_averages_at_the_end_of_each_epoch(stop: bool) -> None:
    class Halt(callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.model.stop_training = stop and epoch == 2

    options: dict[str, Any] = {"use_ema": True, "ema_momentum": 0.5}
    plain, swapped = network(**options), network(**options)
    see = See()
    fit(plain, epochs=3)
    hooks = (Halt(), callbacks.SwapEMAWeights(swap_on_epoch=True), see)
    fit(swapped, *hooks, epochs=4 if stop else 3)
    # Training ends with the averages, with and without.
    for x, y in zip(plain.get_weights(), swapped.get_weights(), strict=True):
        np.testing.assert_array_equal(x, y)
    np.testing.assert_array_equal(see.ends[-1], plain.get_weights()[0])


def test_predict_gives_the_weights_back() -> None:
    model = network(use_ema=True, ema_momentum=0.5)
    hook = callbacks.SwapEMAWeights()
    before = model.predict(X, verbose=0, callbacks=[hook])
    np.testing.assert_array_equal(before, model.predict(X, verbose=0))
    model.train_on_batch(X, Y)
    model.train_on_batch(X, Y)
    plain, kept = model.predict(X, verbose=0), model.get_weights()
    assert not np.allclose(plain, model.predict(X, verbose=0, callbacks=[hook]))
    for x, y in zip(kept, model.get_weights(), strict=True):
        np.testing.assert_array_equal(x, y)


def test_without_averages_nothing_is_trained() -> None:
    model = network()
    before = model.get_weights()
    with pytest.raises(ShapeError, match="keeps no averages"):
        fit(model, callbacks.SwapEMAWeights())
    np.testing.assert_array_equal(before[0], model.get_weights()[0])


# --------------------------------------------------------------------------- server


class Listener(http.server.BaseHTTPRequestHandler):
    """Keeps what it is sent; /deny/ answers 500."""

    heard: list[tuple[str, str, str, bytes]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        kind, key = self.headers["Content-Type"], self.headers.get("X-Key", "")
        self.heard.append((self.path, kind, key, body))
        self.send_response(500 if self.path == "/deny/" else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    Listener.heard.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_logs_are_sent(address: str) -> None:
    form = callbacks.RemoteMonitor(address, headers={"X-Key": "a"})
    plain = callbacks.RemoteMonitor(address, path="/logs", send_as_json=True)
    history = fit(network(), form, plain, epochs=2).history
    first, second = Listener.heard[:2]
    assert first[:3] == (
        "/publish/epoch/end/", "application/x-www-form-urlencoded", "a",
    )  # fmt: skip
    fields = urllib.parse.parse_qs(first[3].decode())
    wanted = {"epoch": 0, "loss": history["loss"][0]}
    assert json.loads(fields["data"][0]) == wanted
    assert second[:2] == ("/logs", "application/json")
    assert json.loads(second[3]) == wanted
    assert len(Listener.heard) == 4
    plain.on_epoch_end(7, {"a": np.float32(0.5), "b": np.arange(2)})
    assert json.loads(Listener.heard[-1][3]) == {"epoch": 7, "a": 0.5, "b": [0, 1]}


def test_a_server_out_of_reach_costs_a_warning(address: str) -> None:
    with pytest.warns(RanvierWarning, match="cannot be reached"):
        callbacks.RemoteMonitor(address, path="/deny/").on_epoch_end(0, {})
    with pytest.warns(RanvierWarning, match="cannot be reached"):
        callbacks.RemoteMonitor("http://127.0.0.1:9").on_epoch_end(0, {})
    with pytest.raises(ShapeError, match="no address"):
        callbacks.RemoteMonitor("file:///etc/passwd")


# ---------------------------------------------------------------------- TensorBoard


def test_tensorboard_names_the_package_it_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(EnvironmentFault) as caught:
        callbacks.TensorBoard()
    assert caught.value.code == "RV801"
    assert "pip install" in caught.value.fix


@pytest.mark.parametrize(
    "arguments",
    [
        {"write_images": True},
        {"profile_batch": 2},
        {"embeddings_freq": 1},
        {"embeddings_metadata": "a"},
        {"update_freq": 0},
        {"update_freq": "day"},
    ],
    ids=str,
)
def test_what_tensorboard_does_not_write(arguments: dict[str, Any]) -> None:
    with pytest.raises(ShapeError, match="TensorBoard"):
        callbacks.TensorBoard(**arguments)


def events(folder: Path) -> list[Any]:
    """The events of a folder's file: length, check, data, check."""
    from tensorboardX.proto.event_pb2 import Event

    (path,) = folder.iterdir()
    data, found = path.read_bytes(), []
    while data:
        (size,) = struct.unpack("<Q", data[:8])
        found.append(Event.FromString(data[12 : 12 + size]))
        data = data[16 + size :]
    return [e for e in found if e.HasField("summary")]


def test_tensorboard_writes_under_keras_names(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    model = network()
    hook = callbacks.TensorBoard(
        tmp_path, histogram_freq=2, write_steps_per_second=True, update_freq=2
    )
    with pytest.warns(RanvierWarning, match="RV501"):
        history = fit(model, hook, epochs=3, validation_data=(X, Y)).history
    scalars: dict[str, list[tuple[int, float]]] = {}
    histograms: dict[str, list[int]] = {}
    for part in ("train", "validation"):
        for event in events(tmp_path / part):
            for value in event.summary.value:
                if value.HasField("histo"):
                    histograms.setdefault(value.tag, []).append(event.step)
                else:
                    point = (event.step, value.simple_value)
                    scalars.setdefault(f"{part}/{value.tag}", []).append(point)
    assert scalars["train/epoch_loss"] == [*enumerate(map(np.float32, history["loss"]))]
    validation = [np.float32(v) for v in history["val_loss"]]
    assert scalars["validation/epoch_loss"] == [*enumerate(validation)]
    rates = [(i, np.float32(0.01)) for i in range(3)]
    assert scalars["train/epoch_learning_rate"] == rates
    tag = "validation/evaluation_loss_vs_iterations"
    assert scalars[tag] == [(3 * (i + 1), v) for i, v in enumerate(validation)]
    assert [step for step, _ in scalars["train/batch_loss"]] == [2, 4, 6, 8]
    assert all(v > 0 for _, v in scalars["train/epoch_steps_per_second"])
    assert set(histograms) == {f"{w.path}/histogram" for w in model.weights}
    assert set(map(tuple, histograms.values())) == {(0, 2)}
