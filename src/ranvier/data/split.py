"""Validation rows cut off the end, and class weights as row weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ranvier.errors import DataError, ShapeError
from ranvier.graph import tree


def train_validation_split(
    parts: tuple[Any, Any, Any], validation_split: float
) -> tuple[tuple[Any, Any, Any], tuple[Any, Any, Any]]:
    """The first ``floor(rows * (1 - validation_split))`` rows, and the others.

    The last rows are taken, before any shuffling (Keras's rule). Views, not copies.

    Raises:
        ShapeError: RV100 for a share outside 0 .. 1.
        DataError: RV207 when one side would be empty.
    """
    if not 0 < validation_split < 1:
        raise ShapeError(
            "RV100",
            f"validation_split={validation_split!r} must be between 0 and 1",
            fix="validation_split=0.1",
        )
    rows = len(tree.flatten(parts)[0])
    at = math.floor(rows * (1.0 - validation_split))
    if at in (0, rows):
        raise DataError(
            "RV207",
            f"validation_split={validation_split} of {rows:,} rows leaves "
            f"{at:,} rows for training and {rows - at:,} for validation",
            fix="another share, or validation_data=(x, y)",
        )
    first = tuple(tree.map_leaves(lambda a: a[:at], p) for p in parts)
    last = tuple(tree.map_leaves(lambda a: a[at:], p) for p in parts)
    return first, last  # type: ignore[return-value]


def class_weights(y: Any, class_weight: Mapping[int, float]) -> np.ndarray[Any, Any]:
    """One weight for each row, by its class; classes not named weigh 1 (Keras).

    Args:
        y: whole-number labels, ``(n,)`` or ``(n, 1)``, or one-hot rows.
        class_weight: class to weight.

    Raises:
        ShapeError: RV100 for several targets or for keys that are no classes.
    """
    if isinstance(y, (Mapping, list, tuple)) or y is None:
        raise ShapeError(
            "RV100",
            "class_weight needs one array of targets",
            fix="sample_weight, one for each output",
        )
    labels = np.asarray(y)
    if labels.ndim > 1:
        labels = labels[..., 0] if labels.shape[-1] == 1 else labels.argmax(-1)
    labels = np.round(labels).astype(np.int64)
    try:
        pairs = sorted((int(k), float(v)) for k, v in class_weight.items())
    except (TypeError, ValueError, AttributeError) as fault:
        raise ShapeError(
            "RV100",
            f"class_weight={class_weight!r} is no dictionary of class to weight",
            fix="class_weight={0: 1.0, 1: 10.0}",
        ) from fault
    if not pairs:
        return np.ones(labels.shape, np.float32)
    keys = np.array([k for k, _ in pairs])
    weights = np.array([w for _, w in pairs], np.float32)
    at = np.minimum(np.searchsorted(keys, labels), len(keys) - 1)
    return np.where(keys[at] == labels, weights[at], np.float32(1.0))
