"""Runs a graph by its reference functions. Slow, plain, and right by definition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ranvier.engines.api import Fault
from ranvier.engines.by_batch import ByBatch
from ranvier.engines.faults import error_of
from ranvier.graph.evaluate import Interpreter
from ranvier.graph.ir import Graph
from ranvier.graph.locks import building

Array = np.ndarray[Any, Any]


class ReferenceExecutable(ByBatch):
    """A graph and how to walk it.

    Args:
        graph: The graph.
        float64: Compute in double precision; variables are still stored as they are.
    """

    def __init__(self, graph: Graph, float64: bool = False) -> None:
        super().__init__(graph)
        self.float64 = float64

    def call(
        self, inputs: Mapping[str, Array], check_finite: Sequence[str] = ()
    ) -> dict[str, Array]:
        """Run once; variables are updated, outputs returned."""
        arrays, sizes = self.fitted(inputs)
        known = {self.graph.inputs[name]: array for name, array in arrays.items()}
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


class ReferenceEngine:
    """The engine called ``"reference"``."""

    name = "reference"

    def compile(self, graph: Graph, float64: bool = False) -> ReferenceExecutable:
        """Nothing to prepare: the graph itself is run."""
        return ReferenceExecutable(graph, float64)


ENGINE = ReferenceEngine()
