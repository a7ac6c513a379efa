"""Reductions over axes (which disappear), arg-reductions and cumulative sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ranvier.graph.ir import Spec
from ranvier.graph.op import NoGradient, Op, case, op, stops
from ranvier.graph.ops._infer import normal_axes, refuse

Array = np.ndarray[Any, Any]


def _f() -> Any:
    from ranvier.graph import functions

    return functions


def _reduce_infer(name: str, dtype: str | None = None) -> Any:
    def infer(specs: Sequence[Spec], attrs: dict[str, Any]) -> Spec:
        (x,) = specs
        axes = normal_axes(name, attrs["axes"], len(x.shape))
        kept = tuple(s for i, s in enumerate(x.shape) if i not in axes)
        return Spec(kept, dtype or x.dtype)

    return infer


def _back(y: Any, x: Any, axes: Sequence[int]) -> Any:
    """Broadcast a reduced value to the shape it was reduced from."""
    return _f().broadcast_to(_f().expand_dims(y, tuple(axes)), x.shape)


def _reduction(
    name: str,
    ref: Callable[..., Array],
    grad: Callable[..., Sequence[Any]] | NoGradient,
    dtype: str = "",
    tol: float = 16.0,
) -> Op:
    kind = (dtype,) if dtype else ()
    low, high = (0, 2) if dtype == "bool" else (-2, 2)
    cases = [
        case(((3, 4, 5), low, high, *kind), axes=axes)
        for axes in ((0,), (2,), (0, 1), (1,), (0, 1, 2), (0, 2))
    ]
    return op(name, "reduce", _reduce_infer(name), ref, grad, cases, tol)


def _max_grad(g: Any, y: Any, x: Any, axes: Sequence[int]) -> Sequence[Any]:
    f = _f()
    hit = f.cast(x == _back(y, x, axes), x.dtype)
    return (hit * _back(g / f.sum(hit, axis=tuple(axes)), x, axes),)


def _prod_grad(g: Any, y: Any, x: Any, axes: Sequence[int]) -> Sequence[Any]:
    """Product of the others: cumulative products from both ends, so zeros are right."""
    f = _f()
    kept = tuple(i for i in range(x.ndim) if i not in axes)
    perm = (*kept, *axes)
    moved = f.transpose(x, perm)
    flat = f.reshape(moved, (*[x.shape[i] for i in kept], -1))
    one = f.ones_like(flat[..., :1])
    before = f.cumprod(f.concatenate([one, flat[..., :-1]], axis=-1), axis=-1)
    after = f.flip(
        f.cumprod(f.concatenate([one, f.flip(flat[..., 1:], -1)], axis=-1), axis=-1), -1
    )
    others = f.reshape(before * after, moved.shape)
    inverse = tuple(int(i) for i in np.argsort(perm))
    return (f.transpose(others, inverse) * _back(g, x, axes),)


sum_ = _reduction(
    "sum",
    lambda x, axes: np.sum(x, axis=axes, dtype=x.dtype),
    lambda g, y, x, axes: (_back(g, x, axes),),
)
reduce_max = _reduction("reduce_max", lambda x, axes: np.max(x, axis=axes), _max_grad)
reduce_min = _reduction("reduce_min", lambda x, axes: np.min(x, axis=axes), _max_grad)
prod = _reduction(
    "prod", lambda x, axes: np.prod(x, axis=axes, dtype=x.dtype), _prod_grad
)
any_ = _reduction(
    "any", lambda x, axes: np.asarray(np.any(x, axis=axes)), stops("truth"), "bool"
)
all_ = _reduction(
    "all", lambda x, axes: np.asarray(np.all(x, axis=axes)), stops("truth"), "bool"
)


def _arg_infer(specs: Sequence[Spec], attrs: dict[str, Any]) -> Spec:
    (x,) = specs
    (axis,) = normal_axes("argmax", (attrs["axis"],), len(x.shape))
    return Spec(tuple(s for i, s in enumerate(x.shape) if i != axis), "int32")


_ARG_CASES = [case(((3, 4, 5), -2, 2), axis=a) for a in (0, 1, 2)]
argmax = op(
    "argmax",
    "reduce",
    _arg_infer,
    lambda x, axis: np.argmax(x, axis=axis).astype("int32"),
    stops("an index"),
    _ARG_CASES,
)
argmin = op(
    "argmin",
    "reduce",
    _arg_infer,
    lambda x, axis: np.argmin(x, axis=axis).astype("int32"),
    stops("an index"),
    _ARG_CASES,
)


def _axis_infer(specs: Sequence[Spec], attrs: dict[str, Any]) -> Spec:
    if not 0 <= attrs["axis"] < len(specs[0].shape):
        raise refuse("cumulative", f"has no axis {attrs['axis']}", specs)
    return specs[0]


def _cumsum_grad(g: Any, y: Any, x: Any, axis: int) -> Sequence[Any]:
    f = _f()
    return (f.flip(f.cumsum(f.flip(g, axis), axis), axis),)


def _cumprod_grad(g: Any, y: Any, x: Any, axis: int) -> Sequence[Any]:
    # d y_j / d x_i = y_j / x_i for j ≥ i; exact wherever x has no zero.
    f = _f()
    return (f.flip(f.cumsum(f.flip(g * y, axis), axis), axis) / x,)


cumsum = op(
    "cumsum",
    "reduce",
    _axis_infer,
    lambda x, axis: np.cumsum(x, axis=axis, dtype=x.dtype),
    _cumsum_grad,
    _ARG_CASES,
    16.0,
)
cumprod = op(
    "cumprod",
    "reduce",
    _axis_infer,
    lambda x, axis: np.cumprod(x, axis=axis, dtype=x.dtype),
    _cumprod_grad,
    [case(((3, 4), 0.5, 2), axis=a) for a in (0, 1)],
    16.0,
)


def _argsort_infer(specs: Sequence[Spec], attrs: dict[str, Any]) -> Spec:
    _axis_infer(specs, attrs)
    return Spec(specs[0].shape, "int32")


argsort = op(
    "argsort",
    "reduce",
    _argsort_infer,
    lambda x, axis: np.argsort(x, axis=axis, kind="stable").astype("int32"),
    stops("an index"),
    _ARG_CASES,
)
