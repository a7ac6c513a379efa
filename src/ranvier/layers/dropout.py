"""Layers that act by chance, and only in training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ranvier import random
from ranvier._check import Interval, check_parameters
from ranvier.layers.base import Layer
from ranvier.layers.input_spec import InputSpec
from ranvier.layers.sizes import data_format_of, spatial_axes


class Dropout(Layer):
    """In training, sets each value to 0 with probability `rate`, scales up the others.

    The others are divided by ``1 - rate``, so that sums keep their mean. Otherwise the
    input passes unchanged. The same seed gives the same masks, on every engine.

    Args:
        rate: share of values dropped, from 0 to 1.
        noise_shape: shape of the mask, ``None`` for sizes of the input.
        seed: a number; by default drawn from the process's seed.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for a rate outside 0 .. 1.

    Example:
        >>> import numpy as np
        >>> Dropout(0.5)(np.ones((1, 2))).numpy()
        array([[1., 1.]], dtype=float32)
    """

    _parameters = {"rate": Interval(float, 0, 1)}

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_parameters("Dropout", self._parameters, {"rate": rate})
        self.rate = rate
        self.seed = seed
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)
        if rate > 0:
            self.seed_generator = random.SeedGenerator(seed)
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any, training: Any = False) -> Any:
        """The thinned input in training, else the input."""
        if training and self.rate > 0:
            return random.dropout(
                inputs,
                self.rate,
                noise_shape=self.noise_shape,
                seed=self.seed_generator,
            )
        return inputs

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "rate": self.rate,
            "seed": self.seed,
            "noise_shape": self.noise_shape,
        }


class _SpatialDropout(Dropout):
    """Base: drops whole channels of a row, at all places together."""

    _count: int

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(rate, seed=seed, **kwargs)
        self.data_format = "channels_last"
        self.input_spec = InputSpec(ndim=self._count + 2)

    def call(self, inputs: Any, training: Any = False) -> Any:
        """The input without some channels in training, else the input."""
        if not training or self.rate <= 0:
            return inputs
        noise: list[int | None] = [None] * inputs.ndim
        for axis in spatial_axes(self.data_format, self._count):
            noise[axis] = 1
        return random.dropout(
            inputs, self.rate, noise_shape=noise, seed=self.seed_generator
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, those that Keras writes."""
        return {
            "rate": self.rate,
            "seed": self.seed,
            "name": self.name,
            "dtype": self.dtype,
        }


class SpatialDropout1D(_SpatialDropout):
    """In training, sets whole channels of a row to 0: `(rows, steps, channels)`.

    Neighbouring steps are often alike: dropping single values would change little
    (Tompson et al., 2014). Channels that stay are divided by ``1 - rate``.

    Args:
        rate: share of channels dropped, from 0 to 1.
        seed: a number; by default drawn from the process's seed.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for a rate outside 0 .. 1.

    Example:
        >>> SpatialDropout1D(0.5)([[[1.0], [1.0]]]).shape
        (1, 2, 1)
    """

    _count = 1


class _SpatialDropoutND(_SpatialDropout):
    """Base of those for two and three spatial axes."""

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(rate, seed, **kwargs)
        self.data_format = data_format_of(type(self).__name__, data_format)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, those that Keras writes."""
        return {**super().get_config(), "data_format": self.data_format}


class SpatialDropout2D(_SpatialDropoutND):
    """In training, sets whole channels of an image to 0: see `SpatialDropout1D`.

    Args:
        rate: share of channels dropped, from 0 to 1.
        data_format: `"channels_last"` or `"channels_first"`.
        seed: a number; by default drawn from the process's seed.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for a rate outside 0 .. 1.

    Example:
        >>> import numpy as np
        >>> SpatialDropout2D(0.5)(np.ones((2, 4, 4, 3))).shape
        (2, 4, 4, 3)
    """

    _count = 2


class SpatialDropout3D(_SpatialDropoutND):
    """In training, sets whole channels of a volume to 0: see `SpatialDropout1D`.

    Args:
        rate: share of channels dropped, from 0 to 1.
        data_format: `"channels_last"` or `"channels_first"`.
        seed: a number; by default drawn from the process's seed.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for a rate outside 0 .. 1.

    Example:
        >>> import numpy as np
        >>> SpatialDropout3D(0.5)(np.ones((2, 4, 4, 4, 3))).shape
        (2, 4, 4, 4, 3)
    """

    _count = 3


__all__ = ["Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"]
