"""Crossentropies: how unlikely labels are under predicted probabilities."""

from __future__ import annotations

from typing import Any

from ranvier.errors import ShapeError
from ranvier.graph import composites as _c
from ranvier.graph.functions import (
    as_tensor,
    cast,
    check_range,
    clip,
    expand_dims,
    log,
    negative,
    squeeze,
    sum,
    take_along_axis,
)
from ranvier.graph.trace import Tensor
from ranvier.operation import record_calls
from ranvier.ops.nn import EPSILON
from ranvier.ops.numpy_shapes import moveaxis


def _refuse_pair(name: str, target: Tensor, output: Tensor, want: str) -> ShapeError:
    return ShapeError(
        "RV101",
        f"{name}: labels and output do not fit together",
        details=f"labels have shape {tuple(target.shape)}, the output "
        f"{tuple(output.shape)}",
        fix=want,
    )


def sparse_categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Tensor:
    """``-log p[label]``, with whole-number labels.

    Args:
        target: Labels, shape of ``output`` without the class axis (a last axis of 1 is
            dropped).
        output: Probabilities, or logits.
        from_logits: Which of the two. Probabilities are scaled to sum 1 and clipped to
            [1e-7, 1 - 1e-7], as Keras does.
        axis: The class axis.

    Raises:
        ShapeError: RV101, when the shapes do not fit.
        DataError: RV105, when a label is outside 0 .. classes - 1.
    """
    target, output = as_tensor(target), as_tensor(output)
    if target.ndim == output.ndim and target.ndim and target.shape[-1] == 1:
        target = squeeze(target, -1)
    if output.ndim < 1 or output.shape[axis] in (None,):
        raise _refuse_pair("sparse_categorical_crossentropy", target, output, "")
    if axis not in (-1, output.ndim - 1):
        output = moveaxis(output, axis, -1)
    if tuple(target.shape) != tuple(output.shape[:-1]):
        raise _refuse_pair(
            "sparse_categorical_crossentropy",
            target,
            output,
            "one whole number a row; for one-hot labels use categorical_crossentropy",
        )
    if target.dtype not in ("int32", "int64"):
        target = cast(target, "int32")
    target = check_range(target, 0, output.shape[-1])
    if from_logits:
        return _c.sparse_softmax_cross_entropy(output, target)[0]
    output = output / sum(output, axis=-1, keepdims=True)
    picked = take_along_axis(output, expand_dims(target, -1), -1)
    return negative(log(clip(squeeze(picked, -1), EPSILON, 1 - EPSILON)))


def categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Tensor:
    """``-sum(target * log p)`` along the class axis, with one column a class.

    Raises:
        ShapeError: RV101, when the shapes differ.
    """
    target, output = as_tensor(target), as_tensor(output)
    target = cast(target, output.dtype)
    if tuple(target.shape) != tuple(output.shape):
        raise _refuse_pair(
            "categorical_crossentropy",
            target,
            output,
            "one column a class (utils.to_categorical), or the sparse_ loss for whole "
            "numbers",
        )
    if axis not in (-1, output.ndim - 1):
        target, output = moveaxis(target, axis, -1), moveaxis(output, axis, -1)
    if from_logits:
        return _c.softmax_cross_entropy(output, target)[0]
    output = output / sum(output, axis=-1, keepdims=True)
    return negative(sum(target * log(clip(output, EPSILON, 1 - EPSILON)), axis=-1))


def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Tensor:
    """``-t log p - (1 - t) log(1 - p)`` elementwise.

    Raises:
        ShapeError: RV101, when the shapes differ.
    """
    target, output = as_tensor(target), as_tensor(output)
    target = cast(target, output.dtype)
    if tuple(target.shape) != tuple(output.shape):
        raise _refuse_pair("binary_crossentropy", target, output, "the same shape")
    if from_logits:
        return _c.sigmoid_cross_entropy(output, target)
    output = clip(output, EPSILON, 1 - EPSILON)
    return negative(target * log(output) + (1.0 - target) * log(1.0 - output))


__all__ = [
    "binary_crossentropy",
    "categorical_crossentropy",
    "sparse_categorical_crossentropy",
]

record_calls(globals(), __all__)
