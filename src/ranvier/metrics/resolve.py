"""What `compile(metrics=[…])` means: names and functions to metric objects."""

from __future__ import annotations

from typing import Any

from ranvier._lookup import object_name
from ranvier.errors import ShapeError
from ranvier.losses.alignment import target_kind
from ranvier.metrics.accuracy import (
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
)
from ranvier.metrics.base import Metric
from ranvier.metrics.probabilistic import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
)
from ranvier.metrics.reduction import MeanMetricWrapper

_ACCURACY = {
    "binary": BinaryAccuracy,
    "sparse": SparseCategoricalAccuracy,
    "categorical": CategoricalAccuracy,
}
_CROSSENTROPY = {
    "binary": BinaryCrossentropy,
    "sparse": SparseCategoricalCrossentropy,
    "categorical": CategoricalCrossentropy,
}


def resolve(
    name: Any,
    y_true_shape: tuple[Any, ...],
    y_pred_shape: tuple[Any, ...],
    loss: Any = None,
) -> Metric:
    """The metric object that `compile(metrics=[name])` means for these shapes.

    `"accuracy"` and `"acc"` become binary, sparse or categorical accuracy by Keras's
    rule: one output unit is binary; targets of a lower rank, or with a last axis of
    one, are sparse; else categorical. `"crossentropy"` and `"ce"` follow the same rule
    and read logits where the loss does. A function is averaged over the samples. The
    metric is called as the caller wrote it.

    Args:
        name: a name, function, class, configuration or metric.
        y_true_shape: shape of the targets.
        y_pred_shape: shape of the predictions.
        loss: the loss, for `from_logits`.

    Raises:
        ShapeError: RV107 for an unknown name, naming the nearest.

    Example:
        >>> resolve("accuracy", (32,), (32, 10))
        <SparseCategoricalAccuracy name=accuracy>
    """
    from ranvier.metrics import get

    lowered = name.lower() if isinstance(name, str) else ""
    if lowered in ("accuracy", "acc"):
        metric: Any = _ACCURACY[target_kind(y_true_shape, y_pred_shape)](name=name)
    elif lowered in ("crossentropy", "ce"):
        logits = bool(getattr(loss, "from_logits", False))
        kind = target_kind(y_true_shape, y_pred_shape)
        metric = _CROSSENTROPY[kind](name=name, from_logits=logits)
    else:
        metric = get(name)
    if metric is None:
        raise ShapeError("RV107", "a metric is None", fix="metrics=['accuracy']")
    own = name if isinstance(name, str) else object_name(metric)
    if not isinstance(metric, Metric):
        metric = MeanMetricWrapper(metric)
    metric.name = own
    return metric
