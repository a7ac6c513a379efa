"""Iterables as the source of a loop's batches: they are made ahead and pushed one at a time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

from ranvier import config
from ranvier.data.ahead import DEPTH, Ahead, Forked, Pace
from ranvier.data.arrays import Arrays, is_array, structured, unpack
from ranvier.data.split import class_weights
from ranvier.errors import DataError, ShapeError
from ranvier.graph.ops.random import permutation
from ranvier.models.sources import Hook, call_step, place_of


def is_iterable_of_batches(x: Any) -> bool:
    """Whether x is a source of batches rather than data."""
    if is_array(x) or x is None or isinstance(x, (Mapping, list, tuple, str)):
        return False
    if isinstance(x, Sequence):
        return True
    return (
        hasattr(x, "__iter__")
        or hasattr(x, "__next__")
        or (
            hasattr(x, "__getitem__")
            and (hasattr(x, "__len__") or hasattr(x, "num_batches"))
        )
    )


class IterableSource:
    """An iterable, generator or dataset of batches, pushed one at a time.

    Args:
        source: yields x, ``(x, y)`` or ``(x, y, sample_weight)``.
        steps: batches of an epoch; all of them by default.
        check: whether NaN and infinity are refused.
        class_weight: weight of each class.
        prepare: what is done with x before the step takes it.
    """

    def __init__(
        self,
        source: Any,
        steps: int | None = None,
        check: bool = False,
        class_weight: Any = None,
        prepare: Callable[[Any], Any] | None = None,
    ) -> None:
        self.source, self.steps, self.class_weight = source, steps, class_weight
        self.prepare = prepare
        self.indexed = hasattr(source, "__getitem__") and not hasattr(
            source, "__iter__"
        )
        if hasattr(source, "__getitem__") and hasattr(source, "on_epoch_end"):
            self.indexed = True
        if self.steps is None:
            self.steps = self._count()
            if self.steps is None and hasattr(source, "num_batches"):
                raise ShapeError(
                    "RV100",
                    f"{type(source).__name__} gives batches without end",
                    fix="steps_per_epoch=1000 in fit, steps=1000 in evaluate and predict",
                )
        self.limited = steps is not None
        self.order: Any = None
        self.rows: int | None = None
        self.checks = check
        self.epoch: int | None = None
        self.iterator: Iterator[Any] | None = None
        self.first: Arrays | None = None
        self.ran_out = False
        self.pace = Pace()

    def cut(self, steps: int) -> bool:
        """Ends epochs after so many steps at the latest; whether that is earlier."""
        if self.steps is not None and steps >= self.steps:
            return False
        self.steps = steps  # and each epoch begins anew: nothing is missing
        return True

    def _count(self) -> int | None:
        """The number of batches, where it is known."""
        if hasattr(self.source, "num_batches"):
            count: int | None = self.source.num_batches
            return count
        return len(self.source) if hasattr(self.source, "__len__") else None

    def _iterate(self) -> Iterator[Any]:
        """Batches, or their numbers where they are asked for by number."""
        if not self.indexed:
            return iter(self.source)
        if hasattr(self.source, "on_epoch_begin"):
            self.source.on_epoch_begin()
        count = self._count()
        if count is None:
            return itertools.count()
        if self.order is None:
            return iter(range(count))
        return map(int, permutation(self.order.seed, self.order.epoch, count))

    def begin(self, order: Any = None, afresh: bool = False) -> None:
        """Starts an epoch; with `steps` it goes on where it stopped, unless afresh.

        Batches that are asked for by number come in a new order, those of a generator
        as it gives them.
        """
        self.order = order
        if afresh or self.iterator is None or not self.limited:
            self.iterator = self._iterate()

    def _pull(self) -> Arrays | None:
        """The next batch; ``None`` at the end, and behind it."""
        if self.iterator is None:
            return None
        try:
            found = next(self.iterator)
        except StopIteration:
            self.iterator = None
            return None
        return self._made(self.source[found] if self.indexed else found)

    def _made(self, batch: Any) -> Arrays:
        """A batch of the source as the step takes it."""
        x, y, weight = unpack(batch)
        if self.prepare is not None:
            x = self.prepare(x)
        if self.class_weight is not None:
            weight = class_weights(structured(y, "y"), self.class_weight)
        return Arrays(x, y, weight)

    def _at(self, index: int) -> Arrays:
        return self._made(self.source[index])

    def _tasks(
        self, left: int | None, by_number: Callable[[int], Callable[[], Any]]
    ) -> Iterator[Callable[[], Any]]:
        """What makes the batches of this epoch that are left.

        No more than it takes, so that a generator gives the rest to the next epoch.
        """
        for _ in itertools.count() if left is None else range(left):
            if not self.indexed:
                yield self._pull
                continue
            index = None if self.iterator is None else next(self.iterator, None)
            if index is None:
                self.iterator = None
                return
            yield by_number(index)

    @contextmanager
    def _batches(self) -> Iterator[Iterator[Arrays | None]]:
        """Batches of an epoch, made while steps compute; ``None`` at the end of some."""
        first, self.first = [] if self.first is None else [self.first], None
        left = None if self.steps is None else self.steps - len(first)
        told = self.source if self.indexed else None
        workers = getattr(told, "workers", 1)
        depth = getattr(told, "max_queue_size", DEPTH)
        apart = getattr(told, "use_multiprocessing", False)
        here = self._tasks(left, lambda index: partial(self._at, index))
        if not config.get("RANVIER_PREFETCH") or (workers < 1 and not apart):
            yield itertools.chain(first, (task() for task in here))
        elif apart:
            workers = max(1, workers)
            with Forked(told, workers) as forked:
                tasks = self._tasks(left, forked.task)
                with Ahead(tasks, workers, depth, forked.pool) as found:
                    yield itertools.chain(first, map(self._made, found))
        elif workers > 1:
            with Ahead(here, workers, depth) as made:
                yield itertools.chain(first, made)
        else:
            with closing(self.pace.taken(here, depth)) as made:
                yield itertools.chain(first, made)

    def example(self) -> Arrays:
        """The first batch, kept for the loop."""
        if self.first is None:
            if self.iterator is None:
                self.iterator = self._iterate()
            self.first = self._pull()
            if self.first is None:
                raise DataError(
                    "RV207",
                    "the iterable gave no batch",
                    details="a generator can be used once; it may be exhausted",
                    fix="make it anew",
                )
        return self.first

    def spent(self) -> bool:
        """Whether a generator, which cannot start again, has no batch left."""
        if self.indexed or iter(self.source) is not self.source:
            return False
        if self.first is None:
            self.iterator = self.iterator or self._iterate()
            self.first = self._pull()
        return self.first is None

    def run(
        self, step_for: Any, tick: Any, begin: Hook | None, end: Hook | None
    ) -> tuple[int, list[Mapping[str, Any]]]:
        """Runs an epoch; `step_for` gives the compiled step for a batch's shapes."""
        kept: list[Mapping[str, Any]] = []
        done = 0
        self.ran_out = False
        with self._batches() as batches:
            while self.steps is None or done < self.steps:
                data = next(batches, None)
                if data is None:
                    self.ran_out = self.limited or done == 0
                    break
                if begin is not None:
                    begin(done)
                step = step_for(data)
                place = place_of(self.epoch, done, self.steps)
                found = call_step(step, data, self.checks, place)
                done += 1
                if step.kind == "predict":
                    kept.append(found)
                elif step.collect:
                    step.take_python(found)
                if tick is not None and tick(done):
                    raise KeyboardInterrupt
                if end is not None and end(done - 1):
                    break
        if self.indexed and hasattr(self.source, "on_epoch_end"):
            self.source.on_epoch_end()
        return done, kept
