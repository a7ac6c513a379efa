"""Attention of several heads as a fused operation, and its gradient.

The scores of a head fit a cache; written op by op they pass through memory six times, and
eight times in the gradient. The bodies say what the kernels compute, to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ranvier.graph import functions as f
from ranvier.graph.op import case, composite

#: A score from which no exponential is left, and far from overflow.
MASKED = -0.7 * float(np.finfo("float32").max)

#: Axes of q, k and v, ``(batch, position, head, size)``, and of weights ``(batch, head,
#: query, key)``, as products sum over them and go along them.
_HEADS = ((0, 2), (0, 2))
_WEIGHTS = ((0, 1), (0, 2))


def _score(a: Any, b: Any) -> Any:
    return f.dot_general(a, b, ((3,), (3,)), _HEADS)


def _combine(weights: Any, v: Any) -> Any:
    found = f.dot_general(weights, v, ((3,), (1,)), _WEIGHTS)
    return f.transpose(found, (0, 2, 1, 3))


def _gather(weights: Any, g: Any) -> Any:
    found = f.dot_general(weights, g, ((2,), (1,)), _WEIGHTS)
    return f.transpose(found, (0, 2, 1, 3))


def _slopes(weights: Any, g: Any, mask: Sequence[Any]) -> Any:
    """The gradient of the scores, from that of the weights."""
    found = weights * (g - f.sum(g * weights, axis=-1, keepdims=True))
    return f.where(mask[0], found, 0.0) if mask else found


_CASES = (
    ((2, 5, 3, 4), -1, 1),
    ((2, 7, 3, 4), -1, 1),
    ((2, 7, 3, 6), -1, 1),
)
_WIDE = (((1, 70, 2, 16), -1, 1), ((1, 130, 2, 16), -1, 1), ((1, 130, 2, 33), -1, 1))


@composite(
    "attention_grad",
    cases=[
        case(((2, 3, 5, 7), 0, 1), ((2, 5, 3, 6), -1, 1), *_CASES, scale=0.5),
        case(
            *(((2, 3, 5, 7), 0, 1), ((2, 5, 3, 6), -1, 1), *_CASES),
            ((2, 1, 1, 7), 0, 2, "bool"), scale=1.0,
        ),
        case(
            *(((1, 2, 70, 130), 0, 0.015), ((1, 70, 2, 33), -1, 1), *_WIDE),
            ((1, 1, 70, 130), 0, 2, "bool"), scale=0.25,
        ),
    ],
    tol=32.0,
)  # fmt: skip
def attention_grad(
    weights: Any, g: Any, q: Any, k: Any, v: Any, *mask: Any, scale: float
) -> Any:
    """The gradients of `attention` by queries, keys and values; ``g`` is of its result."""
    slopes = _slopes(weights, _score(g, v), mask)
    return (
        _combine(slopes, k) * scale,
        _gather(slopes, q * scale),
        _gather(weights, g),
    )


def _attention_grad(
    g: Sequence[Any], y: Sequence[Any], q: Any, k: Any, v: Any, *mask: Any, scale: float
) -> Sequence[Any]:
    g_out, g_weights = g
    rest = [None] * len(mask)
    if g_weights is None:
        return *attention_grad(y[1], g_out, q, k, v, *mask, scale=scale), *rest
    d_v = None
    if g_out is not None:
        g_weights = g_weights + _score(g_out, v)
        d_v = _gather(y[1], g_out)
    slopes = _slopes(y[1], g_weights, mask)
    return _combine(slopes, k) * scale, _gather(slopes, q * scale), d_v, *rest


@composite(
    "attention",
    grad=_attention_grad,
    cases=[
        case(*_CASES, scale=0.5),
        case(*_CASES, ((2, 1, 1, 7), 0, 2, "bool"), scale=1.0),
        case(*_CASES, ((1, 3, 5, 1), 0, 2, "bool"), scale=1.0),
        case(*_WIDE, ((1, 1, 70, 130), 0, 2, "bool"), scale=0.25),
    ],
    tol=32.0,
)
def attention(q: Any, k: Any, v: Any, *mask: Any, scale: float) -> Any:
    """``softmax(q k^T * scale) v`` for each head, and the weights.

    ``q`` is ``(batch, queries, heads, size)``, ``k`` and ``v`` ``(batch, keys, heads,
    ...)``; the result is laid as ``q`` is, the weights are ``(batch, heads, queries,
    keys)``. ``mask`` stretches to the weights' shape; where it does not hold, the score
    is `MASKED`.
    """
    from ranvier.graph.composites import softmax

    scores = _score(q * scale, k)
    if mask:
        scores = f.where(mask[0], scores, MASKED)
    weights = softmax(scores)
    return _combine(weights, v), weights
