"""Layers that enlarge spatial axes by whole factors."""

from __future__ import annotations

from typing import Any

from ranvier import ops
from ranvier._check import Interval, OneOf, check_parameters
from ranvier.graph.trace import outside
from ranvier.layers.base import Layer
from ranvier.layers.input_spec import InputSpec
from ranvier.layers.sizes import data_format_of, spatial_axes, whole_numbers
from ranvier.ops._resampling import KERNELS


def _weighted(x: Any, axis: int, factor: int, interpolation: str) -> Any:
    """Each new place as the sum of its neighbours in the input, by distance."""
    radius, kernel = KERNELS[interpolation]
    widths = [(0, 0)] * x.ndim
    widths[axis] = (radius, radius)
    wide = ops.pad(x, widths)
    size = x.shape[axis]
    phases = []
    for phase in range(factor):
        # New places lie in the middle of their share of an old one.
        offset = (phase + 0.5) / factor - 0.5
        terms = []
        for tap in range(-radius, radius + 1):
            weight = kernel(abs(offset - tap))
            if weight:
                keep = [slice(None)] * x.ndim
                keep[axis] = slice(radius + tap, radius + tap + size)
                terms.append(wide[tuple(keep)] * weight)
        phases.append(sum(terms[1:], terms[0]))
    shape = list(x.shape)
    shape[axis] = size * factor
    return ops.reshape(ops.stack(phases, axis + 1), tuple(shape))


def _interpolated(x: Any, axis: int, factor: int, interpolation: str) -> Any:
    """An axis `factor` times as long; at the edges the weights are made to sum to 1."""
    if factor == 1:
        return x
    size = x.shape[axis]
    if isinstance(size, int):
        with outside():  # a constant, made once
            share = 1.0 / _weighted(ops.ones((size,)), 0, factor, interpolation).numpy()
    else:
        share = ops.reciprocal(_weighted(ops.ones((size,)), 0, factor, interpolation))
    behind = tuple(range(1, x.ndim - axis))
    return _weighted(x, axis, factor, interpolation) * ops.expand_dims(share, behind)


class UpSampling1D(Layer):
    """Repeats each step: `(rows, steps, channels)`.

    Args:
        size: how often.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for a size below 1.

    Example:
        >>> UpSampling1D(2)([[[1.0], [2.0]]]).numpy().ravel()
        array([1., 1., 2., 2.], dtype=float32)
    """

    _parameters = {"size": Interval(int, 1)}

    def __init__(self, size: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_parameters("UpSampling1D", self._parameters, {"size": size})
        self.size = int(size)
        self.input_spec = InputSpec(ndim=3)

    def call(self, inputs: Any) -> Any:
        """The steps, repeated."""
        return ops.repeat(inputs, self.size, axis=1)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "size": self.size}


class UpSampling2D(Layer):
    """Enlarges images: `(rows, height, width, channels)`.

    With `"nearest"` each pixel is repeated. The other methods weigh the pixels around
    the middle of the new one by distance; at the edges only those that exist.

    Args:
        size: factors of height and width, or one number for both.
        data_format: `"channels_last"` or `"channels_first"`.
        interpolation: `"nearest"`, `"bilinear"`, `"bicubic"`, `"lanczos3"` or
            `"lanczos5"`.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for factors below 1, or another name.

    Example:
        >>> UpSampling2D((1, 2), interpolation="bilinear")([[[[0.0], [4.0]]]]).numpy().ravel()
        array([0., 1., 3., 4.], dtype=float32)
    """

    _parameters = {"interpolation": OneOf("nearest", *KERNELS)}

    def __init__(
        self,
        size: Any = (2, 2),
        data_format: str | None = None,
        interpolation: str = "nearest",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.data_format = data_format_of("UpSampling2D", data_format)
        self.size = whole_numbers("UpSampling2D", "size", size, 2)
        lower = interpolation.lower() if isinstance(interpolation, str) else None
        check_parameters("UpSampling2D", self._parameters, {"interpolation": lower})
        self.interpolation = lower or ""
        self.input_spec = InputSpec(ndim=4)

    def call(self, inputs: Any) -> Any:
        """The enlarged images."""
        axes = spatial_axes(self.data_format, 2)
        for axis, factor in zip(axes, self.size, strict=True):
            if self.interpolation == "nearest":
                inputs = ops.repeat(inputs, factor, axis=axis)
            else:
                inputs = _interpolated(inputs, axis, factor, self.interpolation)
        return inputs

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "size": self.size,
            "data_format": self.data_format,
            "interpolation": self.interpolation,
        }


class UpSampling3D(Layer):
    """Repeats each place of volumes: `(rows, depth, height, width, channels)`.

    Args:
        size: a factor for each axis, or one number for all.
        data_format: `"channels_last"` or `"channels_first"`.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for factors below 1.

    Example:
        >>> import numpy as np
        >>> UpSampling3D((1, 2, 3))(np.zeros((4, 5, 6, 7, 3))).shape
        (4, 5, 12, 21, 3)
    """

    def __init__(
        self, size: Any = (2, 2, 2), data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.data_format = data_format_of("UpSampling3D", data_format)
        self.size = whole_numbers("UpSampling3D", "size", size, 3)
        self.input_spec = InputSpec(ndim=5)

    def call(self, inputs: Any) -> Any:
        """The enlarged volumes."""
        axes = spatial_axes(self.data_format, 3)
        for axis, factor in zip(axes, self.size, strict=True):
            inputs = ops.repeat(inputs, factor, axis=axis)
        return inputs

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "size": self.size,
            "data_format": self.data_format,
        }


__all__ = ["UpSampling1D", "UpSampling2D", "UpSampling3D"]
