"""Each kernel against NumPy, with the same bits for every worker count and vector width."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from layouts import from_panels, panel_size, philox_words, to_panels

from ranvier import _native
from ranvier.engines.native.plan import ACC, Elementwise, shuffle_order
from ranvier.graph.ops.random import permutation

ISAS = _native.isas()
WORKERS = [1, 2, 3, 8]
DTYPE = {name: i for i, name in enumerate(_native.dtypes())}
RNG = np.random.default_rng


def code(array):
    return DTYPE[str(array.dtype)]


def everywhere(call):
    """Runs `call(isa, workers)` for all pairs; results must be equal bit for bit.

    The baseline has no fused multiply-add, so it is held only to itself.
    """
    kept = {}
    for isa in ISAS:
        for workers in WORKERS if isa == ISAS[-1] else [1, 2]:
            got = [np.ascontiguousarray(a) for a in call(isa, workers)]
            key = "base" if isa == "base" else "fma"
            first = kept.setdefault(key, got)
            for a, b in zip(first, got, strict=True):
                assert a.tobytes() == b.tobytes(), (isa, workers)
    return kept[key]


def kernel(name, bufs, dims, *, isa, workers, units=5, **more):
    fault = _native.call_kernel(
        name,
        bufs,
        [int(d) for d in dims],
        units=units,
        workers=workers,
        isa=isa,
        **more,
    )
    assert fault is None


SHAPES = [(1, 1, 1), (1, 7, 1), (3, 16, 1), (5, 65, 1), (2, 1000, 1), (1, 33, 10),
          (1, 5, 64), (2, 18, 130), (1, 512, 3), (0, 4, 1), (1, 3000, 17)]  # fmt: skip
REDUCTIONS = ["sum", "mean", "max", "min", "prod"]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("op", REDUCTIONS)
def test_reduce(shape, op):
    x = RNG(0).uniform(0.5, 1.5, shape).astype("f4")

    def call(isa, workers):
        out = np.full((shape[0], shape[2]), 9, "f4")
        dims = [*shape, 0, 0, REDUCTIONS.index(op), 0]
        kernel("reduce", [x, out], dims, isa=isa, workers=workers)
        return [out]

    (got,) = everywhere(call)
    with np.errstate(over="ignore"):
        want = getattr(np, op)(x.astype("f8"), axis=1)
    np.testing.assert_allclose(
        got, want.astype("f4"), rtol=2e-5 if op == "prod" else 2e-6, atol=1e-37
    )


def test_reduce_passes_nan_on_and_joins():
    x = np.array([[1, np.nan, 3], [4, 5, 6]], "f4")
    for isa in ISAS:
        out = np.array([10, 20], "f4")
        kernel("reduce", [x, out], [2, 3, 1, 0, 0, 2, 0], isa=isa, workers=1)
        np.testing.assert_array_equal(out, np.array([np.nan, 6], "f4"))
        out = np.array([10, 20], "f4")
        kernel("reduce", [x[1:], out[1:]], [1, 3, 1, 0, 0, 0, 1], isa=isa, workers=1)
        np.testing.assert_array_equal(out, [10, 35])


@pytest.mark.parametrize("pair", [("float32", "float64"), ("float64", "float64"),
                                  ("int32", "int32"), ("int64", "int64"),
                                  ("bool", "int64"), ("float64", "float32")])  # fmt: skip
def test_reduce_other_types(pair):
    x = RNG(1).integers(0, 5, (3, 40, 70)).astype(pair[0])
    for op, name in [(0, "sum"), (2, "max"), (3, "min")]:

        def call(isa, workers, op=op):
            out = np.zeros((3, 70), pair[1])
            dims = [3, 40, 70, code(x), code(out), op, 0]
            kernel("reduce", [x, out], dims, isa=isa, workers=workers)
            return [out]

        (got,) = everywhere(call)
        np.testing.assert_array_equal(got, getattr(np, name)(x, axis=1).astype(pair[1]))


def test_any_and_all():
    x = RNG(2).random((4, 6)) > 0.6
    x[1] = True
    for op, f in [(5, np.any), (6, np.all)]:
        out = np.zeros(4, bool)
        dims = [4, 6, 1, code(x), code(out), op, 0]
        kernel("reduce", [x, out], dims, isa="", workers=2)
        np.testing.assert_array_equal(out, f(x, axis=1))


@pytest.mark.parametrize("shape", [(3, 50, 1), (2, 1300, 1), (1, 33, 70), (2, 9, 130)])
def test_reduce_of_a_program(shape):
    outer, n, inner = shape
    x, y = RNG(3).normal(size=(2, *shape)).astype("f4")
    space = (outer, n) if inner == 1 else (outer * n, inner)

    def call(isa, workers):
        e = Elementwise(space)
        e.store(e.op("mul", e.load(2), e.load(3)), ACC)
        out = np.zeros((outer, inner), "f4")
        dims = [*shape, 0, 0, 0, 0]
        bufs = [None, out, x, y]
        kernel("reduce", bufs, dims, isa=isa, workers=workers, program=e.data())
        plain = np.zeros_like(out)
        kernel("reduce", [x * y, plain], dims, isa=isa, workers=workers)
        np.testing.assert_array_equal(out, plain)
        return [out]

    (got,) = everywhere(call)
    np.testing.assert_allclose(got, (x * y).astype("f8").sum(1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 3), (32, 10), (37, 130), (512, 64)])
def test_column_sums_with_an_update(shape):
    x = RNG(4).normal(size=shape).astype("f4")
    bias = RNG(5).normal(size=shape[1]).astype("f4")

    def call(isa, workers):
        e = Elementwise((1, shape[1]))
        g = e.load(ACC)
        e.store(e.op("sub", e.load(2), e.op("mul", g, e.constant(0.1))), 2)
        out, b = np.zeros(shape[1], "f4"), bias.copy()
        dims = [*shape, shape[1]]
        kernel(
            "column_sums", [x, out, b], dims, isa=isa, workers=workers, program=e.data()
        )
        return [out, b]

    out, b = everywhere(call)
    np.testing.assert_allclose(out, x.astype("f8").sum(0), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(b, bias - out * np.float32(0.1))


@pytest.mark.parametrize("dtype", ["float32", "int64", "uint8"])
@pytest.mark.parametrize("least", [0, 1])
def test_argmax(dtype, least):
    x = RNG(6).integers(0, 6, (3, 10, 4)).astype(dtype)

    def call(isa, workers):
        out = np.zeros((3, 4), "i4")
        dims = [3, 10, 4, code(x), code(out), least]
        kernel("argmax", [x, out], dims, isa=isa, workers=workers)
        return [out]

    (got,) = everywhere(call)
    np.testing.assert_array_equal(got, (np.argmin if least else np.argmax)(x, axis=1))


@pytest.mark.parametrize(
    "shape", [(1, 1), (5, 3), (33, 10), (4, 16), (3, 100), (2, 1500)]
)
def test_softmax_family(shape):
    rows, columns = shape
    x = RNG(7).normal(size=shape).astype("f4") * 4
    g = RNG(8).normal(size=shape).astype("f4")
    labels = RNG(9).integers(0, columns, rows).astype("i4")
    target = RNG(10).random(shape).astype("f4")
    scale = RNG(11).random(rows).astype("f4")

    def call(isa, workers):
        def run(name, bufs, dims):
            kernel(name, bufs, dims, isa=isa, workers=workers)

        p, lp, dp, dlp = (np.zeros(shape, "f4") for _ in range(4))
        run("softmax", [x, p], [*shape, 0])
        run("softmax", [x, lp], [*shape, 1])
        run("softmax_grad", [p, g, dp], shape)
        run("log_softmax_grad", [lp, g, dlp], shape)
        loss, loss2 = np.zeros(rows, "f4"), np.zeros(rows, "f4")
        p2, p3, d = (np.zeros(shape, "f4") for _ in range(3))
        run("sparse_softmax_ce", [x, labels, loss, p2], [*shape, code(labels)])
        alone = np.zeros(rows, "f4")
        run("sparse_softmax_ce", [x, labels, alone, None], [*shape, code(labels)])
        np.testing.assert_array_equal(alone, loss)
        run("sparse_softmax_ce_grad", [p2, labels, scale, d], [*shape, code(labels), 1])
        run("softmax_ce", [x, target, loss2, p3], shape)
        np.testing.assert_array_equal(p, p2)
        np.testing.assert_array_equal(p, p3)
        np.testing.assert_array_equal(loss, -lp[np.arange(rows), labels])
        return [p, lp, dp, dlp, loss, loss2, d]

    p, lp, dp, dlp, loss, loss2, d = everywhere(call)
    wide = x.astype("f8")
    logp = wide - wide.max(1, keepdims=True)
    logp -= np.log(np.exp(logp).sum(1, keepdims=True))
    q = np.exp(logp)
    close = {"rtol": 3e-5, "atol": 2e-6}
    np.testing.assert_allclose(p, q, **close)
    np.testing.assert_allclose(lp, logp, **close)
    np.testing.assert_allclose(dp, q * (g - (g * q).sum(1, keepdims=True)), **close)
    np.testing.assert_allclose(
        dlp, g - q * g.sum(1, keepdims=True), rtol=1e-4, atol=2e-5
    )
    np.testing.assert_allclose(loss, -logp[np.arange(rows), labels], **close)
    np.testing.assert_allclose(loss2, -(target * logp).sum(1), rtol=3e-5, atol=1e-5)
    onehot = np.eye(columns)[labels]
    np.testing.assert_allclose(d, (q - onehot) * scale[:, None], **close)


SOURCES = ["uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
           "float16", "float32", "float64", "bool"]  # fmt: skip


def gather(
    source, rows, out, *, isa="", workers=1, flags=0, low=0, high=0, source_id=0
):
    dims = [len(rows), int(np.prod(source.shape[1:])), code(source), code(out),
            source.strides[0], source.ndim - 1, flags, source_id, low, high, 0]  # fmt: skip
    dims += [*source.shape[1:], *[0] * (6 - source.ndim + 1)]
    dims += [*source.strides[1:]]
    return _native.call_kernel("gather", [source, out], dims, units=len(rows),
                               workers=workers, isa=isa, rows=rows, n_rows=len(rows))  # fmt: skip


@pytest.mark.parametrize("dtype", SOURCES)
@pytest.mark.parametrize("target", ["float32", "float64", "int32", "int64"])
def test_gather_converts(dtype, target):
    x = RNG(12).integers(0, 100, (50, 7, 3)).astype(dtype)
    rows = RNG(13).integers(0, 50, 33)
    views = [
        x,
        x[:, ::2],
        x[:, :, 1:],
        x[::2][:25].repeat(2, axis=0),
        x.transpose(0, 2, 1),
    ]

    def call(isa, workers):
        outs = []
        for view in views:
            out = np.zeros((33, *view.shape[1:]), target)
            assert gather(view, rows, out, isa=isa, workers=workers) is None
            np.testing.assert_array_equal(out, view[rows].astype(target))
            outs.append(out)
        return outs

    everywhere(call)


def test_gather_tells_bad_values():
    x = RNG(14).normal(size=(40, 20)).astype("f8")
    x[17, 5] = np.inf
    x[30, 2] = np.nan
    rows = np.array([3, 30, 17, 8])
    out = np.zeros((4, 20), "f4")
    for workers in WORKERS:
        code_, source, row, column, value = gather(
            x, rows, out, flags=1, workers=workers, source_id=2
        )
        assert (code_, source, row, column) == (204, 2, 17, 5)
        assert np.isinf(value)
    assert gather(x, rows[:1], out, flags=1) is None
    y = np.array([0, 9, 10, -1])[:, None]
    labels = np.zeros((4, 1), "i4")
    assert gather(y, np.arange(4), labels, flags=2, high=10)[:5] == (105, 0, 2, 0, 10)
    assert gather(y, np.arange(2), labels, flags=2, high=10) is None


def test_take_and_scatter():
    rng = RNG(15)
    table = rng.normal(size=(2, 9, 5)).astype("f4")
    indices = rng.integers(-9, 9, 12)
    updates = rng.normal(size=(2, 12, 5)).astype("f4")
    want = table.copy()
    for o in range(2):
        for j, i in enumerate(indices):
            want[o, i] += updates[o, j]
    for index_type in ("i4", "i8"):
        ix = indices.astype(index_type)

        def call(isa, workers, ix=ix):
            out, summed = np.zeros((2, 12, 5), "f4"), table.copy()
            dims = [2, 9, 5, 12, code(ix), 4, 111, 0, 0, 0]
            kernel("take", [table, ix, out], dims, isa=isa, workers=workers)
            kernel("scatter_add", [ix, updates, summed], dims, isa=isa, workers=workers)
            return [out, summed]

        out, summed = everywhere(call)
        np.testing.assert_array_equal(out, table[:, indices])
        np.testing.assert_array_equal(summed, want)
    bad = np.array([0, 9, -10])
    dims = [2, 9, 5, 3, code(bad), 4, 111, 1]
    out = np.zeros((2, 3, 5), "f4")
    fault = _native.call_kernel("take", [table, bad, out], dims)
    assert fault == (111, 1, 1, 0, 9.0)


def test_take_along_and_back():
    rng = RNG(16)
    x = rng.normal(size=(3, 6, 4)).astype("f4")
    ix = rng.integers(0, 6, (3, 2, 4)).astype("i4")
    up = rng.normal(size=(3, 2, 4)).astype("f4")

    def call(isa, workers):
        out, summed = np.zeros((3, 2, 4), "f4"), np.full((3, 6, 4), 7, "f4")
        dims = [3, 6, 4, 2, code(ix), 4, 111, 0, 0, 1]
        kernel("take_along", [x, ix, out], dims, isa=isa, workers=workers)
        kernel("add_along", [ix, up, summed], dims, isa=isa, workers=workers)
        return [out, summed]

    out, summed = everywhere(call)
    np.testing.assert_array_equal(out, np.take_along_axis(x, ix.astype(int), 1))
    want = np.zeros_like(x)
    for a in range(3):
        for b in range(2):
            for c in range(4):
                want[a, ix[a, b, c], c] += up[a, b, c]
    np.testing.assert_array_equal(summed, want)


@pytest.mark.parametrize("dtype", ["float32", "uint8", "int16", "int64"])
def test_copy_strided(dtype):
    x = RNG(17).integers(0, 99, (4, 33, 17)).astype(dtype)
    size = x.itemsize

    def copy(view, target, isa, workers):
        rank = view.ndim
        pad = [0] * (6 - rank)
        # the kernel gets the address of the view's first element
        flat = np.lib.stride_tricks.as_strided(view, (1,), (size,))
        dims = [rank, size, *view.shape, *pad, *(s // size for s in view.strides), *pad,
                *(s // size for s in target.strides), *pad]  # fmt: skip
        kernel("copy_strided", [flat, target], dims, isa=isa, workers=workers)

    for view in [x, x.transpose(2, 1, 0), x[:, ::-1], x[::-1, ::2, ::-3], x[1],
                 np.broadcast_to(x[:, :1], (4, 9, 17)), x.transpose(0, 2, 1)]:  # fmt: skip

        def call(isa, workers, view=view):
            out = np.zeros(view.shape, dtype)
            copy(view, out, isa, workers)
            wide = np.zeros((view.shape[0], *[2 * n for n in view.shape[1:]]), dtype)
            part = wide[tuple(slice(0, n) for n in view.shape)]
            copy(view, part, isa, workers)
            np.testing.assert_array_equal(part, view)
            assert np.count_nonzero(wide) == np.count_nonzero(view)
            return [out]

        (got,) = everywhere(call)
        np.testing.assert_array_equal(got, view)


def test_fill_iota_and_count():
    for dtype in ["float32", "int64", "bool"]:
        out = np.zeros(77, dtype)
        kernel("fill", [out], [77, code(out)], isa="", workers=3, scalars=[1.0])
        assert (out == 1).all()
    out = np.zeros((2, 5, 3), "i4")
    kernel("iota", [out], [2, 5, 3, code(out)], isa="", workers=2, scalars=[10.0, 2.0])
    np.testing.assert_array_equal(
        out, np.broadcast_to(10 + 2 * np.arange(5)[:, None], out.shape)
    )
    counter = np.array([5])
    kernel("count_step", [counter], [2], isa="", workers=3)
    assert counter[0] == 7


@pytest.mark.parametrize("op", [0, 1, 2, 3])
@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_cumulate(op, dtype):
    x = RNG(18).integers(1, 4, (2, 9, 3)).astype(dtype)
    f = [np.cumsum, np.cumprod, np.maximum.accumulate, np.minimum.accumulate][op]

    def call(isa, workers):
        out, back = np.zeros_like(x), np.zeros_like(x)
        kernel(
            "cumulate", [x, out], [2, 9, 3, code(x), op, 0], isa=isa, workers=workers
        )
        kernel(
            "cumulate", [x, back], [2, 9, 3, code(x), op, 1], isa=isa, workers=workers
        )
        return [out, back]

    out, back = everywhere(call)
    np.testing.assert_array_equal(out, f(x, axis=1).astype(dtype))
    np.testing.assert_array_equal(back, f(x[:, ::-1], axis=1)[:, ::-1].astype(dtype))


@pytest.mark.parametrize("dtype", ["float32", "int64", "uint8"])
def test_argsort_and_top_k(dtype):
    x = RNG(19).integers(0, 9, (3, 40, 2)).astype(dtype)
    if dtype == "float32":
        x[1, 4, 0] = np.nan

    def call(isa, workers):
        order, keys = np.zeros(x.shape, "i4"), np.zeros_like(x)
        down, top = np.zeros((3, 5, 2), "i8"), np.zeros((3, 5, 2), dtype)
        kernel("argsort", [x, order, keys], [3, 40, 2, code(x), code(order), 0, 0],
               isa=isa, workers=workers)  # fmt: skip
        kernel("argsort", [x, down, top], [3, 40, 2, code(x), code(down), 1, 5],
               isa=isa, workers=workers)  # fmt: skip
        return [order, keys, down, top]

    order, keys, down, top = everywhere(call)
    want = np.argsort(x, axis=1, kind="stable")
    np.testing.assert_array_equal(order, want)
    np.testing.assert_array_equal(keys, np.take_along_axis(x, want, 1))
    np.testing.assert_array_equal(top, np.flip(np.sort(x, axis=1), 1)[:, :5])
    np.testing.assert_array_equal(np.take_along_axis(x, down, 1), top)


def test_checks():
    y = np.array([0, 3, 9, 12, -1], "i4")
    fault = _native.call_kernel("check_range", [y], [5, code(y), 0, 10, 4, 1, -1, 0, 1])
    assert fault == (105, 4, 3, 0, 12.0)
    assert (
        _native.call_kernel("check_range", [y], [3, code(y), 0, 10, 4, 0, 0, 0, 1])
        is None
    )
    x = np.array([0, 1, np.nan], "f4")
    fault = _native.call_kernel("check_finite", [x], [3, code(x)], step_index=6)
    assert fault[:4] == (301, 0, 6, 2)
    assert _native.call_kernel("check_finite", [x], [2, code(x)]) is None


@pytest.mark.parametrize("shape", [(1, 1), (5, 16), (7, 100), (3, 200)])
def test_panels(shape):
    x = RNG(20).normal(size=shape).astype("f4")

    def call(isa, workers):
        stored = np.full(panel_size(*shape), 5, "f4")
        back = np.zeros(shape, "f4")
        dims = [*shape, shape[1], 4]
        kernel("panels_in", [x, stored], dims, isa=isa, workers=workers)
        kernel("panels_out", [stored, back], dims, isa=isa, workers=workers)
        np.testing.assert_array_equal(back, x)
        return [stored]

    (stored,) = everywhere(call)
    np.testing.assert_array_equal(stored, to_panels(x))
    np.testing.assert_array_equal(from_panels(stored, *shape), x)


@pytest.mark.parametrize("count", [1, 4, 63, 64, 1000])
def test_random_words_by_position(count):
    seed = 0x123456789ABCDEF
    key = np.array([seed & 0xFFFFFFFF, seed >> 32, 5, 9], np.uint32)

    least = int(0.3 * 2**24)

    def call(isa, workers):
        words, kept = np.zeros(count, "u4"), np.full(count + 8, 7, "u1")
        kernel("random_bits", [key, words], [count, 0, 0], isa=isa, workers=workers)
        kernel("random_bits", [key, kept], [count, 1, least], isa=isa, workers=workers)
        return [words, kept]

    words, kept = everywhere(call)
    want = philox_words(seed, 9, 5, count)
    np.testing.assert_array_equal(words, want)
    np.testing.assert_array_equal(kept[:count], (want >> 8) >= least)
    np.testing.assert_array_equal(kept[count:], 7)
    np.testing.assert_array_equal(
        philox_words(seed, 9, 5, 7, first=6), philox_words(seed, 9, 5, 13)[6:]
    )


def test_philox_known_answer():
    # Random123's test vectors: key 0, counter 0; and all ones.
    np.testing.assert_array_equal(
        philox_words(0, 0, 0, 4), [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    )


@pytest.mark.parametrize("n", [0, 1, 2, 1000, 50_001])
def test_shuffle(n):
    got = shuffle_order(11, 3, n)
    np.testing.assert_array_equal(got, permutation(11, 3, n))
    np.testing.assert_array_equal(np.sort(got), np.arange(n))


def roomy(array):
    """The array with readable memory after its end, as products ask of operands."""
    room = np.zeros(array.size + 64, array.dtype)
    room[: array.size] = array.ravel()
    return room[: array.size].reshape(array.shape)


def product_kernel(name, a, b, want, *, panels):
    """A matrix product with B in panels or rows, by every instruction set."""
    a, b = roomy(a), roomy(b)
    m, n, k = want.shape[0], want.shape[1], a.shape[1]
    blocks = -(-n // 64)

    def call(isa, workers):
        out = roomy(np.zeros(want.shape, "f4"))
        if name == "gemm_nn":
            bufs, dims = (
                [a, roomy(to_panels(b)) if panels else b, out],
                [m, n, k, k, 0 if panels else n, n],
            )
            rows = m
        elif name == "gemm_nt":
            bufs, dims = (
                [a, roomy(to_panels(b)) if panels else b, out],
                [m, k, n, k, 0 if panels else k, n],
            )
            rows = m
        else:
            out = roomy(
                np.zeros(panel_size(*want.shape) if panels else want.shape, "f4")
            )
            left = roomy(np.ascontiguousarray(a.T))
            bufs, dims = [left, b, out], [k, n, m, m, n, 0 if panels else n]
            rows = m
        dims += [0, rows, 1, 0]
        kernel(name, bufs, dims, isa=isa, workers=workers, units=blocks)
        return [from_panels(out, *want.shape) if out.ndim == 1 else out]

    (got,) = everywhere(call)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("panels", [True, False])
@pytest.mark.parametrize(
    "shape", [(1, 3, 5), (32, 10, 20), (17, 130, 33), (64, 64, 64)]
)
def test_products(shape, panels):
    m, n, k = shape
    rng = RNG(21)
    a, b = rng.normal(size=(m, k)).astype("f4"), rng.normal(size=(k, n)).astype("f4")
    want = a.astype("f8") @ b.astype("f8")
    product_kernel("gemm_nn", a, b, want, panels=panels)
    product_kernel("gemm_tn", a, b, want, panels=panels)
    turned = np.ascontiguousarray(b.T)
    product_kernel("gemm_nt", a, turned, want, panels=panels)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(3, 6, 32), (1, 1, 16), (7, 15, 33), (15, 8, 700)])
def test_dots(shape, bias):
    m, n, k = shape
    rng = RNG(22)
    a, b = rng.normal(size=(m, k)).astype("f4"), rng.normal(size=(n, k)).astype("f4")

    def call(isa, workers):
        c, sums = roomy(np.zeros((m, n), "f4")), roomy(np.zeros(n, "f4"))
        left = [roomy(a), roomy(b), c, sums if bias else None]
        dims, units = [m, n, k, k, k], m + bias
        kernel("dots", left, dims, isa=isa, workers=workers, units=units)
        return [c, sums]

    c, sums = everywhere(call)
    tolerance = {"rtol": 1e-4, "atol": 1e-4}
    np.testing.assert_allclose(c, a.astype("f8") @ b.astype("f8").T, **tolerance)
    want = b.astype("f8").sum(1) if bias else np.zeros(n)
    np.testing.assert_allclose(sums, want, **tolerance)


@pytest.mark.parametrize("kind", ["gemm_nn", "gemm_tn"])
@pytest.mark.parametrize("shape", [(6, 32, 3), (20, 130, 70)])
def test_products_with_a_bias_for_each_row(kind, shape):
    m, n, k = shape
    rng = RNG(23)
    a, b = rng.normal(size=(m, k)).astype("f4"), rng.normal(size=(k, n)).astype("f4")
    bias = rng.normal(size=m).astype("f4")
    want = np.maximum(a.astype("f8") @ b.astype("f8") + bias[:, None], 0)

    def call(isa, workers):
        out = roomy(np.zeros((m, n), "f4"))
        if kind == "gemm_nn":
            left, dims = a, [m, n, k, k, n, n]
        else:
            left, dims = np.ascontiguousarray(a.T), [k, n, m, m, n, n]
        dims += [32 | 2, m, 1, 0]
        buffers = [roomy(left), roomy(b), out, roomy(bias)]
        kernel(kind, buffers, dims, isa=isa, workers=workers, units=-(-n // 64))
        return [out]

    (got,) = everywhere(call)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("rows", "columns", "parts"),
    [(40, 3, 5), (900, 17, 7), (70, 130, 1), (3000, 64, 3)],
)
def test_moments_of_channels(rows, columns, parts):
    """Means far from 0 cost no digits of the variance."""
    rng = RNG(31)
    x = (rng.normal(size=(rows, columns)) + 100).astype("f4")
    g = rng.normal(size=(rows, columns)).astype("f4")
    dims = [rows, columns, parts]

    def call(isa, workers):
        found = roomy(np.zeros((parts, 2, columns), "f4"))
        mean, variance = (roomy(np.zeros(columns, "f4")) for _ in range(2))
        sums = roomy(np.zeros((parts, 2, columns), "f4"))
        how = {"isa": isa, "workers": workers}
        kernel("channel_moments", [roomy(x), found], dims, units=parts, **how)
        kernel("channel_moments_join", [found, mean, variance], dims, units=1, **how)
        kernel("channel_sums", [roomy(g), roomy(x), sums], dims, units=parts, **how)
        return [mean, variance, sums]

    mean, variance, sums = everywhere(call)
    wide, grads = x.astype("f8"), g.astype("f8")
    np.testing.assert_allclose(mean, wide.mean(0), rtol=1e-6)
    np.testing.assert_allclose(variance, wide.var(0), rtol=1e-4)
    np.testing.assert_allclose(sums.sum(0)[0], grads.sum(0), rtol=1e-4, atol=1e-3)
    want = (grads * wide).sum(0)
    np.testing.assert_allclose(sums.sum(0)[1], want, rtol=1e-4, atol=1e-1)


def test_every_kernel_is_tested():
    here = Path(__file__).parent
    files = [*here.glob("test_*.py"), *here.parent.glob("*_steps.py")]
    text = "".join(file.read_text() for file in files)
    elsewhere = {"ew_run", "gemm_any"}
    missing = [
        k for k in _native.kernels() if f'"{k}"' not in text and k not in elsewhere
    ]
    assert not missing
