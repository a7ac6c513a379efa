"""Layers that change the size of images, and the arithmetic of sampling images."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ranvier import ops
from ranvier._check import Constraint, Interval, OneOf, check_parameters
from ranvier.errors import ShapeError
from ranvier.graph import Tensor, Variable
from ranvier.layers.base import Layer
from ranvier.layers.sizes import data_format_of, spatial_axes
from ranvier.ops._resampling import (
    KERNELS,
    bordered,
    middle,
    resized,
    weights_of,
    window,
)


class ImageLayer(Layer):
    """Base of layers on images: `(rows, height, width, channels)`, or one image.

    Args:
        data_format: `"channels_last"` or `"channels_first"`.
        **kwargs: see `Layer`.
    """

    def __init__(self, *, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = data_format_of(type(self).__name__, data_format)
        self._axes = spatial_axes(self.data_format, 2)
        self.built = True

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Applies the layer to images, or to a single one."""
        if isinstance(inputs, dict):
            raise ShapeError(
                "RV100",
                f"{type(self).__name__} takes images alone, not a dictionary with "
                f"{', '.join(map(repr, inputs))}",
                fix="layer(images)",
            )
        if not hasattr(inputs, "shape"):
            inputs = np.asarray(inputs)
        rank = len(inputs.shape)
        if rank not in (3, 4):
            raise ShapeError(
                "RV103",
                f"{type(self).__name__} takes images with 3 axes, or a batch of them "
                f"with 4; got shape {tuple(inputs.shape)}",
                fix="x[..., None] for images without an axis of channels",
            )
        if rank == 3:
            # One image is a batch of one: its height is no number of rows.
            if isinstance(inputs, (Tensor, Variable)) or not hasattr(inputs, "dtype"):
                inputs = ops.expand_dims(inputs, 0)
            else:
                inputs = inputs[None]
            return ops.squeeze(super().__call__(inputs, *args, **kwargs), 0)
        return super().__call__(inputs, *args, **kwargs)

    def size_of(self, images: Any) -> tuple[int, int]:
        """Height and width.

        Raises:
            ShapeError: RV103 where they are free.
        """
        height, width = (images.shape[axis] for axis in self._axes)
        if not isinstance(height, int) or not isinstance(width, int):
            raise ShapeError(
                "RV103",
                f"{type(self).__name__}: height and width of the images must be known",
                fix="keras.Input((height, width, channels))",
            )
        return height, width

    def cut(self, images: Any, starts: Any, sizes: Any) -> Any:
        """A window: where it begins, and its height and width."""
        return window(images, self._axes, starts, sizes)

    def middle(self, images: Any, size: tuple[int, int]) -> Any:
        """The largest window of a size's proportions, out of the middle."""
        return middle(images, self._axes, self.size_of(images), size)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "data_format": self.data_format}


class Resizing(ImageLayer):
    """Images of another height and width.

    Args:
        height: of the output.
        width: of the output.
        interpolation: `"bilinear"`, `"nearest"`, `"bicubic"`, `"lanczos3"` or
            `"lanczos5"`.
        crop_to_aspect_ratio: first cut the largest window of the output's proportions
            out of the middle.
        pad_to_aspect_ratio: first add borders up to the output's proportions.
        fill_mode: only `"constant"`.
        fill_value: of the borders.
        antialias: weigh all pixels where images become smaller.
        data_format: `"channels_last"` or `"channels_first"`.
        **kwargs: see `Layer`.

    Whole numbers stay whole: they are rounded.

    Raises:
        ShapeError: RV100 for sizes below 1, another name, or both aspect ratios.

    Example:
        >>> import numpy as np
        >>> Resizing(2, 1)(np.array([[[0.0], [2.0]], [[4.0], [6.0]]])).numpy().ravel()
        array([1., 5.], dtype=float32)
    """

    _parameters: ClassVar[dict[str, Constraint]] = {
        "height": Interval(int, 1),
        "width": Interval(int, 1),
        "interpolation": OneOf("nearest", *KERNELS),
        "fill_mode": OneOf("constant"),
    }

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        given = {
            "height": height,
            "width": width,
            "interpolation": interpolation,
            "fill_mode": fill_mode,
        }
        check_parameters("Resizing", self._parameters, given)
        if crop_to_aspect_ratio and pad_to_aspect_ratio:
            raise ShapeError(
                "RV100",
                "Resizing: only one of crop_to_aspect_ratio and pad_to_aspect_ratio "
                "can be True",
            )
        self.height, self.width = height, width
        self.interpolation = interpolation
        self.crop_to_aspect_ratio = crop_to_aspect_ratio
        self.pad_to_aspect_ratio = pad_to_aspect_ratio
        self.fill_mode = fill_mode
        self.fill_value = fill_value
        self.antialias = bool(antialias)

    def call(self, inputs: Any) -> Any:
        """The images in the new size."""
        images = inputs
        if self.crop_to_aspect_ratio:
            images = self.middle(images, (self.height, self.width))
        elif self.pad_to_aspect_ratio:
            images = self._padded(images)
        else:
            self.size_of(images)
        size = (self.height, self.width)
        dtype = images.dtype
        if dtype.startswith("float") or self.interpolation == "nearest":
            return resized(images, self._axes, size, self.interpolation, self.antialias)
        images = ops.cast(images, self.compute_dtype)
        images = resized(images, self._axes, size, self.interpolation, self.antialias)
        return ops.saturate_cast(ops.round(images), dtype)

    def _padded(self, images: Any) -> Any:
        size = self.height, self.width
        return bordered(images, self._axes, self.size_of(images), size, self.fill_value)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "height": self.height,
            "width": self.width,
            "interpolation": self.interpolation,
            "crop_to_aspect_ratio": self.crop_to_aspect_ratio,
            "pad_to_aspect_ratio": self.pad_to_aspect_ratio,
            "fill_mode": self.fill_mode,
            "fill_value": self.fill_value,
            "antialias": self.antialias,
        }


class CenterCrop(ImageLayer):
    """The middle of images, in a given height and width.

    Where an image is smaller, the largest window of these proportions is cut out of its
    middle and enlarged.

    Args:
        height: of the output.
        width: of the output.
        data_format: `"channels_last"` or `"channels_first"`.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for sizes below 1.

    Example:
        >>> import numpy as np
        >>> CenterCrop(1, 1)(np.arange(9.0).reshape(3, 3, 1)).numpy().ravel()
        array([4.], dtype=float32)
    """

    _parameters: ClassVar[dict[str, Constraint]] = {
        "height": Interval(int, 1),
        "width": Interval(int, 1),
    }

    def __init__(
        self, height: int, width: int, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        given = {"height": height, "width": width}
        check_parameters("CenterCrop", self._parameters, given)
        self.height, self.width = height, width

    def call(self, inputs: Any) -> Any:
        """The middle of the images."""
        images = ops.cast(inputs, self.compute_dtype)
        height, width = self.size_of(images)
        size = self.height, self.width
        spare = height - self.height, width - self.width
        if min(spare) < 0:
            images = self.middle(images, size)
            return resized(images, self._axes, size, "bilinear")
        return self.cut(images, tuple(s // 2 for s in spare), size)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "height": self.height,
            "width": self.width,
        }


__all__ = ["CenterCrop", "ImageLayer", "Resizing", "resized", "weights_of"]
