"""Images looked at through an affine map: turned, enlarged, moved."""

from __future__ import annotations

import itertools
from typing import Any

from ranvier import ops
from ranvier.ops._sampling import neighbours

FILL_MODES = ("reflect", "wrap", "constant", "nearest")
INTERPOLATIONS = ("nearest", "bilinear")


def affine(
    images: Any,
    transform: Any,
    interpolation: str,
    fill_mode: str,
    fill_value: float,
) -> Any:
    """``out[y, x] = in[b0 x + b1 y + b2, a0 x + a1 y + a2]``.

    Args:
        images: `(rows, height, width, channels)`.
        transform: `(rows, 6)`: a0, a1, a2, b0, b1, b2 of each row.
        interpolation: `"bilinear"` between the four pixels around, or the `"nearest"`.
        fill_mode: what lies outside: the image mirrored at its edges (`"reflect"`),
            repeated (`"wrap"`), its edges (`"nearest"`), or `"constant"`.
        fill_value: the constant.
    """
    rows, height, width, channels = images.shape
    y = ops.reshape(ops.arange(height, dtype="float32"), (1, height, 1))
    x = ops.reshape(ops.arange(width, dtype="float32"), (1, 1, width))
    a0, a1, a2, b0, b1, b2 = (
        ops.reshape(transform[:, i], (-1, 1, 1)) for i in range(6)
    )
    down = neighbours(b1 * y + b0 * x + b2, height, interpolation, fill_mode)
    right = neighbours(a1 * y + a0 * x + a2, width, interpolation, fill_mode)
    flat = ops.reshape(images, (-1, channels))
    begin = ops.arange(rows, dtype="int32") * (height * width)
    begin = ops.reshape(begin, (-1, 1, 1))
    total: Any = None
    for (i, here, by), (j, there, share) in itertools.product(down, right):
        found = ops.take(flat, begin + (i * width + j), axis=0)
        if here is not None:
            inside = ops.expand_dims(ops.logical_and(here, there), -1)
            found = ops.where(inside, found, fill_value)
        if by is not None:
            found = found * ops.expand_dims(by * share, -1)
        total = found if total is None else total + found
    return total


__all__ = ["FILL_MODES", "INTERPOLATIONS", "affine"]
