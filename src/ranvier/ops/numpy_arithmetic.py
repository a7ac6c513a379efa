"""Elementwise arithmetic, powers, logarithms and angles, as Keras's ``ops`` name them."""

from __future__ import annotations

import math
from typing import Any

from ranvier.errors import ShapeError
from ranvier.graph import functions as f
from ranvier.graph.functions import (
    absolute,
    add,
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctan2,
    arctanh,
    as_tensor,
    cast,
    ceil,
    clip,
    cos,
    cosh,
    divide,
    exp,
    expm1,
    floor,
    floor_divide,
    log,
    log1p,
    maximum,
    minimum,
    mod,
    multiply,
    negative,
    power,
    reciprocal,
    rint,
    sign,
    sin,
    sinh,
    sqrt,
    square,
    subtract,
    tan,
    tanh,
    true_divide,
)
from ranvier.graph.trace import Tensor
from ranvier.operation import record_calls
from ranvier.ops._shared import floating, together

abs = absolute


def fabs(x: Any) -> Tensor:
    """Elementwise |x|, as a float.

    Example:
        >>> fabs([-3]).numpy().tolist()
        [3.0]
    """
    return absolute(floating(x))


def round(x: Any, decimals: int = 0) -> Tensor:
    """Elementwise nearest number with so many decimals, halves to even.

    Whole numbers stay whole; negative ``decimals`` round them to tens, hundreds, ….

    Example:
        >>> round([0.5, 1.5, 2.54], 0).numpy().tolist()
        [0.0, 2.0, 3.0]
    """
    x = as_tensor(x)
    if not x.spec.floating:
        if decimals >= 0:
            return x
        factor = 10.0**decimals
        return cast(rint(cast(x, "float32") * factor) / factor, x.dtype)
    if decimals == 0:
        return rint(x)
    factor = 10.0**decimals
    return rint(x * factor) / factor


def trunc(x: Any) -> Tensor:
    """Elementwise whole part: towards zero.

    Example:
        >>> trunc([-1.7, 1.7]).numpy().tolist()
        [-1.0, 1.0]
    """
    x = as_tensor(x)
    return f.trunc(x) if x.spec.floating else x


def exp2(x: Any) -> Tensor:
    """Elementwise 2**x.

    Example:
        >>> exp2([3.0, -1.0]).numpy().tolist()
        [8.0, 0.5]
    """
    return power(2.0, floating(x))


def log2(x: Any) -> Tensor:
    """Elementwise logarithm to base 2.

    Example:
        >>> log2([8.0]).numpy().tolist()
        [3.0]
    """
    return log(x) / math.log(2.0)


def log10(x: Any) -> Tensor:
    """Elementwise logarithm to base 10.

    Example:
        >>> log10([100.0]).numpy().tolist()
        [2.0]
    """
    return log(x) / math.log(10.0)


def cbrt(x: Any) -> Tensor:
    """Elementwise cube root, of negative numbers too.

    Example:
        >>> cbrt([-8.0]).numpy().round(6).tolist()
        [-2.0]
    """
    x = floating(x)
    # The root of 0 is taken beside the power, whose slope there is not finite.
    some = x != 0.0
    root = power(f.where(some, absolute(x), 1.0), 1.0 / 3.0)
    return f.where(some, sign(x) * root, x)


def deg2rad(x: Any) -> Tensor:
    """Elementwise degrees as radians.

    Example:
        >>> deg2rad([0.0]).numpy().tolist()
        [0.0]
    """
    return floating(x) * (math.pi / 180.0)


def rad2deg(x: Any) -> Tensor:
    """Elementwise radians as degrees.

    Example:
        >>> rad2deg([0.0]).numpy().tolist()
        [0.0]
    """
    return floating(x) * (180.0 / math.pi)


def hypot(x1: Any, x2: Any) -> Tensor:
    """Elementwise sqrt(x1² + x2²), without overflow on the way.

    Example:
        >>> hypot([3.0], [4.0]).numpy().tolist()
        [5.0]
    """
    a, b = (floating(t) for t in together(x1, x2))
    top = maximum(absolute(a), absolute(b))
    usual = f.logical_and(top > 0.0, f.isfinite(top))
    scale = f.stop_gradient(f.where(usual, top, 1.0))
    sides = square(a / scale) + square(b / scale)
    root = scale * sqrt(f.where(usual, sides, 1.0))
    return f.where(usual, root, top)


def fmax(x1: Any, x2: Any) -> Tensor:
    """Elementwise maximum that ignores NaN where the other is a number.

    Example:
        >>> fmax([float("nan"), 1.0], [2.0, 3.0]).numpy().tolist()
        [2.0, 3.0]
    """
    return _ignoring(maximum, x1, x2)


def fmin(x1: Any, x2: Any) -> Tensor:
    """Elementwise minimum that ignores NaN where the other is a number.

    Example:
        >>> fmin([float("nan"), 1.0], [2.0, 3.0]).numpy().tolist()
        [2.0, 1.0]
    """
    return _ignoring(minimum, x1, x2)


def _ignoring(choose: Any, x1: Any, x2: Any) -> Tensor:
    a, b = together(x1, x2)
    if not a.spec.floating:
        return choose(a, b)
    return f.where(f.isnan(a), b, f.where(f.isnan(b), a, choose(a, b)))


def fmod(x1: Any, x2: Any) -> Tensor:
    """Elementwise remainder, with the sign of x1.

    Example:
        >>> fmod([-7.0, 7.0], 3.0).numpy().tolist()
        [-1.0, 1.0]
    """
    a, b = together(x1, x2)
    if a.dtype == "bool":
        a, b = cast(a, "int32"), cast(b, "int32")
    if a.dtype.startswith("u"):
        return mod(a, b)
    return sign(a) * mod(absolute(a), absolute(b))


def heaviside(x1: Any, x2: Any) -> Tensor:
    """Elementwise step: 0 below 0, 1 above, ``x2`` at 0.

    Example:
        >>> heaviside([-1.0, 0.0, 2.0], 0.5).numpy().tolist()
        [0.0, 0.5, 1.0]
    """
    a, b = (floating(t) for t in together(x1, x2))
    step = f.where(a < 0.0, 0.0, f.where(a > 0.0, 1.0, b))
    return f.where(f.isnan(a), a, step)


def ldexp(x1: Any, x2: Any) -> Tensor:
    """Elementwise x1 * 2**x2, with whole x2.

    Raises:
        ShapeError: RV108, when x2 does not hold integers.

    Example:
        >>> ldexp([0.5], [3]).numpy().tolist()
        [4.0]
    """
    x2 = as_tensor(x2)
    if x2.spec.floating or x2.dtype == "bool":
        raise ShapeError(
            "RV108",
            "ldexp: the exponents must be integers",
            details=f"got {x2.spec}",
            fix="ops.cast(x2, 'int32')",
        )
    x1 = floating(x1)
    # In two steps, so that the power overflows only where the product does.
    half = floor_divide(x2, 2)
    first, rest = (exp2(cast(t, x1.dtype)) for t in (half, x2 - half))
    return x1 * first * rest


def logaddexp(x1: Any, x2: Any) -> Tensor:
    """Elementwise log(e^x1 + e^x2), without overflow.

    Example:
        >>> logaddexp([-100.0], [100.0]).numpy().tolist()
        [100.0]
    """
    a, b = (floating(t) for t in together(x1, x2))
    return maximum(a, b) + log1p(exp(negative(_distance(a, b))))


def logaddexp2(x1: Any, x2: Any) -> Tensor:
    """Elementwise log2(2^x1 + 2^x2), without overflow.

    Example:
        >>> logaddexp2([1.0], [1.0]).numpy().tolist()
        [2.0]
    """
    a, b = (floating(t) for t in together(x1, x2))
    more = log1p(exp2(negative(_distance(a, b)))) / math.log(2.0)
    return maximum(a, b) + more


def _distance(a: Tensor, b: Tensor) -> Tensor:
    """|a - b|; 0 where both are the same infinity."""
    apart = absolute(subtract(a, b))
    return f.where(f.logical_and(f.isinf(a), a == b), 0.0, apart)


def divide_no_nan(x1: Any, x2: Any) -> Tensor:
    """Elementwise x1 / x2, and 0 where x2 is 0.

    Example:
        >>> divide_no_nan([1.0, 2.0], [0.0, 4.0]).numpy().tolist()
        [0.0, 0.5]
    """
    a, b = (floating(t) for t in together(x1, x2))
    some = b != 0.0
    return f.where(some, a / f.where(some, b, 1.0), 0.0)


__all__ = [
    "abs",
    "absolute",
    "add",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "cbrt",
    "ceil",
    "clip",
    "cos",
    "cosh",
    "deg2rad",
    "divide",
    "divide_no_nan",
    "exp",
    "exp2",
    "expm1",
    "fabs",
    "floor",
    "floor_divide",
    "fmax",
    "fmin",
    "fmod",
    "heaviside",
    "hypot",
    "ldexp",
    "log",
    "log10",
    "log1p",
    "log2",
    "logaddexp",
    "logaddexp2",
    "maximum",
    "minimum",
    "mod",
    "multiply",
    "negative",
    "power",
    "rad2deg",
    "reciprocal",
    "rint",
    "round",
    "sign",
    "sin",
    "sinh",
    "sqrt",
    "square",
    "subtract",
    "tan",
    "tanh",
    "true_divide",
    "trunc",
]

record_calls(globals(), __all__)
