"""Steps defined by running them: Python runs on every batch, and has its numbers.

A compiled step is traced once, so what it does cannot depend on numbers in Python. Here
each batch is traced anew, by a trace whose symbols have numbers too, and the graph of
that batch is run and thrown away. Gradients and updates are those of the graph.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ranvier.engines.api import Batches, RunRecord, Tick
from ranvier.engines.choice import compile_graph
from ranvier.engines.faults import not_finite
from ranvier.engines.order import RowOrder
from ranvier.errors import Finding, NumericsError, RanvierError, warn
from ranvier.graph import Graph, current_trace, tree
from ranvier.graph.ir import walk
from ranvier.graph.locks import building
from ranvier.graph.ops.random import permutation

#: Stands for the losses of a step that is known only once it runs.
LOSSES = "losses"
TICK_SECONDS = 0.1
Array = np.ndarray[Any, Any]


class DefinedByRun:
    """An executable that makes its graph anew for every batch.

    Args:
        graph_of: gives the graph for a batch, by input name.
        collect: gives the outputs to keep, once a graph was made.
        dtypes: dtype of each input inside the graph.
        engine: what runs the graphs.
    """

    def __init__(
        self,
        graph_of: Callable[[Mapping[str, Array]], Graph],
        collect: Callable[[], Sequence[str]],
        dtypes: Mapping[str, str],
        engine: str | None,
    ) -> None:
        self.graph_of, self.collect = graph_of, collect
        self.dtypes, self.engine = dtypes, engine
        self._order = RowOrder(permutation)

    def call(
        self, inputs: Mapping[str, Array], check_finite: Sequence[str] = ()
    ) -> dict[str, Array]:
        """Run once; variables are updated, outputs returned."""
        return self._call(inputs, check_finite)[0]

    def _call(
        self, inputs: Mapping[str, Array], check_finite: Sequence[str]
    ) -> tuple[dict[str, Array], Sequence[str]]:
        """The outputs, and the names of those to keep."""
        typed = {name: np.asarray(a, self.dtypes[name]) for name, a in inputs.items()}
        with building:  # layers note weights and losses on themselves, batch for batch
            graph = self.graph_of(typed)
            executable, names = compile_graph(graph, self.engine), self.collect()
        checks = tuple(graph.checks) if LOSSES in check_finite else ()
        return executable.call(typed, checks), names

    def run(
        self,
        batches: Batches,
        *,
        collect: Sequence[str] = (),
        tick: Tick | None = None,
    ) -> RunRecord:
        """Run once a batch; `collect` is known only then."""
        record = RunRecord()
        kept: dict[str, list[Array]] = {}
        order = self._order.of(batches)
        rows: Any
        ticked = time.monotonic()
        looked = [n for n in batches.check_finite if n in batches.arrays]
        for batch in range(batches.first, batches.last):
            start = batch * batches.batch_size
            rows = slice(start, min(start + batches.batch_size, batches.rows))
            if order is not None:
                rows = order[rows]
            inputs = {name: array[rows] for name, array in batches.arrays.items()}
            record.fault = not_finite(inputs, looked, rows)
            if record.fault is not None:
                break
            try:
                outputs, names = self._call(inputs, batches.check_finite)
            except RanvierError as error:
                if error.code != "RV301" or error.fault is None:
                    raise
                record.fault = error.fault  # type: ignore[assignment]
                break
            for name in names:
                kept.setdefault(name, []).append(outputs[name])
            record.steps += 1
            record.rows += len(next(iter(inputs.values())))
            now = time.monotonic()
            if tick is not None and now - ticked >= TICK_SECONDS:
                ticked = now
                if tick(record.steps):
                    record.interrupted = True
                    break
        for name, parts in kept.items():
            record.collected[name] = (
                np.concatenate(parts) if parts[0].ndim else np.stack(parts)
            )
        return record


class NeedsNumbers(Exception):
    """A loss asked for numbers while a step is traced once for all batches."""

    def __init__(self, name: str, fault: BaseException) -> None:
        super().__init__(str(fault))
        self.name, self.fault = name, fault

    def tell(self) -> None:
        """The finding that it runs in Python from now on."""
        warn(
            Finding(
                "RV503",
                f"loss {self.name!r} runs in Python, on every batch, on the reference "
                "engine: it asks for numbers where a step is traced",
                fix="write it with ranvier.ops (ops.where, ops.cond) to run it inside "
                "the compiled step",
                details=getattr(self.fault, "details", "") or str(self.fault),
            )
        )


def untraceable(fault: BaseException) -> bool:
    """Whether Python code failed because it wanted numbers while a step is traced."""
    if isinstance(fault, RanvierError):
        return fault.code == "RV110"
    return isinstance(fault, TypeError) and (
        "ufunc" in str(fault) or "'Dim'" in str(fault)
    )


@contextmanager
def may_need_numbers(name: str) -> Iterator[None]:
    """Inside, a loss is computed, which may turn out to need numbers.

    Raises:
        NeedsNumbers: instead of the error, where the trace has none to give.
    """
    try:
        yield
    except (RanvierError, TypeError) as fault:
        trace = current_trace()
        if trace is None or trace.defines_by_run or not untraceable(fault):
            raise
        raise NeedsNumbers(name, fault) from fault


def must_depend(name: str, value: Any, output: Any, taken: int) -> None:
    """A loss that was computed outside of the graph has no gradient to train with.

    Args:
        name: the loss.
        value: what it gave.
        output: the predictions it was given.
        taken: how many times numbers had been taken from the trace before.

    Raises:
        NumericsError: RV303, naming the line where it left the graph.
    """
    trace = current_trace()
    if trace is None or not trace.defines_by_run or len(trace.taken) == taken:
        return
    node = getattr(value, "node", None)
    wanted = {leaf.node for leaf in tree.flatten(output)}
    if node is not None and not wanted.isdisjoint(walk([node])):
        return
    lines = list(dict.fromkeys(trace.taken[taken:]))
    raise NumericsError(
        "RV303",
        f"loss {name!r} cannot train: its result does not depend on the predictions by "
        "operations of ranvier",
        details="their numbers were taken at " + ", ".join(lines),
        fix="compute the loss with ranvier.ops and arithmetic on the tensors; numbers "
        "(float(t), t.numpy(), np.asarray(t)) may only decide; evaluate() takes any loss",
    )
