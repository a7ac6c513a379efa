"""F-scores: the weighted harmonic mean of precision and recall."""

from __future__ import annotations

from typing import Any

from ranvier import ops
from ranvier.errors import ShapeError
from ranvier.graph import Variable
from ranvier.losses.alignment import EPSILON, as_float, check_same_shape, show
from ranvier.metrics.base import Metric

_AVERAGES = (None, "micro", "macro", "weighted")


class FBetaScore(Metric):
    """`(1 + β²) · precision · recall / (β² · precision + recall)`, per class.

    Args:
        average: `None` for one score per class, `"micro"` over all entries together,
            `"macro"` the mean over classes, `"weighted"` by how often a class occurs.
        beta: how many times recall counts as much as precision.
        threshold: above it a prediction is 1; by default the largest of a row is.
        name: a name.
        dtype: dtype of the result.

    Raises:
        ShapeError: RV100 for values outside these, RV101 for shapes that do not fit.

    Example:
        >>> metric = FBetaScore(beta=2.0, threshold=0.5)
        >>> y_true = [[1, 1, 1], [1, 0, 0], [1, 1, 0]]
        >>> y_pred = [[0.2, 0.6, 0.7], [0.2, 0.6, 0.6], [0.6, 0.8, 0.0]]
        >>> metric.update_state(y_true, y_pred)
        >>> [round(float(v), 4) for v in metric.result().numpy()]
        [0.3846, 0.9091, 0.8333]
    """

    # Made with the first batch, when the number of classes is known.
    true_positives: Variable
    false_positives: Variable
    false_negatives: Variable
    intermediate_weights: Variable

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        if average not in _AVERAGES:
            raise _bad("average", average, "None, 'micro', 'macro' or 'weighted'")
        if not isinstance(beta, float) or beta <= 0.0:
            raise _bad("beta", beta, "a float above 0, such as 1.0")
        if threshold is not None and not (
            isinstance(threshold, float) and 0.0 < threshold <= 1.0
        ):
            raise _bad("threshold", threshold, "a float above 0 and at most 1, or None")
        self.average = average
        self.beta = beta
        self.threshold = threshold
        self.axis = None if average == "micro" else 0
        self._built = False

    def _build(self, shape: tuple[Any, ...]) -> None:
        if len(shape) != 2 or not isinstance(shape[-1], int):
            raise ShapeError(
                "RV101",
                f"{type(self).__name__} takes labels and predictions (rows, classes), "
                f"not {show(shape)}",
                details="the number of classes must be known",
                fix="one-hot encode whole-number labels",
            )
        own = () if self.average == "micro" else shape[1:]
        for name in (
            "true_positives",
            "false_positives",
            "false_negatives",
            "intermediate_weights",
        ):
            setattr(self, name, self.add_variable(own, name=name))
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes in a batch; `sample_weight` has one weight per row.

        Raises:
            ShapeError: RV101 where targets, predictions or weights do not fit.
        """
        y_pred = ops.cast(as_float(y_pred), self.dtype)
        y_true = ops.cast(ops.convert_to_tensor(y_true), self.dtype)
        check_same_shape(y_true, y_pred, self.name)
        if not self._built:
            self._build(tuple(y_pred.shape))
        if self.threshold is None:
            largest = ops.max(y_pred, axis=-1, keepdims=True)
            above = ops.logical_and(y_pred >= largest, ops.abs(y_pred) > 1e-9)
        else:
            above = y_pred > self.threshold
        y_pred = ops.cast(above, self.dtype)
        weights = None
        if sample_weight is not None:
            weights = ops.cast(ops.convert_to_tensor(sample_weight), self.dtype)
            weights = ops.reshape(weights, (-1, 1))

        def total(x: Any) -> Any:
            x = x if weights is None else x * weights
            return ops.sum(ops.cast(x, "float64"), axis=self.axis)

        self.true_positives.assign_add(total(y_pred * y_true))
        self.false_positives.assign_add(total(y_pred * (1.0 - y_true)))
        self.false_negatives.assign_add(total((1.0 - y_pred) * y_true))
        self.intermediate_weights.assign_add(total(y_true))

    def result(self) -> Any:
        """The score, or one per class."""
        tp = self.true_positives.value
        precision = tp / (tp + self.false_positives + EPSILON)
        recall = tp / (tp + self.false_negatives + EPSILON)
        square = self.beta**2
        mean = precision * recall / (precision * square + recall + EPSILON)
        score = mean * (1.0 + square)
        if self.average == "weighted":
            weights = self.intermediate_weights.value
            score = ops.sum(score * (weights / (ops.sum(weights) + EPSILON)))
        elif self.average is not None:
            score = ops.mean(score)
        return ops.cast(score, self.dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments that rebuild this metric."""
        return super().get_config() | {
            "average": self.average,
            "beta": self.beta,
            "threshold": self.threshold,
        }


class F1Score(FBetaScore):
    """`2 · precision · recall / (precision + recall)`; arguments as in `FBetaScore`.

    Example:
        >>> metric = F1Score(threshold=0.5)
        >>> y_true = [[1, 1, 1], [1, 0, 0], [1, 1, 0]]
        >>> y_pred = [[0.2, 0.6, 0.7], [0.2, 0.6, 0.6], [0.6, 0.8, 0.0]]
        >>> metric.update_state(y_true, y_pred)
        >>> [round(float(v), 4) for v in metric.result().numpy()]
        [0.5, 0.8, 0.6667]
    """

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(average, 1.0, threshold, name, dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments that rebuild this metric."""
        config = super().get_config()
        del config["beta"]
        return config


def _bad(what: str, value: Any, expected: str) -> ShapeError:
    return ShapeError(
        "RV100",
        f"{what} must be {expected}",
        details=f"received {value!r} of type {type(value).__name__}",
        fix=f"{what}={'None' if 'None' in expected else '1.0'}",
    )
