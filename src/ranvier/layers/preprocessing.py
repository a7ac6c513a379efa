"""Layers that bring inputs into range: inside the model, so that predict does it too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ranvier import ops
from ranvier.errors import ShapeError
from ranvier.layers.base import Layer


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
        ShapeError: RV100 when only one of mean and variance is given; RV106 when it is
            used before `adapt`.

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
        self.input_mean, self.input_variance = mean, variance
        self.invert = invert
        self.supports_masking = True
        self._adapted = mean is not None

    def build(self, input_shape: Any) -> None:
        """Makes room for the statistics, or takes those given."""
        rank = len(input_shape)
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

    def adapt(
        self, data: Any, batch_size: int | None = None, steps: int | None = None
    ) -> None:
        """Takes mean and variance from data (computed in float64).

        Args:
            data: an array, or an iterable of batches.
            batch_size: kept for Keras's signature.
            steps: at most so many batches of an iterable.

        Raises:
            ShapeError: RV100 when mean and variance were given.
        """
        if self.input_mean is not None:
            raise ShapeError(
                "RV100",
                "Normalization: adapt() has no use when mean and variance are given",
                fix="Normalization() without them",
            )
        if hasattr(data, "__array__") or isinstance(data, (list, tuple)):
            batches: Any = [np.asarray(data)]
        else:
            batches = data
        count, mean, square = 0, 0.0, 0.0
        for step, batch in enumerate(batches):
            if steps is not None and step >= steps:
                break
            # Keras reads a list or one axis of numbers as a single column.
            x = np.asarray(batch[0] if isinstance(batch, tuple) else batch)
            if x.ndim == 1:
                x = x[:, None]
            if not self.built:
                self.build((None, *x.shape[1:]))
            n = x.size // max(1, int(np.prod([x.shape[i] for i in self._keep])))
            own = x.mean(axis=self._reduce, dtype=np.float64)
            spread = x.astype(np.float64, copy=False).var(axis=self._reduce)
            total = count + n
            if total:
                delta = own - mean
                square = square + spread * n + delta**2 * (count * n / total)
                mean = mean + delta * (n / total)
            count = total
        self.adapt_mean.assign(np.asarray(mean, self.dtype))
        self.adapt_variance.assign(np.asarray(square / max(count, 1), self.dtype))
        self._adapted = True

    def call(self, inputs: Any) -> Any:
        """The normalised input."""
        x = ops.cast(inputs, self.compute_dtype)
        if self.input_mean is None:
            mean: Any = ops.reshape(self.adapt_mean, self._shape)
            variance: Any = ops.reshape(self.adapt_variance, self._shape)
        else:
            mean, variance = (
                np.broadcast_to(np.asarray(v, self.compute_dtype), self._shape).copy()
                for v in (self.input_mean, self.input_variance)
            )
        spread = ops.maximum(ops.sqrt(variance), 1e-7)  # Keras's epsilon
        if self.invert:
            return mean + x * spread
        return (x - mean) / spread

    def load_own_variables(self, store: Any) -> None:
        """Reads mean, variance and count."""
        super().load_own_variables(store)
        self._adapted = True

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
