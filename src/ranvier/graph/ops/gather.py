"""Indexed reads and additions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ranvier.graph.ir import Spec
from ranvier.graph.op import case, op
from ranvier.graph.ops._infer import refuse

Array = np.ndarray[Any, Any]


def _f() -> Any:
    from ranvier.graph import functions

    return functions


def _take_infer(specs: Sequence[Spec], attrs: dict[str, Any]) -> Spec:
    x, indices = specs
    axis = attrs["axis"]
    if not indices.dtype.startswith(("int", "uint")):
        raise refuse("take", "indices need an integer dtype", specs)
    return Spec(x.shape[:axis] + indices.shape + x.shape[axis + 1 :], x.dtype)


def _checked(indices: Array, size: int) -> Array:
    from ranvier.errors import DataError

    if indices.size and (indices.min() < -size or indices.max() >= size):
        worst = indices.max() if indices.max() >= size else indices.min()
        raise DataError(
            "RV111",
            f"index {worst} is outside an axis of size {size}",
            fix=f"indices must be 0..{size - 1}",
        )
    return indices


take = op(
    "take",
    "gather",
    _take_infer,
    lambda x, indices, axis: np.take(x, _checked(indices, x.shape[axis]), axis=axis),
    lambda g, y, x, indices, axis: (
        _f().scatter_add(_f().zeros_like(x), indices, g, axis),
        None,
    ),
    [
        case(((5, 3), -1, 1), ((4,), 0, 5, "int32"), axis=0),
        case(((2, 5), -1, 1), ((2, 2), 0, 5, "int32"), axis=1),
    ],
)


def _scatter_infer(specs: Sequence[Spec], attrs: dict[str, Any]) -> Spec:
    x, indices, updates = specs
    axis = attrs["axis"]
    want = x.shape[:axis] + indices.shape + x.shape[axis + 1 :]
    if updates != Spec(want, x.dtype):
        raise refuse("scatter_add", f"updates need shape {want}", specs)
    return x


def _scatter_ref(x: Array, indices: Array, updates: Array, axis: int) -> Array:
    out = x.copy()
    key: Any = (slice(None),) * axis + (_checked(indices, x.shape[axis]),)
    np.add.at(out, key, updates)
    return out


scatter_add = op(
    "scatter_add",
    "gather",
    _scatter_infer,
    _scatter_ref,
    lambda g, y, x, indices, updates, axis: (g, None, _f().take(g, indices, axis)),
    [
        case(((5, 3), -1, 1), ((4,), 0, 5, "int32"), ((4, 3), -1, 1), axis=0),
        case(((2, 5), -1, 1), ((3,), 0, 5, "int32"), ((2, 3), -1, 1), axis=1),
    ],
)


def _along_infer(specs: Sequence[Spec], attrs: dict[str, Any]) -> Spec:
    x, indices = specs
    axis = attrs["axis"]
    if len(x.shape) != len(indices.shape) or any(
        a != b
        for i, (a, b) in enumerate(zip(x.shape, indices.shape, strict=True))
        if i != axis
    ):
        raise refuse("take_along_axis", f"shapes differ off axis {axis}", specs)
    return Spec(indices.shape, x.dtype)


def _put_ref(x: Array, indices: Array, updates: Array, axis: int) -> Array:
    out = x.copy()
    grid: list[Any] = list(np.indices(indices.shape, sparse=True))
    grid[axis] = indices
    np.add.at(out, tuple(grid), updates)
    return out


take_along_axis = op(
    "take_along_axis",
    "gather",
    _along_infer,
    lambda x, indices, axis: np.take_along_axis(
        x, _checked(indices, x.shape[axis]).astype("int64"), axis
    ),
    lambda g, y, x, indices, axis: (
        _f().add_along_axis(_f().zeros_like(x), indices, g, axis),
        None,
    ),
    [
        case(((3, 5), -1, 1), ((3, 2), 0, 5, "int32"), axis=1),
        case(((3, 5), -1, 1), ((2, 5), 0, 3, "int32"), axis=0),
    ],
)


def _add_along_infer(specs: Sequence[Spec], attrs: dict[str, Any]) -> Spec:
    x, indices, updates = specs
    if updates != Spec(_along_infer([x, indices], attrs).shape, x.dtype):
        raise refuse("add_along_axis", "updates need the shape of the indices", specs)
    return x


add_along_axis = op(
    "add_along_axis",
    "gather",
    _add_along_infer,
    _put_ref,
    lambda g, y, x, indices, updates, axis: (
        g,
        None,
        _f().take_along_axis(g, indices, axis),
    ),
    [
        case(((3, 5), -1, 1), ((3, 2), 0, 5, "int32"), ((3, 2), -1, 1), axis=1),
    ],
)
