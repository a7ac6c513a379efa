"""Elementwise programs: every operation and type against NumPy, every way of operands."""

from __future__ import annotations

import math

import numpy as np
import pytest
from layouts import from_panels, to_panels

from ranvier import _native
from ranvier.engines.native.plan import ACC, Elementwise, Reg

ISAS = _native.isas()
OPS = _native.elementwise_ops()
FLOATS = ["float32", "float64"]
INTS = ["int32", "int64", "uint8", "int8", "int16", "uint16", "uint32", "uint64"]


def run(program, arrays, *, isa="", workers=1, units=4):
    return _native.call_kernel(
        "ew_run", arrays, units=units, workers=workers, isa=isa, program=program.data()
    )


def apply(name, *args, out=None, isa="", workers=1):
    """One operation on flat arrays."""
    shape = args[0].shape
    e = Elementwise((args[0].size,))
    regs = [e.load(i, str(a.dtype)) for i, a in enumerate(args)]
    r = e.op(name, *regs, dtype=out)
    result = np.zeros(shape, r.dtype)
    e.store(r, len(args))
    assert run(e, [*args, result], isa=isa, workers=workers) is None
    return result


def _vector(f):
    return lambda *a: np.vectorize(f, otypes=[np.float64])(*a)


PEAK = 1 / math.sqrt(2 * math.pi)


def _share(x):
    """The part of a normal distribution below x."""
    return (_vector(math.erf)(x * math.sqrt(0.5)) + 1) / 2


REF = {
    "copy": lambda x: x,
    "neg": np.negative, "abs": np.abs, "sign": np.sign, "square": np.square,
    "reciprocal": lambda x: 1 / x, "sqrt": np.sqrt, "rsqrt": lambda x: 1 / np.sqrt(x),
    "exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p,
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos,
    "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "asinh": np.arcsinh,
    "acosh": np.arccosh, "atanh": np.arctanh, "tanh": np.tanh,
    "sigmoid": lambda x: np.where(x >= 0, 1 / (1 + np.exp(-np.abs(x))),
                                  np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x)))),
    "erf": _vector(math.erf), "erfc": _vector(math.erfc),
    "gelu": lambda x: x * _share(x),
    "gelu_grad": lambda x, g: g * (_share(x) + x * np.exp(-x * x / 2) * PEAK),
    "lgamma": _vector(math.lgamma),
    "digamma": _vector(lambda x: (math.lgamma(x + 1e-5) - math.lgamma(x - 1e-5)) / 2e-5),
    "floor": np.floor, "ceil": np.ceil, "round": np.rint, "trunc": np.trunc,
    "relu": lambda x: np.maximum(x, 0), "isnan": np.isnan, "isinf": np.isinf,
    "isfinite": np.isfinite, "logical_not": np.logical_not, "bitwise_not": np.invert,
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide,
    "floordiv": np.floor_divide, "mod": np.mod, "pow": np.power, "max": np.maximum,
    "min": np.minimum, "atan2": np.arctan2, "eq": np.equal, "ne": np.not_equal,
    "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
    "logical_and": np.logical_and, "logical_or": np.logical_or,
    "logical_xor": np.logical_xor, "bitwise_and": np.bitwise_and,
    "bitwise_or": np.bitwise_or, "bitwise_xor": np.bitwise_xor,
    "shl": np.left_shift, "shr": np.right_shift,
    "where": lambda m, a, b: np.where(m, a, b), "clip": np.clip,
}  # fmt: skip
DOMAIN = {"acosh": (1, 9), "asin": (-1, 1), "acos": (-1, 1), "atanh": (-0.99, 0.99),
          "log": (1e-3, 40), "log1p": (-0.9, 40), "sqrt": (0, 40), "rsqrt": (0.01, 40),
          "lgamma": (0.1, 20), "digamma": (0.1, 20), "pow": (0.1, 5)}  # fmt: skip
ULPS = {"sigmoid": 4, "lgamma": 8, "rsqrt": 2, "tan": 4}
# Near their zeros sine and cosine are exact to this, not to an ulp of the tiny result.
ATOL = {
    "sin": 1e-7,
    "cos": 1e-7,
    "tan": 1e-6,
    "lgamma": 3e-7,
    "digamma": 1e-5,
    "gelu": 1e-6,
    "gelu_grad": 2e-6,
}  # the lower tail is a difference of ones


def data(name, dtype, rng, n, which):
    kind = np.dtype(dtype)
    if kind.kind == "b":
        return rng.integers(0, 2, n).astype(bool)
    if kind.kind == "f":
        low, high = DOMAIN.get(name, (-6, 6))
        return rng.uniform(low, high, n).astype(kind)
    if name in ("shl", "shr") and which == 1:
        return rng.integers(0, kind.itemsize * 8 + 2, n).astype(kind)
    if name == "pow":
        return rng.integers(0, 4, n).astype(kind)
    low = 0 if kind.kind == "u" else -9
    values = rng.integers(low, 10, n).astype(kind)
    if name in ("floordiv", "mod") and which == 1:
        values[values == 0] = 1
    return values


def combos():
    for name, (arity, kinds) in OPS.items():
        if name in ("cast", "adam"):
            continue
        types = (FLOATS if "f" in kinds else []) + (INTS if "i" in kinds else [])
        for dtype in types + (["bool"] if "b" in kinds else []):
            yield name, arity, dtype


@pytest.mark.parametrize(("name", "arity", "dtype"), list(combos()))
def test_one_element_gives_the_bits_of_many(name, arity, dtype):
    """A program of one number has an interpreter of its own."""
    rng = np.random.default_rng(2)
    args = [data(name, dtype, rng, 40, i) for i in range(arity)]
    if name == "where":
        args[0] = rng.integers(0, 2, 40).astype(bool)
    for isa in ISAS:
        many = apply(name, *args, isa=isa)
        alone = [apply(name, *(a[i : i + 1] for a in args), isa=isa) for i in range(40)]
        assert np.concatenate(alone).tobytes() == many.tobytes(), isa


@pytest.mark.parametrize("source", ["float32", "float64", "int64", "int32", "bool"])
@pytest.mark.parametrize("target", ["float32", "float64", "int64"])
def test_one_element_is_cast_as_many_are(source, target):
    x = (np.random.default_rng(3).uniform(-9, 9, 40) * 1e8).astype(source)
    for isa in ISAS:
        many = apply("cast", x, out=target, isa=isa)
        alone = [apply("cast", x[i : i + 1], out=target, isa=isa) for i in range(40)]
        assert np.concatenate(alone).tobytes() == many.tobytes(), isa


@pytest.mark.parametrize(("name", "arity", "dtype"), list(combos()))
def test_every_operation_against_numpy(name, arity, dtype):
    rng = np.random.default_rng(1)
    n = 1037
    args = [data(name, dtype, rng, n, i) for i in range(arity)]
    if name == "where":
        args[0] = rng.integers(0, 2, n).astype(bool)
    if name == "clip":
        args[1], args[2] = np.minimum(args[1], args[2]), np.maximum(args[1], args[2])
    outs = [apply(name, *args, isa=isa) for isa in ISAS]
    wide = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in args]
    with np.errstate(all="ignore"):
        want = REF[name](*wide)
    for got in outs:
        if got.dtype.kind == "f":
            eps = np.finfo(got.dtype).eps
            tol = ULPS.get(name, 3) * eps
            atol = ATOL.get(name, 0)
            np.testing.assert_allclose(got, want.astype(got.dtype), rtol=tol, atol=atol)
        else:
            np.testing.assert_array_equal(got, want.astype(got.dtype))
    if "avx512" in ISAS:
        np.testing.assert_array_equal(outs[1], outs[2])


@pytest.mark.parametrize(
    "name", [n for n, (a, k) in OPS.items() if a == 1 and "f" in k]
)
def test_special_values(name):
    if name == "cast":
        x = np.array([0.0, 1.5, -2.5], "f4")
        np.testing.assert_array_equal(apply("cast", x, out="int32"), [0, 1, -2])
        return
    x = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, 1.0, -1.0, 80.0, -80.0, 1e30, -1e30,
                  1e-30, 3e38, 87.5, -87, 0.5, 2**23 + 1, -0.3, 1e5], "f4")  # fmt: skip
    with np.errstate(all="ignore"):
        if name in ("lgamma", "erf", "erfc"):
            x = x[2:8]
            if name == "lgamma":
                x = np.array([np.nan, 1.0, 2.0, 80.0, 0.5], "f4")
        if name == "digamma":
            x = np.array([1.0, 80.0], "f4")
        want = REF[name](x.astype("f8")).astype(bool if "c" in OPS[name][1] else "f4")
    for isa in ISAS:
        got = apply(name, x, isa=isa)
        assert np.array_equal(np.isnan(want), np.isnan(got)), (isa, got, want)
        np.testing.assert_allclose(got, want, rtol=4e-7, atol=1e-6, err_msg=isa)


@pytest.mark.parametrize("source", [*FLOATS, *INTS, "bool", "float16"])
@pytest.mark.parametrize("target", [*FLOATS, *INTS, "bool", "float16"])
def test_casts(source, target):
    rng = np.random.default_rng(2)
    x = rng.integers(0, 100, 777)
    x = (x / 8 if np.dtype(source).kind == "f" else x).astype(source)
    for isa in ISAS:
        got = apply("cast", x, out=target, isa=isa)
        np.testing.assert_array_equal(got, x.astype(target))


def test_half_precision_rounds_as_numpy():
    x = np.concatenate([np.random.default_rng(0).normal(size=5000) * 10.0**k
                        for k in range(-9, 6)]).astype("f4")  # fmt: skip
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(apply("cast", x, out="float16"), x.astype("f2"))


@pytest.mark.parametrize("isa", ISAS)
def test_float32_functions_over_their_whole_range(isa):
    rng = np.random.default_rng(3)
    bits = rng.integers(0, 2**32, 200_000, dtype=np.uint32)
    x = bits.view("f4")
    x = x[np.isfinite(x) & (np.abs(x) > 1.2e-38)]
    with np.errstate(all="ignore"):
        for name, ulp in [("exp", 2), ("expm1", 3), ("log", 2), ("log1p", 3), ("tanh", 3),
                          ("sigmoid", 4), ("erf", 3)]:  # fmt: skip
            if isa == "base":
                ulp += 2
            a = np.abs(x) if name == "log" else x
            if name == "erf":  # x * 1.128 of a value next to the denormals loses bits
                a = a[np.abs(a) > 1e-36]
            got = apply(name, a, isa=isa).astype("f8")
            want = REF[name](a.astype("f8"))
            ok = np.isfinite(want) & (np.abs(want) > 1.2e-38) & (np.abs(want) < 3.4e38)
            size = np.spacing(np.abs(want[ok]).astype("f4")).astype("f8")
            error = np.abs(got[ok] - want[ok]) / size
            assert error.max() <= ulp, (name, error.max(), a[ok][error.argmax()])
        for name in ("sin", "cos"):
            a = np.concatenate([x[np.abs(x) < 1e30], rng.uniform(-3e4, 3e4, 50_000)])
            a = a.astype("f4")
            got = apply(name, a, isa=isa).astype("f8")
            assert np.abs(got - REF[name](a.astype("f8"))).max() < 1.3e-7


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
@pytest.mark.parametrize("isa", ISAS)
def test_broadcasts_strides_and_ranks(isa, workers):
    rng = np.random.default_rng(4)
    for shape in [(1,), (5,), (600,), (3, 7), (40, 10), (4, 1000), (2, 3, 4), (3, 2, 5, 70),
                  (2, 2, 2, 2, 3, 3)]:  # fmt: skip
        x = rng.normal(size=shape).astype("f4")
        row = rng.normal(size=shape[-1]).astype("f4")
        column = rng.normal(size=(*shape[:-1], 1)).astype("f4")
        one = np.array([0.5], "f4")
        turned = rng.normal(size=shape[::-1]).astype("f4")
        e = Elementwise(shape)
        zeros = (0,) * (len(shape) - 1)
        sums = e.load(0)
        dense_column = tuple(s // shape[-1] for s in e._strides(None)[:-1]) + (0,)
        turned_strides = tuple(np.array(turned.T.strides) // 4)
        for buffer, strides in [(1, (*zeros, 1)), (2, dense_column), (3, (*zeros, 0)),
                                (4, turned_strides)]:  # fmt: skip
            sums = e.op("add", sums, e.load(buffer, strides=strides))
        r = e.op("mul", sums, e.constant(3.0))
        e.store(r, 5)
        e.store(sums, 6, turned_strides)
        out, out_turned = np.zeros(shape, "f4"), np.zeros(shape[::-1], "f4")
        run(e, [x, row, column, one, turned, out, out_turned], isa=isa, workers=workers)
        want = x + row
        want = want + column
        want = want + one
        want = want + turned.T
        np.testing.assert_array_equal(out, want * np.float32(3))
        np.testing.assert_array_equal(out_turned, want.T)


def test_in_place_updates_see_the_old_values():
    rng = np.random.default_rng(5)
    n = 1500
    a, b = rng.normal(size=(2, n)).astype("f4")
    want_a, want_b = a + b, a - b
    e = Elementwise((n,))
    x, y = e.load(0), e.load(1)
    e.store(e.op("add", x, y), 0)
    e.store(e.op("sub", x, y), 1)
    run(e, [a, b])
    np.testing.assert_array_equal(a, want_a)
    np.testing.assert_array_equal(b, want_b)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(
    ("n", "workers"), [(1, 1), (18, 1), (513, 1), (5000, 1), (5000, 3)]
)
def test_adam_equals_its_body(isa, n, workers):
    rng = np.random.default_rng(6)
    w, m, g = rng.normal(size=(3, n)).astype("f4")
    v = rng.random(n).astype("f4")
    alpha = np.array([1e-3], "f4")
    c1, c2, eps = (np.float32(x) for x in (0.1, 0.001, 1e-7))
    m2 = m + (g - m) * c1
    v2 = v + (g * g - v) * c2
    w2 = w - m2 * alpha / (np.sqrt(v2) + eps)
    e = Elementwise((n,))
    e.adam([(0, None, False), (1, None, False), (2, None, False)], (3, None, False),
           [4, 0.1, 0.001, 1e-7])  # fmt: skip
    run(e, [w, m, v, g, alpha], isa=isa, workers=workers)
    np.testing.assert_array_equal(m, m2)
    np.testing.assert_array_equal(v, v2)
    np.testing.assert_array_equal(w, w2)


@pytest.mark.parametrize("columns", [10, 64, 100, 130])
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_panel_operands(columns, workers):
    rng = np.random.default_rng(7)
    w = rng.normal(size=(37, columns)).astype("f4")
    bias = rng.normal(size=columns).astype("f4")
    panels = to_panels(w)
    np.testing.assert_array_equal(from_panels(panels, 37, columns), w)
    e = Elementwise((37, columns))
    r = e.op("mul", e.load(0, panel=True), e.load(1, strides=(0, 1)))
    e.store(r, 0, panel=True)
    e.store(r, 2)
    out = np.zeros_like(w)
    run(e, [panels, bias, out], workers=workers, units=3)
    np.testing.assert_array_equal(out, w * bias)
    np.testing.assert_array_equal(panels, to_panels(w * bias))


def test_refuses_what_does_not_fit():
    x = np.zeros(4, "f4")
    e = Elementwise((5,))
    e.store(e.load(0), 1)
    with pytest.raises(ValueError, match="leaves its buffer"):
        run(e, [x, np.zeros(5, "f4")])
    e = Elementwise((4,))
    e.store(e.op("exp", e.load(0, "int32")), 1)
    with pytest.raises(ValueError, match="exp does not take int32"):
        run(e, [x, x])
    e = Elementwise((4,))
    e.store(Reg(99, "float32"), 1)
    with pytest.raises(ValueError, match="register out of range"):
        run(e, [x, x])
    e = Elementwise((4,))
    e.store(e.load(ACC), 0)
    with pytest.raises(ValueError, match="no tile"):
        run(e, [x, x])
