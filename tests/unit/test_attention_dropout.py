"""Dropout on the weights of attention, inside its one operation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ranvier as keras

X = np.random.default_rng(0).normal(size=(4, 6, 8)).astype("float32")
LAYERS = {
    "heads": lambda rate: keras.layers.MultiHeadAttention(2, 4, dropout=rate, seed=1),
    "groups": lambda rate: keras.layers.GroupQueryAttention(
        4, 4, 2, dropout=rate, seed=1
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_all_dropped_is_nothing(name: str) -> None:
    layer = LAYERS[name](1.0)
    np.testing.assert_array_equal(layer(X, X, training=True).numpy(), 0)
    assert np.any(layer(X, X).numpy())


@pytest.mark.parametrize("name", LAYERS)
def test_sums_keep_their_mean(name: str) -> None:
    """Over many draws; inference drops nothing."""
    layer = LAYERS[name](0.4)
    whole = layer(X, X).numpy()
    drawn = [layer(X, X, training=True).numpy() for _ in range(400)]
    assert len({d.tobytes() for d in drawn}) == 400
    error = np.std(drawn, axis=0) / np.sqrt(400)
    apart = np.abs(np.mean(drawn, axis=0) - whole) / np.maximum(error, 1e-6)
    assert np.max(apart) < 5  # of 192 means each five standard errors away: 1e-4


def test_one_head_drops_too() -> None:
    layer: Any = keras.layers.Attention(dropout=1.0, seed=1)
    np.testing.assert_array_equal(layer([X, X], training=True).numpy(), 0)
