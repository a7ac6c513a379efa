"""Losses of numbers: squared, absolute, percentage, logarithmic, robust, angular."""

from __future__ import annotations

import math
from typing import Any

from ranvier import ops
from ranvier.activations import softplus
from ranvier.losses.alignment import EPSILON, to_pair
from ranvier.losses.base import LossFunctionWrapper


def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """`mean((y_true - y_pred)²)` over the last axis.

    Raises:
        ShapeError: RV101 where the shapes differ.

    Example:
        >>> mean_squared_error([[0.0, 0.0]], [[1.0, 3.0]]).numpy().tolist()
        [5.0]
    """
    y_true, y_pred = to_pair(y_true, y_pred, "mean_squared_error")
    return ops.mean(ops.square(y_true - y_pred), axis=-1)


def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """`mean(|y_true - y_pred|)` over the last axis.

    Raises:
        ShapeError: RV101 where the shapes differ.

    Example:
        >>> mean_absolute_error([[0.0, 0.0]], [[1.0, -3.0]]).numpy().tolist()
        [2.0]
    """
    y_true, y_pred = to_pair(y_true, y_pred, "mean_absolute_error")
    return ops.mean(ops.abs(y_true - y_pred), axis=-1)


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Any:
    """`100 * mean(|y_true - y_pred| / max(|y_true|, 1e-7))` over the last axis.

    Raises:
        ShapeError: RV101 where the shapes differ.

    Example:
        >>> mean_absolute_percentage_error([[2.0]], [[1.0]]).numpy().tolist()
        [50.0]
    """
    y_true, y_pred = to_pair(y_true, y_pred, "mean_absolute_percentage_error")
    scale = ops.maximum(ops.abs(y_true), EPSILON)
    return ops.mean(ops.abs((y_true - y_pred) / scale), axis=-1) * 100.0


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Any:
    """`mean((log(1 + y_true) - log(1 + y_pred))²)`, both at least 1e-7.

    Raises:
        ShapeError: RV101 where the shapes differ.

    Example:
        >>> round(mean_squared_logarithmic_error([[0.0]], [[1.0]]).item(), 4)
        0.4805
    """
    y_true, y_pred = to_pair(y_true, y_pred, "mean_squared_logarithmic_error")
    log_pred = ops.log(ops.maximum(y_pred, EPSILON) + 1.0)
    log_true = ops.log(ops.maximum(y_true, EPSILON) + 1.0)
    return ops.mean(ops.square(log_pred - log_true), axis=-1)


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """Squared up to `delta`, linear beyond: `e²/2`, then `delta·|e| - delta²/2`.

    Args:
        y_true: targets.
        y_pred: predictions of the same shape.
        delta: where the loss turns linear.

    Raises:
        ShapeError: RV101 where the shapes differ.

    Example:
        >>> huber([[0.0, 0.0]], [[1.0, 3.0]]).numpy().tolist()
        [1.5]
    """
    y_true, y_pred = to_pair(y_true, y_pred, "huber")
    error = y_pred - y_true
    size = ops.abs(error)
    inner = ops.square(error) * 0.5
    outer = size * delta - 0.5 * delta * delta
    return ops.mean(ops.where(size <= delta, inner, outer), axis=-1)


def log_cosh(y_true: Any, y_pred: Any) -> Any:
    """`mean(log(cosh(e)))` for `e = y_pred - y_true`, as `e + softplus(-2e) - log 2`.

    Raises:
        ShapeError: RV101 where the shapes differ.

    Example:
        >>> round(log_cosh([[0.0]], [[1.0]]).item(), 4)
        0.4338
    """
    y_true, y_pred = to_pair(y_true, y_pred, "log_cosh")
    error = y_pred - y_true
    return ops.mean(error + softplus(error * -2.0) - math.log(2.0), axis=-1)


def unit_length(x: Any, axis: int = -1) -> Any:
    """`x` divided by its Euclidean length along an axis; zero stays zero."""
    squared = ops.sum(ops.square(x), axis=axis, keepdims=True)
    return x * ops.rsqrt(ops.maximum(squared, EPSILON * EPSILON))


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Minus the cosine of the angle: -1 for the same direction, 1 for opposite ones.

    Args:
        y_true: targets.
        y_pred: predictions of the same shape.
        axis: the axis that holds the vectors.

    Raises:
        ShapeError: RV101 where the shapes differ.

    Example:
        >>> cosine_similarity([[0.0, 1.0]], [[0.0, 4.0]]).numpy().tolist()
        [-1.0]
    """
    y_true, y_pred = to_pair(y_true, y_pred, "cosine_similarity")
    product = unit_length(y_true, axis) * unit_length(y_pred, axis)
    return -ops.sum(product, axis=axis)


class MeanSquaredError(LossFunctionWrapper):
    """`mean((y_true - y_pred)²)`; arguments as in `Loss`.

    Example:
        >>> float(MeanSquaredError()([[0.0]], [[3.0]]))
        9.0
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "mean_squared_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_squared_error, reduction, name, dtype)


class MeanAbsoluteError(LossFunctionWrapper):
    """`mean(|y_true - y_pred|)`; arguments as in `Loss`.

    Example:
        >>> float(MeanAbsoluteError()([[0.0]], [[-3.0]]))
        3.0
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "mean_absolute_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_absolute_error, reduction, name, dtype)


class MeanAbsolutePercentageError(LossFunctionWrapper):
    """`100 * mean(|y_true - y_pred| / |y_true|)`; arguments as in `Loss`.

    Example:
        >>> float(MeanAbsolutePercentageError()([[2.0]], [[1.0]]))
        50.0
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "mean_absolute_percentage_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_absolute_percentage_error, reduction, name, dtype)


class MeanSquaredLogarithmicError(LossFunctionWrapper):
    """`mean((log(1 + y_true) - log(1 + y_pred))²)`; arguments as in `Loss`.

    Example:
        >>> round(float(MeanSquaredLogarithmicError()([[0.0]], [[1.0]])), 4)
        0.4805
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "mean_squared_logarithmic_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_squared_logarithmic_error, reduction, name, dtype)


class Huber(LossFunctionWrapper):
    """Squared up to `delta`, linear beyond; other arguments as in `Loss`.

    Example:
        >>> float(Huber()([[0.0]], [[3.0]]))
        2.5
    """

    # Keras forgets delta in its configuration; ours holds it where it matters.
    extra_config = ("delta",)

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str = "huber_loss",
        dtype: Any = None,
    ) -> None:
        super().__init__(huber, reduction, name, dtype, delta=delta)


class LogCosh(LossFunctionWrapper):
    """`mean(log(cosh(y_pred - y_true)))`; arguments as in `Loss`.

    Example:
        >>> float(LogCosh()([[0.0]], [[0.0]]))
        0.0
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "log_cosh",
        dtype: Any = None,
    ) -> None:
        super().__init__(log_cosh, reduction, name, dtype)


class CosineSimilarity(LossFunctionWrapper):
    """Minus the cosine of the angle between vectors; other arguments as in `Loss`.

    Example:
        >>> float(CosineSimilarity()([[0.0, 1.0]], [[0.0, 4.0]]))
        -1.0
    """

    # Keras forgets the axis in its configuration; ours holds it where it matters.
    extra_config = ("axis",)

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "cosine_similarity",
        dtype: Any = None,
    ) -> None:
        super().__init__(cosine_similarity, reduction, name, dtype, axis=axis)
