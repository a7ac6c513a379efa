"""Less usual elementwise functions: divisors, Bessel's, complex parts of real numbers."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from ranvier.errors import ShapeError
from ranvier.graph import functions as f
from ranvier.graph.control import while_loop
from ranvier.graph.functions import (
    absolute,
    arctan2,
    as_tensor,
    cast,
    exp,
    floor_divide,
    maximum,
    mod,
    sin,
    sqrt,
    square,
)
from ranvier.graph.trace import Tensor
from ranvier.operation import record_calls
from ranvier.ops._shared import floating, together


def sinc(x: Any) -> Tensor:
    """Elementwise sin(πx) / (πx), and 1 at 0.

    Example:
        >>> sinc([0.0]).numpy().tolist()
        [1.0]
    """
    x = floating(x)
    away = x != 0.0
    angle_ = f.where(away, x, 1.0) * math.pi
    return f.where(away, sin(angle_) / angle_, 1.0)


def i0(x: Any) -> Tensor:
    """Elementwise modified Bessel function of the first kind, order 0.

    The power series ``Σ (x²/4)^k / k!²`` up to |x| = 18, Hankel's expansion
    ``e^|x| / sqrt(2π|x|) · Σ ((2k-1)!!)² / (k! (8|x|)^k)`` beyond.

    Example:
        >>> i0([0.0]).numpy().tolist()
        [1.0]
    """
    x = as_tensor(x)
    x = cast(x, "float64" if x.dtype in ("int64", "float64") else "float32")
    size_ = absolute(x)
    near = size_ <= 18.0
    t = square(f.where(near, x, 0.0)) * 0.25
    series = f.ones_like(x)
    for k in range(36, 0, -1):
        series = series * t * (1.0 / (k * k)) + 1.0
    far = f.where(near, 18.0, size_)
    hankel = f.ones_like(x)
    for k in range(14, 0, -1):
        hankel = hankel * ((2 * k - 1) ** 2 / (8.0 * k)) / far + 1.0
    # e^x in two halves: it overflows later than the result otherwise would.
    half = exp(far * 0.5)
    return f.where(near, series, half * (hankel / sqrt(far * (2.0 * math.pi))) * half)


def nan_to_num(
    x: Any, nan: float = 0.0, posinf: Any = None, neginf: Any = None
) -> Tensor:
    """NaN and infinities replaced by numbers (the largest ones for infinities).

    Example:
        >>> nan_to_num([float("nan"), 1.0]).numpy().tolist()
        [0.0, 1.0]
    """
    x = as_tensor(x)
    if not x.spec.floating:
        return x
    top = builtins.float(np.finfo(x.dtype).max)
    x = f.where(f.isnan(x), nan, x)
    x = f.where(x == math.inf, top if posinf is None else posinf, x)
    return f.where(x == -math.inf, -top if neginf is None else neginf, x)


def gcd(x1: Any, x2: Any) -> Tensor:
    """Elementwise greatest common divisor of integers, by Euclid's algorithm.

    Example:
        >>> gcd([12, 7], [18, 14]).numpy().tolist()
        [6, 7]
    """
    a, b = _integers("gcd", x1, x2)
    shape = f.broadcast_shapes(a.shape, b.shape)

    def step(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        done = b == 0
        rest = mod(a, f.where(done, 1, b))
        return f.where(done, a, b), f.where(done, 0, rest)

    start = tuple(f.broadcast_to(absolute(t), shape) for t in (a, b))
    found: Tensor = while_loop(lambda a, b: f.any(b != 0), step, start)[0]
    return found


def lcm(x1: Any, x2: Any) -> Tensor:
    """Elementwise least common multiple of integers.

    Example:
        >>> lcm([4, 0], [6, 5]).numpy().tolist()
        [12, 0]
    """
    a, b = _integers("lcm", x1, x2)
    common = gcd(a, b)
    return absolute(b) * floor_divide(absolute(a), maximum(common, 1))


def _integers(name: str, x1: Any, x2: Any) -> list[Tensor]:
    found = together(x1, x2)
    for t in found:
        if t.spec.floating or t.dtype == "bool":
            raise ShapeError(
                "RV108",
                f"{name} needs integers",
                details=f"got {t.spec}",
                fix="ops.cast(x, 'int32')",
            )
    return found


def angle(x: Any) -> Tensor:
    """Elementwise angle in the complex plane: 0, and π below 0.

    Example:
        >>> angle([2.0]).numpy().tolist()
        [0.0]
    """
    x = floating(x)
    return arctan2(f.zeros_like(x), x)


def real(x: Any) -> Tensor:
    """The real part: tensors here are real.

    Example:
        >>> real([2.0]).numpy().tolist()
        [2.0]
    """
    return as_tensor(x)


def imag(x: Any) -> Tensor:
    """The imaginary part of a real tensor: zeros.

    Example:
        >>> imag([2.0]).numpy().tolist()
        [0.0]
    """
    return f.zeros_like(x)


def conjugate(x: Any) -> Tensor:
    """The complex conjugate of a real tensor: itself.

    Example:
        >>> conjugate([2.0]).numpy().tolist()
        [2.0]
    """
    return as_tensor(x)


conj = conjugate


__all__ = [
    "angle",
    "conj",
    "conjugate",
    "gcd",
    "i0",
    "imag",
    "lcm",
    "nan_to_num",
    "real",
    "sinc",
]

record_calls(globals(), __all__)
