"""Which narrow tensors lie feature by feature, with the batch along the vector.

A row of six features fills six of sixteen lanes, and every store of it is a masked one.
The same numbers stored as six runs of the whole batch fill all lanes. So a batch of
narrow rows that only products, sums and elementwise operations touch is laid out
column-major: as a view with strides ``(1, rows)``. The shapes alone decide, never the
number of workers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ranvier.engines.native.nodes import elementwise
from ranvier.graph.ir import Node

if TYPE_CHECKING:
    from ranvier.engines.native.lowering import Lowering

#: Fewer columns than these are narrow; fewer rows are not worth it.
LANES = 16
#: More rows are nobody's batch, and would not fit the room that `dots` has.
MOST = 1 << 16


def feature_major(low: Lowering) -> frozenset[Node]:
    """The nodes of a graph whose results are to lie column-major."""
    found: set[Node] = set()
    for node in low.order:
        if _narrow(low, node) and _made_of_columns(low, node, found):
            found.add(node)
    # Whoever cannot read columns would need a copy; and a layout pays in company only.
    while True:
        dropped = {
            node
            for node in found
            if not (
                all(_reads_columns(low, node, c) for c in low.consumers[node])
                and _made_of_columns(low, node, found)
                and (node not in low.external)
            )
        }
        if not dropped:
            return frozenset(found)
        found -= dropped


def _narrow(low: Lowering, node: Node) -> bool:
    if isinstance(node.spec, tuple) or node.dtype not in ("float32", "bool"):
        return False
    shape = low.shape(node)
    return len(shape) == 2 and 0 < shape[1] < LANES <= shape[0] <= MOST


def _made_of_columns(low: Lowering, node: Node, found: set[Node]) -> bool:
    if node.op.name == "input":
        return any(
            _forward(c) and c.inputs[0] is node and _narrow(low, c)
            for c in low.consumers[node]
        )
    if node.op.name == "dot_general":
        left, right = node.inputs
        # The forward product reads the columns of its operand; the backward one can turn
        # what lies by rows.
        by_columns = left in found or low.shape(left)[-1:] == (1,)
        return (
            (_backward(node) or (_forward(node) and by_columns))
            and _narrow(low, left)
            and left.dtype == "float32"
            and len(low.shape(right)) == 2
        )
    if elementwise(node):
        shape = low.shape(node)
        return any(c in found and low.shape(c) == shape for c in node.inputs)
    return False


def _forward(node: Node) -> bool:
    """``x @ w``."""
    return node.op.name == "dot_general" and _contracts(node) == ((1,), (0,))


def _backward(node: Node) -> bool:
    """``dy @ w.T``."""
    return node.op.name == "dot_general" and _contracts(node) == ((1,), (1,))


def _contracts(node: Node) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    (ca, cb), (ba, _) = node.attrs["contract"], node.attrs["batch"]
    return None if ba else (tuple(ca), tuple(cb))


def _reads_columns(low: Lowering, node: Node, consumer: Node) -> bool:
    if low.shape(node)[1] == 1:
        return True  # a single column is dense either way
    if consumer.op.name == "dot_general":
        # Forward and backward products, and the weight gradient: all sums over one axis.
        contract = _contracts(consumer)
        return contract is not None and all(len(axes) == 1 for axes in contract)
    if consumer.op.name == "sum":
        return node.dtype == "float32"
    return elementwise(consumer) and low.shape(consumer) == low.shape(node)
