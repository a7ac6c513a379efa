"""Convolutional LSTMs: dropout, open sizes, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ranvier as keras
from ranvier import RanvierError, layers


@pytest.mark.parametrize(
    "rates", [(0.5, 0.0), (0.0, 0.5), (0.3, 0.4)], ids=["inputs", "state", "both"]
)
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_all_steps_drop_the_same(rates: Any, data_format: str) -> None:
    """The loop is that of its cell's steps, with masks that are drawn once."""
    arguments = {"dropout": rates[0], "recurrent_dropout": rates[1], "seed": 2}
    layer, other = (
        layers.ConvLSTM2D(
            3, 2, strides=2, data_format=data_format, return_sequences=True, **arguments
        )
        for _ in range(2)
    )
    x = np.random.default_rng(0).normal(size=(2, 4, 4, 4, 4)).astype("float32")
    for one in (layer, other):
        one.build(x.shape)
    other.set_weights(layer.get_weights())
    found = layer(x, training=True).numpy()
    assert np.abs(found - layer(x).numpy()).max() > 1e-2
    other.cell.draw_masks(2)
    states = other.get_initial_state(2)
    for step in range(4):
        output, states = other.cell.call(x[:, step], states, training=True)
        np.testing.assert_allclose(found[:, step], output, rtol=1e-5, atol=1e-6)
    again = layer(x, training=True).numpy()
    assert np.abs(found - again).max() > 1e-3


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_steps_that_a_mask_leaves_out(data_format: str) -> None:
    """They are as if they were not there."""
    layer = layers.ConvLSTM2D(
        2, 2, data_format=data_format, return_state=True, return_sequences=True
    )
    x = np.random.default_rng(0).normal(size=(3, 5, 4, 4, 4)).astype("float32")
    mask = np.array([[1, 1, 0, 0, 0], [0, 1, 0, 1, 1], [1, 1, 1, 1, 1]], bool)
    found = [part.numpy() for part in layer(x, mask=mask)]
    for row, live in enumerate(mask):
        steps, *states = (part.numpy() for part in layer(x[row : row + 1, live]))
        np.testing.assert_allclose(found[0][row, live], steps[0], rtol=1e-5, atol=1e-6)
        for masked, state in zip(found[1:], states, strict=True):
            np.testing.assert_allclose(masked[row], state[0], rtol=1e-5, atol=1e-6)


def test_any_number_of_steps() -> None:
    keras.utils.set_random_seed(1)
    model = keras.Sequential([
        keras.Input((None, 5, 5, 1)),
        layers.ConvLSTM2D(3, 3, return_sequences=True, dropout=0.1),
        layers.ConvLSTM2D(2, 2),
        layers.Flatten(),
        layers.Dense(1),
    ])  # fmt: skip
    model.compile("adam", "mse")
    for steps in (3, 7):
        x = np.random.default_rng(steps).normal(size=(6, steps, 5, 5, 1))
        losses = model.fit(x, np.ones(6), epochs=15, verbose=0).history["loss"]
        assert losses[-1] < losses[0]
    assert len(model._steps) == 1


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ({"filters": 0}, "RV100"),
        ({"kernel_size": (1, 2, 3)}, "RV100"),
        ({"padding": "causal"}, "RV100"),
        ({"strides": 2, "dilation_rate": 2}, "RV100"),
        ({"dropout": 1.5}, "RV100"),
        ({"data_format": "first"}, "RV100"),
        ({"kernel_size": 7}, "RV108"),
        ({"units": 3}, "RV100"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_what_is_refused(bad: dict[str, Any], code: str) -> None:
    with pytest.raises(RanvierError, match=code):
        layers.ConvLSTM2D(**{"filters": 2, "kernel_size": 2, **bad})(
            keras.Input((3, 5, 5, 1))
        )


def test_inputs_that_do_not_fit() -> None:
    with pytest.raises(RanvierError, match=r"RV108[\s\S]*must be known"):
        layers.ConvLSTM2D(2, 3)(keras.Input((3, None, 5, 1)))
    with pytest.raises(RanvierError, match="RV103"):
        layers.ConvLSTM2D(2, 3)(keras.Input((5, 5, 1)))
