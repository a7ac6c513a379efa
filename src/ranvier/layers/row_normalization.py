"""Normalisation of each row by its own statistics: by groups, by length, by RMS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ranvier import constraints, initializers, ops, regularizers
from ranvier._check import Interval, check_parameters
from ranvier.errors import ShapeError
from ranvier.layers.base import Layer
from ranvier.layers.input_spec import InputSpec, show


def unit_length(x: Any, axis: Any, epsilon: float) -> Any:
    """Divided by the root of the sum of squares over axes; at least by `epsilon`."""
    squares = ops.sum(ops.square(x), axis=axis, keepdims=True)
    # Of the squares, not of the root, whose slope at 0 is infinite.
    return x * ops.rsqrt(ops.maximum(squares, epsilon * epsilon))


def axes_of(owner: str, axis: Any) -> list[int]:
    """One axis or several, as a list.

    Raises:
        ShapeError: RV100 for what is no axis.
    """
    many = list(axis) if isinstance(axis, (list, tuple)) else [axis]
    if not many or not all(
        isinstance(a, int) and not isinstance(a, bool) for a in many
    ):
        raise ShapeError(
            "RV100",
            f"{owner}: axis={axis!r} must be a whole number or several",
            fix="axis=-1",
        )
    return many


def places_of(owner: str, axes: Sequence[int], shape: Sequence[Any]) -> list[int]:
    """The axes of an input counted from 0, in order.

    Raises:
        ShapeError: RV100 for an axis that the input does not have.
    """
    rank = len(shape)
    if any(not -rank <= axis < rank for axis in axes):
        raise ShapeError(
            "RV100",
            f"{owner}: axis={list(axes)}, but the input has shape {show(shape)}",
            fix="axis=-1",
        )
    return sorted({axis % rank for axis in axes})


class GroupNormalization(Layer):
    """``gamma * (x - mean) / sqrt(variance + epsilon) + beta``, over groups of channels.

    Mean and variance are those of a row's channels of one group, at all places (Wu and
    He, 2018). Weights: gamma and beta, one for each channel.

    Args:
        groups: how many; -1 for one channel a group (instance normalisation).
        axis: the channels.
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

    Raises:
        ShapeError: RV100 for an axis the input does not have, or when the channels
            cannot be divided into so many groups.

    Example:
        >>> GroupNormalization(2, epsilon=0.0)([[1.0, 3.0, 10.0, 30.0]]).numpy()
        array([[-1.,  1., -1.,  1.]], dtype=float32)
    """

    _parameters = {"epsilon": Interval(float, 0)}

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
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
        super().__init__(**kwargs)
        check_parameters("GroupNormalization", self._parameters, {"epsilon": epsilon})
        if groups != -1:
            known = {"groups": Interval(int, 1)}
            check_parameters("GroupNormalization", known, {"groups": groups})
        (self.axis,) = axes_of("GroupNormalization", axis)
        self.groups = int(groups)
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

    def build(self, input_shape: Any) -> None:
        """Makes gamma and beta."""
        (axis,) = places_of("GroupNormalization", [self.axis], input_shape)
        width = input_shape[axis]
        groups = width if self.groups == -1 else self.groups
        if axis == 0 or width is None or width % groups:
            raise ShapeError(
                "RV100",
                f"GroupNormalization: {width} channels on axis {self.axis} cannot be "
                f"divided into {groups} groups",
                details=f"input shape {show(input_shape)}",
                fix="groups that divide the number of channels",
            )
        self.groups = groups
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
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: width})

    def call(self, inputs: Any) -> Any:
        """The normalised rows."""
        shape = tuple(inputs.shape)
        axis = self.axis % len(shape)
        own = (self.groups, shape[axis] // self.groups)
        grouped = ops.reshape(inputs, (*shape[:axis], *own, *shape[axis + 1 :]))
        around = tuple(i for i in range(1, grouped.ndim) if i != axis)
        mean = ops.mean(grouped, axis=around, keepdims=True)
        variance = ops.mean(ops.square(grouped - mean), axis=around, keepdims=True)
        factor = ops.rsqrt(variance + self.epsilon)
        weight_shape = [1] * grouped.ndim
        weight_shape[axis : axis + 2] = own
        if self.gamma is not None:
            factor = factor * ops.reshape(self.gamma, weight_shape)
        y = (grouped - mean) * factor
        if self.beta is not None:
            y = y + ops.reshape(self.beta, weight_shape)
        return ops.reshape(y, shape)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "groups": self.groups,
            "axis": self.axis,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": initializers.serialize(self.beta_initializer),
            "gamma_initializer": initializers.serialize(self.gamma_initializer),
            "beta_regularizer": regularizers.serialize(self.beta_regularizer),
            "gamma_regularizer": regularizers.serialize(self.gamma_regularizer),
            "beta_constraint": constraints.serialize(self.beta_constraint),
            "gamma_constraint": constraints.serialize(self.gamma_constraint),
        }


class RMSNormalization(Layer):
    """``scale * x / sqrt(mean(x^2) + epsilon)``, over axes of each row.

    (Zhang and Sennrich, 2019.) Weight: ``scale``, of the sizes of these axes.

    Args:
        axis: an axis or several.
        epsilon: keeps the division finite.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for an axis the input does not have.

    Example:
        >>> RMSNormalization(epsilon=0.0)([[3.0, 3.0, -3.0]]).numpy()
        array([[ 1.,  1., -1.]], dtype=float32)
    """

    _parameters = {"epsilon": Interval(float, 0)}

    def __init__(self, axis: Any = -1, epsilon: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_parameters("RMSNormalization", self._parameters, {"epsilon": epsilon})
        axes_of("RMSNormalization", axis)
        self.axis = axis
        self.epsilon = epsilon

    def build(self, input_shape: Any) -> None:
        """Makes the scale."""
        self.axis = sorted(axes_of("RMSNormalization", self.axis))
        places = places_of("RMSNormalization", self.axis, input_shape)
        shape = [input_shape[i] for i in places]
        self.scale = self.add_weight(shape, "ones", name="scale")

    def call(self, inputs: Any) -> Any:
        """The normalised rows."""
        axes = places_of("RMSNormalization", self.axis, inputs.shape)
        squares = ops.mean(ops.square(inputs), axis=tuple(axes), keepdims=True)
        shape = [s if i in axes else 1 for i, s in enumerate(inputs.shape)]
        scale = ops.reshape(self.scale, shape)
        return inputs * ops.rsqrt(squares + self.epsilon) * scale

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "axis": self.axis, "epsilon": self.epsilon}


class UnitNormalization(Layer):
    """``x / sqrt(sum(x^2))``: each row scaled to length 1 along axes.

    Args:
        axis: an axis or several.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for an axis the input does not have.

    Example:
        >>> UnitNormalization()([[3.0, 4.0]]).numpy()
        array([[0.6, 0.8]], dtype=float32)
    """

    def __init__(self, axis: Any = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        many = axes_of("UnitNormalization", axis)
        self.axis = axis if isinstance(axis, int) else many
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        """The rows at length 1; rows of zeros stay zeros."""
        many = axes_of("UnitNormalization", self.axis)
        places = places_of("UnitNormalization", many, inputs.shape)
        return unit_length(inputs, tuple(places), 1e-12)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "axis": self.axis}


__all__ = ["GroupNormalization", "RMSNormalization", "UnitNormalization"]
