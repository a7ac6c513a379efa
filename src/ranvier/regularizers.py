"""Regularizers: penalties on weights, added to the loss."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from ranvier import ops
from ranvier._lookup import Lookup
from ranvier.errors import ShapeError

__all__ = [
    "L1",
    "L1L2",
    "L2",
    "OrthogonalRegularizer",
    "Regularizer",
    "deserialize",
    "get",
    "serialize",
]


class Regularizer:
    """Base class: define `__call__(x)`, which returns a scalar."""

    #: names of the attributes that `get_config` writes
    config_names: ClassVar[tuple[str, ...]] = ()

    def __call__(self, x: Any) -> Any:
        """Returns the penalty of a weight."""
        return 0.0

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor arguments as plain data, with Keras's keys."""
        if not self.config_names:
            raise NotImplementedError(f"{type(self).__name__} must define get_config()")
        return {name: getattr(self, name) for name in self.config_names}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Regularizer:
        """Builds the regularizer that `get_config` described."""
        return cls(**config)


def _factor(owner: str, name: str, value: Any) -> float:
    if isinstance(value, str) or not (math.isfinite(value) and value >= 0):
        raise ShapeError(
            "RV100",
            f"{owner}: {name}={value!r} must be a number of at least 0",
            fix=f"{name}=0.01",
        )
    return float(value)


class L1L2(Regularizer):
    """`l1 * sum(|x|) + l2 * sum(x**2)`.

    Raises:
        ShapeError: RV100 if a factor is negative or not finite.

    Example:
        ```python
        layer = Dense(10, kernel_regularizer=L1L2(l1=1e-5, l2=1e-4))
        ```
    """

    config_names: ClassVar = ("l1", "l2")

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0) -> None:
        self.l1 = _factor("L1L2", "l1", 0.0 if l1 is None else l1)
        self.l2 = _factor("L1L2", "l2", 0.0 if l2 is None else l2)

    def __call__(self, x: Any) -> Any:
        """Returns the penalty of a weight."""
        penalty = ops.cast(0.0, x.dtype)
        if self.l1:
            penalty = penalty + self.l1 * ops.sum(ops.absolute(x))
        if self.l2:
            penalty = penalty + self.l2 * ops.sum(ops.square(x))
        return penalty


class L1(Regularizer):
    """`l1 * sum(|x|)`: drives weights to exactly 0.

    Raises:
        ShapeError: RV100 if the factor is negative or not finite.

    Example:
        ```python
        layer = Dense(10, kernel_regularizer=L1(1e-4))
        ```
    """

    config_names: ClassVar = ("l1",)

    def __init__(self, l1: float | None = 0.01) -> None:
        self.l1 = _factor("L1", "l1", 0.01 if l1 is None else l1)

    def __call__(self, x: Any) -> Any:
        """Returns the penalty of a weight."""
        return self.l1 * ops.sum(ops.absolute(x))


class L2(Regularizer):
    """`l2 * sum(x**2)`: keeps weights small.

    Raises:
        ShapeError: RV100 if the factor is negative or not finite.

    Example:
        ```python
        layer = Dense(10, kernel_regularizer=L2(1e-4))
        ```
    """

    config_names: ClassVar = ("l2",)

    def __init__(self, l2: float | None = 0.01) -> None:
        self.l2 = _factor("L2", "l2", 0.01 if l2 is None else l2)

    def __call__(self, x: Any) -> Any:
        """Returns the penalty of a weight."""
        return self.l2 * ops.sum(ops.square(x))


class OrthogonalRegularizer(Regularizer):
    """`factor` times the mean size of the cosine between two rows (or columns).

    Args:
        factor: strength.
        mode: "rows" or "columns".

    Raises:
        ShapeError: RV100 for a bad argument, RV108 for a weight that is no matrix.

    Example:
        ```python
        layer = Dense(10, kernel_regularizer=OrthogonalRegularizer(0.01, "columns"))
        ```
    """

    config_names: ClassVar = ("factor", "mode")

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor = _factor("OrthogonalRegularizer", "factor", factor)
        if mode not in ("rows", "columns"):
            raise ShapeError(
                "RV100",
                f"OrthogonalRegularizer: mode={mode!r} must be 'rows' or 'columns'",
                fix="mode='rows'",
            )
        self.mode = mode

    def __call__(self, x: Any) -> Any:
        """Returns the penalty of a matrix."""
        if len(x.shape) != 2:
            raise ShapeError(
                "RV108",
                "OrthogonalRegularizer: the weight must be a matrix",
                details=f"received shape {tuple(x.shape)}",
                fix="L2(0.01), which takes any shape",
            )
        axis = 1 if self.mode == "rows" else 0
        size = x.shape[1 - axis]
        length = ops.sum(ops.square(x), axis=axis, keepdims=True)
        # 1e-12 keeps a row of zeros finite, as Keras's normalize does.
        unit = x / ops.sqrt(ops.maximum(length, 1e-12))
        other = ops.transpose(unit)
        cosines = ops.matmul(unit, other) if axis else ops.matmul(other, unit)
        apart = cosines * (1.0 - ops.eye(size, dtype=x.dtype))
        pairs = size * (size - 1.0) / 2.0
        return self.factor * 0.5 * ops.sum(ops.absolute(apart)) / pairs


_NAMES = Lookup(
    "regularizer",
    "keras.regularizers",
    (L1, L1L2, L2, OrthogonalRegularizer),
    {"l1_l2": L1L2},
    snake_classes=True,
)

l1, l2, l1_l2 = L1, L2, L1L2
orthogonal_regularizer = OrthogonalRegularizer


def serialize(regularizer: Any) -> Any:
    """Returns the dictionary that describes a regularizer in Keras's files."""
    return None if regularizer is None else _NAMES.serialize(regularizer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """Builds the regularizer that `serialize` described."""
    return _NAMES.deserialize(config, custom_objects)


def get(identifier: Any) -> Any:
    """Resolves a name, a description, a class, or a callable.

    Raises:
        ShapeError: RV107, with the nearest known name.
    """
    return _NAMES.get(identifier)
