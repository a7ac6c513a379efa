"""Contractions: the general product of two tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ranvier.graph.ir import Spec
from ranvier.graph.op import case, op
from ranvier.graph.ops._infer import refuse

Array = np.ndarray[Any, Any]
Axes = tuple[tuple[int, ...], tuple[int, ...]]


def _f() -> Any:
    from ranvier.graph import functions

    return functions


def free_axes(rank: int, contract: Sequence[int], batch: Sequence[int]) -> list[int]:
    """Axes that are neither contracted nor batch axes."""
    return [i for i in range(rank) if i not in contract and i not in batch]


def _infer(specs: Sequence[Spec], attrs: dict[str, Any]) -> Spec:
    a, b = specs
    (ca, cb), (ba, bb) = attrs["contract"], attrs["batch"]
    pairs = [*zip(ca, cb, strict=True), *zip(ba, bb, strict=True)]
    if a.dtype != b.dtype or any(a.shape[i] != b.shape[j] for i, j in pairs):
        raise refuse(
            "matmul",
            "the axes that are multiplied differ: "
            + ", ".join(f"{a.shape[i]} against {b.shape[j]}" for i, j in pairs),
            specs,
        )
    return Spec(
        tuple(a.shape[i] for i in ba)
        + tuple(a.shape[i] for i in free_axes(len(a.shape), ca, ba))
        + tuple(b.shape[j] for j in free_axes(len(b.shape), cb, bb)),
        a.dtype,
    )


def _ref(a: Array, b: Array, contract: Axes, batch: Axes) -> Array:
    (ca, cb), (ba, bb) = contract, batch
    fa, fb = free_axes(a.ndim, ca, ba), free_axes(b.ndim, cb, bb)
    at = a.transpose(*ba, *fa, *ca)
    bt = b.transpose(*bb, *cb, *fb)
    nb, nc = len(ba), len(ca)
    shape_b, shape_c = at.shape[:nb], at.shape[at.ndim - nc :]
    free_a, free_b = at.shape[nb : at.ndim - nc], bt.shape[nb + nc :]
    k = int(np.prod(shape_c, dtype=int))
    left = at.reshape(*shape_b, int(np.prod(free_a, dtype=int)), k)
    right = bt.reshape(*shape_b, k, int(np.prod(free_b, dtype=int)))
    with np.errstate(all="ignore"):
        found = np.matmul(left, right)
    return found.reshape((*shape_b, *free_a, *free_b)).astype(a.dtype, copy=False)


def _grad(g: Any, y: Any, a: Any, b: Any, contract: Axes, batch: Axes) -> Sequence[Any]:
    """g is [batch, free a, free b]; each gradient is one more contraction."""
    f = _f()
    (ca, cb), (ba, bb) = contract, batch
    fa, fb = free_axes(a.ndim, ca, ba), free_axes(b.ndim, cb, bb)
    nb = len(ba)
    g_batch = tuple(range(nb))
    g_fa = tuple(range(nb, nb + len(fa)))
    g_fb = tuple(range(nb + len(fa), nb + len(fa) + len(fb)))

    # da is [batch, free a, contracted axes in b's order]: put the axes back.
    da = f.dot_general(g, b, (g_fb, tuple(fb)), (g_batch, tuple(bb)))
    order_c = [ca[cb.index(j)] for j in range(b.ndim) if j in cb]
    da = _restore(da, [*ba, *fa, *order_c])

    # db as a^T g, so that a weight gradient has the orientation [contracted, free b].
    db = f.dot_general(a, g, (tuple(fa), g_fa), (tuple(ba), g_batch))
    order_c = [cb[ca.index(i)] for i in range(a.ndim) if i in ca]
    db = _restore(db, [*bb, *order_c, *fb])
    return da, db


def _restore(x: Any, axes: Sequence[int]) -> Any:
    """Axis ``i`` of ``x`` becomes axis ``axes[i]``."""
    if list(axes) == sorted(axes):
        return x
    return _f().transpose(x, tuple(int(i) for i in np.argsort(axes)))


dot_general = op(
    "dot_general",
    "contract",
    _infer,
    _ref,
    _grad,
    [
        case(((3, 4), -1, 1), ((4, 5), -1, 1), contract=((1,), (0,)), batch=((), ())),
        case(((3, 4), -1, 1), ((5, 4), -1, 1), contract=((1,), (1,)), batch=((), ())),
        case(((4, 3), -1, 1), ((4, 5), -1, 1), contract=((0,), (0,)), batch=((), ())),
        case(
            ((2, 3, 4), -1, 1),
            ((2, 4, 5), -1, 1),
            contract=((2,), (1,)),
            batch=((0,), (0,)),
        ),
        case(
            ((2, 3, 4), -1, 1), ((4, 5), -1, 1), contract=((2,), (0,)), batch=((), ())
        ),
        case(((4,), -1, 1), ((4,), -1, 1), contract=((0,), (0,)), batch=((), ())),
    ],
    32.0,
)
