"""What holds for every exported callback: it takes every hook, and in Keras's order."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import numpy as np
import pytest

import ranvier
from ranvier import callbacks

ARGUMENTS: dict[str, Any] = {
    "BackupAndRestore": lambda folder: {"backup_dir": folder / "backup"},
    "CSVLogger": lambda folder: {"filename": folder / "log.csv"},
    "EarlyStopping": lambda folder: {"monitor": "loss"},
    "LearningRateScheduler": lambda folder: {"schedule": lambda epoch, rate: rate},
    "ModelCheckpoint": lambda folder: {
        "filepath": folder / "m.keras",
        "monitor": "loss",
    },
    "ReduceLROnPlateau": lambda folder: {"monitor": "loss"},
}
NAMES = sorted(n for n in callbacks.__all__ if n != "CallbackList")


def model() -> Any:
    made = ranvier.Sequential([ranvier.Input((3,)), ranvier.layers.Dense(1)])
    made.compile(ranvier.optimizers.SGD(use_ema=True), "mse")
    return made


class Taking(BaseHTTPRequestHandler):
    """Takes whatever is sent to it."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Nothing on the terminal."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where something takes what a callback sends."""
    server = HTTPServer(("127.0.0.1", 0), Taking)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("name", NAMES)
def test_a_callback_goes_through_training(
    name: str, tmp_path: Any, address: str
) -> None:
    if name == "TensorBoard":
        pytest.importorskip("tensorboardX")
    given = ARGUMENTS.get(name, lambda folder: {})(tmp_path)
    if name == "RemoteMonitor":
        given = {"root": address}
    if name == "TensorBoard":
        given = {"log_dir": str(tmp_path)}
    callback = getattr(callbacks, name)(**given)
    x = np.ones((10, 3), "float32")
    trained = model()
    trained.fit(
        x, x[:, 0], batch_size=4, epochs=3, verbose=0, callbacks=[callback],
        validation_split=0.2,
    )  # fmt: skip
    trained.evaluate(x, x[:, 0], verbose=0, callbacks=[callback])
    trained.predict(x, verbose=0, callbacks=[callback])
    assert callback.model is trained
    assert int(trained.optimizer.iterations) == 6


def test_the_order_of_hooks() -> None:
    told: list[str] = []

    def noted(name: str) -> Any:
        def hook(self: Any, *args: Any, **kwargs: Any) -> None:
            told.append(name[3:])

        return hook

    hooks = [n for n in dir(callbacks.Callback) if n.startswith("on_")]
    kind = type("Noting", (callbacks.Callback,), {n: noted(n) for n in hooks})
    x = np.ones((6, 3), "float32")
    trained = model()
    with pytest.warns(ranvier.RanvierWarning, match="RV501"):
        trained.fit(
            x, x[:, 0], batch_size=4, verbose=0, callbacks=[kind()],
            validation_data=(x[:2], x[:2, 0]),
        )  # fmt: skip
    told = [t for t in told if t not in ("batch_begin", "batch_end")]
    assert told == [
        "train_begin",
        "epoch_begin",
        "train_batch_begin", "train_batch_end",
        "train_batch_begin", "train_batch_end",
        "test_begin", "test_batch_begin", "test_batch_end", "test_end",
        "epoch_end",
        "train_end",
    ]  # fmt: skip
