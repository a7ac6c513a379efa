"""What lowering asks of a node, whatever becomes of it."""

from __future__ import annotations

from typing import Any

from ranvier.engines.native.programs import ELEMENTWISE
from ranvier.graph.ir import Node

#: Operations whose result is a window on their operand.
ALIASES = frozenset(("reshape", "transpose", "broadcast_to", "slice", "check_range"))


def elementwise(node: Node) -> bool:
    """Whether a node is computed element by element."""
    name = node.op.name
    if name == "get":
        return node.inputs[0].op.name == "adam_update"
    return name in ELEMENTWISE or name in ("adam_update", "stop_gradient")


def shape_of(node: Node) -> tuple[Any, ...]:
    """Shape of a node; of the first result when it has several."""
    spec = node.spec[0] if isinstance(node.spec, tuple) else node.spec
    return spec.shape


def one_number(node: Node) -> bool:
    """Whether a node is a number, computed from numbers."""
    return shape_of(node) == () and elementwise(node)
