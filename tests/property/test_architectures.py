"""Random architectures: no two workers meet, and engines and workers agree."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from plan_proofs import prove, recorded
from strategies import workers

import ranvier as keras

L = keras.layers
Array = np.ndarray[Any, Any]
Draw = Callable[[st.SearchStrategy[Any]], Any]
UNITS = [1, 6, 16, 33, 64, 100, 130, 256]
ACTIVATIONS = [None, "relu", "tanh", "gelu", "swish"]
INPUTS = {
    1: [(1,), (3,), (20,), (100,), (300,), (784,)],
    2: [(5, 4), (16, 32), (33, 1), (8, 70)],
    3: [(7, 8, 3), (14, 13, 1), (8, 8, 16), (14, 4, 65), (6, 7, 32)],
}


def of_rows(draw: Draw, x: Any) -> Any:
    """A layer on vectors."""
    units = draw(st.sampled_from(UNITS))
    dense = L.Dense(units, draw(st.sampled_from(ACTIVATIONS)))
    normal = draw(st.sampled_from([L.BatchNormalization, L.LayerNormalization]))
    kind = draw(st.sampled_from(["dense", "dense", "dropout", "normal", "sum"]))
    if kind == "sum":
        return L.Add()([x, L.Dense(x.shape[-1], "relu")(x)])
    return {"dense": dense, "dropout": L.Dropout(0.3), "normal": normal()}[kind](x)


def of_sequences(draw: Draw, x: Any) -> Any:
    """A layer on rows of vectors; some end in vectors."""
    units = draw(st.sampled_from(UNITS[:5]))
    act = draw(st.sampled_from(ACTIVATIONS))
    again = draw(st.booleans())
    made: dict[str, Callable[[], Any]] = {
        "dense": lambda: L.Dense(units, act)(x),
        "conv": lambda: L.Conv1D(units, 3, padding="same", activation=act)(x),
        "lstm": lambda: L.LSTM(units, return_sequences=again)(x),
        "gru": lambda: L.GRU(units, return_sequences=again)(x),
        "attention": lambda: L.MultiHeadAttention(2, 4)(x, x, use_causal_mask=again),
        "normal": lambda: L.LayerNormalization()(x),
        "dropout": lambda: L.Dropout(0.3)(x),
        "pool": lambda: L.MaxPooling1D(2, padding="same")(x),
        "mean": lambda: L.GlobalAveragePooling1D()(x),
    }
    return made[draw(st.sampled_from(sorted(made)))]()


def of_images(draw: Draw, x: Any) -> Any:
    """A layer on images; some end in vectors."""
    units = draw(st.sampled_from(UNITS[:5]))
    act = draw(st.sampled_from(ACTIVATIONS))
    size = {
        "kernel_size": draw(st.sampled_from([1, 2, 3])),
        "strides": draw(st.sampled_from([1, 1, 2])),
        "padding": "same",
    }
    window = draw(st.sampled_from([2, (1, 2), (3, 2)]))
    made: dict[str, Callable[[], Any]] = {
        "dense": lambda: L.Dense(units, act)(x),
        "conv": lambda: L.Conv2D(units, activation=act, **size)(x),
        "pooled": lambda: L.MaxPooling2D(window, padding="valid")(
            L.Conv2D(units, 3, padding="same", activation="relu")(x)
        ),
        "transposed": lambda: L.Conv2DTranspose(units, **size)(x),
        "separable": lambda: L.SeparableConv2D(units, 3, padding="same")(x),
        "normal": lambda: L.BatchNormalization()(x),
        "largest": lambda: L.MaxPooling2D(2, padding="same")(x),
        "mean": lambda: L.AveragePooling2D(2, padding="same")(x),
        "means": lambda: L.GlobalAveragePooling2D()(x),
        "flat": lambda: L.Flatten()(x),
    }
    kind = draw(st.sampled_from(sorted(made)))
    if kind == "pooled":
        assume(x.shape[1] >= 3 and x.shape[2] >= 2)
    return made[kind]()


def architecture(draw: Draw) -> tuple[Any, int, bool]:
    """A model, a size of batches, and whether something is random in it."""
    keras.utils.set_random_seed(draw(st.integers(0, 9)))
    rank = draw(st.sampled_from(sorted(INPUTS)))
    x = first = L.Input(draw(st.sampled_from(INPUTS[rank])))
    for _ in range(draw(st.integers(1, 4))):
        by_rank = {1: of_rows, 2: of_sequences, 3: of_images}
        x = by_rank[len(x.shape) - 1](draw, x)
    if len(x.shape) > 2:
        x = L.Flatten()(x)
    assume(x.shape[-1] <= 5000)
    model = keras.Model(first, L.Dense(draw(st.sampled_from([1, 10])))(x))
    random = any(isinstance(layer, L.Dropout) for layer in model.layers)
    return model, draw(st.sampled_from([1, 7, 32, 64, 100])), random


def trained(model: Any, batch: int, **more: Any) -> list[Array]:
    """Weights after an epoch of two batches and a part of one, begun afresh."""
    model.reset(seed=1)
    model.compile(keras.optimizers.SGD(1e-3), "mse")
    rows, rng = 2 * batch + batch // 2, np.random.default_rng(1)
    x = rng.normal(size=(rows, *model.input_shape[1:])).astype("float32")
    y = rng.normal(size=(rows, model.output_shape[-1])).astype("float32")
    model.fit(x, y, batch_size=batch, verbose=0, shuffle=False, **more)
    model.predict(x, batch_size=batch, verbose=0)
    found: list[Array] = model.get_weights()
    return found


@given(st.data())
def test_workers_and_engines_agree(data: Any) -> None:
    model, batch, random = architecture(data.draw)
    assume(batch * math.prod(model.input_shape[1:]) < 100_000)
    model.reset(seed=1)
    start = model.get_weights()
    with recorded(3) as made:
        one = trained(model, batch)
    assert prove(made)
    for count in (2, 3):
        with workers(count):
            for a, b in zip(trained(model, batch), one, strict=True):
                np.testing.assert_array_equal(a, b)
    if not random:
        for a, b, was in zip(
            trained(model, batch, engine="reference"), one, start, strict=True
        ):
            # Biases before a normalisation move by rounding alone.
            step = max(float(np.abs(a - was).max(initial=0)), 1e-4)
            np.testing.assert_allclose(b, a, rtol=0, atol=2e-2 * step)
