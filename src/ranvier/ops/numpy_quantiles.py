"""Quantiles: the number that a share of the elements does not exceed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ranvier.errors import ShapeError
from ranvier.graph import functions as f
from ranvier.graph.functions import (
    cast,
)
from ranvier.graph.trace import Tensor
from ranvier.operation import record_calls
from ranvier.ops._shared import axes_of, floating

#: How `quantile` chooses between the two elements that a share falls between.
METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


def quantile(
    x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Tensor:
    """The number that a share ``q`` of the elements does not exceed.

    Args:
        x: A tensor.
        q: Shares from 0 to 1; a vector of them gives one result each, along a new
            first axis.
        axis: Axes; all by default.
        method: Between two elements: ``"linear"``, ``"lower"``, ``"higher"``,
            ``"midpoint"`` or ``"nearest"``.
        keepdims: Whether the axes stay, with size 1.

    Raises:
        ShapeError: RV100, for another method.

    Example:
        >>> quantile([1.0, 2.0, 3.0, 4.0], 0.5).item()
        2.5
    """
    return quantile_of("quantile", x, q, axis, method, keepdims, skip_nan=False)


def percentile(
    x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Tensor:
    """The number that ``q`` per cent of the elements do not exceed; see `quantile`.

    Example:
        >>> percentile([1.0, 2.0, 3.0], 50).item()
        2.0
    """
    return quantile(x, floating(q) / 100.0, axis, method, keepdims)


def median(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The middle of the elements, or between the two of the middle.

    Example:
        >>> median([3.0, 1.0, 2.0]).item()
        2.0
    """
    return quantile(x, 0.5, axis, "midpoint", keepdims)


def quantile_of(
    name: str,
    x: Any,
    q: Any,
    axis: Any,
    method: str,
    keepdims: bool,
    skip_nan: bool,
) -> Tensor:
    """`quantile`, of the elements that are numbers with ``skip_nan``."""
    if method not in METHODS:
        raise ShapeError(
            "RV100",
            f"{name}: method={method!r} is not known",
            fix="one of " + ", ".join(METHODS),
        )
    x, q = floating(x), floating(q)
    axes = axes_of(name, axis, x.ndim)
    rest = [i for i in range(x.ndim) if i not in axes]
    kept = tuple(x.shape[i] for i in rest)
    rows = f.reshape(f.transpose(x, [*rest, *axes]), (*kept, -1))
    bad = f.isnan(rows)
    # NaN comes last when sorted, so the numbers are the first so many.
    ordered = f.sort(f.where(bad, math.inf, rows), -1) if skip_nan else f.sort(rows, -1)
    numbers = f.sum(cast(f.logical_not(bad), x.dtype), -1, keepdims=True)
    last = numbers - 1.0
    if not skip_nan:
        last = f.zeros_like(numbers) + f.count_of(rows, (rows.ndim - 1,)) - 1.0
    shares = f.reshape(q, (1,) * len(kept) + (-1,))
    place = f.maximum(last, 0.0) * shares
    low, high = f.floor(place), f.ceil(place)
    part = place - low
    if method == "nearest":
        low = high = f.rint(place)
    below, above = (
        f.take_along_axis(ordered, cast(p, "int32"), -1) for p in (low, high)
    )
    if method == "linear":
        # A whole place takes one element alone, so that infinities stay themselves.
        found = f.where(part == 0.0, below, below * (1.0 - part) + above * part)
    elif method == "midpoint":
        found = f.where(low == high, below, (below + above) * 0.5)
    else:
        found = above if method == "higher" else below
    none = numbers == 0.0 if skip_nan else f.any(bad, -1, keepdims=True)
    found = f.where(none, np.nan, found)
    found = f.transpose(found, [len(kept), *range(len(kept))])
    if keepdims:
        kept = tuple(1 if i in axes else s for i, s in enumerate(x.shape))
    return f.reshape(found, (*q.shape, *kept))


__all__ = [
    "median",
    "percentile",
    "quantile",
]

record_calls(globals(), __all__)
