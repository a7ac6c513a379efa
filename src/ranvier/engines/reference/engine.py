"""Runs a graph by its reference functions. Slow, plain, and right by definition."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ranvier.engines.api import Batches, Fault, RunRecord, Shuffle, Tick
from ranvier.errors import RanvierError, ShapeError
from ranvier.graph.dims import unify
from ranvier.graph.evaluate import Interpreter
from ranvier.graph.ir import Graph
from ranvier.graph.ops.random import permutation

Array = np.ndarray[Any, Any]
TICK_SECONDS = 0.1


class ReferenceExecutable:
    """A graph and how to walk it.

    Args:
        graph: The graph.
        float64: Compute in double precision; variables are still stored as they are.
    """

    def __init__(self, graph: Graph, float64: bool = False) -> None:
        self.graph = graph
        self.float64 = float64
        self._variables = [
            (node, node.attrs["variable"])
            for node in graph.nodes()
            if node.op.name == "variable"
        ]

    def call(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run once; variables are updated, outputs returned."""
        sizes: dict[str, int] = {}
        known = {}
        for name, node in self.graph.inputs.items():
            array = np.asarray(inputs[name]).astype(node.dtype)
            if not unify(node.shape, array.shape, sizes):
                raise ShapeError(
                    "RV103",
                    f"input {name!r} does not have the shape the graph was made for",
                    details=f"got {array.shape}, needs {node.spec}",
                )
            known[node] = array
        interpreter = Interpreter(sizes, self.float64)
        for node, variable in self._variables:
            known[node] = variable.storage.read()
        known = {node: interpreter.widen(array) for node, array in known.items()}
        found = interpreter.run(self.graph.results(), known)
        n = len(self.graph.outputs)
        for variable, value in zip(self.graph.updates, found[n:], strict=True):
            variable.storage.write(value)
        return dict(zip(self.graph.outputs, found[:n], strict=True))

    def run(
        self,
        batches: Batches,
        *,
        collect: Sequence[str] = (),
        tick: Tick | None = None,
    ) -> RunRecord:
        """Run once a batch."""
        record = RunRecord()
        order = batches.order
        if isinstance(order, Shuffle):
            order = permutation(order.seed, order.epoch, batches.rows)
        kept: dict[str, list[Array]] = {name: [] for name in collect}
        ticked = time.monotonic()
        for batch in range(batches.first, batches.last):
            start = batch * batches.batch_size
            rows: Any = slice(start, min(start + batches.batch_size, batches.rows))
            if order is not None:
                rows = order[rows]
            inputs = {name: array[rows] for name, array in batches.arrays.items()}
            record.fault = _not_finite(inputs, batches, rows)
            if record.fault is not None:
                break
            try:
                outputs = self.call(inputs)
            except RanvierError as error:
                if error.code != "RV105":
                    raise
                record.fault = Fault("RV105", details={"error": error})
                break
            for name in collect:
                kept[name].append(outputs[name])
            record.steps += 1
            record.rows += len(next(iter(inputs.values())))
            now = time.monotonic()
            if tick is not None and now - ticked >= TICK_SECONDS:
                ticked = now
                if tick(record.steps):
                    record.interrupted = True
                    break
        for name, parts in kept.items():
            if parts:
                record.collected[name] = (
                    np.concatenate(parts) if parts[0].ndim else np.stack(parts)
                )
        return record


def _not_finite(
    inputs: Mapping[str, Array], batches: Batches, rows: Any
) -> Fault | None:
    for name in batches.check_finite:
        array = inputs[name]
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            flat = array.reshape(len(array), -1)
            row, column = (int(i) for i in np.argwhere(~np.isfinite(flat))[0])
            at = rows.start + row if isinstance(rows, slice) else int(rows[row])
            return Fault("RV204", name, at, column, float(flat[row, column]))
    return None


class ReferenceEngine:
    """The engine called ``"reference"``."""

    name = "reference"

    def compile(self, graph: Graph, float64: bool = False) -> ReferenceExecutable:
        """Nothing to prepare: the graph itself is run."""
        return ReferenceExecutable(graph, float64)


ENGINE = ReferenceEngine()
