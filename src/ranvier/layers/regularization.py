"""Noise in training, and penalties on what passes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ranvier import ops, random, regularizers
from ranvier._check import Interval, check_parameters
from ranvier.errors import ShapeError
from ranvier.layers.base import Layer


class _Noise(Layer):
    """Base: does something by chance in training, nothing otherwise.

    Args:
        strength: 0 for no chance at all.
        seed: a number; by default drawn from the process's seed.
        **kwargs: see `Layer`.
    """

    def __init__(self, strength: float, seed: int | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed
        self._strength = strength
        if strength > 0:
            self.seed_generator = random.SeedGenerator(seed)
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any, training: Any = False) -> Any:
        """The input with noise in training, else the input."""
        return self._noisy(inputs) if training and self._strength > 0 else inputs

    def _noisy(self, inputs: Any) -> Any:
        raise NotImplementedError


class GaussianNoise(_Noise):
    """In training, adds normal noise of mean 0; otherwise the input passes unchanged.

    Args:
        stddev: standard deviation of the noise, from 0 to 1 (Keras's bounds).
        seed: a number; by default drawn from the process's seed.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for a `stddev` outside 0 .. 1.

    Example:
        >>> GaussianNoise(0.1)([[1.0, 1.0]]).numpy()
        array([[1., 1.]], dtype=float32)
    """

    _parameters = {"stddev": Interval(float, 0, 1)}

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        check_parameters("GaussianNoise", self._parameters, {"stddev": stddev})
        super().__init__(stddev, seed, **kwargs)
        self.stddev = stddev

    def _noisy(self, inputs: Any) -> Any:
        shape = tuple(inputs.shape)
        return inputs + random.normal(
            shape, 0.0, self.stddev, inputs.dtype, self.seed_generator
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "stddev": self.stddev, "seed": self.seed}


class GaussianDropout(_Noise):
    """In training, multiplies by normal noise of mean 1; else changes nothing.

    The noise has the variance ``rate / (1 - rate)``, that of `Dropout` (Srivastava et
    al., 2014).

    Args:
        rate: from 0 to 1, without 1.
        seed: a number; by default drawn from the process's seed.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for a rate outside.

    Example:
        >>> GaussianDropout(0.5)([[1.0, 1.0]]).numpy()
        array([[1., 1.]], dtype=float32)
    """

    _parameters = {"rate": Interval(float, 0, 1, "left")}

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        check_parameters("GaussianDropout", self._parameters, {"rate": rate})
        super().__init__(rate, seed, **kwargs)
        self.rate = rate

    def _noisy(self, inputs: Any) -> Any:
        stddev = math.sqrt(self.rate / (1.0 - self.rate))
        shape = tuple(inputs.shape)
        return inputs * random.normal(
            shape, 1.0, stddev, inputs.dtype, self.seed_generator
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


#: SELU's value far below zero: what a dropped value becomes.
_LOWEST = -1.6732632423543772 * 1.0507009873554805


class AlphaDropout(_Noise):
    """`Dropout` for networks with SELU: keeps mean 0 and variance 1 of its input.

    In training, each value is set to SELU's lowest value with probability `rate`; then
    all are scaled and shifted (Klambauer et al., 2017).

    Args:
        rate: share of values dropped, from 0 to 1, without 1.
        noise_shape: shape of the mask, ``None`` for sizes of the input.
        seed: a number; by default drawn from the process's seed.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for a rate outside; RV103 for a mask that does not fit.

    Example:
        >>> AlphaDropout(0.5)([[1.0, 1.0]]).numpy()
        array([[1., 1.]], dtype=float32)
    """

    _parameters = {"rate": Interval(float, 0, 1, "left")}

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        check_parameters("AlphaDropout", self._parameters, {"rate": rate})
        super().__init__(rate, seed, **kwargs)
        self.rate = rate
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)

    def _noisy(self, inputs: Any) -> Any:
        shape = tuple(inputs.shape)
        sizes = self.noise_shape or (None,) * len(shape)
        if len(sizes) != len(shape):
            raise ShapeError(
                "RV103",
                f"AlphaDropout: noise_shape={sizes} for inputs of {len(shape)} axes",
                fix="a size for each axis, None for that of the input",
            )
        drawn = tuple(
            own if size is None else size
            for own, size in zip(shape, sizes, strict=True)
        )
        kept = random.uniform(drawn, seed=self.seed_generator) >= self.rate
        spread = (1 - self.rate) * (1 + self.rate * _LOWEST**2)
        scale = spread**-0.5
        shift = -scale * _LOWEST * self.rate
        values = ops.where(ops.broadcast_to(kept, shape), inputs, _LOWEST)
        return values * scale + shift

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "rate": self.rate,
            "seed": self.seed,
            "noise_shape": self.noise_shape,
        }


class ActivityRegularization(Layer):
    """Passes its input on, and adds ``l1 * sum|x| + l2 * sum(x^2)`` to the loss.

    The sums are divided by the number of rows.

    Args:
        l1: weight of the absolute values.
        l2: weight of the squares.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for a negative weight.

    Example:
        >>> layer = ActivityRegularization(l2=0.5)
        >>> y = layer([[2.0, 0.0], [0.0, 4.0]])
        >>> float(layer.losses[0])
        5.0
    """

    _parameters = {"l1": Interval(float, 0), "l2": Interval(float, 0)}

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        values = {"l1": l1, "l2": l2}
        check_parameters("ActivityRegularization", self._parameters, values)
        super().__init__(activity_regularizer=regularizers.L1L2(l1, l2), **kwargs)
        self.l1, self.l2 = l1, l2
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        """The input."""
        return inputs

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = super().get_config()
        config.pop("activity_regularizer", None)
        return {**config, "l1": self.l1, "l2": self.l2}


__all__ = [
    "ActivityRegularization",
    "AlphaDropout",
    "GaussianDropout",
    "GaussianNoise",
]
