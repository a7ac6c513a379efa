"""Keras's ``ops``: NumPy-like functions on symbols and on arrays.

On symbols (inside a model, loss, metric or `ops.scan`) they record nodes of the graph;
on arrays they compute at once and return a `Tensor` that NumPy understands.

Example:
    >>> from ranvier import ops
    >>> ops.softmax([1.0, 1.0]).numpy()
    array([0.5, 0.5], dtype=float32)
"""

from __future__ import annotations

import builtins
import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ranvier.errors import ShapeError
from ranvier.graph import composites as _c
from ranvier.graph.autodiff import custom_gradient
from ranvier.graph.composites import adam_update
from ranvier.graph.control import cond, scan, while_loop
from ranvier.graph.dims import Dim
from ranvier.graph.functions import (
    absolute,
    add,
    all,
    amax,
    amin,
    any,
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctan2,
    arctanh,
    argmax,
    argmin,
    argsort,
    as_tensor,
    bitwise_and,
    bitwise_or,
    bitwise_xor,
    broadcast_to,
    cast,
    ceil,
    check_range,
    clip,
    concatenate,
    cos,
    cosh,
    cumprod,
    cumsum,
    divide,
    dot_general,
    equal,
    erf,
    exp,
    expand_dims,
    expm1,
    flip,
    floor,
    floor_divide,
    full,
    greater,
    greater_equal,
    iota,
    isfinite,
    isinf,
    isnan,
    left_shift,
    less,
    less_equal,
    lgamma,
    log,
    log1p,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    matmul,
    max,
    maximum,
    mean,
    min,
    minimum,
    mod,
    multiply,
    negative,
    normal_axis,
    not_equal,
    ones,
    ones_like,
    pad,
    power,
    prod,
    random_bits,
    reciprocal,
    reshape,
    right_shift,
    rint,
    rsqrt,
    scatter_add,
    sigmoid,
    sign,
    sin,
    sinh,
    sort,
    sqrt,
    square,
    squeeze,
    stack,
    std,
    stop_gradient,
    subtract,
    sum,
    take,
    take_along_axis,
    tan,
    tanh,
    transpose,
    true_divide,
    trunc,
    var,
    where,
    zeros,
    zeros_like,
)
from ranvier.graph.trace import Tensor

abs = absolute
array = as_tensor
relu = _c.relu
EPSILON = 1e-7


def convert_to_tensor(x: Any, dtype: str | None = None, sparse: Any = None) -> Tensor:
    """A tensor from numbers, an array, a tensor or a variable."""
    return as_tensor(x, dtype)


def convert_to_numpy(x: Any) -> np.ndarray[Any, Any]:
    """The numbers of a tensor or variable."""
    return np.asarray(x)


def is_tensor(x: Any) -> bool:
    """Whether ``x`` is a tensor."""
    return isinstance(x, Tensor)


def shape(x: Any) -> tuple[Any, ...]:
    """The shape; sizes known only later are symbols that `reshape` understands."""
    return tuple(as_tensor(x).shape)


def ndim(x: Any) -> int:
    """Number of axes."""
    return as_tensor(x).ndim


def size(x: Any) -> Any:
    """Number of elements."""
    return as_tensor(x).size


def round(x: Any, decimals: int = 0) -> Tensor:
    """Elementwise nearest number with so many decimals, halves to even."""
    if decimals == 0:
        return rint(x)
    factor = 10.0**decimals
    return rint(as_tensor(x) * factor) / factor


def arange(
    start: Any, stop: Any = None, step: Any = None, dtype: str | None = None
) -> Tensor:
    """``start, start + step, …`` up to, without, ``stop``."""
    if stop is None:
        start, stop = 0, start
    step = 1 if step is None else step
    if isinstance(start, Dim) or isinstance(stop, Dim):
        return (
            iota((stop - start + (step - 1)) // step, dtype or "int32") * step + start
        )
    array = np.arange(start, stop, step)
    own = "float32" if array.dtype.kind == "f" else "int32"
    return Tensor(value=array.astype(dtype or own))


def linspace(start: Any, stop: Any, num: int = 50, dtype: str | None = None) -> Tensor:
    """``num`` evenly spaced numbers from ``start`` to ``stop``."""
    return Tensor(value=np.linspace(start, stop, num).astype(dtype or "float32"))


def eye(n: int, m: int | None = None, k: int = 0, dtype: str = "float32") -> Tensor:
    """Ones on a diagonal, zeros elsewhere."""
    return Tensor(value=np.eye(n, m, k, dtype))


def identity(n: int, dtype: str = "float32") -> Tensor:
    """The identity matrix."""
    return eye(n, dtype=dtype)


def full_like(x: Any, fill_value: Any, dtype: str | None = None) -> Tensor:
    """One value in the shape of ``x``."""
    x = as_tensor(x)
    return full(x.shape, fill_value, dtype or x.dtype)


def swapaxes(x: Any, axis1: int, axis2: int) -> Tensor:
    """Two axes exchanged."""
    x = as_tensor(x)
    perm = list(range(x.ndim))
    axis1, axis2 = (normal_axis("swapaxes", a, x.ndim) for a in (axis1, axis2))
    perm[axis1], perm[axis2] = perm[axis2], perm[axis1]
    return transpose(x, perm)


def moveaxis(x: Any, source: Any, destination: Any) -> Tensor:
    """Axes moved to other places."""
    x = as_tensor(x)
    src, dst = (
        [
            normal_axis("moveaxis", a, x.ndim)
            for a in ((axes,) if isinstance(axes, int) else axes)
        ]
        for axes in (source, destination)
    )
    order = [i for i in range(x.ndim) if i not in src]
    for d, s in sorted(zip(dst, src, strict=True)):
        order.insert(d, s)
    return transpose(x, order)


def ravel(x: Any) -> Tensor:
    """One axis."""
    return reshape(x, (-1,))


def repeat(x: Any, repeats: int, axis: int | None = None) -> Tensor:
    """Each element ``repeats`` times along an axis."""
    x = as_tensor(x)
    if axis is None:
        x, axis = ravel(x), 0
    axis = normal_axis("repeat", axis, x.ndim)
    wide = expand_dims(x, axis + 1)
    shape_ = list(wide.shape)
    shape_[axis + 1] = repeats
    wide = broadcast_to(wide, shape_)
    final = list(x.shape)
    final[axis] = final[axis] * repeats
    return reshape(wide, tuple(final))


def tile(x: Any, repeats: Any) -> Tensor:
    """The whole tensor repeated along each axis."""
    x = as_tensor(x)
    reps = (repeats,) if isinstance(repeats, int) else tuple(repeats)
    if len(reps) < x.ndim:
        reps = (1,) * (x.ndim - len(reps)) + reps
    x = broadcast_to(x, (1,) * (len(reps) - x.ndim) + tuple(x.shape))
    for axis, count in enumerate(reps):
        if count != 1:
            x = concatenate([x] * count, axis)
    return x


def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """Parts of an axis: a number of equal ones, or between these places."""
    from ranvier.graph.functions import slice_axis

    x = as_tensor(x)
    axis = normal_axis("split", axis, x.ndim)
    total: Any = x.shape[axis]
    if isinstance(indices_or_sections, int):
        if isinstance(total, int) and total % indices_or_sections:
            raise ShapeError(
                "RV108", f"split: {total} is not a multiple of {indices_or_sections}"
            )
        part = total // indices_or_sections
        places = [part * i for i in range(1, indices_or_sections)]
    else:
        places = list(indices_or_sections)
    edges = [0, *places, total]
    return [slice_axis(x, axis, a, b) for a, b in itertools.pairwise(edges)]


def unstack(x: Any, num: int | None = None, axis: int = 0) -> list[Tensor]:
    """The slices of an axis."""
    x = as_tensor(x)
    count = num or x.shape[normal_axis("unstack", axis, x.ndim)]
    return [squeeze(p, axis) for p in split(x, count, axis)]  # type: ignore[arg-type]


def dot(x1: Any, x2: Any) -> Tensor:
    """NumPy's dot: last axis of x1 with the last but one of x2."""
    a, b = as_tensor(x1), as_tensor(x2)
    if a.ndim == 0 or b.ndim == 0:
        return multiply(a, b)
    return tensordot(a, b, ((a.ndim - 1,), (builtins.max(b.ndim - 2, 0),)))


def tensordot(x1: Any, x2: Any, axes: Any = 2) -> Tensor:
    """Contract these axes."""
    a, b = as_tensor(x1), as_tensor(x2)
    if isinstance(axes, int):
        ca: Sequence[int] = range(a.ndim - axes, a.ndim)
        cb: Sequence[int] = range(axes)
    else:
        ca, cb = ([x] if isinstance(x, int) else list(x) for x in axes)
    return dot_general(
        a, b, (tuple(i % a.ndim for i in ca), tuple(i % b.ndim for i in cb))
    )


def einsum(subscripts: str, *operands: Any) -> Tensor:
    """Sums of products, in NumPy's notation; two operands at a time, from the left."""
    text = subscripts.replace(" ", "")
    if "->" not in text:
        letters = [c for c in text if c.isalpha()]
        text += "->" + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    left, out = text.split("->")
    terms = left.split(",")
    tensors = [as_tensor(o) for o in operands]
    if "..." in text:
        spare = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        rank = builtins.max(
            t.ndim - len(s.replace("...", ""))
            for s, t in zip(terms, tensors, strict=True)
            if "..." in s
        )
        names = "".join(c for c in spare if c not in text)[:rank]
        terms = [
            s.replace("...", names[rank - (t.ndim - len(s.replace("...", ""))) :])
            for s, t in zip(terms, tensors, strict=True)
        ]
        out = out.replace("...", names)
    current, names_a = tensors[0], terms[0]
    for i in range(1, len(tensors)):
        later = set("".join(terms[i + 1 :]) + out)
        current, names_a = _pair(current, names_a, tensors[i], terms[i], later)
    drop = tuple(i for i, c in enumerate(names_a) if c not in out)
    if drop:
        current = sum(current, axis=drop)
        names_a = "".join(c for c in names_a if c in out)
    return transpose(current, [names_a.index(c) for c in out])


def _pair(
    a: Tensor, na: str, b: Tensor, nb: str, later: set[str]
) -> tuple[Tensor, str]:
    """One contraction of an einsum."""
    for names, other in ((na, nb), (nb, na)):
        if len(set(names)) != len(names):
            raise ShapeError("RV108", f"einsum: an index twice in {names!r}")
        lonely = tuple(
            i for i, c in enumerate(names) if c not in other and c not in later
        )
        if lonely and names is na:
            a, na = sum(a, axis=lonely), "".join(c for c in na if c in nb or c in later)
        elif lonely:
            b, nb = sum(b, axis=lonely), "".join(c for c in nb if c in na or c in later)
    shared = [c for c in na if c in nb]
    batch = [c for c in shared if c in later]
    gone = [c for c in shared if c not in later]
    result = dot_general(
        a,
        b,
        (tuple(na.index(c) for c in gone), tuple(nb.index(c) for c in gone)),
        (tuple(na.index(c) for c in batch), tuple(nb.index(c) for c in batch)),
    )
    names = (
        "".join(batch)
        + "".join(c for c in na if c not in shared)
        + "".join(c for c in nb if c not in shared)
    )
    return result, names


def outer(x1: Any, x2: Any) -> Tensor:
    """All products of two flattened tensors."""
    return reshape(x1, (-1, 1)) * reshape(x2, (1, -1))


def count_nonzero(x: Any, axis: Any = None) -> Tensor:
    """How many elements are not zero."""
    return sum(cast(not_equal(x, zeros_like(x)), "int32"), axis)


def average(x: Any, axis: Any = None, weights: Any = None) -> Tensor:
    """Mean, or weighted mean."""
    if weights is None:
        return mean(x, axis)
    w = cast(weights, as_tensor(x).dtype)
    return sum(x * w, axis) / sum(broadcast_to(w, as_tensor(x).shape), axis)


def one_hot(
    x: Any,
    num_classes: int,
    axis: int = -1,
    dtype: str | None = None,
    sparse: Any = False,
) -> Tensor:
    """1 at the index of each element along a new axis, 0 elsewhere (and for -1)."""
    x = as_tensor(x)
    hot = cast(expand_dims(x, -1) == iota(num_classes, x.dtype), dtype or "float32")
    return hot if axis in (-1, x.ndim) else moveaxis(hot, -1, axis)


def multi_hot(
    inputs: Any, num_classes: int, axis: int = -1, dtype: str | None = None
) -> Tensor:
    """1 at every index named along an axis, 0 elsewhere."""
    inputs = as_tensor(inputs)
    where_ = axis if axis >= 0 else inputs.ndim + axis
    return max(one_hot(inputs, num_classes, dtype=dtype), axis=where_)


def top_k(x: Any, k: int, sorted: bool = True) -> tuple[Tensor, Tensor]:
    """The k largest along the last axis, and their indices."""
    x = as_tensor(x)
    order = argsort(negative(x), -1)[..., :k]
    return take_along_axis(x, order, -1), order


def in_top_k(targets: Any, predictions: Any, k: int) -> Tensor:
    """Whether each target is among the k largest predictions; ties count."""
    targets, predictions = as_tensor(targets), as_tensor(predictions)
    own = take_along_axis(predictions, expand_dims(targets, -1), -1)
    return sum(cast(predictions > own, "int32"), axis=-1) < k


def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """``log(sum(e^x))`` over axes, shifted by the maximum."""
    top = stop_gradient(max(x, axis, keepdims=True))
    found = log(sum(exp(x - top), axis, keepdims=True)) + top
    if keepdims:
        return found
    x = as_tensor(x)
    axes = range(x.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    return squeeze(found, tuple(axes))


def logaddexp(x1: Any, x2: Any) -> Tensor:
    """``log(e^x1 + e^x2)`` without overflow."""
    return maximum(x1, x2) + log1p(exp(negative(absolute(subtract(x1, x2)))))


def nan_to_num(
    x: Any, nan: float = 0.0, posinf: Any = None, neginf: Any = None
) -> Tensor:
    """NaN and infinities replaced by numbers."""
    x = as_tensor(x)
    top = float(np.finfo(x.dtype).max)
    x = where(isnan(x), nan, x)
    x = where(x == math.inf, top if posinf is None else posinf, x)
    return where(x == -math.inf, -top if neginf is None else neginf, x)


def diff(a: Any, n: int = 1, axis: int = -1) -> Tensor:
    """Differences of neighbours along an axis."""
    from ranvier.graph.functions import slice_axis

    a = as_tensor(a)
    axis %= a.ndim
    for _ in range(n):
        last = a.shape[axis]
        a = slice_axis(a, axis, 1, last) - slice_axis(a, axis, 0, last - 1)
    return a


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Vector norm: Euclidean, or 1, or infinity."""
    x = as_tensor(x)
    if ord in (None, 2, "fro", "euclidean"):
        return sqrt(sum(square(x), axis, keepdims))
    if ord == 1:
        return sum(absolute(x), axis, keepdims)
    if ord == math.inf:
        return max(absolute(x), axis, keepdims)
    raise ShapeError(
        "RV100", f"norm: ord={ord!r} is not supported", fix="None, 1, 2, inf"
    )


def normalize(x: Any, axis: int = -1, order: Any = 2, epsilon: Any = None) -> Tensor:
    """Divided by its norm along an axis."""
    return as_tensor(x) / maximum(
        norm(x, order, axis, keepdims=True), EPSILON if epsilon is None else epsilon
    )


def map(f: Callable[[Any], Any], xs: Any) -> Any:
    """``f`` of each row, stacked."""
    return scan(lambda carry, x: (carry, f(x)), (), xs)[1]


def fori_loop(lower: int, upper: int, body_fun: Any, init_val: Any) -> Any:
    """``for i in range(lower, upper): val = body_fun(i, val)``."""
    return scan(
        lambda val, i: (body_fun(i, val), None), init_val, arange(lower, upper)
    )[0]


def random_uniform(key: Any, shape: Sequence[Any], dtype: str = "float32") -> Tensor:
    """Uniform numbers in [0, 1): the upper 24 of 32 random bits, times 2**-24."""
    bits = right_shift(random_bits(key, shape), Tensor(value=np.uint32(8)))
    return cast(bits, dtype) * 2.0**-24


# ---------------------------------------------------------------------- networks


def softmax(x: Any, axis: Any = -1) -> Tensor:
    """``e^x / sum(e^x)`` along an axis (or all axes of a tuple together)."""
    return _last_axis(_c.softmax, x, axis)


def log_softmax(x: Any, axis: Any = -1) -> Tensor:
    """``log softmax(x)`` along an axis."""
    return _last_axis(_c.log_softmax, x, axis)


def _last_axis(fn: Any, x: Any, axis: Any) -> Tensor:
    x = as_tensor(x)
    if not x.spec.floating:
        x = cast(x, "float32")
    if isinstance(axis, (tuple, list)):
        axes = [normal_axis("softmax", a, x.ndim) for a in axis]
        rest = [i for i in range(x.ndim) if i not in axes]
        perm = rest + axes
        moved = transpose(x, perm)
        flat = reshape(moved, (*[x.shape[i] for i in rest], -1))
        return transpose(
            reshape(fn(flat), moved.shape), [int(i) for i in np.argsort(perm)]
        )
    axis = normal_axis("softmax", axis, x.ndim)
    if axis == x.ndim - 1:
        return fn(x)
    return swapaxes(fn(swapaxes(x, axis, -1)), axis, -1)


def _refuse_pair(name: str, target: Tensor, output: Tensor, want: str) -> ShapeError:
    return ShapeError(
        "RV101",
        f"{name}: labels and output do not fit together",
        details=f"labels have shape {tuple(target.shape)}, the output "
        f"{tuple(output.shape)}",
        fix=want,
    )


def sparse_categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Tensor:
    """``-log p[label]``, with whole-number labels.

    Args:
        target: Labels, shape of ``output`` without the class axis (a last axis of 1 is
            dropped).
        output: Probabilities, or logits.
        from_logits: Which of the two. Probabilities are scaled to sum 1 and clipped to
            [1e-7, 1 - 1e-7], as Keras does.
        axis: The class axis.

    Raises:
        ShapeError: RV101, when the shapes do not fit.
        DataError: RV105, when a label is outside 0 .. classes - 1.
    """
    target, output = as_tensor(target), as_tensor(output)
    if target.ndim == output.ndim and target.ndim and target.shape[-1] == 1:
        target = squeeze(target, -1)
    if output.ndim < 1 or output.shape[axis] in (None,):
        raise _refuse_pair("sparse_categorical_crossentropy", target, output, "")
    if axis not in (-1, output.ndim - 1):
        output = moveaxis(output, axis, -1)
    if tuple(target.shape) != tuple(output.shape[:-1]):
        raise _refuse_pair(
            "sparse_categorical_crossentropy",
            target,
            output,
            "one whole number a row; for one-hot labels use categorical_crossentropy",
        )
    if target.dtype not in ("int32", "int64"):
        target = cast(target, "int32")
    target = check_range(target, 0, output.shape[-1])
    if from_logits:
        return _c.sparse_softmax_cross_entropy(output, target)[0]
    output = output / sum(output, axis=-1, keepdims=True)
    picked = take_along_axis(output, expand_dims(target, -1), -1)
    return negative(log(clip(squeeze(picked, -1), EPSILON, 1 - EPSILON)))


def categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Tensor:
    """``-sum(target * log p)`` along the class axis, with one column a class.

    Raises:
        ShapeError: RV101, when the shapes differ.
    """
    target, output = as_tensor(target), as_tensor(output)
    target = cast(target, output.dtype)
    if tuple(target.shape) != tuple(output.shape):
        raise _refuse_pair(
            "categorical_crossentropy",
            target,
            output,
            "one column a class (utils.to_categorical), or the sparse_ loss for whole "
            "numbers",
        )
    if axis not in (-1, output.ndim - 1):
        target, output = moveaxis(target, axis, -1), moveaxis(output, axis, -1)
    if from_logits:
        return _c.softmax_cross_entropy(output, target)[0]
    output = output / sum(output, axis=-1, keepdims=True)
    return negative(sum(target * log(clip(output, EPSILON, 1 - EPSILON)), axis=-1))


def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Tensor:
    """``-t log p - (1 - t) log(1 - p)`` elementwise.

    Raises:
        ShapeError: RV101, when the shapes differ.
    """
    target, output = as_tensor(target), as_tensor(output)
    target = cast(target, output.dtype)
    if tuple(target.shape) != tuple(output.shape):
        raise _refuse_pair("binary_crossentropy", target, output, "the same shape")
    if from_logits:
        return _c.sigmoid_cross_entropy(output, target)
    output = clip(output, EPSILON, 1 - EPSILON)
    return negative(target * log(output) + (1.0 - target) * log(1.0 - output))


def __getattr__(name: str) -> Any:
    """The activations, and Keras's namespaces ``ops.nn`` and ``ops.numpy``."""
    import sys

    from ranvier import activations
    from ranvier._missing import missing

    if name in ("nn", "numpy", "math", "core"):
        return sys.modules[__name__]
    if name == "gelu":  # approximate here, exact among the activations (Keras)
        return functools.partial(activations.gelu, approximate=True)
    if name in ACTIVATIONS:
        return getattr(activations, name)
    return missing("ranvier.ops", lambda: [*__all__, *ACTIVATIONS])(name)


#: Activations that Keras also has among its operations.
ACTIVATIONS = frozenset(
    [
        "celu",
        "elu",
        "gelu",
        "glu",
        "hard_shrink",
        "hard_sigmoid",
        "hard_silu",
        "hard_swish",
        "hard_tanh",
        "leaky_relu",
        "log_sigmoid",
        "relu6",
        "selu",
        "silu",
        "soft_shrink",
        "softplus",
        "softsign",
        "sparse_plus",
        "sparse_sigmoid",
        "sparsemax",
        "squareplus",
        "swish",
        "tanh_shrink",
        "threshold",
    ]
)

__all__ = [
    "abs",
    "absolute",
    "adam_update",
    "add",
    "all",
    "amax",
    "amin",
    "any",
    "arange",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "argmax",
    "argmin",
    "argsort",
    "array",
    "average",
    "binary_crossentropy",
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
    "broadcast_to",
    "cast",
    "categorical_crossentropy",
    "ceil",
    "check_range",
    "clip",
    "concatenate",
    "cond",
    "convert_to_numpy",
    "convert_to_tensor",
    "cos",
    "cosh",
    "count_nonzero",
    "cumprod",
    "cumsum",
    "custom_gradient",
    "diff",
    "divide",
    "dot",
    "dot_general",
    "einsum",
    "equal",
    "erf",
    "exp",
    "expand_dims",
    "expm1",
    "eye",
    "flip",
    "floor",
    "floor_divide",
    "fori_loop",
    "full",
    "full_like",
    "greater",
    "greater_equal",
    "identity",
    "in_top_k",
    "iota",
    "is_tensor",
    "isfinite",
    "isinf",
    "isnan",
    "left_shift",
    "less",
    "less_equal",
    "lgamma",
    "linspace",
    "log",
    "log1p",
    "log_softmax",
    "logaddexp",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "logsumexp",
    "map",
    "matmul",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "mod",
    "moveaxis",
    "multi_hot",
    "multiply",
    "nan_to_num",
    "ndim",
    "negative",
    "norm",
    "normalize",
    "not_equal",
    "one_hot",
    "ones",
    "ones_like",
    "outer",
    "pad",
    "power",
    "prod",
    "random_bits",
    "random_uniform",
    "ravel",
    "reciprocal",
    "relu",
    "repeat",
    "reshape",
    "right_shift",
    "rint",
    "round",
    "rsqrt",
    "scan",
    "scatter_add",
    "shape",
    "sigmoid",
    "sign",
    "sin",
    "sinh",
    "size",
    "softmax",
    "sort",
    "sparse_categorical_crossentropy",
    "split",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "std",
    "stop_gradient",
    "subtract",
    "sum",
    "swapaxes",
    "take",
    "take_along_axis",
    "tan",
    "tanh",
    "tensordot",
    "tile",
    "top_k",
    "transpose",
    "true_divide",
    "trunc",
    "unstack",
    "var",
    "where",
    "while_loop",
    "zeros",
    "zeros_like",
]
