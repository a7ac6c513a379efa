"""The confusion matrix at thresholds, and the metrics read off it.

For every threshold the weighted hits among positives and among negatives are counted;
the other two cells are what remains. Evenly spaced thresholds are counted by bucket,
which costs one addition per prediction whatever their number; others are compared one
by one. Both count exactly as Keras does, ties included.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ranvier import ops
from ranvier.errors import ShapeError
from ranvier.graph import Variable
from ranvier.losses.alignment import (
    EPSILON,
    FLOATX,
    check_same_shape,
    fit_weights,
    is_one,
    same_rank,
    show,
)
from ranvier.metrics.base import Metric, divide_no_nan

#: What a prediction outside the top k becomes; below every threshold.
NEG_INF = -1e10


class Confusion(NamedTuple):
    """Weighted counts in float64, one per threshold (and label)."""

    tp: Any
    fp: Any
    tn: Any
    fn: Any


def parse_thresholds(thresholds: Any, default: float) -> list[float]:
    """Thresholds as a list.

    Raises:
        ShapeError: RV100 where one lies outside 0 … 1.
    """
    if thresholds is None:
        return [default]
    values = list(thresholds) if np.ndim(thresholds) else [thresholds]
    if any(t is None or not 0 <= t <= 1 for t in values):
        raise ShapeError(
            "RV100",
            "thresholds must lie between 0 and 1",
            details=f"received {thresholds}",
            fix="thresholds=0.5",
        )
    return values


def evenly_spaced(thresholds: Sequence[float]) -> bool:
    """Whether thresholds run from 0 to 1 in equal steps, so that buckets serve."""
    count = len(thresholds)
    if count < 3:
        return False
    even = np.arange(count, dtype=np.float32) / (count - 1)
    return bool(np.allclose(thresholds, even, atol=EPSILON))


def confusion_at(
    y_true: Any,
    y_pred: Any,
    thresholds: Sequence[float],
    sample_weight: Any = None,
    *,
    top_k: int | None = None,
    class_id: int | None = None,
    multi_label: bool = False,
    label_weights: Any = None,
    even: bool = False,
) -> Confusion:
    """The confusion matrix of a batch at every threshold.

    Args:
        y_true: labels 0 and 1.
        y_pred: predictions of the same shape.
        thresholds: above one of them a prediction is positive.
        sample_weight: one weight per row, or per prediction.
        top_k: only the `k` largest predictions of a row may be positive.
        class_id: only this column counts.
        multi_label: count each column for itself.
        label_weights: one weight per column.
        even: whether the thresholds are evenly spaced from 0 to 1.

    Raises:
        ShapeError: RV101 where the shapes do not fit.
    """
    y_pred = ops.cast(ops.convert_to_tensor(y_pred), FLOATX)
    y_true = ops.cast(ops.convert_to_tensor(y_true), FLOATX)
    y_true, y_pred = same_rank(y_true, y_pred)
    check_same_shape(y_true, y_pred, "a confusion matrix")
    weights = _weights(y_pred, sample_weight)
    if top_k is not None:
        y_pred = _keep_top_k(y_pred, top_k)
    if class_id is not None:
        if len(y_pred.shape) == 1:
            raise ShapeError(
                "RV101",
                f"class_id needs predictions (rows, classes), not {show(y_pred.shape)}",
                fix="leave class_id out",
            )
        y_true = y_true[..., class_id : class_id + 1]
        y_pred = y_pred[..., class_id : class_id + 1]
    each = ops.ones_like(y_pred)
    if weights is not None:
        each = each * fit_weights(y_pred, weights)
    if label_weights is not None:
        each = each * ops.expand_dims(ops.convert_to_tensor(label_weights), 0)
    positive = ops.cast(ops.not_equal(y_true, 0.0), FLOATX)
    hits, misses = positive * each, (1.0 - positive) * each
    if multi_label:
        rest = tuple(y_pred.shape)[1:]
    else:
        y_pred, hits, misses = (ops.reshape(t, (-1,)) for t in (y_pred, hits, misses))
        rest = ()
    count = _by_bucket if even else _by_comparison
    tp, fp = count(y_pred, (hits, misses), np.asarray(thresholds, np.float32), rest)
    positives = ops.sum(ops.cast(hits, "float64"), axis=0)
    negatives = ops.sum(ops.cast(misses, "float64"), axis=0)
    return Confusion(tp, fp, negatives - fp, positives - tp)


def _weights(y_pred: Any, sample_weight: Any) -> Any:
    """Weights with an axis for the classes, where they had none."""
    if sample_weight is None:
        return None
    weights = ops.cast(ops.convert_to_tensor(sample_weight), FLOATX)
    if not weights.shape or len(weights.shape) == len(y_pred.shape):
        return weights
    weights = ops.expand_dims(weights, -1)
    if len(weights.shape) > len(y_pred.shape) and is_one(weights.shape[-1]):
        weights = ops.squeeze(weights, axis=-1)
    return weights


def _keep_top_k(y_pred: Any, k: int) -> Any:
    classes = int(y_pred.shape[-1])
    _, index = ops.top_k(y_pred, k)
    kept = ops.sum(ops.one_hot(index, classes), axis=-2)
    return ops.where(kept > 0.0, y_pred, NEG_INF)


def _by_comparison(
    y_pred: Any, values: Sequence[Any], thresholds: np.ndarray, rest: tuple[Any, ...]
) -> list[Any]:
    shape = (len(thresholds), 1, *[1] * len(rest))
    above = ops.expand_dims(y_pred, 0) > np.reshape(thresholds, shape)
    return [
        ops.sum(
            ops.cast(ops.where(above, ops.expand_dims(v, 0), 0.0), "float64"), axis=1
        )
        for v in values
    ]


def _by_bucket(
    y_pred: Any, values: Sequence[Any], thresholds: np.ndarray, rest: tuple[Any, ...]
) -> list[Any]:
    """Adds each value to its bucket, then sums the buckets from above.

    A prediction of exactly 0 exceeds no threshold of 0; where the first threshold is
    just below 0, it exceeds that one.
    """
    count = len(thresholds)
    # A NaN prediction exceeds nothing and must not become a wild index.
    y_pred = ops.clip(ops.where(ops.isnan(y_pred), 0.0, y_pred), 0.0, 1.0)
    # Bucket b holds what exceeds thresholds 0 … b - 1.
    bucket = ops.cast(ops.ceil(y_pred * float(count - 1)), "int32")
    if thresholds[0] < 0.0 or thresholds[-1] > 1.0:
        bucket = ops.maximum(bucket, 1)
    labels = 1
    if rest:
        labels = int(rest[0])
        bucket = bucket * labels + ops.arange(0, labels, dtype="int32")
        bucket = ops.reshape(bucket, (-1,))
        values = [ops.reshape(v, (-1,)) for v in values]
    empty = ops.zeros(((count + 1) * labels,), FLOATX)
    found = []
    for value in values:
        sums = ops.cast(ops.scatter_add(empty, bucket, value), "float64")
        sums = ops.reshape(sums, (count + 1, labels)) if rest else sums
        sums = ops.flip(ops.cumsum(ops.flip(sums, axis=0), axis=0), axis=0)
        found.append(sums[1:])
    return found


class _Cells(Metric):
    """Metrics that gather some cells of the confusion matrix at thresholds."""

    # Those that a subclass asks `_add_cells` for exist.
    true_positives: Variable
    false_positives: Variable
    true_negatives: Variable
    false_negatives: Variable
    accumulator: Variable

    def __init__(
        self,
        thresholds: list[float],
        name: str | None,
        dtype: Any,
        top_k: int | None = None,
        class_id: int | None = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.thresholds = thresholds
        self.top_k = top_k
        self.class_id = class_id
        self._even = evenly_spaced(thresholds)

    def _add_cells(self, names: dict[str, str]) -> None:
        """Makes a variable for each cell, `{"tp": "true_positives"}`."""
        self._cell_names = names
        for name in names.values():
            setattr(self, name, self.add_variable((len(self.thresholds),), name=name))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes in a batch.

        Raises:
            ShapeError: RV101 where targets, predictions or weights do not fit.
        """
        found = confusion_at(
            y_true,
            y_pred,
            self.thresholds,
            sample_weight,
            top_k=self.top_k,
            class_id=self.class_id,
            even=self._even,
        )
        for cell, name in self._cell_names.items():
            getattr(self, name).assign_add(getattr(found, cell))

    def _one_or_all(self, values: Any) -> Any:
        values = ops.cast(values, self.dtype)
        return values[0] if len(self.thresholds) == 1 else values


_NAMES = {
    "tp": "true_positives",
    "fp": "false_positives",
    "tn": "true_negatives",
    "fn": "false_negatives",
}


class _Count(_Cells):
    """One cell of the confusion matrix."""

    cell = ""

    def __init__(
        self, thresholds: Any = None, name: str | None = None, dtype: Any = None
    ) -> None:
        self.init_thresholds = thresholds
        super().__init__(parse_thresholds(thresholds, 0.5), name, dtype)
        self._add_cells({self.cell: "accumulator"})

    def result(self) -> Any:
        """The count, or one per threshold."""
        return self._one_or_all(self.accumulator.value)

    def get_config(self) -> dict[str, Any]:
        """The arguments that rebuild this metric."""
        return super().get_config() | {"thresholds": self.init_thresholds}


class TruePositives(_Count):
    """The weighted count of labels 1 predicted above the threshold.

    Example:
        >>> metric = TruePositives()
        >>> metric.update_state([0, 1, 1, 1], [1, 0, 1, 1])
        >>> float(metric.result())
        2.0
    """

    cell = "tp"


class FalsePositives(_Count):
    """The weighted count of labels 0 predicted above the threshold.

    Example:
        >>> metric = FalsePositives()
        >>> metric.update_state([0, 1, 0, 0], [0, 0, 1, 1])
        >>> float(metric.result())
        2.0
    """

    cell = "fp"


class TrueNegatives(_Count):
    """The weighted count of labels 0 predicted at or below the threshold.

    Example:
        >>> metric = TrueNegatives()
        >>> metric.update_state([0, 1, 0, 0], [1, 1, 0, 0])
        >>> float(metric.result())
        2.0
    """

    cell = "tn"


class FalseNegatives(_Count):
    """The weighted count of labels 1 predicted at or below the threshold.

    Example:
        >>> metric = FalseNegatives()
        >>> metric.update_state([0, 1, 1, 1], [0, 1, 0, 0])
        >>> float(metric.result())
        2.0
    """

    cell = "fn"


class _Share(_Cells):
    """True positives over true positives and one other cell."""

    other = ""

    def __init__(
        self,
        thresholds: Any = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        self.init_thresholds = thresholds
        default = 0.5 if top_k is None else NEG_INF
        super().__init__(
            parse_thresholds(thresholds, default), name, dtype, top_k, class_id
        )
        self._add_cells({"tp": _NAMES["tp"], self.other: _NAMES[self.other]})

    def result(self) -> Any:
        """The share, or one per threshold; 0 where nothing was counted."""
        hits = self.true_positives.value
        rest = getattr(self, _NAMES[self.other]).value
        return self._one_or_all(divide_no_nan(hits, hits + rest))

    def get_config(self) -> dict[str, Any]:
        """The arguments that rebuild this metric."""
        return super().get_config() | {
            "thresholds": self.init_thresholds,
            "top_k": self.top_k,
            "class_id": self.class_id,
        }


class Precision(_Share):
    """The share of true ones among what was predicted: `tp / (tp + fp)`.

    Args:
        thresholds: one or several; 0.5 by default, none with `top_k`.
        top_k: only the `k` largest predictions of a row count as predicted.
        class_id: only this class counts.
        name: a name.
        dtype: dtype of the result.

    Example:
        >>> metric = Precision()
        >>> metric.update_state([0, 1, 1, 1], [1, 0, 1, 1])
        >>> round(float(metric.result()), 4)
        0.6667
    """

    other = "fp"


class Recall(_Share):
    """The share of what is true that was predicted: `tp / (tp + fn)`.

    Args:
        thresholds: one or several; 0.5 by default, none with `top_k`.
        top_k: only the `k` largest predictions of a row count as predicted.
        class_id: only this class counts.
        name: a name.
        dtype: dtype of the result.

    Example:
        >>> metric = Recall()
        >>> metric.update_state([0, 1, 1, 1], [1, 0, 1, 1])
        >>> round(float(metric.result()), 4)
        0.6667
    """

    other = "fn"
