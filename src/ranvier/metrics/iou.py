"""Intersection over union of classes, from a confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ranvier import ops
from ranvier.errors import ShapeError
from ranvier.losses.alignment import (
    EPSILON,
    FLOATX,
    check_same_shape,
    fit_weights,
    same_rank,
)
from ranvier.metrics.base import Metric


class _ConfusionMatrix(Metric):
    """Counts pairs (label, prediction) in a matrix of classes × classes."""

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(name=name, dtype=_integer(dtype))
        self.num_classes = num_classes
        self.ignore_class = ignore_class
        self.sparse_y_true = sparse_y_true
        self.sparse_y_pred = sparse_y_pred
        self.axis = axis
        self.total_cm = self.add_variable(
            (num_classes, num_classes), dtype=self.dtype, name="total_confusion_matrix"
        )

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes in a batch of labels, or of one-hot rows where not sparse.

        Pairs with a class out of range, or with the label `ignore_class`, are left out.

        Raises:
            ShapeError: RV101 where targets, predictions or weights do not fit.
        """
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        if not self.sparse_y_true:
            y_true = ops.argmax(y_true, axis=self.axis)
        if not self.sparse_y_pred:
            y_pred = ops.argmax(y_pred, axis=self.axis)
        y_true, y_pred = ops.cast(y_true, "int32"), ops.cast(y_pred, "int32")
        y_true, y_pred = same_rank(y_true, y_pred)
        check_same_shape(y_true, y_pred, self.name)
        # Whole-number counts stay exact; weighted ones are floats in a float metric.
        dtype = "int32" if self.dtype.startswith(("int", "uint")) else FLOATX
        weights = ops.ones_like(y_true, dtype=dtype)
        if sample_weight is not None:
            given = ops.cast(ops.convert_to_tensor(sample_weight), dtype)
            given, _ = same_rank(given, y_true)
            weights = weights * fit_weights(y_true, given)
        classes = self.num_classes
        valid = _within(y_true, classes) & _within(y_pred, classes)
        if self.ignore_class is not None:
            valid = valid & ops.not_equal(y_true, self.ignore_class)
        cell = ops.where(valid, y_true * classes + y_pred, 0)
        weights = ops.where(valid, weights, 0)
        empty = ops.zeros((classes * classes,), dtype)
        counts = ops.scatter_add(
            empty, ops.reshape(cell, (-1,)), ops.reshape(weights, (-1,))
        )
        counts = ops.reshape(counts, (classes, classes))
        self.total_cm.assign_add(ops.cast(counts, self.total_cm.dtype))


def _integer(dtype: Any) -> Any:
    return "int32" if dtype in (None, "int") else dtype


def _within(x: Any, classes: int) -> Any:
    return ops.logical_and(x >= 0, x < classes)


class IoU(_ConfusionMatrix):
    """`tp / (tp + fp + fn)`, averaged over chosen classes that occur.

    Args:
        num_classes: how many classes there are.
        target_class_ids: the classes averaged over.
        name: a name.
        dtype: dtype of the counts; whole numbers by default, so that fractional
            weights need `"float32"`.
        ignore_class: a label that is left out, such as 255 for "void".
        sparse_y_true: whether labels are whole numbers rather than one-hot.
        sparse_y_pred: whether predictions are whole numbers rather than one-hot.
        axis: the class axis where they are one-hot.

    Raises:
        ShapeError: RV100 for a target class out of range.

    Example:
        >>> metric = IoU(num_classes=2, target_class_ids=[0])
        >>> metric.update_state([0, 0, 1, 1], [0, 1, 0, 1])
        >>> round(float(metric.result()), 4)
        0.3333
    """

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes, name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis
        )
        if max(target_class_ids) >= num_classes:
            raise ShapeError(
                "RV100",
                f"target class {max(target_class_ids)} is out of range",
                details=f"num_classes={num_classes}: classes are 0 … {num_classes - 1}",
                fix="choose a class in range, or raise num_classes",
            )
        self.target_class_ids = list(target_class_ids)

    def result(self) -> Any:
        """The mean over the target classes that occur."""
        matrix = ops.cast(self.total_cm.value, "float64")
        classes = self.num_classes
        diagonal = [i * (classes + 1) for i in self.target_class_ids]
        tp = ops.take(ops.reshape(matrix, (-1,)), diagonal)
        either = ops.sum(matrix, axis=0) + ops.sum(matrix, axis=1)
        union = ops.take(either, self.target_class_ids) - tp
        occurs = union > 1e-9
        share = ops.where(occurs, tp / (union + EPSILON), 0.0)
        count = ops.sum(ops.cast(occurs, "float64"))
        return ops.cast(ops.sum(share) / (count + EPSILON), FLOATX)

    def get_config(self) -> dict[str, Any]:
        """The arguments that rebuild this metric."""
        return super().get_config() | {
            "num_classes": self.num_classes,
            "target_class_ids": self.target_class_ids,
            "ignore_class": self.ignore_class,
            "sparse_y_true": self.sparse_y_true,
            "sparse_y_pred": self.sparse_y_pred,
            "axis": self.axis,
        }

    def _config_without(self, *keys: str) -> dict[str, Any]:
        config = IoU.get_config(self)
        return {k: v for k, v in config.items() if k not in keys}


class BinaryIoU(IoU):
    """`tp / (tp + fp + fn)` of predictions split at a threshold.

    Args:
        target_class_ids: which of the classes 0 and 1 are averaged over.
        threshold: at or above it a prediction is 1.
        name: a name.
        dtype: dtype of the counts.

    Example:
        >>> metric = BinaryIoU(target_class_ids=[0, 1], threshold=0.3)
        >>> metric.update_state([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7])
        >>> round(float(metric.result()), 4)
        0.3333
    """

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes in a batch.

        Raises:
            ShapeError: RV101 where targets, predictions or weights do not fit.
        """
        y_pred = ops.cast(ops.convert_to_tensor(y_pred), FLOATX)
        predicted = ops.cast(y_pred >= self.threshold, "int32")
        super().update_state(y_true, predicted, sample_weight)

    def get_config(self) -> dict[str, Any]:
        """The arguments that rebuild this metric."""
        return {
            "target_class_ids": self.target_class_ids,
            "threshold": self.threshold,
            "name": self.name,
            "dtype": self.dtype,
        }


class MeanIoU(IoU):
    """`tp / (tp + fp + fn)`, averaged over all classes that occur; see `IoU`.

    Example:
        >>> metric = MeanIoU(num_classes=2)
        >>> metric.update_state([0, 0, 1, 1], [0, 1, 0, 1])
        >>> round(float(metric.result()), 4)
        0.3333
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes,
            range(num_classes),
            name,
            dtype,
            ignore_class,
            sparse_y_true,
            sparse_y_pred,
            axis,
        )

    def get_config(self) -> dict[str, Any]:
        """The arguments that rebuild this metric."""
        return self._config_without("target_class_ids")


class OneHotIoU(IoU):
    """`IoU` of one-hot labels.

    Example:
        >>> metric = OneHotIoU(num_classes=2, target_class_ids=[0])
        >>> metric.update_state([[1, 0], [0, 1]], [[0.9, 0.1], [0.8, 0.2]])
        >>> round(float(metric.result()), 4)
        0.5
    """

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes,
            target_class_ids,
            name,
            dtype,
            ignore_class,
            False,
            sparse_y_pred,
            axis,
        )

    def get_config(self) -> dict[str, Any]:
        """The arguments that rebuild this metric."""
        return self._config_without("sparse_y_true")


class OneHotMeanIoU(MeanIoU):
    """`MeanIoU` of one-hot labels.

    Example:
        >>> metric = OneHotMeanIoU(num_classes=2)
        >>> metric.update_state([[1, 0], [0, 1]], [[0.9, 0.1], [0.8, 0.2]])
        >>> round(float(metric.result()), 4)
        0.25
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis
        )

    def get_config(self) -> dict[str, Any]:
        """The arguments that rebuild this metric."""
        return self._config_without("target_class_ids", "sparse_y_true")
