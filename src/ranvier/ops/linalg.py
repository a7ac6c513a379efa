"""Linear algebra: factors, solutions, norms.

Cholesky's, the LU and the QR factor and what is solved with them are loops over columns
(`ops.scan`): they run in a traced step, on every engine, and have gradients. What needs
an iteration until convergence stands in `linalg_values` and runs on arrays only.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ranvier.errors import ShapeError
from ranvier.graph import functions as f
from ranvier.graph.control import scan
from ranvier.graph.dims import product
from ranvier.graph.functions import as_tensor, cast, matmul
from ranvier.graph.trace import Tensor
from ranvier.operation import record_calls
from ranvier.ops._shared import floating, known, of_package, together


def _matrices(name: str, x: Any, square: bool = True) -> tuple[Tensor, Any]:
    """Matrices as one batch ``(b, m, n)``, and the leading axes they came with."""
    x = floating(x)
    if x.ndim < 2 or (square and x.shape[-1] != x.shape[-2]):
        raise ShapeError(
            "RV108",
            f"{name} needs " + ("square matrices" if square else "matrices"),
            details=f"got {x.spec}",
        )
    lead = tuple(x.shape[:-2])
    rows, columns = (known(name, s) for s in x.shape[-2:])
    return f.reshape(x, (product(lead), rows, columns)), lead


def _back(x: Tensor, lead: Any) -> Tensor:
    return f.reshape(x, (*lead, *x.shape[1:]))


def _swapped(x: Any) -> Tensor:
    x = as_tensor(x)
    return f.transpose(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def _unit(n: int, k: Any, dtype: str) -> Tensor:
    """1 at place k of n."""
    return cast(f.iota(n) == k, dtype)


def _column(x: Tensor, k: Any) -> Tensor:
    """Column k of each matrix."""
    return f.sum(x * _unit(int(x.shape[-1]), k, x.dtype), axis=-1)  # type: ignore[arg-type]


def cholesky(x: Any, upper: bool = False) -> Tensor:
    """The triangular L with positive diagonal and ``L Lᵀ = x``, of symmetric matrices.

    Args:
        x: Positive definite matrices; their lower triangle is read.
        upper: Whether to give ``Lᵀ``.

    Raises:
        ShapeError: RV108, for other shapes; outside of a traced step also when a
            matrix is not positive definite (inside its factor is NaN).

    Example:
        >>> cholesky([[4.0]]).numpy().tolist()
        [[2.0]]
    """
    a, lead = _matrices("cholesky", x)
    n = int(a.shape[-1])  # type: ignore[arg-type]
    rows = f.iota(n)

    def step(factor: Tensor, k: Tensor) -> tuple[Tensor, None]:
        own = _unit(n, k, a.dtype)
        row = f.sum(factor * f.expand_dims(own, -1), axis=1)
        rest = _column(a, k) - f.sum(factor * f.expand_dims(row, 1), axis=-1)
        pivot = f.sqrt(f.sum(rest * own, axis=-1, keepdims=True))
        new = f.where(rows > k, rest / pivot, f.where(rows == k, pivot, 0.0))
        return factor + f.expand_dims(new, -1) * own, None

    found = _back(scan(step, f.zeros_like(a), f.iota(n))[0], lead)
    if found.node is None and np.isnan(found.numpy()).any():
        raise ShapeError(
            "RV108",
            "cholesky: a matrix is not positive definite",
            fix="add a little to its diagonal: x + 1e-6 * ops.eye(n)",
        )
    return _swapped(found) if upper else found


def _lu(a: Tensor) -> tuple[Tensor, Tensor]:
    """LU factors in one matrix, with the row that each step exchanged with its own."""
    n = int(a.shape[-1])  # type: ignore[arg-type]
    places = f.iota(n)

    def step(m: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        size = f.where(places >= k, f.absolute(_column(m, k)), -1.0)
        pick = f.argmax(size, axis=-1)
        chosen = f.expand_dims(pick, 1)
        order = f.where(places == k, chosen, f.where(places == chosen, k, places))
        wide = f.broadcast_to(f.expand_dims(order, -1), m.shape)
        m = f.take_along_axis(m, wide, axis=1)
        row = f.sum(m * f.expand_dims(_unit(n, k, m.dtype), -1), axis=1)
        column = _column(m, k)
        pivot = f.sum(row * _unit(n, k, m.dtype), axis=-1, keepdims=True)
        usable = f.logical_and(places > k, pivot != 0.0)
        lower = f.where(usable, column / f.where(pivot != 0.0, pivot, 1.0), 0.0)
        beyond = f.where(places > k, row, 0.0)
        m = m - f.expand_dims(lower, -1) * f.expand_dims(beyond, 1)
        here = f.logical_and(f.expand_dims(places, -1) > k, places == k)
        return f.where(here, f.expand_dims(lower, -1), m), pick

    factors, picks = scan(step, a, places)
    return factors, f.transpose(picks)


def lu_factor(x: Any) -> tuple[Tensor, Tensor]:
    """LU factors in one matrix (the ones of L left out), and the rows exchanged.

    With partial pivoting: step k exchanged row k with row ``pivots[k]``.

    Raises:
        ShapeError: RV108, for matrices that are not square.

    Example:
        >>> lu_factor([[2.0, 1.0], [4.0, 4.0]])[1].numpy().tolist()
        [1, 1]
    """
    a, lead = _matrices("lu_factor", x)
    factors, pivots = _lu(a)
    return _back(factors, lead), _back(pivots, lead)


def _diagonal(x: Tensor) -> Tensor:
    n = int(x.shape[-1])  # type: ignore[arg-type]
    return f.sum(x * Tensor(value=np.eye(n, dtype=x.dtype)), axis=-1)


def _parity(pivots: Tensor, dtype: str) -> Tensor:
    n = int(pivots.shape[-1])  # type: ignore[arg-type]
    moved = f.sum(cast(pivots != f.iota(n), dtype), axis=-1)
    return 1.0 - f.mod(moved, 2.0) * 2.0


def det(x: Any) -> Tensor:
    """Determinants of square matrices.

    Raises:
        ShapeError: RV108, for matrices that are not square.

    Example:
        >>> det([[1.0, 2.0], [3.0, 4.0]]).numpy().round(4).item()
        -2.0
    """
    a, lead = _matrices("det", x)
    factors, pivots = _lu(a)
    found = f.prod(_diagonal(factors), axis=-1) * _parity(pivots, a.dtype)
    return f.reshape(found, lead)


def slogdet(x: Any) -> tuple[Tensor, Tensor]:
    """Signs of determinants, and the logarithms of their sizes.

    Raises:
        ShapeError: RV108, for matrices that are not square.

    Example:
        >>> [t.item() for t in slogdet([[-1.0]])]
        [-1.0, 0.0]
    """
    a, lead = _matrices("slogdet", x)
    factors, pivots = _lu(a)
    pivot = _diagonal(factors)
    sign = f.prod(f.sign(pivot), axis=-1) * _parity(pivots, a.dtype)
    size = f.sum(f.log(f.absolute(pivot)), axis=-1)
    return f.reshape(f.stop_gradient(sign), lead), f.reshape(size, lead)


def logdet(x: Any) -> Tensor:
    """Logarithms of the sizes of determinants.

    Example:
        >>> logdet([[1.0]]).item()
        0.0
    """
    return slogdet(x)[1]


def _substituted(a: Tensor, b: Tensor, lower: bool, unit: bool = False) -> Tensor:
    """Solutions x of ``a x = b`` for triangular a, row by row."""
    n = int(a.shape[-1])  # type: ignore[arg-type]
    places = f.iota(n)
    one = Tensor(value=np.ones((), a.dtype))

    def step(found: Tensor, k: Tensor) -> tuple[Tensor, None]:
        own = f.expand_dims(_unit(n, k, a.dtype), -1)
        row = f.sum(a * own, axis=1)
        before = f.where(places < k if lower else places > k, row, 0.0)
        rest = f.sum(b * own, axis=1) - f.sum(f.expand_dims(before, -1) * found, axis=1)
        pivot = one if unit else f.sum(row * _unit(n, k, a.dtype), -1, keepdims=True)
        return found + own * f.expand_dims(rest / pivot, 1), None

    order = places if lower else f.flip(places)
    found: Tensor = scan(step, f.zeros_like(b), order)[0]
    return found


def _sides(name: str, a: Any, b: Any) -> tuple[Tensor, Tensor, Any]:
    """Both sides of a system as batches, and how to give the solution back."""
    a, b = (floating(t) for t in together(a, b))
    vector = b.ndim == a.ndim - 1
    b = f.expand_dims(b, -1) if vector else b
    if b.ndim != a.ndim or b.shape[:-1] != a.shape[:-1]:
        raise ShapeError(
            "RV108",
            f"{name}: the right side must have one row for each row of the matrix",
            details=f"got {a.spec} and {b.spec}",
        )
    m, lead = _matrices(name, a)
    right = f.reshape(b, (m.shape[0], *b.shape[-2:]))

    def done(x: Tensor) -> Tensor:
        x = _back(x, lead)
        return f.squeeze(x, -1) if vector else x

    return m, right, done


def solve(a: Any, b: Any) -> Tensor:
    """The x with ``a x = b``, by LU factors with partial pivoting.

    Args:
        a: Square matrices.
        b: Vectors (one axis less than ``a``) or matrices.

    Raises:
        ShapeError: RV108, for shapes that do not fit.

    Example:
        >>> solve([[2.0, 0.0], [0.0, 4.0]], [2.0, 4.0]).numpy().tolist()
        [1.0, 1.0]
    """
    m, right, done = _sides("solve", a, b)
    factors, pivots = _lu(m)
    n = int(m.shape[-1])  # type: ignore[arg-type]
    places = f.iota(n)

    def exchange(order: Tensor, row: Any) -> tuple[Tensor, None]:
        k, pick = row
        other = f.expand_dims(pick, 1)
        way = f.where(places == k, other, f.where(places == other, k, places))
        return f.take_along_axis(order, way, axis=1), None

    start = f.broadcast_to(f.expand_dims(places, 0), pivots.shape)
    order = scan(exchange, start, (places, f.transpose(pivots)))[0]
    wide = f.broadcast_to(f.expand_dims(order, -1), right.shape)
    right = f.take_along_axis(right, wide, axis=1)
    middle = _substituted(factors, right, lower=True, unit=True)
    return done(_substituted(factors, middle, lower=False))


def solve_triangular(a: Any, b: Any, lower: bool = False) -> Tensor:
    """The x with ``a x = b``, for triangular matrices; the other triangle is not read.

    Raises:
        ShapeError: RV108, for shapes that do not fit.

    Example:
        >>> solve_triangular([[2.0, 0.0], [0.0, 4.0]], [2.0, 4.0]).numpy().tolist()
        [1.0, 1.0]
    """
    m, right, done = _sides("solve_triangular", a, b)
    return done(_substituted(m, right, lower))


def inv(x: Any) -> Tensor:
    """Inverses of square matrices.

    Example:
        >>> inv([[2.0]]).numpy().tolist()
        [[0.5]]
    """
    x = floating(x)
    _matrices("inv", x)
    n = known("inv", x.shape[-1])
    return solve(x, f.broadcast_to(Tensor(value=np.eye(n, dtype=x.dtype)), x.shape))


def cholesky_inverse(x: Any, upper: bool = False) -> Tensor:
    """The inverse of the matrix whose Cholesky factor is given.

    Example:
        >>> cholesky_inverse([[2.0]]).numpy().tolist()
        [[0.25]]
    """
    x = floating(x)
    _matrices("cholesky_inverse", x)
    n = known("cholesky_inverse", x.shape[-1])
    unit = f.broadcast_to(Tensor(value=np.eye(n, dtype=x.dtype)), x.shape)
    half = solve_triangular(x, unit, lower=not upper)
    return matmul(half, _swapped(half)) if upper else matmul(_swapped(half), half)


def qr(x: Any, mode: str = "reduced") -> tuple[Tensor, Tensor]:
    """An orthogonal and an upper triangular factor, by Householder's reflections.

    Args:
        x: Matrices of m rows and n columns.
        mode: ``"reduced"``: Q has min(m, n) columns; ``"complete"``: m.

    Raises:
        ShapeError: RV100, for another mode.

    Example:
        >>> [t.numpy().tolist() for t in qr([[2.0]])]
        [[[1.0]], [[2.0]]]
    """
    if mode not in ("reduced", "complete"):
        raise ShapeError("RV100", f"qr: mode={mode!r} must be 'reduced' or 'complete'")
    a, lead = _matrices("qr", x, square=False)
    m, n = (int(s) for s in a.shape[1:])  # type: ignore[arg-type]
    places = f.iota(m)

    def step(state: Any, k: Tensor) -> tuple[Any, None]:
        r, q = state
        own = _unit(m, k, a.dtype)
        column = f.where(places >= k, _column(r, k), 0.0)
        head = f.sum(column * own, axis=-1, keepdims=True)
        tail = f.sum(f.square(f.where(places > k, column, 0.0)), -1, keepdims=True)
        some = tail != 0.0
        length = f.sqrt(f.where(some, tail + f.square(head), 1.0))
        turned = f.where(head < 0.0, length, f.negative(length))
        v = f.where(some, column - turned * own, 0.0)
        norm_ = f.sum(f.square(v), axis=-1, keepdims=True)
        w = v * (2.0 / f.where(some, norm_, 1.0))
        down, across = f.expand_dims(v, -1), f.expand_dims(v, 1)
        r = r - f.expand_dims(w, -1) * f.sum(down * r, axis=1, keepdims=True)
        q = q - f.sum(q * across, axis=-1, keepdims=True) * f.expand_dims(w, 1)
        return (r, q), None

    unit = f.broadcast_to(Tensor(value=np.eye(m, dtype=a.dtype)), (a.shape[0], m, m))
    (r, q), _ = scan(step, (a, unit), f.iota(min(m, n)))
    r = f.where(f.expand_dims(places, -1) <= f.iota(n), r, 0.0)
    if mode == "reduced":
        q = f.slice_axis(q, 2, 0, min(m, n))
        r = f.slice_axis(r, 1, 0, min(m, n))
    return _back(q, lead), _back(r, lead)


__all__ = [
    "cholesky",
    "cholesky_inverse",
    "det",
    "inv",
    "logdet",
    "lu_factor",
    "qr",
    "slogdet",
    "solve",
    "solve_triangular",
]

record_calls(globals(), __all__)


def __getattr__(name: str) -> Any:
    """Names of Keras's namespace that stand in another file."""
    return of_package(__name__, name)
