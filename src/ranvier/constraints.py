"""Constraints: what weights are mapped to after each update."""

from __future__ import annotations

from typing import Any, ClassVar

from ranvier import ops
from ranvier._lookup import Lookup

__all__ = [
    "Constraint",
    "MaxNorm",
    "MinMaxNorm",
    "NonNeg",
    "UnitNorm",
    "deserialize",
    "get",
    "serialize",
]

# Keras's backend.epsilon(): a weight of norm 0 stays finite.
_EPSILON = 1e-7


class Constraint:
    """Base class: define `__call__(w)`, which returns the allowed weight."""

    #: names of the attributes that `get_config` writes
    config_names: ClassVar[tuple[str, ...]] = ()

    def __call__(self, w: Any) -> Any:
        """Returns the allowed weight for a weight."""
        return w

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor arguments as plain data, with Keras's keys."""
        return {name: getattr(self, name) for name in self.config_names}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Constraint:
        """Builds the constraint that `get_config` described."""
        return cls(**config)


def _norms(w: Any, axis: Any) -> Any:
    return ops.sqrt(ops.sum(ops.square(w), axis=axis, keepdims=True))


class MaxNorm(Constraint):
    """Scales weights down to a norm of at most `max_value`, along `axis`.

    `w * clip(n, 0, max_value) / (1e-7 + n)`, where `n` is the norm. For a dense kernel
    (inputs, outputs) axis 0 is the norm of what comes into one unit.

    Example:
        ```python
        layer = Dense(10, kernel_constraint=MaxNorm(2))
        ```
    """

    config_names: ClassVar = ("max_value", "axis")

    def __init__(self, max_value: float = 2, axis: Any = 0) -> None:
        self.max_value = max_value
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        """Returns the allowed weight for a weight."""
        norms = _norms(w, self.axis)
        return w * (ops.clip(norms, 0.0, float(self.max_value)) / (norms + _EPSILON))


class NonNeg(Constraint):
    """Negative weights become 0.

    Example:
        ```python
        layer = Dense(10, kernel_constraint=NonNeg())
        ```
    """

    def __call__(self, w: Any) -> Any:
        """Returns the allowed weight for a weight."""
        return ops.maximum(w, 0.0)


class UnitNorm(Constraint):
    """Scales weights to norm 1 along `axis`: `w / (1e-7 + n)`.

    Example:
        ```python
        layer = Dense(10, kernel_constraint=UnitNorm())
        ```
    """

    config_names: ClassVar = ("axis",)

    def __init__(self, axis: Any = 0) -> None:
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        """Returns the allowed weight for a weight."""
        return w / (_norms(w, self.axis) + _EPSILON)


class MinMaxNorm(Constraint):
    """Moves norms along `axis` towards `[min_value, max_value]`.

    The wanted norm is `rate * clip(n, min_value, max_value) + (1 - rate) * n`.

    Args:
        min_value: least norm.
        max_value: largest norm.
        rate: 1 enforces the bounds at once, less moves a part of the way.
        axis: axis or axes of the norm.

    Example:
        ```python
        layer = Dense(10, kernel_constraint=MinMaxNorm(0.5, 2.0))
        ```
    """

    config_names: ClassVar = ("min_value", "max_value", "rate", "axis")

    def __init__(
        self,
        min_value: float = 0.0,
        max_value: float = 1.0,
        rate: float = 1.0,
        axis: Any = 0,
    ) -> None:
        self.min_value = min_value
        self.max_value = max_value
        self.rate = rate
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        """Returns the allowed weight for a weight."""
        norms = _norms(w, self.axis)
        bounded = ops.clip(norms, float(self.min_value), float(self.max_value))
        wanted = self.rate * bounded + (1 - self.rate) * norms
        return w * (wanted / (norms + _EPSILON))


_NAMES = Lookup(
    "constraint",
    "keras.constraints",
    (MaxNorm, MinMaxNorm, NonNeg, UnitNorm),
    snake_classes=True,
)

max_norm, min_max_norm, non_neg, unit_norm = MaxNorm, MinMaxNorm, NonNeg, UnitNorm


def serialize(constraint: Any) -> Any:
    """Returns the dictionary that describes a constraint in Keras's files."""
    return None if constraint is None else _NAMES.serialize(constraint)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """Builds the constraint that `serialize` described."""
    return _NAMES.deserialize(config, custom_objects)


def get(identifier: Any) -> Any:
    """Resolves a name, a description, a class, or a callable.

    Raises:
        ShapeError: RV107, with the nearest known name.
    """
    return _NAMES.get(identifier)
