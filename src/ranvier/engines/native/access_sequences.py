"""What attention and row normalisation read and write (see `access_rules`)."""

from __future__ import annotations

from collections.abc import Iterator

from ranvier.engines.native.accesses import Part, rule
from ranvier.engines.native.values import PANEL

FLOAT = 4


def _rows(p: Part, buffer: int, wide: int, write: bool = False) -> None:
    first, last = p.of(p.dim(0))
    touch = p.write if write else p.read
    touch(buffer, first * wide, [((last - first) * wide, 1)], FLOAT)


@rule("layer_norm")
def _layer_norm(p: Part) -> None:
    first, last = p.of(p.dim(0))
    wide = p.dim(1)
    _rows(p, 0, wide)
    for weight in (1, 2):
        p.read(weight, 0, [(wide if first < last else 0, 1)], FLOAT)
    for to, size in ((3, wide), (4, wide), (5, 1)):
        _rows(p, to, size, write=True)


@rule("layer_norm_grad")
def _layer_norm_grad(p: Part) -> None:
    first, last = p.of(p.dim(0))
    wide = p.dim(1)
    for buffer, size in ((0, wide), (1, 1), (3, wide)):
        _rows(p, buffer, size)
    p.read(2, 0, [(wide if first < last else 0, 1)], FLOAT)
    _rows(p, 4, wide, write=True)


@rule("product_sums")
def _product_sums(p: Part) -> None:
    rows, wide = p.dim(0), p.dim(1)
    first, last = p.of(-(-wide // PANEL))
    for column in range(first * PANEL, min(wide, last * PANEL), PANEL):
        some = min(PANEL, wide - column)
        for buffer in (0, 1) if p.has(2) else (1,):
            p.read(buffer, column, [(rows, wide), (some, 1)], FLOAT)
        for to in (2, 3):
            p.write(to, column, [(some, 1)], FLOAT)


# -------------------------------------------------------------------- attention


def _heads(p: Part) -> Iterator[tuple[int, int]]:
    """Batch and head of every unit."""
    for unit in range(p.first, p.last):
        yield divmod(unit, p.dim(1))


def _vectors(
    p: Part, buffer: int, dims: int, b: int, h: int, size: tuple[int, int], write: bool
) -> None:
    """The vectors of a head: so many of such a width."""
    count, wide = size
    at = b * p.dim(dims) + h * p.dim(dims + 2)
    touch = p.write if write else p.read
    touch(buffer, at, [(count, p.dim(dims + 1)), (wide, 1)], FLOAT)


def _mask(p: Part, b: int, h: int, queries: int, keys: int) -> None:
    at = b * p.dim(18) + h * p.dim(19)
    p.read(3, at, [(queries, p.dim(20)), (keys, 1)], 1)


@rule("attention")
def _attention(p: Part) -> None:
    i, j, d, e = (p.dim(k) for k in range(2, 6))
    for b, h in _heads(p):
        for buffer, dims, size in ((0, 6, (i, d)), (1, 9, (j, d)), (2, 12, (j, e))):
            _vectors(p, buffer, dims, b, h, size, False)
        _mask(p, b, h, i, j)
        p.read(4, 0, [(4, 1)], 4)
        _vectors(p, 5, 15, b, h, (i, e), True)
        p.write(6, (b * p.dim(1) + h) * i * j, [(i * j, 1)], FLOAT)


@rule("attention_grad")
def _attention_grad(p: Part) -> None:
    i, j, d, e = (p.dim(k) for k in range(2, 6))
    scores = p.has(6) or p.has(7)
    for b, h in _heads(p):
        p.read(4, (b * p.dim(1) + h) * i * j, [(i * j, 1)], FLOAT)
        _vectors(p, 5, 15, b, h, (i, e), False)
        if scores:
            _vectors(p, 2, 12, b, h, (j, e), False)
            _mask(p, b, h, i, j)
        if p.has(7):
            _vectors(p, 0, 6, b, h, (i, d), False)
        if p.has(6):
            _vectors(p, 1, 9, b, h, (j, d), False)
        for to, dims, size in ((6, 22, (i, d)), (7, 25, (j, d)), (8, 28, (j, e))):
            _vectors(p, to, dims, b, h, size, True)
