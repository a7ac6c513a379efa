"""Losses of overlap and of embeddings: Dice, Tversky, Circle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ranvier import ops
from ranvier.activations import softplus
from ranvier.losses.alignment import EPSILON, as_float, to_pair
from ranvier.losses.base import LossFunctionWrapper

Axis = int | Sequence[int] | None


def dice(y_true: Any, y_pred: Any, axis: Axis = None) -> Any:
    """`1 - 2·sum(y_true·y_pred) / (sum(y_true) + sum(y_pred))`.

    Args:
        y_true: targets.
        y_pred: predictions of the same shape.
        axis: axes summed over; all of them by default.

    Raises:
        ShapeError: RV101 where the shapes differ.

    Example:
        >>> round(dice([[1.0, 0.0]], [[1.0, 1.0]]).item(), 4)
        0.3333
    """
    y_true, y_pred = to_pair(y_true, y_pred, "dice")
    both = ops.sum(y_true * y_pred, axis=axis)
    either = ops.sum(y_true, axis=axis) + ops.sum(y_pred, axis=axis) + EPSILON
    return 1.0 - both * 2.0 / either


def tversky(
    y_true: Any,
    y_pred: Any,
    alpha: float = 0.5,
    beta: float = 0.5,
    axis: Axis = None,
) -> Any:
    """`1 - tp / (tp + alpha·missed + beta·false)`; equals Dice at 0.5 and 0.5.

    As in Keras, `alpha` weighs what the target has and the prediction lacks, `beta`
    the other way round. Salehi et al., 2017 (arXiv:1706.05721).

    Raises:
        ShapeError: RV101 where the shapes differ.

    Example:
        >>> round(tversky([[1.0, 0.0]], [[1.0, 1.0]]).item(), 4)
        0.3333
    """
    y_true, y_pred = to_pair(y_true, y_pred, "tversky")
    both = ops.sum(y_true * y_pred, axis=axis)
    missed = ops.sum((1.0 - y_pred) * y_true, axis=axis)
    false = ops.sum(y_pred * (1.0 - y_true), axis=axis)
    return 1.0 - both / (both + missed * alpha + false * beta + EPSILON)


def circle(
    y_true: Any,
    y_pred: Any,
    ref_labels: Any = None,
    ref_embeddings: Any = None,
    remove_diagonal: bool = True,
    gamma: float = 80,
    margin: float = 0.4,
) -> Any:
    """Circle loss of unit-length embeddings; Sun et al., 2020 (arXiv:2002.10857).

    For each row, `softplus(logsumexp(same class) + logsumexp(other classes))` of the
    weighted cosine distances to all reference rows.

    Args:
        y_true: whole-number labels `(n,)` or `(n, 1)`.
        y_pred: embeddings `(n, d)`, each of length 1.
        ref_labels: labels of the reference rows; those of the batch by default.
        ref_embeddings: the reference rows; the batch by default.
        remove_diagonal: whether a row is not compared with itself.
        gamma: scale of the exponents.
        margin: relaxation of both optima.

    Example:
        >>> values = circle([0, 0, 1], [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> tuple(values.shape)
        (3,)
    """
    y_pred = as_float(y_pred)
    y_true = ops.cast(ops.convert_to_tensor(y_true), "int32")
    embeddings = y_pred if ref_embeddings is None else as_float(ref_embeddings)
    labels = y_true
    if ref_labels is not None:
        labels = ops.cast(ops.convert_to_tensor(ref_labels), "int32")

    distance = ops.maximum(1.0 - ops.matmul(y_pred, ops.transpose(embeddings)), 0.0)
    rows, columns = ops.reshape(y_true, (-1, 1)), ops.reshape(labels, (1, -1))
    same = ops.equal(rows, columns)
    other = ops.logical_not(same)
    if remove_diagonal:
        # A running count of rows and columns marks the diagonal at any batch size.
        row = ops.cumsum(ops.ones_like(rows), axis=0)
        column = ops.cumsum(ops.ones_like(columns), axis=1)
        same = ops.logical_and(same, ops.not_equal(row, column))

    def summed(pairs: Any, weights: Any, distances: Any) -> Any:
        weights = ops.maximum(ops.where(pairs, weights, 0.0), 0.0)
        exponent = weights * distances * gamma
        return _masked_logsumexp(exponent, pairs)

    positive = summed(same, margin + distance, distance - margin)
    negative = summed(other, (1.0 + margin) - distance, (1.0 - margin) - distance)
    return softplus(positive + negative)


def _masked_logsumexp(x: Any, mask: Any) -> Any:
    """`log(sum(exp(x)))` over the marked entries of each row; `-inf` with none."""
    lowest = ops.where(mask, x, -3.0e38)
    top = ops.stop_gradient(ops.max(lowest, axis=1, keepdims=True))
    terms = ops.where(mask, ops.exp(ops.where(mask, x - top, 0.0)), 0.0)
    total = ops.sum(terms, axis=1)
    none = ops.equal(total, 0.0)
    top = ops.reshape(top, total.shape)
    value = ops.log(ops.where(none, 1.0, total)) + ops.where(none, 0.0, top)
    return ops.where(none, float("-inf"), value)


def _positive(y_true: Any, y_pred: Any, values: Any, **_: Any) -> Any:
    return values > 0.0


# Rows without a partner have loss 0 and do not count in the mean.
circle.output_mask = _positive  # type: ignore[attr-defined]
circle.integer_targets = True  # type: ignore[attr-defined]


class Dice(LossFunctionWrapper):
    """`1 - 2·sum(y_true·y_pred) / (sum(y_true) + sum(y_pred))`; see `dice`.

    Example:
        >>> round(float(Dice()([[1.0, 0.0]], [[1.0, 1.0]])), 4)
        0.3333
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "dice",
        axis: Axis = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(dice, reduction, name, dtype, axis=axis)


class Tversky(LossFunctionWrapper):
    """`1 - tp / (tp + alpha·missed + beta·false)`; see `tversky`.

    Example:
        >>> round(float(Tversky()([[1.0, 0.0]], [[1.0, 1.0]])), 4)
        0.3333
    """

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str = "tversky",
        axis: Axis = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            tversky, reduction, name, dtype, alpha=alpha, beta=beta, axis=axis
        )


class Circle(LossFunctionWrapper):
    """Circle loss of unit-length embeddings against whole-number labels; see `circle`.

    Example:
        >>> float(Circle()([0, 1], [[1.0, 0.0], [0.0, 1.0]]))
        0.0
    """

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str = "circle",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            circle,
            reduction,
            name,
            dtype,
            gamma=gamma,
            margin=margin,
            remove_diagonal=remove_diagonal,
        )
