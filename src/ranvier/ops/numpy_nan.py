"""Reductions that leave NaN out."""

from __future__ import annotations

import math
from typing import Any

from ranvier.graph import functions as f
from ranvier.graph.functions import as_tensor, cast
from ranvier.graph.trace import Tensor
from ranvier.operation import record_calls
from ranvier.ops import numpy_reductions as r
from ranvier.ops._shared import floating
from ranvier.ops.numpy_quantiles import quantile_of


def _filled(x: Any, value: float) -> Tensor:
    x = as_tensor(x)
    return f.where(f.isnan(x), value, x) if x.spec.floating else x


def nansum(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Sum over axes of what is a number.

    Example:
        >>> nansum([1.0, float("nan")]).item()
        1.0
    """
    return r.sum(_filled(x, 0.0), axis, keepdims)


def nanprod(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Product over axes of what is a number.

    Example:
        >>> nanprod([3.0, float("nan")]).item()
        3.0
    """
    return r.prod(_filled(x, 1.0), axis, keepdims)


def nanmax(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Maximum over axes of what is a number; NaN where nothing is.

    Example:
        >>> nanmax([1.0, float("nan")]).item()
        1.0
    """
    return _extreme(r.max, -math.inf, x, axis, keepdims)


def nanmin(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Minimum over axes of what is a number; NaN where nothing is.

    Example:
        >>> nanmin([1.0, float("nan")]).item()
        1.0
    """
    return _extreme(r.min, math.inf, x, axis, keepdims)


def _extreme(reduce: Any, fill: float, x: Any, axis: Any, keepdims: bool) -> Tensor:
    x = as_tensor(x)
    found = reduce(_filled(x, fill), axis, keepdims)
    if not x.spec.floating:
        return found
    return f.where(f.all(f.isnan(x), axis, keepdims), math.nan, found)


def _count(x: Tensor, axis: Any, keepdims: bool) -> Tensor:
    return f.sum(cast(f.logical_not(f.isnan(x)), x.dtype), axis, keepdims)


def nanmean(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Mean over axes of what is a number; NaN where nothing is.

    Example:
        >>> nanmean([1.0, float("nan"), 3.0]).item()
        2.0
    """
    x = floating(x)
    return f.sum(_filled(x, 0.0), axis, keepdims) / _count(x, axis, keepdims)


def nanvar(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Variance over axes of what is a number; NaN where nothing is.

    Example:
        >>> nanvar([1.0, float("nan"), 3.0]).item()
        1.0
    """
    x = floating(x)
    apart = f.where(f.isnan(x), 0.0, x - nanmean(x, axis, keepdims=True))
    return f.sum(f.square(apart), axis, keepdims) / _count(x, axis, keepdims)


def nanstd(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Standard deviation over axes of what is a number; NaN where nothing is.

    Example:
        >>> nanstd([1.0, float("nan"), 3.0]).item()
        1.0
    """
    return f.sqrt(nanvar(x, axis, keepdims))


def nanargmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Index of the first maximum along an axis, past NaN; -1 where nothing else is.

    Example:
        >>> nanargmax([float("nan"), 2.0]).item()
        1
    """
    return _place(f.argmax, -math.inf, x, axis, keepdims)


def nanargmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Index of the first minimum along an axis, past NaN; -1 where nothing else is.

    Example:
        >>> nanargmin([float("nan"), 2.0]).item()
        1
    """
    return _place(f.argmin, math.inf, x, axis, keepdims)


def _place(find: Any, fill: float, x: Any, axis: Any, keepdims: bool) -> Tensor:
    x = as_tensor(x)
    found = find(_filled(x, fill), axis, keepdims)
    if not x.spec.floating:
        return found
    return f.where(f.all(f.isnan(x), axis, keepdims), -1, found)


def nancumsum(x: Any, axis: int | None = None, dtype: str | None = None) -> Tensor:
    """Cumulative sum along an axis, NaN taken as 0.

    Example:
        >>> nancumsum([1.0, float("nan"), 2.0]).numpy().tolist()
        [1.0, 1.0, 3.0]
    """
    return r.cumsum(_filled(x, 0.0), axis, dtype)


def nancumprod(x: Any, axis: int | None = None, dtype: str | None = None) -> Tensor:
    """Cumulative product along an axis, NaN taken as 1.

    Example:
        >>> nancumprod([2.0, float("nan"), 3.0]).numpy().tolist()
        [2.0, 2.0, 6.0]
    """
    return r.cumprod(_filled(x, 1.0), axis, dtype)


def nanquantile(
    x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Tensor:
    """`quantile` of what is a number; NaN where nothing is.

    Example:
        >>> nanquantile([1.0, float("nan"), 3.0], 0.5).item()
        2.0
    """
    return quantile_of("nanquantile", x, q, axis, method, keepdims, skip_nan=True)


def nanpercentile(
    x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Tensor:
    """`percentile` of what is a number; NaN where nothing is.

    Example:
        >>> nanpercentile([1.0, float("nan"), 3.0], 50).item()
        2.0
    """
    return nanquantile(x, floating(q) / 100.0, axis, method, keepdims)


def nanmedian(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """`median` of what is a number; NaN where nothing is.

    Example:
        >>> nanmedian([1.0, float("nan"), 3.0]).item()
        2.0
    """
    return nanquantile(x, 0.5, axis, "midpoint", keepdims)


__all__ = [
    "nanargmax",
    "nanargmin",
    "nancumprod",
    "nancumsum",
    "nanmax",
    "nanmean",
    "nanmedian",
    "nanmin",
    "nanpercentile",
    "nanprod",
    "nanquantile",
    "nanstd",
    "nansum",
    "nanvar",
]

record_calls(globals(), __all__)
