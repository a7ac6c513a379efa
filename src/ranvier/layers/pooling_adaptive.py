"""Pooling to a number of windows that is given."""

from __future__ import annotations

from typing import Any

from ranvier import ops
from ranvier.errors import ShapeError
from ranvier.layers.base import Layer
from ranvier.layers.input_spec import InputSpec, show
from ranvier.layers.sizes import data_format_of, spatial_axes, whole_numbers


class AdaptivePooling(Layer):
    """What the adaptive pooling layers share; see `AdaptiveAveragePooling2D`."""

    #: Axes between rows and channels.
    rank = 0
    _pool = ""

    def __init__(
        self, output_size: Any, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        owner = type(self).__name__
        self.output_size = whole_numbers(owner, "output_size", output_size, self.rank)
        self.data_format = data_format_of(owner, data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def build(self, input_shape: Any) -> None:
        """Refuses an input whose number of positions is not known."""
        axes = spatial_axes(self.data_format, self.rank)
        if len(input_shape) == self.rank + 2 and any(
            not isinstance(input_shape[axis], int) for axis in axes
        ):
            raise ShapeError(
                "RV108",
                f"layer {self.name!r} ({type(self).__name__}) needs to know how many "
                "positions its input has",
                details=f"got inputs of shape {show(input_shape)}",
                fix="give the sizes in keras.Input(shape=...)",
            )

    def call(self, inputs: Any) -> Any:
        """The pooled windows."""
        return getattr(ops, self._pool)(inputs, self.output_size, self.data_format)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "output_size": self.output_size,
            "data_format": self.data_format,
        }


class AdaptiveAveragePooling1D(AdaptivePooling):
    """Means of so many windows of a sequence; see `AdaptiveAveragePooling2D`.

    Example:
        >>> x = [[[1.0], [2.0], [3.0]]]
        >>> AdaptiveAveragePooling1D(2)(x).numpy().ravel().tolist()
        [1.5, 2.5]
    """

    rank = 1
    _pool = "adaptive_average_pool"


class AdaptiveAveragePooling2D(AdaptivePooling):
    """Means of so many windows that share an image evenly.

    Window i of n has the positions from ``floor(i * size / n)`` to ``ceil((i + 1) * size
    / n)``. Input ``(rows, height, width, channels)`` of known size, output ``(rows,
    *output_size, channels)``.

    Args:
        output_size: number of windows: a number, or one for each axis.
        data_format: ``"channels_last"`` or ``"channels_first"``; by default that of
            `ranvier.config`.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for an argument that is none, RV103 for inputs with other axes,
            RV108 for inputs of unknown size.

    Example:
        >>> import numpy as np
        >>> AdaptiveAveragePooling2D((3, 2))(np.ones((1, 7, 5, 4))).shape
        (1, 3, 2, 4)
    """

    rank = 2
    _pool = "adaptive_average_pool"


class AdaptiveAveragePooling3D(AdaptivePooling):
    """Means of so many windows of a volume; see `AdaptiveAveragePooling2D`.

    Example:
        >>> import numpy as np
        >>> AdaptiveAveragePooling3D(2)(np.ones((1, 4, 5, 6, 2))).shape
        (1, 2, 2, 2, 2)
    """

    rank = 3
    _pool = "adaptive_average_pool"


class AdaptiveMaxPooling1D(AdaptivePooling):
    """The largest of so many windows of a sequence; see `AdaptiveAveragePooling2D`.

    Example:
        >>> x = [[[1.0], [3.0], [2.0]]]
        >>> AdaptiveMaxPooling1D(2)(x).numpy().ravel().tolist()
        [3.0, 3.0]
    """

    rank = 1
    _pool = "adaptive_max_pool"


class AdaptiveMaxPooling2D(AdaptivePooling):
    """The largest of so many windows of an image; see `AdaptiveAveragePooling2D`.

    Example:
        >>> import numpy as np
        >>> AdaptiveMaxPooling2D(2)(np.ones((1, 5, 5, 3))).shape
        (1, 2, 2, 3)
    """

    rank = 2
    _pool = "adaptive_max_pool"


class AdaptiveMaxPooling3D(AdaptivePooling):
    """The largest of so many windows of a volume; see `AdaptiveAveragePooling2D`.

    Example:
        >>> import numpy as np
        >>> AdaptiveMaxPooling3D(2)(np.ones((1, 4, 5, 6, 2))).shape
        (1, 2, 2, 2, 2)
    """

    rank = 3
    _pool = "adaptive_max_pool"
