"""Steps of attention and row normalisation, to be run by themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
#: Buffers, integers, scalars, units, program.
Case = tuple[list[Array | None], list[int], list[float], int, Any]
RNG = np.random.default_rng(3)


def f32(*shape: int) -> Array:
    return RNG.normal(size=shape).astype("float32")


def _layer_norm() -> Iterator[Case]:
    for m, n in [(9, 10), (70, 64), (5, 600)]:
        bufs: list[Array | None] = [f32(m, n), f32(n), f32(n), f32(m, n), f32(m, n)]
        yield [*bufs, f32(m)], [m, n], [1e-3], min(m, 64), None


def _layer_norm_grad() -> Iterator[Case]:
    for m, n in [(9, 10), (70, 64), (5, 600)]:
        bufs: list[Array | None] = [f32(m, n), f32(m), f32(n), f32(m, n), f32(m, n)]
        yield bufs, [m, n], [], min(m, 64), None


def _product_sums() -> Iterator[Case]:
    for m, n in [(9, 10), (70, 64), (5, 150), (33, 130)]:
        bufs: list[Array | None] = [f32(m, n), f32(m, n), f32(n), f32(n)]
        units = -(-n // 64)
        yield bufs, [m, n], [], units, None
        yield [*bufs[:2], None, bufs[3]], [m, n], [], units, None
        yield [*bufs[:3], None], [m, n], [], units, None


#: Batch, heads, queries, keys, width of keys, width of values.
SIZES = [(1, 1, 3, 5, 4, 6), (2, 3, 20, 17, 16, 8), (1, 2, 60, 70, 5, 33)]


def _laid(b: int, n: int, h: int, d: int) -> tuple[Array, list[int]]:
    """Vectors ``(batch, position, head, size)`` and their strides."""
    return f32(b, n, h, d), [n * h * d, h * d, d]


def _mask(b: int, h: int, i: int, j: int, whole: bool) -> tuple[Array, list[int]]:
    if whole:
        mask = RNG.integers(0, 2, (b, h, i, j)) > 0
        return mask, [h * i * j, i * j, j, 1]
    return RNG.integers(0, 2, (b, j)) > 0, [j, 0, 0, 1]


def _attention() -> Iterator[Case]:
    for b, h, i, j, d, e in SIZES:
        q, k, v = _laid(b, i, h, d), _laid(b, j, h, d), _laid(b, j, h, e)
        out, weights = _laid(b, i, h, e), f32(b, h, i, j)
        strides = [*q[1], *k[1], *v[1], *out[1]]
        for mask in (None, _mask(b, h, i, j, True), _mask(b, h, i, j, False)):
            table, steps = (None, [0] * 4) if mask is None else mask
            dims = [b, h, i, j, d, e, *strides, *steps]
            bufs: list[Array | None] = [q[0], k[0], v[0], table]
            key = RNG.integers(0, 2**31, 4).astype("uint32")
            for last in (weights, None):
                for of, least in ((None, 0), (key, 1 << 22)):
                    more = [of, out[0], last], [*dims, least, least > 0]
                    yield [*bufs, *more[0]], more[1], [0.5, -2e38, 1.5], b * h, None


def _attention_grad() -> Iterator[Case]:
    for b, h, i, j, d, e in SIZES:
        q, k, v = _laid(b, i, h, d), _laid(b, j, h, d), _laid(b, j, h, e)
        weights, g = f32(b, h, i, j), _laid(b, i, h, e)
        to = _laid(b, i, h, d), _laid(b, j, h, d), _laid(b, j, h, e)
        strides = [*q[1], *k[1], *v[1], *g[1]]
        for mask in (None, _mask(b, h, i, j, True)):
            table, steps = (None, [0] * 4) if mask is None else mask
            dims = [b, h, i, j, d, e, *strides, *steps]
            bufs = [q[0], k[0], v[0], table, weights, g[0]]
            for present in ((1, 1, 1), (0, 0, 1), (1, 0, 0), (0, 1, 0)):
                rooms = [x[0] if p else None for x, p in zip(to, present, strict=True)]
                each = [s for x, p in zip(to, present, strict=True) for s in (
                    x[1] if p else [0, 0, 0]
                )]  # fmt: skip
                for drops in (0, 1):
                    yield (
                        [*bufs, *rooms],
                        [*dims, *each, drops],
                        [0.5, 1.5],
                        b * h,
                        None,
                    )


CASES: dict[str, Callable[[], Iterator[Case]]] = {
    "layer_norm": _layer_norm,
    "layer_norm_grad": _layer_norm_grad,
    "product_sums": _product_sums,
    "attention": _attention,
    "attention_grad": _attention_grad,
}
