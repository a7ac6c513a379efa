"""Arrays scaled and moved by numbers of a step, and how alike two images are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ranvier import ops
from ranvier.errors import ShapeError
from ranvier.graph.functions import as_tensor
from ranvier.graph.trace import Tensor
from ranvier.ops._images import channels_last, images_of, one_of
from ranvier.ops._resampling import LEAST
from ranvier.ops._shared import known
from ranvier.ops.image_windows import bell, filtered

__all__ = ["scale_and_translate", "ssim"]


def _triangle(away: Tensor) -> Tensor:
    return ops.maximum(0.0, 1.0 - away)


def _cubic(away: Tensor) -> Tensor:
    """Keys's cubic convolution with a = -1/2 (IEEE Trans. ASSP 29(6), 1981)."""
    near = (1.5 * away - 2.5) * away * away + 1.0
    far = ((-0.5 * away + 2.5) * away - 4.0) * away + 2.0
    return ops.where(away >= 2.0, 0.0, ops.where(away >= 1.0, far, near))


def _lanczos(radius: int) -> Callable[[Tensor], Tensor]:
    def kernel(away: Tensor) -> Tensor:
        turn = math.pi * away
        middle = away <= 1e-3
        square = ops.where(middle, 1.0, turn * turn)
        waves = radius * ops.sin(turn) * ops.sin(turn / radius) / square
        return ops.where(away > radius, 0.0, ops.where(middle, 1.0, waves))

    return kernel


_METHODS = {
    "linear": _triangle,
    "bilinear": _triangle,
    "trilinear": _triangle,
    "cubic": _cubic,
    "bicubic": _cubic,
    "tricubic": _cubic,
    "lanczos3": _lanczos(3),
    "lanczos5": _lanczos(5),
}


def scale_and_translate(
    images: Any,
    output_shape: Sequence[int],
    scale: Any,
    translation: Any,
    spatial_dims: Sequence[int],
    method: str,
    antialias: bool = True,
) -> Tensor:
    """An array enlarged and moved along some axes: ``out[y] = in[(y - move) / scale]``.

    Places are points in the middle of their share of an axis; scale and translation may
    be numbers of a step, and have gradients.

    Args:
        images: an array; integers become float32.
        output_shape: shape of the result.
        scale: a factor for each of `spatial_dims`; 2 enlarges twice.
        translation: how far each of them is moved, in places of the result.
        spatial_dims: which axes.
        method: ``"linear"`` (also ``"bilinear"``, ``"trilinear"``), ``"cubic"``
            (``"bicubic"``, ``"tricubic"``), ``"lanczos3"`` or ``"lanczos5"``.
        antialias: weigh all places where an axis becomes shorter.

    Raises:
        ShapeError: RV100 for another method; RV103 for shapes that do not fit.

    Example:
        >>> row = [[0.0, 10.0, 20.0]]
        >>> scale_and_translate(row, (1, 3), [1.0], [1.0], (1,), "linear").numpy()
        array([[ 0.,  0., 10.]], dtype=float32)
    """
    name = "scale_and_translate"
    one_of(name, "method", method, _METHODS)
    images, factor, move = (as_tensor(x) for x in (images, scale, translation))
    axes = [axis % images.ndim for axis in spatial_dims]
    count = (len(axes),)
    if (
        len(output_shape) != images.ndim
        or tuple(factor.shape) != count
        or tuple(move.shape) != count
    ):
        raise ShapeError(
            "RV103",
            f"ops.image.{name}: a size for each axis, a factor and a distance for each "
            "of spatial_dims",
            details=f"images {tuple(images.shape)}, output_shape {tuple(output_shape)}, "
            f"spatial_dims {tuple(spatial_dims)}, scale {tuple(factor.shape)}, "
            f"translation {tuple(move.shape)}",
        )
    if not images.spec.floating:
        images = ops.cast(images, "float32")
    letters = "abcdefghij"[: images.ndim]
    for i, axis in enumerate(axes):
        old, new = known(name, images.shape[axis]), int(output_shape[axis])
        weights = _weights(
            old,
            new,
            ops.cast(factor[i], images.dtype),
            ops.cast(move[i], images.dtype),
            _METHODS[method],
            antialias,
        )
        result = letters.replace(letters[axis], "z")
        images = ops.einsum(f"{letters},{letters[axis]}z->{result}", images, weights)
    return images


def _weights(
    old: int, new: int, factor: Tensor, move: Tensor, kernel: Any, antialias: bool
) -> Tensor:
    """How much each of `old` places counts in each of `new` places: ``(old, new)``."""
    back = 1.0 / factor
    wide = ops.maximum(back, 1.0) if antialias else ops.ones_like(back)
    at = (ops.arange(new, dtype=factor.dtype) + 0.5) * back - move * back - 0.5
    places = ops.reshape(ops.arange(old, dtype=factor.dtype), (old, 1))
    weights = kernel(ops.abs(ops.reshape(at, (1, new)) - places) / wide)
    total = ops.sum(weights, axis=0, keepdims=True)
    real = ops.abs(total) > LEAST
    weights = ops.where(real, weights / ops.where(real, total, 1.0), 0.0)
    inside = ops.logical_and(at >= -0.5, at <= old - 0.5)
    return ops.where(ops.reshape(inside, (1, new)), weights, 0.0)


def ssim(
    image1: Any,
    image2: Any,
    max_val: float = 1.0,
    filter_size: int = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    data_format: str | None = None,
) -> Tensor:
    """How alike two images are: 1 where they are the same (Wang et al., 2004).

    With means `m`, variances `v` and the covariance `c` under a bell around each pixel:
    the mean of ``(2 m1 m2 + a) (2 c + b) / ((m1² + m2² + a) (v1 + v2 + b))``, with
    ``a = (k1 max_val)²`` and ``b = (k2 max_val)²``.

    Args:
        image1: an image or a batch.
        image2: another, of the same shape.
        max_val: the span of their values.
        filter_size: height and width of the bell.
        filter_sigma: how wide it is.
        k1: keeps the comparison of means finite.
        k2: keeps that of variances finite.
        data_format: ``"channels_last"`` or ``"channels_first"``.

    Returns:
        A number, or one for each image, in the dtype of the images.

    Raises:
        ShapeError: RV103 for what are no two images of one shape.

    Example:
        >>> import numpy as np
        >>> image = np.random.default_rng(0).random((16, 16, 3), "float32")
        >>> float(ssim(image, image)), float(ssim(image, 1 - image)) < 0
        (1.0, True)
    """
    one, other = images_of("ssim", image1), images_of("ssim", image2)
    last = channels_last("ssim", data_format)
    if one.ndim != other.ndim or tuple(one.shape[1:]) != tuple(other.shape[1:]):
        raise ShapeError(
            "RV103",
            "ops.image.ssim compares images of one shape, got "
            f"{tuple(one.shape)} and {tuple(other.shape)}",
        )
    dtype = one.dtype
    if not one.spec.floating:
        one = ops.cast(one, "float32")
    other = ops.cast(other, one.dtype)
    curve = bell(filter_size, filter_sigma)
    kernel = curve[:, None] * curve[None, :]

    def mean(x: Tensor) -> Tensor:
        return filtered("ssim", x, [kernel], data_format, "valid")[0]

    m1, m2 = mean(one), mean(other)
    v1, v2 = mean(one * one) - m1 * m1, mean(other * other) - m2 * m2
    both = mean(one * other) - m1 * m2
    a, b = (k1 * max_val) ** 2, (k2 * max_val) ** 2
    alike = (2.0 * m1 * m2 + a) * (2.0 * both + b)
    alike = alike / ((m1 * m1 + m2 * m2 + a) * (v1 + v2 + b))
    places = (-3, -2) if last else (-2, -1)
    by_channel = ops.mean(alike, axis=places)
    return ops.cast(ops.mean(by_channel, axis=-1), dtype)
