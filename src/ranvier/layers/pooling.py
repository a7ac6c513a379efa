"""Pooling: the largest or the mean of every window."""

from __future__ import annotations

from typing import Any

from ranvier import ops
from ranvier._check import OneOf, check_parameters
from ranvier.errors import ShapeError
from ranvier.layers.base import Layer
from ranvier.layers.input_spec import InputSpec, show
from ranvier.layers.sizes import data_format_of, spatial_axes, whole_numbers


class Pooling(Layer):
    """What the pooling layers share; see `MaxPooling2D`."""

    #: Axes between rows and channels.
    rank = 0
    _pool = ""
    _parameters = {"padding": OneOf("valid", "same")}

    def __init__(
        self,
        pool_size: Any = 2,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        owner = type(self).__name__
        self.pool_size = whole_numbers(owner, "pool_size", pool_size, self.rank)
        strides = self.pool_size if strides is None else strides
        self.strides = whole_numbers(owner, "strides", strides, self.rank)
        self.padding = padding.lower() if isinstance(padding, str) else padding
        check_parameters(owner, self._parameters, {"padding": self.padding})
        self.data_format = data_format_of(owner, data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def build(self, input_shape: Any) -> None:
        """Refuses an input into which no window fits."""
        if self.padding == "same" or len(input_shape) != self.rank + 2:
            return
        axes = spatial_axes(self.data_format, self.rank)
        for axis, wide in zip(axes, self.pool_size, strict=True):
            size = input_shape[axis]
            if isinstance(size, int) and size < wide:
                raise ShapeError(
                    "RV108",
                    f"layer {self.name!r} ({type(self).__name__}): a window of {wide} "
                    f"does not fit into {size} positions (axis {axis})",
                    details=f"pool_size={self.pool_size}, inputs of shape "
                    f"{show(input_shape)}",
                    fix="padding='same', a smaller pool_size, or larger inputs",
                )

    def call(self, inputs: Any) -> Any:
        """The pooled windows."""
        return getattr(ops, self._pool)(
            inputs, self.pool_size, self.strides, self.padding, self.data_format
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "padding": self.padding,
            "strides": self.strides,
            "data_format": self.data_format,
        }


class AveragePool(Pooling):
    """Its windows have no default size."""

    _pool = "average_pool"

    def __init__(
        self,
        pool_size: Any,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)


class MaxPooling1D(Pooling):
    """The largest of every window of a sequence; see `MaxPooling2D`.

    Input ``(rows, steps, channels)``.

    Example:
        >>> MaxPooling1D(2)([[[1.0], [3.0], [2.0], [0.0]]]).numpy().ravel().tolist()
        [3.0, 2.0]
    """

    rank = 1
    _pool = "max_pool"


class MaxPooling2D(Pooling):
    """The largest of every window of an image, channel by channel.

    Input ``(rows, height, width, channels)``. The gradient goes to the first of equals.

    Args:
        pool_size: positions of a window: a number, or one for each axis.
        strides: positions from one window to the next; `pool_size` by default.
        padding: ``"valid"``: windows lie inside; ``"same"``: ``ceil(size / stride)``
            windows; what is added around is never the largest.
        data_format: ``"channels_last"`` or ``"channels_first"``; by default that of
            `ranvier.config`.
        name: a name.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for an argument that is none, RV103 for inputs with other axes,
            RV108 when no window fits into the input.

    Example:
        >>> import numpy as np
        >>> MaxPooling2D()(np.zeros((2, 26, 26, 8))).shape
        (2, 13, 13, 8)
    """

    rank = 2
    _pool = "max_pool"


class MaxPooling3D(Pooling):
    """The largest of every window of a volume; see `MaxPooling2D`.

    Input ``(rows, depth, height, width, channels)``.

    Example:
        >>> import numpy as np
        >>> MaxPooling3D()(np.zeros((1, 4, 4, 4, 2))).shape
        (1, 2, 2, 2, 2)
    """

    rank = 3
    _pool = "max_pool"


class AveragePooling1D(AveragePool):
    """The mean of every window of a sequence; see `AveragePooling2D`.

    Input ``(rows, steps, channels)``.

    Example:
        >>> AveragePooling1D(2)([[[1.0], [3.0], [2.0], [0.0]]]).numpy().ravel().tolist()
        [2.0, 1.0]
    """

    rank = 1


class AveragePooling2D(AveragePool):
    """The mean of every window of an image, channel by channel.

    Input ``(rows, height, width, channels)``. What ``padding="same"`` adds around does
    not count.

    Args:
        pool_size: positions of a window: a number, or one for each axis.
        strides: positions from one window to the next; `pool_size` by default.
        padding: ``"valid"`` or ``"same"``.
        data_format: ``"channels_last"`` or ``"channels_first"``.
        name: a name.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: as `MaxPooling2D`.

    Example:
        >>> import numpy as np
        >>> AveragePooling2D(2)(np.ones((1, 4, 4, 1))).numpy().ravel().tolist()
        [1.0, 1.0, 1.0, 1.0]
    """

    rank = 2


class AveragePooling3D(AveragePool):
    """The mean of every window of a volume; see `AveragePooling2D`.

    Input ``(rows, depth, height, width, channels)``.

    Example:
        >>> import numpy as np
        >>> AveragePooling3D(2)(np.zeros((1, 4, 4, 4, 2))).shape
        (1, 2, 2, 2, 2)
    """

    rank = 3
