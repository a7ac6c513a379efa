"""Random initializers: counter-based, so that seed and shape decide every value.

An object gives the same values at each call; so that two layers never start alike, each
object without a seed draws its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from ranvier import _seed, random
from ranvier.errors import ShapeError
from ranvier.initializers.base import Array, Initializer, Shape, compute_fans, one_of
from ranvier.random import SeedGenerator

__all__ = [
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "LecunNormal",
    "LecunUniform",
    "Orthogonal",
    "RandomInitializer",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
]


class RandomInitializer(Initializer):
    """Base of the random ones: keeps the seed, draws one if none is given."""

    def __init__(self, seed: Any = None) -> None:
        if isinstance(seed, dict):
            seed = SeedGenerator.from_config(seed["config"])
        if not isinstance(seed, (int, np.integer, SeedGenerator, type(None))):
            raise ShapeError(
                "RV100",
                f"{type(self).__name__}: seed={seed!r} must be an integer, "
                "a SeedGenerator or None",
                fix="seed=42",
            )
        self._initial_seed = seed
        self.seed = _seed.next_seed() if seed is None else seed

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor arguments; a seed that was drawn is `None`."""
        seed: Any = self._initial_seed
        if isinstance(seed, SeedGenerator):
            seed = {
                "module": "keras.random",
                "class_name": "SeedGenerator",
                "config": seed.get_config(),
                "registered_name": None,
            }
        return {"seed": seed} | super().get_config()


class RandomNormal(RandomInitializer):
    """Normal distribution.

    Args:
        mean: mean.
        stddev: standard deviation.
        seed: an integer, a `SeedGenerator`, or `None` for one of its own.

    Example:
        ```python
        w = RandomNormal(stddev=0.01, seed=42)((784, 128))
        ```
    """

    config_names: ClassVar = ("mean", "stddev")

    def __init__(
        self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None
    ) -> None:
        super().__init__(seed)
        self.mean = mean
        self.stddev = stddev

    def __call__(self, shape: Shape, dtype: str | None = None) -> Any:
        """Returns random values."""
        return random.normal(shape, self.mean, self.stddev, dtype, self.seed)


class TruncatedNormal(RandomNormal):
    """Normal distribution cut off at two standard deviations.

    Args:
        mean: mean.
        stddev: standard deviation before the cut.
        seed: an integer, a `SeedGenerator`, or `None` for one of its own.

    Example:
        ```python
        w = TruncatedNormal(stddev=0.01, seed=42)((784, 128))
        ```
    """

    def __call__(self, shape: Shape, dtype: str | None = None) -> Any:
        """Returns random values."""
        return random.truncated_normal(shape, self.mean, self.stddev, dtype, self.seed)


class RandomUniform(RandomInitializer):
    """Uniform distribution.

    Args:
        minval: lower bound.
        maxval: upper bound.
        seed: an integer, a `SeedGenerator`, or `None` for one of its own.

    Example:
        ```python
        w = RandomUniform(-0.1, 0.1, seed=42)((784, 128))
        ```
    """

    config_names: ClassVar = ("minval", "maxval")

    def __init__(
        self, minval: float = -0.05, maxval: float = 0.05, seed: Any = None
    ) -> None:
        super().__init__(seed)
        self.minval = minval
        self.maxval = maxval

    def __call__(self, shape: Shape, dtype: str | None = None) -> Any:
        """Returns random values."""
        return random.uniform(shape, self.minval, self.maxval, dtype, self.seed)


class VarianceScaling(RandomInitializer):
    """Random values of variance `scale / n`, where `n` counts connections.

    Args:
        scale: see above.
        mode: `n` is the number of inputs ("fan_in"), of outputs ("fan_out"), or the
            mean of both ("fan_avg").
        distribution: "truncated_normal" (also "normal"), "untruncated_normal" or
            "uniform".
        seed: an integer, a `SeedGenerator`, or `None` for one of its own.
        input_axes: axes of the shape that count as inputs.
        output_axes: axes of the shape that count as outputs.

    Raises:
        ShapeError: RV100 for an argument that is not one of these.

    Example:
        ```python
        w = VarianceScaling(2.0, "fan_in", "uniform", seed=42)((784, 128))
        ```
    """

    config_names: ClassVar[tuple[str, ...]] = (
        "scale",
        "mode",
        "distribution",
        "input_axes",
        "output_axes",
    )

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Any = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        name = type(self).__name__
        if not scale > 0:
            raise ShapeError(
                "RV100", f"{name}: scale={scale} must be positive", fix="scale=1.0"
            )
        distribution = distribution.lower()
        if distribution == "normal":
            distribution = "truncated_normal"
        kinds = ("truncated_normal", "untruncated_normal", "uniform")
        one_of(name, "mode", mode, ("fan_in", "fan_out", "fan_avg"))
        one_of(name, "distribution", distribution, kinds)
        super().__init__(seed)
        self.scale = scale
        self.mode = mode
        self.distribution = distribution
        self.input_axes = input_axes
        self.output_axes = output_axes

    def __call__(self, shape: Shape, dtype: str | None = None) -> Any:
        """Returns random values."""
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        fans = {
            "fan_in": fan_in,
            "fan_out": fan_out,
            "fan_avg": (fan_in + fan_out) / 2,
        }
        variance = self.scale / max(1.0, fans[self.mode])
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return random.uniform(shape, -limit, limit, dtype, self.seed)
        if self.distribution == "untruncated_normal":
            return random.normal(shape, 0.0, math.sqrt(variance), dtype, self.seed)
        # The standard deviation of a normal number cut off at 2 is 0.8796….
        stddev = math.sqrt(variance) / 0.87962566103423978
        return random.truncated_normal(shape, 0.0, stddev, dtype, self.seed)


class _NamedScaling(VarianceScaling):
    """A `VarianceScaling` with a name: scale, mode and distribution are fixed."""

    config_names: ClassVar = ("input_axes", "output_axes")
    fixed: ClassVar[tuple[float, str, str]]

    def __init__(
        self,
        seed: Any = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(*self.fixed, seed, input_axes, output_axes)


class GlorotUniform(_NamedScaling):
    """Uniform in ± sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010).

    Example:
        ```python
        w = GlorotUniform(seed=42)((784, 128))
        ```
    """

    fixed: ClassVar = (1.0, "fan_avg", "uniform")


class GlorotNormal(_NamedScaling):
    """Truncated normal of variance 2 / (fan_in + fan_out) (Glorot and Bengio, 2010).

    Example:
        ```python
        w = GlorotNormal(seed=42)((784, 128))
        ```
    """

    fixed: ClassVar = (1.0, "fan_avg", "truncated_normal")


class LecunUniform(_NamedScaling):
    """Uniform in ± sqrt(3 / fan_in) (LeCun et al., 1998).

    Example:
        ```python
        w = LecunUniform(seed=42)((784, 128))
        ```
    """

    fixed: ClassVar = (1.0, "fan_in", "uniform")


class LecunNormal(_NamedScaling):
    """Truncated normal of variance 1 / fan_in (LeCun et al., 1998).

    Example:
        ```python
        w = LecunNormal(seed=42)((784, 128))
        ```
    """

    fixed: ClassVar = (1.0, "fan_in", "truncated_normal")


class HeUniform(_NamedScaling):
    """Uniform in ± sqrt(6 / fan_in) (He et al., 2015).

    Example:
        ```python
        w = HeUniform(seed=42)((784, 128))
        ```
    """

    fixed: ClassVar = (2.0, "fan_in", "uniform")


class HeNormal(_NamedScaling):
    """Truncated normal of variance 2 / fan_in (He et al., 2015).

    Example:
        ```python
        w = HeNormal(seed=42)((784, 128))
        ```
    """

    fixed: ClassVar = (2.0, "fan_in", "truncated_normal")


class Orthogonal(RandomInitializer):
    """A random matrix with orthonormal rows or columns, times `gain`.

    All axes but the last count as rows (Saxe et al., 2014).

    Args:
        gain: factor.
        seed: an integer, a `SeedGenerator`, or `None` for one of its own.

    Raises:
        ShapeError: RV108 when called with a shape of fewer than two axes.

    Example:
        ```python
        w = Orthogonal(seed=42)((64, 64))
        ```
    """

    config_names: ClassVar = ("gain",)

    def __init__(self, gain: float = 1.0, seed: Any = None) -> None:
        super().__init__(seed)
        self.gain = gain

    def __call__(self, shape: Shape, dtype: str | None = None) -> Array:
        """Returns a random orthogonal matrix in the wanted shape."""
        if len(shape) < 2:
            raise ShapeError(
                "RV108",
                "Orthogonal: the shape must have at least two axes",
                details=f"received {tuple(shape)}",
                fix="another initializer, for example 'zeros' for a bias",
            )
        rows, columns = math.prod(shape[:-1]), shape[-1]
        tall = (max(rows, columns), min(rows, columns))
        drawn = random.normal(tall, dtype="float32", seed=self.seed).numpy()
        q, r = np.linalg.qr(drawn.astype("float64"))
        # Without the signs the matrices would not be drawn uniformly (Mezzadri, 2007).
        q = q * np.sign(np.diag(r))
        matrix = q if rows >= columns else q.T
        return np.asarray(self.gain * matrix.reshape(tuple(shape)), dtype or "float32")
