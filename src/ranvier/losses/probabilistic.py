"""Losses between distributions and of counts: Kullback-Leibler and Poisson."""

from __future__ import annotations

from typing import Any

from ranvier import ops
from ranvier.losses.alignment import EPSILON, to_pair
from ranvier.losses.base import LossFunctionWrapper


def kl_divergence(y_true: Any, y_pred: Any) -> Any:
    """`sum(y_true * log(y_true / y_pred))`, both held between 1e-7 and 1.

    Raises:
        ShapeError: RV101 where the shapes differ.

    Example:
        >>> round(kl_divergence([[1.0, 0.0]], [[0.5, 0.5]]).item(), 4)
        0.6931
    """
    y_true, y_pred = to_pair(y_true, y_pred, "kl_divergence")
    y_true = ops.clip(y_true, EPSILON, 1.0)
    y_pred = ops.clip(y_pred, EPSILON, 1.0)
    return ops.sum(y_true * ops.log(y_true / y_pred), axis=-1)


def poisson(y_true: Any, y_pred: Any) -> Any:
    """`mean(y_pred - y_true * log(y_pred + 1e-7))`: counts with rates `y_pred`.

    Raises:
        ShapeError: RV101 where the shapes differ.

    Example:
        >>> round(poisson([[2.0]], [[1.0]]).item(), 4)
        1.0
    """
    y_true, y_pred = to_pair(y_true, y_pred, "poisson")
    return ops.mean(y_pred - y_true * ops.log(y_pred + EPSILON), axis=-1)


class KLDivergence(LossFunctionWrapper):
    """`sum(y_true * log(y_true / y_pred))`; arguments as in `Loss`.

    Example:
        >>> float(KLDivergence()([[0.5, 0.5]], [[0.5, 0.5]]))
        0.0
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "kl_divergence",
        dtype: Any = None,
    ) -> None:
        super().__init__(kl_divergence, reduction, name, dtype)


class Poisson(LossFunctionWrapper):
    """`mean(y_pred - y_true * log(y_pred))`; arguments as in `Loss`.

    Example:
        >>> round(float(Poisson()([[2.0]], [[1.0]])), 4)
        1.0
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "poisson",
        dtype: Any = None,
    ) -> None:
        super().__init__(poisson, reduction, name, dtype)
