"""Arrays with words, of which the part of a model before its step makes numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ranvier.data.arrays import Arrays, structured
from ranvier.engines.api import Shuffle
from ranvier.graph import tree
from ranvier.graph.ops.random import permutation
from ranvier.models.host import HostSection, Prepared, Raw
from ranvier.models.iterables import IterableSource
from ranvier.models.sources import ArraySource, rows_of_batch

__all__ = ["RawSource", "lengths", "source_of_raw"]

#: Bytes of numbers that are made at once; beyond, they are made batch by batch.
LIMIT = 1 << 30
#: Rows that are looked at to know how much all will take.
_SAMPLE = 64


def lengths(raw: Raw) -> Any:
    """Arrays as long as those, which hold nothing; one alone is no list."""
    found = [np.zeros(len(array), np.int8) for array in raw]
    return found[0] if len(found) == 1 else found


def source_of_raw(
    section: HostSection,
    raw: Raw,
    y: Any,
    sample_weight: Any,
    batch_size: int | None,
    steps: int | None,
    check: bool,
) -> ArraySource | IterableSource:
    """Where a loop's batches come from.

    Rows that do not depend on each other are made numbers once, all of them, and the
    engine gathers batches as from any arrays. Texts that are filled up to the longest of
    their batch, and what would take too much memory, are made numbers batch by batch.
    """
    y, weight = structured(y, "y"), structured(sample_weight, "sample_weight")
    rows = Arrays(lengths(raw), y, weight).rows
    if section.apart and _bytes(section, raw, rows) <= LIMIT:
        data = Arrays(section.prepare(raw), y, weight)
        return ArraySource(data, batch_size, steps, check)
    return RawSource(section, raw, y, weight, rows, batch_size, steps, check)


def _bytes(section: HostSection, raw: Raw, rows: int) -> int:
    """What the numbers of all rows take, by a few of them."""
    few = section.prepare(Raw(array[:_SAMPLE] for array in raw))
    taken = sum(a.nbytes for k, a in enumerate(few) if k not in section.places)
    return taken * rows // min(rows, _SAMPLE)


class RawSource(IterableSource):
    """Batches in the order that arrays would have, made numbers one at a time.

    Args:
        section: makes them numbers.
        raw: arrays, one for each input of the model.
        y: targets.
        sample_weight: weights of rows.
        rows: how many rows they have.
        batch_size: rows of a batch; by default as for arrays.
        steps: batches of an epoch, when not all.
        check: whether NaN and infinity are refused.
    """

    def __init__(
        self,
        section: HostSection,
        raw: Raw,
        y: Any,
        sample_weight: Any,
        rows: int,
        batch_size: int | None,
        steps: int | None,
        check: bool,
    ) -> None:
        self.size = rows_of_batch(batch_size, rows, steps)
        self.total = -(-rows // self.size)
        super().__init__(range(self.total), steps, check)
        self.section, self.parts = section, (raw, y, sample_weight)
        self.count = rows
        self.rows: int | None = min(rows, (self.steps or 0) * self.size)

    def _iterate(self) -> Iterator[Any]:
        order = self.order
        rows: Any
        shuffled = None
        if isinstance(order, Shuffle):
            shuffled = permutation(order.seed, order.epoch, self.count)
        for i in range(self.total):
            rows = slice(i * self.size, (i + 1) * self.size)
            if shuffled is not None:
                rows = shuffled[rows]
            raw, y, weight = self._taken(rows)
            x: Prepared = self.section.prepare(raw)
            yield x, y, weight

    def _taken(self, rows: Any) -> tuple[Any, ...]:
        return tuple(
            None if part is None else tree.map_leaves(lambda a: a[rows], part)
            for part in self.parts
        )
