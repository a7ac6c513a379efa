"""The NumPy interpreter of graphs: the definition of what a graph means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ranvier.graph.dims import bind
from ranvier.graph.ir import Node, Region, walk
from ranvier.graph.op import Composite

Array = np.ndarray[Any, Any]


class Interpreter:
    """Evaluates nodes with the reference function of each operation.

    Args:
        sizes: The integer of each symbolic size.
        float64: Compute everything that is float32 in float64.
    """

    def __init__(
        self, sizes: Mapping[str, int] | None = None, float64: bool = False
    ) -> None:
        self.sizes = dict(sizes or {})
        self.float64 = float64

    def run(self, results: Sequence[Node], known: Mapping[Node, Any]) -> list[Any]:
        """Values of ``results``, given the values of leaves (or any other nodes)."""
        values = self.values(results, known)
        return [values[node] for node in results]

    def values(
        self, results: Sequence[Node], known: Mapping[Node, Any]
    ) -> dict[Node, Any]:
        """Values of ``results`` and of all nodes on the way to them."""
        values: dict[Node, Any] = dict(known)
        for node in walk(results):
            if node not in values:
                values[node] = self.value(node, values)
        return values

    def region(self, region: Region, args: Sequence[Array]) -> tuple[Array, ...]:
        """Results of a region applied to arrays."""
        return tuple(
            self.run(region.results, dict(zip(region.params, args, strict=True)))
        )

    def widen(self, array: Array) -> Array:
        """As float64 when that is asked for."""
        wide = self.float64 and array.dtype == np.float32
        return array.astype(np.float64) if wide else array

    def value(self, node: Node, values: Mapping[Node, Any]) -> Any:
        """The value of one node, given those of its inputs."""
        op = node.op
        if op.name == "const":
            return self.widen(node.attrs["value"])
        if op.name == "get":
            return values[node.inputs[0]][node.attrs["index"]]
        args = [values[c] for c in node.inputs]
        if isinstance(op, Composite):
            region: Region = node.attrs["body"]
            found = self.region(region, args)
            return found if len(found) > 1 else found[0]
        attrs = bind(node.attrs, self.sizes)
        if self.float64 and attrs.get("dtype") == "float32":
            attrs["dtype"] = "float64"
        if op.family == "region":
            return op.ref(*args, **attrs, evaluate=self.region, sizes=self.sizes)
        return np.asarray(op.ref(*args, **attrs))
