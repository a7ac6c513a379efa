"""Metrics of margins: the three hinge losses, averaged."""

from __future__ import annotations

from typing import Any

from ranvier.losses import margin as losses
from ranvier.metrics.reduction import MeanMetricWrapper


class Hinge(MeanMetricWrapper):
    """The mean of `max(1 - y_true * y_pred, 0)`.

    Example:
        >>> metric = Hinge()
        >>> metric.update_state([[-1.0, 1.0]], [[0.5, 0.5]])
        >>> float(metric.result())
        1.0
    """

    def __init__(self, name: str | None = "hinge", dtype: Any = None) -> None:
        super().__init__(losses.hinge, name, dtype)


class SquaredHinge(MeanMetricWrapper):
    """The mean of `max(1 - y_true * y_pred, 0)²`.

    Example:
        >>> metric = SquaredHinge()
        >>> metric.update_state([[-1.0, 1.0]], [[0.5, 0.5]])
        >>> float(metric.result())
        1.25
    """

    def __init__(self, name: str | None = "squared_hinge", dtype: Any = None) -> None:
        super().__init__(losses.squared_hinge, name, dtype)


class CategoricalHinge(MeanMetricWrapper):
    """The mean hinge between the right class and the best wrong one.

    Example:
        >>> metric = CategoricalHinge()
        >>> metric.update_state([[0.0, 1.0]], [[0.5, 0.5]])
        >>> float(metric.result())
        1.0
    """

    def __init__(
        self, name: str | None = "categorical_hinge", dtype: Any = None
    ) -> None:
        super().__init__(losses.categorical_hinge, name, dtype)
