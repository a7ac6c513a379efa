"""Pooling over all positions."""

from __future__ import annotations

from typing import Any

from ranvier import ops
from ranvier.layers.base import Layer
from ranvier.layers.input_spec import InputSpec
from ranvier.layers.sizes import data_format_of, spatial_axes


class GlobalPooling(Layer):
    """What the global pooling layers share; see `GlobalAveragePooling2D`."""

    #: Axes between rows and channels.
    rank = 0

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.data_format = data_format_of(type(self).__name__, data_format)
        self.keepdims = keepdims
        self.input_spec = InputSpec(ndim=self.rank + 2)

    @property
    def _axes(self) -> tuple[int, ...]:
        return spatial_axes(self.data_format, self.rank)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "data_format": self.data_format,
            "keepdims": self.keepdims,
        }


class GlobalMax(GlobalPooling):
    """The largest over all positions."""

    def call(self, inputs: Any) -> Any:
        """The largest of each channel."""
        return ops.max(inputs, axis=self._axes, keepdims=self.keepdims)


class GlobalAverage(GlobalPooling):
    """The mean over all positions."""

    def call(self, inputs: Any) -> Any:
        """The mean of each channel."""
        return ops.mean(inputs, axis=self._axes, keepdims=self.keepdims)


class GlobalAveragePooling1D(GlobalPooling):
    """The mean of each channel over all steps; with a mask over those that count.

    Input ``(rows, steps, channels)``, output ``(rows, channels)``.

    Args:
        data_format: ``"channels_last"`` or ``"channels_first"``.
        keepdims: whether the axis of steps stays, with size 1.
        **kwargs: see `Layer`.

    Example:
        >>> import numpy as np
        >>> GlobalAveragePooling1D()(np.ones((2, 5, 3))).shape
        (2, 3)
    """

    rank = 1

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(data_format, keepdims, **kwargs)
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """The mean of each channel, of the steps where ``mask`` holds."""
        (axis,) = self._axes
        if mask is None:
            return ops.mean(inputs, axis=axis, keepdims=self.keepdims)
        mask = ops.cast(mask, "bool")
        mask = ops.expand_dims(mask, 2 if self.data_format == "channels_last" else 1)
        total = ops.sum(
            ops.where(mask, inputs, ops.zeros_like(inputs)),
            axis=axis,
            keepdims=self.keepdims,
        )
        count = ops.sum(ops.cast(mask, inputs.dtype), axis=axis, keepdims=self.keepdims)
        return total / count

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """None: there are no steps any more."""
        return None


class GlobalAveragePooling2D(GlobalAverage):
    """The mean of each channel over an image.

    Input ``(rows, height, width, channels)``, output ``(rows, channels)``.

    Args:
        data_format: ``"channels_last"`` or ``"channels_first"``; by default that of
            `ranvier.config`.
        keepdims: whether the axes of positions stay, with size 1.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for an argument that is none, RV103 for inputs with other axes.

    Example:
        >>> import numpy as np
        >>> GlobalAveragePooling2D()(np.ones((2, 5, 5, 3))).shape
        (2, 3)
    """

    rank = 2


class GlobalAveragePooling3D(GlobalAverage):
    """The mean of each channel over a volume; see `GlobalAveragePooling2D`.

    Example:
        >>> import numpy as np
        >>> GlobalAveragePooling3D(keepdims=True)(np.ones((2, 4, 4, 4, 3))).shape
        (2, 1, 1, 1, 3)
    """

    rank = 3


class GlobalMaxPooling1D(GlobalMax):
    """The largest of each channel over all steps; see `GlobalAveragePooling2D`.

    Example:
        >>> GlobalMaxPooling1D()([[[1.0], [3.0], [2.0]]]).numpy().tolist()
        [[3.0]]
    """

    rank = 1


class GlobalMaxPooling2D(GlobalMax):
    """The largest of each channel over an image; see `GlobalAveragePooling2D`.

    Example:
        >>> import numpy as np
        >>> GlobalMaxPooling2D()(np.ones((2, 5, 5, 3))).shape
        (2, 3)
    """

    rank = 2


class GlobalMaxPooling3D(GlobalMax):
    """The largest of each channel over a volume; see `GlobalAveragePooling2D`.

    Example:
        >>> import numpy as np
        >>> GlobalMaxPooling3D()(np.ones((2, 4, 4, 4, 3))).shape
        (2, 3)
    """

    rank = 3
