"""Control flow: loops, branches and functions of rows, as Keras's ``ops`` name them."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ranvier.errors import ShapeError
from ranvier.graph import functions as f
from ranvier.graph import tree
from ranvier.graph.autodiff import custom_gradient
from ranvier.graph.control import cond, scan, while_loop
from ranvier.graph.functions import (
    as_tensor,
    cast,
)
from ranvier.graph.trace import Tensor
from ranvier.operation import record_calls
from ranvier.ops._shared import floating, known


def map(f: Callable[[Any], Any], xs: Any) -> Any:
    """``f`` of each row, stacked.

    Example:
        >>> map(lambda row: row * 2, as_tensor([1, 2])).numpy().tolist()
        [2, 4]
    """
    return scan(lambda carry, x: (carry, f(x)), (), xs)[1]


def vectorized_map(function: Callable[[Any], Any], elements: Any) -> Any:
    """``function`` of the rows of a tensor, or of a list of tensors, stacked.

    It runs row by row; operations that take the whole tensor are faster.

    Example:
        >>> vectorized_map(lambda p: p[0] * p[1], [[1, 2], [3, 4]]).numpy().tolist()
        [3, 8]
    """
    if isinstance(elements, (list, tuple)):
        return map(function, [as_tensor(e) for e in elements])
    return map(function, tree.map_leaves(as_tensor, elements))


def fori_loop(lower: Any, upper: Any, body_fun: Any, init_val: Any) -> Any:
    """``for i in range(lower, upper): val = body_fun(i, val)``.

    With bounds that are tensors there is no gradient.

    Example:
        >>> fori_loop(0, 4, lambda i, total: total + i, 0).item()
        6
    """
    if isinstance(lower, (int, np.integer)) and isinstance(upper, (int, np.integer)):
        steps = Tensor(value=np.arange(lower, upper, dtype="int32"))
        return scan(lambda val, i: (body_fun(i, val), None), init_val, steps)[0]
    end = f.cast(upper, "int32")
    return while_loop(
        lambda i, val: i < end,
        lambda i, val: (i + 1, body_fun(i, val)),
        (f.cast(lower, "int32"), init_val),
    )[1]


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """``branches[index](*operands)``; the index is moved into range.

    Args:
        index: An integer.
        branches: Functions that give the same structure, shapes and dtypes.
        operands: Their arguments.

    Example:
        >>> switch(1, [lambda x: x, lambda x: x * 2], as_tensor([3])).numpy().tolist()
        [6]
    """
    place = as_tensor(index)
    if place.node is None:
        at = builtins.min(builtins.max(int(place.item()), 0), len(branches) - 1)
        return branches[at](*operands)
    first, *rest = branches
    if not rest:
        return first(*operands)
    return cond(
        place <= 0,
        lambda: first(*operands),
        lambda: switch(place - 1, rest, *operands),
    )


def associative_scan(
    f: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0
) -> Any:
    """Running results of an associative function along an axis, in log₂(n) rounds.

    Args:
        f: Joins two tensors (or nests of them) of neighbouring stretches.
        elems: A tensor, or a nest of them, whose axis has a known size.
        reverse: From the end.
        axis: The axis.

    Example:
        >>> associative_scan(lambda a, b: a + b, as_tensor([1, 2, 3])).numpy().tolist()
        [1, 3, 6]
    """
    leaves = [as_tensor(leaf) for leaf in tree.flatten(elems)]
    places = [_f.normal_axis("associative_scan", axis, leaf.ndim) for leaf in leaves]
    length = known("associative_scan", leaves[0].shape[places[0]])

    def cut(parts: Sequence[Tensor], start: int, stop: int, step: int) -> list[Tensor]:
        return [
            _f.slice_axis(p, at, start, stop, step)
            for p, at in zip(parts, places, strict=True)
        ]

    def join(a: Sequence[Tensor], b: Sequence[Tensor]) -> list[Tensor]:
        found = f(tree.rebuild(elems, list(a)), tree.rebuild(elems, list(b)))
        return [as_tensor(leaf) for leaf in tree.flatten(found)]

    def run(parts: list[Tensor], n: int) -> list[Tensor]:
        if n < 2:
            return parts
        pairs = join(cut(parts, 0, n - 1, 2), cut(parts, 1, n, 2))
        odd = run(pairs, n // 2)
        even = cut(parts, 0, 1, 1)
        if n > 2:
            until = cut(odd, 0, (n - 1) // 2, 1)
            later = join(until, cut(parts, 2, n, 2))
            even = [
                _f.concatenate([a, b], at)
                for a, b, at in zip(even, later, places, strict=True)
            ]
        return [_woven(a, b, at, n) for a, b, at in zip(even, odd, places, strict=True)]

    if reverse:
        leaves = [_f.flip(x, at) for x, at in zip(leaves, places, strict=True)]
    found = run(leaves, length)
    if reverse:
        found = [_f.flip(x, at) for x, at in zip(found, places, strict=True)]
    return tree.rebuild(elems, found)


def _woven(even: Tensor, odd: Tensor, axis: int, n: int) -> Tensor:
    """Elements of two tensors by turns along an axis."""
    half = n // 2
    sides = [_f.slice_axis(even, axis, 0, half), odd]
    wide = _f.stack(sides, axis + 1)
    both = _f.reshape(wide, (*odd.shape[:axis], 2 * half, *odd.shape[axis + 1 :]))
    if n % 2:
        both = _f.concatenate([both, _f.slice_axis(even, axis, half, half + 1)], axis)
    return both


def vectorize(
    pyfunc: Callable[..., Any], *, excluded: Any = None, signature: str | None = None
) -> Callable[..., Any]:
    """A function of scalars as one of tensors that broadcast.

    Raises:
        ShapeError: RV100, for a signature: use `vectorized_map`.

    Example:
        >>> vectorize(lambda a, b: a * b)([1, 2], 3).numpy().tolist()
        [3, 6]
    """
    if signature is not None or excluded:
        raise ShapeError(
            "RV100",
            "vectorize: signature and excluded are not supported",
            fix="ops.vectorized_map",
        )

    def call(*args: Any) -> Any:
        tensors = [as_tensor(a) for a in args]
        whole = f.broadcast_shapes(*(t.shape for t in tensors))
        rows = [f.reshape(f.broadcast_to(t, whole), (-1,)) for t in tensors]
        found = map(lambda row: pyfunc(*row), rows)
        return tree.map_leaves(
            lambda y: f.reshape(y, (*whole, *as_tensor(y).shape[1:])), found
        )

    return call


# `f` is the name that Keras gives the function of `map` and `associative_scan`.
_f = f


def jvp(
    fun: Any, primals: Any, tangents: Any, has_aux: bool = False
) -> tuple[Any, ...]:
    """The value of a function, and its derivative along a direction.

    By differentiating the reverse mode's result, which is linear in its seed.

    Args:
        fun: A function of tensors; gives a tensor, ``(tensor, anything)`` with
            ``has_aux``.
        primals: Its arguments, a sequence.
        tangents: A direction for each.
        has_aux: Whether ``fun`` gives something besides.

    Example:
        >>> y, d = jvp(lambda x: x * x, ([3.0],), ([1.0],))
        >>> d.numpy().tolist()
        [6.0]
    """
    from ranvier.graph.autodiff import value_and_grad

    points = [floating(p) for p in primals]
    along = [cast(t, p.dtype) for t, p in zip(tangents, points, strict=True)]

    def value(xs: Any) -> Tensor:
        found = fun(*xs)
        return as_tensor(found[0] if has_aux else found)

    first = fun(*points)
    y = as_tensor(first[0] if has_aux else first)

    def pulled(seed: Any) -> Tensor:
        _, grads = value_and_grad(lambda xs: f.sum(value(xs) * seed))(points)
        terms = [f.sum(g * t) for g, t in zip(grads, along, strict=True)]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total

    derivative = value_and_grad(pulled)(f.zeros_like(y))[1]
    return (y, derivative, first[1]) if has_aux else (y, derivative)


__all__ = [
    "associative_scan",
    "cond",
    "custom_gradient",
    "fori_loop",
    "jvp",
    "map",
    "scan",
    "switch",
    "vectorize",
    "vectorized_map",
    "while_loop",
]

record_calls(globals(), __all__)
