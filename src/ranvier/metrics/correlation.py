"""Metrics of agreement: Pearson's and Lin's concordance correlation."""

from __future__ import annotations

from typing import Any

from ranvier import ops
from ranvier.losses.alignment import EPSILON, to_pair
from ranvier.metrics.reduction import MeanMetricWrapper


def _centred(x: Any, axis: int) -> Any:
    return x - ops.mean(x, axis=axis, keepdims=True)


def _spread(x: Any, axis: int) -> Any:
    """The variance of centred values; a second centring, as in Keras, costs nothing."""
    return ops.mean(ops.square(_centred(x, axis)), axis=axis, keepdims=True)


def pearson_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """`cov(y_true, y_pred) / (std(y_true) * std(y_pred))` along an axis.

    Raises:
        ShapeError: RV101 where the shapes differ.

    Example:
        >>> round(pearson_correlation([[0, 1, 2]], [[0.0, 2.0, 4.0]]).item(), 4)
        1.0
    """
    y_true, y_pred = to_pair(y_true, y_pred, "pearson_correlation")
    a, b = _centred(y_true, axis), _centred(y_pred, axis)
    a = a / ops.sqrt(_spread(a, axis))
    b = b / ops.sqrt(_spread(b, axis))
    return ops.mean(a * b, axis=axis)


def concordance_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """`2·cov / (var(y_true) + var(y_pred) + (mean difference)²)` along an axis.

    Lin, 1989. 1 only where the values agree, not merely rise together.

    Raises:
        ShapeError: RV101 where the shapes differ.

    Example:
        >>> round(concordance_correlation([[0, 1, 2]], [[0.0, 1.0, 2.0]]).item(), 4)
        1.0
    """
    y_true, y_pred = to_pair(y_true, y_pred, "concordance_correlation")
    mean_true = ops.mean(y_true, axis=axis, keepdims=True)
    mean_pred = ops.mean(y_pred, axis=axis, keepdims=True)
    a, b = y_true - mean_true, y_pred - mean_pred
    shift = ops.square(mean_true - mean_pred)
    norm = _spread(a, axis) + _spread(b, axis) + shift
    # The mean of b is 0, so either mean may be taken from y_true: Keras takes this one.
    covariance = (y_true - mean_pred) * b
    return ops.mean(covariance * 2.0 / (norm + EPSILON), axis=axis)


class PearsonCorrelation(MeanMetricWrapper):
    """The mean of Pearson's correlation along an axis.

    Args:
        name: a name.
        dtype: dtype of the result.
        axis: the axis compared; -1 compares within a row, 0 across the batch.

    Example:
        >>> metric = PearsonCorrelation()
        >>> metric.update_state([[0, 1, 2]], [[0.0, 2.0, 4.0]])
        >>> round(float(metric.result()), 4)
        1.0
    """

    def __init__(
        self,
        name: str | None = "pearson_correlation",
        dtype: Any = None,
        axis: int = -1,
    ) -> None:
        super().__init__(pearson_correlation, name, dtype, axis=axis)


class ConcordanceCorrelation(MeanMetricWrapper):
    """The mean of Lin's concordance correlation along an axis.

    Args:
        name: a name.
        dtype: dtype of the result.
        axis: the axis compared; -1 compares within a row, 0 across the batch.

    Example:
        >>> metric = ConcordanceCorrelation()
        >>> metric.update_state([[0, 1, 2]], [[0.0, 1.0, 2.0]])
        >>> round(float(metric.result()), 4)
        1.0
    """

    def __init__(
        self,
        name: str | None = "concordance_correlation",
        dtype: Any = None,
        axis: int = -1,
    ) -> None:
        super().__init__(concordance_correlation, name, dtype, axis=axis)
