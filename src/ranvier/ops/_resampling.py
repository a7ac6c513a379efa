"""The arithmetic of images in another size: how much each old place counts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ranvier import ops
from ranvier.graph.trace import outside

#: Places of the input whose summed weight is less count as none (JAX's rule).
LEAST = 1000 * float(np.finfo("float32").eps)


def _triangle(distance: float) -> float:
    return max(0.0, 1.0 - distance)


def _cubic(distance: float) -> float:
    """Keys's cubic convolution with a = -1/2 (IEEE Trans. ASSP 29(6), 1981)."""
    if distance >= 2:
        return 0.0
    if distance >= 1:
        return ((-0.5 * distance + 2.5) * distance - 4.0) * distance + 2.0
    return (1.5 * distance - 2.5) * distance * distance + 1.0


def _lanczos(radius: int) -> Any:
    def kernel(distance: float) -> float:
        if distance >= radius:
            return 0.0
        if distance == 0:
            return 1.0
        turn = math.pi * distance
        return radius * math.sin(turn) * math.sin(turn / radius) / turn**2

    return kernel


#: name -> (how far a place of the input reaches, its weight at a distance)
KERNELS: dict[str, tuple[int, Any]] = {
    "bilinear": (1, _triangle),
    "bicubic": (2, _cubic),
    "lanczos3": (3, _lanczos(3)),
    "lanczos5": (5, _lanczos(5)),
}


def weights_of(
    old: int, new: int, interpolation: str, antialias: bool
) -> np.ndarray[Any, Any]:
    """How much each of `old` places counts in each of `new` places: `(old, new)`.

    New places are points in the middle of their share of the old axis; `antialias`
    widens the kernel where an axis becomes shorter, so that every old place counts.
    """
    _, kernel = KERNELS[interpolation]
    scale = np.float32(old / new)
    wide = max(scale, np.float32(1)) if antialias else np.float32(1)
    at = (np.arange(new, dtype="float32") + np.float32(0.5)) * scale - np.float32(0.5)
    away = np.abs(at[None, :] - np.arange(old, dtype="float32")[:, None]) / wide
    weights = np.vectorize(kernel, otypes=["float64"])(away)
    total = weights.sum(0, keepdims=True)
    real = np.abs(total) > LEAST
    weights = np.where(real, weights / np.where(real, total, 1), 0)
    inside = (at >= -0.5) & (at <= old - 0.5)
    return np.where(inside[None, :], weights, 0).astype("float32")


def resized(
    images: Any, axes: Any, size: Any, interpolation: str, antialias: bool = False
) -> Any:
    """Floating images of another height and width."""
    for axis, new in zip(axes, size, strict=True):
        old = images.shape[axis]
        if old == new:
            continue
        if interpolation == "nearest":
            step = np.float32(old / new)
            places = (np.arange(new, dtype="float32") + np.float32(0.5)) * step
            images = ops.take(images, np.floor(places).astype("int32"), axis=axis)
        else:
            with outside():
                weights = weights_of(old, new, interpolation, antialias)
            letters = "abcd"[: images.ndim]
            result = letters.replace(letters[axis], "z")
            terms = f"{letters},{letters[axis]}z->{result}"
            images = ops.einsum(terms, images, weights)
    return images


def window(images: Any, axes: Any, starts: Any, sizes: Any) -> Any:
    """A part of images: where it begins, and its height and width."""
    first: list[Any] = [0] * images.ndim
    shape = list(images.shape)
    for axis, start, size in zip(axes, starts, sizes, strict=True):
        first[axis], shape[axis] = start, size
    return ops.slice(images, first, shape)


def middle(images: Any, axes: Any, old: Any, size: Any) -> Any:
    """The largest window of a size's proportions, out of the middle.

    Args:
        images: the images.
        axes: which are height and width.
        old: their height and width.
        size: the proportions.
    """
    height, width = old
    high = max(min(height, int(float(width * size[0]) / size[1])), 1)
    wide = max(min(width, int(float(height * size[1]) / size[0])), 1)
    starts = (height - high) // 2, (width - wide) // 2
    return window(images, axes, starts, (high, wide))


def bordered(images: Any, axes: Any, old: Any, size: Any, fill_value: float) -> Any:
    """Images with borders that give them a size's proportions; see `middle`."""
    height, width = old
    high = max(height, int(float(width * size[0]) / size[1]))
    wide = max(width, int(float(height * size[1]) / size[0]))
    borders = [(0, 0)] * images.ndim
    # Keras adds borders of one width on both sides, and never in both directions.
    if (high - height) // 2:
        borders[axes[0]] = ((high - height) // 2,) * 2
    else:
        borders[axes[1]] = ((wide - width) // 2,) * 2
    return ops.pad(images, borders, constant_values=fill_value)


__all__ = ["KERNELS", "LEAST", "bordered", "middle", "resized", "weights_of", "window"]
