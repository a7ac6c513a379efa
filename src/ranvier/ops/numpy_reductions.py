"""Reductions over axes: sums, extremes, moments, quantiles, running totals."""

from __future__ import annotations

import math
from typing import Any

from ranvier.errors import ShapeError
from ranvier.graph import functions as f
from ranvier.graph.functions import (
    all,
    any,
    argmax,
    argmin,
    as_tensor,
    cast,
    not_equal,
    slice_axis,
)
from ranvier.graph.trace import Tensor
from ranvier.operation import record_calls
from ranvier.ops._shared import axes_of, floating, together

#: Sums of narrow integers are as wide as JAX's.
_WIDER = {"bool": "int32", "int8": "int32", "int16": "int32"} | {
    "uint8": "uint32",
    "uint16": "uint32",
}


def _wide(x: Any, dtype: str | None = None) -> Tensor:
    x = as_tensor(x)
    return cast(x, dtype or _WIDER.get(x.dtype, x.dtype))


def sum(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Sum over axes (all by default); narrow integers are added as 32 bits.

    Example:
        >>> sum([[1, 2], [3, 4]], axis=0).numpy().tolist()
        [4, 6]
    """
    return f.sum(_wide(x), axis, keepdims)


def prod(
    x: Any, axis: Any = None, keepdims: bool = False, dtype: str | None = None
) -> Tensor:
    """Product over axes (all by default).

    Example:
        >>> prod([2, 3]).item()
        6
    """
    return f.prod(_wide(x, dtype), axis, keepdims)


def max(
    x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None
) -> Tensor:
    """Maximum over axes, and not less than ``initial``.

    Example:
        >>> max([1.0, 3.0], initial=4.0).item()
        4.0
    """
    return _extreme(f.max, f.maximum, x, axis, keepdims, initial)


def min(
    x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None
) -> Tensor:
    """Minimum over axes, and not more than ``initial``.

    Example:
        >>> min([1.0, 3.0]).item()
        1.0
    """
    return _extreme(f.min, f.minimum, x, axis, keepdims, initial)


def amax(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Maximum over axes.

    Example:
        >>> amax([1.0, 3.0]).item()
        3.0
    """
    return max(x, axis, keepdims)


def amin(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Minimum over axes.

    Example:
        >>> amin([1.0, 3.0]).item()
        1.0
    """
    return min(x, axis, keepdims)


def _extreme(
    reduce: Any, pair: Any, x: Any, axis: Any, keepdims: bool, initial: Any
) -> Tensor:
    x = as_tensor(x)
    axes = axes_of("max", axis, x.ndim)
    if initial is None:
        for i in axes:
            if x.shape[i] == 0:
                raise ShapeError(
                    "RV108",
                    "there is no extreme of no elements",
                    details=f"axis {i} of {x.spec} is empty",
                    fix="initial=…",
                )
        return reduce(x, axis, keepdims)
    initial = cast(initial, x.dtype)
    if math.prod(s for s in x.shape if isinstance(s, int)) == 0:
        # Nothing to compare with: what an empty sum of the same shape looks like.
        return cast(f.sum(f.zeros_like(x), axis, keepdims), x.dtype) * 0 + initial
    return pair(reduce(x, axis, keepdims), initial)


def ptp(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Maximum less minimum over axes.

    Example:
        >>> ptp([1.0, 4.0]).item()
        3.0
    """
    return max(x, axis, keepdims) - min(x, axis, keepdims)


def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Mean over axes, in floats.

    Example:
        >>> mean([1, 2]).item()
        1.5
    """
    return f.mean(x, axis, keepdims)


def var(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Variance over axes: the mean square of the distance to the mean.

    Example:
        >>> var([1.0, 3.0]).item()
        1.0
    """
    return f.var(floating(x), axis, keepdims)


def std(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Standard deviation over axes: the root of the variance.

    Example:
        >>> std([1.0, 3.0]).item()
        1.0
    """
    return f.sqrt(var(x, axis, keepdims))


def count_nonzero(x: Any, axis: Any = None) -> Tensor:
    """How many elements are not zero.

    Example:
        >>> count_nonzero([0, 2, 3]).item()
        2
    """
    return f.sum(cast(not_equal(x, f.zeros_like(x)), "int32"), axis)


def average(x: Any, axis: Any = None, weights: Any = None) -> Tensor:
    """Mean, or weighted mean ``Σ w x / Σ w``.

    Args:
        x: A tensor.
        axis: Axes; all by default.
        weights: In the shape of ``x``, or one for each element of the one axis.

    Raises:
        ShapeError: RV108, for weights of another shape.

    Example:
        >>> average([1.0, 3.0], weights=[3.0, 1.0]).item()
        1.5
    """
    if weights is None:
        return mean(x, axis)
    x, w = (floating(t) for t in together(x, weights))
    if tuple(w.shape) != tuple(x.shape):
        axes = axes_of("average", axis, x.ndim)
        if axis is None or w.ndim != 1 or len(axes) != 1:
            raise ShapeError(
                "RV108",
                "average: weights need the shape of x, or one axis",
                details=f"got {w.spec} for {x.spec}, axis={axis}",
            )
        own = tuple(-1 if i == axes[0] else 1 for i in range(x.ndim))
        w = f.broadcast_to(f.reshape(w, own), x.shape)
    return f.sum(x * w, axis) / f.sum(w, axis)


def _running(run: Any, x: Any, axis: int | None, dtype: str | None) -> Tensor:
    x = as_tensor(x)
    x = cast(x, dtype or ("int32" if x.dtype == "bool" else x.dtype))
    return run(x, axis)


def cumsum(x: Any, axis: int | None = None, dtype: str | None = None) -> Tensor:
    """Cumulative sum along an axis, of the flattened tensor without one.

    Example:
        >>> cumsum([1, 2, 3]).numpy().tolist()
        [1, 3, 6]
    """
    return _running(f.cumsum, x, axis, dtype)


def cumprod(x: Any, axis: int | None = None, dtype: str | None = None) -> Tensor:
    """Cumulative product along an axis, of the flattened tensor without one.

    Example:
        >>> cumprod([1, 2, 3]).numpy().tolist()
        [1, 2, 6]
    """
    return _running(f.cumprod, x, axis, dtype)


def diff(a: Any, n: int = 1, axis: int = -1) -> Tensor:
    """Differences of neighbours along an axis, ``n`` times over.

    Example:
        >>> diff([1, 4, 9]).numpy().tolist()
        [3, 5]
    """
    a = as_tensor(a)
    axis = f.normal_axis("diff", axis, a.ndim)
    for _ in range(n):
        last: Any = a.shape[axis]
        if last == 0:
            return a
        after, before = slice_axis(a, axis, 1, last), slice_axis(a, axis, 0, last - 1)
        a = not_equal(after, before) if a.dtype == "bool" else after - before
    return a


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Tensor:
    """The integral along an axis by the trapezoidal rule.

    Args:
        y: Values.
        x: Where they were taken: a vector, or the shape of ``y``.
        dx: The distance between neighbours, without ``x``.
        axis: The axis.

    Example:
        >>> trapezoid([1.0, 3.0]).item()
        2.0
    """
    y = floating(y)
    axis = f.normal_axis("trapezoid", axis, y.ndim)
    width: Any = dx
    if x is not None:
        x = as_tensor(x)
        width = floating(diff(x, axis=0 if x.ndim == 1 else axis))
        if x.ndim == 1:
            own = tuple(-1 if i == axis else 1 for i in range(y.ndim))
            width = f.reshape(width, own)
    last: Any = y.shape[axis]
    pairs = slice_axis(y, axis, 1, last) + slice_axis(y, axis, 0, last - 1)
    return f.sum(pairs * width, axis) * 0.5


def corrcoef(x: Any) -> Tensor:
    """Pearson's coefficients between the rows of a matrix.

    Example:
        >>> corrcoef([[1.0, 2.0], [2.0, 1.0]]).numpy().round(3).tolist()
        [[1.0, -1.0], [-1.0, 1.0]]
    """
    x = floating(x)
    flat = x.ndim < 2
    rows = f.reshape(x, (1, -1)) if flat else x
    rows = rows - f.mean(rows, axis=1, keepdims=True)
    products = f.matmul(rows, f.transpose(rows))
    if flat:
        found = f.reshape(products, ())
        return found / found
    root = f.sqrt(f.sum(f.square(rows), axis=1))
    found = products / f.expand_dims(root, 1) / f.expand_dims(root, 0)
    # A correlation lies between -1 and 1; rounding must not put it outside.
    return f.clip(found, -1.0, 1.0)


__all__ = [
    "all",
    "amax",
    "amin",
    "any",
    "argmax",
    "argmin",
    "average",
    "corrcoef",
    "count_nonzero",
    "cumprod",
    "cumsum",
    "diff",
    "max",
    "mean",
    "min",
    "prod",
    "ptp",
    "std",
    "sum",
    "trapezoid",
    "var",
]

record_calls(globals(), __all__)
