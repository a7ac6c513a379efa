"""Many small variables updated alike become one update of a pool.

A network of a few dozen parameters spends more time on calling kernels than on
arithmetic. When the updates of several small variables are the same expression over
different variables (every optimizer's are), the variables are laid side by side in one
array, their gradients are written side by side too, and one program updates all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ranvier.engines.native.nodes import elementwise, shape_of
from ranvier.engines.native.storage import Aligned, aligned, move
from ranvier.graph.dims import product
from ranvier.graph.ir import Graph, Node
from ranvier.graph.trace import CONST, VARIABLE
from ranvier.graph.variable import Variable

#: Operations that repeat a number.
_REPEATS = frozenset(("broadcast_to", "reshape", "const", "full"))
#: Largest variable that is worth pooling, in elements.
SMALL = 1024


class Pooled(Aligned):
    """A variable that lies in a pool, row-major."""

    def __init__(self, pool: np.ndarray[Any, Any], at: int, value: Any) -> None:
        self.pool = pool
        self.at = at
        self.array = pool[at : at + value.size].reshape(value.shape)
        self.array[...] = value
        self.flat = pool


@dataclass
class Member:
    """The update of one weight and its slots.

    Attributes:
        nodes: The expression, each node after its inputs, in an order that is the same
            for all members of a bundle.
        variables: Variables it reads, by role.
        gradients: Other nodes of the same shape it reads, by role.
        scalars: For each of its leaves that is one number: the node of that number.
        targets: For each result, the role of the variable it is the new value of.
        signature: Equal for members that compute the same.
    """

    nodes: list[Node]
    variables: list[Variable]
    gradients: list[Node]
    scalars: dict[Node, Node]
    targets: dict[Node, int]
    signature: tuple[Any, ...]

    @property
    def size(self) -> int:
        """Number of elements of each variable."""
        return int(product(self.variables[0].shape))  # type: ignore[arg-type]


@dataclass
class Bundle:
    """Members with one signature."""

    members: list[Member]

    def pooled(self) -> bool:
        """Whether the variables of each role lie side by side, in order."""
        for role in range(len(self.members[0].variables)):
            first: Any = None
            at = 0
            for member in self.members:
                storage = member.variables[role].storage
                if not isinstance(storage, Pooled):
                    return False
                if first is None:
                    first, at = storage.pool, storage.at
                if storage.pool is not first or storage.at != at:
                    return False
                at += member.size
        return True


def find(graph: Graph) -> list[Bundle]:
    """Bundles of a simplified graph."""
    consumers: dict[Node, list[Node]] = {}
    for node in graph.nodes():
        for child in node.inputs:
            consumers.setdefault(child, []).append(node)
    outputs = set(graph.outputs.values())
    related = _related(graph)
    taken: set[Node] = set()
    groups: dict[tuple[Any, ...], list[Member]] = {}
    for variable, root in graph.updates.items():
        if root in taken or not _small(variable):
            continue
        member = _member(variable, root, related.get(root, {}), consumers, outputs)
        if member is not None and not taken & set(member.nodes):
            taken.update(member.nodes)
            groups.setdefault(member.signature, []).append(member)
    return [Bundle(members) for members in groups.values() if len(members) > 1]


def _small(variable: Variable) -> bool:
    # Scalars (counters, metric sums) are gathered into one program anyway.
    return bool(variable.shape) and _few(variable) and variable.dtype == "float32"


def _few(variable: Variable) -> bool:
    return bool(product(variable.shape) <= SMALL)  # type: ignore[operator]


def _inside(node: Node, shape: tuple[Any, ...]) -> bool:
    """Whether a node may be in the update of variables of a shape."""
    return elementwise(node) and shape_of(node) == shape


def _related(graph: Graph) -> dict[Node, dict[Node, Variable]]:
    """For each new value of a small variable: those that share work with it, itself too.

    Each node is looked at once, however many variables have its shape: what an earlier
    new value has reached is its, and both belong together then.
    """
    reached: dict[Node, Node] = {}
    leader: dict[Node, Node] = {}

    def leading(root: Node) -> Node:
        while leader[root] is not root:
            leader[root] = root = leader[leader[root]]
        return root

    updates = [(v, node) for v, node in graph.updates.items() if v.shape and _few(v)]
    for variable, root in updates:
        leader.setdefault(root, root)
        stack = [root]
        while stack:
            node = stack.pop()
            if node in reached:
                leader[leading(reached[node])] = leading(root)
            elif _inside(node, variable.shape):
                reached[node] = root
                stack.extend(node.inputs)
    together: dict[Node, dict[Node, Variable]] = {}
    for variable, root in updates:
        together.setdefault(leading(root), {})[root] = variable
    return {root: together[leading(root)] for _, root in updates}


def _member(
    variable: Variable,
    root: Node,
    updated: dict[Node, Variable],
    consumers: dict[Node, list[Node]],
    outputs: set[Node],
) -> Member | None:
    shape = variable.shape

    def inside(node: Node) -> bool:
        return _inside(node, shape)

    nodes: list[Node] = []
    seen: set[Node] = set()

    def visit(node: Node) -> None:
        if node in seen or not inside(node):
            return
        seen.add(node)
        for child in node.inputs:
            visit(child)
        nodes.append(node)

    visit(root)
    # Results that hang together with these: the other slots of the same update.
    grown = True
    while grown:
        grown = False
        for node, _ in updated.items():
            if node not in seen and inside(node) and _touches(node, seen, inside):
                visit(node)
                grown = True
    variables: list[Variable] = []
    gradients: list[Node] = []
    scalars: dict[Node, Node] = {}
    index = {node: i for i, node in enumerate(nodes)}
    parts: list[Any] = []
    for node in nodes:
        refs: list[Any] = []
        for child in node.inputs:
            if child in index:
                refs.append(("node", index[child]))
            elif child.op is VARIABLE and child.spec.shape == shape:
                owner = child.attrs["variable"]
                if owner not in variables:
                    variables.append(owner)
                refs.append(("variable", variables.index(owner)))
            elif (scalar := _scalar(child, shape)) is not None:
                scalars[child] = scalar
                refs.append(("scalar", scalar))
            elif child.spec.shape == shape and child.dtype == "float32":
                if child not in gradients:
                    gradients.append(child)
                refs.append(("gradient", gradients.index(child)))
            else:
                return None
        attrs = tuple(
            sorted((k, v) for k, v in node.attrs.items() if isinstance(v, (str, int)))
        )
        parts.append((node.op.name, attrs, tuple(refs)))
    targets: dict[Node, int] = {}
    for node in nodes:
        owner = updated.get(node)
        if owner is not None:
            if owner not in variables:
                return None
            targets[node] = variables.index(owner)
        if node in outputs or any(c not in index for c in consumers.get(node, ())):
            return None
    if any(v.dtype != "float32" for v in variables) or not targets:
        return None
    signature = (*parts, tuple((index[n], role) for n, role in targets.items()))
    return Member(nodes, variables, gradients, scalars, targets, signature)


def _touches(node: Node, seen: set[Node], inside: Any) -> bool:
    stack, visited = [node], set()
    while stack:
        current = stack.pop()
        if current in seen:
            return True
        if current in visited or not inside(current):
            continue
        visited.add(current)
        stack.extend(current.inputs)
    return False


def _scalar(node: Node, shape: tuple[Any, ...]) -> Node | None:
    """The one number a node repeats, if it is that."""
    if shape_of(node) == shape and node.op.name not in _REPEATS:
        return None  # a gradient, also when it has one element
    while node.op.name in ("broadcast_to", "reshape") and node.inputs:
        node = node.inputs[0]
    if node.op is CONST:
        return node if node.attrs["value"].size == 1 else None
    shape = shape_of(node)
    return node if node.op.name == "full" or product(shape) == 1 else None


def pool(bundle: Bundle) -> None:
    """Lay the variables of each role side by side, if they are still free to move."""
    if bundle.pooled():
        return
    roles = range(len(bundle.members[0].variables))
    everything = [m.variables[r] for m in bundle.members for r in roles]
    if len(set(everything)) != len(everything) or any(
        isinstance(v.storage, Pooled) or v.storage.kind != "row_major"
        for v in everything
    ):
        return
    total = sum(member.size for member in bundle.members)
    for role in roles:
        room = aligned(total, "float32")
        at = 0
        for member in bundle.members:
            variable = member.variables[role]
            move(variable, Pooled(room, at, variable.storage.read()))
            at += member.size
