"""Products of the last axis, and what follows them element by element, on matrices.

``x @ w`` of a batch of sequences ``(rows, time, features)`` is one product of ``rows *
time`` rows. Said so in the graph, whatever an engine does for matrices (their layout, work
on finished tiles, sums down columns) holds for sequences and for anything of higher rank.
No number changes: the sums are the same ones in the same order.
"""

from __future__ import annotations

from ranvier.graph.dims import product
from ranvier.graph.ir import Graph, Node, walk
from ranvier.graph.op import REGISTRY
from ranvier.graph.ops import movement
from ranvier.graph.trace import derived_from, make

#: Fused operations that work element by element.
_ELEMENTWISE = frozenset(("relu", "gelu", "gelu_grad"))
#: What computes elementwise operations on results of its own shape.
_HOSTS = frozenset(("conv", "window"))


def flatten(graph: Graph) -> Graph:
    """The same graph with such products, and their company, on matrices.

    Returns:
        The graph itself where there are none.
    """
    if not any(_of_last_axis(node) for node in graph.nodes()):
        return graph
    flat = _Flattening()
    results = flat.run(graph.results())
    return graph.rebuilt(flat.memo, results)


def _of_last_axis(node: Node) -> bool:
    """Whether a node is the product of the last axis of a sequence with a matrix."""
    if node.op.name != "dot_general" or len(node.shape) < 3:
        return False
    (ca, _), (batch, _) = node.attrs["contract"], node.attrs["batch"]
    a, b = node.inputs
    return not batch and tuple(ca) == (len(a.shape) - 1,) and len(b.shape) == 2


class _Flattening:
    def __init__(self) -> None:
        self.memo: dict[Node, Node] = {}  # every old node as a new one
        self.matrices: dict[Node, Node] = {}  # old nodes as matrices
        self.made: set[Node] = set()  # old nodes that are computed so

    def run(self, results: list[Node]) -> list[Node]:
        for node in walk(results):
            self.memo[node] = self._rewrite(node)
        return [self.memo[node] for node in results]

    def _matrix(self, node: Node) -> Node:
        """An old node as a matrix."""
        if node not in self.matrices:
            shape = (product(node.shape[:-1]), node.shape[-1])
            with derived_from(node, node.origins[0].role if node.origins else ""):
                self.matrices[node] = make(
                    movement.reshape, [self.memo[node]], {"shape": shape}
                )
        return self.matrices[node]

    def _rewrite(self, node: Node) -> Node:
        with derived_from(node, node.origins[0].role if node.origins else ""):
            rows = self._as_matrix(node)
            if rows is not None:
                self.matrices[node] = rows
                self.made.add(node)
                return make(movement.reshape, [rows], {"shape": node.shape})
            down = self._down_columns(node)
        if down is not None:
            return down
        inputs = tuple(self.memo[child] for child in node.inputs)
        if inputs == node.inputs:
            return node
        return Node(node.op, inputs, node.attrs, node.spec, node.origins)

    def _as_matrix(self, node: Node) -> Node | None:
        """The matrix of a node that is better computed as one."""
        if isinstance(node.spec, tuple) or len(node.shape) < 3:
            return None
        if node.op.name == "dot_general":
            if not _of_last_axis(node):
                return None
            a, b = node.inputs
            given = [self._matrix(a), self.memo[b]]
            columns = tuple(node.attrs["contract"][1])
            attrs = {"contract": ((1,), columns), "batch": ((), ())}
            return make(node.op, given, attrs)
        elementwise = node.op.family == "elementwise" and node.op.name != "check_range"
        if not elementwise and node.op.name not in _ELEMENTWISE:
            return None
        alike = all(
            not isinstance(c.spec, tuple) and c.shape == node.shape for c in node.inputs
        )
        hosted = any(c.op.family in _HOSTS for c in node.inputs)
        if hosted or not alike or not any(c in self.made for c in node.inputs):
            return None
        attrs = {k: v for k, v in node.attrs.items() if k != "body"}
        return make(node.op, [self._matrix(c) for c in node.inputs], attrs)

    def _down_columns(self, node: Node) -> Node | None:
        """Sums over all axes but the last of what is a matrix."""
        if node.op.name not in ("sum", "dot_general") or not any(
            c in self.made for c in node.inputs
        ):
            return None
        lead = tuple(range(len(node.inputs[0].shape) - 1))
        if node.op.name == "sum":
            if tuple(node.attrs["axes"]) != lead:
                return None
            given, attrs = [self._matrix(node.inputs[0])], {**node.attrs, "axes": (0,)}
            return make(node.op, given, attrs)
        contract, (batch, _) = node.attrs["contract"], node.attrs["batch"]
        if batch or tuple(map(tuple, contract)) != (lead, lead):
            return None
        both = [self._matrix(c) for c in node.inputs]
        return make(
            REGISTRY["dot_general"], both, {"contract": ((0,), (0,)), "batch": ((), ())}
        )
