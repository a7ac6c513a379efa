"""Fitting targets, predictions and weights to each other, as Keras does and no further.

Keras adds or drops one trailing axis of length one, so that `(n,)` meets `(n, 1)`.
Whatever still differs would be broadcast, in the worst case to n×n numbers that train
on nonsense: here it is refused.
"""

from __future__ import annotations

from typing import Any

from ranvier import ops
from ranvier.errors import ShapeError

#: Keras's fuzz factor, `keras.config.epsilon()`.
EPSILON = 1e-7
#: Keras's default dtype, `keras.config.floatx()`.
FLOATX = "float32"


def show(shape: Any) -> str:
    """A shape as text, `(batch, 10)`."""
    shape = tuple(shape)
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def is_one(size: Any) -> bool:
    """Whether an axis is known to have length one."""
    return isinstance(size, int) and size == 1


def differ(a: Any, b: Any) -> bool:
    """Whether two axis lengths are known to differ, or one of them would be stretched.

    A symbol may turn out to equal a number, but not when the number is one: that axis
    would be repeated along the batch.
    """
    if isinstance(a, int) and isinstance(b, int):
        return a != b
    return is_one(a) or is_one(b)


def same_rank(a: Any, b: Any, expand_rank_1: bool = True) -> tuple[Any, Any]:
    """Adds or drops a trailing axis of length one where ranks differ by one.

    A rank-1 tensor is expanded; a longer one has its last axis dropped. Everything
    else is left alone.
    """
    rank_a, rank_b = len(a.shape), len(b.shape)
    if rank_a == rank_b + 1 and is_one(a.shape[-1]):
        if rank_b == 1 and expand_rank_1:
            return a, ops.expand_dims(b, axis=-1)
        return ops.squeeze(a, axis=-1), b
    if rank_b == rank_a + 1 and is_one(b.shape[-1]):
        if rank_a == 1 and expand_rank_1:
            return ops.expand_dims(a, axis=-1), b
        return a, ops.squeeze(b, axis=-1)
    return a, b


def check_same_shape(y_true: Any, y_pred: Any, what: str) -> None:
    """Refuses targets and predictions of different shapes.

    Raises:
        ShapeError: RV101, naming both shapes.
    """
    true, pred = tuple(y_true.shape), tuple(y_pred.shape)
    if len(true) == len(pred) and not any(map(differ, true, pred)):
        return
    raise ShapeError(
        "RV101",
        f"targets {show(true)} and predictions {show(pred)} do not fit together"
        f" in {what}",
        details="they must have one shape; only (n,) against (n, 1) is aligned",
        fix=_advice(true, pred, what),
    )


def _advice(true: tuple[Any, ...], pred: tuple[Any, ...], what: str) -> str:
    if true and pred and differ(true[0], pred[0]):
        return "give as many rows of targets as of inputs"
    if len(true) + 1 == len(pred) or (
        len(true) == len(pred) and is_one(true[-1]) and not is_one(pred[-1])
    ):
        if "categorical" in what or "crossentropy" in what:
            return (
                "whole-number labels go with loss='sparse_categorical_crossentropy'; "
                f"or one-hot encode them to {show(pred)}"
            )
        return f"let the last layer have 1 unit, or give targets {show(pred)}"
    if len(true) == len(pred) and not is_one(true[-1]):
        return f"let the last layer have {true[-1]} units, or give targets {show(pred)}"
    return f"reshape the targets to {show(pred)}"


def to_pair(y_true: Any, y_pred: Any, what: str) -> tuple[Any, Any]:
    """Both as tensors of the dtype of `y_pred` and of one shape.

    Raises:
        ShapeError: RV101 where the shapes do not fit.
    """
    y_pred = as_float(y_pred)
    y_true = ops.cast(ops.convert_to_tensor(y_true), y_pred.dtype)
    y_true, y_pred = same_rank(y_true, y_pred)
    check_same_shape(y_true, y_pred, what)
    return y_true, y_pred


def as_float(x: Any) -> Any:
    """A tensor of floating dtype: integers and booleans become float32."""
    x = ops.convert_to_tensor(x)
    return x if is_floating(x) else ops.cast(x, FLOATX)


def is_floating(x: Any) -> bool:
    """Whether a tensor holds floating-point numbers."""
    return str(x.dtype).startswith(("float", "bfloat"))


def fits(shape: Any, given: Any) -> bool:
    """Whether weights of shape `given` multiply values without changing their shape."""
    shape, given = tuple(shape), tuple(given)
    return not given or (
        len(shape) == len(given)
        and not any(
            not is_one(w) and differ(v, w) for v, w in zip(shape, given, strict=True)
        )
    )


def fit_weights(values: Any, weights: Any, what: str = "sample_weight") -> Any:
    """The weights, once it is sure that they do not change the shape of `values`.

    Raises:
        ShapeError: RV101 where the weights would stretch the values.
    """
    shape, given = tuple(values.shape), tuple(weights.shape)
    if fits(shape, given):
        return weights
    raise ShapeError(
        "RV101",
        f"{what} {show(given)} does not fit the losses {show(shape)}",
        details="one loss is computed per row"
        + (" and step" if len(shape) > 1 else "")
        + "; each weight multiplies one of them",
        fix=f"give {what} of shape {show(shape)}"
        + (f" or {show((shape[0], *[1] * (len(shape) - 1)))}" * (len(shape) > 1)),
    )


def target_kind(y_true_shape: tuple[Any, ...], y_pred_shape: tuple[Any, ...]) -> str:
    """`"binary"`, `"sparse"` or `"categorical"`, by Keras's rule on the shapes.

    One output unit is binary; targets of a lower rank than the predictions, or with a
    last axis of one against several units, are sparse; else categorical.

    Example:
        >>> target_kind((32, 1), (32, 10))
        'sparse'
    """
    if not y_pred_shape or is_one(y_pred_shape[-1]):
        return "binary"
    if len(y_true_shape) < len(y_pred_shape) or is_one(y_true_shape[-1]):
        return "sparse"
    return "categorical"


def power(x: Any, exponent: float) -> Any:
    """`x ** exponent`; a square is a product, which is exact and cheap."""
    return ops.square(x) if exponent == 2.0 else ops.power(x, float(exponent))
