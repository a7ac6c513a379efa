"""Margin losses: hinge, squared hinge, categorical hinge."""

from __future__ import annotations

from typing import Any

from ranvier import ops
from ranvier.losses.alignment import to_pair
from ranvier.losses.base import LossFunctionWrapper


def _signs(y_true: Any) -> Any:
    """Labels -1 and 1: where all of them are 0 or 1, `2y - 1`, else as they are."""
    binary = ops.all(ops.logical_or(ops.equal(y_true, 0.0), ops.equal(y_true, 1.0)))
    return ops.where(binary, y_true * 2.0 - 1.0, y_true)


def hinge(y_true: Any, y_pred: Any) -> Any:
    """`mean(max(1 - y_true * y_pred, 0))`; labels 0 and 1 are taken as -1 and 1.

    Raises:
        ShapeError: RV101 where the shapes differ.

    Example:
        >>> hinge([[-1.0, 1.0]], [[0.5, 0.5]]).numpy().tolist()
        [1.0]
    """
    y_true, y_pred = to_pair(y_true, y_pred, "hinge")
    return ops.mean(ops.maximum(1.0 - _signs(y_true) * y_pred, 0.0), axis=-1)


def squared_hinge(y_true: Any, y_pred: Any) -> Any:
    """`mean(max(1 - y_true * y_pred, 0)²)`; labels 0 and 1 are taken as -1 and 1.

    Raises:
        ShapeError: RV101 where the shapes differ.

    Example:
        >>> squared_hinge([[-1.0, 1.0]], [[0.5, 0.5]]).numpy().tolist()
        [1.25]
    """
    y_true, y_pred = to_pair(y_true, y_pred, "squared_hinge")
    margin = ops.maximum(1.0 - _signs(y_true) * y_pred, 0.0)
    return ops.mean(ops.square(margin), axis=-1)


def categorical_hinge(y_true: Any, y_pred: Any) -> Any:
    """`max(max((1 - y_true) * y_pred) - sum(y_true * y_pred) + 1, 0)`, one-hot labels.

    Raises:
        ShapeError: RV101 where the shapes differ.

    Example:
        >>> categorical_hinge([[0.0, 1.0]], [[0.5, 0.5]]).numpy().tolist()
        [1.0]
    """
    y_true, y_pred = to_pair(y_true, y_pred, "categorical_hinge")
    positive = ops.sum(y_true * y_pred, axis=-1)
    negative = ops.max((1.0 - y_true) * y_pred, axis=-1)
    return ops.maximum(negative - positive + 1.0, 0.0)


class Hinge(LossFunctionWrapper):
    """`mean(max(1 - y_true * y_pred, 0))`; arguments as in `Loss`.

    Example:
        >>> float(Hinge()([[-1.0, 1.0]], [[0.5, 0.5]]))
        1.0
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "hinge",
        dtype: Any = None,
    ) -> None:
        super().__init__(hinge, reduction, name, dtype)


class SquaredHinge(LossFunctionWrapper):
    """`mean(max(1 - y_true * y_pred, 0)²)`; arguments as in `Loss`.

    Example:
        >>> float(SquaredHinge()([[-1.0, 1.0]], [[0.5, 0.5]]))
        1.25
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "squared_hinge",
        dtype: Any = None,
    ) -> None:
        super().__init__(squared_hinge, reduction, name, dtype)


class CategoricalHinge(LossFunctionWrapper):
    """The hinge between the right class and the best wrong one; see `Loss`.

    Example:
        >>> float(CategoricalHinge()([[0.0, 1.0]], [[0.5, 0.5]]))
        1.0
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_hinge",
        dtype: Any = None,
    ) -> None:
        super().__init__(categorical_hinge, reduction, name, dtype)
