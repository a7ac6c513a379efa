"""What the operations on images ask of their arguments."""

from __future__ import annotations

from typing import Any

from ranvier import config
from ranvier.errors import ShapeError, nearest
from ranvier.graph.functions import as_tensor
from ranvier.graph.trace import Tensor


def one_of(name: str, argument: str, value: Any, known: Any) -> Any:
    """A value that must be among those known.

    Raises:
        ShapeError: RV100.
    """
    if value in known:
        return value
    names = ", ".join(map(repr, known))
    raise ShapeError(
        "RV100",
        f"ops.image.{name}: {argument} must be one of {names}, got {value!r}",
        fix=f"{argument}={nearest(value, map(str, known)) or repr(next(iter(known)))}",
    )


def channels_last(name: str, data_format: str | None) -> bool:
    """Whether the channels come last; by default as `keras.config` says.

    Raises:
        ShapeError: RV100 for another word.
    """
    data_format = data_format or config.image_data_format()
    known = ("channels_last", "channels_first")
    return bool(one_of(name, "data_format", data_format, known) == known[0])


def images_of(name: str, images: Any) -> Tensor:
    """Images as a tensor: one, or a batch of them.

    Raises:
        ShapeError: RV103 for another number of axes.
    """
    images = as_tensor(images)
    if images.ndim in (3, 4):
        return images
    raise ShapeError(
        "RV103",
        f"ops.image.{name} takes an image with 3 axes, or a batch of them with 4; got "
        f"shape {tuple(images.shape)}",
        fix="x[..., None] for images without an axis of channels",
    )


def axes_of_images(images: Tensor, last: bool) -> tuple[int, int]:
    """The axes of height and width."""
    first = images.ndim - (3 if last else 2)
    return first, first + 1


def known_sizes(name: str, images: Tensor, axes: Any) -> tuple[int, int]:
    """Height and width.

    Raises:
        ShapeError: RV103 where they are free.
    """
    height, width = (images.shape[axis] for axis in axes)
    if isinstance(height, int) and isinstance(width, int):
        return height, width
    raise ShapeError(
        "RV103",
        f"ops.image.{name}: height and width of the images must be known",
        fix="keras.Input((height, width, channels))",
    )
