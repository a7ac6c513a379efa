"""The primitives as people call them: with broadcasting, promotion and negative axes.

Gradient rules, the front's ``ops`` and operators on tensors are written with these.
"""

from __future__ import annotations

import builtins
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ranvier.errors import ShapeError
from ranvier.graph import ops as _ops
from ranvier.graph.apart import refuse_stretching
from ranvier.graph.dims import Dim, Shape, Size, product
from ranvier.graph.ops import contract as _contract
from ranvier.graph.ops import elementwise as _e
from ranvier.graph.ops import gather as _gather
from ranvier.graph.ops import movement as _m
from ranvier.graph.ops import random as _random
from ranvier.graph.ops import reduce as _r
from ranvier.graph.ops._infer import normal_axes, normal_axis
from ranvier.graph.trace import (
    Tensor,
    apply,
    constant_array,
    current_trace,
)

_RANK = {"bool": 0, "int": 1, "uint": 1, "float": 2, "bfloat": 2}


def _kind(dtype: str) -> int:
    return _RANK[dtype.rstrip("0123456789")]


def promote(a: str, b: str) -> str:
    """The common dtype of two: a float wins over integers and keeps its width."""
    if a == b:
        return a
    if _kind(a) != _kind(b):
        return a if _kind(a) > _kind(b) else b
    return str(np.result_type(a, b))


def as_tensor(x: Any, dtype: str | None = None, like: Any = None) -> Tensor:
    """A tensor from a tensor, variable, array or number.

    Args:
        x: The value.
        dtype: Convert to it.
        like: A Python number takes the dtype of this tensor, unless it is a float and
            that is an integer.
    """
    if isinstance(x, Tensor):
        tensor = x
    elif hasattr(x, "storage"):
        tensor = x.value
    elif isinstance(x, Dim):
        tensor = apply(_m.dim, size=x, dtype=dtype or "int32")
    elif isinstance(x, (builtins.bool, builtins.int, builtins.float)):
        tensor = Tensor(value=np.asarray(x, dtype or _weak(x, like)))
    elif isinstance(x, (list, tuple)) and builtins.any(_is_tensor(i) for i in x):
        tensor = stack([as_tensor(i) for i in x])
    else:
        return Tensor(value=constant_array(x, dtype))
    return tensor if dtype is None else cast(tensor, dtype)


def _is_tensor(x: Any) -> bool:
    return isinstance(x, (Tensor, Dim)) or hasattr(x, "storage")


def _weak(x: Any, like: Any) -> str:
    if isinstance(x, builtins.bool):
        own = "bool"
    else:
        own = "int32" if isinstance(x, int) else "float32"
    if like is None:
        return own
    dtype = like.dtype
    return dtype if _kind(dtype) >= _kind(own) else own


def cast(x: Any, dtype: Any) -> Tensor:
    """Convert to a dtype; nothing happens when it has it already."""
    x = as_tensor(x)
    dtype = dtype if isinstance(dtype, str) else np.dtype(dtype).name
    dtype = {"int": "int32", "float": "float32"}.get(dtype, dtype)
    return x if x.dtype == dtype else apply(_e.cast, x, dtype=dtype)


def broadcast_shapes(*shapes: Shape) -> Shape:
    """The shape NumPy's rules give; a symbolic size never meets itself twice.

    Raises:
        ShapeError: RV108, when they do not fit, or when ``(n,)`` against ``(n, 1)``
            would silently become ``(n, n)``.
    """
    rank = builtins.max((len(s) for s in shapes), default=0)
    padded = [(1,) * (rank - len(s)) + tuple(s) for s in shapes]
    result: list[Size] = []
    for sizes in zip(*padded, strict=True):
        wide = {s for s in sizes if s != 1}
        if len(wide) > 1:
            raise ShapeError(
                "RV108",
                "shapes do not fit together",
                details=f"got {' and '.join(_shown(s) for s in shapes)}",
            )
        result.append(wide.pop() if wide else 1)
    for size in result:
        if isinstance(size, Dim) and result.count(size) > 1:
            own = builtins.max(s.count(size) for s in shapes)
            implicit = builtins.any(len(s) < rank and size in s for s in shapes)
            if own < result.count(size) and implicit:
                raise ShapeError(
                    "RV108",
                    f"{' and '.join(_shown(s) for s in shapes)} would become "
                    f"{_shown(tuple(result))}, every row against every other",
                    fix="give both the same shape: ops.reshape(y, (-1, 1)) or "
                    "ops.squeeze(x, -1); if pairs are meant, add the axis explicitly",
                )
    return tuple(result)


def _shown(shape: Shape) -> str:
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"


def broadcast_to(x: Any, shape: Sequence[Size]) -> Tensor:
    """Repeat axes of size 1, after adding axes in front."""
    x = as_tensor(x)
    shape = tuple(shape)
    if tuple(x.shape) == shape:
        return x
    if len(x.shape) < len(shape):
        x = reshape(x, (1,) * (len(shape) - len(x.shape)) + tuple(x.shape))
    return x if tuple(x.shape) == shape else apply(_m.broadcast_to, x, shape=shape)


def _common(*xs: Any) -> list[Tensor]:
    """Operands as tensors of one dtype; Python numbers are weak."""
    strong = [
        x if isinstance(x, Tensor) else as_tensor(x)
        for x in xs
        if not isinstance(x, (builtins.bool, int, builtins.float))
    ]
    like: Any = None
    for s in strong:
        if like is None or promote(like.dtype, s.dtype) != like.dtype:
            like = _Dtype(promote(like.dtype if like else s.dtype, s.dtype))
    dtype = like.dtype if like else None
    for x in xs:
        if isinstance(x, (builtins.bool, int, builtins.float)):
            dtype = promote(dtype, _weak(x, like)) if dtype else _weak(x, None)
    return [cast(as_tensor(x, like=_Dtype(dtype)), dtype) for x in xs]


class _Dtype:
    def __init__(self, dtype: str | None) -> None:
        self.dtype = dtype or "float32"


def _aligned(*xs: Any) -> list[Tensor]:
    tensors = _common(*xs)
    refuse_stretching(tensors)
    shape = broadcast_shapes(*(t.shape for t in tensors))
    return [broadcast_to(t, shape) for t in tensors]


def _binary(
    op: Any, doc: str, true_float: bool = False, truth: Any = None
) -> Callable[..., Tensor]:
    def call(x1: Any, x2: Any) -> Tensor:
        a, b = _aligned(x1, x2)
        if truth is not None and a.dtype == "bool":
            return apply(truth, a, b)
        if true_float and not a.spec.floating:
            a, b = cast(a, "float32"), cast(b, "float32")
        return apply(op, a, b)

    call.__doc__ = doc
    return call


def _unary(op: Any, doc: str, floating: bool = True) -> Callable[[Any], Tensor]:
    def call(x: Any) -> Tensor:
        x = as_tensor(x)
        if floating and not x.spec.floating:
            x = cast(x, "float32")
        return apply(op, x)

    call.__doc__ = doc
    return call


add = _binary(_e.add, "Elementwise x1 + x2; of truth values: or.", truth=_e.logical_or)
subtract = _binary(_e.sub, "Elementwise x1 - x2.")
multiply = _binary(
    _e.mul, "Elementwise x1 * x2; of truth values: and.", truth=_e.logical_and
)
divide = true_divide = _binary(_e.div, "Elementwise x1 / x2, in floats.", True)
maximum = _binary(_e.max_, "Elementwise maximum; NaN wins.")
minimum = _binary(_e.min_, "Elementwise minimum; NaN wins.")
mod = _binary(_e.mod, "Elementwise remainder, with the sign of x2.")
floor_divide = _binary(_e.floordiv, "Elementwise floor(x1 / x2).")
arctan2 = _binary(_e.atan2, "Elementwise angle of the point (x2, x1).", True)
equal = _binary(_e.eq, "Elementwise x1 == x2.")
not_equal = _binary(_e.ne, "Elementwise x1 != x2.")
less = _binary(_e.lt, "Elementwise x1 < x2.")
less_equal = _binary(_e.le, "Elementwise x1 <= x2.")
greater = _binary(_e.gt, "Elementwise x1 > x2.")
greater_equal = _binary(_e.ge, "Elementwise x1 >= x2.")
bitwise_and = _binary(_e.bitwise_and, "Elementwise x1 & x2 of integers.")
bitwise_or = _binary(_e.bitwise_or, "Elementwise x1 | x2 of integers.")
bitwise_xor = _binary(_e.bitwise_xor, "Elementwise x1 ^ x2 of integers.")
left_shift = _binary(_e.shift_left, "Elementwise x1 << x2 of integers.")
right_shift = _binary(_e.shift_right, "Elementwise x1 >> x2 of integers.")


def power(x1: Any, x2: Any) -> Tensor:
    """Elementwise x1 ** x2; small whole exponents become products."""
    if isinstance(x2, (int, builtins.float)) and not isinstance(x2, builtins.bool):
        x = as_tensor(x1)
        if x2 == 1:
            return x
        if x2 == 2:
            return square(x)
        if x2 == 0.5 and x.spec.floating:
            return sqrt(x)
    return apply(_e.pow_, *_aligned(x1, x2))


negative = _unary(_e.neg, "Elementwise -x.", False)
sign = _unary(_e.sign, "Elementwise sign: -1, 0 or 1.", False)
exp = _unary(_e.exp, "Elementwise e**x.")
expm1 = _unary(_e.expm1, "Elementwise e**x - 1, accurate near 0.")
log = _unary(_e.log, "Elementwise natural logarithm.")
log1p = _unary(_e.log1p, "Elementwise log(1 + x), accurate near 0.")
sqrt = _unary(_e.sqrt, "Elementwise square root.")
rsqrt = _unary(_e.rsqrt, "Elementwise 1 / sqrt(x).")
sin = _unary(_e.sin, "Elementwise sine.")
cos = _unary(_e.cos, "Elementwise cosine.")
tan = _unary(_e.tan, "Elementwise tangent.")
arcsin = _unary(_e.asin, "Elementwise inverse sine.")
arccos = _unary(_e.acos, "Elementwise inverse cosine.")
arctan = _unary(_e.atan, "Elementwise inverse tangent.")
sinh = _unary(_e.sinh, "Elementwise hyperbolic sine.")
cosh = _unary(_e.cosh, "Elementwise hyperbolic cosine.")
tanh = _unary(_e.tanh, "Elementwise hyperbolic tangent.")
arcsinh = _unary(_e.asinh, "Elementwise inverse hyperbolic sine.")
arccosh = _unary(_e.acosh, "Elementwise inverse hyperbolic cosine.")
arctanh = _unary(_e.atanh, "Elementwise inverse hyperbolic tangent.")
sigmoid = _unary(_e.sigmoid, "Elementwise 1 / (1 + e**-x).")
erf = _unary(_e.erf, "Elementwise error function.")
lgamma = _unary(_e.lgamma, "Elementwise log of the gamma function.")
floor = _unary(_e.floor, "Elementwise floor.")
ceil = _unary(_e.ceil, "Elementwise ceiling.")
rint = _unary(_e.round_, "Elementwise nearest whole number, halves to even.")
trunc = _unary(_e.trunc, "Elementwise whole part.")
isnan = _unary(_e.isnan, "Elementwise: is it NaN.")
isinf = _unary(_e.isinf, "Elementwise: is it infinite.")
isfinite = _unary(_e.isfinite, "Elementwise: is it neither infinite nor NaN.")


def absolute(x: Any) -> Tensor:
    """Elementwise |x|."""
    x = as_tensor(x)
    return x if x.dtype == "bool" else apply(_e.abs_, x)


def square(x: Any) -> Tensor:
    """Elementwise x * x."""
    x = as_tensor(x)
    return apply(_e.mul, x, x)


def reciprocal(x: Any) -> Tensor:
    """Elementwise 1 / x."""
    return divide(1.0, x)


def _truth(x: Any) -> Tensor:
    x = as_tensor(x)
    return x if x.dtype == "bool" else not_equal(x, zeros_like(x))


def logical_not(x: Any) -> Tensor:
    """Elementwise negation."""
    return apply(_e.logical_not, _truth(x))


def _logic(op: Any, doc: str) -> Callable[..., Tensor]:
    def call(x1: Any, x2: Any) -> Tensor:
        a, b = _aligned(_truth(x1), _truth(x2))
        return apply(op, a, b)

    call.__doc__ = doc
    return call


logical_and = _logic(_e.logical_and, "Elementwise conjunction.")
logical_or = _logic(_e.logical_or, "Elementwise disjunction.")
logical_xor = _logic(_e.logical_xor, "Elementwise exclusive or.")


def where(condition: Any, x1: Any, x2: Any) -> Tensor:
    """Elements of ``x1`` where the condition holds, of ``x2`` elsewhere."""
    a, b = _common(x1, x2)
    c = _truth(condition)
    refuse_stretching((c, a, b))
    shape = broadcast_shapes(c.shape, a.shape, b.shape)
    return apply(_e.where, *(broadcast_to(t, shape) for t in (c, a, b)))


def clip(x: Any, x_min: Any, x_max: Any) -> Tensor:
    """Elementwise min(max(x, x_min), x_max)."""
    return minimum(maximum(x, x_min), x_max)


def stop_gradient(x: Any) -> Tensor:
    """The same value; no gradient passes."""
    return apply(_e.stop_gradient, as_tensor(x))


def check_range(x: Any, low: int, high: Size, allow: int | None = None) -> Tensor:
    """The same integers; one outside low..high-1 raises before the step writes."""
    return apply(_e.check_range, as_tensor(x), low=low, high=high, allow=allow)


# ------------------------------------------------------------------ reductions


def _axes(axis: Any, rank: int) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(rank))
    axes = (axis,) if isinstance(axis, (int, np.integer)) else tuple(axis)
    return _ops.reduce.normal_axes("reduction", [int(a) for a in axes], rank)


def _keep(y: Tensor, x: Tensor, axes: Sequence[int], keepdims: bool) -> Tensor:
    if not keepdims:
        return y
    return reshape(y, tuple(1 if i in axes else s for i, s in enumerate(x.shape)))


def _reduction(op: Any, doc: str, prepare: Any = None) -> Callable[..., Tensor]:
    def call(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
        x = as_tensor(x)
        if prepare is not None:
            x = prepare(x)
        axes = _axes(axis, len(x.shape))
        y = apply(op, x, axes=axes) if axes else x
        return _keep(y, x, axes, keepdims)

    call.__doc__ = doc
    return call


def _countable(x: Tensor) -> Tensor:
    return cast(x, "int32") if x.dtype == "bool" else x


sum = _reduction(_r.sum_, "Sum over axes (all by default).", _countable)
prod = _reduction(_r.prod, "Product over axes.", _countable)
max = _reduction(_r.reduce_max, "Maximum over axes.")
min = _reduction(_r.reduce_min, "Minimum over axes.")
any = _reduction(_r.any_, "Whether any element over the axes holds.", _truth)
all = _reduction(_r.all_, "Whether all elements over the axes hold.", _truth)
amax, amin = max, min


def count_of(x: Any, axes: Sequence[int]) -> Any:
    """How many elements a reduction over ``axes`` adds: an int, or a scalar tensor."""
    size = product(x.shape[i] for i in axes)
    if isinstance(size, int):
        return size
    return apply(_m.dim, size=size, dtype=x.dtype if x.spec.floating else "float32")


def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Mean over axes."""
    x = as_tensor(x)
    if not x.spec.floating:
        x = cast(x, "float32")
    axes = _axes(axis, len(x.shape))
    return divide(sum(x, axes, keepdims), count_of(x, axes))


def var(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Variance over axes (divided by the count)."""
    x = as_tensor(x)
    axes = _axes(axis, len(x.shape))
    return mean(square(x - mean(x, axes, keepdims=True)), axes, keepdims)


def std(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Standard deviation over axes."""
    return sqrt(var(x, axis, keepdims))


def _arg(op: Any, doc: str) -> Callable[..., Tensor]:
    def call(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
        x = as_tensor(x)
        if axis is None:
            y = apply(op, reshape(x, (-1,)), axis=0)
            return _keep(y, x, tuple(range(len(x.shape))), keepdims)
        (axis,) = _axes(axis, len(x.shape))
        return _keep(apply(op, x, axis=axis), x, (axis,), keepdims)

    call.__doc__ = doc
    return call


argmax = _arg(_r.argmax, "Index of the first maximum along an axis.")
argmin = _arg(_r.argmin, "Index of the first minimum along an axis.")


def _along(op: Any, doc: str, default: int | None) -> Callable[..., Tensor]:
    def call(x: Any, axis: int | None = default) -> Tensor:
        x = as_tensor(x)
        if axis is None:
            x, axis = reshape(x, (-1,)), 0
        (axis,) = _axes(axis, len(x.shape))
        return apply(op, x, axis=axis)

    call.__doc__ = doc
    return call


cumsum = _along(_r.cumsum, "Cumulative sum along an axis.", None)
cumprod = _along(_r.cumprod, "Cumulative product along an axis.", None)
argsort = _along(_r.argsort, "Indices that sort an axis (stable).", -1)


def sort(x: Any, axis: int = -1) -> Tensor:
    """Sorted along an axis."""
    return take_along_axis(x, argsort(x, axis), axis)


# -------------------------------------------------------------------- movement


def reshape(x: Any, newshape: Any) -> Tensor:
    """Another shape with the same elements; one size may be -1."""
    x = as_tensor(x)
    shape = (newshape,) if isinstance(newshape, (int, Dim)) else tuple(newshape)
    shape = tuple(s if isinstance(s, Dim) else operator.index(s) for s in shape)
    if -1 in shape:
        known = product(s for s in shape if s != -1)
        total = product(x.shape)
        rest: Any = 0 if known == 0 else total // known
        shape = tuple(rest if s == -1 else s for s in shape)
    if shape == tuple(x.shape):
        return x
    return apply(_m.reshape, x, shape=shape)


def transpose(x: Any, axes: Sequence[int] | None = None) -> Tensor:
    """Axes in another order; reversed by default."""
    x = as_tensor(x)
    rank = len(x.shape)
    if axes is None:
        perm = tuple(range(rank))[::-1]
    else:
        perm = tuple(normal_axis("transpose", a, rank) for a in axes)
    return x if perm == tuple(range(rank)) else apply(_m.transpose, x, perm=perm)


def expand_dims(x: Any, axis: Any) -> Tensor:
    """Axes of size 1 at these places of the result."""
    x = as_tensor(x)
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    rank = len(x.shape) + len(axes)
    places = normal_axes("expand_dims", axes, rank)
    rest = iter(x.shape)
    return reshape(x, tuple(1 if i in places else next(rest) for i in range(rank)))


def squeeze(x: Any, axis: Any = None) -> Tensor:
    """Without axes of size 1 (all of them by default)."""
    x = as_tensor(x)
    rank = len(x.shape)
    if axis is None:
        axes = [i for i, s in enumerate(x.shape) if s == 1]
    else:
        one = isinstance(axis, (int, np.integer))
        given = (int(axis),) if one else tuple(axis)
        axes = list(normal_axes("squeeze", given, rank))
    for i in axes:
        if x.shape[i] != 1:
            raise ShapeError(
                "RV108", f"squeeze: axis {i} of {x.spec} does not have size 1"
            )
    return reshape(x, tuple(s for i, s in enumerate(x.shape) if i not in axes))


def slice_axis(x: Any, axis: int, start: Size, stop: Size, step: int = 1) -> Tensor:
    """A range of one axis."""
    x = as_tensor(x)
    if start == 0 and stop == x.shape[axis] and step == 1:
        return x
    starts: list[Size] = [0] * x.ndim
    stops_, steps = list(x.shape), [1] * x.ndim
    starts[axis], stops_[axis], steps[axis] = start, stop, step
    return apply(
        _m.slice_, x, start=tuple(starts), stop=tuple(stops_), step=tuple(steps)
    )


def pad(
    x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = 0
) -> Tensor:
    """Elements around the edges; ``pad_width`` is one pair for each axis."""
    x = as_tensor(x)
    if mode != "constant":
        raise ShapeError(
            "RV100", f"pad: mode {mode!r} is not supported", fix="'constant'"
        )
    if isinstance(pad_width, int):
        pad_width = ((pad_width, pad_width),) * x.ndim
    if len(pad_width) == 2 and isinstance(pad_width[0], int):
        pad_width = (tuple(pad_width),) * x.ndim
    low = tuple(p[0] for p in pad_width)
    high = tuple(p[1] for p in pad_width)
    if builtins.all(p == 0 for p in low + high):
        return x
    return apply(_m.pad, x, low=low, high=high, value=constant_values)


def concatenate(xs: Sequence[Any], axis: int = 0) -> Tensor:
    """Joined along an axis."""
    tensors = _common(*xs)
    axis = normal_axis("concatenate", axis, tensors[0].ndim)
    if len(tensors) == 1:
        return tensors[0]
    return apply(_m.concat, *tensors, axis=axis)


def stack(xs: Sequence[Any], axis: int = 0) -> Tensor:
    """Joined along a new axis."""
    return concatenate([expand_dims(x, axis) for x in _common(*xs)], axis)


def flip(x: Any, axis: Any = None) -> Tensor:
    """Reversed along axes (all by default)."""
    x = as_tensor(x)
    axes = _axes(axis, len(x.shape))
    return apply(_m.flip, x, axes=axes) if axes else x


def getitem(x: Any, key: Any) -> Tensor:
    """Basic indexing, and one integer array."""
    x = as_tensor(x)
    keys = list(key) if isinstance(key, tuple) else [key]
    used = builtins.sum(k is not None and k is not Ellipsis for k in keys)
    if used > x.ndim:
        raise ShapeError("RV108", f"{used} indices for {x.spec}")
    if Ellipsis not in [k for k in keys if isinstance(k, type(Ellipsis))]:
        keys.append(Ellipsis)
    at = next(i for i, k in enumerate(keys) if k is Ellipsis)
    keys[at : at + 1] = [slice(None)] * (x.ndim - used)
    axis, shape = 0, []
    bounds: list[Any] = []
    gathers: list[tuple[int, Any]] = []
    flips: list[int] = []
    for k in keys:
        if k is None:
            shape.append(1)
            continue
        size = x.shape[axis]
        if isinstance(k, slice):
            start, stop, step = _slice_bounds(k, size)
            if step < 0:
                flips.append(axis)
                step = -step
                start, stop = size - 1 - start, size - 1 - stop
            bounds.append((start, stop, step))
            shape.append(_m._length(start, stop, step))
        elif isinstance(k, (int, np.integer, Dim)):
            k = k + size if isinstance(k, (int, np.integer)) and k < 0 else k
            if isinstance(size, int) and isinstance(k, int) and not 0 <= k < size:
                raise IndexError(f"index {k} is out of bounds for size {size}")
            bounds.append((k, k + 1, 1))
        else:
            bounds.append((0, size, 1))
            gathers.append((len(shape), k))
            shape.append(size)
        axis += 1
    if flips:
        x = flip(x, flips)
    starts, stops_, steps = ([b[i] for b in bounds] for i in range(3))
    if (
        tuple(starts) != (0,) * x.ndim
        or tuple(stops_) != tuple(x.shape)
        or builtins.any(s != 1 for s in steps)
    ):
        x = apply(
            _m.slice_, x, start=tuple(starts), stop=tuple(stops_), step=tuple(steps)
        )
    x = reshape(x, tuple(shape))
    if len(gathers) > 1:
        raise ShapeError("RV108", "one index array at a time", fix="use ops.take twice")
    for place, indices in gathers:
        x = take(x, indices, axis=place)
    return x


def _slice_bounds(k: slice, size: Size) -> tuple[Any, Any, int]:
    step = 1 if k.step is None else int(k.step)
    if isinstance(size, int):
        return slice(
            *(None if v is None else operator.index(v) for v in (k.start, k.stop, step))
        ).indices(size)
    if step < 0:
        if k.start is None and k.stop is None:
            return size - 1, -1, step
        raise ShapeError("RV108", "a backward slice of a symbolic axis needs no bounds")

    def place(v: Any, default: Any) -> Any:
        if v is None:
            return default
        return size + v if isinstance(v, int) and v < 0 else v

    return place(k.start, 0), place(k.stop, size), step


# --------------------------------------------------------- indices, contractions


def take(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """Rows of ``x`` along an axis, by index; negative indices count from the end."""
    x, indices = as_tensor(x), as_tensor(indices)
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    return apply(_gather.take, x, indices, axis=normal_axis("take", axis, x.ndim))


def scatter_add(x: Any, indices: Any, updates: Any, axis: int = 0) -> Tensor:
    """``x`` with updates added to its rows along an axis."""
    return apply(
        _gather.scatter_add, as_tensor(x), as_tensor(indices), as_tensor(updates),
        axis=axis,
    )  # fmt: skip


def take_along_axis(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """``out[.., i, ..] = x[.., indices[.., i, ..], ..]`` along an axis.

    Without an axis x is one row of numbers, and so must be the indices.
    """
    x, indices = as_tensor(x), as_tensor(indices)
    if axis is None:
        if indices.ndim != 1:
            raise ShapeError(
                "RV108",
                f"take_along_axis: without an axis indices of shape {indices.shape} "
                "must have one axis",
                fix="axis=-1",
            )
        x, axis = reshape(x, (-1,)), 0
    axis = normal_axis("take_along_axis", axis, x.ndim)
    return apply(_gather.take_along_axis, x, indices, axis=axis)


def add_along_axis(x: Any, indices: Any, updates: Any, axis: int) -> Tensor:
    """The addition that `take_along_axis` is the read of."""
    return apply(
        _gather.add_along_axis, as_tensor(x), as_tensor(indices), as_tensor(updates),
        axis=axis,
    )  # fmt: skip


def dot_general(a: Any, b: Any, contract: Any, batch: Any = ((), ())) -> Tensor:
    """Contract axes of two tensors: [batch axes, free axes of a, free axes of b]."""
    a, b = _common(a, b)
    contract = tuple(tuple(int(i) for i in c) for c in contract)
    batch = tuple(tuple(int(i) for i in c) for c in batch)
    return apply(_contract.dot_general, a, b, contract=contract, batch=batch)


def matmul(x1: Any, x2: Any) -> Tensor:
    """Matrix product, batched and broadcast over leading axes as NumPy's."""
    a, b = _common(x1, x2)
    if a.ndim == 0 or b.ndim == 0:
        raise ShapeError("RV108", "matmul of a scalar", details=f"{a.spec}, {b.spec}")
    _same_inner(a, b)
    if a.ndim == 1 and b.ndim == 1:
        return dot_general(a, b, ((0,), (0,)))
    if b.ndim <= 2:
        return dot_general(a, b, ((a.ndim - 1,), (0,)))
    if a.ndim == 1:
        return squeeze(matmul(expand_dims(a, 0), b), -2)
    lead = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a = broadcast_to(a, (*lead, *a.shape[-2:]))
    b = broadcast_to(b, (*lead, *b.shape[-2:]))
    n = len(lead)
    axes = tuple(range(n))
    return dot_general(a, b, ((n + 1,), (n,)), (axes, axes))


def _same_inner(a: Tensor, b: Tensor) -> None:
    inner = b.shape[0] if b.ndim == 1 else b.shape[-2]
    if a.shape[-1] != inner:
        raise ShapeError(
            "RV108",
            "matmul: the last axis of the left and the rows of the right differ",
            details=f"{a.shape[-1]} against {inner}: got {a.spec} and {b.spec}",
        )


# --------------------------------------------------------------------- making


def full(shape: Any, fill_value: Any, dtype: str | None = None) -> Tensor:
    """One value everywhere."""
    value = fill_value
    shape = (shape,) if isinstance(shape, (int, Dim)) else tuple(shape)
    if not isinstance(value, (builtins.bool, int, builtins.float)):
        value = as_tensor(value)
        return broadcast_to(cast(value, dtype or value.dtype), shape)
    dtype = dtype or _weak(value, None)
    if current_trace() is None:
        return Tensor(value=np.full(shape, value, dtype))
    return apply(_m.full, shape=shape, value=value, dtype=dtype)


def zeros(shape: Any, dtype: str = "float32") -> Tensor:
    """Zeros."""
    return full(shape, 0, dtype)


def ones(shape: Any, dtype: str = "float32") -> Tensor:
    """Ones."""
    return full(shape, 1, dtype)


def zeros_like(x: Any, dtype: str | None = None) -> Tensor:
    """Zeros of the shape of ``x``."""
    x = as_tensor(x)
    return full(x.shape, 0, dtype or x.dtype)


def ones_like(x: Any, dtype: str | None = None) -> Tensor:
    """Ones of the shape of ``x``."""
    x = as_tensor(x)
    return full(x.shape, 1, dtype or x.dtype)


def iota(size: Size, dtype: str = "int32") -> Tensor:
    """0, 1, …, size - 1."""
    if current_trace() is None:
        return Tensor(value=np.arange(int(size), dtype=dtype))  # type: ignore[arg-type]
    return apply(_m.iota, size=size, dtype=dtype)


def random_bits(key: Any, shape: Sequence[Size]) -> Tensor:
    """32 random bits for each element, from a key of four uint32 words."""
    return apply(_random.random_bits, as_tensor(key), shape=tuple(shape))
