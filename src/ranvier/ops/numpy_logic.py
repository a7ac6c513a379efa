"""Comparisons, truth values and bits, as Keras's ``ops`` name them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ranvier.errors import ShapeError
from ranvier.graph import functions as f
from ranvier.graph.functions import (
    absolute,
    as_tensor,
    equal,
    greater,
    greater_equal,
    isfinite,
    isinf,
    isnan,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    not_equal,
)
from ranvier.graph.trace import Tensor
from ranvier.operation import record_calls
from ranvier.ops._shared import eager, floating, together


def isneginf(x: Any) -> Tensor:
    """Elementwise: is it minus infinity.

    Example:
        >>> isneginf([-float("inf"), 1.0]).numpy().tolist()
        [True, False]
    """
    return floating(x) == -math.inf


def isposinf(x: Any) -> Tensor:
    """Elementwise: is it plus infinity.

    Example:
        >>> isposinf([float("inf"), 1.0]).numpy().tolist()
        [True, False]
    """
    return floating(x) == math.inf


def isreal(x: Any) -> Tensor:
    """Elementwise: has it no imaginary part. Tensors here are real.

    Example:
        >>> isreal([1.0]).numpy().tolist()
        [True]
    """
    return f.ones_like(x, "bool")


def isclose(
    x1: Any,
    x2: Any,
    rtol: float = 1e-5,
    atol: float = 1e-8,
    equal_nan: bool = False,
) -> Tensor:
    """Elementwise ``|x1 - x2| <= atol + rtol * |x2|``; equal infinities are close.

    Example:
        >>> isclose([1.0, 2.0], [1.0, 2.1]).numpy().tolist()
        [True, False]
    """
    a, b = (floating(t) for t in together(x1, x2))
    near = absolute(a - b) <= absolute(b) * rtol + atol
    # The distance to an infinity is within no tolerance.
    found = logical_or(a == b, logical_and(near, logical_and(isfinite(a), isfinite(b))))
    if equal_nan:
        found = logical_or(found, logical_and(isnan(a), isnan(b)))
    return found


def allclose(
    x1: Any,
    x2: Any,
    rtol: float = 1e-5,
    atol: float = 1e-8,
    equal_nan: bool = False,
) -> Tensor:
    """Whether all elements are close; see `isclose`.

    Example:
        >>> bool(allclose([1.0, 2.0], [1.0, 2.0]))
        True
    """
    return f.all(isclose(x1, x2, rtol, atol, equal_nan))


def signbit(x: Any) -> Tensor:
    """Elementwise: is the sign bit set, as of negative numbers and of -0.0.

    The sign of a NaN is not looked at.

    Example:
        >>> signbit([-0.0, 0.0, -2.0]).numpy().tolist()
        [True, False, True]
    """
    x = as_tensor(x)
    if not x.spec.floating:
        return x < 0 if x.dtype.startswith("int") else f.zeros_like(x, "bool")
    # 1 / -0.0 is minus infinity.
    inverse = f.divide(1.0, f.where(x == 0.0, x, 1.0))
    return logical_or(x < 0.0, inverse < 0.0)


def bitwise_and(x: Any, y: Any) -> Tensor:
    """Elementwise ``x & y`` of integers.

    Example:
        >>> int(bitwise_and(12, 10))
        8
    """
    return f.bitwise_and(x, y)


def bitwise_or(x: Any, y: Any) -> Tensor:
    """Elementwise ``x | y`` of integers.

    Example:
        >>> int(bitwise_or(12, 10))
        14
    """
    return f.bitwise_or(x, y)


def bitwise_xor(x: Any, y: Any) -> Tensor:
    """Elementwise ``x ^ y`` of integers.

    Example:
        >>> int(bitwise_xor(12, 10))
        6
    """
    return f.bitwise_xor(x, y)


def left_shift(x: Any, y: Any) -> Tensor:
    """Elementwise ``x << y`` of integers.

    Example:
        >>> int(left_shift(3, 2))
        12
    """
    return f.left_shift(x, y)


def right_shift(x: Any, y: Any) -> Tensor:
    """Elementwise ``x >> y`` of integers.

    Example:
        >>> int(right_shift(12, 2))
        3
    """
    return f.right_shift(x, y)


def bitwise_invert(x: Any) -> Tensor:
    """Elementwise ~x: every bit of an integer turned; the negation of truth values.

    Example:
        >>> bitwise_invert([0, 5]).numpy().tolist()
        [-1, -6]
    """
    x = as_tensor(x)
    if x.dtype == "bool":
        return logical_not(x)
    if x.spec.floating:
        raise ShapeError(
            "RV108", "bitwise_invert needs integers", details=f"got {x.spec}"
        )
    ones = np.iinfo(x.dtype).max if x.dtype.startswith("u") else -1
    return bitwise_xor(x, Tensor(value=np.asarray(ones, x.dtype)))


def nextafter(x1: Any, x2: Any) -> Tensor:
    """Elementwise the next number after x1 on the way to x2; on arrays only.

    Raises:
        ShapeError: RV112, inside a traced step.

    Example:
        >>> bool(nextafter([1.0], [2.0])[0] > 1.0)
        True
    """
    a, b = eager("nextafter", *(floating(t) for t in together(x1, x2)))
    return Tensor(value=np.nextafter(a, b))


bitwise_not = bitwise_invert
bitwise_left_shift = left_shift
bitwise_right_shift = right_shift

__all__ = [
    "allclose",
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "equal",
    "greater",
    "greater_equal",
    "isclose",
    "isfinite",
    "isinf",
    "isnan",
    "isneginf",
    "isposinf",
    "isreal",
    "left_shift",
    "less",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "nextafter",
    "not_equal",
    "right_shift",
    "signbit",
]

record_calls(globals(), __all__)
