"""Special functions, the largest elements, segments and distances."""

from __future__ import annotations

import math as _math
from typing import Any

import numpy as np

from ranvier.errors import ShapeError
from ranvier.graph import functions as f
from ranvier.graph.autodiff import custom_gradient
from ranvier.graph.functions import as_tensor, cast
from ranvier.graph.functions import lgamma as _lgamma
from ranvier.graph.trace import Tensor
from ranvier.operation import record_calls
from ranvier.ops._shared import axes_of, floating, known, of_package, together


def rsqrt(x: Any) -> Tensor:
    """Elementwise 1 / sqrt(x).

    Example:
        >>> rsqrt([4.0]).numpy().tolist()
        [0.5]
    """
    return f.rsqrt(x)


def erf(x: Any) -> Tensor:
    """Elementwise error function, ``2/√π ∫₀ˣ e^(-t²) dt``.

    Example:
        >>> erf([0.0]).numpy().tolist()
        [0.0]
    """
    return f.erf(x)


def lgamma(x: Any) -> Tensor:
    """Elementwise logarithm of the gamma function.

    Example:
        >>> lgamma([1.0]).numpy().tolist()
        [0.0]
    """
    return _lgamma(x)


#: log(erfc(x) e^(x²) / t) for t = 2 / (2 + x): a Chebyshev series in 2t - 1, fitted
#: with 40 digits at 60 points.
_ERFC = (
    *(
        -1.3026537197817094,
        0.6419697923564902,
        0.019476473204185836,
    ),
    *(
        -0.009561514786808632,
        -0.0009465953444820369,
        0.00036683949785276145,
    ),
    *(
        4.252332480690777e-05,
        -2.0278578112534242e-05,
        -1.6242900046470256e-06,
    ),
    *(
        1.3036558355805232e-06,
        1.5626441722066142e-08,
        -8.523809591492654e-08,
    ),
    *(
        6.5290544390988515e-09,
        5.059343495551469e-09,
        -9.91364156493033e-10,
    ),
    *(
        -2.273651222931836e-10,
        9.646791102015527e-11,
        2.3940380830391146e-12,
    ),
    *(
        -6.886027526497553e-12,
        8.944879273090725e-13,
        3.130921399342958e-13,
    ),
    *(
        -1.1270822361367252e-13,
        3.810905255189232e-16,
        7.106097613609237e-15,
    ),
    *(
        -1.5230282014571043e-15,
        -9.457494571291233e-17,
        1.210237189224279e-16,
    ),
    *(-2.816663087747177e-17,),
)


@custom_gradient
def _erfc(x: Any) -> Any:
    size = f.absolute(x)
    t = 2.0 / (size + 2.0)
    y = t * 4.0 - 2.0
    # Clenshaw's recurrence.
    b1 = b2 = f.zeros_like(x)
    for c in _ERFC[:0:-1]:
        b1, b2 = y * b1 - b2 + c, b1
    tail = t * f.exp(y * b1 * 0.5 - b2 + 0.5 * _ERFC[0] - f.square(size))
    # Near 0 the difference loses nothing, and is closer.
    found = f.where(size < 0.5, 1.0 - f.erf(x), f.where(x > 0.0, tail, 2.0 - tail))

    def backward(upstream: Any) -> Any:
        return upstream * (f.exp(f.negative(f.square(x))) * (-2 / _math.sqrt(_math.pi)))

    return found, backward


def erfc(x: Any) -> Tensor:
    """Elementwise 1 - erf(x), with all its digits where that is small.

    Example:
        >>> erfc([0.0]).numpy().tolist()
        [1.0]
    """
    found: Tensor = _erfc(floating(x))
    return found


# Giles, "Approximating the erfinv function" (GPU Computing Gems, 2011), single precision.
_CENTRE = (
    *(2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087),
    *(-0.00125372503, -0.00417768164, 0.246640727, 1.50140941),
)
_TAIL = (
    *(-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773),
    *(-0.0076224613, 0.00943887047, 1.00167406, 2.83297682),
)


@custom_gradient
def _erfinv(x: Any) -> Any:
    inside = f.absolute(x) < 1.0
    safe = f.where(inside, x, 0.0)
    w = f.negative(f.log1p(f.negative(f.square(safe))))
    near, far = w - 2.5, f.sqrt(f.maximum(w, 5.0)) - 3.0
    centre, tail = f.zeros_like(x), f.zeros_like(x)
    for a, b in zip(_CENTRE, _TAIL, strict=True):
        centre, tail = centre * near + a, tail * far + b
    found = f.where(w < 5.0, centre, tail) * safe
    # One step of Newton's method brings float64 its digits too; beyond, erfc would be
    # needed, and float32 has all of its own already.
    slope = f.exp(f.square(found)) * (_math.sqrt(_math.pi) / 2)
    found = found - f.where(w < 5.0, (f.erf(found) - safe) * slope, 0.0)
    ends = f.where(f.absolute(x) == 1.0, x * _math.inf, _math.nan)
    found = f.where(inside, found, ends)

    def backward(upstream: Any) -> Any:
        return upstream * (f.exp(f.square(found)) * (_math.sqrt(_math.pi) / 2))

    return found, backward


def erfinv(x: Any) -> Tensor:
    """Elementwise inverse of the error function, on (-1, 1).

    Example:
        >>> erfinv([0.0]).numpy().tolist()
        [0.0]
    """
    found: Tensor = _erfinv(floating(x))
    return found


def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """``log(sum(e^x))`` over axes, shifted by the maximum.

    Example:
        >>> logsumexp([-1000.0]).item()
        -1000.0
    """
    x = floating(x)
    axes = axes_of("logsumexp", axis, x.ndim)
    top = f.stop_gradient(f.max(x, axes, keepdims=True))
    # The distance to an infinite maximum is not a number.
    top = f.where(f.isfinite(top), top, 0.0)
    found = f.log(f.sum(f.exp(x - top), axes, keepdims=True)) + top
    return found if keepdims else f.squeeze(found, axes) if axes else found


def top_k(x: Any, k: int, sorted: bool = True) -> tuple[Tensor, Tensor]:
    """The k largest along the last axis, and their indices; of equals the first.

    Raises:
        ShapeError: RV108, when the axis has fewer elements.

    Example:
        >>> [t.numpy().tolist() for t in top_k([1, 5, 3], 2)]
        [[5, 3], [1, 2]]
    """
    x = as_tensor(x)
    size = x.shape[-1] if x.ndim else 0
    if isinstance(size, int) and not 0 <= k <= size:
        raise ShapeError("RV108", f"top_k: {k} of {size} elements", fix=f"k <= {size}")
    # ~x turns the order of integers about, without overflow at the ends.
    from ranvier.ops.numpy_logic import bitwise_invert

    keys = f.negative(x) if x.spec.floating else bitwise_invert(x)
    order = f.slice_axis(f.argsort(keys, -1), x.ndim - 1, 0, k)
    return f.take_along_axis(x, order, -1), order


def in_top_k(targets: Any, predictions: Any, k: int) -> Tensor:
    """Whether each target is among the k largest predictions; ties count.

    Example:
        >>> in_top_k([1], [[0.1, 0.7, 0.2]], 1).numpy().tolist()
        [True]
    """
    targets, predictions = as_tensor(targets), as_tensor(predictions)
    own = f.take_along_axis(predictions, f.expand_dims(targets, -1), -1)
    own = f.where(f.isnan(own), -_math.inf, own)
    return f.sum(cast(predictions > own, "int32"), axis=-1) < k


# ----------------------------------------------------------------------- segments


def _segments(
    name: str, data: Any, segment_ids: Any, num_segments: Any
) -> tuple[Tensor, Tensor, int]:
    x, ids = as_tensor(data), as_tensor(segment_ids)
    if ids.ndim != 1 or ids.spec.floating:
        raise ShapeError(
            "RV108", f"{name}: segment_ids must be a vector of integers, got {ids.spec}"
        )
    if num_segments is None:
        if ids.node is not None:
            raise ShapeError(
                "RV112",
                f"{name} in a traced step needs num_segments",
                fix="num_segments=…",
            )
        num_segments = int(ids.numpy().max(initial=-1)) + 1
    return x, ids, int(num_segments)


def segment_sum(
    data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False
) -> Tensor:
    """Sums of the rows of each segment.

    Args:
        data: A tensor.
        segment_ids: Which segment each row belongs to; rows outside are left out.
        num_segments: How many; in a traced step it is needed.
        sorted: Whether the ids ascend; nothing depends on it.

    Example:
        >>> segment_sum([1, 2, 3], [0, 1, 1], 2).numpy().tolist()
        [1, 5]
    """
    x, ids, count = _segments("segment_sum", data, segment_ids, num_segments)
    inside = f.logical_and(ids >= 0, ids < count)
    # What belongs nowhere goes to one row more, which is dropped.
    ids = f.where(inside, ids, count)
    zeros = f.full((count + 1, *x.shape[1:]), 0, x.dtype)
    return f.slice_axis(f.scatter_add(zeros, ids, x), 0, 0, count)


def segment_max(
    data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False
) -> Tensor:
    """Maxima of the rows of each segment; the least number where one is empty.

    Every row is compared with every segment; see `segment_sum` for the arguments.

    Example:
        >>> segment_max([1, 2, 3], [0, 1, 1], 2).numpy().tolist()
        [1, 3]
    """
    return _spread("segment_max", data, segment_ids, num_segments, f.max, -1)


def segment_min(
    data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False
) -> Tensor:
    """Minima of the rows of each segment; the largest number where one is empty.

    Every row is compared with every segment; see `segment_sum` for the arguments.

    Example:
        >>> segment_min([1, 2, 3], [0, 1, 1], 2).numpy().tolist()
        [1, 2]
    """
    return _spread("segment_min", data, segment_ids, num_segments, f.min, 1)


def segment_prod(
    data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False
) -> Tensor:
    """Products of the rows of each segment; 1 where one is empty.

    Every row is compared with every segment; see `segment_sum` for the arguments.

    Example:
        >>> segment_prod([4, 2, 3], [0, 1, 1], 2).numpy().tolist()
        [4, 6]
    """
    return _spread("segment_prod", data, segment_ids, num_segments, f.prod, 0)


def _spread(
    name: str, data: Any, segment_ids: Any, count: Any, reduce: Any, end: int
) -> Tensor:
    x, ids, count = _segments(name, data, segment_ids, count)
    kind = np.dtype(x.dtype)
    fill: Any = 1
    if end and kind.kind == "f":
        fill = end * _math.inf
    elif end:
        fill = np.iinfo(kind).max if end > 0 else np.iinfo(kind).min
    if x.shape[0] == 0:
        return f.full((count, *x.shape[1:]), fill, x.dtype)
    own = f.expand_dims(f.iota(count), 1) == f.expand_dims(cast(ids, "int32"), 0)
    own = f.reshape(own, (count, x.shape[0], *(1,) * (x.ndim - 1)))
    empty = Tensor(value=np.asarray(fill, kind))
    return reduce(f.where(own, f.expand_dims(x, 0), empty), axis=1)


def cdist(x: Any, y: Any) -> Tensor:
    """Euclidean distances between the rows of two matrices.

    Raises:
        ShapeError: RV108, for vectors, or rows of different length.

    Example:
        >>> cdist([[0.0, 0.0]], [[3.0, 4.0]]).numpy().tolist()
        [[5.0]]
    """
    a, b = (floating(t) for t in together(x, y))
    if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-1]:
        raise ShapeError(
            "RV108", "cdist needs rows of one length", details=f"{a.spec}, {b.spec}"
        )
    apart = f.expand_dims(a, -2) - f.expand_dims(b, -3)
    return f.sqrt(f.sum(f.square(apart), axis=-1))


def extract_sequences(x: Any, sequence_length: int, sequence_stride: int) -> Tensor:
    """Stretches of the last axis, one beginning every so many elements.

    Example:
        >>> extract_sequences([1, 2, 3, 4], 2, 1).numpy().tolist()
        [[1, 2], [2, 3], [3, 4]]
    """
    x = as_tensor(x)
    size = known("extract_sequences", x.shape[-1])
    count = (size - sequence_length) // sequence_stride + 1
    starts = np.arange(count)[:, None] * sequence_stride
    places = (starts + np.arange(sequence_length)).astype("int32")
    return f.take(x, Tensor(value=places), axis=-1)


__all__ = [
    "cdist",
    "erf",
    "erfc",
    "erfinv",
    "extract_sequences",
    "in_top_k",
    "lgamma",
    "logsumexp",
    "rsqrt",
    "segment_max",
    "segment_min",
    "segment_prod",
    "segment_sum",
    "top_k",
]

record_calls(globals(), __all__)


def __getattr__(name: str) -> Any:
    """Names of Keras's namespace that stand in another file."""
    return of_package(__name__, name)
