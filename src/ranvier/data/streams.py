"""Data sets that make their batches while they are gone through."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ranvier import _seed
from ranvier.errors import DataError, ShapeError

__all__ = ["StreamingDataset"]


class StreamingDataset:
    """Samples that are made when they are asked for, one by one or in batches.

    Goes through `fit`, `evaluate` and `predict` like any iterable of batches. Each time
    it is gone through, a shuffled one has a new order, which `seed` decides.

    Args:
        count: how many samples there are.
        samples: makes those of some indices: an array, or a tuple of arrays.
        batch_size: rows of a batch, or None for single samples.
        shuffle: a new order each time.
        seed: of the orders.

    Attributes:
        class_names: what labels mean, where that is known.
        file_paths: the files, where there are some.

    Example:
        >>> data = StreamingDataset(5, lambda rows: rows * 10, batch_size=2)
        >>> len(data), [batch.tolist() for batch in data]
        (3, [[0, 10], [20, 30], [40]])
    """

    def __init__(
        self,
        count: int,
        samples: Callable[[np.ndarray[Any, Any]], Any],
        batch_size: int | None = 32,
        shuffle: bool = False,
        seed: int | None = None,
    ) -> None:
        if batch_size is not None and (
            isinstance(batch_size, bool)
            or not isinstance(batch_size, (int, np.integer))
            or batch_size < 1
        ):
            raise ShapeError(
                "RV100",
                f"batch_size={batch_size!r} must be an integer >= 1, or None",
                fix="batch_size=32",
            )
        if count < 1:
            raise DataError("RV207", "there is no sample in this data set")
        self._count, self._samples = count, samples
        self.batch_size, self.shuffle = batch_size, shuffle
        self.seed = _seed.next_seed() if seed is None else seed
        self._passes = 0
        self.class_names: list[str] | None = None
        self.file_paths: list[str] | None = None

    def __len__(self) -> int:
        """The number of batches; of samples where there are no batches."""
        return -(-self._count // (self.batch_size or 1))

    def __iter__(self) -> Iterator[Any]:
        order = np.arange(self._count)
        if self.shuffle:
            np.random.default_rng([self.seed, self._passes]).shuffle(order)
            self._passes += 1
        if self.batch_size is None:
            return map(self._single, order)
        starts = range(0, self._count, self.batch_size)
        return (self._samples(order[i : i + self.batch_size]) for i in starts)

    def _single(self, index: int) -> Any:
        found = self._samples(np.array([index]))
        return tuple(a[0] for a in found) if isinstance(found, tuple) else found[0]

    def batch(self, batch_size: int) -> StreamingDataset:
        """The same samples in batches of this size.

        Args:
            batch_size: rows of a batch; the last may have fewer.
        """
        other = StreamingDataset(
            self._count, self._samples, batch_size, self.shuffle, self.seed
        )
        other.class_names, other.file_paths = self.class_names, self.file_paths
        return other
