"""Arrays as the source of a loop's batches: the engine gathers them, whole epochs at a time."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

import numpy as np

from ranvier.data.arrays import Arrays
from ranvier.engines.api import Batches, Fault, Shuffle
from ranvier.engines.faults import error_of, not_finite
from ranvier.errors import EnvironmentFault, RanvierError, ShapeError
from ranvier.graph.ops.random import permutation
from ranvier.models.divergence import divergence

Hook = Callable[..., Any]


class Interrupt:
    """Turns Ctrl-C into a request that the engine answers at a step boundary."""

    def __init__(self) -> None:
        self.asked = False
        self._before: Any = None

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = True

    def __enter__(self) -> Interrupt:
        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        ):
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: Any) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def check(self) -> None:
        """Raises KeyboardInterrupt if Ctrl-C was pressed."""
        if self.asked:
            self.asked = False
            raise KeyboardInterrupt


def rows_of_batch(batch_size: int | None, rows: int, steps: int | None) -> int:
    """Rows of a batch out of so many, of which `steps` are to be made.

    Raises:
        ShapeError: RV100 for what is no such number.
    """
    size: Any = batch_size
    if size is None:
        # Keras's rule: as many rows as it takes to need `steps` batches, else 32.
        size = -(-rows // steps) if steps else 32
    if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
        raise ShapeError(
            "RV100",
            f"batch_size must be a whole number >= 1, got {size!r}",
            fix="batch_size=32",
        )
    return int(size)


class ArraySource:
    """Arrays in memory.

    Args:
        data: the arrays.
        batch_size: rows of a batch; by default 32, or what `steps` batches take.
        steps: batches of an epoch, when not all.
        check: whether NaN and infinity are refused.
    """

    def __init__(
        self,
        data: Arrays,
        batch_size: int | None,
        steps: int | None = None,
        check: bool = False,
    ) -> None:
        self.data, self.size = data, rows_of_batch(batch_size, data.rows, steps)
        self.total = -(-data.rows // self.size)
        self.steps = self.total if steps is None else int(steps)
        self.limited = steps is not None
        self.at = 0
        self.rows: int | None = min(data.rows, self.steps * self.size)
        self.check = (
            tuple(name for name, a in data.named.items() if a.dtype.kind == "f")
            if check
            else ()
        )
        self.checks_loss = check
        self.epoch: int | None = None
        self.order: Shuffle | None = None
        self.began = 0
        self.ran_out = False
        #: The step for these data and the model's metrics, as the loop last knew them, and
        #: what engines keep: to find them anew each epoch takes longer than small steps.
        self.ready: Any = None
        self.metrics: Any = None
        self.memo: dict[Any, Any] = {}

    def cut(self, steps: int) -> bool:
        """Ends epochs after so many steps at the latest; whether that is earlier."""
        if steps >= self.steps:
            return False
        self.steps = steps  # and each epoch begins anew: nothing is missing
        self.rows = min(self.data.rows, steps * self.size)
        return True

    def example(self) -> Arrays:
        """Data of the kind that the step takes."""
        return self.data

    def begin(self, order: Shuffle | None, afresh: bool = False) -> None:
        """Starts an epoch; with `steps` it goes on where it stopped, unless afresh."""
        if afresh or not self.limited or self.at >= self.total or self.at == 0:
            self.order = order
            self.at = 0

    def spent(self) -> bool:
        """Arrays can be gone through again."""
        return False

    def run(
        self,
        step: Any,
        tick: Callable[[int], bool] | None,
        begin: Hook | None,
        end: Hook | None,
    ) -> tuple[int, list[Mapping[str, Any]]]:
        """Runs an epoch; returns batches done and what was collected, by batch."""
        count = min(self.steps, self.total - self.at)
        self.began = self.at
        self.ran_out = self.limited and count < self.steps
        if (
            begin is None
            and end is None
            and (step.kind == "predict" or not (step.collect or step.by_run))
        ):
            found = self._go(step, self.at, count, tick)
            self.at += count
            return count, [found] if found else []
        kept = []
        for i in range(count):
            if begin is not None:
                begin(i)
            found = self._go(step, self.at, 1, tick)
            self.at += 1
            if found:
                kept.append(found)
                if step.kind != "predict":
                    step.take_python(found)
                    kept.clear()
            if tick is not None and tick(i + 1):
                raise KeyboardInterrupt
            if end is not None and end(i):
                break
        return count, kept

    def _go(self, step: Any, first: int, count: int, tick: Any) -> Mapping[str, Any]:
        checks = (*self.check, *step.checks) if self.checks_loss else ()
        batches = Batches(
            self.data.named, self.size, self.order, first, count, checks, self.memo
        )
        try:
            record = step.executable.run(batches, collect=step.collect, tick=tick)
        except MemoryError as fault:
            raise _no_memory(self.size) from fault
        if record.fault is not None:
            if record.fault.code == "RV301":
                raise self._divergence(step, record.fault, first + record.steps)
            raise error_of(record.fault, self.data.named, step.units)
        if record.interrupted:
            raise KeyboardInterrupt
        return record.collected

    def _divergence(self, step: Any, fault: Fault, batch: int) -> RanvierError:
        start = batch * self.size
        rows = np.arange(start, min(start + self.size, self.data.rows))
        if self.order is not None:
            order = permutation(self.order.seed, self.order.epoch, self.data.rows)
            rows = order[rows]
        inputs = {name: array[rows] for name, array in self.data.named.items()}
        place = place_of(self.epoch, batch - self.began, self.steps)
        return divergence(step, fault, inputs, place, rows)


def place_of(epoch: int | None, batch: int, steps: int | None) -> str:
    """``epoch 2, batch 17 of 1,688``, counted from 1."""
    said = "" if epoch is None else f"epoch {epoch + 1}, "
    return f"{said}batch {batch + 1:,}" + ("" if steps is None else f" of {steps:,}")


def _no_memory(rows: int) -> EnvironmentFault:
    return EnvironmentFault(
        "RV805",
        f"no memory for a batch of {rows:,} rows",
        fix="a smaller batch_size, or fewer units",
    )


def call_step(
    step: Any, data: Arrays, check: bool, place: str = ""
) -> Mapping[str, Any]:
    """Runs a step once on one batch, with faults told as in a whole epoch."""
    if check:
        fault = not_finite(data.named, list(data.named))
        if fault is not None:
            raise error_of(fault, data.named, step.units)
    inputs = {
        name: np.ascontiguousarray(a, step.dtypes[name])
        for name, a in data.named.items()
    }
    try:
        return step.executable.call(inputs, step.checks if check else ())
    except MemoryError as error:
        raise _no_memory(data.rows) from error
    except RanvierError as error:
        fault = error.fault if isinstance(error.fault, Fault) else None
        if fault is None and error.code == "RV105":
            fault = Fault("RV105", details={"error": error})
        if fault is None:
            raise
        if fault.code == "RV301":
            raise divergence(step, fault, inputs, place) from None
        raise error_of(fault, data.named, step.units) from None
