"""Compiles a graph with `jax.jit`: one XLA program for each set of sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from ranvier.engines.api import Fault
from ranvier.engines.by_batch import ByBatch
from ranvier.engines.faults import error_of
from ranvier.engines.jax.walk import Site, Walker, refuse_unknown
from ranvier.errors import DataError
from ranvier.graph.ir import Graph
from ranvier.graph.locks import building

Array = np.ndarray[Any, Any]
#: Programs kept for one graph; each set of sizes (the last partial batch) has its own.
PROGRAMS = 32


class JaxExecutable(ByBatch):
    """A graph as XLA programs. State stays where the variables keep it.

    Args:
        graph: The graph.

    Raises:
        Unsupported: RV502, when an operation has no row in the table.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        refuse_unknown(graph.nodes())
        self._programs: dict[Any, tuple[Callable[..., Any], list[Site]]] = {}

    def call(
        self, inputs: Mapping[str, Array], check_finite: Sequence[str] = ()
    ) -> dict[str, Array]:
        """Run once; variables are updated, outputs returned."""
        known, sizes = self.fitted(inputs)
        state = [variable.storage.read() for _, variable in self._variables]
        # int64, uint64 and float64 mean themselves in graphs; outside nothing changes.
        with jax.enable_x64(True):
            program, sites = self._program(sizes)
            outputs, updates, checks, fault = jax.device_get(program(known, state))
        if fault[0]:
            raise error_of(_fault(sites[int(fault[0]) - 1], *fault[1:]), inputs)
        for name, value in checks.items():
            if name in check_finite and not np.isfinite(value):
                raise error_of(Fault("RV301", name, value=float(value)), inputs)
        with building:  # another engine may be moving them to other memory
            for variable, value in zip(self.graph.updates, updates, strict=True):
                variable.storage.write(value)
        # What JAX hands out is read-only.
        return {name: np.array(value) for name, value in outputs.items()}

    def _program(
        self, sizes: Mapping[str, int]
    ) -> tuple[Callable[..., Any], list[Site]]:
        key = tuple(sizes.items())
        found = self._programs.get(key)
        if found is None:
            with building:
                found = self._programs[key] = self._make(sizes)
                while len(self._programs) > PROGRAMS:
                    self._programs.pop(next(iter(self._programs)))
        return found

    def _make(self, sizes: Mapping[str, int]) -> tuple[Callable[..., Any], list[Site]]:
        graph = self.graph
        sites: list[Site] = []

        def step(inputs: dict[str, Any], state: list[Any]) -> Any:
            names = {node: name for name, node in graph.inputs.items()}
            walker = Walker(sizes, names, sites)
            known = {node: inputs[name] for node, name in names.items()}
            for (node, _), value in zip(self._variables, state, strict=True):
                known[node] = value
            found = iter(walker.run(graph.results(), known))
            outputs = {name: next(found) for name in graph.outputs}
            updates = [next(found) for _ in graph.updates]
            checks = dict(zip(graph.checks, found, strict=True))
            return outputs, updates, checks, walker.fault

        return jax.jit(step), sites


def _fault(site: Site, value: Any, row: Any) -> Fault:
    """What a check found, in the terms of the contract."""
    at, number = int(row) if site.rowed else -1, float(value)
    if site.code == "RV111":
        details: dict[str, Any] = {"axis": f"its size is {site.high}"}
        return Fault("RV111", site.input, at, value=number, details=details)
    plain = DataError(
        "RV105",
        f"label {number:g} found, the output has {site.high} units "
        f"({site.low}..{site.high - 1})",
        fix=f"labels must run from {site.low} to {site.high - 1}",
    )
    details = {"error": plain, "high": site.high}
    return Fault("RV105", site.input, at, value=number, details=details)


class JaxEngine:
    """The engine called ``"jax"``."""

    name = "jax"

    def compile(self, graph: Graph) -> JaxExecutable:
        """Check that every operation has a row; XLA compiles at the first call.

        Raises:
            Unsupported: RV502, when one has none.
        """
        return JaxExecutable(graph)


ENGINE = JaxEngine()
