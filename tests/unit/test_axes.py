"""Axes that a tensor does not have are refused, not taken for others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import ranvier as keras
from ranvier import ops
from ranvier.errors import RanvierError

X = np.arange(6.0).reshape(2, 3)

CALLS: dict[str, Callable[[int], Any]] = {
    "softmax": lambda a: ops.softmax(X, axis=a),
    "softmax of two": lambda a: ops.softmax(X, axis=(0, a)),
    "log_softmax": lambda a: ops.log_softmax(X, axis=a),
    "sparsemax": lambda a: keras.activations.sparsemax(X, axis=a),
    "swapaxes": lambda a: ops.swapaxes(X, 0, a),
    "moveaxis": lambda a: ops.moveaxis(X, a, 0),
    "moveaxis to": lambda a: ops.moveaxis(X, 0, a),
    "repeat": lambda a: ops.repeat(X, 2, axis=a),
    "split": lambda a: ops.split(X, 1, axis=a),
    "unstack": lambda a: ops.unstack(X, axis=a),
    "transpose": lambda a: ops.transpose(X, (0, a)),
    "squeeze": lambda a: ops.squeeze(X, a),
    "take": lambda a: ops.take(X, [0], axis=a),
    "take_along_axis": lambda a: ops.take_along_axis(X, np.zeros((2, 3), int), a),
    "concatenate": lambda a: ops.concatenate([X, X], axis=a),
    "sum": lambda a: ops.sum(X, axis=a),
    "argmax": lambda a: ops.argmax(X, axis=a),
    "sort": lambda a: ops.sort(X, axis=a),
    "cumsum": lambda a: ops.cumsum(X, axis=a),
    "flip": lambda a: ops.flip(X, axis=a),
    "logsumexp": lambda a: ops.logsumexp(X, axis=a),
    "norm": lambda a: ops.norm(X, axis=a),
    "Softmax": lambda a: keras.layers.Softmax(axis=a)(X),
    "LayerNormalization": lambda a: keras.layers.LayerNormalization(axis=a)(X),
    "BatchNormalization": lambda a: keras.layers.BatchNormalization(axis=a)(X),
}


@pytest.mark.parametrize("axis", [2, 7, -3])
@pytest.mark.parametrize("name", CALLS)
def test_refused(name: str, axis: int) -> None:
    with pytest.raises(RanvierError):
        CALLS[name](axis)


@pytest.mark.parametrize("axis", [3, -4])
def test_expand_dims_has_one_place_more(axis: int) -> None:
    assert ops.expand_dims(X, 2).shape == ops.expand_dims(X, -1).shape == (2, 3, 1)
    assert ops.expand_dims(X, -3).shape == (1, 2, 3)
    with pytest.raises(RanvierError):
        ops.expand_dims(X, axis)


def test_places_from_the_end() -> None:
    np.testing.assert_array_equal(ops.moveaxis(X, -1, 0).numpy(), X.T)
    np.testing.assert_array_equal(ops.swapaxes(X, -2, -1).numpy(), X.T)
    np.testing.assert_array_equal(ops.repeat(X, 2, axis=-1), np.repeat(X, 2, -1))
