"""Patches of images: sliding windows as columns, blocks of pixels as channels."""

from __future__ import annotations

from typing import Any

import numpy as np

from ranvier.errors import ShapeError
from ranvier.graph import functions as f
from ranvier.graph.functions import (
    as_tensor,
    reshape,
    transpose,
)
from ranvier.graph.trace import Tensor
from ranvier.operation import record_calls
from ranvier.ops._shared import known


def _data_format(name: str, data_format: str) -> bool:
    if data_format not in ("channels_last", "channels_first"):
        raise ShapeError(
            "RV100",
            f"{name}: data_format={data_format!r}",
            fix="'channels_last' or 'channels_first'",
        )
    return data_format == "channels_last"


def depth_to_space(
    x: Any, block_size: int, data_format: str = "channels_last"
) -> Tensor:
    """Channels moved into blocks of pixels: fewer channels, a larger image.

    Example:
        >>> depth_to_space(np.zeros((1, 2, 3, 8), "float32"), 2).shape
        (1, 4, 6, 2)
    """
    x, s = as_tensor(x), block_size
    if _data_format("depth_to_space", data_format):
        n, h, w, c = x.shape
        x = reshape(x, (n, h, w, s, s, c // (s * s)))
        x = transpose(x, (0, 1, 3, 2, 4, 5))
        return reshape(x, (n, h * s, w * s, c // (s * s)))
    n, c, h, w = x.shape
    x = reshape(x, (n, c // (s * s), s, s, h, w))
    return reshape(transpose(x, (0, 1, 4, 2, 5, 3)), (n, c // (s * s), h * s, w * s))


def space_to_depth(
    x: Any, block_size: int, data_format: str = "channels_last"
) -> Tensor:
    """Blocks of pixels moved into channels: more channels, a smaller image.

    Example:
        >>> space_to_depth(np.zeros((1, 4, 6, 2), "float32"), 2).shape
        (1, 2, 3, 8)
    """
    x, s = as_tensor(x), block_size
    if _data_format("space_to_depth", data_format):
        n, h, w, c = x.shape
        x = reshape(x, (n, h // s, s, w // s, s, c))
        x = transpose(x, (0, 1, 3, 2, 4, 5))
        return reshape(x, (n, h // s, w // s, c * s * s))
    n, c, h, w = x.shape
    x = reshape(x, (n, c, h // s, s, w // s, s))
    return reshape(transpose(x, (0, 1, 3, 5, 2, 4)), (n, c * s * s, h // s, w // s))


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _patch_places(
    size: tuple[int, int], kernel: Any, dilation: Any, padding: Any, stride: Any
) -> tuple[np.ndarray[Any, Any], tuple[int, int]]:
    """Places in the padded, flattened image by (element of the kernel, patch)."""
    pairs = [_pair(v) for v in (kernel, dilation, padding, stride)]
    rows = []
    wide = [n + 2 * p for n, p in zip(size, pairs[2], strict=True)]
    for n, k, d, s in zip(wide, pairs[0], pairs[1], pairs[3], strict=True):
        count = (n - (d * (k - 1) + 1)) // s + 1
        rows.append(np.arange(k)[:, None] * d + np.arange(count)[None, :] * s)
    down, across = rows
    flat = down[:, None, :, None] * wide[1] + across[None, :, None, :]
    return flat.reshape(
        down.shape[0] * across.shape[0], down.shape[1] * across.shape[1]
    ).astype("int32"), (wide[0], wide[1])


def unfold(
    x: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Tensor:
    """Sliding patches of images as columns.

    Args:
        x: Images ``(n, channels, height, width)``.
        kernel_size: Of a patch: one number, or height and width.
        dilation: Distance between the elements of a patch.
        padding: Zeros around the image.
        stride: Distance between patches.

    Returns:
        ``(n, channels * height * width of a patch, patches)``.

    Example:
        >>> unfold(np.zeros((1, 2, 3, 3), "float32"), 2).shape
        (1, 8, 4)
    """
    x = as_tensor(x)
    n, c = x.shape[:2]
    size = (known("unfold", x.shape[2]), known("unfold", x.shape[3]))
    places, wide = _patch_places(size, kernel_size, dilation, padding, stride)
    p, q = _pair(padding)
    x = f.pad(x, ((0, 0), (0, 0), (p, p), (q, q)))
    x = reshape(x, (n, c, wide[0] * wide[1]))
    x = f.take(x, Tensor(value=places.reshape(-1)), axis=2)
    return reshape(x, (n, c * places.shape[0], places.shape[1]))


def fold(
    x: Any,
    output_size: Any,
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
) -> Tensor:
    """Columns of patches added up to images: the other way of `unfold`.

    Args:
        x: ``(n, channels * height * width of a patch, patches)``.
        output_size: Height and width of the images.
        kernel_size: See `unfold`.
        dilation: See `unfold`.
        padding: See `unfold`; it is cut off.
        stride: See `unfold`.

    Example:
        >>> fold(np.ones((1, 4, 4), "float32"), 3, 2).numpy()[0, 0, 1, 1].item()
        4.0
    """
    x = as_tensor(x)
    size = _pair(output_size)
    places, wide = _patch_places(size, kernel_size, dilation, padding, stride)
    n, total, _ = x.shape
    c = total // places.shape[0]
    x = reshape(x, (n, c, places.size))
    zeros = f.full((n, c, wide[0] * wide[1]), 0, x.dtype)
    found = f.scatter_add(zeros, Tensor(value=places.reshape(-1)), x, axis=2)
    found = reshape(found, (n, c, *wide))
    p, q = _pair(padding)
    found = f.slice_axis(found, 2, p, p + size[0])
    return f.slice_axis(found, 3, q, q + size[1])


__all__ = [
    "depth_to_space",
    "fold",
    "space_to_depth",
    "unfold",
]

record_calls(globals(), __all__)
