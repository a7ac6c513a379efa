"""Attention of several heads as a fused operation, and its gradient.

The scores of a head fit a cache; written op by op they pass through memory six times, and
eight times in the gradient. The bodies say what the kernels compute, to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ranvier.graph import functions as f
from ranvier.graph.dropping import kept_factor, least_kept, random_keep
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
        case(((2, 3, 5, 7), -1, 1), ((2, 5, 3, 6), -1, 1), *_CASES, scale=1.0, rate=0.3),
        case(
            *(((1, 2, 70, 130), -0.1, 0.1), ((1, 70, 2, 33), -1, 1), *_WIDE),
            ((1, 1, 70, 130), 0, 2, "bool"), scale=0.25, rate=0.5,
        ),
    ],
    tol=32.0,
)  # fmt: skip
def attention_grad(
    weights: Any,
    g: Any,
    q: Any,
    k: Any,
    v: Any,
    *mask: Any,
    scale: float,
    rate: float = 0.0,
) -> Any:
    """The gradients of `attention` by queries, keys and values; ``g`` is of its result."""
    kept, found = weights, _score(g, v)
    if rate:
        chosen, factor = weights > 0.0, kept_factor(rate)
        kept = f.where(chosen, weights * factor, 0.0)
        found = f.where(chosen, found * factor, 0.0)
        weights = abs(weights)
    slopes = _slopes(weights, found, mask)
    return _combine(slopes, k) * scale, _gather(slopes, q * scale), _gather(kept, g)


def _attention_grad(
    g: Sequence[Any],
    y: Sequence[Any],
    q: Any,
    k: Any,
    v: Any,
    *rest: Any,
    scale: float,
    rate: float = 0.0,
    empty_is_zero: bool = False,
) -> Sequence[Any]:
    (g_out, g_weights), weights = g, y[1]
    mask = rest[1:] if rate else rest
    none = [None] * len(rest)
    if g_weights is None:
        found = attention_grad(weights, g_out, q, k, v, *mask, scale=scale, rate=rate)
        return *found, *none
    kept, chosen, factor = weights, None, kept_factor(rate)
    if rate:
        chosen = weights > 0.0
        g_weights = f.where(chosen, g_weights, -g_weights)
        kept = f.where(chosen, weights * factor, 0.0)
        weights = abs(weights)
    d_v = None
    if g_out is not None:
        found = _score(g_out, v)
        g_weights = g_weights + (
            f.where(chosen, found * factor, 0.0) if rate else found
        )
        d_v = _gather(kept, g_out)
    slopes = _slopes(weights, g_weights, mask)
    return _combine(slopes, k) * scale, _gather(slopes, q * scale), d_v, *none


_KEY = ((4,), 0, 2**31, "uint32")


@composite(
    "attention",
    grad=_attention_grad,
    cases=[
        case(*_CASES, scale=0.5),
        case(*_CASES, ((2, 1, 1, 7), 0, 2, "bool"), scale=1.0),
        case(*_CASES, ((1, 3, 5, 1), 0, 2, "bool"), scale=1.0),
        case(*_CASES, ((1, 3, 5, 1), 0, 2, "bool"), scale=1.0, empty_is_zero=True),
        case(*_WIDE, ((1, 1, 70, 130), 0, 2, "bool"), scale=0.25),
        case(*_CASES, _KEY, scale=1.0, rate=0.25),
        case(
            *(*_CASES, _KEY), ((1, 3, 5, 1), 0, 2, "bool"), scale=1.0, rate=0.5,
            empty_is_zero=True,
        ),
        case(
            *(*_WIDE, _KEY), ((1, 1, 70, 130), 0, 2, "bool"), scale=0.25, rate=0.1,
            empty_is_zero=True,
        ),
    ],
    tol=32.0,
)  # fmt: skip
def attention(
    q: Any,
    k: Any,
    v: Any,
    *rest: Any,
    scale: float,
    rate: float = 0.0,
    empty_is_zero: bool = False,
) -> Any:
    """``dropout(softmax(q k^T * scale)) v`` for each head, and the weights.

    ``q`` is ``(batch, queries, heads, size)``, ``k`` and ``v`` ``(batch, keys, heads,
    ...)``; the result is laid as ``q`` is, the weights are ``(batch, heads, queries,
    keys)``.

    Args:
        q: Queries.
        k: Keys.
        v: Values.
        *rest: With a ``rate``, the key of the random choice; then a mask, if any. It
            stretches to the weights' shape; where it does not hold, the score is
            `MASKED`.
        scale: Of the scores.
        rate: Share of weights that are dropped; those come back negated, as no weight
            is below zero otherwise.
        empty_is_zero: Whether a query that sees nothing gives 0; else it sees all alike.
    """
    from ranvier.graph.composites import softmax

    mask = rest[1:] if rate else rest
    scores = _score(q * scale, k)
    if mask:
        scores = f.where(mask[0], scores, MASKED)
    weights = softmax(scores)
    if mask and empty_is_zero:
        weights = f.where(mask[0], weights, 0.0)
    if not rate:
        return _combine(weights, v), weights
    keep = random_keep(rest[0], shape=weights.shape, least=least_kept(rate))
    kept = f.where(keep, weights * kept_factor(rate), 0.0)
    return _combine(kept, v), f.where(keep, weights, -weights)
