"""Order, indices and counts: sorting, searching, picking, histograms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ranvier.errors import ShapeError
from ranvier.graph import functions as f
from ranvier.graph.functions import as_tensor, cast, take, take_along_axis
from ranvier.graph.trace import Tensor
from ranvier.operation import record_calls
from ranvier.ops._shared import eager, floating, known, together


def argsort(x: Any, axis: int | None = -1) -> Tensor:
    """Indices that sort an axis; equal elements keep their order.

    Example:
        >>> argsort([3, 1, 2]).numpy().tolist()
        [1, 2, 0]
    """
    x = as_tensor(x)
    if x.ndim == 0:
        return f.zeros((1,), "int32")
    return f.argsort(x, axis)


def sort(x: Any, axis: int = -1) -> Tensor:
    """Sorted along an axis.

    Example:
        >>> sort([3, 1, 2]).numpy().tolist()
        [1, 2, 3]
    """
    return f.sort(x, axis)


def argpartition(x: Any, kth: int, axis: int | None = -1) -> Tensor:
    """Indices that put the ``kth`` smallest in its place, smaller ones before it.

    All are sorted here, which is one such order.

    Example:
        >>> argpartition([3, 1, 2], 1).numpy()[1].item()
        2
    """
    x = as_tensor(x)
    rank = known("argpartition", x.size if axis is None else x.shape[axis])
    if not -rank <= kth < rank:
        raise ShapeError(
            "RV100", f"argpartition: kth={kth} of {rank} elements", fix="0 <= kth < n"
        )
    return f.argsort(x, axis)


def where(condition: Any, x1: Any = None, x2: Any = None) -> Any:
    """Elements of ``x1`` where the condition holds, of ``x2`` elsewhere.

    With the condition alone, the indices of what is not zero (see `nonzero`).

    Example:
        >>> where([True, False], 1.0, 2.0).numpy().tolist()
        [1.0, 2.0]
    """
    if x1 is None and x2 is None:
        return nonzero(condition)
    if x1 is None or x2 is None:
        raise ShapeError("RV100", "where needs both x1 and x2, or neither")
    return f.where(condition, x1, x2)


def select(
    condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0
) -> Tensor:
    """Elements of the first choice whose condition holds.

    Raises:
        ShapeError: RV108, when there are not as many choices as conditions.

    Example:
        >>> select([[True, False]], [[1.0, 2.0]], 9.0).numpy().tolist()
        [1.0, 9.0]
    """
    if len(condlist) != len(choicelist) or not condlist:
        raise ShapeError(
            "RV108",
            f"select: {len(condlist)} conditions and {len(choicelist)} choices",
            fix="one choice for each condition",
        )
    *choices, found = together(*choicelist, default)
    for condition, choice in zip(condlist[::-1], choices[::-1], strict=True):
        found = f.where(condition, choice, found)
    return found


def get_item(x: Any, key: Any) -> Tensor:
    """``x[key]``.

    Example:
        >>> get_item([1, 2, 3], slice(1, None)).numpy().tolist()
        [2, 3]
    """
    return f.getitem(x, key)


def nonzero(x: Any) -> tuple[Tensor, ...]:
    """Indices of what is not zero, one tensor for each axis; on arrays only.

    Raises:
        ShapeError: RV112, inside a traced step: the size depends on the numbers.

    Example:
        >>> nonzero([0, 5, 0, 7])[0].numpy().tolist()
        [1, 3]
    """
    (array,) = eager("nonzero", x)
    return tuple(Tensor(value=i.astype("int32")) for i in np.nonzero(array))


def unique(
    x: Any,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """The elements without repetitions, in order; on arrays only.

    Args:
        x: An array.
        sorted: They are sorted in any case.
        return_index: Whether to give where each stands first.
        return_inverse: Whether to give which one each element of ``x`` is.
        return_counts: Whether to give how often each occurs.
        axis: Compare slices of an axis instead of elements.
        size: Cut off, or fill up, to so many.
        fill_value: To fill up with; the first one by default.

    Raises:
        ShapeError: RV112, inside a traced step: the size depends on the numbers.

    Example:
        >>> unique([3, 1, 3]).numpy().tolist()
        [1, 3]
    """
    (array,) = eager("unique", x)
    found = list(np.unique(array, True, True, True, axis=axis, equal_nan=False))
    along = axis or 0
    if size is not None:
        count = found[0].shape[along]
        cut = (slice(None),) * along + (slice(size),)
        more = max(size - count, 0)
        extra = np.take(found[0], [0] * more, axis=along) if count else None
        if extra is None:
            extra = np.zeros((more,), array.dtype)
        if fill_value is not None:
            extra = np.full_like(extra, fill_value)
        found[0] = np.concatenate([found[0][cut], extra], axis=along)
        found[1] = np.concatenate([found[1][:size], found[1][:1].repeat(more)])
        found[3] = np.concatenate([found[3][:size], np.zeros(more, "int32")])
    found[2] = found[2].reshape(array.shape if axis is None else (-1,))
    values = [Tensor(value=found[0])]
    wanted = (return_index, return_inverse, return_counts)
    for one, asked in zip(found[1:], wanted, strict=True):
        if asked:
            values.append(Tensor(value=np.asarray(one, "int32")))
    return values[0] if len(values) == 1 else tuple(values)


def isin(x1: Any, x2: Any, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Elementwise: is it one of the elements of ``x2``.

    Every element is compared with every other: time and memory grow with the product
    of the sizes.

    Example:
        >>> isin([1, 2, 3], [2, 5]).numpy().tolist()
        [False, True, False]
    """
    a, b = together(x1, x2)
    found = f.any(f.expand_dims(a, -1) == f.reshape(b, (-1,)), axis=-1)
    return f.logical_not(found) if invert else found


def searchsorted(sorted_sequence: Any, values: Any, side: str = "left") -> Tensor:
    """Where each value would have to be inserted to keep a vector sorted.

    Args:
        sorted_sequence: A vector in ascending order.
        values: A tensor.
        side: ``"left"``: before equal elements; ``"right"``: behind them.

    Every value is compared with every element.

    Raises:
        ShapeError: RV108, when the sequence is not a vector; RV100, for another side.

    Example:
        >>> searchsorted([1, 3, 5], [3, 4]).numpy().tolist()
        [1, 2]
    """
    if side not in ("left", "right"):
        raise ShapeError(
            "RV100", f"searchsorted: side={side!r} must be 'left' or 'right'"
        )
    row, values = together(sorted_sequence, values)
    if row.ndim != 1:
        raise ShapeError(
            "RV108",
            "searchsorted: the sorted sequence must be a vector",
            details=f"got {row.spec}",
            fix="ops.vectorized_map for several",
        )
    wide = f.expand_dims(values, -1)
    before = row < wide if side == "left" else row <= wide
    if values.spec.floating:
        # NaN stands behind every number.
        before = f.logical_or(before, f.isnan(wide))
    return f.sum(cast(before, "int32"), axis=-1)


def digitize(x: Any, bins: Any) -> Tensor:
    """Which interval between the bins each element falls into.

    Example:
        >>> digitize([0.5, 1.0, 9.0], [1.0, 2.0]).numpy().tolist()
        [0, 1, 2]
    """
    x, bins = together(x, bins)
    if bins.shape[0] == 0:
        return f.zeros(x.shape, "int32")
    up = searchsorted(bins, x, "right")
    down = bins.shape[0] - searchsorted(f.flip(bins), x, "left")
    return f.where(bins[-1] >= bins[0], up, down)


def histogram(
    x: Any, bins: Any = 10, range: tuple[Any, Any] | None = None
) -> tuple[Tensor, Tensor]:
    """How many elements fall into each interval, and the intervals' edges.

    Args:
        x: A vector.
        bins: So many of one width, or their edges.
        range: The outermost edges; the extremes of ``x`` by default.

    Returns:
        Counts, float32 as in Keras on JAX, and edges. The last interval is closed.

    Raises:
        ShapeError: RV108, for anything but a vector.

    Example:
        >>> histogram([1.0, 2.0, 2.5, 4.0], bins=3)[0].numpy().tolist()
        [1.0, 2.0, 1.0]
    """
    x = floating(x)
    if x.ndim != 1:
        raise ShapeError(
            "RV108",
            "histogram needs a vector",
            details=f"got {x.spec}",
            fix="ops.ravel(x)",
        )
    flat = x
    if isinstance(bins, (int, np.integer)):
        from ranvier.ops.numpy_making import linspace

        low, high = range if range is not None else (f.min(flat), f.max(flat))
        low, high = (cast(t, x.dtype) for t in (low, high))
        wide = cast(low == high, x.dtype) * 0.5
        edges = linspace(low - wide, high + wide, int(bins) + 1)
    else:
        edges = cast(bins, x.dtype)
    places = searchsorted(edges, flat, "right")
    places = f.where(flat == edges[-1], edges.shape[0] - 1, places)
    rows = f.iota(edges.shape[0] - 1) + 1  # type: ignore[operator]
    hits = f.expand_dims(places, 0) == f.expand_dims(rows, 1)
    return f.sum(cast(hits, x.dtype), axis=1), edges


def bincount(
    x: Any, weights: Any = None, minlength: int = 0, sparse: bool = False
) -> Tensor:
    """How often each integer from 0 on occurs; on arrays only.

    Args:
        x: Whole numbers: a vector, or rows of them that are counted each for itself.
        weights: Added instead of ones; in the shape of ``x``.
        minlength: The least length of the result.
        sparse: Only False: there are no sparse tensors.

    Raises:
        ShapeError: RV112, inside a traced step: the size depends on the numbers.

    Example:
        >>> bincount([0, 2, 2]).numpy().tolist()
        [1, 0, 2]
    """
    if sparse:
        raise ShapeError("RV100", "bincount: there are no sparse tensors")
    (array,) = eager("bincount", x)
    rows = [array] if array.ndim == 1 else list(array)
    given = None if weights is None else eager("bincount", weights)[0]
    each = [None] if given is None else [given] if array.ndim == 1 else list(given)
    each = each * len(rows) if given is None else each
    counts = [np.bincount(row, w, minlength) for row, w in zip(rows, each, strict=True)]
    dtype = "int32" if given is None else given.dtype
    found = counts[0] if array.ndim == 1 else np.stack(counts)
    return Tensor(value=found.astype(dtype))


def unravel_index(indices: Any, shape: Sequence[int]) -> tuple[Tensor, ...]:
    """Indices into a flattened tensor as one index for each axis.

    Example:
        >>> [i.item() for i in unravel_index(5, (2, 3))]
        [1, 2]
    """
    rest = as_tensor(indices)
    found: list[Tensor] = []
    for length in reversed(tuple(shape)):
        found.append(f.mod(rest, length))
        rest = f.floor_divide(rest, length)
    return tuple(found[::-1])


__all__ = [
    "argpartition",
    "argsort",
    "bincount",
    "digitize",
    "get_item",
    "histogram",
    "isin",
    "nonzero",
    "searchsorted",
    "select",
    "sort",
    "take",
    "take_along_axis",
    "unique",
    "unravel_index",
    "where",
]

record_calls(globals(), __all__)
