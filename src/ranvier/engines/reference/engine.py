"""Runs a graph by its reference functions. Slow, plain, and right by definition."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ranvier.engines.api import Batches, Fault, RunRecord, Tick
from ranvier.engines.faults import error_of, not_finite
from ranvier.engines.order import RowOrder
from ranvier.errors import RanvierError, ShapeError
from ranvier.graph.dims import unify
from ranvier.graph.evaluate import Interpreter
from ranvier.graph.ir import Graph
from ranvier.graph.locks import building
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
        self._order = RowOrder(permutation)
        self._variables = [
            (node, node.attrs["variable"])
            for node in graph.nodes()
            if node.op.name == "variable"
        ]

    def call(
        self, inputs: Mapping[str, Array], check_finite: Sequence[str] = ()
    ) -> dict[str, Array]:
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
        found = iter(interpreter.run(self.graph.results(), known))
        outputs = {name: next(found) for name in self.graph.outputs}
        updates = [(variable, next(found)) for variable in self.graph.updates]
        for name, value in zip(self.graph.checks, found, strict=True):
            if name in check_finite and not np.isfinite(value):
                raise error_of(Fault("RV301", name, value=float(value)), inputs)
        with building:  # another engine may be moving them to other memory
            for variable, value in updates:
                variable.storage.write(value)
        return outputs

    def run(
        self,
        batches: Batches,
        *,
        collect: Sequence[str] = (),
        tick: Tick | None = None,
    ) -> RunRecord:
        """Run once a batch."""
        record = RunRecord()
        checks = [name for name in batches.check_finite if name in self.graph.checks]
        looked = [name for name in batches.check_finite if name in self.graph.inputs]
        order = self._order.of(batches)
        kept: dict[str, list[Array]] = {name: [] for name in collect}
        ticked = time.monotonic()
        for batch in range(batches.first, batches.last):
            start = batch * batches.batch_size
            rows: Any = slice(start, min(start + batches.batch_size, batches.rows))
            if order is not None:
                rows = order[rows]
            inputs = {name: array[rows] for name, array in batches.arrays.items()}
            record.fault = not_finite(inputs, looked, rows)
            if record.fault is not None:
                break
            try:
                outputs = self.call(inputs, checks)
            except RanvierError as error:
                if isinstance(error.fault, Fault):
                    record.fault = error.fault
                elif error.code == "RV105":
                    record.fault = Fault("RV105", details={"error": error})
                else:
                    raise
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


class ReferenceEngine:
    """The engine called ``"reference"``."""

    name = "reference"

    def compile(self, graph: Graph, float64: bool = False) -> ReferenceExecutable:
        """Nothing to prepare: the graph itself is run."""
        return ReferenceExecutable(graph, float64)


ENGINE = ReferenceEngine()
