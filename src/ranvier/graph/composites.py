"""Fused operations that carry their unfused body (see `ranvier.graph.op.Composite`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ranvier.graph import attention as _attention  # noqa: F401  (its composites)
from ranvier.graph import dropping as _dropping  # noqa: F401  (its composites)
from ranvier.graph import functions as f
from ranvier.graph import norms as _norms  # noqa: F401  (its composites)
from ranvier.graph.op import case, composite
from ranvier.graph.trace import Tensor


@composite(
    "relu",
    # The gradient at 0 is 0, by the field's convention; that of maximum would be 1/2.
    grad=lambda g, y, x: (f.where(y > 0, g, 0.0),),
    cases=[case(((3, 5), -2, 2)), case(((0,), -2, 2))],
    tol=0.0,
)
def relu(x: Tensor) -> Tensor:
    """``max(x, 0)``."""
    return f.maximum(x, 0)


@composite(
    "capped_relu",
    # By the result alone: nothing else need be kept. At both ends the slope is 0.
    grad=lambda g, y, x, cap: (f.where(y < cap, f.where(y > 0, g, 0.0), 0.0),),
    cases=[case(((3, 5), -2, 9), cap=6.0), case(((4, 33), -1, 1), cap=0.5)],
    tol=0.0,
)
def capped_relu(x: Tensor, cap: float) -> Tensor:
    """``min(max(x, 0), cap)``, for a cap above 0."""
    return f.minimum(relu(x), cap)


_ROOT_HALF, _PEAK = math.sqrt(0.5), 1.0 / math.sqrt(2.0 * math.pi)


@composite(
    "gelu_grad",
    cases=[case(((3, 50), -4, 4), ((3, 50), -1, 1))],
    tol=16.0,
)
def gelu_grad(x: Any, g: Any) -> Any:
    """``g`` times the slope of `gelu`, ``Φ(x) + x Φ'(x)``."""
    share = (f.erf(x * _ROOT_HALF) + 1.0) * 0.5
    density = f.exp(x * x * -0.5) * _PEAK
    return g * (share + x * density)


@composite(
    "gelu",
    # From x alone, so that nothing else is kept; the derivative of the body keeps more.
    grad=lambda g, y, x: (gelu_grad(x, g),),
    cases=[case(((3, 50), -4, 4))],
    tol=16.0,
)
def gelu(x: Any) -> Any:
    """``x Φ(x)``, by the error function."""
    return x * ((f.erf(x * _ROOT_HALF) + 1.0) * 0.5)


def _softmax_grad(g: Any, y: Any, x: Any) -> Sequence[Any]:
    return (y * (g - f.sum(g * y, axis=-1, keepdims=True)),)


@composite(
    "softmax",
    grad=_softmax_grad,
    cases=[case(((4, 10), -5, 5)), case(((2, 3, 7), -5, 5)), case(((3, 1), -5, 5))],
)
def softmax(x: Tensor) -> Tensor:
    """``e^x / sum(e^x)`` over the last axis, shifted by the maximum."""
    e = f.exp(x - f.stop_gradient(f.max(x, axis=-1, keepdims=True)))
    return e / f.sum(e, axis=-1, keepdims=True)


def _log_softmax_grad(g: Any, y: Any, x: Any) -> Sequence[Any]:
    return (g - f.exp(y) * f.sum(g, axis=-1, keepdims=True),)


@composite(
    "log_softmax",
    grad=_log_softmax_grad,
    cases=[case(((4, 10), -5, 5)), case(((2, 3, 7), -5, 5))],
    tol=16.0,
)
def log_softmax(x: Tensor) -> Tensor:
    """``x - log(sum(e^x))`` over the last axis, shifted by the maximum."""
    shifted = x - f.stop_gradient(f.max(x, axis=-1, keepdims=True))
    return shifted - f.log(f.sum(f.exp(shifted), axis=-1, keepdims=True))


def _one_hot(labels: Any, classes: Any, dtype: str) -> Any:
    wide = f.expand_dims(labels, -1)
    return f.cast(wide == f.iota(classes, labels.dtype), dtype)


@composite(
    "sparse_softmax_cross_entropy_grad",
    cases=[case(((4, 10), 0, 1), ((4,), 0, 10, "int32"), ((4,), -1, 1))],
)
def sparse_softmax_cross_entropy_grad(probs: Any, labels: Any, g: Any) -> Any:
    """``(p - onehot(label)) * g``, with one g a row."""
    onehot = _one_hot(labels, probs.shape[-1], probs.dtype)
    return (probs - onehot) * f.expand_dims(g, -1)


def _sparse_grad(g: Sequence[Any], y: Sequence[Any], logits: Any, labels: Any) -> Any:
    g_loss, g_probs = g
    total = None
    if g_loss is not None:
        total = sparse_softmax_cross_entropy_grad(y[1], labels, g_loss)
    if g_probs is not None:
        (through,) = _softmax_grad(g_probs, y[1], logits)
        total = through if total is None else total + through
    return total, None


@composite(
    "sparse_softmax_cross_entropy",
    grad=_sparse_grad,
    cases=[
        case(((4, 10), -5, 5), ((4,), 0, 10, "int32")),
        case(((6, 3), -5, 5), ((6,), 0, 3, "int64")),
    ],
    tol=16.0,
)
def sparse_softmax_cross_entropy(logits: Any, labels: Any) -> Any:
    """``-log softmax(logits)[label]`` over the last axis, and the probabilities."""
    logp = log_softmax(logits)
    picked = f.take_along_axis(logp, f.expand_dims(labels, -1), axis=-1)
    return f.negative(f.squeeze(picked, -1)), softmax(logits)


def _dense_grad(g: Sequence[Any], y: Sequence[Any], logits: Any, target: Any) -> Any:
    g_loss, g_probs = g
    d_logits = d_target = None
    if g_loss is not None:
        rows = f.expand_dims(g_loss, -1)
        mass = f.sum(target, axis=-1, keepdims=True)
        d_logits = (y[1] * mass - target) * rows
        d_target = f.negative(log_softmax(logits)) * rows
    if g_probs is not None:
        (through,) = _softmax_grad(g_probs, y[1], logits)
        d_logits = through if d_logits is None else d_logits + through
    return d_logits, d_target


@composite(
    "softmax_cross_entropy",
    grad=_dense_grad,
    cases=[case(((4, 10), -5, 5), ((4, 10), 0, 1))],
    tol=16.0,
)
def softmax_cross_entropy(logits: Any, target: Any) -> Any:
    """``-sum(target * log softmax(logits))`` over the last axis, and probabilities."""
    return (
        f.negative(f.sum(target * log_softmax(logits), axis=-1)),
        softmax(logits),
    )


@composite(
    "sigmoid_cross_entropy",
    grad=lambda g, y, x, z: ((f.sigmoid(x) - z) * g, f.negative(x) * g),
    cases=[case(((4, 3), -6, 6), ((4, 3), 0, 1))],
)
def sigmoid_cross_entropy(logits: Any, target: Any) -> Any:
    """``-z log s(x) - (1-z) log(1-s(x))`` elementwise, without overflow."""
    return (
        f.maximum(logits, 0)
        - logits * target
        + f.log1p(f.exp(f.negative(f.absolute(logits))))
    )


@composite(
    "adam_update",
    cases=[
        case(
            ((5, 7), -1, 1), ((5, 7), -1, 1), ((5, 7), 0, 1), ((5, 7), -1, 1),
            ((), 0.001, 0.1), ((), 0.1, 0.2), ((), 0.001, 0.01), ((), 1e-7, 1e-6),
        ),
    ],
)  # fmt: skip
def adam_update(
    param: Any,
    m: Any,
    v: Any,
    grad: Any,
    alpha: Any,
    rate_m: Any,
    rate_v: Any,
    eps: Any,
) -> Any:
    """One Adam step (Kingma & Ba 2015, with epsilon outside the root as in Keras).

    ``m += (g - m) rate_m``, ``v += (g² - v) rate_v``, ``w -= m alpha / (sqrt(v) + eps)``.
    """
    m = m + (grad - m) * rate_m
    v = v + (grad * grad - v) * rate_v
    return param - m * alpha / (f.sqrt(v) + eps), m, v


def _channel_axes(x: Any) -> tuple[int, ...]:
    return tuple(range(len(x.shape) - 1))


def _moments_grad(g: Sequence[Any], y: Sequence[Any], x: Any) -> Sequence[Any]:
    """``dx = dmean / n + (x - mean) 2 dvariance / n``.

    The deviations add up to nothing, so the variance does not depend on the mean.
    """
    g_mean, g_variance = g
    n = f.count_of(x, _channel_axes(x))
    shift = None if g_mean is None else g_mean / n
    if g_variance is None:
        return (None if shift is None else f.broadcast_to(shift, x.shape),)
    factor = g_variance * 2.0 / n
    rest = y[0] * factor
    return (x * factor + (f.negative(rest) if shift is None else shift - rest),)


@composite(
    "channel_moments",
    grad=_moments_grad,
    cases=[
        case(((6, 3), -2, 2)),
        case(((3, 2, 4, 17), 1, 5)),
        case(((90, 40), -1, 1)),
    ],
    tol=16.0,
)
def channel_moments(x: Any) -> Any:
    """Mean and variance of each channel, the last axis."""
    axes = _channel_axes(x)
    mean = f.mean(x, axis=axes, keepdims=True)
    variance = f.mean(f.square(x - mean), axis=axes)
    return f.reshape(mean, variance.shape), variance


@composite(
    "channel_sums",
    cases=[
        case(((6, 3), -2, 2), ((6, 3), -2, 2)),
        case(((3, 2, 4, 17), -1, 1), ((3, 2, 4, 17), -1, 1)),
        case(((90, 40), -1, 1), ((90, 40), -1, 1)),
    ],
    tol=64.0,
)
def channel_sums(g: Any, x: Any) -> Any:
    """Sums of ``g`` and of ``g x`` over all positions, for each channel."""
    axes = _channel_axes(x)
    return f.sum(g, axis=axes), f.sum(g * x, axis=axes)


def _scale_grad(g: Any, y: Any, x: Any, factor: Any, shift: Any) -> Sequence[Any]:
    total, of_products = channel_sums(g, x)
    return g * factor, of_products, total


@composite(
    "scale_shift",
    grad=_scale_grad,
    cases=[
        case(((6, 3), -2, 2), ((3,), 0.5, 2), ((3,), -1, 1)),
        case(((2, 3, 4, 5), -2, 2), ((5,), 0.5, 2), ((5,), -1, 1)),
    ],
)
def scale_shift(x: Any, factor: Any, shift: Any) -> Any:
    """``x * factor + shift`` with a factor and a shift for each channel."""
    return x * factor + shift
