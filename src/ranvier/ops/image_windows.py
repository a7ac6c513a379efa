"""Sizes, borders and windows of images: resized, padded, cut, blurred."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ranvier import ops
from ranvier.errors import ShapeError
from ranvier.graph.trace import Tensor
from ranvier.ops._images import (
    axes_of_images,
    channels_last,
    images_of,
    known_sizes,
    one_of,
)
from ranvier.ops._resampling import KERNELS, bordered, middle, resized, window
from ranvier.ops._shared import known

__all__ = [
    "crop_images",
    "extract_patches",
    "extract_patches_3d",
    "gaussian_blur",
    "pad_images",
    "resize",
    "sobel_edges",
]

_INTERPOLATIONS = ("nearest", *KERNELS)


def resize(
    images: Any,
    size: tuple[int, int],
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Tensor:
    """Images of another height and width; integers stay integers, rounded.

    Args:
        images: an image or a batch.
        size: height and width.
        interpolation: ``"bilinear"``, ``"nearest"``, ``"bicubic"``, ``"lanczos3"`` or
            ``"lanczos5"``.
        antialias: weigh all pixels where images become smaller.
        crop_to_aspect_ratio: first cut the largest window of the proportions out of the
            middle.
        pad_to_aspect_ratio: first add borders up to the proportions.
        fill_mode: only ``"constant"``.
        fill_value: of the borders.
        data_format: ``"channels_last"`` or ``"channels_first"``.

    Raises:
        ShapeError: RV100 for another word, no two sizes, or both aspect ratios.

    Example:
        >>> resize([[[0.0], [2.0]], [[4.0], [6.0]]], (2, 1)).numpy().ravel()
        array([1., 5.], dtype=float32)
    """
    one_of("resize", "interpolation", interpolation, _INTERPOLATIONS)
    one_of("resize", "fill_mode", fill_mode, ("constant",))
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ShapeError(
            "RV100",
            "ops.image.resize: only one of crop_to_aspect_ratio and pad_to_aspect_ratio "
            "can be True",
        )
    if len(size) != 2 or min(size) < 1:
        raise ShapeError(
            "RV100",
            f"ops.image.resize: size must be a height and a width, got {size!r}",
            fix="size=(224, 224)",
        )
    images = images_of("resize", images)
    axes = axes_of_images(images, channels_last("resize", data_format))
    old = known_sizes("resize", images, axes)
    if crop_to_aspect_ratio:
        images = middle(images, axes, old, size)
    elif pad_to_aspect_ratio:
        images = bordered(images, axes, old, size, fill_value)
    dtype = images.dtype
    if images.spec.floating or interpolation == "nearest":
        return resized(images, axes, size, interpolation, antialias)  # type: ignore[no-any-return]
    found = resized(ops.cast(images, "float32"), axes, size, interpolation, antialias)
    return ops.saturate_cast(ops.round(found), dtype)


def pad_images(
    images: Any,
    top_padding: int | None = None,
    left_padding: int | None = None,
    bottom_padding: int | None = None,
    right_padding: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Tensor:
    """Images with borders of zeros.

    Two of top, bottom and the height of the result are given, and two of left, right
    and its width.

    Args:
        images: an image or a batch.
        top_padding: rows above.
        left_padding: columns on the left.
        bottom_padding: rows below.
        right_padding: columns on the right.
        target_height: height of the result.
        target_width: width of the result.
        data_format: ``"channels_last"`` or ``"channels_first"``.

    Raises:
        ShapeError: RV100 unless two of three are given, or for a negative border.

    Example:
        >>> pad_images(np.ones((2, 2, 1)), 1, 0, target_height=3, target_width=3).shape
        (3, 3, 1)
    """
    images = images_of("pad_images", images)
    axes = axes_of_images(images, channels_last("pad_images", data_format))
    sizes = known_sizes("pad_images", images, axes)
    borders = [(0, 0)] * images.ndim
    high = ("top_padding", top_padding, "bottom_padding", bottom_padding)
    wide = ("left_padding", left_padding, "right_padding", right_padding)
    down = _third("pad_images", (*high, "target_height", target_height), sizes[0], 1)
    right = _third("pad_images", (*wide, "target_width", target_width), sizes[1], 1)
    borders[axes[0]], borders[axes[1]] = down[:2], right[:2]
    return ops.pad(images, borders)


def crop_images(
    images: Any,
    top_cropping: int | None = None,
    left_cropping: int | None = None,
    bottom_cropping: int | None = None,
    right_cropping: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Tensor:
    """Images without borders.

    Two of top, bottom and the height of the result are given, and two of left, right
    and its width.

    Args:
        images: an image or a batch.
        top_cropping: rows taken off above.
        left_cropping: columns taken off on the left.
        bottom_cropping: rows taken off below.
        right_cropping: columns taken off on the right.
        target_height: height of the result.
        target_width: width of the result.
        data_format: ``"channels_last"`` or ``"channels_first"``.

    Raises:
        ShapeError: RV100 unless two of three are given, or for more than there is.

    Example:
        >>> crop_images(np.ones((4, 4, 1)), 1, 0, target_height=2, target_width=3).shape
        (2, 3, 1)
    """
    images = images_of("crop_images", images)
    axes = axes_of_images(images, channels_last("crop_images", data_format))
    sizes = known_sizes("crop_images", images, axes)
    high = ("top_cropping", top_cropping, "bottom_cropping", bottom_cropping)
    wide = ("left_cropping", left_cropping, "right_cropping", right_cropping)
    down = _third("crop_images", (*high, "target_height", target_height), sizes[0], -1)
    right = _third("crop_images", (*wide, "target_width", target_width), sizes[1], -1)
    return window(images, axes, (down[0], right[0]), (down[2], right[2]))  # type: ignore[no-any-return]


def _third(
    name: str, given: tuple[Any, ...], old: int, sign: int
) -> tuple[int, int, int]:
    """What is before, what is behind and the new size, of which two are given."""
    names, values = given[::2], list(given[1::2])
    if sum(value is not None for value in values) != 2:
        told = ", ".join(f"{n}={v!r}" for n, v in zip(names, values, strict=True))
        raise ShapeError(
            "RV100",
            f"ops.image.{name} takes two of {', '.join(names)}",
            details=f"got {told}",
            fix=f"{names[0]}=1, {names[2]}={old + sign}",
        )
    before, behind, new = values
    if new is None:
        new = old + sign * (before + behind)
    elif before is None:
        before = sign * (new - old) - behind
    else:
        behind = sign * (new - old) - before
    if min(before, behind, new) < 0:
        found = ", ".join(
            f"{n}={v}" for n, v in zip(names, (before, behind, new), strict=True)
        )
        raise ShapeError(
            "RV100", f"ops.image.{name}: {found} for a size of {old} cannot be"
        )
    return before, behind, new


def extract_patches(
    images: Any,
    size: int | tuple[int, ...],
    strides: Any = None,
    dilation_rate: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """Windows of images, flattened into channels.

    Args:
        images: an image or a batch; volumes where `size` has three numbers.
        size: of the windows.
        strides: from one window to the next; `size` by default.
        dilation_rate: distance of a window's pixels.
        padding: ``"valid"`` or ``"same"``.
        data_format: ``"channels_last"`` or ``"channels_first"``.

    Returns:
        Each place has the pixels of its window, row by row, channels innermost.

    Raises:
        ShapeError: RV100 for what is no size, RV103 for what is no image.

    Example:
        >>> x = np.arange(16.0).reshape(4, 4, 1)
        >>> extract_patches(x, 2).numpy()[0, 1].tolist()
        [2.0, 3.0, 6.0, 7.0]
    """
    axes = 3 if not isinstance(size, int) and len(size) == 3 else 2
    return _patches(
        "extract_patches", axes, images, size, strides, dilation_rate, padding,
        data_format,
    )  # fmt: skip


def extract_patches_3d(
    volumes: Any,
    size: int | tuple[int, int, int],
    strides: Any = None,
    dilation_rate: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """Blocks of volumes, flattened into channels; see `extract_patches`.

    Args:
        volumes: a volume ``(depth, height, width, channels)``, or a batch.
        size: of the blocks.
        strides: from one block to the next; `size` by default.
        dilation_rate: distance of a block's places.
        padding: ``"valid"`` or ``"same"``.
        data_format: ``"channels_last"`` or ``"channels_first"``.

    Raises:
        ShapeError: RV100 for what is no size, RV103 for what is no volume.

    Example:
        >>> extract_patches_3d(np.zeros((4, 4, 4, 2), "float32"), 2).shape
        (2, 2, 2, 16)
    """
    return _patches(
        "extract_patches_3d", 3, volumes, size, strides, dilation_rate, padding,
        data_format,
    )  # fmt: skip


def _patches(
    name: str,
    axes: int,
    images: Any,
    size: Any,
    strides: Any,
    dilation_rate: Any,
    padding: str,
    data_format: str | None,
) -> Tensor:
    sizes = (size,) * axes if isinstance(size, int) else tuple(size)
    if len(sizes) != axes or not all(isinstance(s, int) and s > 0 for s in sizes):
        raise ShapeError(
            "RV100",
            f"ops.image.{name}: size must be a number or {axes} of them, got {size!r}",
            fix=f"size={(3,) * axes}",
        )
    images = ops.convert_to_tensor(images)
    if images.ndim not in (axes + 1, axes + 2):
        raise ShapeError(
            "RV103",
            f"ops.image.{name} takes {axes + 1} axes, or {axes + 2} for a batch; got "
            f"shape {tuple(images.shape)}",
        )
    last = channels_last(name, data_format)
    channels = images.shape[-1 if last else -1 - axes]
    # A window's pixels are found by as many filters, each of which sees one of them.
    count = math.prod(sizes) * channels
    dtype = images.dtype
    batch = images if images.ndim == axes + 2 else ops.expand_dims(images, 0)
    if not images.spec.floating:
        batch = ops.cast(batch, "float32")
    kernel = np.eye(count).reshape(*sizes, channels, count)
    found = ops.conv(
        batch,
        ops.convert_to_tensor(kernel, batch.dtype),
        strides=strides or sizes,
        padding=padding,
        data_format="channels_last" if last else "channels_first",
        dilation_rate=dilation_rate,
    )
    found = ops.cast(found, dtype)
    return found if images.ndim == axes + 2 else ops.squeeze(found, 0)


def gaussian_blur(
    images: Any,
    kernel_size: tuple[int, int] = (3, 3),
    sigma: tuple[float, float] = (1.0, 1.0),
    data_format: str | None = None,
) -> Tensor:
    """Each pixel as a mean of those around, weighed by a bell.

    The weight at a distance `d` is in proportion to ``exp(-d**2 / (2 sigma**2))``;
    beyond the edges there are zeros.

    Args:
        images: floating, an image or a batch.
        kernel_size: columns and rows of the bell, in this order, as in Keras.
        sigma: its width, across and down.
        data_format: ``"channels_last"`` or ``"channels_first"``.

    Raises:
        ShapeError: RV103 for what is no image.

    Example:
        >>> gaussian_blur(np.ones((3, 3, 1), "float32")).numpy()[1, 1]
        array([1.], dtype=float32)
    """
    across, down = (
        bell(count, width) for count, width in zip(kernel_size, sigma, strict=True)
    )
    kernel = np.outer(down, across)
    return filtered("gaussian_blur", images, [kernel], data_format)[0]


def bell(count: int, width: float) -> np.ndarray[Any, Any]:
    """The shares of so many places under a bell; their sum is 1."""
    away = np.arange(count, dtype="float64") - (count - 1) / 2
    weights = np.exp(-0.5 * (away / width) ** 2)
    return np.asarray(weights / weights.sum())


def sobel_edges(images: Any, data_format: str | None = None) -> Tensor:
    """How fast images change downwards and to the right.

    Args:
        images: floating, a batch.
        data_format: ``"channels_last"`` or ``"channels_first"``.

    Returns:
        A last axis of two more: the slope downwards, the slope to the right.

    Raises:
        ShapeError: RV103 for what is no image.

    Example:
        >>> sobel_edges(np.ones((1, 5, 5, 1), "float32")).numpy()[0, 2, 2, 0].tolist()
        [0.0, 0.0]
    """
    right = np.outer([1.0, 2.0, 1.0], [-1.0, 0.0, 1.0])
    return ops.stack(filtered("sobel_edges", images, [right.T, right], data_format), -1)


def filtered(
    name: str,
    images: Any,
    kernels: list[np.ndarray[Any, Any]],
    data_format: Any,
    padding: str = "same",
) -> list[Tensor]:
    """Images, each channel seen through the same windows."""
    images = images_of(name, images)
    last = channels_last(name, data_format)
    batch = images if images.ndim == 4 else ops.expand_dims(images, 0)
    channels = known(f"image.{name}", batch.shape[3 if last else 1])
    found = []
    for kernel in kernels:
        taps = np.repeat(kernel[:, :, None, None], channels, axis=2)
        one = ops.depthwise_conv(
            batch,
            ops.convert_to_tensor(taps, batch.dtype),
            padding=padding,
            data_format="channels_last" if last else "channels_first",
        )
        found.append(one if images.ndim == 4 else ops.squeeze(one, 0))
    return found
