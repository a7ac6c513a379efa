"""Which batches do not lie row by row: narrow ones by columns, wide ones in panels.

Either layout begins where something can make it, goes on through elementwise operations,
and holds where everybody who reads it can read it so. The shapes alone decide, never the
number of workers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ranvier.engines.native.nodes import elementwise
from ranvier.engines.native.values import PANEL
from ranvier.graph.ir import Node

if TYPE_CHECKING:
    from ranvier.engines.native.lowering import Lowering

#: Fewer columns than these are narrow; fewer rows are not worth it.
LANES = 16
#: More rows are nobody's batch, and would not fit the room that `dots` has.
MOST = 1 << 16
#: Rows below which a batch is not worth panels, and columns above which none is made.
FEW, WIDEST = 32, 1 << 16


def _chosen(
    low: Lowering,
    fits: Callable[[Node], bool],
    made: Callable[[Node, set[Node]], bool],
    reads: Callable[[Node, Node], bool],
) -> set[Node]:
    """The largest set of nodes that can lie in a layout.

    Args:
        low: The lowering.
        fits: Whether a node's shape is one for the layout.
        made: Whether a node can be computed into it, if those nodes lie in it.
        reads: Whether a consumer of a node can read it.
    """
    found: set[Node] = set()
    for node in low.order:
        if fits(node) and made(node, found):
            found.add(node)
    while True:
        # Whoever cannot read the layout would need a copy.
        dropped = {
            node
            for node in found
            if node in low.external
            or not made(node, found)
            or not all(reads(node, c) for c in low.consumers[node])
        }
        if not dropped:
            return found
        found -= dropped


def _forward(node: Node) -> bool:
    """``x @ w``."""
    return node.op.name == "dot_general" and _contracts(node) == ((1,), (0,))


def _backward(node: Node) -> bool:
    """``dy @ w.T``."""
    return node.op.name == "dot_general" and _contracts(node) == ((1,), (1,))


def _contracts(node: Node) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    (ca, cb), (ba, _) = node.attrs["contract"], node.attrs["batch"]
    return None if ba else (tuple(ca), tuple(cb))


# ------------------------------------------------------------ narrow batches by columns


def feature_major(low: Lowering) -> frozenset[Node]:
    """The nodes of a graph whose results are to lie column-major.

    A row of six features fills six of sixteen lanes, and every store of it is a masked
    one. The same numbers stored as six runs of the whole batch fill all lanes. So a batch
    of narrow rows that only products, sums and elementwise operations touch is laid out
    column-major: as a view with strides ``(1, rows)``.
    """
    found = _chosen(
        low,
        partial(_narrow, low),
        partial(_made_of_columns, low),
        partial(_reads_columns, low),
    )
    return frozenset(found)


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


# -------------------------------------------------------------- wide batches in panels


def in_panels(low: Lowering) -> frozenset[Node]:
    """The nodes of a graph whose results are to lie in column panels, as weights do.

    The forward product reads the rows of a wide batch, its weight gradient the columns:
    in panels of 64 columns both find the next numbers next door, where a column of
    row-major rows is a cache line from each of so many pages, and had to be copied
    first. Products write panels without ado. A batch lies so if nobody but products,
    sums of columns and elementwise operations reads it.
    """
    readers = _before_products(low)

    def fits(node: Node) -> bool:
        return _wide(low, node) and any(c in readers for c in low.consumers[node])

    found = _chosen(low, fits, _makes_panels, partial(_reads_panels, low))
    return frozenset(found)


def _wide(low: Lowering, node: Node) -> bool:
    if isinstance(node.spec, tuple) or node.dtype != "float32":
        return False
    shape = low.shape(node)
    if len(shape) < 2 or (len(shape) > 2 and node.op.name != "input"):
        return False
    columns = math.prod(shape[1:])
    # The rest of the columns costs the products a pass of its own.
    even = columns % PANEL == 0 or columns > 4 * PANEL
    return shape[0] >= FEW and PANEL < columns <= WIDEST and even


def _makes_panels(node: Node, found: set[Node]) -> bool:
    if elementwise(node):
        return any(child in found for child in node.inputs)
    return node.op.name == "input" or _forward(node) or _backward(node)


def _reads_panels(low: Lowering, node: Node, consumer: Node) -> bool:
    if consumer.op.name == "reshape" and node.op.name == "input":
        rows, *rest = low.shape(node)
        rowwise = low.shape(consumer) == (rows, math.prod(rest))
        return (rowwise and consumer not in low.external) and all(
            _reads_panels(low, consumer, c) for c in low.consumers[consumer]
        )
    if len(low.shape(node)) != 2:
        return False
    if consumer.op.name == "dot_general":
        left, right = consumer.inputs
        if left is right or any(len(low.shape(c)) != 2 for c in consumer.inputs):
            return False
        if _contracts(consumer) == ((0,), (0,)):
            return True
        return node is left and (_forward(consumer) or _backward(consumer))
    if consumer.op.name == "sum":
        return tuple(consumer.attrs["axes"]) == (0,)
    return elementwise(consumer) and low.shape(consumer) == low.shape(node)


def _before_products(low: Lowering) -> set[Node]:
    """Products, and what goes into one but for elementwise operations and windows."""
    found: set[Node] = set()
    for node in reversed(low.order):
        passes = node.op.name == "reshape" or elementwise(node)
        if node.op.name == "dot_general" or (
            passes and any(c in found for c in low.consumers[node])
        ):
            found.add(node)
    return found
