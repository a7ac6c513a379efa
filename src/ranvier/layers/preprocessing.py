"""Layers that bring inputs into range: inside the model, so that predict does it too."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ranvier import ops
from ranvier.data.arrays import as_leaf, is_array
from ranvier.errors import DataError, ShapeError
from ranvier.layers.base import Layer

#: Numbers of the data that `Normalization.adapt` looks at together.
_BLOCK = 1 << 20


class Rescaling(Layer):
    """``x * scale + offset``.

    Args:
        scale: a number, or one for each channel.
        offset: a number, or one for each channel.
        **kwargs: see `Layer`.

    Example:
        >>> Rescaling(1 / 255)([[255.0]]).numpy()
        array([[1.]], dtype=float32)
    """

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale, self.offset = scale, offset
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        """The scaled input."""
        x = ops.cast(inputs, self.compute_dtype)
        scale = self._factor(self.scale)
        offset = self._factor(self.offset)
        x = x * scale
        # Adding a plain zero changes nothing; leaving it out saves the pass.
        return x if isinstance(offset, float) and offset == 0.0 else x + offset

    def _factor(self, value: Any) -> Any:
        if isinstance(value, (int, float)):
            return float(value)
        return ops.convert_to_tensor(np.asarray(value, self.compute_dtype))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""

        def plain(value: Any) -> Any:
            return (
                value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
            )

        return {
            **super().get_config(),
            "scale": plain(self.scale),
            "offset": plain(self.offset),
        }


class Normalization(Layer):
    """``(x - mean) / sqrt(variance)``, with the statistics of the training data.

    `adapt` takes them from data, once, before training; or they are given.

    Args:
        axis: axes that have statistics of their own; ``None`` for one mean in all.
        mean: given mean.
        variance: given variance.
        invert: computes ``x * sqrt(variance) + mean`` instead.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 when only one of mean and variance is given, or their shapes
            differ.

    Example:
        >>> import numpy as np
        >>> layer = Normalization()
        >>> layer.adapt(np.array([[1.0], [3.0]]))
        >>> layer(np.array([[3.0]])).numpy()
        array([[1.]], dtype=float32)
    """

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (mean is None) != (variance is None):
            raise ShapeError(
                "RV100",
                "Normalization: mean and variance are given together",
                details=f"received mean={mean!r}, variance={variance!r}",
                fix="give both, or neither and call adapt(data)",
            )
        if axis is None:
            axis = ()
        self.axis = (axis,) if isinstance(axis, int) else tuple(axis)
        if mean is not None:
            shapes = np.shape(mean), np.shape(variance)
            if shapes[0] != shapes[1] or len(shapes[0]) > len(self.axis):
                raise ShapeError(
                    "RV100",
                    "Normalization: mean and variance have one shape, with at most "
                    "one axis for each of axis",
                    details=f"mean {shapes[0]}, variance {shapes[1]}, axis={self.axis}",
                    fix="axis=None with single numbers, axis=-1 with one for each "
                    "column",
                )
        self.input_mean, self.input_variance = mean, variance
        self.invert = invert
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Makes room for the statistics, or takes those given."""
        rank = len(input_shape)
        if any(not -rank <= a < rank for a in self.axis):
            raise ShapeError(
                "RV100",
                f"Normalization: axis={self.axis} of an input with {rank} axes",
                fix="axis=-1: a mean for each column; axis=None: one for all",
            )
        self._keep = sorted(a % rank for a in self.axis)
        if 0 in self._keep:
            raise ShapeError(
                "RV100", "Normalization: axis 0 counts rows and has no statistics"
            )
        for axis in self._keep:
            if input_shape[axis] is None:
                raise ShapeError(
                    "RV100",
                    f"Normalization: the size of axis {axis} must be known",
                    fix="keras.Input(shape) with that size",
                )
        self._reduce = tuple(i for i in range(rank) if i not in self._keep)
        self._shape = [1 if i in self._reduce else input_shape[i] for i in range(rank)]
        if self.input_mean is None:
            own = tuple(input_shape[i] for i in self._keep)
            self.adapt_mean = self.add_weight(
                own, "zeros", trainable=False, name="mean"
            )
            self.adapt_variance = self.add_weight(
                own, "ones", trainable=False, name="variance"
            )
            self.count = self.add_weight(
                (), "zeros", dtype="int32", trainable=False, name="count"
            )

    @property
    def mean(self) -> Any:
        """The mean, in a shape that broadcasts with the input; None before building."""
        return self._statistic("mean")

    @property
    def variance(self) -> Any:
        """The variance, in a shape that broadcasts with the input."""
        return self._statistic("variance")

    def _statistic(self, which: str) -> Any:
        if not self.built:
            return None
        if self.input_mean is None:
            return ops.reshape(getattr(self, f"adapt_{which}"), self._shape)
        value = np.asarray(getattr(self, f"input_{which}"), self.compute_dtype)
        # Its axes are those kept, from the last one on (Keras's rule).
        sizes = [1] * len(self._shape)
        for axis, size in zip(
            reversed(self._keep), reversed(value.shape), strict=False
        ):
            sizes[axis] = size
        try:
            value = np.broadcast_to(value.reshape(sizes), self._shape)
        except ValueError as fault:
            raise ShapeError(
                "RV108",
                f"Normalization: {which} of shape {value.shape} does not fit the "
                f"input's axes {self.axis}, of sizes "
                f"{tuple(self._shape[a] for a in self._keep)}",
                fix="one number for each column, or one for all",
            ) from fault
        return ops.convert_to_tensor(value.copy())

    def adapt(
        self, data: Any, batch_size: int | None = None, steps: int | None = None
    ) -> None:
        """Takes mean and variance from data (computed in float64).

        Args:
            data: an array, or an iterable of batches.
            batch_size: kept for Keras's signature.
            steps: at most so many batches of an iterable.

        Raises:
            ShapeError: RV100 when mean and variance were given; RV103 when the data do
                not fit the shape it was built for.
            DataError: RV203 for what are no numbers, RV207 for no rows.
        """
        if self.input_mean is not None:
            raise ShapeError(
                "RV100",
                "Normalization: adapt() has no use when mean and variance are given",
                fix="Normalization() without them",
            )
        count, mean, square = 0, 0.0, 0.0
        for step, batch in enumerate(_batches(data)):
            if steps is not None and step >= steps:
                break
            x = as_leaf(batch[0] if isinstance(batch, tuple) else batch, "data")
            # Keras reads one axis of numbers as a single column.
            if x.ndim == 1:
                x = x[:, None]
            self._fit_in(x)
            # By blocks of rows, so that no float64 copy of the data set is made.
            rows = max(1, _BLOCK * len(x) // max(1, x.size))
            for start in range(0, len(x), rows):
                part = x[start : start + rows].astype(np.float64)
                n = part.size // max(1, math.prod(part.shape[i] for i in self._keep))
                if not n:
                    continue
                own = part.mean(axis=self._reduce)
                spread = part.var(axis=self._reduce)
                total = count + n
                delta = own - mean
                square = square + spread * n + delta**2 * (count * n / total)
                mean = mean + delta * (n / total)
                count = total
        if not count:
            raise DataError("RV207", "Normalization: the data to adapt to have no rows")
        self.adapt_mean.assign(np.asarray(mean, self.dtype))
        self.adapt_variance.assign(np.asarray(square / count, self.dtype))

    def _fit_in(self, x: np.ndarray[Any, Any]) -> None:
        """Builds for a batch of data, or checks that it fits.

        Raises:
            ShapeError: RV103.
        """
        if not self.built:
            self.build((None, *x.shape[1:]))
        fits = x.ndim == len(self._shape) and all(
            x.shape[a] == self._shape[a] for a in self._keep
        )
        if not fits:
            raise ShapeError(
                "RV103",
                f"Normalization: data of shape {x.shape} do not fit the layer, which "
                "was built for other rows",
                details=f"statistics of shape {tuple(self._shape)}",
                fix="a new Normalization layer, or data with those columns",
            )

    def call(self, inputs: Any) -> Any:
        """The normalised input."""
        x = ops.cast(inputs, self.compute_dtype)
        mean, variance = self.mean, self.variance
        spread = ops.maximum(ops.sqrt(variance), 1e-7)  # Keras's epsilon
        if self.invert:
            return mean + x * spread
        return (x - mean) / spread

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""

        def plain(value: Any) -> Any:
            return None if value is None else np.asarray(value).tolist()

        return {
            **super().get_config(),
            "axis": self.axis,
            "invert": self.invert,
            "mean": plain(self.input_mean),
            "variance": plain(self.input_variance),
        }


def _batches(data: Any) -> Any:
    """Batches of what `adapt` takes: one array, or an iterable of them."""
    if isinstance(data, (list, tuple)):
        # A list of arrays is a list of batches, a list of numbers one array.
        listed = bool(data) and all(
            np.ndim(part) > 0 and is_array(part) for part in data
        )
        return data if listed else [data]
    if is_array(data):
        return [data]
    if hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        return (data[i] for i in range(len(data)))
    return data
