"""Running mean and sum, and the mean of a per-sample function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from ranvier import ops
from ranvier.losses.alignment import fit_weights, is_one, same_rank
from ranvier.losses.base import keras_mask, mask_to_weights
from ranvier.metrics.base import Metric, divide_no_nan, wide_sum


def to_samples(
    values: Any,
    sample_weight: Any,
    reduce: Callable[..., Any],
    dtype: str,
    mask: Any = None,
) -> tuple[Any, Any]:
    """One weighted value, and one weight or `None`, per sample.

    Axes of the values beyond those of the weights are reduced before weighting, those
    of both beyond the first afterwards, each with `reduce`.

    Raises:
        ShapeError: RV101 where the weights do not fit the values.
    """
    values = ops.cast(ops.convert_to_tensor(values), dtype)
    if sample_weight is not None:
        weights = ops.cast(ops.convert_to_tensor(sample_weight), dtype)
        if mask is not None:
            weights = mask_to_weights(weights, mask, dtype, "sum")
        values, weights = same_rank(values, weights)
        weight_rank = len(weights.shape)
        if len(values.shape) > weight_rank:
            values = reduce(values, axis=_axes(weight_rank, values))
        weights = _stretch(fit_weights(values, weights), values)
        values = values * weights
        if weight_rank > 1:
            weights = reduce(weights, axis=_axes(1, weights))
    else:
        weights = None
    if len(values.shape) > 1:
        values = reduce(values, axis=_axes(1, values))
    return values, weights


def _axes(first: int, x: Any) -> tuple[int, ...]:
    return tuple(range(first, len(x.shape)))


def _stretch(weights: Any, values: Any) -> Any:
    """Weights repeated to the shape of the values, where an axis has length one."""
    if len(weights.shape) == len(values.shape) and all(
        is_one(w) == is_one(v) for w, v in zip(weights.shape, values.shape, strict=True)
    ):
        return weights
    return weights * ops.ones_like(values)


def count_of(x: Any) -> Any:
    """The length of the first axis (1 for a scalar) as a float64 scalar."""
    return ops.convert_to_tensor(x.shape[0] if x.shape else 1, dtype="float64")


class Sum(Metric):
    """The weighted sum of all values seen.

    Args:
        name: a name.
        dtype: dtype of the result.

    Example:
        >>> metric = Sum()
        >>> metric.update_state([1.0, 2.0, 3.0])
        >>> float(metric.result())
        6.0
    """

    def __init__(self, name: str | None = "sum", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), dtype=self.dtype, name="total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Adds `values * sample_weight`.

        Raises:
            ShapeError: RV101 where the weights do not fit.
        """
        values, _ = to_samples(
            values, sample_weight, ops.sum, self.dtype, keras_mask(values)
        )
        self.total.assign_add(wide_sum(values))

    def result(self) -> Any:
        """The sum."""
        return ops.cast(self.total.value, self.dtype)


class Mean(Metric):
    """The weighted mean of all values seen, 0 when there were none.

    Args:
        name: a name.
        dtype: dtype of the result.

    Example:
        >>> metric = Mean()
        >>> metric.update_state([1.0, 3.0], sample_weight=[1.0, 3.0])
        >>> float(metric.result())
        2.5
    """

    def __init__(self, name: str | None = "mean", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), dtype=self.dtype, name="total")
        self.count = self.add_variable((), dtype=self.dtype, name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Adds `values * sample_weight` to the total and the weights to the count.

        Raises:
            ShapeError: RV101 where the weights do not fit.
        """
        self._accumulate(values, sample_weight, keras_mask(values))

    def _accumulate(self, values: Any, sample_weight: Any, mask: Any) -> None:
        values, weights = to_samples(values, sample_weight, ops.mean, self.dtype, mask)
        self.total.assign_add(wide_sum(values))
        counted = count_of(values) if weights is None else wide_sum(weights)
        self.count.assign_add(counted)

    def result(self) -> Any:
        """The mean."""
        mean = divide_no_nan(self.total.value, self.count.value)
        return ops.cast(mean, self.dtype)


class MeanMetricWrapper(Mean):
    """The mean of a function `fn(y_true, y_pred, **kwargs)`, one value per sample.

    Args:
        fn: the function.
        name: a name.
        dtype: dtype of the result.
        **kwargs: passed to `fn` at every call.

    Example:
        >>> from ranvier.losses import mean_squared_error
        >>> metric = MeanMetricWrapper(mean_squared_error, name="mse")
        >>> metric.update_state([[0.0]], [[2.0]])
        >>> float(metric.result())
        4.0
    """

    #: Arguments that Keras leaves out of the configuration; written only where they
    #: are not the default.
    extra_config: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        fn: Callable[..., Any],
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self._fn = fn
        self._fn_kwargs = kwargs

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Takes in a batch.

        Raises:
            ShapeError: RV101 where targets, predictions or weights do not fit.
        """
        values = self._fn(y_true, y_pred, **self._fn_kwargs)
        weights = mask_to_weights(sample_weight, keras_mask(y_pred), self.dtype, "sum")
        own = getattr(self._fn, "output_mask", None)
        mask = None if own is None else own(y_true, y_pred, values, **self._fn_kwargs)
        self._accumulate(values, weights, mask)

    def get_config(self) -> dict[str, Any]:
        """Name, dtype, and the arguments of the class (or the function itself)."""
        config = {"name": self.name, "dtype": self.dtype}
        if type(self) is MeanMetricWrapper:
            from ranvier.metrics import serialize

            return config | {"fn": serialize(self._fn), **self._fn_kwargs}
        defaults = inspect.signature(type(self).__init__).parameters
        for key, value in self._fn_kwargs.items():
            if key not in self.extra_config or value != defaults[key].default:
                config[key] = value
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Metric:
        """The metric of that configuration; a serialized `fn` is looked up."""
        config = dict(config)
        if "fn" in config:
            from ranvier.metrics import deserialize

            config["fn"] = deserialize(config["fn"])
        return cls(**config)

    def __getattr__(self, name: str) -> Any:
        # `metric.threshold`, `metric.k`: the arguments are readable, as in Keras.
        kwargs = self.__dict__.get("_fn_kwargs", {})
        if name in kwargs:
            return kwargs[name]
        raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")
