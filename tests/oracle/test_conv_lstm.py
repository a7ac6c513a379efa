"""Convolutional LSTMs against real Keras: states, order, what is returned.

Keras on JAX cannot mask them (its mask has too few axes): see the unit tests.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ranvier
from ranvier.graph import tree

ROWS, TIME = 3, 5
RNG = np.random.default_rng
KINDS: dict[str, tuple[str, dict[str, Any], tuple[int, ...]]] = {
    "one": ("ConvLSTM1D", {"filters": 2, "kernel_size": 2}, (6, 3)),
    "first": (
        "ConvLSTM2D",
        {"filters": 2, "kernel_size": 3, "strides": (1, 2), "padding": "same",
         "data_format": "channels_first"},
        (3, 4, 5),
    ),
}  # fmt: skip


def twins(keras: Any, kind: str, rows: Any = None, **more: Any) -> tuple[Any, Any, Any]:
    """The layer in both libraries with the same weights, and data."""
    name, args, shape = KINDS[kind]
    layers = [getattr(m.layers, name)(**args, **more) for m in (keras, ranvier)]
    for layer in layers:
        layer.build((rows, TIME, *shape))
    values = [RNG(1).uniform(-0.6, 0.6, w.shape) for w in layers[0].weights]
    for layer in layers:
        layer.set_weights(values)
    x = RNG(2).normal(size=(ROWS, TIME, *shape)).astype("float32")
    return layers[0], layers[1], x


def same(ours: Any, theirs: Any) -> None:
    mine, other = tree.flatten(ours), tree.flatten(theirs)
    for a, b in zip(mine, other, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_is_returned(keras: Any, kind: str, backwards: bool) -> None:
    more = {"return_sequences": True, "return_state": True, "go_backwards": backwards}
    theirs, ours, x = twins(keras, kind, **more)
    wanted = theirs(x)
    same(ours(x), wanted)
    start = [RNG(3).normal(size=np.shape(s)).astype("float32") for s in wanted[1:]]
    same(ours(x, initial_state=start), theirs(x, initial_state=start))
    shape = (None, TIME, *x.shape[2:])
    assert [tuple(s) for s in ours.compute_output_shape(shape)] == [
        tuple(s) for s in theirs.compute_output_shape(shape)
    ]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_stateful_layer(keras: Any, kind: str) -> None:
    theirs, ours, x = twins(keras, kind, ROWS, stateful=True)
    for _ in range(2):
        same(ours(x), theirs(x))
    same(ours.states, theirs.states)
    ours.reset_state()
    theirs.reset_state()
    same(ours(x), theirs(x))
