"""Long chains of steps that wait for each other, lowered without deep recursion.

Whoever needs a value asks for it, which asks for what that needs, and so on: Python's
stack would end after some hundred steps in a row. So where more than `FAR` of them wait
for each other, stopovers on the way are computed first, in the graph's order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ranvier.engines.native.nodes import ALIASES, elementwise
from ranvier.graph.ir import Node

if TYPE_CHECKING:
    from ranvier.engines.native.lowering import Lowering

#: Steps that may wait for each other. Each takes up to seven frames of Python's stack.
FAR = 48
#: They read their operands from memory: these can be computed before, as they would be.
#: The result may be one that nobody stores: a group runs on it.
_STORE = ALIASES | {"dot_general", "conv", "conv_input"}


def levels(low: Lowering) -> dict[Node, int]:
    """The most steps in a row up to each node."""
    found: dict[Node, int] = {}
    for node in low.order:
        found[node] = max(
            (found[c] + _apart(low, node, c) for c in node.inputs), default=0
        )
    return found


def _apart(low: Lowering, node: Node, child: Node) -> int:
    """Steps from a node's operand to the node: none within a group."""
    one = elementwise(node) and elementwise(child)
    return 0 if one and low.shape(node) == low.shape(child) else 1


def shorten(low: Lowering, roots: Sequence[Node]) -> None:
    """Compute so much that no more than `FAR` steps in a row are left before ``roots``."""
    if all(low.levels[root] <= FAR for root in roots):
        return
    waits: dict[Node, int] = {}
    for node in _unknown(low, roots):
        if _known(low, node):
            continue  # by now
        waits[node] = max(
            (
                waits.get(c, 0) + _apart(low, node, c)
                for c in node.inputs
                if not _known(low, c)
            ),
            default=0,
        )
        # Not in the midst of a group: it would be computed in two.
        if waits[node] >= FAR and not elementwise(node) and node not in roots:
            for stop in node.inputs if node.op.name in _STORE else [node]:
                low.value(stop)
            waits[node] = 0


def _known(low: Lowering, node: Node) -> bool:
    return node in low.memo or node in low.done


def _unknown(low: Lowering, roots: Sequence[Node]) -> list[Node]:
    """What has to be computed for ``roots``, each node after its operands."""
    found: list[Node] = []
    seen: set[Node] = set()
    for root in roots:
        if root in seen or _known(low, root):
            continue
        seen.add(root)
        stack = [(root, iter(root.inputs))]
        while stack:
            node, rest = stack[-1]
            for child in rest:
                if child not in seen and not _known(low, child):
                    seen.add(child)
                    stack.append((child, iter(child.inputs)))
                    break
            else:
                found.append(node)
                stack.pop()
    return found
