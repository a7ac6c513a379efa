"""Tensors made from numbers: ranges, constants, triangles, windows."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from ranvier.errors import ShapeError
from ranvier.graph import functions as f
from ranvier.graph.dims import Dim
from ranvier.graph.functions import as_tensor, cast, iota, ones_like, zeros_like
from ranvier.graph.trace import Tensor
from ranvier.operation import record_calls
from ranvier.ops._shared import dtype_named, floating, together


def array(x: Any, dtype: str | None = None) -> Tensor:
    """A tensor from numbers, an array, a tensor or a variable.

    Example:
        >>> array([1, 2]).numpy().tolist()
        [1, 2]
    """
    return as_tensor(x, None if dtype is None else dtype_named(dtype))


def copy(x: Any) -> Tensor:
    """The same numbers in a tensor of their own.

    Example:
        >>> copy([1.0]).numpy().tolist()
        [1.0]
    """
    x = as_tensor(x)
    return x if x.node is not None else Tensor(value=x.numpy().copy())


def full(shape: Any, fill_value: Any, dtype: str | None = None) -> Tensor:
    """One value everywhere; float32 by default, as in Keras.

    Example:
        >>> full((2,), 3).numpy().tolist()
        [3.0, 3.0]
    """
    return f.full(shape, fill_value, dtype_named(dtype or "float32"))


def zeros(shape: Any, dtype: str | None = None) -> Tensor:
    """Zeros.

    Example:
        >>> zeros((2,)).numpy().tolist()
        [0.0, 0.0]
    """
    return f.full(shape, 0, dtype_named(dtype or "float32"))


def ones(shape: Any, dtype: str | None = None) -> Tensor:
    """Ones.

    Example:
        >>> ones((2,)).numpy().tolist()
        [1.0, 1.0]
    """
    return f.full(shape, 1, dtype_named(dtype or "float32"))


def empty(shape: Any, dtype: str | None = None) -> Tensor:
    """A tensor whose numbers do not matter: zeros here.

    Example:
        >>> empty((2, 3)).shape
        (2, 3)
    """
    return zeros(shape, dtype)


def empty_like(x: Any, dtype: str | None = None) -> Tensor:
    """A tensor of the shape of ``x`` whose numbers do not matter: zeros here.

    Example:
        >>> empty_like([1.0, 2.0]).shape
        (2,)
    """
    return zeros_like(x, dtype)


def full_like(x: Any, fill_value: Any, dtype: str | None = None) -> Tensor:
    """One value in the shape of ``x``.

    Example:
        >>> full_like([1.0, 2.0], 5).numpy().tolist()
        [5.0, 5.0]
    """
    x = as_tensor(x)
    return f.full(x.shape, fill_value, dtype_named(dtype or x.dtype))


def arange(
    start: Any, stop: Any = None, step: Any = None, dtype: str | None = None
) -> Tensor:
    """``start, start + step, …`` up to, without, ``stop``.

    Example:
        >>> arange(1, 6, 2).numpy().tolist()
        [1, 3, 5]
    """
    if stop is None:
        start, stop = 0, start
    step = 1 if step is None else step
    if isinstance(start, Dim) or isinstance(stop, Dim):
        count = (stop - start + (step - 1)) // step
        found = iota(count, dtype or "int32")
        if step != 1:
            found = found * step
        return found if isinstance(start, int) and start == 0 else found + start
    numbers = np.arange(start, stop, step)
    own = "float32" if numbers.dtype.kind == "f" else "int32"
    return Tensor(value=numbers.astype(dtype or own))


def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: str | None = None,
    axis: int = 0,
) -> Any:
    """``num`` evenly spaced numbers from ``start`` to ``stop``.

    Args:
        start: The first; a tensor gives one row of numbers for each element.
        stop: The last; without ``endpoint`` the one after the last.
        num: How many.
        endpoint: Whether ``stop`` is one of them.
        retstep: Whether the distance is returned besides.
        dtype: Of the result; floats by default.
        axis: Where the new axis is.

    Example:
        >>> linspace(0, 1, 5).numpy().tolist()
        [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    a, b = (floating(t) for t in together(start, stop))
    gaps = builtins.max(num - 1 if endpoint else num, 1)
    shape = f.broadcast_shapes(a.shape, b.shape)
    rise = f.broadcast_to(b - a, shape)
    part = Tensor(value=(np.arange(num) / gaps).astype(a.dtype))
    part = f.reshape(part, (num,) + (1,) * len(shape))
    # From the nearer end, so that both ends are met exactly.
    low = part <= 0.5
    up = f.expand_dims(a, 0) + part * f.expand_dims(rise, 0)
    down = f.expand_dims(b, 0) - (1.0 - part) * f.expand_dims(rise, 0)
    found = f.where(low, up, down)
    whole = dtype is not None and not str(dtype).startswith("float")
    if axis != 0:
        found = _axis_to(found, axis)
    found = cast(f.floor(found) if whole else found, dtype or found.dtype)
    return (found, rise / float(gaps)) if retstep else found


def _axis_to(x: Tensor, axis: int) -> Tensor:
    """The first axis moved to another place."""
    place = f.normal_axis("linspace", axis, x.ndim)
    order = list(range(1, x.ndim))
    order.insert(place, 0)
    return f.transpose(x, order)


def logspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: Any = 10,
    dtype: str | None = None,
    axis: int = 0,
) -> Tensor:
    """``base`` to the power of evenly spaced numbers; see `linspace`.

    Example:
        >>> logspace(0, 2, 3).numpy().round(3).tolist()
        [1.0, 10.0, 100.0]
    """
    powers = linspace(start, stop, num, endpoint, axis=axis)
    found = f.power(cast(base, powers.dtype), powers)
    return cast(found, dtype or found.dtype)


def geomspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    dtype: str | None = None,
    axis: int = 0,
) -> Tensor:
    """``num`` numbers from ``start`` to ``stop`` with one ratio between neighbours.

    Both must have the same sign, and neither be 0.

    Example:
        >>> geomspace(1.0, 8.0, 4).numpy().round(3).tolist()
        [1.0, 2.0, 4.0, 8.0]
    """
    a, b = (floating(t) for t in together(start, stop))
    powers = linspace(f.log(f.absolute(a)), f.log(f.absolute(b)), num, endpoint)
    found = f.exp(powers) * f.expand_dims(f.sign(a), 0)
    # The ends themselves, which a logarithm and its inverse miss by a rounding.
    place = f.reshape(Tensor(value=np.arange(num)), (num,) + (1,) * (found.ndim - 1))
    found = f.where(place == 0, f.expand_dims(a, 0), found)
    if endpoint and num > 1:
        found = f.where(place == num - 1, f.expand_dims(b, 0), found)
    if axis != 0:
        found = _axis_to(found, axis)
    return cast(found, dtype or found.dtype)


def eye(N: int, M: int | None = None, k: int = 0, dtype: str | None = None) -> Tensor:
    """Ones on the ``k``-th diagonal, zeros elsewhere.

    Example:
        >>> eye(2).numpy().tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    return Tensor(value=np.eye(N, M, k, dtype or "float32"))


def identity(n: int, dtype: str | None = None) -> Tensor:
    """The identity matrix.

    Example:
        >>> identity(1).numpy().tolist()
        [[1.0]]
    """
    return eye(n, dtype=dtype)


def tri(N: int, M: int | None = None, k: int = 0, dtype: str | None = None) -> Tensor:
    """Ones on and below the ``k``-th diagonal, zeros above.

    Example:
        >>> tri(2).numpy().tolist()
        [[1.0, 0.0], [1.0, 1.0]]
    """
    return Tensor(value=np.tri(N, M, k, dtype or "float32"))


def tril(x: Any, k: int = 0) -> Tensor:
    """The last two axes with zeros above the ``k``-th diagonal.

    Example:
        >>> tril([[1, 2], [3, 4]]).numpy().tolist()
        [[1, 0], [3, 4]]
    """
    return _triangle("tril", x, k, lower=True)


def triu(x: Any, k: int = 0) -> Tensor:
    """The last two axes with zeros below the ``k``-th diagonal.

    Example:
        >>> triu([[1, 2], [3, 4]]).numpy().tolist()
        [[1, 2], [0, 4]]
    """
    return _triangle("triu", x, k, lower=False)


def _triangle(name: str, x: Any, k: int, lower: bool) -> Tensor:
    x = as_tensor(x)
    if x.ndim < 2:
        raise ShapeError(
            "RV108", f"{name} needs two axes", details=f"got {x.spec}", fix="x[None]"
        )
    rows = f.expand_dims(iota(x.shape[-2]), 1)
    columns = f.expand_dims(iota(x.shape[-1]), 0)
    keep = columns - rows <= k if lower else columns - rows >= k
    return f.where(keep, x, zeros_like(x))


def meshgrid(*x: Any, indexing: str = "xy") -> list[Tensor]:
    """Every combination of the elements of vectors, one tensor for each vector.

    Example:
        >>> [g.numpy().tolist() for g in meshgrid([1, 2], [3])]
        [[[1, 2]], [[3, 3]]]
    """
    if indexing not in ("xy", "ij"):
        raise ShapeError(
            "RV100", f"meshgrid: indexing={indexing!r} must be 'xy' or 'ij'"
        )
    vectors = [f.reshape(v, (-1,)) for v in x]
    shape = tuple(v.shape[0] for v in vectors)
    grids = []
    for i, v in enumerate(vectors):
        own = tuple(-1 if j == i else 1 for j in range(len(vectors)))
        grid = f.broadcast_to(f.reshape(v, own), shape)
        if indexing == "xy" and len(vectors) > 1:
            grid = f.transpose(grid, (1, 0, *range(2, len(vectors))))
        grids.append(grid)
    return grids


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Tensor:
    """Powers of a vector's elements, one row for each.

    Example:
        >>> vander([2, 3], 3).numpy().tolist()
        [[4, 2, 1], [9, 3, 1]]
    """
    x = as_tensor(x)
    if x.ndim != 1:
        raise ShapeError("RV108", "vander needs a vector", details=f"got {x.spec}")
    count = int(x.shape[0]) if N is None else N  # type: ignore[arg-type]
    columns = [f.ones_like(x)]
    for _ in range(count - 1):
        columns.append(columns[-1] * x)
    if count == 0:
        return f.full((x.shape[0], 0), 0, x.dtype)
    return f.stack(columns if increasing else columns[::-1], axis=1)


def _window(make: Any, x: Any, *arguments: Any) -> Tensor:
    return Tensor(value=make(int(x), *arguments).astype("float32"))


def bartlett(x: int) -> Tensor:
    """Bartlett's (triangular) window of ``x`` points.

    Example:
        >>> bartlett(3).numpy().tolist()
        [0.0, 1.0, 0.0]
    """
    return _window(np.bartlett, x)


def blackman(x: int) -> Tensor:
    """Blackman's window of ``x`` points.

    Example:
        >>> blackman(5).shape
        (5,)
    """
    return _window(np.blackman, x)


def hamming(x: int) -> Tensor:
    """Hamming's window of ``x`` points.

    Example:
        >>> hamming(3).numpy().round(2).max().item()
        1.0
    """
    return _window(np.hamming, x)


def hanning(x: int) -> Tensor:
    """Von Hann's window of ``x`` points.

    Example:
        >>> hanning(3).numpy().tolist()
        [0.0, 1.0, 0.0]
    """
    return _window(np.hanning, x)


def kaiser(x: int, beta: float) -> Tensor:
    """Kaiser's window of ``x`` points, of shape ``beta``.

    Example:
        >>> kaiser(3, 0.0).numpy().tolist()
        [1.0, 1.0, 1.0]
    """
    return _window(np.kaiser, x, float(beta))


__all__ = [
    "arange",
    "array",
    "bartlett",
    "blackman",
    "copy",
    "empty",
    "empty_like",
    "eye",
    "full",
    "full_like",
    "geomspace",
    "hamming",
    "hanning",
    "identity",
    "iota",
    "kaiser",
    "linspace",
    "logspace",
    "meshgrid",
    "ones",
    "ones_like",
    "tri",
    "tril",
    "triu",
    "vander",
    "zeros",
    "zeros_like",
]

record_calls(globals(), __all__)
