"""Cross-entropies of labels 0 and 1: plain and focal.

Probabilities are held between 1e-7 and 1 - 1e-7 before the logarithm, as in Keras; from
logits log-sigmoid is used, which loses nothing.
"""

from __future__ import annotations

from typing import Any

from ranvier import ops
from ranvier.losses.alignment import power, to_pair
from ranvier.losses.base import LossFunctionWrapper


def binary_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """`mean(-y·log(p) - (1 - y)·log(1 - p))` over an axis.

    Args:
        y_true: labels 0 and 1, or probabilities.
        y_pred: probabilities, or logits, of the same shape.
        from_logits: whether `y_pred` are logits.
        label_smoothing: labels are moved this far towards 1/2.
        axis: the axis averaged over.

    Raises:
        ShapeError: RV101 where the shapes differ.

    Example:
        >>> round(binary_crossentropy([[1.0]], [[0.5]]).item(), 4)
        0.6931
    """
    y_true, y_pred = to_pair(y_true, y_pred, "binary_crossentropy")
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    losses = ops.binary_crossentropy(y_true, y_pred, from_logits=from_logits)
    return ops.mean(losses, axis=axis)


def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """Binary cross-entropy times `(1 - p_t)**gamma`: what is easy counts less.

    `p_t` is the probability given to the right answer; with `apply_class_balancing`
    class 1 weighs `alpha` and class 0 `1 - alpha`. Lin et al., 2018
    (arXiv:1708.02002), which the defaults are from.

    Raises:
        ShapeError: RV101 where the shapes differ.

    Example:
        >>> round(binary_focal_crossentropy([[1.0]], [[0.5]]).item(), 4)
        0.1733
    """
    y_true, y_pred = to_pair(y_true, y_pred, "binary_focal_crossentropy")
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    if from_logits:
        y_pred = ops.sigmoid(y_pred)
    losses = ops.binary_crossentropy(y_true, y_pred, from_logits=False)
    right = y_true * y_pred + (1.0 - y_true) * (1.0 - y_pred)
    losses = power(1.0 - right, gamma) * losses
    if apply_class_balancing:
        losses = (y_true * alpha + (1.0 - y_true) * (1.0 - alpha)) * losses
    return ops.mean(losses, axis=axis)


class BinaryCrossentropy(LossFunctionWrapper):
    """`mean(-y·log(p) - (1 - y)·log(1 - p))`; see `binary_crossentropy` and `Loss`.

    Example:
        >>> round(float(BinaryCrossentropy()([[1.0]], [[0.5]])), 4)
        0.6931
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "binary_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            binary_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


class BinaryFocalCrossentropy(LossFunctionWrapper):
    """Binary cross-entropy times `(1 - p_t)**gamma`; see `binary_focal_crossentropy`.

    Example:
        >>> round(float(BinaryFocalCrossentropy()([[1.0]], [[0.5]])), 4)
        0.1733
    """

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "binary_focal_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            binary_focal_crossentropy,
            reduction,
            name,
            dtype,
            apply_class_balancing=apply_class_balancing,
            alpha=alpha,
            gamma=gamma,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )
