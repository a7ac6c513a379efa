"""Activations as layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ranvier import activations, constraints, initializers, ops, regularizers
from ranvier._check import Interval, Optional, check_parameters
from ranvier.layers.base import Layer


class Activation(Layer):
    """Applies an activation function.

    Args:
        activation: a name or a function.
        **kwargs: see `Layer`.

    Example:
        >>> Activation("relu")([[-1.0, 2.0]]).numpy()
        array([[0., 2.]], dtype=float32)
    """

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activations.get(activation)
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        """``activation(inputs)``."""
        return self.activation(inputs)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "activation": activations.serialize(self.activation),
        }


class ReLU(Layer):
    """``x`` above the threshold, ``negative_slope * (x - threshold)`` below, capped.

    Args:
        max_value: cap; none by default.
        negative_slope: slope below the threshold.
        threshold: where the positive part begins.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for negative arguments.

    Example:
        >>> ReLU(max_value=1.0)([[-1.0, 0.5, 3.0]]).numpy()
        array([[0. , 0.5, 1. ]], dtype=float32)
    """

    _parameters: ClassVar[dict[str, Any]] = {
        "max_value": Optional(Interval(float, 0)),
        "negative_slope": Interval(float, 0),
        "threshold": Interval(float, 0),
    }

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        values: dict[str, Any] = {
            "max_value": max_value,
            "negative_slope": negative_slope,
            "threshold": threshold,
        }
        check_parameters("ReLU", self._parameters, values)
        self.max_value = max_value
        self.negative_slope = negative_slope
        self.threshold = threshold
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        """The rectified input."""
        return activations.relu(
            inputs,
            negative_slope=self.negative_slope,
            max_value=self.max_value,
            threshold=self.threshold,
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "max_value": self.max_value,
            "negative_slope": self.negative_slope,
            "threshold": self.threshold,
        }


class LeakyReLU(Layer):
    """``x`` where positive, ``negative_slope * x`` elsewhere (slope 0.3, as in Keras).

    Args:
        negative_slope: slope below zero.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for a negative slope.

    Example:
        >>> LeakyReLU(0.5)([[-1.0, 2.0]]).numpy()
        array([[-0.5,  2. ]], dtype=float32)
    """

    _parameters = {"negative_slope": Interval(float, 0)}

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        negative_slope = kwargs.pop("alpha", negative_slope)
        super().__init__(**kwargs)
        check_parameters(
            "LeakyReLU", self._parameters, {"negative_slope": negative_slope}
        )
        self.negative_slope = negative_slope
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        """The rectified input."""
        return activations.leaky_relu(inputs, negative_slope=self.negative_slope)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "negative_slope": self.negative_slope}


class PReLU(Layer):
    """``x`` where positive, ``alpha * x`` elsewhere, with trained slopes.

    Args:
        alpha_initializer: of the slopes.
        alpha_regularizer: penalty on the slopes.
        alpha_constraint: applied to the slopes after each update.
        shared_axes: axes along which one slope serves all.
        **kwargs: see `Layer`.

    Example:
        >>> PReLU(alpha_initializer="ones")([[-1.0, 2.0]]).numpy()
        array([[-1.,  2.]], dtype=float32)
    """

    def __init__(
        self,
        alpha_initializer: Any = "Zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: int | Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        self.shared_axes = (
            [shared_axes]
            if isinstance(shared_axes, int)
            else None
            if shared_axes is None
            else list(shared_axes)
        )
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Makes the slopes: one for each value of a row, unless axes share them."""
        shape = list(input_shape[1:])
        for axis in self.shared_axes or ():
            shape[axis - 1] = 1
        self.alpha = self.add_weight(
            shape,
            self.alpha_initializer,
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
            name="alpha",
        )

    def call(self, inputs: Any) -> Any:
        """``max(x, 0) - alpha * max(-x, 0)``."""
        positive = activations.relu(inputs)
        return positive - self.alpha * activations.relu(ops.negative(inputs))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "alpha_initializer": initializers.serialize(self.alpha_initializer),
            "alpha_regularizer": None
            if self.alpha_regularizer is None
            else regularizers.serialize(self.alpha_regularizer),
            "alpha_constraint": None
            if self.alpha_constraint is None
            else constraints.serialize(self.alpha_constraint),
            "shared_axes": self.shared_axes,
        }


class ELU(Layer):
    """``x`` where positive, ``alpha * (e^x - 1)`` elsewhere.

    Args:
        alpha: limit for very negative inputs, with the opposite sign.
        **kwargs: see `Layer`.

    Example:
        >>> ELU()([[0.0, 2.0]]).numpy()
        array([[0., 2.]], dtype=float32)
    """

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = alpha
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        """The activated input."""
        return activations.elu(inputs, alpha=self.alpha)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "alpha": self.alpha}


class Softmax(Layer):
    """``e^x / sum(e^x)`` along an axis.

    Args:
        axis: an axis or several.
        **kwargs: see `Layer`.

    Example:
        >>> Softmax()([[1.0, 1.0]]).numpy()
        array([[0.5, 0.5]], dtype=float32)
    """

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Probabilities; 0 where `mask` is false, in rows without any too."""
        if mask is None:
            return ops.softmax(inputs, axis=self.axis)
        mask = ops.cast(mask, "bool")
        # A large negative number, so that rows stay finite (Keras).
        found = ops.softmax(ops.where(mask, inputs, -1e9), axis=self.axis)
        return ops.where(mask, found, 0.0)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "axis": self.axis}
