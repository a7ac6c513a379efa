"""The base of all losses: weights, masks and the reduction over the batch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from ranvier import ops
from ranvier._lookup import auto_name
from ranvier.errors import ShapeError
from ranvier.graph import scope
from ranvier.graph.apart import apart
from ranvier.losses.alignment import (
    FLOATX,
    fit_weights,
    fits,
    is_floating,
    same_rank,
)

REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none")


def standardize_dtype(dtype: Any) -> str:
    """The compute dtype that a name, a policy or `None` (float32) stands for."""
    if dtype is None:
        return FLOATX
    if hasattr(dtype, "compute_dtype"):
        return str(dtype.compute_dtype)
    if isinstance(dtype, Mapping):
        return standardize_dtype(dtype["config"]["name"])
    name = getattr(dtype, "__name__", None) or str(dtype)
    return {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}.get(name, name)


def keras_mask(x: Any) -> Any:
    """The mask that a layer attached to its output, or `None`."""
    return getattr(x, "_keras_mask", None)


class Loss:
    """Base class of losses: `call(y_true, y_pred)` gives one loss per sample.

    `__call__` weighs the per-sample losses, applies masks and reduces:
    `"sum_over_batch_size"` (the default, also called `"mean"`) divides the sum by the
    number of losses, `"mean_with_sample_weight"` by the sum of the weights, `"sum"`
    does not divide, `"none"` (or `None`) does not add up.

    Args:
        name: a name; made from the class's by default.
        reduction: one of the reductions above.
        dtype: dtype of the computation; float32 by default.

    Raises:
        ShapeError: RV100 for an unknown reduction.

    Example:
        >>> from ranvier import ops
        >>> class Cubed(Loss):
        ...     def call(self, y_true, y_pred):
        ...         return ops.mean(ops.abs(y_pred - y_true) ** 3, axis=-1)
        >>> float(Cubed()([[0.0], [0.0]], [[1.0], [2.0]]))
        4.5
    """

    #: Whether integer targets stay integers (labels) rather than become `dtype`.
    integer_targets: ClassVar[bool] = False

    def __init__(
        self,
        name: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        dtype: Any = None,
    ) -> None:
        if reduction is not None and reduction not in REDUCTIONS:
            raise ShapeError(
                "RV100",
                f"unknown reduction {reduction!r}",
                details=f"known: {', '.join(REDUCTIONS)}",
                fix="reduction='sum_over_batch_size'",
            )
        self.name = name or auto_name(type(self).__name__)
        self.reduction = reduction
        self._dtype = standardize_dtype(dtype)

    @property
    def dtype(self) -> str:
        """Dtype of the computation."""
        return self._dtype

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """One loss per sample; to be written by a subclass."""
        raise NotImplementedError(
            f"{type(self).__name__} must define call(self, y_true, y_pred)"
        )

    def output_mask(self, y_true: Any, y_pred: Any, values: Any) -> Any:
        """Which of the losses count; `None` means all. For subclasses to override."""
        return None

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The loss of a batch.

        Args:
            y_true: targets; one array or a structure like that of `y_pred`.
            y_pred: predictions.
            sample_weight: one weight per loss, or `(n, 1)` against losses `(n, t)`.

        Returns:
            A scalar, or one loss per sample with reduction `"none"`.

        Raises:
            ShapeError: RV101 where targets, predictions or weights do not fit.
        """
        mask = keras_mask(y_pred)
        y_pred = _map(lambda x: self._to_tensor(x, keep_integers=False), y_pred)
        y_true = _map(lambda x: self._to_tensor(x, self.integer_targets), y_true)
        if not isinstance(y_pred, (list, tuple, dict)):
            # Aligned here, before a user's own call subtracts (n,) from (n, 1).
            y_true, y_pred = same_rank(y_true, y_pred)
        with scope(layer=self.name):
            with apart(y_true, y_pred, ("y_true", "y_pred")):
                given = self.call(y_true, y_pred)
            if given is None:
                raise ShapeError(
                    "RV106",
                    f"loss {self.name!r} returned None",
                    fix="return the loss at the end of the function",
                )
            values = ops.convert_to_tensor(given)
            own = self.output_mask(y_true, y_pred, values)
            if own is not None:
                mask = own if mask is None else ops.logical_and(mask, own)
            return reduce_weighted(
                values, sample_weight, mask, self.reduction, self.dtype
            )

    def _to_tensor(self, x: Any, keep_integers: bool) -> Any:
        x = ops.convert_to_tensor(x)
        if keep_integers and not is_floating(x):
            return x
        return ops.cast(x, self.dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments that rebuild this loss."""
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Loss:
        """The loss of that configuration."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


class LossFunctionWrapper(Loss):
    """A loss made of a function `fn(y_true, y_pred, **kwargs)`, one loss per sample.

    Args:
        fn: the function.
        reduction: see `Loss`.
        name: a name.
        dtype: dtype of the computation.
        **kwargs: passed to `fn` at every call.

    Example:
        >>> from ranvier.losses import huber
        >>> float(LossFunctionWrapper(huber, delta=2.0)([[0.0]], [[1.0]]))
        0.5
    """

    #: Keys of `get_config` beyond Keras's; written only where they are not the default,
    #: so that an ordinary configuration is exactly Keras's.
    extra_config: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.fn = fn
        self._fn_kwargs = kwargs
        # Labels given to the function by name are labels as much as in its class.
        self.integer_targets = getattr(fn, "integer_targets", False)  # type: ignore[misc]

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The function's losses, after `(n,)` and `(n, 1)` are aligned."""
        return self.fn(y_true, y_pred, **self._fn_kwargs)

    def output_mask(self, y_true: Any, y_pred: Any, values: Any) -> Any:
        """The mask of the function, where it declares one as `fn.output_mask`."""
        mask = getattr(self.fn, "output_mask", None)
        return None if mask is None else mask(y_true, y_pred, values, **self._fn_kwargs)

    def get_config(self) -> dict[str, Any]:
        """Name, reduction, and the arguments of the class (or the function itself)."""
        config = super().get_config()
        if type(self) is LossFunctionWrapper:
            from ranvier.losses import serialize

            return config | {"fn": serialize(self.fn), **self._fn_kwargs}
        defaults = inspect.signature(type(self).__init__).parameters
        for key, value in self._fn_kwargs.items():
            if key not in self.extra_config or value != defaults[key].default:
                config[key] = value
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Loss:
        """The loss of that configuration; a serialized `fn` is looked up."""
        config = dict(config)
        if "fn" in config:
            from ranvier.losses import deserialize

            config["fn"] = deserialize(config["fn"])
        return cls(**config)

    def __getattr__(self, name: str) -> Any:
        # `loss.from_logits`, `loss.delta`: the arguments are readable, as in Keras.
        kwargs = self.__dict__.get("_fn_kwargs", {})
        if name in kwargs:
            return kwargs[name]
        raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")


def _map(fn: Callable[[Any], Any], value: Any) -> Any:
    """Applies `fn` to the leaves of dicts, tuples, and lists that hold tensors."""
    if isinstance(value, Mapping):
        return {k: _map(fn, v) for k, v in value.items()}
    if isinstance(value, (list, tuple)) and any(hasattr(v, "shape") for v in value):
        return type(value)(_map(fn, v) for v in value)
    return fn(value)


def mask_to_weights(weights: Any, mask: Any, dtype: str, reduction: str | None) -> Any:
    """Weights with a mask merged in: masked entries weigh 0.

    When the result will be divided by the number of all entries, the valid ones weigh
    `total / valid`, so that the mean is one over the valid entries.
    """
    if mask is None:
        return weights
    mask = ops.cast(ops.convert_to_tensor(mask), dtype)
    if reduction in ("mean", "sum_over_batch_size"):
        # mean(mask) is valid/total and may be 0, when every weight is 0 anyway.
        mask = divide_no_nan(mask, ops.mean(mask))
    if weights is None:
        return mask
    mask, weights = same_rank(mask, ops.cast(ops.convert_to_tensor(weights), dtype))
    if not fits(weights.shape, mask.shape):
        fit_weights(mask, weights)
    return weights * mask


def divide_no_nan(a: Any, b: Any) -> Any:
    """`a / b`, and 0 where `b` is 0, with a finite gradient there too."""
    zero = ops.equal(b, 0.0)
    return ops.where(zero, 0.0, a / ops.where(zero, 1.0, b))


def reduce_weighted(
    values: Any,
    sample_weight: Any,
    mask: Any,
    reduction: str | None,
    dtype: str,
) -> Any:
    """Per-sample losses, weighted, masked and reduced to what the caller asked for.

    Raises:
        ShapeError: RV101 where the weights do not fit the losses.
    """
    values = ops.cast(values, dtype)
    if sample_weight is not None:
        sample_weight = ops.cast(ops.convert_to_tensor(sample_weight), dtype)
    weights = mask_to_weights(sample_weight, mask, dtype, reduction)
    if weights is not None and not tuple(values.shape):
        # One loss for the whole batch (Dice): Keras multiplies it by every weight.
        values = values * weights
    elif weights is not None:
        values, weights = same_rank(values, weights)
        values = values * fit_weights(values, weights)
    if reduction in (None, "none") or not tuple(values.shape):
        return values
    if reduction == "sum":
        return ops.sum(values)
    if reduction == "mean_with_sample_weight" and weights is not None:
        return divide_no_nan(ops.sum(values), ops.sum(weights))
    return ops.mean(values)
