"""Training with averages swapped in, and after an interruption, as real Keras does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ranvier

X = np.random.default_rng(0).normal(size=(40, 4)).astype("float32")
Y = (X[:, :1] * 2 - X[:, 1:2]).astype("float32")
WEIGHTS = [
    np.random.default_rng(1).normal(size=(4, 3)).astype("float32"),
    np.zeros(3, "float32"),
    np.random.default_rng(2).normal(size=(3, 1)).astype("float32"),
    np.zeros(1, "float32"),
]


def network(package: Any) -> Any:
    """The same model of either package."""
    model = package.Sequential(
        [
            package.Input((4,)),
            package.layers.Dense(3, activation="tanh"),
            package.layers.Dense(1),
        ]
    )
    model.set_weights(WEIGHTS)
    model.compile(package.optimizers.Adam(0.05, use_ema=True, ema_momentum=0.8), "mse")
    return model


def fit(model: Any, hooks: list[Any], epochs: int = 4) -> dict[str, list[float]]:
    return model.fit(
        X, Y, batch_size=8, epochs=epochs, verbose=0, shuffle=False, callbacks=hooks,
        validation_data=(X, Y),
    ).history  # fmt: skip


@pytest.mark.parametrize("at_epochs", [False, True])
def test_swapping_averages(keras: Any, at_epochs: bool) -> None:
    pair = []
    for package in (ranvier, keras):
        model = network(package)
        hook = package.callbacks.SwapEMAWeights(swap_on_epoch=at_epochs)
        pair.append((fit(model, [hook]), model.get_weights()))
    (found, ours), (wanted, theirs) = pair
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(found[name], wanted[name], rtol=2e-4)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-5)


def test_going_on_after_an_interruption(keras: Any, tmp_path: Path) -> None:
    pair = []
    for package in (ranvier, keras):
        folder = str(tmp_path / package.__name__)

        class Stop(package.callbacks.Callback):  # type: ignore[misc, name-defined]
            def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
                if epoch == 2:
                    raise RuntimeError("interrupted")

        first = package.callbacks.BackupAndRestore(folder)
        with pytest.raises(RuntimeError, match="interrupted"):
            fit(network(package), [first, Stop()])
        pair.append(fit(network(package), [package.callbacks.BackupAndRestore(folder)]))
        assert not Path(folder).exists()
    found, wanted = pair
    assert len(found["loss"]) == len(wanted["loss"]) == 2
    np.testing.assert_allclose(found["loss"], wanted["loss"], rtol=2e-4)


def test_a_backup_of_keras_is_taken_up(keras: Any, tmp_path: Path) -> None:
    keep = keras.callbacks.BackupAndRestore(
        str(tmp_path / "b"), delete_checkpoint=False
    )
    theirs = network(keras)
    fit(theirs, [keep], epochs=2)
    ours = network(ranvier)
    found = fit(ours, [ranvier.callbacks.BackupAndRestore(tmp_path / "b")])
    assert len(found["loss"]) == 2
    wanted = fit(network(ranvier), [])
    np.testing.assert_allclose(found["loss"], wanted["loss"][2:], rtol=2e-4)
