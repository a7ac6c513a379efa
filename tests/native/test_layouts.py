"""Where a batch lies changes the memory traffic, and not one bit of what is computed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ranvier
from ranvier import layers, regularizers
from ranvier.engines.native import engine as native
from ranvier.engines.native import lowering
from ranvier.errors import DataError

RNG = np.random.default_rng(7)


def images() -> list[Any]:
    """Input of three axes, its rows flattened; 784 columns: 12 panels and a quarter."""
    return [
        layers.Input((28, 28)),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dense(10),
    ]


def ragged() -> list[Any]:
    """Widths that end within a panel; programs of two values on the tiles."""
    return [
        layers.Input((300,)),
        layers.Dense(290, activation="gelu"),
        layers.Dense(270, activation="tanh", kernel_regularizer=regularizers.L2(1e-3)),
        layers.Dense(10),
    ]


def dropped() -> list[Any]:
    """What is not a product stands between; narrow and wide side by side."""
    return [
        layers.Input((20,)),
        layers.Rescaling(0.5),
        layers.Dense(256, activation="swish"),
        layers.Dropout(0.3),
        layers.Dense(6, activation="relu"),
        layers.Dense(320),
        layers.Dense(10),
    ]


CASES = {
    "images": (images, {}),
    "ragged": (ragged, {"clipnorm": 0.5}),
    "dropped": (dropped, {}),
}


def trained(
    name: str, batch: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> list[np.ndarray[Any, Any]]:
    """Weights, losses and predictions after two epochs with a partial last batch."""
    monkeypatch.setattr(native, "config_threads", lambda: threads)
    made, options = CASES[name]
    ranvier.utils.set_random_seed(1)
    model = ranvier.Sequential(made())
    model.compile(ranvier.optimizers.Adam(**options), "mse")
    rows = 2 * batch + batch // 2
    x = np.random.default_rng(0).normal(size=(rows, *model.input_shape[1:]))
    y = np.random.default_rng(1).normal(size=(rows, 10))
    history = model.fit(x, y, batch_size=batch, epochs=2, verbose=0)
    answers = model.predict(x, batch_size=batch, verbose=0)
    return [*model.get_weights(), np.asarray(history.history["loss"]), answers]


@pytest.mark.parametrize("batch", [33, 64, 200])
@pytest.mark.parametrize("name", CASES)
def test_panels_change_no_bit(
    name: str, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[int] = []
    choose = lowering.in_panels

    def watched(low: Any) -> Any:
        found = choose(low)
        chosen.append(len(found))
        return found

    monkeypatch.setattr(lowering, "in_panels", watched)
    monkeypatch.setattr(native, "judge", lambda *_: native.Verdict.SEVERAL)
    panels = [trained(name, batch, threads, monkeypatch) for threads in (1, 2, 3)]
    assert max(chosen) >= 2  # there was something to compare
    monkeypatch.setattr(lowering, "in_panels", lambda low: frozenset())
    rows = trained(name, batch, 2, monkeypatch)
    for found in panels:
        for a, b in zip(found, rows, strict=True):
            assert a.tobytes() == b.tobytes()


def test_values_that_are_not_finite_are_told_from_rows_in_panels() -> None:
    x = RNG.normal(size=(96, 320)).astype("float32")
    x[70, 299] = np.inf
    model = ranvier.Sequential([layers.Input((320,)), layers.Dense(3)])
    model.compile("sgd", "mse")
    with pytest.raises(DataError, match="RV204") as told:
        model.fit(x, np.zeros((96, 3)), batch_size=48, verbose=0)
    assert "row 70" in str(told.value)
    assert "column 299" in str(told.value)


@pytest.mark.parametrize(
    "layer", [layers.Conv2D(64, 1), layers.Dense(70)], ids=["conv", "dense"]
)
def test_rows_of_a_product_are_not_rows_of_the_batch(layer: Any) -> None:
    """A wide input that a product reads position by position lies as it came."""
    model = ranvier.Sequential([layers.Input((14, 14, 64)), layer])
    x = RNG.normal(size=(64, 14, 14, 64)).astype("float32")
    kernel, bias = model.get_weights()
    want = x @ kernel.reshape(64, -1) + bias
    got = model.predict(x, batch_size=64, verbose=0)
    np.testing.assert_allclose(got, want, rtol=0, atol=2e-5 * np.abs(want).max())
