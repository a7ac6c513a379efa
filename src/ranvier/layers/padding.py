"""Layers that cut off or add places at the edges of spatial axes."""

from __future__ import annotations

from typing import Any

from ranvier import ops
from ranvier.errors import ShapeError
from ranvier.layers.base import Layer
from ranvier.layers.input_spec import InputSpec, show
from ranvier.layers.sizes import data_format_of, edges, spatial_axes


class _Cropping(Layer):
    """Base of `Cropping1D`, `2D` and `3D`."""

    cropping: Any
    data_format: str = "channels_last"

    def _cuts(self) -> tuple[tuple[int, int], ...]:
        return self.cropping

    def build(self, input_shape: Any) -> None:
        """Nothing to make; the sizes are checked."""
        cuts = self._cuts()
        axes = spatial_axes(self.data_format, len(cuts))
        for axis, cut in zip(axes, cuts, strict=True):
            size = input_shape[axis]
            if size is not None and sum(cut) >= size:
                raise ShapeError(
                    "RV103",
                    f"{type(self).__name__}: cropping {cut[0]} + {cut[1]} leaves "
                    f"nothing of the {size} places of axis {axis}",
                    details=f"input shape {show(input_shape)}",
                    fix="a smaller cropping, or larger inputs",
                )

    def call(self, inputs: Any) -> Any:
        """The middle of the input."""
        keep = [slice(None)] * inputs.ndim
        cuts = self._cuts()
        axes = spatial_axes(self.data_format, len(cuts))
        for axis, (before, after) in zip(axes, cuts, strict=True):
            keep[axis] = slice(before, -after if after else None)
        return inputs[tuple(keep)]


class Cropping1D(_Cropping):
    """Cuts steps off the beginning and the end: `(rows, steps, channels)`.

    Args:
        cropping: how many at the beginning and at the end, or one number for both.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for negative numbers; RV103 when nothing is left.

    Example:
        >>> import numpy as np
        >>> Cropping1D((1, 2))(np.zeros((4, 10, 3))).shape
        (4, 7, 3)
    """

    def __init__(self, cropping: Any = (1, 1), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        pair = (cropping, cropping) if isinstance(cropping, int) else cropping
        ((before, after),) = edges("Cropping1D", "cropping", (pair,), 1)
        self.cropping = (before, after)
        self.input_spec = InputSpec(ndim=3)

    def _cuts(self) -> tuple[tuple[int, int], ...]:
        return (self.cropping,)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "cropping": self.cropping}


class _CroppingND(_Cropping):
    """Base of those for two and three spatial axes."""

    _count: int

    def __init__(
        self, cropping: Any = 0, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        name = type(self).__name__
        self.data_format = data_format_of(name, data_format)
        self.cropping = edges(name, "cropping", cropping, self._count)
        self.input_spec = InputSpec(ndim=self._count + 2)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "cropping": self.cropping,
            "data_format": self.data_format,
        }


class Cropping2D(_CroppingND):
    """Cuts off the edges of images: `(rows, height, width, channels)`.

    Args:
        cropping: one number for all four edges, one for height and one for width, or
            `((top, bottom), (left, right))`.
        data_format: `"channels_last"` or `"channels_first"`.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for negative numbers; RV103 when nothing is left.

    Example:
        >>> import numpy as np
        >>> Cropping2D(((1, 2), (3, 0)))(np.zeros((4, 10, 10, 3))).shape
        (4, 7, 7, 3)
    """

    _count = 2


class Cropping3D(_CroppingND):
    """Cuts off the edges of volumes: `(rows, depth, height, width, channels)`.

    Args:
        cropping: one number for all edges, one for each axis, or a pair for each.
        data_format: `"channels_last"` or `"channels_first"`.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for negative numbers; RV103 when nothing is left.

    Example:
        >>> import numpy as np
        >>> Cropping3D()(np.zeros((4, 5, 6, 7, 3))).shape
        (4, 3, 4, 5, 3)
    """

    _count = 3

    def __init__(
        self,
        cropping: Any = ((1, 1), (1, 1), (1, 1)),
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(cropping, data_format, **kwargs)


class _ZeroPadding(Layer):
    """Base of `ZeroPadding1D`, `2D` and `3D`."""

    padding: Any
    data_format: str

    def _edges(self) -> tuple[tuple[int, int], ...]:
        return self.padding

    def call(self, inputs: Any) -> Any:
        """The input with zeros around it."""
        widths: list[tuple[int, int]] = [(0, 0)] * inputs.ndim
        around = self._edges()
        axes = spatial_axes(self.data_format, len(around))
        for axis, pair in zip(axes, around, strict=True):
            widths[axis] = pair
        return ops.pad(inputs, widths)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "padding": self.padding,
            "data_format": self.data_format,
        }


class ZeroPadding1D(_ZeroPadding):
    """Adds steps of zeros: `(rows, steps, channels)`.

    Args:
        padding: how many at the beginning and at the end, or one number for both.
        data_format: `"channels_last"` or `"channels_first"`.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for negative numbers.

    Example:
        >>> ZeroPadding1D((1, 0))([[[5.0]]]).numpy()
        array([[[0.],
                [5.]]], dtype=float32)
    """

    def __init__(
        self, padding: Any = 1, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.data_format = data_format_of("ZeroPadding1D", data_format)
        pair = (padding, padding) if isinstance(padding, int) else padding
        ((before, after),) = edges("ZeroPadding1D", "padding", (pair,), 1)
        self.padding = (before, after)
        self.input_spec = InputSpec(ndim=3)

    def _edges(self) -> tuple[tuple[int, int], ...]:
        return (self.padding,)


class _ZeroPaddingND(_ZeroPadding):
    """Base of those for two and three spatial axes."""

    _count: int

    def __init__(
        self, padding: Any = 1, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        name = type(self).__name__
        self.data_format = data_format_of(name, data_format)
        self.padding = edges(name, "padding", padding, self._count)
        self.input_spec = InputSpec(ndim=self._count + 2)


class ZeroPadding2D(_ZeroPaddingND):
    """Adds zeros around images: `(rows, height, width, channels)`.

    Args:
        padding: one number for all four edges, one for height and one for width, or
            `((top, bottom), (left, right))`.
        data_format: `"channels_last"` or `"channels_first"`.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for negative numbers.

    Example:
        >>> import numpy as np
        >>> ZeroPadding2D(((1, 2), (3, 0)))(np.zeros((4, 10, 10, 3))).shape
        (4, 13, 13, 3)
    """

    _count = 2


class ZeroPadding3D(_ZeroPaddingND):
    """Adds zeros around volumes: `(rows, depth, height, width, channels)`.

    Args:
        padding: one number for all edges, one for each axis, or a pair for each.
        data_format: `"channels_last"` or `"channels_first"`.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for negative numbers.

    Example:
        >>> import numpy as np
        >>> ZeroPadding3D(1)(np.zeros((4, 5, 6, 7, 3))).shape
        (4, 7, 8, 9, 3)
    """

    _count = 3


__all__ = [
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
]
