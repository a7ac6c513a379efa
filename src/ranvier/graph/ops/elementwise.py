"""Elementwise operations: operands of one shape and dtype, no broadcasting."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ranvier.graph.ir import Spec
from ranvier.graph.op import NoGradient, Op, case, op, stops, unsupported
from ranvier.graph.ops._infer import refuse, same

Array = np.ndarray[Any, Any]
PIECEWISE = stops("piecewise constant")
LOGICAL = stops("a truth value")


def _f() -> Any:
    from ranvier.graph import functions

    return functions


def _quiet(fn: Callable[..., Array]) -> Callable[..., Array]:
    """IEEE results (inf, nan) without NumPy's warnings."""

    def ref(*xs: Array) -> Array:
        with np.errstate(all="ignore"):
            return fn(*xs)

    return ref


def _libm(fn: Callable[[float], float]) -> Callable[[Array], Array]:
    def one(x: float) -> float:
        try:
            return fn(x)
        except (OverflowError, ValueError):
            return math.inf  # a pole, or beyond the largest number

    each = np.frompyfunc(one, 1, 1)
    return lambda x: np.asarray(each(x)).astype(x.dtype)


def _unary(
    name: str,
    ref: Callable[[Array], Array],
    grad: Callable[..., Sequence[Any]] | NoGradient,
    low: float = -3.0,
    high: float = 3.0,
    dtype: str | None = None,
    tol: float = 4.0,
    kinds: str = "float",
) -> Op:
    cases = [
        case(((3, 5), low, high)),
        case(((), low, high)),
        case(((0, 2), low, high)),
    ]
    infer = same(name, dtype, kinds)
    return op(name, "elementwise", infer, _quiet(ref), grad, cases, tol)


def _binary(
    name: str,
    ref: Callable[[Array, Array], Array],
    grad: Callable[..., Sequence[Any]] | NoGradient,
    low: float = -3.0,
    high: float = 3.0,
    dtype: str | None = None,
    integer: bool = False,
    tol: float = 4.0,
    kinds: str = "number",
) -> Op:
    kind = ("int32",) if integer else ()
    cases = [
        case((shape, low, high, *kind), (shape, low, high, *kind))
        for shape in ((4, 3), (7,), ())
    ]
    infer = same(name, dtype, kinds)
    return op(name, "elementwise", infer, _quiet(ref), grad, cases, tol)


neg = _unary("neg", np.negative, lambda g, y, x: (-g,), kinds="number")
abs_ = _unary("abs", np.abs, lambda g, y, x: (g * _f().sign(x),), kinds="number")
sign = _unary("sign", np.sign, PIECEWISE, kinds="number")
exp = _unary("exp", np.exp, lambda g, y, x: (g * y,))
expm1 = _unary("expm1", np.expm1, lambda g, y, x: (g * (y + 1),))
log = _unary("log", np.log, lambda g, y, x: (g / x,), 0.1, 9)
log1p = _unary("log1p", np.log1p, lambda g, y, x: (g / (x + 1),), -0.9, 9)
sqrt = _unary("sqrt", np.sqrt, lambda g, y, x: (g * 0.5 / y,), 0.1, 9)
rsqrt = _unary(
    "rsqrt", lambda x: 1 / np.sqrt(x), lambda g, y, x: (g * -0.5 * y / x,), 0.1, 9
)
sin = _unary("sin", np.sin, lambda g, y, x: (g * _f().cos(x),))
cos = _unary("cos", np.cos, lambda g, y, x: (-g * _f().sin(x),))
tan = _unary("tan", np.tan, lambda g, y, x: (g * (1 + y * y),), -1.2, 1.2)
asin = _unary(
    "asin", np.arcsin, lambda g, y, x: (g * _f().rsqrt(1 - x * x),), -0.9, 0.9
)
acos = _unary(
    "acos", np.arccos, lambda g, y, x: (-g * _f().rsqrt(1 - x * x),), -0.9, 0.9
)
atan = _unary("atan", np.arctan, lambda g, y, x: (g / (1 + x * x),))
sinh = _unary("sinh", np.sinh, lambda g, y, x: (g * _f().cosh(x),))
cosh = _unary("cosh", np.cosh, lambda g, y, x: (g * _f().sinh(x),))
tanh = _unary("tanh", np.tanh, lambda g, y, x: (g * (1 - y * y),), -5, 5)
asinh = _unary("asinh", np.arcsinh, lambda g, y, x: (g * _f().rsqrt(x * x + 1),))
acosh = _unary(
    "acosh", np.arccosh, lambda g, y, x: (g * _f().rsqrt(x * x - 1),), 1.2, 9
)
atanh = _unary("atanh", np.arctanh, lambda g, y, x: (g / (1 - x * x),), -0.9, 0.9)
sigmoid = _unary(
    "sigmoid",
    # 1/(1+e^-x) overflows to the right limit for large negative x.
    lambda x: (1 / (1 + np.exp(-x))).astype(x.dtype),
    lambda g, y, x: (g * (y * (1 - y)),),
    -6,
    6,
)
erf = _unary(
    "erf",
    _libm(math.erf),
    lambda g, y, x: (g * (_f().exp(-(x * x)) * (2 / math.sqrt(math.pi))),),
)
lgamma = _unary(
    "lgamma", _libm(math.lgamma), unsupported("digamma is not defined yet"), 0.5, 9
)
floor = _unary("floor", np.floor, PIECEWISE)
ceil = _unary("ceil", np.ceil, PIECEWISE)
round_ = _unary("round", np.rint, PIECEWISE)
trunc = _unary("trunc", np.trunc, PIECEWISE)
isnan = _unary("isnan", np.isnan, LOGICAL, dtype="bool")
isinf = _unary("isinf", np.isinf, LOGICAL, dtype="bool")
isfinite = _unary("isfinite", np.isfinite, LOGICAL, dtype="bool")


def _is_bool(name: str) -> Any:
    def infer(specs: Sequence[Spec], attrs: dict[str, Any]) -> Spec:
        for s in specs:
            if s.dtype != "bool" or s.shape != specs[0].shape:
                raise refuse(name, "operands need dtype bool and one shape", specs)
        return specs[0]

    return infer


def _logical(name: str, ref: Callable[..., Array], count: int) -> Op:
    cases = [case(*[((3, 4), 0, 2, "bool")] * count)]
    return op(name, "elementwise", _is_bool(name), ref, LOGICAL, cases)


logical_not = _logical("logical_not", np.logical_not, 1)
logical_and = _logical("logical_and", np.logical_and, 2)
logical_or = _logical("logical_or", np.logical_or, 2)
logical_xor = _logical("logical_xor", np.logical_xor, 2)

add = _binary("add", np.add, lambda g, y, a, b: (g, g))
sub = _binary("sub", np.subtract, lambda g, y, a, b: (g, -g))
mul = _binary("mul", np.multiply, lambda g, y, a, b: (g * b, g * a))
div = _binary(
    "div", np.divide, lambda g, y, a, b: (g / b, -g * y / b), 0.5, 3, kinds="float"
)


def _pow_grad(g: Any, y: Any, a: Any, b: Any) -> Sequence[Any]:
    f = _f()
    # d/db needs log(a), which is defined for a > 0 only; elsewhere it is taken as 0.
    positive = a > 0
    log_a = f.where(positive, f.log(f.where(positive, a, f.ones_like(a))), 0.0)
    return g * b * f.power(a, b - 1), g * y * log_a


pow_ = _binary("pow", np.power, _pow_grad, 0.3, 3, tol=16)


def _choice(
    wins: Callable[[Any, Any], Any], ties: Callable[[Any, Any], Any]
) -> Callable[..., Sequence[Any]]:
    """Gradient of max and min: to the winner, shared equally on a tie."""

    def grad(g: Any, y: Any, a: Any, b: Any) -> Sequence[Any]:
        f = _f()
        half = f.where(ties(a, b), g * 0.5, f.zeros_like(g))
        return (
            f.where(wins(a, b), g, half),
            f.where(wins(b, a), g, half),
        )

    return grad


max_ = _binary(
    "max", np.maximum, _choice(lambda a, b: a > b, lambda a, b: a == b), kinds=""
)
min_ = _binary(
    "min", np.minimum, _choice(lambda a, b: a < b, lambda a, b: a == b), kinds=""
)
mod = _binary("mod", np.mod, lambda g, y, a, b: (g, -g * _f().floor(a / b)), 0.5, 3)
floordiv = _binary("floordiv", np.floor_divide, PIECEWISE, 0.5, 3)
atan2 = _binary(
    "atan2",
    np.arctan2,
    lambda g, y, a, b: (g * b / (a * a + b * b), -g * a / (a * a + b * b)),
    0.3,
    3,
    kinds="float",
)
eq = _binary("eq", np.equal, LOGICAL, dtype="bool", kinds="")
ne = _binary("ne", np.not_equal, LOGICAL, dtype="bool", kinds="")
lt = _binary("lt", np.less, LOGICAL, dtype="bool", kinds="")
le = _binary("le", np.less_equal, LOGICAL, dtype="bool", kinds="")
gt = _binary("gt", np.greater, LOGICAL, dtype="bool", kinds="")
ge = _binary("ge", np.greater_equal, LOGICAL, dtype="bool", kinds="")

_BITS = stops("bits of an integer")
bitwise_and = _binary(
    "bitwise_and", np.bitwise_and, _BITS, 0, 99, integer=True, kinds=""
)
bitwise_or = _binary("bitwise_or", np.bitwise_or, _BITS, 0, 99, integer=True, kinds="")
bitwise_xor = _binary(
    "bitwise_xor", np.bitwise_xor, _BITS, 0, 99, integer=True, kinds=""
)
shift_left = _binary("shift_left", np.left_shift, _BITS, 0, 9, integer=True)
shift_right = _binary("shift_right", np.right_shift, _BITS, 0, 9, integer=True)


def _where_infer(specs: Sequence[Spec], attrs: dict[str, Any]) -> Spec:
    c, x, y = specs
    if c.dtype != "bool" or x != y or c.shape != x.shape:
        raise refuse("where", "needs a bool and two values of one shape", specs)
    return x


def _where_grad(g: Any, y: Any, c: Any, a: Any, b: Any) -> Sequence[Any]:
    zero = _f().zeros_like(g)
    return None, _f().where(c, g, zero), _f().where(c, zero, g)


where = op(
    "where",
    "elementwise",
    _where_infer,
    np.where,
    _where_grad,
    [case(((3, 4), 0, 2, "bool"), ((3, 4), -1, 1), ((3, 4), -1, 1))],
)


def _cast_infer(specs: Sequence[Spec], attrs: dict[str, Any]) -> Spec:
    return Spec(specs[0].shape, attrs["dtype"])


def _cast_ref(x: Array, dtype: str) -> Array:
    with np.errstate(all="ignore"):
        return x.astype(dtype)


def _cast_grad(g: Any, y: Any, x: Any, dtype: str) -> Sequence[Any]:
    return (_f().cast(g, x.dtype) if x.spec.floating and g.spec.floating else None,)


cast = op(
    "cast",
    "elementwise",
    _cast_infer,
    _cast_ref,
    _cast_grad,
    [
        case(((3, 4), -9, 9), dtype="int32"),
        case(((5,), -9, 9, "int32"), dtype="float32"),
        case(((5,), -1, 2, "int64"), dtype="bool"),
        case(((5,), 0, 2, "bool"), dtype="float32"),
    ],
)
stop_gradient = op(
    "stop_gradient",
    "elementwise",
    same("stop_gradient"),
    lambda x: x,
    stops("asked for"),
    [case(((3,), -1, 1))],
)


def _check_range_ref(x: Array, low: int, high: int, allow: int | None) -> Array:
    from ranvier.errors import DataError

    bad = (x < low) | (x >= high)
    if allow is not None:
        bad &= x != allow
    if bad.any():
        where_bad = np.argwhere(bad)[0]
        raise DataError(
            "RV105",
            f"label {x[tuple(where_bad)]} found, the output has {high} units "
            f"({low}..{high - 1})",
            details=f"first in row {where_bad[0] if where_bad.size else 0} of the batch",
            fix=f"labels must run from {low} to {high - 1}; subtract 1 when they start "
            "at 1, or give the last layer one unit per class",
        )
    return x


# The identity, but a label outside low..high-1 is an error before anything is written.
check_range = op(
    "check_range",
    "check",
    same("check_range"),
    _check_range_ref,
    stops("an integer"),
    [case(((6,), 0, 9, "int32"), low=0, high=10, allow=None)],
)
