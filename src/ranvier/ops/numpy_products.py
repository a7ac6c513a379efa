"""Products and contractions of tensors."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

from ranvier.errors import ShapeError
from ranvier.graph import functions as f
from ranvier.graph.functions import (
    as_tensor,
    cast,
    dot_general,
    matmul,
    multiply,
    reshape,
    sum,
    transpose,
)
from ranvier.graph.trace import Tensor
from ranvier.operation import record_calls
from ranvier.ops._shared import known, together
from ranvier.ops.numpy_shapes import diagonal, moveaxis


def dot(x1: Any, x2: Any) -> Tensor:
    """NumPy's dot: last axis of x1 with the last but one of x2.

    Example:
        >>> dot([1.0, 2.0], [3.0, 4.0]).item()
        11.0
    """
    a, b = as_tensor(x1), as_tensor(x2)
    if a.ndim == 0 or b.ndim == 0:
        return multiply(a, b)
    return tensordot(a, b, ((a.ndim - 1,), (builtins.max(b.ndim - 2, 0),)))


def vdot(x1: Any, x2: Any) -> Tensor:
    """The sum of products of all elements.

    Example:
        >>> vdot([[1.0, 2.0]], [[3.0], [4.0]]).item()
        11.0
    """
    return dot(reshape(x1, (-1,)), reshape(x2, (-1,)))


def inner(x1: Any, x2: Any) -> Tensor:
    """Sums of products over the last axes of both.

    Example:
        >>> inner([[1.0, 2.0]], [[3.0, 4.0]]).numpy().tolist()
        [[11.0]]
    """
    a, b = as_tensor(x1), as_tensor(x2)
    if a.ndim == 0 or b.ndim == 0:
        return multiply(a, b)
    return tensordot(a, b, ((a.ndim - 1,), (b.ndim - 1,)))


def outer(x1: Any, x2: Any) -> Tensor:
    """All products of two flattened tensors.

    Example:
        >>> outer([1, 2], [3, 4]).numpy().tolist()
        [[3, 4], [6, 8]]
    """
    a, b = together(x1, x2)
    return multiply(reshape(a, (-1, 1)), reshape(b, (1, -1)))


def kron(x1: Any, x2: Any) -> Tensor:
    """Kronecker's product: every element of x1 times the whole of x2.

    Example:
        >>> kron([1, 2], [1, 1]).numpy().tolist()
        [1, 1, 2, 2]
    """
    a, b = together(x1, x2)
    rank = builtins.max(a.ndim, b.ndim)
    sides = [(1,) * (rank - t.ndim) + tuple(t.shape) for t in (a, b)]
    wide = reshape(a, tuple(s for n in sides[0] for s in (n, 1)))
    fine = reshape(b, tuple(s for n in sides[1] for s in (1, n)))
    return reshape(
        multiply(wide, fine), tuple(n * m for n, m in zip(*sides, strict=True))
    )


def cross(
    x1: Any,
    x2: Any,
    axisa: int = -1,
    axisb: int = -1,
    axisc: int = -1,
    axis: int | None = None,
) -> Tensor:
    """The cross product of vectors of two or three components.

    Args:
        x1: Vectors.
        x2: Vectors.
        axisa: The axis of x1 with the components.
        axisb: That of x2.
        axisc: That of the result.
        axis: All three at once.

    Raises:
        ShapeError: RV108, for another number of components.

    Example:
        >>> cross([1, 0, 0], [0, 1, 0]).numpy().tolist()
        [0, 0, 1]
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = together(x1, x2)
    a, b = moveaxis(a, axisa, -1), moveaxis(b, axisb, -1)
    if any(t.shape[-1] not in (2, 3) for t in (a, b)):
        raise ShapeError(
            "RV108",
            "cross needs vectors of 2 or 3 components",
            details=f"got {a.spec} and {b.spec}",
        )
    p, q = ([t[..., i] for i in range(t.shape[-1])] for t in (a, b))  # type: ignore[arg-type]
    last = p[0] * q[1] - p[1] * q[0]
    if len(p) == len(q) == 2:
        return last
    first = second = None
    if len(p) == 3:
        first, second = f.negative(p[2] * q[1]), p[2] * q[0]
    if len(q) == 3:
        more, less = p[1] * q[2], f.negative(p[0] * q[2])
        first = more if first is None else more + first
        second = less if second is None else second + less
    return moveaxis(f.stack([first, second, last], axis=-1), -1, axisc)


def correlate(x1: Any, x2: Any, mode: str = "valid") -> Tensor:
    """The sliding product of two vectors: ``c[k] = Σ x1[n + k] x2[n]``.

    Args:
        x1: A vector.
        x2: A vector.
        mode: ``"valid"``: where they overlap fully; ``"same"``: as many as the longer
            has; ``"full"``: wherever they overlap.

    Raises:
        ShapeError: RV108, when one is not a vector; RV100, for another mode.

    Example:
        >>> correlate([1.0, 2.0, 3.0], [0.0, 1.0]).numpy().tolist()
        [2.0, 3.0]
    """
    a, b = together(x1, x2)
    if a.ndim != 1 or b.ndim != 1:
        raise ShapeError(
            "RV108", "correlate needs vectors", details=f"got {a.spec} and {b.spec}"
        )
    n, m = known("correlate", a.shape[0]), known("correlate", b.shape[0])
    if mode not in ("valid", "same", "full"):
        raise ShapeError(
            "RV100", f"correlate: mode={mode!r} must be 'valid', 'same' or 'full'"
        )
    if n < m:
        # Lags run the other way when the roles are exchanged.
        return f.flip(correlate(b, a, mode))
    whole = a.dtype if a.spec.floating else "float32"
    a, b = cast(a, whole), cast(b, whole)
    before = {"valid": 0, "same": m // 2, "full": m - 1}[mode]
    after = {"valid": 0, "same": m - 1 - m // 2, "full": m - 1}[mode]
    padded = f.pad(a, ((before, after),))
    count = n + before + after - m + 1
    places = f.expand_dims(f.iota(count), 1) + f.expand_dims(f.iota(m), 0)
    return matmul(f.take(padded, places, axis=0), b)


def tensordot(x1: Any, x2: Any, axes: Any = 2) -> Tensor:
    """Contract these axes.

    Args:
        x1: A tensor.
        x2: A tensor.
        axes: So many last axes of x1 with the first of x2, or a pair of axes or of
            sequences of them.

    Example:
        >>> tensordot([1.0, 2.0], [3.0, 4.0], 1).item()
        11.0
    """
    a, b = as_tensor(x1), as_tensor(x2)
    if isinstance(axes, int):
        ca: Sequence[int] = range(a.ndim - axes, a.ndim)
        cb: Sequence[int] = range(axes)
    else:
        ca, cb = ([x] if isinstance(x, int) else list(x) for x in axes)
    return dot_general(
        a,
        b,
        (
            tuple(f.normal_axis("tensordot", i, a.ndim) for i in ca),
            tuple(f.normal_axis("tensordot", i, b.ndim) for i in cb),
        ),
    )


def einsum(subscripts: str, *operands: Any, **kwargs: Any) -> Tensor:
    """Sums of products, in NumPy's notation; two operands at a time, from the left.

    Args:
        subscripts: ``"ij,jk->ik"``; ``...`` stands for any number of axes. An index
            twice in one operand is its diagonal.
        operands: Tensors.
        kwargs: NumPy's ``optimize`` is taken and changes nothing.

    Raises:
        ShapeError: RV108, when indices and axes do not fit.

    Example:
        >>> einsum("ij,jk->ik", [[1.0, 2.0]], [[3.0], [4.0]]).numpy().tolist()
        [[11.0]]
    """
    text = subscripts.replace(" ", "")
    if "->" not in text:
        letters = [c for c in text if c.isalpha()]
        single = "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
        text += "->" + ("..." if "..." in text else "") + single
    left, out = text.split("->")
    terms = left.split(",")
    tensors = together(*operands)
    if len(terms) != len(tensors):
        raise ShapeError(
            "RV108",
            f"einsum: {len(terms)} terms in {subscripts!r}, {len(tensors)} operands",
        )
    if "..." in text:
        spare = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        rank = builtins.max(
            t.ndim - len(s.replace("...", ""))
            for s, t in zip(terms, tensors, strict=True)
            if "..." in s
        )
        names = "".join(c for c in spare if c not in text)[:rank]
        terms = [
            s.replace("...", names[rank - (t.ndim - len(s.replace("...", ""))) :])
            for s, t in zip(terms, tensors, strict=True)
        ]
        out = out.replace("...", names)
    for i, (names_, t) in enumerate(zip(terms, tensors, strict=True)):
        if len(names_) != t.ndim:
            raise ShapeError(
                "RV108",
                f"einsum: {names_!r} has {len(names_)} axes, its operand {t.spec}",
            )
        tensors[i], terms[i] = _diagonals(t, names_)
    current, names_a = tensors[0], terms[0]
    for i in range(1, len(tensors)):
        later = set("".join(terms[i + 1 :]) + out)
        current, names_a = _pair(current, names_a, tensors[i], terms[i], later)
    drop = tuple(i for i, c in enumerate(names_a) if c not in out)
    if drop:
        current = sum(current, axis=drop)
        names_a = "".join(c for c in names_a if c in out)
    return transpose(current, [names_a.index(c) for c in out])


def _diagonals(x: Tensor, names: str) -> tuple[Tensor, str]:
    """An index that stands twice, once: the diagonal of its two axes."""
    for c in dict.fromkeys(names):
        while names.count(c) > 1:
            first = names.index(c)
            second = names.index(c, first + 1)
            x = diagonal(x, 0, first, second)
            rest = [n for i, n in enumerate(names) if i not in (first, second)]
            names = "".join(rest) + c
    return x, names


def _pair(
    a: Tensor, na: str, b: Tensor, nb: str, later: set[str]
) -> tuple[Tensor, str]:
    """One contraction of an einsum."""
    for names, other in ((na, nb), (nb, na)):
        lonely = tuple(
            i for i, c in enumerate(names) if c not in other and c not in later
        )
        if lonely and names is na:
            a, na = sum(a, axis=lonely), "".join(c for c in na if c in nb or c in later)
        elif lonely:
            b, nb = sum(b, axis=lonely), "".join(c for c in nb if c in na or c in later)
    # An axis of size 1 on one side only is repeated, as elsewhere.
    for c in [c for c in na if c in nb]:
        i, j = na.index(c), nb.index(c)
        if a.shape[i] != b.shape[j] and a.shape[i] == 1:
            a = f.squeeze(a, i)
            na = na.replace(c, "")
        elif a.shape[i] != b.shape[j] and b.shape[j] == 1:
            b = f.squeeze(b, j)
            nb = nb.replace(c, "")
    shared = [c for c in na if c in nb]
    batch = [c for c in shared if c in later]
    gone = [c for c in shared if c not in later]
    result = dot_general(
        a,
        b,
        (tuple(na.index(c) for c in gone), tuple(nb.index(c) for c in gone)),
        (tuple(na.index(c) for c in batch), tuple(nb.index(c) for c in batch)),
    )
    names = (
        "".join(batch)
        + "".join(c for c in na if c not in shared)
        + "".join(c for c in nb if c not in shared)
    )
    return result, names


__all__ = [
    "correlate",
    "cross",
    "dot",
    "dot_general",
    "einsum",
    "inner",
    "kron",
    "matmul",
    "outer",
    "tensordot",
    "vdot",
]

record_calls(globals(), __all__)
