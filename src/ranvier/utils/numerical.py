"""Arrays in, arrays out: one-hot columns, unit norms, padded sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ranvier.errors import DataError, ShapeError

__all__ = ["normalize", "pad_sequences", "to_categorical"]


def to_categorical(
    x: npt.ArrayLike, num_classes: int | None = None
) -> npt.NDArray[np.float64]:
    """One-hot columns of whole-number labels: ``out[..., k] = (x[...] == k)``.

    Args:
        x: labels ``0 .. num_classes-1``; a last axis of size 1 is dropped.
        num_classes: number of columns; ``max(x) + 1`` when not given.

    Returns:
        float64 array of shape ``x.shape + (num_classes,)`` (Keras's dtype).

    Raises:
        DataError: RV203 for labels that are not whole numbers, RV207 when x is empty
            and `num_classes` is not given.
        ShapeError: RV105 for a label outside the range.

    Example:
        >>> to_categorical([0, 2], num_classes=3).tolist()
        [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    given = np.asarray(x)
    if given.dtype.kind not in "iubf":
        raise DataError(
            "RV203",
            "labels must be numbers to become one-hot columns",
            details=f"received dtype {given.dtype}, first value {given.flat[:1]!r}",
            fix="names, labels = np.unique(labels, return_inverse=True)",
        )
    if given.dtype.kind == "f":
        finite = np.isfinite(given)
        if not finite.all() or (given != np.trunc(given)).any():
            raise DataError(
                "RV203",
                "labels must be whole numbers to become one-hot columns",
                details=f"received floats from {given.min()} to {given.max()}",
            )
    labels = given.astype(np.int64)
    shape = labels.shape
    if len(shape) > 1 and shape[-1] == 1:
        shape = shape[:-1]
    labels = labels.reshape(-1)
    if not num_classes:
        if labels.size == 0:
            raise DataError(
                "RV207",
                "no labels: the number of classes is unknown",
                fix="num_classes=10",
            )
        num_classes = int(labels.max()) + 1
    outside = (labels < 0) | (labels >= num_classes)
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise ShapeError(
            "RV105",
            f"label {labels[row]} found, there are {num_classes} classes "
            f"(0..{num_classes - 1})",
            details=f"first such label at position {row}; {int(outside.sum())} in all",
            fix="labels from 0 on"
            if labels.min() < 0
            else f"num_classes={int(labels.max()) + 1}"
            + (f", or subtract {labels.min()}" if labels.min() else ""),
        )
    out = np.zeros((labels.size, num_classes))
    out[np.arange(labels.size), labels] = 1.0
    return out.reshape(*shape, num_classes)


def normalize(x: npt.ArrayLike, axis: int = -1, order: int = 2) -> npt.NDArray[Any]:
    """Divides by the norm along an axis: ``x / ||x||_order``; zero vectors stay zero.

    Args:
        x: any array of numbers.
        axis: the axis whose norm becomes 1.
        order: order of the norm, as in ``numpy.linalg.norm``.

    Example:
        >>> normalize([[3.0, 4.0]]).tolist()
        [[0.6, 0.8]]
    """
    array = np.asarray(x)
    norm = np.linalg.norm(array, order, axis, keepdims=True)
    return array / np.where(norm == 0, 1, norm)


def pad_sequences(
    sequences: Sequence[Sequence[Any]],
    maxlen: int | None = None,
    dtype: str = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> npt.NDArray[Any]:
    """Sequences of different lengths as one array, padded or cut to one length.

    Args:
        sequences: lists of numbers, or of arrays of one shape.
        maxlen: the length; that of the longest when not given.
        dtype: of the result.
        padding: "pre" or "post": where the filling goes.
        truncating: "pre" or "post": which end of a long sequence is cut.
        value: the filling.

    Returns:
        Array of shape ``(len(sequences), maxlen, ...)``.

    Raises:
        ShapeError: RV100 for other words, RV108 when items differ in shape.

    Example:
        >>> pad_sequences([[1], [2, 3]]).tolist()
        [[0, 1], [2, 3]]
    """
    for name, word in (("padding", padding), ("truncating", truncating)):
        if word not in ("pre", "post"):
            raise ShapeError("RV100", f"{name} must be 'pre' or 'post', got {word!r}")
    rows = [np.asarray(sequence) for sequence in sequences]
    if maxlen is None:
        maxlen = max((len(row) for row in rows), default=0)
    item = next((row.shape[1:] for row in rows if len(row)), ())
    out = np.full((len(rows), maxlen, *item), value, dtype=dtype)
    for index, row in enumerate(rows):
        if len(row) == 0 or maxlen == 0:
            continue
        if row.shape[1:] != item:
            raise ShapeError(
                "RV108",
                f"sequence {index} holds items of shape {row.shape[1:]}, "
                f"others of {item}",
            )
        kept = row[-maxlen:] if truncating == "pre" else row[:maxlen]
        if padding == "pre":
            out[index, maxlen - len(kept) :] = kept
        else:
            out[index, : len(kept)] = kept
    return out
