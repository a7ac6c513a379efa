"""The order of rows that batches ask for, as row numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ranvier.engines.api import Batches, Shuffle

Array = np.ndarray[Any, Any]


class RowOrder:
    """Row numbers for batches; those of the last shuffle are kept.

    A run batch by batch asks for the same order each time.

    Args:
        shuffled: gives the order of so many rows for a seed and an epoch.
    """

    def __init__(self, shuffled: Callable[[int, int, int], Array]) -> None:
        self._shuffled = shuffled
        self._kept: tuple[Shuffle, int, Array] | None = None

    def of(self, batches: Batches) -> Array | None:
        """Row numbers as int64; ``None`` for rows as they lie in memory."""
        order, rows = batches.order, batches.rows
        if not isinstance(order, Shuffle):
            return None if order is None else np.ascontiguousarray(order, np.int64)
        kept = self._kept  # once: another thread may put its own there
        if kept is None or kept[1] != rows or kept[0] != order:
            kept = order, rows, self._shuffled(order.seed, order.epoch, rows)
            self._kept = kept
        return kept[2]
