"""The base of all initializers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from ranvier.errors import ShapeError

__all__ = ["Initializer", "compute_fans", "one_of"]

Array = np.ndarray[Any, Any]
Shape = Sequence[int]


class Initializer:
    """Base class: define `__call__(shape, dtype)`."""

    #: names of the attributes that `get_config` writes
    config_names: ClassVar[tuple[str, ...]] = ()

    def __call__(self, shape: Shape, dtype: str | None = None) -> Any:
        """Returns an array of this shape and dtype."""
        raise NotImplementedError(
            f"{type(self).__name__} must define __call__(shape, dtype)"
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor arguments as plain data, with Keras's keys."""
        return {name: _encoded(getattr(self, name)) for name in self.config_names}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Initializer:
        """Builds the initializer that `get_config` described."""
        return cls(**config)

    def clone(self) -> Initializer:
        """Returns a new object with the same arguments."""
        return type(self).from_config(self.get_config())


def _encoded(value: Any) -> Any:
    """An argument as plain data; an array in the form that Keras's files have."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) or hasattr(value, "numpy"):
        array = np.asarray(value.numpy() if hasattr(value, "numpy") else value)
        config = {"value": array.tolist(), "dtype": array.dtype.name}
        return {"class_name": "__numpy__", "config": config}
    return list(value) if isinstance(value, tuple) else value


def one_of(owner: str, name: str, value: Any, allowed: Sequence[Any]) -> None:
    if value not in allowed:
        raise ShapeError(
            "RV100",
            f"{owner}: {name}={value!r} is not one of {', '.join(map(repr, allowed))}",
            fix=f"{name}={allowed[0]!r}",
        )


def compute_fans(
    shape: Shape,
    input_axes: Sequence[int] | None = None,
    output_axes: Sequence[int] | None = None,
) -> tuple[int, int]:
    """Counts inputs and outputs of one unit for a weight of this shape.

    A matrix is (inputs, outputs); a convolution's kernel (*window, inputs, outputs),
    where the window multiplies both.

    Example:
        >>> compute_fans((3, 3, 16, 32))
        (144, 288)
    """
    shape = tuple(shape)
    if input_axes is not None and output_axes is not None:
        return (
            math.prod(int(shape[axis]) for axis in input_axes),
            math.prod(int(shape[axis]) for axis in output_axes),
        )
    if len(shape) < 2:
        fan = int(shape[0]) if shape else 1
        return fan, fan
    window = math.prod(shape[:-2])
    return int(shape[-2] * window), int(shape[-1] * window)
