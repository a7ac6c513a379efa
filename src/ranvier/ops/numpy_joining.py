"""Tensors joined, parted, repeated and padded."""

from __future__ import annotations

import builtins
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ranvier.errors import ShapeError
from ranvier.graph import functions as f
from ranvier.graph.functions import (
    as_tensor,
    broadcast_to,
    concatenate,
    expand_dims,
    normal_axis,
    reshape,
    slice_axis,
    squeeze,
)
from ranvier.graph.trace import Tensor
from ranvier.operation import record_calls
from ranvier.ops._shared import eager, known, together
from ranvier.ops.numpy_shapes import ravel


def stack(x: Sequence[Any], axis: int = 0) -> Tensor:
    """Joined along a new axis.

    Example:
        >>> stack([[1, 2], [3, 4]], axis=1).numpy().tolist()
        [[1, 3], [2, 4]]
    """
    return f.stack(list(x), axis)


def repeat(x: Any, repeats: Any, axis: int | None = None) -> Tensor:
    """Each element so many times along an axis.

    Args:
        x: A tensor.
        repeats: One number, or one for each element of the axis.
        axis: The axis; without one ``x`` is flattened first.

    Example:
        >>> repeat([1, 2], [1, 3]).numpy().tolist()
        [1, 2, 2, 2]
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = ravel(x), 0
    axis = normal_axis("repeat", axis, x.ndim)
    if not isinstance(repeats, (int, np.integer)):
        (counts,) = eager("repeat", repeats)
        if counts.size != 1:
            length = known("repeat", x.shape[axis])
            if counts.shape != (length,):
                raise ShapeError(
                    "RV108",
                    f"repeat: {counts.size} numbers for an axis of size {length}",
                )
            places = np.repeat(np.arange(length, dtype="int32"), counts)
            return f.take(x, Tensor(value=places), axis=axis)
        repeats = counts.reshape(()).item()
    wide = expand_dims(x, axis + 1)
    shape_ = list(wide.shape)
    shape_[axis + 1] = int(repeats)
    wide = broadcast_to(wide, shape_)
    final = list(x.shape)
    final[axis] = final[axis] * int(repeats)
    return reshape(wide, tuple(final))


def tile(x: Any, repeats: Any) -> Tensor:
    """The whole tensor repeated along each axis.

    Example:
        >>> tile([1, 2], 2).numpy().tolist()
        [1, 2, 1, 2]
    """
    x = as_tensor(x)
    one = isinstance(repeats, (int, np.integer))
    reps = (int(repeats),) if one else tuple(int(r) for r in repeats)
    if len(reps) < x.ndim:
        reps = (1,) * (x.ndim - len(reps)) + reps
    x = broadcast_to(x, (1,) * (len(reps) - x.ndim) + tuple(x.shape))
    for axis, count in enumerate(reps):
        if count == 0:
            x = slice_axis(x, axis, 0, 0)
        elif count != 1:
            x = concatenate([x] * count, axis)
    return x


def append(x1: Any, x2: Any, axis: int | None = None) -> Tensor:
    """``x2`` joined to the end of ``x1``; both flattened without an axis.

    Example:
        >>> append([1, 2], [[3], [4]]).numpy().tolist()
        [1, 2, 3, 4]
    """
    if axis is None:
        return concatenate([ravel(x1), ravel(x2)])
    return concatenate([x1, x2], axis)


def _ranked(xs: Sequence[Any], shape: Any) -> list[Tensor]:
    return [reshape(t, shape(as_tensor(t).shape)) for t in together(*xs)]


def vstack(xs: Sequence[Any]) -> Tensor:
    """Joined along the first axis, vectors as rows.

    Example:
        >>> vstack([[1, 2], [3, 4]]).shape
        (2, 2)
    """
    return concatenate(_ranked(xs, lambda s: (1,) * (2 - len(s)) + tuple(s)))


def hstack(xs: Sequence[Any]) -> Tensor:
    """Joined along the second axis, vectors along their only one.

    Example:
        >>> hstack([[1, 2], [3]]).numpy().tolist()
        [1, 2, 3]
    """
    parts = _ranked(xs, lambda s: tuple(s) or (1,))
    return concatenate(parts, 0 if parts[0].ndim == 1 else 1)


def dstack(xs: Sequence[Any]) -> Tensor:
    """Joined along the third axis.

    Example:
        >>> dstack([[1, 2], [3, 4]]).shape
        (1, 2, 2)
    """

    def three(s: Any) -> Any:
        s = (1,) * (2 - len(s)) + tuple(s)
        return s if len(s) > 2 else (*s, 1)

    return concatenate(_ranked(xs, three), 2)


def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """Parts of an axis: a number of equal ones, or between these places.

    Raises:
        ShapeError: RV108, when the axis has no so many equal parts.

    Example:
        >>> [p.numpy().tolist() for p in split([1, 2, 3, 4], [1, 3])]
        [[1], [2, 3], [4]]
    """
    x = as_tensor(x)
    axis = normal_axis("split", axis, x.ndim)
    total: Any = x.shape[axis]
    if isinstance(indices_or_sections, (int, np.integer)):
        count = int(indices_or_sections)
        if isinstance(total, int) and total % count:
            raise ShapeError("RV108", f"split: {total} is not a multiple of {count}")
        part = total // count
        places = [part * i for i in range(1, count)]
    else:
        places = list(indices_or_sections)
    return _between(x, axis, places)


def _between(x: Tensor, axis: int, places: Sequence[Any]) -> list[Tensor]:
    total: Any = x.shape[axis]

    def within(place: Any) -> Any:
        """A place as NumPy's slices take it: from the end if negative, cut off."""
        if not (isinstance(place, (int, np.integer)) and isinstance(total, int)):
            return place
        place = int(place) + (total if place < 0 else 0)
        return builtins.min(builtins.max(place, 0), total)

    edges = [0, *(within(p) for p in places), total]
    return [
        slice_axis(x, axis, a, b if not _less(b, a) else a)
        for a, b in itertools.pairwise(edges)
    ]


def _less(a: Any, b: Any) -> bool:
    return isinstance(a, int) and isinstance(b, int) and a < b


def array_split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """Parts of an axis, as equal as can be; the first are longer by one.

    Example:
        >>> [p.numpy().tolist() for p in array_split([1, 2, 3], 2)]
        [[1, 2], [3]]
    """
    x = as_tensor(x)
    axis = normal_axis("array_split", axis, x.ndim)
    if not isinstance(indices_or_sections, (int, np.integer)):
        return _between(x, axis, list(indices_or_sections))
    count = int(indices_or_sections)
    each, more = divmod(known("array_split", x.shape[axis]), count)
    lengths = [each + 1] * more + [each] * (count - more)
    return _between(x, axis, list(itertools.accumulate(lengths))[:-1])


def hsplit(x: Any, indices_or_sections: Any) -> list[Tensor]:
    """`split` along the second axis, of vectors along their only one.

    Example:
        >>> len(hsplit([[1, 2]], 2))
        2
    """
    return split(x, indices_or_sections, 0 if as_tensor(x).ndim == 1 else 1)


def vsplit(x: Any, indices_or_sections: Any) -> list[Tensor]:
    """`split` along the first axis.

    Example:
        >>> len(vsplit([[1], [2]], 2))
        2
    """
    return split(x, indices_or_sections, 0)


def dsplit(x: Any, indices_or_sections: Any) -> list[Tensor]:
    """`split` along the third axis.

    Example:
        >>> len(dsplit([[[1, 2]]], 2))
        2
    """
    return split(x, indices_or_sections, 2)


def unstack(x: Any, num: int | None = None, axis: int = 0) -> list[Tensor]:
    """The slices of an axis.

    Example:
        >>> [s.numpy().tolist() for s in unstack([[1, 2], [3, 4]])]
        [[1, 2], [3, 4]]
    """
    x = as_tensor(x)
    count = num or x.shape[normal_axis("unstack", axis, x.ndim)]
    return [squeeze(p, axis) for p in split(x, known("unstack", count), axis)]


#: How `pad` fills; NumPy's others are not there.
PADDINGS = ("constant", "edge", "reflect", "symmetric", "wrap")


def pad(
    x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None
) -> Tensor:
    """Elements around the edges.

    Args:
        x: A tensor.
        pad_width: One number, one pair, or one pair for each axis.
        mode: ``"constant"``, or elements of ``x``: ``"edge"``, ``"reflect"``,
            ``"symmetric"``, ``"wrap"``.
        constant_values: The number of ``"constant"``; 0 by default.

    Raises:
        ShapeError: RV100, for another mode, or a constant with another mode.

    Example:
        >>> pad([1, 2, 3], 1, "reflect").numpy().tolist()
        [2, 1, 2, 3, 2]
    """
    x = as_tensor(x)
    if mode == "constant":
        value = 0 if constant_values is None else constant_values
        return f.pad(x, _widths(pad_width, x.ndim), constant_values=value)
    if mode not in PADDINGS or constant_values is not None:
        raise ShapeError(
            "RV100",
            f"pad: mode {mode!r} is not supported"
            if mode not in PADDINGS
            else f"pad: mode {mode!r} takes no constant_values",
            fix="one of " + ", ".join(PADDINGS),
        )
    for axis, (before, after) in enumerate(_widths(pad_width, x.ndim)):
        if before or after:
            places = np.arange(known("pad", x.shape[axis]), dtype="int32")
            places = np.pad(places, (before, after), mode=mode)  # type: ignore[call-overload]
            x = f.take(x, Tensor(value=places), axis=axis)
    return x


def _widths(pad_width: Any, rank: int) -> tuple[tuple[Any, Any], ...]:
    """One pair for each axis."""
    if isinstance(pad_width, (int, np.integer)):
        return ((int(pad_width), int(pad_width)),) * rank
    pairs = [
        tuple(p) if hasattr(p, "__len__") else p
        for p in (pad_width.tolist() if hasattr(pad_width, "tolist") else pad_width)
    ]
    if not builtins.any(isinstance(p, tuple) for p in pairs):
        return ((pairs[0], pairs[-1]),) * rank
    pairs = [(p[0], p[-1]) for p in pairs]
    return tuple(pairs * rank if len(pairs) == 1 else pairs)


__all__ = [
    "append",
    "array_split",
    "concatenate",
    "dsplit",
    "dstack",
    "hsplit",
    "hstack",
    "pad",
    "repeat",
    "split",
    "stack",
    "tile",
    "unstack",
    "vsplit",
    "vstack",
]

record_calls(globals(), __all__)
