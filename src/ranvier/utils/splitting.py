"""Arrays in two parts, and windows over a series."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from ranvier.data.streams import StreamingDataset
from ranvier.errors import ShapeError

__all__ = ["split_dataset", "timeseries_dataset_from_array"]


def split_dataset(
    dataset: Any,
    left_size: float | None = None,
    right_size: float | None = None,
    shuffle: bool = False,
    seed: int | None = None,
    preferred_backend: str | None = None,
) -> tuple[StreamingDataset, StreamingDataset]:
    """Two parts of the rows of arrays.

    Args:
        dataset: an array, or a list or tuple of arrays of one length.
        left_size: rows of the first part: an integer, or a fraction as a float; the
            rest unless given.
        right_size: the same of the second part, which is taken from the end.
        shuffle: shuffle the rows first.
        seed: of that order.
        preferred_backend: kept for Keras's signature.

    Returns:
        Two data sets of single rows (Keras: of its backend's kind); ``.batch(32)``
        makes batches of them.

    Raises:
        ShapeError: RV100 for sizes that do not fit, or for something else than arrays;
            RV109 for arrays of different length.

    Example:
        >>> left, right = split_dataset(np.arange(10), left_size=0.8)
        >>> len(left), [row.item() for row in right]
        (8, [8, 9])
    """
    if isinstance(dataset, (list, tuple)):
        arrays = [np.asarray(part) for part in dataset]
    elif isinstance(dataset, np.ndarray):
        arrays = [dataset]
    else:
        raise ShapeError(
            "RV100",
            f"split_dataset: dataset is of type {type(dataset).__name__}",
            fix="an array, or a tuple of arrays of one length",
        )
    lengths = {len(array) if array.ndim else 0 for array in arrays}
    if len(lengths) != 1:
        raise ShapeError(
            "RV109", f"split_dataset: arrays of different length: {sorted(lengths)}"
        )
    total = lengths.pop()
    left, right = _sizes(left_size, right_size, total)
    order = list(range(total))
    if shuffle:
        random.Random(seed).shuffle(order)
    single = not isinstance(dataset, (list, tuple))
    parts = []
    for rows in (np.array(order[:left]), np.array(order[total - right :])):

        def samples(indices: Any, rows: Any = rows) -> Any:
            found = tuple(array[rows[indices]] for array in arrays)
            return found[0] if single else found

        parts.append(StreamingDataset(len(rows), samples, None))
    return parts[0], parts[1]


def _sizes(left: Any, right: Any, total: int) -> tuple[int, int]:
    def rows(name: str, size: Any) -> int | None:
        if size is None:
            return None
        whole = isinstance(size, (int, np.integer)) and not isinstance(size, bool)
        if whole and 0 < size < total:
            return int(size)
        if isinstance(size, float) and 0 < size < 1:
            return round(size * total)
        raise ShapeError(
            "RV100",
            f"split_dataset: {name}={size!r} of {total} rows",
            fix=f"an integer from 1 to {total - 1}, or a fraction such as 0.8",
        )

    found = [rows("left_size", left), rows("right_size", right)]
    if found == [None, None]:
        raise ShapeError(
            "RV100", "split_dataset needs left_size or right_size", fix="left_size=0.8"
        )
    first, second = found
    first = total - (second or 0) if first is None else first
    second = total - first if second is None else second
    if first < 1 or second < 1 or first + second > total:
        raise ShapeError(
            "RV100",
            f"split_dataset: parts of {first} and {second} rows, of {total}",
            fix="left_size=0.8",
        )
    return first, second


def timeseries_dataset_from_array(
    data: Any,
    targets: Any,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
    format: str = "tf",
) -> StreamingDataset:
    """Windows that slide over a series.

    Window ``i`` holds ``data[start + i*stride + k*rate]`` for ``k`` below
    `sequence_length`; its target is ``targets[start + i*stride]``.

    Args:
        data: an array whose first axis is time.
        targets: one for each time, or None for windows without targets.
        sequence_length: points of a window.
        sequence_stride: from one window's beginning to the next one's.
        sampling_rate: from one point of a window to the next.
        batch_size: windows of a batch, or None for single windows.
        shuffle: a new order of the windows each time.
        seed: of the orders.
        start_index: points before it are not used.
        end_index: points from it on are not used.
        format: kept for Keras's signature; the data set is of ranvier's own kind.

    Returns:
        A data set of ``(windows, targets)``, or of windows.

    Raises:
        ShapeError: RV100 for numbers outside the series.
        DataError: RV207 when not one window fits.

    Example:
        >>> series = np.arange(6)
        >>> data = timeseries_dataset_from_array(series[:-1], series[2:], 2)
        >>> windows, wanted = next(iter(data))
        >>> windows.tolist(), wanted.tolist()
        ([[0, 1], [1, 2], [2, 3], [3, 4]], [2, 3, 4, 5])
    """
    series = np.asarray(data)
    size = len(series)
    limits = {
        "start_index": (start_index or 0, 0, size),
        "end_index": (end_index or size, (start_index or 0) + 1, size + 1),
        "sampling_rate": (sampling_rate, 1, size),
        "sequence_stride": (sequence_stride, 1, size),
        "sequence_length": (sequence_length, 1, size + 1),
    }
    for name, (value, low, high) in limits.items():
        if not isinstance(value, (int, np.integer)) or not low <= value < high:
            raise ShapeError(
                "RV100",
                f"timeseries_dataset_from_array: {name}={value!r}, of {size} points",
                fix=f"an integer from {low} to {high - 1}",
            )
    if format not in ("tf", "grain"):
        raise ShapeError("RV100", f"format must be 'tf' or 'grain', got {format!r}")
    used = series[start_index or 0 : end_index or size]
    count = len(used) - (sequence_length - 1) * sampling_rate
    wanted = None
    if targets is not None:
        count = min(count, len(targets))
        wanted = np.asarray(targets)[start_index or 0 : end_index or size]
        count = min(count, len(wanted))
    starts = np.arange(0, max(count, 0), sequence_stride)
    steps = np.arange(sequence_length) * sampling_rate

    def samples(indices: Any) -> Any:
        begin = starts[indices]
        windows = used[begin[:, None] + steps]
        return windows if wanted is None else (windows, wanted[begin])

    return StreamingDataset(len(starts), samples, batch_size, shuffle, seed)
