"""Normalisation by statistics of the batch or of the row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ranvier import constraints, initializers, ops, regularizers
from ranvier._check import Interval, check_parameters
from ranvier.errors import ShapeError
from ranvier.graph import composites
from ranvier.graph.functions import normal_axes
from ranvier.graph.norms import layer_norm
from ranvier.layers.base import Layer
from ranvier.layers.input_spec import InputSpec


def _optional(module: Any, value: Any) -> Any:
    return None if value is None else module.serialize(value)


def _bounds(given: Any) -> dict[str, float]:
    """The bounds of batch renormalisation.

    Raises:
        ShapeError: RV100 for unknown names, or bounds that exclude every value.
    """
    bounds = dict(given or {})
    low, high = bounds.get("rmin"), bounds.get("rmax")
    most = bounds.get("dmax")
    if (
        set(bounds) - {"rmin", "rmax", "dmax"}
        or (low is not None and high is not None and high < low)
        or (most is not None and most < 0)
    ):
        raise ShapeError(
            "RV100",
            f"BatchNormalization: renorm_clipping={given!r} must hold rmin <= rmax and "
            "dmax >= 0, or some of them",
            fix="renorm_clipping={'rmin': 1/3, 'rmax': 3.0, 'dmax': 5.0}",
        )
    return bounds


class BatchNormalization(Layer):
    """``gamma * (x - mean) / sqrt(variance + epsilon) + beta``, per channel.

    In training, mean and variance are those of the batch, and moving averages follow
    them: ``moving = moving * momentum + batch * (1 - momentum)``; otherwise the moving
    averages are used. Weights: gamma, beta, moving mean, moving variance. With
    ``trainable = False`` the moving averages are used in training too, and stay.

    With `renorm` the batch is corrected in training towards slower averages of its own
    (Ioffe, 2017): ``x * r + d`` with ``r = deviation / renorm_stddev`` and ``d = (mean
    - renorm_mean) / renorm_stddev``, within `renorm_clipping`. Three more weights.

    Args:
        axis: the channels.
        momentum: memory of the moving averages.
        epsilon: keeps the division finite.
        center: whether beta is added.
        scale: whether gamma multiplies.
        beta_initializer: of beta.
        gamma_initializer: of gamma.
        moving_mean_initializer: of the moving mean.
        moving_variance_initializer: of the moving variance.
        beta_regularizer: penalty on beta.
        gamma_regularizer: penalty on gamma.
        beta_constraint: applied to beta after each update.
        gamma_constraint: applied to gamma after each update.
        renorm: see above.
        renorm_clipping: bounds ``rmin``, ``rmax`` of r and ``dmax`` of d.
        renorm_momentum: memory of the slower averages.
        synchronized: must be false: there is one replica.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for an axis the input does not have, for unknown or
            contradictory bounds, or with `synchronized`.

    Example:
        >>> import numpy as np
        >>> BatchNormalization()(np.ones((2, 3))).shape
        (2, 3)
    """

    _parameters = {
        "momentum": Interval(float, 0, 1),
        "epsilon": Interval(float, 0),
        "renorm_momentum": Interval(float, 0, 1),
    }

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 0.001,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        renorm: bool = False,
        renorm_clipping: Any = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if synchronized:
            raise ShapeError(
                "RV100",
                "BatchNormalization: synchronized=True is not supported: there is one "
                "replica, whose statistics are those of the whole batch",
                fix="leave it out",
            )
        values = {
            "momentum": momentum,
            "epsilon": epsilon,
            "renorm_momentum": renorm_momentum,
        }
        check_parameters("BatchNormalization", self._parameters, values)
        self.axis = axis[0] if isinstance(axis, (list, tuple)) else int(axis)
        self.momentum, self.epsilon = momentum, epsilon
        self.center, self.scale = center, scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.synchronized, self.renorm = synchronized, bool(renorm)
        self.renorm_clipping = _bounds(renorm_clipping) if renorm else renorm_clipping
        self.renorm_momentum = renorm_momentum
        self.supports_masking = True
        self.gamma: Any = None
        self.beta: Any = None
        self.moving_stddev: Any = None
        self.renorm_mean: Any = None
        self.renorm_stddev: Any = None

    def build(self, input_shape: Any) -> None:
        """Makes gamma, beta and the moving averages."""
        rank = len(input_shape)
        if not -rank <= self.axis < rank:
            raise ShapeError(
                "RV100",
                f"BatchNormalization: axis={self.axis}, but the input has {rank} axes",
            )
        width = input_shape[self.axis]
        if self.scale:
            self.gamma = self.add_weight(
                (width,), self.gamma_initializer, regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint, name="gamma",
            )  # fmt: skip
        if self.center:
            self.beta = self.add_weight(
                (width,), self.beta_initializer, regularizer=self.beta_regularizer,
                constraint=self.beta_constraint, name="beta",
            )  # fmt: skip
        self.moving_mean = self.add_weight(
            (width,), self.moving_mean_initializer, trainable=False, name="moving_mean"
        )
        self.moving_variance = self.add_weight(
            (width,), self.moving_variance_initializer, trainable=False,
            name="moving_variance",
        )  # fmt: skip
        if self.renorm:
            for name, initializer in (
                ("moving_stddev", self._initial_deviation),
                ("renorm_mean", self.moving_mean_initializer),
                ("renorm_stddev", self._initial_deviation),
            ):
                weight = self.add_weight(
                    (width,), initializer, trainable=False, name=name
                )
                setattr(self, name, weight)
        self.input_spec = InputSpec(ndim=rank, axes={self.axis: width})

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """The normalised input; in training the moving averages follow the batch."""
        rank = len(inputs.shape)
        own = self.axis % rank
        others = tuple(i for i in range(rank) if i != own)
        shape = [1] * rank
        shape[own] = inputs.shape[own]
        # gamma and beta of this step: with renorm not quite those that are trained.
        gamma, beta = self.gamma, self.beta
        if training and self.trainable:
            mean, variance = self._moments(inputs, mask, others)
            if self.renorm:
                gamma, beta = self._corrected(mean, variance)
                self._follow_slowly(mean, variance)
            else:
                self._follow(self.moving_mean, mean, self.momentum)
                self._follow(self.moving_variance, variance, self.momentum)
        else:
            mean, variance = self.moving_mean.value, self.moving_variance.value
        factor = ops.rsqrt(variance + self.epsilon)
        if gamma is not None:
            factor = factor * gamma
        shift = ops.negative(mean) * factor
        if beta is not None:
            shift = shift + beta
        if own == rank - 1:
            return composites.scale_shift(inputs, factor, shift)
        return inputs * ops.reshape(factor, shape) + ops.reshape(shift, shape)

    @staticmethod
    def _follow(moving: Any, batch: Any, momentum: float) -> Any:
        now = moving.value * momentum + batch * (1.0 - momentum)
        moving.assign(now)
        return now

    def _initial_deviation(self, shape: Any, dtype: str | None = None) -> Any:
        return ops.sqrt(self.moving_variance_initializer(shape, dtype=dtype))

    def _corrected(self, mean: Any, variance: Any) -> tuple[Any, Any]:
        """gamma and beta with which the batch's statistics act like slower ones."""
        slow = ops.maximum(self.renorm_stddev.value, math.sqrt(self.epsilon))
        r = ops.sqrt(variance + self.epsilon) / slow
        d = (mean - self.renorm_mean.value) / slow
        bounds = self.renorm_clipping
        if bounds.get("rmin") is not None:
            r = ops.maximum(r, bounds["rmin"])
        if bounds.get("rmax") is not None:
            r = ops.minimum(r, bounds["rmax"])
        if bounds.get("dmax") is not None:
            d = ops.clip(d, -bounds["dmax"], bounds["dmax"])
        r, d = ops.stop_gradient(r), ops.stop_gradient(d)
        if self.gamma is not None:
            r, d = r * self.gamma, d * self.gamma
        return r, d if self.beta is None else d + self.beta

    def _follow_slowly(self, mean: Any, variance: Any) -> None:
        deviation = ops.sqrt(variance + self.epsilon)
        self._follow(self.renorm_mean, mean, self.renorm_momentum)
        self._follow(self.renorm_stddev, deviation, self.renorm_momentum)
        self._follow(self.moving_mean, mean, self.momentum)
        now = self._follow(self.moving_stddev, deviation, self.momentum)
        self.moving_variance.assign(ops.maximum(ops.square(now) - self.epsilon, 0.0))

    def _moments(self, x: Any, mask: Any, axes: tuple[int, ...]) -> tuple[Any, Any]:
        if mask is None and len(x.shape) - 1 not in axes:
            return composites.channel_moments(x)  # type: ignore[no-any-return]
        if mask is None:
            mean = ops.mean(x, axis=axes, keepdims=True)
            variance = ops.mean(ops.square(x - mean), axis=axes)
            return ops.reshape(mean, variance.shape), variance
        weight = ops.cast(mask, x.dtype)
        while len(weight.shape) < len(x.shape):
            weight = ops.expand_dims(weight, -1)
        weight = ops.broadcast_to(weight, x.shape)
        counts = weight > 0
        total = ops.sum(weight, axis=axes, keepdims=True) + 1e-7
        # Chosen, not multiplied: what is masked may be infinite.
        sums = ops.sum(ops.where(counts, x, 0.0), axis=axes, keepdims=True)
        mean = sums / total
        apart = ops.where(counts, x - mean, 0.0)
        spread = ops.sum(ops.square(apart), axis=axes, keepdims=True) / total
        width = (x.shape[self.axis],)
        return ops.reshape(mean, width), ops.reshape(spread, width)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "axis": self.axis,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": initializers.serialize(self.beta_initializer),
            "gamma_initializer": initializers.serialize(self.gamma_initializer),
            "moving_mean_initializer": initializers.serialize(
                self.moving_mean_initializer
            ),
            "moving_variance_initializer": initializers.serialize(
                self.moving_variance_initializer
            ),
            "beta_regularizer": _optional(regularizers, self.beta_regularizer),
            "gamma_regularizer": _optional(regularizers, self.gamma_regularizer),
            "beta_constraint": _optional(constraints, self.beta_constraint),
            "gamma_constraint": _optional(constraints, self.gamma_constraint),
            "synchronized": self.synchronized,
            "renorm": self.renorm,
            "renorm_clipping": self.renorm_clipping,
            "renorm_momentum": self.renorm_momentum,
        }


class LayerNormalization(Layer):
    """``gamma * (x - mean) / sqrt(variance + epsilon) + beta``, over axes of each row.

    Args:
        axis: an axis or several.
        epsilon: keeps the division finite.
        center: whether beta is added.
        scale: whether gamma multiplies.
        beta_initializer: of beta.
        gamma_initializer: of gamma.
        beta_regularizer: penalty on beta.
        gamma_regularizer: penalty on gamma.
        beta_constraint: applied to beta after each update.
        gamma_constraint: applied to gamma after each update.
        **kwargs: see `Layer`.

    Example:
        >>> LayerNormalization(epsilon=0.0)([[1.0, 3.0]]).numpy()
        array([[-1.,  1.]], dtype=float32)
    """

    _parameters = {"epsilon": Interval(float, 0)}

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 0.001,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        # Keras writes rms_scaling into its files; only False means this layer.
        if kwargs.pop("rms_scaling", False):
            raise ShapeError(
                "RV100",
                "LayerNormalization: rms_scaling, which Keras gave up, is not supported",
                fix="layers.RMSNormalization()",
            )
        super().__init__(**kwargs)
        check_parameters("LayerNormalization", self._parameters, {"epsilon": epsilon})
        self.axis: list[int] = [axis] if isinstance(axis, int) else list(axis)
        self.epsilon, self.center, self.scale = epsilon, center, scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.supports_masking = True
        self.gamma: Any = None
        self.beta: Any = None

    def _axes(self, rank: int) -> tuple[int, ...]:
        return normal_axes("LayerNormalization", self.axis, rank)

    def build(self, input_shape: Any) -> None:
        """Makes gamma and beta."""
        shape = [input_shape[a] for a in self._axes(len(input_shape))]
        if self.scale:
            self.gamma = self.add_weight(
                shape, self.gamma_initializer, regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint, name="gamma",
            )  # fmt: skip
        if self.center:
            self.beta = self.add_weight(
                shape, self.beta_initializer, regularizer=self.beta_regularizer,
                constraint=self.beta_constraint, name="beta",
            )  # fmt: skip

    def call(self, inputs: Any) -> Any:
        """The normalised rows."""
        rank = len(inputs.shape)
        axes = self._axes(rank)
        kinds = {w.dtype for w in (inputs, self.gamma, self.beta) if w is not None}
        if axes == (rank - 1,) and len(kinds) == 1:
            width, dtype = inputs.shape[-1:], inputs.dtype
            gamma = ops.ones(width, dtype) if self.gamma is None else self.gamma
            beta = ops.zeros(width, dtype) if self.beta is None else self.beta
            return layer_norm(inputs, gamma, beta, epsilon=float(self.epsilon))[0]
        shape = [inputs.shape[i] if i in axes else 1 for i in range(rank)]
        mean = ops.mean(inputs, axis=axes, keepdims=True)
        variance = ops.mean(ops.square(inputs - mean), axis=axes, keepdims=True)
        y = (inputs - mean) * ops.rsqrt(variance + self.epsilon)
        if self.gamma is not None:
            y = y * ops.reshape(self.gamma, shape)
        if self.beta is not None:
            y = y + ops.reshape(self.beta, shape)
        return y

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "axis": self.axis,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "rms_scaling": False,
            "beta_initializer": initializers.serialize(self.beta_initializer),
            "gamma_initializer": initializers.serialize(self.gamma_initializer),
            "beta_regularizer": _optional(regularizers, self.beta_regularizer),
            "gamma_regularizer": _optional(regularizers, self.gamma_regularizer),
            "beta_constraint": _optional(constraints, self.beta_constraint),
            "gamma_constraint": _optional(constraints, self.gamma_constraint),
        }
