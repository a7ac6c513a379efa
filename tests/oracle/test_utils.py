"""Small helpers of `keras.utils` against real Keras."""

from __future__ import annotations

import doctest
from typing import Any

import numpy as np
import pytest

import ranvier
from ranvier.errors import ShapeError
from ranvier.utils import steps

X, Y, W = np.ones((2, 3)), np.zeros(2), np.ones(2)
PACKED = [
    (X,), (X, Y), (X, Y, W), ([X, X], Y), ((X, X),), ([X],), (X, None, W),
    ({"a": X}, Y, W),
]  # fmt: skip


def shape_of(value: Any) -> Any:
    """Structure and identity of what came back."""
    if isinstance(value, (list, tuple)):
        return type(value), [shape_of(v) for v in value]
    return id(value)


@pytest.mark.parametrize("arguments", PACKED, ids=range(len(PACKED)))
def test_packing_a_step(keras: Any, arguments: Any) -> None:
    found = ranvier.utils.pack_x_y_sample_weight(*arguments)
    wanted = keras.utils.pack_x_y_sample_weight(*arguments)
    assert shape_of(found) == shape_of(wanted)
    again = ranvier.utils.unpack_x_y_sample_weight(found)
    assert shape_of(again) == shape_of(keras.utils.unpack_x_y_sample_weight(wanted))


def test_too_many_parts_are_refused(keras: Any) -> None:
    with pytest.raises(ValueError):
        keras.utils.unpack_x_y_sample_weight((X, Y, W, W))
    with pytest.raises(ShapeError, match="RV100"):
        ranvier.utils.unpack_x_y_sample_weight((X, Y, W, W))


def test_symbols_are_told_from_values(keras: Any) -> None:
    for package in (keras, ranvier):
        symbol = package.Input((3,))
        assert package.utils.is_keras_tensor(symbol)
        assert not package.utils.is_keras_tensor(X)


def test_logging_is_switched(keras: Any) -> None:
    for package in (keras, ranvier):
        package.utils.disable_interactive_logging()
        assert not package.utils.is_interactive_logging_enabled()
        package.utils.enable_interactive_logging()
        assert package.utils.is_interactive_logging_enabled()


def test_docstrings() -> None:
    found = doctest.testmod(steps)
    assert found.attempted >= 3
    assert found.failed == 0
