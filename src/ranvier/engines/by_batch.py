"""Runs an engine's `call` batch by batch, for engines that know nothing better."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ranvier.engines.api import Batches, Fault, RunRecord, Tick
from ranvier.engines.faults import not_finite
from ranvier.engines.order import RowOrder
from ranvier.errors import RanvierError, ShapeError
from ranvier.graph.dims import unify
from ranvier.graph.ir import Graph
from ranvier.graph.ops.random import permutation

Array = np.ndarray[Any, Any]
TICK_SECONDS = 0.1


class ByBatch:
    """An executable that gathers each batch in NumPy and calls itself with it.

    Args:
        graph: The graph.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
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
        raise NotImplementedError

    def fitted(
        self, inputs: Mapping[str, Array]
    ) -> tuple[dict[str, Array], dict[str, int]]:
        """The inputs in the graph's dtypes, and the numbers of its symbolic sizes.

        Raises:
            ShapeError: RV103, when one has another shape.
        """
        sizes: dict[str, int] = {}
        found = {}
        for name, node in self.graph.inputs.items():
            array = np.asarray(inputs[name]).astype(node.dtype)
            if not unify(node.shape, array.shape, sizes):
                raise ShapeError(
                    "RV103",
                    f"input {name!r} does not have the shape the graph was made for",
                    details=f"got {array.shape}, needs {node.spec}",
                )
            found[name] = array
        return found, sizes

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
                    record.fault = _in_the_data(error.fault, rows)
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


def _in_the_data(fault: Fault, rows: Any) -> Fault:
    """The fault with its row counted in the data, not in the batch."""
    if fault.row < 0:
        return fault
    row = fault.row + rows.start if isinstance(rows, slice) else int(rows[fault.row])
    return dataclasses.replace(fault, row=row)
