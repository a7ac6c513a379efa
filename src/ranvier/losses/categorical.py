"""Cross-entropies of several classes: one-hot, sparse, focal and generalized.

Probabilities are divided by their sum and held between 1e-7 and 1 - 1e-7 before the
logarithm, as in Keras; from logits log-softmax is used, which loses nothing.
"""

from __future__ import annotations

import warnings
from typing import Any

from ranvier import ops
from ranvier.errors import ShapeError
from ranvier.losses.alignment import (
    EPSILON,
    as_float,
    check_same_shape,
    differ,
    is_one,
    power,
    show,
)
from ranvier.losses.base import LossFunctionWrapper


def _check_classes(y_pred: Any, axis: int, what: str) -> None:
    if isinstance(axis, bool) or not isinstance(axis, int):
        raise ShapeError(
            "RV100",
            f"axis of {what} must be a whole number",
            details=f"received {axis!r}",
            fix="axis=-1",
        )
    if is_one(y_pred.shape[-1]):
        warnings.warn(
            f"{what} expects predictions (rows, classes) with more than one class, "
            f"received {show(y_pred.shape)}; one unit goes with binary_crossentropy",
            SyntaxWarning,
            stacklevel=3,
        )


def _smooth_classes(y_true: Any, label_smoothing: float) -> Any:
    if not label_smoothing:
        return y_true
    classes = int(y_true.shape[-1])
    return y_true * (1.0 - label_smoothing) + label_smoothing / classes


def categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """`-sum(y_true * log(p))` over the class axis, for one-hot or soft labels.

    Args:
        y_true: labels of the shape of `y_pred`.
        y_pred: probabilities, or logits.
        from_logits: whether `y_pred` are logits.
        label_smoothing: labels are moved this far towards the uniform distribution.
        axis: the class axis.

    Raises:
        ShapeError: RV101 where the shapes differ, as with whole-number labels.

    Example:
        >>> round(categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).item(), 4)
        0.6931
    """
    y_true, y_pred = _one_hot_pair(y_true, y_pred, axis, "categorical_crossentropy")
    y_true = _smooth_classes(y_true, label_smoothing)
    return ops.categorical_crossentropy(
        y_true, y_pred, from_logits=from_logits, axis=axis
    )


def _one_hot_pair(y_true: Any, y_pred: Any, axis: int, what: str) -> tuple[Any, Any]:
    y_pred = as_float(y_pred)
    y_true = ops.cast(ops.convert_to_tensor(y_true), y_pred.dtype)
    check_same_shape(y_true, y_pred, what)
    _check_classes(y_pred, axis, what)
    return y_true, y_pred


def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """`sum(alpha * (1 - p)**gamma * -y_true * log(p))` over the class axis.

    Lin et al., 2018 (arXiv:1708.02002), which the defaults are from.

    Raises:
        ShapeError: RV101 where the shapes differ.

    Example:
        >>> round(categorical_focal_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).item(), 4)
        0.0433
    """
    y_true, y_pred = _one_hot_pair(
        y_true, y_pred, axis, "categorical_focal_crossentropy"
    )
    y_true = _smooth_classes(y_true, label_smoothing)
    if from_logits:
        y_pred = ops.softmax(y_pred, axis=axis)
    y_pred = y_pred / ops.sum(y_pred, axis=axis, keepdims=True)
    y_pred = ops.clip(y_pred, EPSILON, 1.0 - EPSILON)
    losses = power(1.0 - y_pred, gamma) * alpha * (-y_true * ops.log(y_pred))
    return ops.sum(losses, axis=axis)


def _sparse_labels(y_true: Any, y_pred: Any, axis: int) -> Any:
    """Whole-number labels of the shape of `y_pred` without its class axis.

    Raises:
        ShapeError: RV101 where they do not fit, as with one-hot labels.
    """
    pred = tuple(y_pred.shape)
    if len(y_true.shape) == len(pred) and is_one(y_true.shape[axis]):
        y_true = ops.squeeze(y_true, axis=axis)
    true = tuple(y_true.shape)
    class_axis = axis % len(pred)
    wanted = pred[:class_axis] + pred[class_axis + 1 :]
    if len(true) == len(wanted) and not any(map(differ, true, wanted)):
        return y_true
    if len(true) == len(pred):
        details = "each row must hold one whole number, the index of its class"
        fix = "one-hot labels go with loss='categorical_crossentropy'"
    else:
        details = f"labels of shape {show(wanted)} are expected"
        fix = "give one label per prediction"
    raise ShapeError(
        "RV101",
        f"labels {show(true)} and predictions {show(pred)} do not fit together"
        " in sparse_categorical_crossentropy",
        details=details,
        fix=fix,
    )


def sparse_categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Any:
    """`-log(p[label])` along the class axis, for whole-number labels.

    Args:
        y_true: labels `0 … classes - 1`, of the shape of `y_pred` without the class
            axis (or with a class axis of length one).
        y_pred: probabilities, or logits.
        from_logits: whether `y_pred` are logits.
        ignore_class: a label whose loss is 0, such as -1 for "not labelled".
        axis: the class axis.

    Raises:
        ShapeError: RV101 where the shapes do not fit, as with one-hot labels.

    Example:
        >>> round(sparse_categorical_crossentropy([1], [[0.5, 0.5]]).item(), 4)
        0.6931
    """
    y_pred = as_float(y_pred)
    y_true = _sparse_labels(ops.convert_to_tensor(y_true), y_pred, axis)
    if ignore_class is None:
        return ops.sparse_categorical_crossentropy(
            y_true, y_pred, from_logits=from_logits, axis=axis
        )
    valid = ops.not_equal(y_true, ignore_class)
    y_true = ops.where(valid, y_true, 0)
    # A safe prediction under the mask: its gradient must be 0, not 0 times infinity.
    safe = 0.0 if from_logits else 1.0
    y_pred = ops.where(ops.expand_dims(valid, axis), y_pred, safe)
    losses = ops.sparse_categorical_crossentropy(
        y_true, y_pred, from_logits=from_logits, axis=axis
    )
    return ops.where(valid, losses, 0.0)


def _labelled(
    y_true: Any,
    y_pred: Any,
    values: Any,
    ignore_class: int | None = None,
    axis: int = -1,
    **_: Any,
) -> Any:
    """Which labels are not to be ignored: the mask Keras attaches to the losses."""
    if ignore_class is None:
        return None
    labels = _sparse_labels(ops.convert_to_tensor(y_true), y_pred, axis)
    return ops.not_equal(labels, ignore_class)


sparse_categorical_crossentropy.output_mask = _labelled  # type: ignore[attr-defined]
# Labels stay whole numbers, so that the engine can check their range.
sparse_categorical_crossentropy.integer_targets = True  # type: ignore[attr-defined]


def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float) -> Any:
    """`(1 - p[label]**q) / q`: between cross-entropy (`q → 0`) and absolute error.

    For noisy whole-number labels; Zhang & Sabuncu, 2018 (arXiv:1805.07836).

    Raises:
        ShapeError: RV101 where the shapes do not fit.

    Example:
        >>> values = categorical_generalized_cross_entropy([1], [[0.75, 0.25]], q=0.5)
        >>> values.numpy().tolist()
        [1.0]
    """
    y_pred = as_float(y_pred)
    y_true = _sparse_labels(ops.convert_to_tensor(y_true), y_pred, -1)
    chosen = ops.one_hot(ops.cast(y_true, "int32"), int(y_pred.shape[-1]))
    p = ops.sum(y_pred * ops.cast(chosen, y_pred.dtype), axis=-1)
    return (1.0 - ops.power(p, float(q))) / q


categorical_generalized_cross_entropy.integer_targets = True  # type: ignore[attr-defined]


class CategoricalCrossentropy(LossFunctionWrapper):
    """`-sum(y_true * log(p))`; see `categorical_crossentropy` and `Loss`.

    Example:
        >>> round(float(CategoricalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
        0.6931
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            categorical_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


class CategoricalFocalCrossentropy(LossFunctionWrapper):
    """`sum(alpha·(1 - p)**gamma · -y·log(p))`; see `categorical_focal_crossentropy`.

    Example:
        >>> loss = CategoricalFocalCrossentropy()
        >>> round(float(loss([[0.0, 1.0]], [[0.5, 0.5]])), 4)
        0.0433
    """

    def __init__(
        self,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_focal_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            categorical_focal_crossentropy,
            reduction,
            name,
            dtype,
            alpha=alpha,
            gamma=gamma,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


class SparseCategoricalCrossentropy(LossFunctionWrapper):
    """`-log(p[label])`; see `sparse_categorical_crossentropy` and `Loss`.

    Labels equal to `ignore_class` neither add to the loss nor count in the mean.

    Example:
        >>> loss = SparseCategoricalCrossentropy(from_logits=True)
        >>> round(float(loss([1], [[0.0, 0.0]])), 4)
        0.6931
    """

    # Keras forgets the axis in its configuration; ours holds it where it matters.
    extra_config = ("axis",)

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            sparse_categorical_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )


class CategoricalGeneralizedCrossEntropy(LossFunctionWrapper):
    """`(1 - p[label]**q) / q`; see `categorical_generalized_cross_entropy`.

    Raises:
        ShapeError: RV100 where `q` is not between 0 and 1.

    Example:
        >>> loss = CategoricalGeneralizedCrossEntropy(q=0.5)
        >>> float(loss([1], [[0.75, 0.25]]))
        1.0
    """

    def __init__(
        self,
        q: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_generalized_cross_entropy",
        dtype: Any = None,
    ) -> None:
        if not 0 < q < 1:
            raise ShapeError(
                "RV100",
                "q must lie between 0 and 1, both excluded",
                details=f"received q={q}",
                fix="q=0.5",
            )
        super().__init__(
            categorical_generalized_cross_entropy, reduction, name, dtype, q=q
        )
