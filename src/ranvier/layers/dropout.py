"""Layers that act by chance, and only in training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ranvier import random
from ranvier._check import Interval, check_parameters
from ranvier.layers.base import Layer


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
