"""Helpers for training steps of one's own."""

from __future__ import annotations

from typing import Any

__all__ = ["is_keras_tensor", "pack_x_y_sample_weight", "unpack_x_y_sample_weight"]


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """The data of a step as ``train_step`` gets it.

    Args:
        x: inputs.
        y: targets; without them there are no weights either.
        sample_weight: weight of each row.

    Returns:
        ``x`` (in a tuple of one where it is a list or a tuple itself), ``(x, y)`` or
        ``(x, y, sample_weight)``.

    Example:
        >>> pack_x_y_sample_weight("x", "y")
        ('x', 'y')
    """
    from ranvier.data.arrays import pack

    return pack(x, y, None if y is None else sample_weight)


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """Inputs, targets and weights of what ``train_step`` got; ``None`` for what is not.

    Args:
        data: ``x``, ``(x, y)`` or ``(x, y, sample_weight)``.

    Raises:
        ShapeError: RV100 for more than three parts.

    Example:
        >>> unpack_x_y_sample_weight(("x", "y"))
        ('x', 'y', None)
    """
    from ranvier.data.arrays import unpack

    return unpack(data)


def is_keras_tensor(x: Any) -> bool:
    """Whether `x` stands for the value of a layer that is yet to be computed.

    Example:
        >>> import ranvier as keras
        >>> is_keras_tensor(keras.Input((3,))), is_keras_tensor([1.0])
        (True, False)
    """
    from ranvier.layers.base import KerasTensor

    return isinstance(x, KerasTensor)
