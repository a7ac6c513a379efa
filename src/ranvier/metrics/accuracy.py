"""Accuracy: the share of predictions that hit, in Keras's six forms."""

from __future__ import annotations

from typing import Any

from ranvier import ops
from ranvier.errors import ShapeError
from ranvier.losses.alignment import (
    FLOATX,
    check_same_shape,
    differ,
    is_one,
    same_rank,
    show,
)
from ranvier.metrics.reduction import MeanMetricWrapper


def accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where `y_true == y_pred`, else 0.

    Raises:
        ShapeError: RV101 where the shapes differ.

    Example:
        >>> accuracy([1, 2], [1, 3]).numpy().tolist()
        [1.0, 0.0]
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(ops.convert_to_tensor(y_true), y_pred.dtype)
    y_true, y_pred = same_rank(y_true, y_pred)
    check_same_shape(y_true, y_pred, "accuracy")
    return ops.cast(ops.equal(y_true, y_pred), FLOATX)


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Any:
    """1 where `y_pred > threshold` agrees with the label 0 or 1, else 0.

    Args:
        y_true: labels 0 and 1.
        y_pred: probabilities of the same shape.
        threshold: above it a prediction is 1.

    Raises:
        ShapeError: RV101 where the shapes differ.

    Example:
        >>> binary_accuracy([1, 0], [0.6, 0.7]).numpy().tolist()
        [1.0, 0.0]
    """
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    y_true, y_pred = same_rank(y_true, y_pred)
    check_same_shape(y_true, y_pred, "binary_accuracy")
    predicted = ops.cast(y_pred > threshold, y_true.dtype)
    return ops.cast(ops.equal(y_true, predicted), FLOATX)


def categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the largest prediction is at the one of the one-hot label, else 0.

    Raises:
        ShapeError: RV101 where the shapes differ.

    Example:
        >>> categorical_accuracy([[0, 1], [1, 0]], [[0.1, 0.9], [0.2, 0.8]]).numpy()
        array([1., 0.], dtype=float32)
    """
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    check_same_shape(y_true, y_pred, "categorical_accuracy")
    hits = ops.equal(ops.argmax(y_true, axis=-1), ops.argmax(y_pred, axis=-1))
    return ops.cast(hits, FLOATX)


def _labels_for(y_true: Any, y_pred: Any, what: str) -> Any:
    """Whole-number labels of the shape of `y_pred` without its last axis."""
    y_true = ops.convert_to_tensor(y_true)
    if len(y_true.shape) == len(y_pred.shape) and is_one(y_true.shape[-1]):
        y_true = ops.squeeze(y_true, axis=-1)
    true, wanted = tuple(y_true.shape), tuple(y_pred.shape)[:-1]
    if len(true) == len(wanted) and not any(map(differ, true, wanted)):
        return y_true
    raise ShapeError(
        "RV101",
        f"labels {show(true)} and predictions {show(y_pred.shape)} do not fit together"
        f" in {what}",
        details=f"labels of shape {show(wanted)} are expected",
        fix=f"one-hot labels go with {what.replace('sparse_', '')}",
    )


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the largest prediction is at the whole-number label, else 0.

    Raises:
        ShapeError: RV101 where the shapes do not fit, as with one-hot labels.

    Example:
        >>> sparse_categorical_accuracy([1, 0], [[0.1, 0.9], [0.2, 0.8]]).numpy()
        array([1., 0.], dtype=float32)
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = _labels_for(y_true, y_pred, "sparse_categorical_accuracy")
    # Whole numbers are compared as such; a fractional label hits nothing.
    hits = ops.cast(ops.equal(y_true, ops.argmax(y_pred, axis=-1)), FLOATX)
    if len(hits.shape) > 1 and is_one(hits.shape[-1]):
        hits = ops.squeeze(hits, axis=-1)
    return hits


def _in_top_k(labels: Any, y_pred: Any, k: int) -> Any:
    """Whether fewer than `k` predictions exceed that of the label; ties count as in.

    A label out of range is not in; a NaN at the label ranks last.
    """
    labels = ops.cast(labels, "int64")
    classes = int(y_pred.shape[-1])
    index = ops.expand_dims(ops.clip(labels, 0, classes - 1), -1)
    own = ops.take_along_axis(y_pred, index, axis=-1)
    own = ops.where(ops.isnan(own), float("-inf"), own)
    above = ops.sum(ops.cast(y_pred > own, "int32"), axis=-1)
    valid = ops.logical_and(labels >= 0, labels < classes)
    return ops.logical_and(valid, above < k)


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """1 where the one-hot label is among the `k` largest predictions, else 0.

    Raises:
        ShapeError: RV101 where the shapes differ.

    Example:
        >>> top_k_categorical_accuracy([[0, 0, 1]], [[0.1, 0.9, 0.8]], k=2).numpy()
        array([1.], dtype=float32)
    """
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    check_same_shape(y_true, y_pred, "top_k_categorical_accuracy")
    return ops.cast(_in_top_k(ops.argmax(y_true, axis=-1), y_pred, k), FLOATX)


def sparse_top_k_categorical_accuracy(
    y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False
) -> Any:
    """1 where the whole-number label is among the `k` largest predictions, else 0.

    Args:
        y_true: labels.
        y_pred: predictions, or class indices from best to worst.
        k: how many count.
        from_sorted_ids: whether `y_pred` holds class indices.

    Raises:
        ShapeError: RV101 where the shapes do not fit.

    Example:
        >>> sparse_top_k_categorical_accuracy([2], [[0.1, 0.9, 0.8]], k=2).numpy()
        array([1.], dtype=float32)
    """
    y_pred = ops.convert_to_tensor(y_pred)
    labels = _labels_for(y_true, y_pred, "sparse_top_k_categorical_accuracy")
    if from_sorted_ids:
        labels = ops.expand_dims(ops.cast(labels, y_pred.dtype), -1)
        hits = ops.any(ops.equal(labels, y_pred[..., :k]), axis=-1)
    else:
        hits = _in_top_k(labels, y_pred, k)
    return ops.cast(hits, FLOATX)


class Accuracy(MeanMetricWrapper):
    """The share of predictions equal to their label.

    Example:
        >>> metric = Accuracy()
        >>> metric.update_state([1, 2, 3, 4], [0, 2, 3, 4])
        >>> float(metric.result())
        0.75
    """

    def __init__(self, name: str | None = "accuracy", dtype: Any = None) -> None:
        super().__init__(accuracy, name, dtype)


class BinaryAccuracy(MeanMetricWrapper):
    """The share of labels 0 and 1 on the right side of a threshold.

    Example:
        >>> metric = BinaryAccuracy()
        >>> metric.update_state([[1], [0]], [[0.9], [0.8]])
        >>> float(metric.result())
        0.5
    """

    def __init__(
        self,
        name: str | None = "binary_accuracy",
        dtype: Any = None,
        threshold: float = 0.5,
    ) -> None:
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)


class CategoricalAccuracy(MeanMetricWrapper):
    """The share of one-hot labels that get the largest prediction.

    Example:
        >>> metric = CategoricalAccuracy()
        >>> metric.update_state([[0, 1], [1, 0]], [[0.1, 0.9], [0.2, 0.8]])
        >>> float(metric.result())
        0.5
    """

    def __init__(
        self, name: str | None = "categorical_accuracy", dtype: Any = None
    ) -> None:
        super().__init__(categorical_accuracy, name, dtype)


class SparseCategoricalAccuracy(MeanMetricWrapper):
    """The share of whole-number labels that get the largest prediction.

    Example:
        >>> metric = SparseCategoricalAccuracy()
        >>> metric.update_state([1, 0], [[0.1, 0.9], [0.2, 0.8]])
        >>> float(metric.result())
        0.5
    """

    def __init__(
        self, name: str | None = "sparse_categorical_accuracy", dtype: Any = None
    ) -> None:
        super().__init__(sparse_categorical_accuracy, name, dtype)


class TopKCategoricalAccuracy(MeanMetricWrapper):
    """The share of one-hot labels among the `k` largest predictions.

    Example:
        >>> metric = TopKCategoricalAccuracy(k=1)
        >>> metric.update_state([[0, 1], [1, 0]], [[0.1, 0.9], [0.2, 0.8]])
        >>> float(metric.result())
        0.5
    """

    def __init__(
        self,
        k: int = 5,
        name: str | None = "top_k_categorical_accuracy",
        dtype: Any = None,
    ) -> None:
        super().__init__(top_k_categorical_accuracy, name, dtype, k=k)


class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """The share of whole-number labels among the `k` largest predictions.

    Example:
        >>> metric = SparseTopKCategoricalAccuracy(k=1)
        >>> metric.update_state([1, 0], [[0.1, 0.9], [0.2, 0.8]])
        >>> float(metric.result())
        0.5
    """

    extra_config = ("from_sorted_ids",)

    def __init__(
        self,
        k: int = 5,
        name: str | None = "sparse_top_k_categorical_accuracy",
        dtype: Any = None,
        from_sorted_ids: bool = False,
    ) -> None:
        super().__init__(
            sparse_top_k_categorical_accuracy,
            name,
            dtype,
            k=k,
            from_sorted_ids=from_sorted_ids,
        )
