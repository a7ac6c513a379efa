"""The rule of every kernel: what a worker reads and writes (see `accesses`).

Written beside what ``native/src/kernels/*.h`` and ``moves.h`` say of each kernel; tested
against the kernels by ``tests/native/test_plan_accesses.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np

from ranvier.engines.native.accesses import EVERYWHERE, Part, Rule, padded, rule
from ranvier.engines.native.plan import EXTERNAL
from ranvier.engines.native.values import DTYPES, PANEL, itemsize

FLOAT = 4
#: `Part.read` or `Part.write`.
Touch: TypeAlias = Callable[[int, Any, Sequence[tuple[int, int]], int], None]
_SIZES = [itemsize(name) for name in DTYPES]


@rule("batch")
def _batch(p: Part) -> None:
    """The begin of a batch; no kernel."""


@rule("loop")
def _loop(p: Part) -> None:
    """A look at the flag of a loop; no kernel."""
    p.read(0, 0, [], 1)


# ---------------------------------------------------------------- elementwise programs


def collapsed(
    dims: Sequence[int], strides: Sequence[Sequence[int]]
) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    """The iteration space of ``ew_run`` as the core joins its axes (plan.cpp)."""
    dims, steps = list(dims), [list(s) for s in strides]
    for d in range(len(dims) - 1, -1, -1):
        if len(dims) > 1 and dims[d] == 1:
            for own in (dims, *steps):
                del own[d]
    for d in range(len(dims) - 2, -1, -1):
        if all(s[d] == s[d + 1] * dims[d + 1] for s in steps):
            dims[d] *= dims.pop(d + 1)
            for own in steps:
                del own[d]
    return tuple(dims), [tuple(s) for s in steps]


@rule("ew_run")
def _ew_run(p: Part) -> None:
    program = p.step.program
    assert program is not None
    operands = list(p.operands())
    if any(panel for *_, panel in operands):
        height, columns = program.dims
        for q in range(*p.of(-(-columns // PANEL))):
            p.block(0, height, q * PANEL, min(PANEL, columns - q * PANEL), False)
        return
    dims, steps = collapsed(program.dims, [s for *_, s, _ in operands])
    if len(dims) == 1:
        groups = p.of(-(-dims[0] // 64))
        first, last = (min(dims[0], g * 64) for g in groups)
        for (write, buffer, size, *_), (step,) in zip(operands, steps, strict=True):
            touch = p.write if write else p.read
            # One element is stored next to the last one, whatever the stride.
            touch(buffer, first * step, [(last - first, step)], size)
        return
    rows = np.arange(*p.of(math.prod(dims[:-1])))
    if not len(rows) or not dims[-1]:
        return
    index = np.unravel_index(rows, dims[:-1])
    for (write, buffer, size, *_), own in zip(operands, steps, strict=True):
        at = sum((i * s for i, s in zip(index, own[:-1], strict=True)), rows * 0)
        (p.write if write else p.read)(
            buffer, np.unique(at), [(dims[-1], own[-1])], size
        )


# ---------------------------------------------------------------------------- products

BIAS, SIDE, APART, ROW_BIAS = 1, 4 | 8, 16, 32
#: Of a gather: the destination lies by columns; in panels.
BY_COLUMNS, BY_PANELS = 16, 32


def _ranges(p: Part, rows: int) -> Iterator[tuple[int, int, int]]:
    """Panel, first row and end of what a worker computes of a product."""
    per, size, first, last = p.dim(8), p.dim(7), p.first, p.last
    if p.dim(10):
        for panel in range(p.dim(10) if first < last else 0):
            yield panel, first * size, min(rows, last * size)
        return
    while first < last:
        panel = first // per
        end = min(last, (panel + 1) * per)
        yield panel, (first - panel * per) * size, min(rows, (end - panel * per) * size)
        first = end


def _matrix(
    touch: Touch,
    buffer: int,
    height: int,
    wide: int,
    lead: int,
    rows: tuple[int, int],
    columns: tuple[int, int],
) -> None:
    """A block of a float32 matrix: rows `lead` apart, or in panels if that is 0."""
    (r0, r1), (c0, c1) = rows, columns
    if lead:
        touch(buffer, r0 * lead + c0, [(r1 - r0, lead), (c1 - c0, 1)], FLOAT)
        return
    for first in range(c0 // PANEL * PANEL, c1, PANEL):
        lead, start = min(PANEL, padded(wide - first)), max(c0, first)
        axes = [(r1 - r0, lead), (min(c1, first + PANEL) - start, 1)]
        touch(buffer, first * height + r0 * lead + start - first, axes, FLOAT)


def _product(p: Part, rows: int, wide: int, c0: int, r0: int, r1: int) -> None:
    """The epilogue, and what a block of a product is written to."""
    columns, flags = min(PANEL, wide - c0), p.dim(6)
    if flags & BIAS:
        p.read(3, c0, [(columns, 1)], FLOAT)
    if flags & ROW_BIAS:
        p.read(3, r0, [(r1 - r0, 1)], FLOAT)
    if flags & SIDE:
        at, block = 4 if flags & APART else 3, ((r0, r1), (c0, c0 + columns))
        _matrix(p.read, at, rows, wide, p.dim(9), *block)
    if p.step.program is not None:
        p.block(r0, r1 - r0, c0, columns, True)
    else:
        _matrix(p.write, 2, rows, wide, p.dim(5), (r0, r1), (c0, c0 + columns))


@rule("gemm_nn")
def _gemm_nn(p: Part) -> None:
    m, n, k = (p.dim(i) for i in range(3))
    for panel, r0, r1 in _ranges(p, m):
        c0 = panel * PANEL
        columns = min(PANEL, n - c0)
        _matrix(p.read, 0, m, k, p.dim(3), (r0, r1), (0, k))
        if p.dim(4):
            p.read(1, c0, [(k, p.dim(4)), (columns, 1)], FLOAT)
        else:
            p.read(1, c0 * k, [(k * padded(columns), 1)], FLOAT)
        _product(p, m, n, c0, r0, r1)


@rule("gemm_nt")
def _gemm_nt(p: Part) -> None:
    m, n, k = (p.dim(i) for i in range(3))
    for panel, r0, r1 in _ranges(p, m):
        c0 = panel * PANEL
        columns = min(PANEL, k - c0)
        _matrix(p.read, 0, m, n, p.dim(3), (r0, r1), (0, n))
        if p.dim(4):
            p.read(1, c0 * p.dim(4), [(columns, p.dim(4)), (n, 1)], FLOAT)
        else:
            for first in range(0, n, PANEL):
                lead = min(PANEL, padded(n - first))
                p.read(1, first * k + c0 * lead, [(columns * lead, 1)], FLOAT)
        _product(p, m, k, c0, r0, r1)


@rule("gemm_tn")
def _gemm_tn(p: Part) -> None:
    m, n, k = (p.dim(i) for i in range(3))
    parts = p.dim(11)
    if parts:
        for part in range(p.first, p.last):
            rows = (m * part // parts, m * (part + 1) // parts)
            _matrix(p.read, 0, m, k, p.dim(3), rows, (0, k))
            _matrix(p.read, 1, m, n, p.dim(4), rows, (0, n))
            p.write(2, part * p.dim(12), [(k * n, 1)], FLOAT)
        return
    for panel, r0, r1 in _ranges(p, k):
        c0 = panel * PANEL
        _matrix(p.read, 0, m, k, p.dim(3), (0, m), (r0, r1))
        _matrix(p.read, 1, m, n, p.dim(4), (0, m), (c0, min(n, c0 + PANEL)))
        _product(p, k, n, c0, r0, r1)


@rule("gemm_any")
def _gemm_any(p: Part) -> None:
    (m, n, k), rank = (p.dim(i) for i in range(3)), p.dim(9)
    size, per, panels = p.dim(26), p.dim(27), -(-n // PANEL)
    first = p.first
    while first < p.last:
        group = first // per
        end = min(p.last, (group + 1) * per)
        r0 = (first - group * per) * size
        r1 = min(m, (end - group * per) * size)
        batch, panel = divmod(group, panels)
        index: list[int] = []
        for d in reversed(range(rank)):
            batch, i = divmod(batch, p.dim(10 + d))
            index.insert(0, i)
        a, b, c = (
            sum(i * p.dim(base + d) for d, i in enumerate(index))
            for base in (14, 18, 22)
        )
        c0, columns = panel * PANEL, min(PANEL, n - panel * PANEL)
        rows = r1 - r0
        p.read(0, a + r0 * p.dim(3), [(rows, p.dim(3)), (k, p.dim(4))], FLOAT)
        p.read(1, b + c0 * p.dim(6), [(k, p.dim(5)), (columns, p.dim(6))], FLOAT)
        at = c + r0 * p.dim(7) + c0 * p.dim(8)
        p.write(2, at, [(rows, p.dim(7)), (columns, p.dim(8))], FLOAT)
        first = end


# ------------------------------------------------------------------------------ batches


@rule("dots")
def _dots(p: Part) -> None:
    m, n, k, lda, ldb = (p.dim(i) for i in range(5))
    last = min(p.last, m)
    if p.first < p.last:
        p.read(1, 0, [(n, ldb), (k, 1)], FLOAT)
    if p.first < last:
        p.read(0, p.first * lda, [(last - p.first, lda), (k, 1)], FLOAT)
        p.write(2, p.first * n, [((last - p.first) * n, 1)], FLOAT)
    if p.last > m:
        p.write(3, 0, [(n, 1)], FLOAT)


@rule("gather")
def _gather(p: Part) -> None:
    rows, elements = p.dim(0), p.dim(1)
    first, last = p.first, min(p.last, rows)
    if first < last:
        ref = p.step.refs[0]
        whole = np.array([[0, EVERYWHERE]], np.int64)
        p.reads.append(((ref.space, ref.slot if ref.space == EXTERNAL else 0), whole))
        count, size = last - first, _SIZES[p.dim(3)]
        if p.dim(6) & BY_COLUMNS:
            p.write(1, first, [(elements, rows), (count, 1)], size)
        elif p.dim(6) & BY_PANELS:
            _matrix(p.write, 1, rows, elements, 0, (first, last), (0, elements))
        else:
            p.write(1, first * elements, [(count * elements, 1)], size)


@rule("random_bits")
def _random_bits(p: Part) -> None:
    groups = p.of(-(-p.dim(0) // 64))
    first, last = (min(p.dim(0), g * 64) for g in groups)
    if first < last:
        p.read(0, 0, [(4, 1)], 4)
        p.write(1, first, [(last - first, 1)], 1 if p.dim(1) else 4)


# --------------------------------------------------------------------------- reductions


@rule("reduce")
def _reduce(p: Part) -> None:
    outer, n, inner = (p.dim(i) for i in range(3))
    of_x, of_out = _SIZES[p.dim(3)], _SIZES[p.dim(4)]
    panels = -(-inner // PANEL)
    if panels == 1:
        first, last = p.of(outer)
        if p.step.program is None:
            p.read(0, first * n * inner, [((last - first) * n * inner, 1)], of_x)
        elif first < last and inner == 1:
            p.block(first, last - first, 0, n, False)
        elif first < last:
            p.block(first * n, (last - first) * n, 0, inner, False)
        if p.dim(6):
            p.read(1, first * inner, [((last - first) * inner, 1)], of_out)
        p.write(1, first * inner, [((last - first) * inner, 1)], of_out)
        return
    for b in range(*p.of(outer * panels)):
        o, c0 = b // panels, b % panels * PANEL
        columns = min(PANEL, inner - c0)
        if p.step.program is None:
            p.read(0, o * n * inner + c0, [(n, inner), (columns, 1)], of_x)
        else:
            p.block(o * n, n, c0, columns, False)
        if p.dim(6):
            p.read(1, o * inner + c0, [(columns, 1)], of_out)
        p.write(1, o * inner + c0, [(columns, 1)], of_out)


@rule("column_sums")
def _column_sums(p: Part) -> None:
    rows, wide, lead = (p.dim(i) for i in range(3))
    for panel in range(*p.of(-(-wide // PANEL))):
        c0 = panel * PANEL
        columns = min(PANEL, wide - c0)
        _matrix(p.read, 0, rows, wide, lead, (0, rows), (c0, c0 + columns))
        p.write(1, c0, [(columns, 1)], FLOAT)
        p.block(0, 1, c0, columns, False)


@rule("channel_moments", "channel_sums")
def _channels(p: Part) -> None:
    rows, wide, parts = (p.dim(i) for i in range(3))
    if p.first >= p.last:
        return
    first, last = rows * p.first // parts, rows * p.last // parts
    *sources, to = range(2 if p.step.kernel == "channel_moments" else 3)
    for source in sources:
        p.read(source, first * wide, [((last - first) * wide, 1)], FLOAT)
    p.write(to, 2 * p.first * wide, [(2 * (p.last - p.first) * wide, 1)], FLOAT)


@rule("channel_moments_join")
def _channel_moments_join(p: Part) -> None:
    if p.first < p.last:
        wide = p.dim(1)
        p.read(0, 0, [(2 * p.dim(2) * wide, 1)], FLOAT)
        p.write(1, 0, [(wide, 1)], FLOAT)
        p.write(2, 0, [(wide, 1)], FLOAT)


def _lines(first: int, last: int, inner: int) -> Iterator[tuple[int, int, int]]:
    """Lines ``first … last`` of ``[outer, inner]``: outer, first inner, how many."""
    while first < last:
        o, i = divmod(first, inner)
        count = min(last - first, inner - i)
        yield o, i, count
        first += count


@rule("argmax")
def _argmax(p: Part) -> None:
    n, inner = p.dim(1), p.dim(2)
    first, last = p.of(p.dim(0) * inner)
    for o, i, count in _lines(first, last, inner):
        p.read(0, o * n * inner + i, [(n, inner), (count, 1)], _SIZES[p.dim(3)])
    p.write(1, first, [(last - first, 1)], _SIZES[p.dim(4)])


# ------------------------------------------------------------------------------ softmax


def _rows(*reads: int, to: int, axis: int = 1) -> Rule:
    def rows(p: Part) -> None:
        first, last = p.of(p.dim(0))
        count = (last - first) * p.dim(axis)
        for buffer in reads:
            p.read(buffer, first * p.dim(axis), [(count, 1)], FLOAT)
        p.write(to, first * p.dim(axis), [(count, 1)], FLOAT)

    return rows


rule("softmax")(_rows(0, to=1))
rule("softmax_grad", "log_softmax_grad")(_rows(0, 1, to=2))


@rule("softmax_ce")
def _softmax_ce(p: Part) -> None:
    _rows(0, 1, to=3)(p)
    first, last = p.of(p.dim(0))
    p.write(2, first, [(last - first, 1)], FLOAT)


@rule("sparse_softmax_ce")
def _sparse_softmax_ce(p: Part) -> None:
    _rows(0, to=3)(p)
    first, last = p.of(p.dim(0))
    p.read(1, first, [(last - first, 1)], _SIZES[p.dim(2)])
    p.write(2, first, [(last - first, 1)], FLOAT)


@rule("sparse_softmax_ce_grad")
def _sparse_softmax_ce_grad(p: Part) -> None:
    _rows(0, to=3)(p)
    first, last = p.of(p.dim(0))
    p.read(1, first, [(last - first, 1)], _SIZES[p.dim(2)])
    p.read(2, first * p.dim(3), [(last - first, p.dim(3))], FLOAT)


# ---------------------------------------------------------------- moves, indices, checks


@rule("copy_strided")
def _copy_strided(p: Part) -> None:
    rank, size = p.dim(0), p.dim(1)
    if rank == 0:
        if p.first == 0 < p.last:
            p.read(0, 0, [], size)
            p.write(1, 0, [], size)
        return
    sizes = [p.dim(2 + d) for d in range(rank)]
    rows = np.arange(*p.of(math.prod(sizes[:-1])))
    if not len(rows):
        return
    index = np.unravel_index(rows, sizes[:-1]) if rank > 1 else ()
    for base, buffer, touch in ((8, 0, p.read), (14, 1, p.write)):
        at = sum((i * p.dim(base + d) for d, i in enumerate(index)), rows * 0)
        touch(buffer, at, [(sizes[-1], p.dim(base + rank - 1))], size)


@rule("fill")
def _fill(p: Part) -> None:
    first, last = p.of(p.dim(0))
    p.write(0, first, [(last - first, 1)], _SIZES[p.dim(1)])


@rule("iota")
def _iota(p: Part) -> None:
    first, last = p.of(p.dim(0) * p.dim(1))
    p.write(0, first * p.dim(2), [((last - first) * p.dim(2), 1)], _SIZES[p.dim(3)])


@rule("take")
def _take(p: Part) -> None:
    outer, n, inner, k = (p.dim(i) for i in range(4))
    first, last = p.of(outer * k)
    if first >= last:
        return
    o0, o1 = first // k, (last - 1) // k + 1
    p.read(0, o0 * n * inner, [((o1 - o0) * n * inner, 1)], p.dim(5))
    p.read(1, 0, [(k, 1)], _SIZES[p.dim(4)])
    p.write(2, first * inner, [((last - first) * inner, 1)], p.dim(5))


@rule("scatter_add")
def _scatter_add(p: Part) -> None:
    outer, n, inner, k = (p.dim(i) for i in range(4))
    first, last = p.of(n)
    if first >= last:
        return
    size = _SIZES[p.dim(8)]
    p.read(0, 0, [(k, 1)], _SIZES[p.dim(4)])
    p.read(1, 0, [(outer * k * inner, 1)], size)
    own = [(outer, n * inner), ((last - first) * inner, 1)]
    p.read(2, first * inner, own, size)
    p.write(2, first * inner, own, size)


def _along(p: Part, size: int, n: int, buffer: int, write: bool) -> None:
    """This worker's lines of ``[outer, n, inner]``."""
    inner = p.dim(2)
    for o, i, count in _lines(*p.of(p.dim(0) * inner), inner):
        touch = p.write if write else p.read
        touch(buffer, o * n * inner + i, [(n, inner), (count, 1)], size)


@rule("take_along")
def _take_along(p: Part) -> None:
    n, k, size = p.dim(1), p.dim(3), p.dim(5)
    _along(p, size, n, 0, False)
    _along(p, _SIZES[p.dim(4)], k, 1, False)
    _along(p, size, k, 2, True)


@rule("add_along")
def _add_along(p: Part) -> None:
    n, k, size = p.dim(1), p.dim(3), _SIZES[p.dim(8)]
    _along(p, _SIZES[p.dim(4)], k, 0, False)
    _along(p, size, k, 1, False)
    _along(p, size, n, 2, False)
    _along(p, size, n, 2, True)


@rule("cumulate")
def _cumulate(p: Part) -> None:
    _along(p, _SIZES[p.dim(3)], p.dim(1), 0, False)
    _along(p, _SIZES[p.dim(3)], p.dim(1), 1, True)


@rule("argsort")
def _argsort(p: Part) -> None:
    n, first = p.dim(1), p.dim(6)
    kept = first if 0 < first < n else n
    _along(p, _SIZES[p.dim(3)], n, 0, False)
    _along(p, _SIZES[p.dim(4)], kept, 1, True)
    _along(p, _SIZES[p.dim(3)], kept, 2, True)


@rule("check_range", "check_finite")
def _check(p: Part) -> None:
    first, last = p.of(p.dim(0))
    p.read(0, first, [(last - first, 1)], _SIZES[p.dim(1)])


@rule("panels_in", "panels_out")
def _panels(p: Part) -> None:
    rows, wide, lead, size = (p.dim(i) for i in range(4))
    to_panels = p.step.kernel == "panels_in"
    for panel in range(*p.of(-(-wide // PANEL))):
        c0 = panel * PANEL
        columns = min(PANEL, wide - c0)
        dense = (c0, [(rows, lead), (columns, 1)], size)
        stored = (c0 * rows, [(rows * padded(columns), 1)], size)
        p.read(0, *(dense if to_panels else stored))
        p.write(1, *(stored if to_panels else dense))


@rule("count_step")
def _count_step(p: Part) -> None:
    if p.worker == 0:
        p.read(0, 0, [], 8)
        p.write(0, 0, [], 8)
