"""Gradient clipping by norm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ranvier import ops

__all__ = ["clip_by_global_norm", "clip_by_norm", "global_norm"]


def clip_by_norm(grad: Any, limit: float) -> Any:
    """Scales one gradient to an L2 norm of at most `limit`.

    `g * limit / max(norm(g), limit)`, which is 0 for a gradient of zeros.
    """
    norm = ops.sqrt(ops.sum(ops.square(grad)))
    return grad * limit / ops.maximum(norm, limit)


def global_norm(grads: Sequence[Any]) -> Any:
    """The L2 norm of all gradients together."""
    total = ops.sum(ops.square(grads[0]))
    for grad in grads[1:]:
        total = total + ops.sum(ops.square(grad))
    return ops.sqrt(total)


def clip_by_global_norm(grads: Sequence[Any], limit: float) -> list[Any]:
    """Scales all gradients by `min(1, limit / global_norm)`.

    A norm that is not finite makes all of them NaN, so that it cannot pass unseen.
    """
    norm = global_norm(grads)
    scale = limit * ops.minimum(1.0 / norm, 1.0 / limit) + (norm - norm)
    return [grad * scale for grad in grads]
