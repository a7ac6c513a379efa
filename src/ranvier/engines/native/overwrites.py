"""New state over the old: only once everybody has read that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ranvier.engines.native.nodes import ALIASES
from ranvier.graph.ir import Node
from ranvier.graph.variable import Variable

if TYPE_CHECKING:
    from ranvier.engines.native.lowering import Lowering


def readers_first(
    low: Lowering, nodes: Sequence[Node], inner: set[Node]
) -> Node | None:
    """A node that must read an old value before this group overwrites it."""
    for node in nodes:
        for variable in low.targets.get(node, ())[:1]:
            reader = low.readers.get(variable)
            if reader is None:
                continue
            pending = _pending(low, reader, inner)
            if pending is not None and pending not in low.busy:
                return pending
    return None


def in_place(low: Lowering, node: Node, inner: set[Node]) -> Variable | None:
    """The variable whose memory may take the result of ``node`` directly."""
    for variable in low.targets.get(node, ())[:1]:
        if low.aside or variable in low.written:
            return None
        reader = low.readers.get(variable)
        if reader is None:
            return variable
        if reader in low.external or _pending(low, reader, inner) is not None:
            return None
        if _read_through_window(low, reader, inner):
            return None
        return variable
    return None


def _pending(low: Lowering, node: Node, inner: set[Node]) -> Node | None:
    """A consumer of ``node``, or of a window on it, that has not run yet."""
    for consumer in low.consumers[node]:
        if consumer in inner:
            continue
        if consumer.op.name in ALIASES:
            deeper = _pending(low, consumer, inner)
            if deeper is not None:
                return deeper
            if any(c in inner for c in low.consumers[consumer]):
                continue  # read here through a window: decided by in_place
        elif consumer not in low.memo and consumer not in low.done:
            return consumer
    return None


def _read_through_window(low: Lowering, reader: Node, inner: set[Node]) -> bool:
    return any(
        consumer.op.name in ALIASES
        and (
            consumer in low.external
            or any(c in inner for c in low.consumers[consumer])
            or _read_through_window(low, consumer, inner)
        )
        for consumer in low.consumers[reader]
    )
