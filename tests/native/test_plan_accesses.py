"""What steps touch, said by rules and shown by the kernels; and plans without races."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from layouts import panel_size
from plan_proofs import WORKERS, Memory, obeys
from sequence_steps import CASES as SEQUENCES
from window_steps import CASES as WINDOWS

from ranvier import _native
from ranvier.engines.native import races  # noqa: F401  (fills the table)
from ranvier.engines.native.accesses import RULES, spans
from ranvier.engines.native.plan import ACC, Elementwise, PlanBuilder, Ref

Array = np.ndarray[Any, Any]
DTYPE = {name: i for i, name in enumerate(_native.dtypes())}
F32, I32, I64 = DTYPE["float32"], DTYPE["int32"], DTYPE["int64"]
RNG = np.random.default_rng(7)


def f32(*shape: int) -> Array:
    return RNG.normal(size=shape).astype("float32")


def ints(high: int, *shape: int) -> Array:
    return RNG.integers(0, high, shape).astype("int32")


Case = tuple[list[Array | None], list[int], list[float], int, Elementwise | None]
CASES: dict[str, Callable[[], Iterator[Case]]] = {}


def case(fn: Callable[[], Iterator[Case]]) -> Callable[[], Iterator[Case]]:
    """Arguments to try a kernel with; the kernel is named as the function is."""
    CASES[fn.__name__.removesuffix("_")] = fn
    return fn


def proven(kernel: str, arguments: Case, workers: int, **run: Any) -> None:
    """Runs one step; buffers that are the same array are the same memory."""
    bufs, dims, scalars, units, program = arguments
    b = PlanBuilder()
    slots: list[Array] = []
    known: dict[int, Ref] = {}
    refs: list[Ref | None] = []
    for array in bufs:
        if array is not None and id(array) not in known:
            strided = not array.flags.c_contiguous
            size = 0 if strided else array.nbytes
            known[id(array)] = b.external(size, writable=not strided, strided=strided)
            slots.append(array)
        refs.append(None if array is None else known[id(array)])
    step = b.step(kernel, refs, dims, scalars, units=units, program=program)
    obeys(Memory(b, slots), step, workers, **run)


# --------------------------------------------------------------------------- the cases


@case
def ew_run() -> Iterator[Case]:
    for shape, units in [((1000,), 9), ((130,), 2), ((7, 5, 33), 6), ((1, 64), 3)]:
        e = Elementwise(shape)
        total = e.op("add", e.load(0), e.load(1, strides=(0,) * len(shape)))
        e.store(total, 2)
        yield [f32(*shape), f32(1), f32(*shape)], [], [], units, e
    e = Elementwise((40, 50))  # turned, a part of a row, a row for all
    a, row = e.load(0, strides=(1, 40)), e.load(1, strides=(0, 2))
    e.store(e.op("mul", a, row), 2, strides=(60, 1))
    yield [f32(50, 40), f32(100), f32(40, 60)], [], [], 5, e
    e = Elementwise((70,))  # a column
    e.store(e.op("neg", e.load(0, strides=(3,))), 1, strides=(2,))
    yield [f32(210), f32(140)], [], [], 2, e
    for columns in (64, 100, 130):
        e = Elementwise((20, columns))
        w = e.load(0, panel=True)
        e.store(e.op("sub", w, e.load(1)), 0, panel=True)
        yield [f32(panel_size(20, columns)), f32(20, columns)], [], [], 3, e


def _update(rows: int, columns: int, first: int) -> tuple[Elementwise, list[Array]]:
    """Adam on panels behind a product."""
    e = Elementwise((rows, columns))
    state = [(first + i, None, True) for i in range(3)]
    e.adam(state, (ACC, (0, 0), False), [0.01, 0.1, 0.001, 1e-7])
    size = panel_size(rows, columns)
    return e, [f32(size), f32(size), np.abs(f32(size))]


def _divisions(rows: int, columns: int) -> Iterator[tuple[list[int], int]]:
    """Integers 7, 8 and 10 of a product, and its units."""
    panels = -(-columns // 64)
    for per in (rows, 7, 64):
        blocks = -(-rows // per)
        yield [per, blocks, 0], panels * blocks
    yield [5, -(-rows // 5), panels], -(-rows // 5)


SIZES = [(9, 10, 33), (1, 70, 5), (33, 130, 70), (2, 64, 100), (200, 65, 20)]


@case
def gemm_nn() -> Iterator[Case]:
    for m, n, k in SIZES:
        for division, units in _divisions(m, n):
            per, blocks, panels = division
            for flags in (0, 3, 8, 21, 34):
                tail = [per, blocks, n, panels]
                extra = [f32(n), f32(m, n)] if flags & 1 else [f32(m, n), None]
                extra = _row_bias(m, n) if flags & 32 else extra
                bufs = [f32(m, k), f32(k, n), f32(m, n), *extra]
                yield bufs, [m, n, k, k, n, n, flags, *tail], [], units, None
                bufs = [f32(m, k), f32(panel_size(k, n)), f32(m, n), *extra]
                yield bufs, [m, n, k, k, 0, n, flags, *tail], [], units, None
                bufs = _panels(bufs, {0: (m, k), 2: (m, n), 3: (m, n), 4: (m, n)})
                tail[2] = 0
                yield bufs, [m, n, k, 0, 0, 0, flags, *tail], [], units, None
            e = Elementwise((m, n))
            e.store(e.op("tanh", e.load(ACC, strides=(0, 0))), 3)
            bufs = [f32(m, k), f32(k, n), None, f32(m, n)]
            yield bufs, [m, n, k, k, n, n, 0, *tail], [], units, e


def _panels(bufs: list[Array | None], shapes: dict[int, Any]) -> list[Array | None]:
    """The same operands; those of these shapes in panels."""
    return [
        f32(panel_size(*shapes[i])) if a is not None and a.shape == shapes.get(i) else a
        for i, a in enumerate(bufs)
    ]


def _row_bias(m: int, n: int) -> list[Array | None]:
    return [f32(m), f32(m, n)]


@case
def dots() -> Iterator[Case]:
    for m, n, k in [(3, 6, 32), (7, 1, 40), (6, 15, 33), (1, 2, 100)]:
        for bias in (0, 1):
            bufs = [f32(m, k), f32(n, k), f32(m, n), f32(n) if bias else None]
            yield bufs, [m, n, k, k, k], [], m + bias, None


@case
def gemm_nt() -> Iterator[Case]:
    for m, n, k in [*SIZES, (40, 130, 90), (30, 200, 300)]:
        for division, units in _divisions(m, k):
            per, blocks, panels = division
            for flags in (0, 4, 8):
                tail = [flags, per, blocks, k, panels]
                bufs = [f32(m, n), f32(k, n), f32(m, k), f32(m, k)]
                yield bufs, [m, n, k, n, n, k, *tail], [], units, None
                bufs = [f32(m, n), f32(panel_size(k, n)), f32(m, k), f32(m, k)]
                yield bufs, [m, n, k, n, 0, k, *tail], [], units, None
                bufs = _panels(bufs, {0: (m, n), 2: (m, k), 3: (m, k)})
                tail[3] = 0
                yield bufs, [m, n, k, 0, 0, 0, *tail], [], units, None


@case
def gemm_tn() -> Iterator[Case]:
    for m, n, k in [*SIZES, (300, 70, 40), (1, 200, 90)]:
        for division, units in _divisions(k, n):
            per, blocks, panels = division
            tail = [0, per, blocks, 0, panels]
            bufs = [f32(m, k), f32(m, n), f32(k, n), None]
            yield bufs, [m, n, k, k, n, n, *tail], [], units, None
            bufs = [f32(m, k), f32(m, n), f32(panel_size(k, n)), None]
            yield bufs, [m, n, k, k, n, 0, *tail], [], units, None
            bufs = _panels(bufs, {0: (m, k), 1: (m, n)})
            yield bufs, [m, n, k, 0, 0, 0, *tail], [], units, None
            e, state = _update(k, n, 3)
            bufs = [f32(m, k), f32(m, n), None, *state]
            yield bufs, [m, n, k, k, n, 0, *tail], [], units, e


@case
def gemm_any() -> Iterator[Case]:
    for m, n, k in [(5, 70, 9), (33, 10, 64)]:
        for ar, ak in ((k, 1), (1, m)):
            for br, bk in ((n, 1), (1, k)):
                per, panels = 4, -(-n // 64)
                dims = [m, n, k, ar, ak, br, bk, n, 1, 2, 2, 3, 0, 0]
                dims += [m * k, 0, 0, 0, 3 * k * n, k * n, 0, 0, 3 * m * n, m * n, 0, 0]
                dims += [per, -(-m // per)]
                bufs: list[Array | None] = [f32(2, m, k), f32(6, k, n), f32(6, m, n)]
                yield bufs, dims, [], 6 * panels * dims[-1], None


@case
def gather() -> Iterator[Case]:
    for source in (
        f32(50, 7),
        ints(9, 50, 3, 4).astype("uint8"),
        f32(50, 4, 6)[:, ::2],
    ):
        row = source.shape[1:]
        dims = [12, int(np.prod(row)), DTYPE[str(source.dtype)], F32]
        dims += [source.strides[0], len(row), 0, 0, 0, 0, 0, *row]
        dims += [0] * (17 - len(dims)) + list(source.strides[1:])
        yield [source, f32(12, int(np.prod(row)))], dims, [], 12, None
    source = f32(50, 5)
    dims = [12, 5, F32, F32, 20, 1, 16, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 4]
    yield [source, f32(5, 12)], dims, [], 12, None
    for source in (f32(50, 130), ints(99, 50, 70).astype("uint8")):
        wide = source.shape[1]
        dims = [12, wide, DTYPE[str(source.dtype)], F32, source.strides[0], 1, 32]
        dims += [0, 0, 0, 0, wide, 0, 0, 0, 0, 0, source.itemsize]
        yield [source, f32(panel_size(12, wide))], dims, [], 12, None


@case
def random_bits() -> Iterator[Case]:
    for n in (1, 63, 1000):
        yield [ints(99, 4), ints(9, n)], [n, 0, 0], [], 5, None
        yield [ints(99, 4), np.zeros(n, "uint8")], [n, 1, 9], [], 5, None


@case
def reduce() -> Iterator[Case]:
    for outer, n, inner in [(20, 7, 1), (3, 9, 130), (1, 600, 1), (5, 4, 10)]:
        for what in (0, 2):
            dims = [outer, n, inner, F32, F32, what, 0]
            bufs: list[Array | None] = [f32(outer, n, inner), f32(outer, inner)]
            yield bufs, dims, [], 4, None
        yield bufs, [outer, n, inner, F32, F32, 0, 1], [], 3, None
        x = ints(9, outer, n, inner)
        yield [x, ints(9, outer, inner)], [outer, n, inner, I32, I32, 0, 0], [], 4, None
        e = Elementwise((outer, n) if inner == 1 else (outer * n, inner))
        e.store(e.op("square", e.load(2)), ACC, strides=(0, 0))
        bufs = [None, f32(outer, inner), f32(outer, n, inner)]
        yield bufs, [outer, n, inner, F32, F32, 0, 0], [], 4, e


@case
def column_sums() -> Iterator[Case]:
    for m, n in [(9, 10), (30, 200), (1, 65)]:
        yield [f32(m, n), f32(n)], [m, n, n], [], -(-n // 64), None
        yield [f32(panel_size(m, n)), f32(n)], [m, n, 0], [], -(-n // 64), None
        e = Elementwise((1, n))
        e.store(e.op("sub", e.load(2), e.load(ACC, strides=(0, 0))), 2)
        yield [f32(m, n), None, f32(n)], [m, n, n], [], -(-n // 64), e


@case
def argmax() -> Iterator[Case]:
    for outer, n, inner in [(20, 7, 1), (3, 9, 13)]:
        for to in ("int32", "int64"):
            dims = [outer, n, inner, F32, DTYPE[to], 0]
            bufs: list[Array | None] = [f32(outer, n, inner)]
            yield [*bufs, np.zeros((outer, inner), to)], dims, [], 6, None


@case
def softmax() -> Iterator[Case]:
    for m, n in [(9, 10), (70, 3), (5, 600)]:
        for log in (0, 1):
            yield [f32(m, n), f32(m, n)], [m, n, log], [], min(m, 64), None


def _gradient() -> Iterator[Case]:
    for m, n in [(9, 10), (70, 3), (5, 600)]:
        yield [f32(m, n), f32(m, n), f32(m, n)], [m, n], [], min(m, 64), None


CASES["softmax_grad"] = CASES["log_softmax_grad"] = _gradient


@case
def softmax_ce() -> Iterator[Case]:
    for m, n in [(9, 10), (70, 3), (5, 600)]:
        bufs = [f32(m, n), f32(m, n), f32(m), f32(m, n)]
        yield bufs, [m, n], [], min(m, 64), None
        yield [*bufs[:3], None], [m, n], [], min(m, 64), None


@case
def channel_moments() -> Iterator[Case]:
    for rows, columns, parts in [(40, 3, 5), (900, 17, 7), (70, 130, 1)]:
        bufs: list[Array | None] = [f32(rows, columns), f32(parts, 2, columns)]
        yield bufs, [rows, columns, parts], [], parts, None


@case
def channel_moments_join() -> Iterator[Case]:
    for rows, columns, parts in [(40, 3, 5), (900, 17, 7), (70, 130, 1)]:
        bufs: list[Array | None] = [f32(parts, 2, columns), f32(columns), f32(columns)]
        yield bufs, [rows, columns, parts], [], 1, None


@case
def channel_sums() -> Iterator[Case]:
    for rows, columns, parts in [(40, 3, 5), (900, 17, 7), (70, 130, 1)]:
        x = [f32(rows, columns) for _ in range(2)]
        bufs: list[Array | None] = [*x, f32(parts, 2, columns)]
        yield bufs, [rows, columns, parts], [], parts, None


@case
def sparse_softmax_ce() -> Iterator[Case]:
    for m, n in [(9, 10), (70, 3), (100, 1), (5, 600)]:
        bufs = [f32(m, n), ints(n, m), f32(m), f32(m, n)]
        for some in (bufs, [*bufs[:3], None], [*bufs[:2], None, bufs[3]]):
            yield some, [m, n, I32], [], min(m, 64), None


@case
def sparse_softmax_ce_grad() -> Iterator[Case]:
    for m, n in [(9, 10), (70, 3), (100, 1)]:
        for each in (0, 1):
            p = f32(m, n)
            bufs: list[Array | None] = [p, ints(n, m), f32(m), f32(m, n)]
            yield bufs, [m, n, I32, each], [], min(m, 64), None
            yield [*bufs[:3], p], [m, n, I32, each], [], min(m, 64), None


@case
def copy_strided() -> Iterator[Case]:
    for sizes, source, to in [
        ((4, 30), (1, 4), (30, 1)),
        ((40, 33), (1, 40), (33, 1)),
        ((3, 5, 7), (0, 7, 1), (35, 7, 1)),
        ((50,), (1,), (2,)),
        ((), (), ()),
    ]:
        pad = [0] * (6 - len(sizes))
        dims = [len(sizes), 4, *sizes, *pad, *source, *pad, *to, *pad]
        yield [f32(2000), f32(2000)], dims, [], 3, None


@case
def fill() -> Iterator[Case]:
    for value in (0.0, 2.5):
        yield [f32(100)], [100, F32], [value], 7, None


@case
def iota() -> Iterator[Case]:
    yield [f32(3, 40, 2)], [3, 40, 2, F32], [1.0, 2.0], 7, None


def _around(*more: int) -> list[int]:
    return [3, 11, 4, 6, I32, 4, 111, -1, *more]


@case
def take() -> Iterator[Case]:
    yield [f32(3, 11, 4), ints(11, 6), f32(3, 6, 4)], _around(), [], 9, None


@case
def scatter_add() -> Iterator[Case]:
    for clear in (0, 1):
        bufs: list[Array | None] = [ints(11, 6), f32(3, 6, 4), f32(3, 11, 4)]
        yield bufs, _around(F32, clear), [], 11, None


@case
def take_along() -> Iterator[Case]:
    yield [f32(3, 11, 4), ints(11, 3, 6, 4), f32(3, 6, 4)], _around(), [], 9, None


@case
def add_along() -> Iterator[Case]:
    for clear in (0, 1):
        bufs: list[Array | None] = [ints(11, 3, 6, 4), f32(3, 6, 4), f32(3, 11, 4)]
        yield bufs, _around(F32, clear), [], 12, None


@case
def cumulate() -> Iterator[Case]:
    for flags in range(4):
        yield [f32(3, 11, 4), f32(3, 11, 4)], [3, 11, 4, F32, 0, flags], [], 9, None


@case
def argsort() -> Iterator[Case]:
    for first in (0, 3):
        kept = first or 11
        dims = [3, 11, 4, F32, I64, 1, first]
        order = np.zeros((3, kept, 4), "int64")
        yield [f32(3, 11, 4), order, f32(3, kept, 4)], dims, [], 9, None


@case
def check_range() -> Iterator[Case]:
    yield [ints(9, 100)], [100, I32, 0, 9, 0, 0, 0, 0, 1], [], 5, None


@case
def check_finite() -> Iterator[Case]:
    yield [f32(100)], [100, F32, 0, 0], [], 5, None


@case
def panels_in() -> Iterator[Case]:
    for n in (10, 64, 130):
        bufs: list[Array | None] = [f32(20, n + 3), f32(panel_size(20, n))]
        yield bufs, [20, n, n + 3, 4], [], 2, None


@case
def panels_out() -> Iterator[Case]:
    for n in (10, 64, 130):
        bufs: list[Array | None] = [f32(panel_size(20, n)), f32(20, n + 3)]
        yield bufs, [20, n, n + 3, 4], [], 2, None


@case
def count_step() -> Iterator[Case]:
    yield [np.zeros(4, "int64")], [1], [], 1, None


# --------------------------------------------------------------------------- the tests


CASES |= WINDOWS | SEQUENCES


def test_every_kernel_has_a_rule_and_cases() -> None:
    kernels = set(_native.kernels())
    assert set(RULES) - {"batch", "loop"} == kernels
    assert set(CASES) == kernels


@pytest.mark.parametrize("kernel", sorted(CASES))
def test_kernels_touch_what_their_rule_says(kernel: str) -> None:
    run = {"n_rows": 12, "rows": np.arange(40, 28, -1)} if kernel == "gather" else {}
    for arguments in CASES[kernel]():
        for workers in WORKERS:
            proven(kernel, arguments, workers, **run)


def test_a_wrong_rule_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules that leave a write or a read out, or share otherwise than the kernel."""
    honest = RULES["gemm_nn"]

    def forgets(which: str) -> Callable[[Any], None]:
        def rule(part: Any) -> None:
            honest(part)
            getattr(part, which).pop(0)

        return rule

    def shifted(part: Any) -> None:
        part.first, part.last = part.first + 1, part.last + 1
        honest(part)

    arguments = next(gemm_nn())
    for rule, what in [
        (forgets("writes"), "writes byte"),
        (forgets("reads"), "more than it reads"),
        (shifted, "byte"),
    ]:
        monkeypatch.setitem(RULES, "gemm_nn", rule)
        with pytest.raises(AssertionError, match=what):
            proven("gemm_nn", arguments, 1)


@pytest.mark.parametrize(
    ("start", "axes", "size", "found"),
    [
        (8, [(3, 4)], 4, [(8, 20)]),
        (8, [(3, 8)], 4, [(8, 12), (16, 20), (24, 28)]),
        (0, [(2, 100), (3, 4)], 4, [(0, 12), (100, 112)]),
        (40, [(3, -4)], 4, [(32, 44)]),
        (0, [(5, 0)], 8, [(0, 8)]),
        (0, [(5, 4), (0, 4)], 4, []),
    ],
)
def test_stretches_of_memory(
    start: int, axes: Sequence[Any], size: int, found: list[tuple[int, int]]
) -> None:
    assert sorted(map(tuple, spans(start, axes, size).tolist())) == found
