"""Normalisation of rows as a fused operation, and its gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ranvier.graph import functions as f
from ranvier.graph.op import case, composite


def _down(x: Any) -> Any:
    """Summed over all axes but the last."""
    return f.sum(x, axis=tuple(range(x.ndim - 1)))


@composite(
    "layer_norm_grad",
    cases=[
        case(((5, 7), -2, 2), ((5, 1), 0, 2), ((7,), -1, 1), ((5, 7), -1, 1)),
        case(((3, 4, 64), -2, 2), ((3, 4, 1), 0, 2), ((64,), -1, 1), ((3, 4, 64), -1, 1)),
        case(((70, 130), -2, 2), ((70, 1), 0, 2), ((130,), -1, 1), ((70, 130), -1, 1)),
    ],
    tol=32.0,
)  # fmt: skip
def layer_norm_grad(normal: Any, factor: Any, gamma: Any, g: Any) -> Any:
    """The gradients of `layer_norm` by x, gamma and beta."""
    e = g * gamma
    level = f.mean(e, axis=-1, keepdims=True)
    slope = f.mean(e * normal, axis=-1, keepdims=True)
    return factor * ((e - level) - normal * slope), _down(normal * g), _down(g)


def _layer_norm_grad(
    g: Sequence[Any], y: Sequence[Any], x: Any, gamma: Any, beta: Any, epsilon: float
) -> Sequence[Any]:
    g_y, g_normal, g_factor = g
    _, normal, factor = y
    if g_normal is None and g_factor is None:
        return layer_norm_grad(normal, factor, gamma, g_y)
    # Somebody took the gradient's own parts apart: through what they are made of.
    e = f.zeros_like(normal) if g_normal is None else g_normal
    d_gamma = d_beta = None
    if g_y is not None:
        e = e + g_y * gamma
        d_gamma, d_beta = _down(normal * g_y), _down(g_y)
    level = f.mean(e, axis=-1, keepdims=True)
    slope = f.mean(e * normal, axis=-1, keepdims=True)
    d_x = factor * ((e - level) - normal * slope)
    if g_factor is not None:
        d_x = d_x - g_factor * factor * factor * normal / f.count_of(x, (x.ndim - 1,))
    return d_x, d_gamma, d_beta


@composite(
    "layer_norm",
    grad=_layer_norm_grad,
    cases=[
        case(((5, 7), -2, 2), ((7,), -1, 1), ((7,), -1, 1), epsilon=1e-3),
        case(((3, 4, 64), -2, 2), ((64,), -1, 1), ((64,), -1, 1), epsilon=1e-6),
        case(((70, 130), -2, 2), ((130,), -1, 1), ((130,), -1, 1), epsilon=1e-3),
    ],
    tol=32.0,
)
def layer_norm(x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
    """``normal * gamma + beta``; and ``normal = (x - mean) * factor``; and ``factor``.

    Mean and variance are those of the last axis, ``factor = 1 / sqrt(variance +
    epsilon)``. The gradient reads the other two results.
    """
    centred = x - f.mean(x, axis=-1, keepdims=True)
    variance = f.mean(centred * centred, axis=-1, keepdims=True)
    factor = f.rsqrt(variance + epsilon)
    normal = centred * factor
    return normal * gamma + beta, normal, factor
