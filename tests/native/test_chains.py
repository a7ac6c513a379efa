"""Chains (native/src/kernels/chain.h) give the bits of the instructions one by one."""

from __future__ import annotations

import numpy as np
import pytest

from ranvier import _native
from ranvier.engines.native.plan import Elementwise

ISAS = _native.isas()
UNARY = [
    "copy", "neg", "abs", "sign", "square", "reciprocal", "sqrt", "rsqrt", "exp",
    "expm1", "log", "log1p", "sin", "cos", "tanh", "sigmoid", "erf", "gelu", "floor", "ceil",
    "round", "trunc", "relu",
]  # fmt: skip
BINARY = ["add", "sub", "mul", "div", "gelu_grad", "max", "min"]
COMPARE = ["eq", "ne", "lt", "le", "gt", "ge"]
#: Fewer elements than any block has: these are interpreted.
SHORT = 31
NUMBERS = [0.0, 1.0, -3.0, 0.999, 1e-7, 1e-38, 3e38, 0.1]
SPECIAL = np.array(
    [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-38, 1e-30, 3e38, 1.0, -1.0], np.float32
)


def data(rng, n, kind):
    """Plain numbers; some exact zeros; all that a float can be."""
    x = (rng.standard_normal(n) * 10.0 ** rng.integers(-3, 3)).astype(np.float32)
    if kind == "positive":
        return np.abs(x) + np.float32(1e-6)
    if kind == "zeros":
        return np.where(rng.random(n) < 0.2, np.float32(0), np.abs(x))
    if kind == "special":
        return np.where(rng.random(n) < 0.2, rng.choice(SPECIAL, n), x)
    return x


def program(rng, n, numbers, length):
    """A random program on three arrays in memory, of which two are updated in place."""
    e = Elementwise((n,))
    regs = [e.load(i) for i in range(3)]
    regs += [e.load(3, "float32", (0,)), e.constant(rng.choice(numbers))]
    temporaries, masks = [], []
    for _ in range(length):
        # The last result is taken again more often than others.
        pool = regs + temporaries[-1:] * 6 + temporaries
        pick = lambda pool=pool: pool[rng.integers(len(pool))]  # noqa: E731
        what = rng.integers(10)
        if what < 2:
            new = e.op(str(rng.choice(UNARY)), pick())
        elif what == 2:
            masks.append(e.op(str(rng.choice(COMPARE)), pick(), pick()))
            continue
        elif what == 3 and masks:
            new = e.op("where", masks[rng.integers(len(masks))], pick(), pick())
        elif what == 4:
            new = e.op("clip", pick(), e.constant(-2.0), e.constant(2.5))
        else:
            new = e.op(str(rng.choice(BINARY)), pick(), pick())
        temporaries.append(new)
    chosen = rng.permutation(len(temporaries))[:2]
    for i, at in enumerate(chosen):
        e.store(temporaries[at], i)
    return e


def same(a, b):
    """Equal bits; any NaN equals any other."""
    a, b = np.asarray(a), np.asarray(b)
    return np.array_equal(np.where(np.isnan(a), np.nan, a).view(np.int32),
                          np.where(np.isnan(b), np.nan, b).view(np.int32))  # fmt: skip


def run(make, arrays, n, isa, workers=1):
    error = _native.call_kernel(
        "ew_run", arrays, units=8, workers=workers, isa=isa, program=make(n).data()
    )
    assert error is None


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", ["plain", "positive", "zeros", "special"])
@pytest.mark.parametrize("seed", range(12))
def test_random_programs_have_the_bits_of_the_interpreter(isa, kind, seed):
    n = 1000 + 37 * seed
    rng = np.random.default_rng(seed)
    start = [data(rng, n, kind) for _ in range(3)]
    number = np.array([rng.choice(NUMBERS)], np.float32)

    def make(count):
        return program(np.random.default_rng(seed), count, NUMBERS, 4 + 2 * seed)

    whole = [x.copy() for x in start]
    run(make, [*whole, number], n, isa)
    pieces = [x.copy() for x in start]
    for at in range(0, n, SHORT):
        short = [x[at : at + SHORT].copy() for x in pieces]
        run(make, [*short, number], len(short[0]), isa)
        for x, y in zip(pieces, short, strict=True):
            x[at : at + SHORT] = y
    shared = [x.copy() for x in start]
    run(make, [*shared, number], n, isa, workers=3)
    for a, b, c in zip(whole, pieces, shared, strict=True):
        assert same(a, b)
        assert same(a, c)


@pytest.mark.parametrize("isa", ISAS)
def test_quotients_by_a_number_and_roots_are_rounded_correctly(isa):
    rng = np.random.default_rng(0)
    n = 4096
    for turn in range(200):
        bits = rng.integers(0, 1 << 32, n, dtype=np.uint64).astype(np.uint32)
        x = bits.view(np.float32)
        if turn % 2:  # all within the range of the quick way
            x = np.ldexp(1 + rng.random(n), rng.integers(-70, 55, n))
            x = x.astype(np.float32)
        tiny = np.finfo(np.float32).tiny
        x = np.where(np.isfinite(x) & (np.abs(x) > tiny), x, np.float32(0))
        number = np.float32(np.ldexp(1 + rng.random(), int(rng.integers(-29, 29))))
        out, root = np.zeros(n, np.float32), np.zeros(n, np.float32)
        e = Elementwise((n,))
        a = e.load(0)
        e.store(e.op("div", a, e.load(1, "float32", (0,))), 2)
        e.store(e.op("sqrt", e.op("abs", a)), 3)
        arrays = [x, np.array([number]), out, root]
        assert _native.call_kernel("ew_run", arrays, isa=isa, program=e.data()) is None
        with np.errstate(all="ignore"):
            want = x / number
        fine = (np.abs(want) > tiny) | (x == 0)  # what is smaller is flushed to zero
        assert np.array_equal(out[fine].view(np.int32), want[fine].view(np.int32))
        assert np.array_equal(root.view(np.int32), np.sqrt(np.abs(x)).view(np.int32))
