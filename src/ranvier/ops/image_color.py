"""Colours of images: grey, and hue, saturation and value."""

from __future__ import annotations

from typing import Any

import numpy as np

from ranvier import ops
from ranvier.errors import ShapeError
from ranvier.graph.trace import Tensor
from ranvier.ops._images import channels_last, images_of

__all__ = ["hsv_to_rgb", "rgb_to_grayscale", "rgb_to_hsv"]

#: How much red, green and blue count in grey (ITU-R BT.601).
_GREY = (0.2989, 0.5870, 0.1140)


def rgb_to_grayscale(images: Any, data_format: str | None = None) -> Tensor:
    """``0.2989 red + 0.587 green + 0.114 blue``, with one channel left.

    Args:
        images: an image or a batch; those with one channel come back as they are.
        data_format: ``"channels_last"`` or ``"channels_first"``.

    Raises:
        ShapeError: RV103 for other numbers of axes or channels.

    Example:
        >>> rgb_to_grayscale(np.full((1, 1, 3), 10, "uint8")).numpy().ravel()
        array([9], dtype=uint8)
    """
    images = images_of("rgb_to_grayscale", images)
    axis = _channels("rgb_to_grayscale", images, data_format, (1, 3))
    if images.shape[axis] == 1:
        return images
    dtype = images.dtype
    if not images.spec.floating:
        images = ops.cast(images, "float32")
    red, green, blue = ops.split(images, 3, axis)
    grey = red * _GREY[0] + green * _GREY[1] + blue * _GREY[2]
    return ops.cast(grey, dtype)


def rgb_to_hsv(images: Any, data_format: str | None = None) -> Tensor:
    """Hue, saturation and value, each from 0 to 1, of red, green and blue.

    ``value = max``, ``saturation = (max - min) / max``; the hue turns once round from
    red over green and blue, and is 0 for grey.

    Args:
        images: floating numbers from 0 to 1, an image or a batch.
        data_format: ``"channels_last"`` or ``"channels_first"``.

    Raises:
        ShapeError: RV103 for other numbers of axes or channels; RV100 for integers.

    Example:
        >>> rgb_to_hsv([[[0.0, 0.5, 0.0]]]).numpy().round(3).tolist()
        [[[0.3330000042915344, 1.0, 0.5]]]
    """
    images = _floating("rgb_to_hsv", images)
    axis = _channels("rgb_to_hsv", images, data_format, (3,))
    # What is smaller than one rounding error is none: hue and saturation divide by it.
    least = float(np.finfo(images.dtype).eps)
    images = ops.where(ops.abs(images) < least, 0.0, images)
    red, green, blue = ops.split(images, 3, axis)
    value = ops.maximum(ops.maximum(red, green), blue)
    span = value - ops.minimum(ops.minimum(red, green), blue)
    bright, coloured = value > 0, span > 0
    saturation = ops.where(bright, span / ops.where(bright, value, 1.0), 0.0)
    sixth = 1.0 / (6.0 * ops.where(coloured, span, 1.0))
    hue = ops.where(
        ops.equal(value, green),
        sixth * (blue - red) + 2.0 / 6.0,
        sixth * (red - green) + 4.0 / 6.0,
    )
    hue = ops.where(ops.equal(value, red), sixth * (green - blue), hue)
    below = ops.cast(hue < 0.0, hue.dtype)
    hue = ops.where(coloured, hue, 0.0) + below
    return ops.concatenate([hue, saturation, value], axis)


def hsv_to_rgb(images: Any, data_format: str | None = None) -> Tensor:
    """Red, green and blue of hue, saturation and value: the inverse of `rgb_to_hsv`.

    Args:
        images: floating numbers from 0 to 1, an image or a batch.
        data_format: ``"channels_last"`` or ``"channels_first"``.

    Raises:
        ShapeError: RV103 for other numbers of axes or channels; RV100 for integers.

    Example:
        >>> hsv_to_rgb([[[0.0, 1.0, 0.5]]]).numpy().tolist()
        [[[0.5, 0.0, 0.0]]]
    """
    images = _floating("hsv_to_rgb", images)
    axis = _channels("hsv_to_rgb", images, data_format, (3,))
    hue, saturation, value = ops.split(images, 3, axis)
    turn = ops.mod(hue, 1.0) * 6.0
    shares = (
        ops.abs(turn - 3.0) - 1.0,
        2.0 - ops.abs(turn - 2.0),
        2.0 - ops.abs(turn - 4.0),
    )
    grey = 1.0 - saturation
    found = [value * (grey + saturation * ops.clip(s, 0.0, 1.0)) for s in shares]
    return ops.concatenate(found, axis)


def _floating(name: str, images: Any) -> Tensor:
    images = images_of(name, images)
    if images.spec.floating:
        return images
    raise ShapeError(
        "RV100",
        f"ops.image.{name} takes floating numbers from 0 to 1, got {images.dtype}",
        fix="ops.cast(images, 'float32') / 255",
    )


def _channels(
    name: str, images: Tensor, data_format: str | None, counts: tuple[int, ...]
) -> int:
    """The axis of the channels, of which there must be so many."""
    axis = images.ndim - (1 if channels_last(name, data_format) else 3)
    if images.shape[axis] in counts:
        return axis
    raise ShapeError(
        "RV103",
        f"ops.image.{name}: images need {' or '.join(map(str, counts))} channels, got "
        f"{images.shape[axis]} of shape {tuple(images.shape)}",
        fix="data_format='channels_first' where the channels come before height and "
        "width",
    )
