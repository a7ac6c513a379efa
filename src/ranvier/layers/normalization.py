"""Normalisation by statistics of the batch or of the row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ranvier import constraints, initializers, ops, regularizers
from ranvier._check import Interval, check_parameters
from ranvier.errors import ShapeError
from ranvier.graph.functions import normal_axes
from ranvier.layers.base import Layer
from ranvier.layers.input_spec import InputSpec


def _optional(module: Any, value: Any) -> Any:
    return None if value is None else module.serialize(value)


class BatchNormalization(Layer):
    """``gamma * (x - mean) / sqrt(variance + epsilon) + beta``, per channel.

    In training, mean and variance are those of the batch, and moving averages follow
    them: ``moving = moving * momentum + batch * (1 - momentum)``; otherwise the moving
    averages are used. Weights: gamma, beta, moving mean, moving variance.

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
        synchronized: kept for Keras's signature; there is one replica.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for an axis the input does not have, or with `renorm`.

    Example:
        >>> import numpy as np
        >>> BatchNormalization()(np.ones((2, 3))).shape
        (2, 3)
    """

    _parameters = {"momentum": Interval(float, 0, 1), "epsilon": Interval(float, 0)}

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
        synchronized: bool = False,
        renorm: bool = False,
        renorm_clipping: Any = None,
        renorm_momentum: float = 0.99,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if renorm:
            raise ShapeError("RV100", "BatchNormalization: renorm is not supported")
        values = {"momentum": momentum, "epsilon": epsilon}
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
        self.synchronized = synchronized
        self.renorm_clipping, self.renorm_momentum = renorm_clipping, renorm_momentum
        self.supports_masking = True
        self.gamma: Any = None
        self.beta: Any = None

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
        self.input_spec = InputSpec(ndim=rank, axes={self.axis: width})

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """The normalised input; in training the moving averages follow the batch."""
        rank = len(inputs.shape)
        own = self.axis % rank
        others = tuple(i for i in range(rank) if i != own)
        shape = [1] * rank
        shape[own] = inputs.shape[own]
        if training and self.trainable:
            mean, variance = self._moments(inputs, mask, others)
            for moving, batch in (
                (self.moving_mean, mean),
                (self.moving_variance, variance),
            ):
                moving.assign(
                    moving.value * self.momentum + batch * (1.0 - self.momentum)
                )
        else:
            mean, variance = self.moving_mean.value, self.moving_variance.value
        factor = ops.rsqrt(variance + self.epsilon)
        if self.gamma is not None:
            factor = factor * self.gamma
        shift = ops.negative(mean) * factor
        if self.beta is not None:
            shift = shift + self.beta
        return inputs * ops.reshape(factor, shape) + ops.reshape(shift, shape)

    def _moments(self, x: Any, mask: Any, axes: tuple[int, ...]) -> tuple[Any, Any]:
        if mask is None:
            mean = ops.mean(x, axis=axes, keepdims=True)
            variance = ops.mean(ops.square(x - mean), axis=axes)
            return ops.reshape(mean, variance.shape), variance
        weight = ops.cast(mask, x.dtype)
        while len(weight.shape) < len(x.shape):
            weight = ops.expand_dims(weight, -1)
        weight = ops.broadcast_to(weight, x.shape)
        total = ops.sum(weight, axis=axes, keepdims=True) + 1e-7
        mean = ops.sum(x * weight, axis=axes, keepdims=True) / total
        spread = (
            ops.sum(weight * ops.square(x - mean), axis=axes, keepdims=True) / total
        )
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
            "renorm": False,
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
                "RV100", "LayerNormalization: rms_scaling is not supported"
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
