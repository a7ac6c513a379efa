"""Metrics of numbers: the losses of regression, RMSE, cosine and R²."""

from __future__ import annotations

import warnings
from typing import Any

from ranvier import ops
from ranvier.errors import ShapeError
from ranvier.graph import Variable
from ranvier.losses import regression as losses
from ranvier.losses.alignment import fit_weights, show, to_pair
from ranvier.metrics.base import Metric, wide_sum
from ranvier.metrics.reduction import Mean, MeanMetricWrapper


class MeanSquaredError(MeanMetricWrapper):
    """The mean of `(y_true - y_pred)²`.

    Example:
        >>> metric = MeanSquaredError()
        >>> metric.update_state([[0.0]], [[3.0]])
        >>> float(metric.result())
        9.0
    """

    def __init__(
        self, name: str | None = "mean_squared_error", dtype: Any = None
    ) -> None:
        super().__init__(losses.mean_squared_error, name, dtype)


class MeanAbsoluteError(MeanMetricWrapper):
    """The mean of `|y_true - y_pred|`.

    Example:
        >>> metric = MeanAbsoluteError()
        >>> metric.update_state([[0.0]], [[-3.0]])
        >>> float(metric.result())
        3.0
    """

    def __init__(
        self, name: str | None = "mean_absolute_error", dtype: Any = None
    ) -> None:
        super().__init__(losses.mean_absolute_error, name, dtype)


class MeanAbsolutePercentageError(MeanMetricWrapper):
    """The mean of `100 * |y_true - y_pred| / |y_true|`.

    Example:
        >>> metric = MeanAbsolutePercentageError()
        >>> metric.update_state([[2.0]], [[1.0]])
        >>> float(metric.result())
        50.0
    """

    def __init__(
        self, name: str | None = "mean_absolute_percentage_error", dtype: Any = None
    ) -> None:
        super().__init__(losses.mean_absolute_percentage_error, name, dtype)


class MeanSquaredLogarithmicError(MeanMetricWrapper):
    """The mean of `(log(1 + y_true) - log(1 + y_pred))²`.

    Example:
        >>> metric = MeanSquaredLogarithmicError()
        >>> metric.update_state([[0.0]], [[1.0]])
        >>> round(float(metric.result()), 4)
        0.4805
    """

    def __init__(
        self, name: str | None = "mean_squared_logarithmic_error", dtype: Any = None
    ) -> None:
        super().__init__(losses.mean_squared_logarithmic_error, name, dtype)


class LogCoshError(MeanMetricWrapper):
    """The mean of `log(cosh(y_pred - y_true))`.

    Example:
        >>> metric = LogCoshError()
        >>> metric.update_state([[0.0]], [[1.0]])
        >>> round(float(metric.result()), 4)
        0.4338
    """

    def __init__(self, name: str | None = "logcosh", dtype: Any = None) -> None:
        super().__init__(losses.log_cosh, name, dtype)


def _cosine(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    return -losses.cosine_similarity(y_true, y_pred, axis)


class CosineSimilarity(MeanMetricWrapper):
    """The mean cosine of the angle between vectors; 1 is the same direction.

    The loss of that name has the opposite sign, as in Keras.

    Example:
        >>> metric = CosineSimilarity()
        >>> metric.update_state([[0.0, 1.0]], [[0.0, 4.0]])
        >>> float(metric.result())
        1.0
    """

    # Keras forgets the axis in its configuration; ours holds it where it matters.
    extra_config = ("axis",)

    def __init__(
        self,
        name: str | None = "cosine_similarity",
        dtype: Any = None,
        axis: int = -1,
    ) -> None:
        super().__init__(_cosine, name, dtype, axis=axis)


class RootMeanSquaredError(Mean):
    """The root of the mean of `(y_true - y_pred)²` over all entries.

    Example:
        >>> metric = RootMeanSquaredError()
        >>> metric.update_state([[0.0, 0.0]], [[1.0, 7.0]])
        >>> float(metric.result())
        5.0
    """

    def __init__(
        self, name: str | None = "root_mean_squared_error", dtype: Any = None
    ) -> None:
        super().__init__(name, dtype=dtype)

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Takes in a batch.

        Raises:
            ShapeError: RV101 where targets, predictions or weights do not fit.
        """
        y_true, y_pred = to_pair(y_true, y_pred, "root_mean_squared_error")
        super().update_state(ops.square(y_pred - y_true), sample_weight)

    def result(self) -> Any:
        """The root of the mean."""
        return ops.sqrt(super().result())


class R2Score(Metric):
    """Coefficient of determination: `1 - sum(residual²) / sum((y - mean(y))²)`.

    1 is a perfect fit, 0 as good as the mean, below 0 worse than it. Sums are kept in
    float64: the variance is a difference of two large sums.

    Args:
        class_aggregation: `"uniform_average"`, `"variance_weighted_average"`, or `None`
            for one score per output.
        num_regressors: when not 0, the adjusted score for that many inputs.
        name: a name.
        dtype: dtype of the result.

    Raises:
        ShapeError: RV100 for an unknown aggregation or a negative number of regressors.

    Example:
        >>> metric = R2Score()
        >>> metric.update_state([[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]])
        >>> round(float(metric.result()), 4)
        0.5714
    """

    # Made with the first batch, when the number of outputs is known.
    squared_sum: Variable
    sum: Variable
    total_mse: Variable
    count: Variable

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = "r2_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        known = (None, "uniform_average", "variance_weighted_average")
        if class_aggregation not in known:
            raise ShapeError(
                "RV100",
                f"unknown class_aggregation {class_aggregation!r}",
                details=f"known: {', '.join(map(repr, known))}",
                fix="class_aggregation='uniform_average'",
            )
        if num_regressors < 0:
            raise ShapeError(
                "RV100",
                "num_regressors must not be negative",
                details=f"received {num_regressors}",
                fix="num_regressors=0",
            )
        self.class_aggregation = class_aggregation
        self.num_regressors = num_regressors
        self.num_samples = self.add_variable((), name="num_samples")
        self._built = False

    def _build(self, shape: tuple[Any, ...]) -> None:
        if len(shape) != 2 or not isinstance(shape[-1], int):
            raise ShapeError(
                "RV101",
                "R2Score takes targets and predictions (rows, outputs), "
                f"not {show(shape)}",
                details="the number of outputs must be known",
                fix="reshape both to (rows, outputs)",
            )
        for attribute, name in (
            ("squared_sum", "squared_sum"),
            ("sum", "sum"),
            ("total_mse", "residual"),
            ("count", "count"),
        ):
            setattr(self, attribute, self.add_variable(shape[1:], name=name))
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes in a batch.

        Raises:
            ShapeError: RV101 where targets, predictions or weights do not fit.
        """
        y_true, y_pred = to_pair(y_true, y_pred, "r2_score")
        if not self._built:
            self._build(tuple(y_pred.shape))
        y_true, y_pred = ops.cast(y_true, "float64"), ops.cast(y_pred, "float64")
        weights = ops.ones_like(y_true)
        if sample_weight is not None:
            given = ops.cast(ops.convert_to_tensor(sample_weight), "float64")
            if len(given.shape) == 1:
                given = ops.expand_dims(given, 1)
            weights = weights * fit_weights(y_true, given)
        weighted = y_true * weights
        self.sum.assign_add(ops.sum(weighted, axis=0))
        self.squared_sum.assign_add(ops.sum(y_true * weighted, axis=0))
        self.total_mse.assign_add(
            ops.sum(ops.square(y_true - y_pred) * weights, axis=0)
        )
        self.count.assign_add(ops.sum(weights, axis=0))
        self.num_samples.assign_add(wide_sum(ops.ones_like(y_true)))

    def result(self) -> Any:
        """The score; the plain one where too few samples allow no adjusted one."""
        total = self.squared_sum - self.sum * (self.sum / self.count)
        raw = 1.0 - self.total_mse / total
        raw = ops.where(ops.isinf(raw), 0.0, raw)
        if self.class_aggregation == "uniform_average":
            score = ops.mean(raw)
        elif self.class_aggregation == "variance_weighted_average":
            score = ops.sum(total * raw) / ops.sum(total)
        else:
            score = raw
        if self.num_regressors:
            score = self._adjusted(score)
        return ops.cast(score, self.dtype)

    def _adjusted(self, score: Any) -> Any:
        samples = self.num_samples.value
        left = samples - 1.0 - self.num_regressors
        enough = left > 0.0
        if getattr(enough, "node", None) is None and not bool(enough):
            warnings.warn(
                f"R2Score: {self.num_regressors} regressors need more than "
                f"{self.num_regressors + 1} values for an adjusted score, there are "
                f"{int(samples)}; giving the standard score",
                stacklevel=3,
            )
        adjusted = 1.0 - (1.0 - score) * (samples - 1.0) / ops.where(enough, left, 1.0)
        return ops.where(enough, adjusted, score)

    def get_config(self) -> dict[str, Any]:
        """The arguments that rebuild this metric."""
        return super().get_config() | {
            "class_aggregation": self.class_aggregation,
            "num_regressors": self.num_regressors,
        }
