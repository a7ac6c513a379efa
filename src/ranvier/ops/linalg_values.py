"""Norms, and what needs eigenvalues or singular values: the latter on arrays only."""

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
from ranvier.ops._shared import axes_of, eager, floating, together
from ranvier.ops.linalg import _matrices


def eigh(x: Any) -> tuple[Tensor, Tensor]:
    """Eigenvalues, ascending, and eigenvectors of symmetric matrices; on arrays only.

    Raises:
        ShapeError: RV112, inside a traced step.

    Example:
        >>> eigh([[2.0, 0.0], [0.0, 1.0]])[0].numpy().tolist()
        [1.0, 2.0]
    """
    (a,) = eager("eigh", floating(x))
    values, vectors = np.linalg.eigh((a + np.swapaxes(a, -1, -2)) / 2)
    return Tensor(value=values), Tensor(value=vectors)


def svd(x: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """Singular values, descending, between their vectors; on arrays only.

    Args:
        x: Matrices.
        full_matrices: Whether U and Vᵀ are square.
        compute_uv: Whether to give ``(U, s, Vᵀ)`` or ``s`` alone.

    Raises:
        ShapeError: RV112, inside a traced step.

    Example:
        >>> svd([[3.0, 0.0], [0.0, 4.0]], compute_uv=False).numpy().tolist()
        [4.0, 3.0]
    """
    (a,) = eager("svd", floating(x))
    if not compute_uv:
        return Tensor(value=np.linalg.svd(a, compute_uv=False))
    return tuple(Tensor(value=part) for part in np.linalg.svd(a, full_matrices))


def lstsq(a: Any, b: Any, rcond: float | None = None) -> Tensor:
    """The shortest x with the least ``|a x - b|``; on arrays only.

    Args:
        a: A matrix.
        b: A vector or matrix.
        rcond: Singular values below this share of the largest count as 0.

    Raises:
        ShapeError: RV112, inside a traced step.

    Example:
        >>> lstsq([[1.0], [1.0]], [1.0, 3.0]).numpy().round(4).tolist()
        [2.0]
    """
    left, right = eager("lstsq", *(floating(t) for t in together(a, b)))
    return Tensor(value=np.linalg.lstsq(left, right, rcond)[0])


def pinv(x: Any, rcond: float | None = None) -> Tensor:
    """Moore's and Penrose's inverses of matrices; on arrays only.

    Raises:
        ShapeError: RV112, inside a traced step.

    Example:
        >>> pinv([[2.0], [0.0]]).numpy().tolist()
        [[0.5, 0.0]]
    """
    _matrices("pinv", x, square=False)
    (a,) = eager("pinv", floating(x))
    if rcond is None:
        rcond = 10.0 * max(a.shape[-2:]) * float(np.finfo(a.dtype).eps)
    return Tensor(value=np.linalg.pinv(a, rcond).astype(a.dtype))


def matrix_rank(x: Any, tol: float | None = None) -> Tensor:
    """How many singular values are above ``tol``; on arrays only.

    Raises:
        ShapeError: RV112, inside a traced step.

    Example:
        >>> matrix_rank([[1.0, 1.0], [1.0, 1.0]]).item()
        1
    """
    _matrices("matrix_rank", x, square=False)
    (a,) = eager("matrix_rank", floating(x))
    return Tensor(value=np.asarray(np.linalg.matrix_rank(a, tol), "int32"))


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The norm of vectors or matrices.

    Args:
        x: A tensor.
        ord: Of vectors: a number p (``(Σ|x|^p)^(1/p)``), ``±inf``, 0 (how many are not
            0); 2 by default. Of matrices: ``"fro"`` (default), ``1``, ``-1``,
            ``±inf``, and on arrays also ``2``, ``-2``, ``"nuc"``.
        axis: One axis: vectors; two: matrices. By default all elements are one vector,
            or with ``ord`` the one or two axes there are.
        keepdims: Whether the axes stay, with size 1.

    Raises:
        ShapeError: RV100, for another ``ord``; RV108, for more axes; RV112, for an
            ``ord`` of singular values inside a traced step.

    Example:
        >>> norm([3.0, 4.0]).item()
        5.0
    """
    x = floating(x)
    if axis is None and ord is None:
        axes = tuple(range(x.ndim))
        return f.sqrt(f.sum(f.square(x), axes, keepdims))
    axes = axes_of("norm", axis, x.ndim)
    if len(axes) == 1:
        return _vector_norm(x, ord, axes[0], keepdims)
    if len(axes) != 2:
        raise ShapeError("RV108", f"norm: of {len(axes)} axes", details=f"{x.spec}")
    if not (axis is None or isinstance(axis, (int, np.integer))):
        axes = tuple(f.normal_axis("norm", int(a), x.ndim) for a in axis)
    return _matrix_norm(x, ord, axes[0], axes[1], keepdims)


def _vector_norm(x: Tensor, ord: Any, axis: int, keepdims: bool) -> Tensor:
    if ord in (None, 2, "euclidean"):
        return f.sqrt(f.sum(f.square(x), axis, keepdims))
    size = f.absolute(x)
    if ord == math.inf:
        return f.max(size, axis, keepdims)
    if ord == -math.inf:
        return f.min(size, axis, keepdims)
    if ord == 0:
        return f.sum(cast(x != 0.0, x.dtype), axis, keepdims)
    if ord == 1:
        return f.sum(size, axis, keepdims)
    if isinstance(ord, str):
        raise _no_order(ord, "vectors")
    return f.power(f.sum(f.power(size, float(ord)), axis, keepdims), 1.0 / ord)


def _matrix_norm(x: Tensor, ord: Any, down: int, across: int, keepdims: bool) -> Tensor:
    if ord in (None, "fro", "euclidean"):
        return f.sqrt(f.sum(f.square(x), (down, across), keepdims))
    if ord in (2, -2, "nuc"):
        (a,) = eager(f"norm with ord={ord!r}", x)
        found = np.linalg.norm(a, ord, (down, across), keepdims)
        return Tensor(value=np.asarray(found, a.dtype))
    sums = {1: (down, f.max), -1: (down, f.min)} | {
        math.inf: (across, f.max),
        -math.inf: (across, f.min),
    }
    if ord not in sums:
        raise _no_order(ord, "matrices")
    over, choose = sums[ord]
    found = choose(
        f.sum(f.absolute(x), over, keepdims=True),
        across if over == down else down,
        keepdims=True,
    )
    return found if keepdims else f.squeeze(found, (down, across))


def _no_order(ord: Any, of: str) -> ShapeError:
    return ShapeError(
        "RV100",
        f"norm: ord={ord!r} of {of} is not supported",
        fix="None, 1, 2, inf",
    )


__all__ = [
    "eigh",
    "lstsq",
    "matrix_rank",
    "norm",
    "pinv",
    "svd",
]

record_calls(globals(), __all__)
