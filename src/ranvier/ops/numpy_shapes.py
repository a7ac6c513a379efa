"""Shapes: axes moved, joined, parted, turned and padded."""

from __future__ import annotations

import builtins
import itertools
from typing import Any

import numpy as np

from ranvier.errors import ShapeError
from ranvier.graph import functions as f
from ranvier.graph.dims import product
from ranvier.graph.functions import (
    as_tensor,
    broadcast_to,
    concatenate,
    expand_dims,
    flip,
    normal_axis,
    reshape,
    slice_axis,
    squeeze,
    transpose,
)
from ranvier.graph.trace import Tensor
from ranvier.operation import record_calls
from ranvier.ops._shared import eager, known


def ndim(x: Any) -> int:
    """Number of axes.

    Example:
        >>> ndim([[1.0]])
        2
    """
    return as_tensor(x).ndim


def size(x: Any) -> Any:
    """Number of elements.

    Example:
        >>> size([[1.0, 2.0]])
        2
    """
    return as_tensor(x).size


def swapaxes(x: Any, axis1: int, axis2: int) -> Tensor:
    """Two axes exchanged.

    Example:
        >>> swapaxes([[1, 2]], 0, 1).numpy().tolist()
        [[1], [2]]
    """
    x = as_tensor(x)
    perm = list(range(x.ndim))
    axis1, axis2 = (normal_axis("swapaxes", a, x.ndim) for a in (axis1, axis2))
    perm[axis1], perm[axis2] = perm[axis2], perm[axis1]
    return transpose(x, perm)


def moveaxis(x: Any, source: Any, destination: Any) -> Tensor:
    """Axes moved to other places.

    Example:
        >>> moveaxis([[[1, 2]]], -1, 0).shape
        (2, 1, 1)
    """
    x = as_tensor(x)
    src, dst = (
        [
            normal_axis("moveaxis", a, x.ndim)
            for a in ((axes,) if isinstance(axes, int) else axes)
        ]
        for axes in (source, destination)
    )
    order = [i for i in range(x.ndim) if i not in src]
    for d, s in sorted(zip(dst, src, strict=True)):
        order.insert(d, s)
    return transpose(x, order)


def ravel(x: Any) -> Tensor:
    """One axis.

    Example:
        >>> ravel([[1, 2], [3, 4]]).numpy().tolist()
        [1, 2, 3, 4]
    """
    return reshape(x, (-1,))


def fliplr(x: Any) -> Tensor:
    """The second axis reversed.

    Example:
        >>> fliplr([[1, 2]]).numpy().tolist()
        [[2, 1]]
    """
    return flip(x, 1)


def flipud(x: Any) -> Tensor:
    """The first axis reversed.

    Example:
        >>> flipud([1, 2]).numpy().tolist()
        [2, 1]
    """
    return flip(x, 0)


def roll(x: Any, shift: Any, axis: Any = None) -> Tensor:
    """Elements moved along axes; what leaves at one end enters at the other.

    Args:
        x: A tensor.
        shift: By how many places, for each axis.
        axis: One axis or several; without one ``x`` is rolled as if flattened.

    Example:
        >>> roll([1, 2, 3], 1).numpy().tolist()
        [3, 1, 2]
    """
    x = as_tensor(x)
    if axis is None:
        return reshape(roll(ravel(x), shift, 0), x.shape)
    axes = (axis,) if isinstance(axis, (int, np.integer)) else tuple(axis)
    shifts = (shift,) if isinstance(shift, (int, np.integer)) else tuple(shift)
    if len(shifts) == 1:
        shifts *= len(axes)
    elif len(axes) == 1:
        axes *= len(shifts)
    for one, by in zip(axes, shifts, strict=True):
        place = normal_axis("roll", one, x.ndim)
        length: Any = x.shape[place]
        by = int(by)
        if isinstance(length, int):
            if not length or not by % length:
                continue
            by %= length
        cut = length - by if by > 0 else -by
        parts = [slice_axis(x, place, cut, length), slice_axis(x, place, 0, cut)]
        x = concatenate(parts, place)
    return x


def rot90(array: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Tensor:
    """Turned by ``k`` quarters from the first of two axes to the second.

    Example:
        >>> rot90([[1, 2], [3, 4]]).numpy().tolist()
        [[2, 4], [1, 3]]
    """
    x = as_tensor(array)
    if x.ndim < 2 or len(axes) != 2:
        raise ShapeError(
            "RV108", "rot90 needs a tensor with two axes to turn", details=f"{x.spec}"
        )
    a, b = (normal_axis("rot90", axis, x.ndim) for axis in axes)
    if a == b:
        raise ShapeError("RV108", f"rot90: the axes {axes} are one")
    k %= 4
    if k == 0:
        return x
    if k == 2:
        return flip(x, (a, b))
    return swapaxes(flip(x, b), a, b) if k == 1 else flip(swapaxes(x, a, b), b)


def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """Diagonals of two axes, as a new last axis.

    Example:
        >>> diagonal([[1, 2], [3, 4]]).numpy().tolist()
        [1, 4]
    """
    x = as_tensor(x)
    x = moveaxis(x, (axis1, axis2), (-2, -1))
    rows, columns = (known("diagonal", s) for s in x.shape[-2:])
    down, right = builtins.max(-offset, 0), builtins.max(offset, 0)
    count = builtins.max(builtins.min(rows - down, columns - right), 0)
    flat = reshape(x, (*x.shape[:-2], rows * columns))
    first = down * columns + right if count else 0
    stop = first + (count - 1) * (columns + 1) + 1 if count else 0
    return slice_axis(flat, x.ndim - 2, first, stop, columns + 1 if count else 1)


def diag(x: Any, k: int = 0) -> Tensor:
    """A vector as the ``k``-th diagonal of a matrix, or that of a matrix as a vector.

    Example:
        >>> diag([1, 2]).numpy().tolist()
        [[1, 0], [0, 2]]
    """
    x = as_tensor(x)
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise ShapeError(
            "RV108", "diag needs a vector or a matrix", details=f"got {x.spec}"
        )
    side = x.shape[0] + builtins.abs(k)
    across = f.expand_dims(f.iota(side), 0) - f.expand_dims(f.iota(side), 1)
    # Above the diagonal a row holds its own element, below a column does.
    wide = f.expand_dims(f.pad(x, ((0, builtins.abs(k)),)), 1 if k >= 0 else 0)
    return f.where(across == k, wide, f.zeros((), x.dtype))


def diagflat(x: Any, k: int = 0) -> Tensor:
    """All elements as the ``k``-th diagonal of a matrix.

    Example:
        >>> diagflat([[1, 2]]).shape
        (2, 2)
    """
    return diag(ravel(x), k)


def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """Sums of diagonals of two axes.

    Example:
        >>> trace([[1, 2], [3, 4]]).item()
        5
    """
    return f.sum(diagonal(x, offset, axis1, axis2), axis=-1)


def view(x: Any, dtype: Any = None) -> Tensor:
    """The same bytes as another dtype; on arrays only.

    Raises:
        ShapeError: RV112, inside a traced step.

    Example:
        >>> view([1.0], "int32").numpy().tolist()
        [1065353216]
    """
    (found,) = eager("view", x)
    return as_tensor(x) if dtype is None else Tensor(value=found.view(dtype))


def rearrange(tensor: Any, pattern: str, **axes_lengths: int) -> Tensor:
    """Axes split, moved and joined, as a pattern says: ``"b (h w) c -> b h w c"``.

    Args:
        tensor: A tensor.
        pattern: Names of the axes, before and after; those in brackets are one axis.
        axes_lengths: Sizes of named axes, for those in brackets.

    Raises:
        ShapeError: RV108, when the two sides do not name the same axes, or a size
            cannot be known.

    Example:
        >>> rearrange([[1, 2, 3, 4]], "b (h w) -> b w h", h=2).numpy().tolist()
        [[[1, 3], [2, 4]]]
    """
    x = as_tensor(tensor)
    sides = [_groups(side) for side in pattern.split("->")]
    flat = [list(itertools.chain.from_iterable(side)) for side in sides]
    if len(sides) != 2 or sorted(flat[0]) != sorted(flat[1]):
        raise ShapeError(
            "RV108",
            f"rearrange: both sides of {pattern!r} must name the same axes",
            fix="'b (h w) c -> b h w c'",
        )
    before, after = sides
    if len(before) != x.ndim:
        raise ShapeError(
            "RV108", f"rearrange: {pattern!r} has {len(before)} axes, {x.spec} another"
        )
    sizes: dict[str, Any] = dict(axes_lengths)
    for group, total in zip(before, x.shape, strict=True):
        unknown = [name for name in group if name not in sizes]
        if len(unknown) > 1:
            raise ShapeError(
                "RV108",
                f"rearrange: the sizes of {', '.join(unknown)} are not known",
                fix=f"{unknown[0]}=…",
            )
        rest: Any = total
        for name in group:
            rest = rest if name in unknown else rest // sizes[name]
        if unknown:
            sizes[unknown[0]] = rest
    names = flat[0]
    x = reshape(x, tuple(sizes[name] for name in names))
    x = transpose(x, [names.index(name) for name in flat[1]])
    return reshape(x, tuple(product(sizes[n] for n in g) for g in after))


def _groups(side: str) -> list[list[str]]:
    """Names by axis: ``"b (h w)"`` is ``[["b"], ["h", "w"]]``."""
    groups: list[list[str]] = []
    inside = False
    for word in side.replace("(", " ( ").replace(")", " ) ").split():
        if word == "(":
            groups.append([])
            inside = True
        elif word == ")":
            inside = False
        elif inside:
            groups[-1].append(word)
        else:
            groups.append([word])
    return groups


__all__ = [
    "broadcast_to",
    "diag",
    "diagflat",
    "diagonal",
    "expand_dims",
    "flip",
    "fliplr",
    "flipud",
    "moveaxis",
    "ndim",
    "ravel",
    "rearrange",
    "reshape",
    "roll",
    "rot90",
    "size",
    "squeeze",
    "swapaxes",
    "trace",
    "transpose",
    "view",
]

record_calls(globals(), __all__)
