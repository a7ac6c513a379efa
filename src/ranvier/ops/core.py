"""Conversion, slices and scatters, as Keras's ``ops`` name them."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ranvier.errors import ShapeError
from ranvier.graph import functions as f
from ranvier.graph.composites import adam_update
from ranvier.graph.dims import product
from ranvier.graph.functions import as_tensor, check_range, random_bits, scatter_add
from ranvier.graph.trace import Tensor
from ranvier.operation import record_calls
from ranvier.ops._shared import dtype_named, known, of_package


def convert_to_tensor(
    x: Any, dtype: str | None = None, sparse: Any = None, ragged: Any = None
) -> Tensor:
    """A tensor from numbers, an array, a tensor or a variable.

    Raises:
        ShapeError: RV100, when a sparse or ragged one is asked for.

    Example:
        >>> convert_to_tensor([1, 2]).numpy().tolist()
        [1, 2]
    """
    if sparse or ragged:
        raise ShapeError("RV100", "there are no sparse or ragged tensors")
    return as_tensor(x, None if dtype is None else dtype_named(dtype))


def convert_to_numpy(x: Any) -> np.ndarray[Any, Any]:
    """The numbers of a tensor or variable.

    Example:
        >>> convert_to_numpy([1, 2]).tolist()
        [1, 2]
    """
    return np.asarray(x)


def is_tensor(x: Any) -> bool:
    """Whether ``x`` is a tensor.

    Example:
        >>> is_tensor([1.0])
        False
    """
    return isinstance(x, Tensor)


def shape(x: Any) -> tuple[Any, ...]:
    """The shape; sizes known only later are symbols that `reshape` understands.

    Example:
        >>> shape([[1.0, 2.0]])
        (1, 2)
    """
    return tuple(as_tensor(x).shape)


def dtype(x: Any) -> str:
    """The dtype, as a string.

    Example:
        >>> dtype([1.0])
        'float32'
    """
    return as_tensor(x).dtype


def cast(x: Any, dtype: Any) -> Tensor:
    """Converted to a dtype.

    Raises:
        ShapeError: RV100, for a dtype that is not there.

    Example:
        >>> cast([1.7], "int32").numpy().tolist()
        [1]
    """
    return f.cast(x, dtype_named(dtype))


def saturate_cast(x: Any, dtype: Any) -> Tensor:
    """Converted to a dtype; what lies outside its range becomes its end.

    Example:
        >>> saturate_cast([-1.0, 300.0], "uint8").numpy().tolist()
        [0, 255]
    """
    x, name = as_tensor(x), dtype_named(dtype)
    own, new = np.dtype(x.dtype), np.dtype(name)
    (low, high), (least, most) = _range(own), _range(new)
    bottom = np.asarray(builtins.max(low, least), own)
    top = np.asarray(builtins.min(high, most), own)
    if own.kind == "f" and new.kind != "f":
        # The end of an integer's range need not be a float: the next one inside is.
        if float(top) > most:
            top = np.nextafter(top, np.asarray(0, own))
        if float(bottom) < least:
            bottom = np.nextafter(bottom, np.asarray(0, own))
    if own.kind != "b":
        inside = f.clip(x, Tensor(value=bottom), Tensor(value=top))
        found = f.cast(inside, name)
        over = own.kind == "f" and new.kind in "iu" and float(top) < most
        end = Tensor(value=np.asarray(most if new.kind in "iu" else 0, new))
        return f.where(x > inside, end, found) if over else found
    return f.cast(x, name)


def _range(dtype: np.dtype[Any]) -> tuple[Any, Any]:
    if dtype.kind == "b":
        return 0, 1
    if dtype.kind == "f":
        return float(np.finfo(dtype).min), float(np.finfo(dtype).max)
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)


def stop_gradient(variable: Any) -> Tensor:
    """The same value; no gradient passes.

    Example:
        >>> stop_gradient([1.0]).numpy().tolist()
        [1.0]
    """
    return f.stop_gradient(variable)


# --------------------------------------------------------------- slices, scatters


def _starts(name: str, x: Tensor, start_indices: Any) -> list[Any]:
    if isinstance(start_indices, (list, tuple)):
        starts = [
            int(s) if isinstance(s, (int, np.integer)) else as_tensor(s)
            for s in start_indices
        ]
    else:
        given = as_tensor(start_indices)
        if given.node is None:
            starts = [int(s) for s in given.numpy().reshape(-1)]
        else:
            starts = [given[i] for i in range(known(name, given.shape[0]))]
    if len(starts) != x.ndim:
        raise ShapeError(
            "RV108", f"{name}: {len(starts)} start indices for {x.spec}", fix="one each"
        )
    return starts


def slice(inputs: Any, start_indices: Any, shape: Sequence[int]) -> Tensor:
    """A block of a tensor: where it begins, and its shape.

    Args:
        inputs: A tensor.
        start_indices: One index for each axis; they may be tensors. A block that would
            reach over the end is moved back.
        shape: The block's; -1 means all that is left of an axis.

    Raises:
        ShapeError: RV108, when there is not one index and size for each axis.

    Example:
        >>> slice([[1, 2], [3, 4]], (1, 0), (1, 2)).numpy().tolist()
        [[3, 4]]
    """
    x = as_tensor(inputs)
    starts = _starts("slice", x, start_indices)
    for axis, (start, size) in enumerate(zip(starts, shape, strict=True)):
        full: Any = x.shape[axis]
        if isinstance(start, int):
            size = full - start if isinstance(size, int) and size == -1 else size
            if isinstance(full, int) and isinstance(size, int):
                start = builtins.max(builtins.min(start, full - size), 0)
            x = f.slice_axis(x, axis, start, start + size)
        elif isinstance(size, int) and size == -1:
            raise ShapeError("RV112", "slice: -1 needs a start index that is known")
        else:
            last = as_tensor(full, "int32") - as_tensor(size, "int32")
            first = f.clip(f.cast(start, "int32"), 0, last)
            x = f.take(x, f.iota(size) + first, axis=axis)
    return x


def slice_update(inputs: Any, start_indices: Any, updates: Any) -> Tensor:
    """A tensor with a block of it replaced.

    Args:
        inputs: A tensor.
        start_indices: Where the block begins; see `slice`.
        updates: The block.

    Example:
        >>> slice_update([0, 0, 0], (1,), [5]).numpy().tolist()
        [0, 5, 0]
    """
    x = as_tensor(inputs)
    new = f.cast(updates, x.dtype)
    inside: Any = None
    for axis, start in enumerate(_starts("slice_update", x, start_indices)):
        full, size = (as_tensor(t.shape[axis], "int32") for t in (x, new))
        first = f.clip(as_tensor(start, "int32"), 0, full - size)
        places = f.iota(x.shape[axis]) - first
        here = f.logical_and(places >= 0, places < size)
        new = f.take(new, f.clip(places, 0, size - 1), axis=axis)
        own = tuple(-1 if i == axis else 1 for i in range(x.ndim))
        here = f.reshape(here, own)
        inside = here if inside is None else f.logical_and(inside, here)
    return new if inside is None else f.where(inside, new, x)


def _flat_places(indices: Tensor, shape: Sequence[Any]) -> tuple[Tensor, int]:
    """Rows of indices as places in the flattened leading axes; how many axes."""
    depth = known("scatter", indices.shape[-1])
    flat: Any = None
    for axis in range(depth):
        one = f.cast(indices[..., axis], "int32")
        size = as_tensor(shape[axis], "int32")
        one = f.where(one < 0, one + size, one)
        flat = one if flat is None else flat * size + one
    return f.reshape(flat, (-1,)), depth


def scatter(indices: Any, values: Any, shape: Sequence[int]) -> Tensor:
    """Zeros, with values added at places.

    Args:
        indices: Integers, shape ``(…, k)``: places in the first ``k`` axes.
        values: Shape ``(…, *shape[k:])``.
        shape: Of the result.

    Example:
        >>> scatter([[0], [2], [2]], [1, 2, 3], (4,)).numpy().tolist()
        [1, 0, 5, 0]
    """
    values = as_tensor(values)
    zeros = f.full(tuple(shape), 0, values.dtype)
    return scatter_update(zeros, indices, values, "add")


#: What `scatter_update` does with what is there already.
REDUCTIONS = (None, "add", "max", "min", "mul")


def scatter_update(
    inputs: Any, indices: Any, updates: Any, reduction: str | None = None
) -> Tensor:
    """A tensor with elements, or slices, replaced or joined with others.

    Args:
        inputs: A tensor.
        indices: Integers, shape ``(…, k)``: places in its first ``k`` axes.
        updates: Shape ``(…, *inputs.shape[k:])``.
        reduction: ``None`` replaces (the last one, where a place is named twice);
            ``"add"``, ``"max"``, ``"min"``, ``"mul"`` join. The last three compare
            every update with every place.

    Raises:
        ShapeError: RV100, for another reduction.

    Example:
        >>> scatter_update([1, 2, 3], [[1]], [9]).numpy().tolist()
        [1, 9, 3]
    """
    if reduction not in REDUCTIONS:
        raise ShapeError(
            "RV100",
            f"scatter_update: reduction={reduction!r} is not known",
            fix="one of None, 'add', 'max', 'min', 'mul'",
        )
    x, places = as_tensor(inputs), as_tensor(indices)
    flat, depth = _flat_places(places, x.shape)
    rest = tuple(x.shape[depth:])
    new = f.reshape(
        f.broadcast_to(f.cast(updates, x.dtype), (*places.shape[:-1], *rest)),
        (flat.shape[0], *rest),
    )
    rows = f.reshape(x, (product(x.shape[:depth]), *rest))
    if reduction == "add":
        found = scatter_add(rows, flat, new)
    elif reduction is None:
        found = _replaced(rows, flat, new)
    else:
        from ranvier.ops import math as m

        join: Callable[..., Tensor]
        gather, join = {
            "max": (m.segment_max, f.maximum),
            "min": (m.segment_min, f.minimum),
            "mul": (m.segment_prod, f.multiply),
        }[reduction]
        count = known("scatter_update", rows.shape[0])
        joined = gather(new, flat, count)
        hit = f.any(f.expand_dims(f.iota(count), 1) == f.expand_dims(flat, 0), axis=1)
        hit = f.reshape(hit, (count,) + (1,) * len(rest))
        found = f.where(hit, join(rows, f.where(hit, joined, rows)), rows)
    return f.reshape(found, x.shape)


def _replaced(rows: Tensor, flat: Tensor, new: Tensor) -> Tensor:
    """Rows replaced; of several for one place the last."""
    order = f.argsort(flat)
    ordered = f.take(flat, order, axis=0)
    count: Any = flat.shape[0]
    # In a run of equal places only the last counts: the sort keeps their order.
    after = f.slice_axis(ordered, 0, 1, count)
    before = f.slice_axis(ordered, 0, 0, count - 1)
    last = f.concatenate([f.not_equal(after, before), f.ones((1,), "bool")])
    wide = (-1,) + (1,) * (new.ndim - 1)
    kept = f.where(
        f.reshape(last, wide), f.take(new, order, axis=0), f.zeros((), new.dtype)
    )
    placed = scatter_add(f.zeros_like(rows), ordered, kept)
    hits = scatter_add(
        f.full((rows.shape[0],), 0, "int32"), ordered, f.cast(last, "int32")
    )
    return f.where(f.reshape(hits > 0, wide), placed, rows)


# ------------------------------------------------------------------- control flow


def random_uniform(key: Any, shape: Sequence[Any], dtype: str = "float32") -> Tensor:
    """Uniform numbers in [0, 1): the upper 24 of 32 random bits, times 2**-24.

    Example:
        >>> random_uniform(np.zeros(4, "uint32"), (2,)).shape
        (2,)
    """
    bits = f.right_shift(random_bits(key, shape), np.uint32(8))
    return f.cast(bits, dtype) * 2.0**-24


__all__ = [
    "adam_update",
    "cast",
    "check_range",
    "convert_to_numpy",
    "convert_to_tensor",
    "dtype",
    "is_tensor",
    "random_bits",
    "random_uniform",
    "saturate_cast",
    "scatter",
    "scatter_add",
    "scatter_update",
    "shape",
    "slice",
    "slice_update",
    "stop_gradient",
]

record_calls(globals(), __all__)


def __getattr__(name: str) -> Any:
    """Names of Keras's namespace that stand in another file."""
    return of_package(__name__, name)
