"""Values that are made ahead of time, in other threads or processes, in their order.

While a step computes, Python is free (the engine does not hold its lock): the next batch
is read, decoded or looked up meanwhile.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from contextvars import copy_context
from itertools import islice
from time import perf_counter, thread_time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ranvier import config

# Pools are loaded where one is made: training from arrays starts without them.
if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

T = TypeVar("T")
__all__ = ["Ahead", "Forked", "Pace"]

#: Batches of an iterator that are made ahead.
DEPTH = 2


class Ahead(Generic[T]):
    """Results of tasks, in order; some of those to come are being worked on.

    Leaving the block waits for what has begun and drops the rest.

    Args:
        tasks: gone through in the thread that asks for results.
        workers: how many tasks run at a time.
        depth: how many are begun before their results are asked for, at most.
        pool: where they run; by default threads of its own.

    Example:
        >>> with Ahead((lambda i=i: i * i for i in range(4)), workers=2) as results:
        ...     list(results)
        [0, 1, 4, 9]
    """

    def __init__(
        self,
        tasks: Iterator[Callable[[], T]],
        workers: int = 1,
        depth: int = DEPTH,
        pool: Executor | None = None,
    ) -> None:
        from concurrent.futures import ThreadPoolExecutor

        self._tasks = tasks
        self._depth = max(depth, workers)
        self._pool = pool or ThreadPoolExecutor(workers, "ranvier-ahead")
        self._threads = pool is None
        self._begun: deque[Future[T]] = deque()

    def _begin(self) -> None:
        while len(self._begun) < self._depth:
            task = next(self._tasks, None)
            if task is None:
                return
            # Threads take along what holds here, such as `config.at_most_threads`.
            call = (copy_context().run, task) if self._threads else (task,)
            self._begun.append(self._pool.submit(*call))

    def __iter__(self) -> Ahead[T]:
        return self

    def __next__(self) -> T:
        self._begin()
        if not self._begun:
            raise StopIteration
        found = self._begun.popleft().result()
        self._begin()
        return found

    def __enter__(self) -> Ahead[T]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._begun.clear()
        self._pool.shutdown(wait=True, cancel_futures=True)


#: Results that are timed before it is known whether a thread pays; the first is not.
LOOKED_AT = 4
#: Seconds of one that are worth a thread: handing it over takes a tenth of a millisecond.
WORTH = 3e-4


class Pace:
    """Whether results are made in another thread, once some have been timed.

    That pays where making one waits, for a disk or for other processes, or where the
    engine leaves a core free. What only computes gains nothing on cores that are busy.

    Attributes:
        ahead: the answer; ``None`` while it is not known.
    """

    def __init__(self) -> None:
        self.ahead: bool | None = None

    def taken(self, tasks: Iterator[Callable[[], T]], depth: int) -> Iterator[T]:
        """Results in order; to be closed."""
        if self.ahead is None:
            spent = []
            for task in islice(tasks, LOOKED_AT + 1):
                begun, used = perf_counter(), thread_time()
                found = task()
                whole = perf_counter() - begun
                computed = 0.0 if _core_to_spare() else thread_time() - used
                spent.append(whole - computed)
                yield found
            if len(spent) > LOOKED_AT:
                self.ahead = sorted(spent[1:])[LOOKED_AT // 2] > WORTH
        if not self.ahead:
            yield from (task() for task in tasks)
            return
        with Ahead(tasks, depth=depth) as results:
            yield from results


def _core_to_spare() -> bool:
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return 0 < config.get("RANVIER_THREADS") < cores


#: What forked processes find in their copy of this one's memory.
_inherited: dict[int, Any] = {}


class Forked:
    """Processes that give ``source[index]``; they know the source as it is when made.

    Args:
        source: need not be picklable; what it gives must be.
        workers: how many processes.
    """

    def __init__(self, source: Any, workers: int) -> None:
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        self._key = id(source)
        _inherited[self._key] = source
        self.pool = ProcessPoolExecutor(workers, mp_context=get_context("fork"))

    def task(self, index: int) -> Callable[[], Any]:
        """What a process is to do."""
        return _Item(self._key, index)

    def __enter__(self) -> Forked:
        return self

    def __exit__(self, *_: object) -> None:
        _inherited.pop(self._key, None)


class _Item:
    def __init__(self, key: int, index: int) -> None:
        self._key, self._index = key, index

    def __call__(self) -> Any:
        return _inherited[self._key][self._index]
