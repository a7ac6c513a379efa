"""The intermediate representation: specs, nodes, regions and graphs."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ranvier.graph.dims import Shape, symbols

if TYPE_CHECKING:
    from ranvier.graph.op import Op
    from ranvier.graph.variable import Variable


@dataclass(frozen=True, slots=True)
class Spec:
    """Shape and dtype of a value. Sizes are integers or symbols."""

    shape: Shape
    dtype: str

    def __repr__(self) -> str:
        return f"{self.dtype}[{','.join(map(str, self.shape))}]"

    @property
    def floating(self) -> bool:
        """Whether gradients can flow through a value of this dtype."""
        return self.dtype.startswith(("float", "bfloat"))


class Origin(NamedTuple):
    """Where a node comes from: the layer, the user's line and the part of the step."""

    layer: str
    line: str
    role: str


_serial = itertools.count()


class Node:
    """One operation of a graph. Compared by identity; never changed once made.

    Attributes:
        op: The operation's record.
        inputs: Nodes it reads.
        attrs: Static arguments (axes, shapes with symbols, regions).
        spec: Spec of the result; a tuple for an operation with several results.
        origins: Where it comes from; several after nodes were merged.
        serial: Order of creation: a node inside a region is younger than the region.
    """

    __slots__ = ("__weakref__", "attrs", "inputs", "op", "origins", "serial", "spec")

    def __init__(
        self,
        op: Op,
        inputs: Sequence[Node],
        attrs: dict[str, Any],
        spec: Any,
        origins: tuple[Origin, ...] = (),
    ) -> None:
        self.op = op
        self.inputs = tuple(inputs)
        self.attrs = attrs
        self.spec = spec
        self.origins = origins
        self.serial = next(_serial)

    def __repr__(self) -> str:
        return f"<{self.op.name} {self.spec}>"

    @property
    def shape(self) -> Shape:
        """Shape of the only result."""
        return self.spec.shape

    @property
    def dtype(self) -> str:
        """Dtype of the only result."""
        return self.spec.dtype

    @property
    def layer(self) -> str:
        """Name of the layer whose call made it first; empty outside of layers."""
        return self.origins[0].layer if self.origins else ""


@dataclass(frozen=True, eq=False)
class Region:
    """A closed piece of graph: results in terms of parameters, nothing else."""

    params: tuple[Node, ...]
    results: tuple[Node, ...]

    def __repr__(self) -> str:
        return f"<region {len(self.params)} → {len(self.results)}>"


@dataclass(eq=False)
class Graph:
    """A whole step: ``(state, inputs) → (state', outputs)``.

    Attributes:
        inputs: Placeholders by name.
        outputs: Results by name (logs, predictions).
        updates: New value of every variable that the step changes.
        checks: Scalars by name. A run that is asked to check one stops before the first
            write of a step in which it is not finite.
    """

    inputs: dict[str, Node]
    outputs: dict[str, Node]
    updates: dict[Variable, Node] = field(default_factory=dict)
    checks: dict[str, Node] = field(default_factory=dict)

    def results(self) -> list[Node]:
        """All nodes that must be computed: outputs, updates, checks."""
        return [*self.outputs.values(), *self.updates.values(), *self.checks.values()]

    def rebuilt(self, memo: Mapping[Node, Node], results: Sequence[Node]) -> Graph:
        """The same graph of other nodes.

        Args:
            memo: What inputs have become; those that are not in it stay.
            results: What `results` have become, in that order.
        """
        found = iter(results)
        return Graph(
            {name: memo.get(node, node) for name, node in self.inputs.items()},
            {name: next(found) for name in self.outputs},
            {variable: next(found) for variable in self.updates},
            {name: next(found) for name in self.checks},
        )

    def nodes(self) -> list[Node]:
        """All nodes, each after its inputs."""
        return walk(self.results())

    def variables(self) -> list[Variable]:
        """Variables read or changed, in order of first use."""
        found: dict[Variable, None] = {}
        for node in self.nodes():
            if node.op.name == "variable":
                found.setdefault(node.attrs["variable"])
        for variable in self.updates:
            found.setdefault(variable)
        return list(found)

    def symbols(self) -> set[str]:
        """Names of the symbolic sizes of the inputs."""
        return {
            name
            for node in self.inputs.values()
            for size in node.spec.shape
            for name in symbols(size)
        }

    def __str__(self) -> str:
        return text(self)


def walk(results: Iterable[Node]) -> list[Node]:
    """Nodes that ``results`` depend on, each after its inputs (no recursion)."""
    order: list[Node] = []
    seen: set[Node] = set()
    stack: list[tuple[Node, Iterator[Node]]] = []
    for root in results:
        if root in seen:
            continue
        seen.add(root)
        stack.append((root, iter(root.inputs)))
        while stack:
            node, rest = stack[-1]
            for child in rest:
                if child not in seen:
                    seen.add(child)
                    stack.append((child, iter(child.inputs)))
                    break
            else:
                order.append(node)
                stack.pop()
    return order


def _attr_text(value: Any) -> str:
    if isinstance(value, np.ndarray):
        if value.size == 1:
            return repr(value.item())
        return f"<{value.dtype}{list(value.shape)}>"
    path = getattr(value, "path", None)
    return repr(value) if path is None else str(path)


def text(graph: Graph) -> str:
    """The readable form of a graph: one line a node, regions indented."""
    names: dict[Node, str] = {}
    lines: list[str] = []

    def emit(results: Iterable[Node], indent: str) -> None:
        for node in walk(results):
            if node in names:
                continue
            regions = {k: v for k, v in node.attrs.items() if isinstance(v, Region)}
            if node.op.family == "composite":
                shown: dict[str, Region] = {}  # its name says it
            else:
                shown = regions
            for name, region in shown.items():
                lines.append(f"{indent}  {name}:")
                emit(region.results, indent + "    ")
            names[node] = f"%{len(names)}"
            args = [names[child] for child in node.inputs]
            args += [
                f"{key}={_attr_text(value)}"
                for key, value in node.attrs.items()
                if key not in regions
            ]
            where = "; ".join(
                dict.fromkeys(f"{o.layer}:{o.role}" for o in node.origins if o.layer)
            )
            note = f"  # {where}" if where else ""
            lines.append(
                f"{indent}{names[node]} = {node.op.name}({', '.join(args)}) "
                f": {node.spec}{note}"
            )

    emit(graph.results(), "")
    lines += [f"return {name} = {names[node]}" for name, node in graph.outputs.items()]
    lines += [
        f"assign {variable.path} = {names[node]}"
        for variable, node in graph.updates.items()
    ]
    lines += [f"check {name} = {names[node]}" for name, node in graph.checks.items()]
    return "\n".join(lines)
