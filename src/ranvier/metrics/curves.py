"""Metrics over a sweep of thresholds: AUC, and one rate at a given other."""

from __future__ import annotations

from typing import Any

import numpy as np

from ranvier import ops
from ranvier.errors import ShapeError
from ranvier.losses.alignment import EPSILON, show
from ranvier.metrics.base import Metric, divide_no_nan
from ranvier.metrics.confusion import (
    _NAMES,
    _Cells,
    confusion_at,
    evenly_spaced,
)


def _sweep(num_thresholds: int) -> list[float]:
    """Inner thresholds of an even sweep from 0 to 1."""
    return [(i + 1) / (num_thresholds - 1) for i in range(num_thresholds - 2)]


class _AtRate(_Cells):
    """The best of one rate where another is at least a given value."""

    #: Name of the constructor's argument that holds the given value.
    given = ""
    #: Names of the constrained and the maximised rate.
    constrained = ""
    maximised = ""

    def __init__(
        self,
        value: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        if not 0 <= value <= 1:
            raise ShapeError(
                "RV100",
                f"{self.given} must lie between 0 and 1",
                details=f"received {value}",
                fix=f"{self.given}=0.5",
            )
        if num_thresholds <= 0:
            raise ShapeError(
                "RV100",
                "num_thresholds must be above 0",
                details=f"received {num_thresholds}",
                fix="num_thresholds=200",
            )
        if num_thresholds == 1:
            thresholds = [0.5]
        else:
            thresholds = [0.0, *_sweep(num_thresholds), 1.0]
        super().__init__(thresholds, name, dtype, class_id=class_id)
        self._even = num_thresholds > 1
        self.value = value
        setattr(self, self.given, value)
        self.num_thresholds = num_thresholds
        self._add_cells(_NAMES)

    def _rate(self, name: str) -> Any:
        tp, fp, tn, fn = (getattr(self, n).value for n in _NAMES.values())
        top, rest = {
            "sensitivity": (tp, fn),
            "recall": (tp, fn),
            "specificity": (tn, fp),
            "precision": (tp, fp),
        }[name]
        # In the metric's own dtype, so that a rate equal to the given value counts.
        return ops.cast(divide_no_nan(top, top + rest), self.dtype)

    def result(self) -> Any:
        """The best rate, 0 where no threshold satisfies the condition."""
        feasible = self._rate(self.constrained) >= self.value
        return ops.max(ops.where(feasible, self._rate(self.maximised), 0.0))

    def get_config(self) -> dict[str, Any]:
        """The arguments that rebuild this metric."""
        return super().get_config() | {
            "class_id": self.class_id,
            "num_thresholds": self.num_thresholds,
            self.given: self.value,
        }


class SensitivityAtSpecificity(_AtRate):
    """The best sensitivity `tp / (tp + fn)` at a specificity of at least a value.

    Args:
        specificity: the least specificity, `tn / (tn + fp)`.
        num_thresholds: how many thresholds are tried.
        class_id: only this class counts.
        name: a name.
        dtype: dtype of the result.

    Example:
        >>> metric = SensitivityAtSpecificity(0.5)
        >>> metric.update_state([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8])
        >>> float(metric.result())
        0.5
    """

    given, constrained, maximised = "specificity", "specificity", "sensitivity"

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(specificity, num_thresholds, class_id, name, dtype)


class SpecificityAtSensitivity(_AtRate):
    """The best specificity `tn / (tn + fp)` at a sensitivity of at least a value.

    Args:
        sensitivity: the least sensitivity, `tp / (tp + fn)`.
        num_thresholds: how many thresholds are tried.
        class_id: only this class counts.
        name: a name.
        dtype: dtype of the result.

    Example:
        >>> metric = SpecificityAtSensitivity(0.5)
        >>> metric.update_state([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8])
        >>> round(float(metric.result()), 4)
        0.6667
    """

    given, constrained, maximised = "sensitivity", "sensitivity", "specificity"

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)


class PrecisionAtRecall(_AtRate):
    """The best precision `tp / (tp + fp)` at a recall of at least a value.

    Args:
        recall: the least recall, `tp / (tp + fn)`.
        num_thresholds: how many thresholds are tried.
        class_id: only this class counts.
        name: a name.
        dtype: dtype of the result.

    Example:
        >>> metric = PrecisionAtRecall(0.5)
        >>> metric.update_state([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8])
        >>> float(metric.result())
        0.5
    """

    given, constrained, maximised = "recall", "recall", "precision"

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(recall, num_thresholds, class_id, name, dtype)


class RecallAtPrecision(_AtRate):
    """The best recall `tp / (tp + fn)` at a precision of at least a value.

    Args:
        precision: the least precision, `tp / (tp + fp)`.
        num_thresholds: how many thresholds are tried.
        class_id: only this class counts.
        name: a name.
        dtype: dtype of the result.

    Example:
        >>> metric = RecallAtPrecision(0.8)
        >>> metric.update_state([0, 0, 1, 1], [0, 0.5, 0.3, 0.9])
        >>> float(metric.result())
        0.5
    """

    given, constrained, maximised = "precision", "precision", "recall"

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(precision, num_thresholds, class_id, name, dtype)


_CURVES = {"roc": "ROC", "pr": "PR", "prgain": "PRGAIN"}
_METHODS = ("interpolation", "majoring", "minoring")


class AUC(Metric):
    """The area under the ROC, precision-recall or precision-recall-gain curve.

    The curve is drawn through `num_thresholds` points; the area is a Riemann sum. For
    the PR curve, `"interpolation"` follows Davis & Goadrich, 2006: true positives are
    interpolated between points, not the precision.

    Args:
        num_thresholds: points of the curve, at least 2.
        curve: `"ROC"`, `"PR"` or `"PRGAIN"`.
        summation_method: `"interpolation"`, `"minoring"` or `"majoring"`.
        name: a name.
        dtype: dtype of the result.
        thresholds: inner thresholds instead of an even sweep.
        multi_label: one curve for each column, averaged.
        num_labels: how many columns; known from the first batch by default.
        label_weights: one weight for each column.
        from_logits: whether predictions are logits.

    Raises:
        ShapeError: RV100 for unknown options, RV101 for predictions of the wrong rank.

    Example:
        >>> metric = AUC(num_thresholds=3)
        >>> metric.update_state([0, 0, 1, 1], [0, 0.5, 0.3, 0.9])
        >>> float(metric.result())
        0.75
    """

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Any = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Any = None,
        from_logits: bool = False,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.curve = _option("curve", curve, _CURVES.values())
        self.summation_method = _option("summation_method", summation_method, _METHODS)
        self._own_thresholds = thresholds is not None
        if thresholds is not None:
            inner = sorted(float(t) for t in thresholds)
            self._even = evenly_spaced([0.0, *inner, 1.0])
        else:
            if num_thresholds <= 1:
                raise ShapeError(
                    "RV100",
                    "num_thresholds must be above 1",
                    details=f"received {num_thresholds}",
                    fix="num_thresholds=200",
                )
            inner = _sweep(num_thresholds)
            self._even = True
        self.num_thresholds = len(inner) + 2
        # The ends lie just outside, so that 0 and 1 themselves are counted.
        self._thresholds = [-EPSILON, *inner, 1.0 + EPSILON]
        self.multi_label = multi_label
        self.num_labels = num_labels
        self.label_weights = label_weights
        self._from_logits = from_logits
        self._built = False
        if not multi_label:
            if num_labels:
                raise ShapeError(
                    "RV100",
                    "num_labels goes with multi_label=True",
                    details=f"received num_labels={num_labels}",
                    fix="leave num_labels out",
                )
            self._build(())
        elif num_labels:
            self._build((num_labels,))

    @property
    def thresholds(self) -> list[float]:
        """All thresholds, those just outside 0 and 1 included."""
        return list(self._thresholds)

    def _build(self, labels: tuple[int, ...]) -> None:
        for name in _NAMES.values():
            shape = (self.num_thresholds, *labels)
            setattr(self, name, self.add_variable(shape, name=name))
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes in a batch.

        Raises:
            ShapeError: RV101 where targets, predictions or weights do not fit.
        """
        y_pred = ops.convert_to_tensor(y_pred)
        if not self._built:
            if len(y_pred.shape) != 2 or not isinstance(y_pred.shape[1], int):
                raise ShapeError(
                    "RV101",
                    "AUC(multi_label=True) takes predictions (rows, labels), not "
                    f"{show(y_pred.shape)}",
                    fix="reshape them to (rows, labels)",
                )
            self._build((y_pred.shape[1],))
        if self._from_logits:
            y_pred = ops.sigmoid(y_pred)
        found = confusion_at(
            y_true,
            y_pred,
            self._thresholds,
            sample_weight,
            multi_label=self.multi_label,
            label_weights=None if self.multi_label else self._label_weights(),
            even=self._even,
        )
        for cell, name in _NAMES.items():
            getattr(self, name).assign_add(getattr(found, cell))

    def _label_weights(self) -> Any:
        if self.label_weights is None:
            return None
        return np.asarray(self.label_weights, np.float32)

    def result(self) -> Any:
        """The area under the curve."""
        tp, fp, tn, fn = (getattr(self, n).value for n in _NAMES.values())
        if self.curve == "PR" and self.summation_method == "interpolation":
            return self._average(_interpolated_pr(tp, fp, fn))
        recall = divide_no_nan(tp, tp + fn)
        if self.curve == "ROC":
            x, y = divide_no_nan(fp, fp + tn), recall
        elif self.curve == "PR":
            x, y = recall, divide_no_nan(tp, tp + fp)
        else:
            odds = divide_no_nan(tp + fn, tn + fp)
            none = ops.equal(tp, 0.0)
            gain = 1.0 - odds * divide_no_nan(fn, tp)
            x = ops.maximum(ops.where(none, 0.0, gain), 0.0)
            y = ops.where(none, 1.0, 1.0 - odds * divide_no_nan(fp, tp))
        left, right = y[:-1], y[1:]
        if self.summation_method == "interpolation":
            heights = (left + right) / 2.0
        elif self.summation_method == "minoring":
            heights = ops.minimum(left, right)
        else:
            heights = ops.maximum(left, right)
        return self._average((x[:-1] - x[1:]) * heights)

    def _average(self, strips: Any) -> Any:
        area = ops.sum(strips, axis=0)
        if self.multi_label:
            weights = self._label_weights()
            if weights is None:
                area = ops.mean(area)
            else:
                total = ops.sum(ops.convert_to_tensor(weights))
                area = divide_no_nan(ops.sum(area * weights), total)
        return ops.cast(area, self.dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments that rebuild this metric."""
        weights = self.label_weights
        config = super().get_config() | {
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "multi_label": self.multi_label,
            "num_labels": self.num_labels,
            "label_weights": None if weights is None else np.asarray(weights).tolist(),
            "from_logits": self._from_logits,
        }
        if self._own_thresholds:
            config["thresholds"] = self._thresholds[1:-1]
        return config


def _option(what: str, value: Any, known: Any) -> str:
    name = str(getattr(value, "value", value))
    for option in known:
        if name.lower() == option.lower():
            return str(option)
    raise ShapeError(
        "RV100",
        f"unknown {what} {value!r}",
        details=f"known: {', '.join(known)}",
        fix=f"{what}={next(iter(known))!r}",
    )


def _interpolated_pr(tp: Any, fp: Any, fn: Any) -> Any:
    """The area of each strip of the PR curve, true positives interpolated linearly.

    Between two points `tp = slope * p + intercept` for `p = tp + fp`, and the integral
    of `tp / p` over the recall is
    `slope * (dtp + intercept * log(p_left / p_right)) / (tp + fn)`.
    """
    predicted = tp + fp
    left, right = predicted[:-1], predicted[1:]
    rise = tp[:-1] - tp[1:]
    slope = divide_no_nan(rise, ops.maximum(left - right, 0.0))
    intercept = tp[1:] - slope * right
    both = ops.logical_and(left > 0.0, right > 0.0)
    ratio = ops.where(both, divide_no_nan(left, ops.maximum(right, 0.0)), 1.0)
    area = slope * (rise + intercept * ops.log(ratio))
    return divide_no_nan(area, ops.maximum(tp[1:] + fn[1:], 0.0))
