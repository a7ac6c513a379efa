"""How each operation becomes steps, and which steps can run a group on their results."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from ranvier.graph.ir import Node

if TYPE_CHECKING:
    from ranvier.engines.native.lowering import Lowering
    from ranvier.engines.native.programs import Group
    from ranvier.engines.native.values import View

    Row = Callable[[Lowering, Node], View | tuple[View | None, ...]]


class Host(NamedTuple):
    """An operation whose steps can run a group on what they have just computed.

    Attributes:
        can: Whether a node's steps can.
        emit: Make the steps of a node with the group in them.
    """

    can: Callable[[Lowering, Node], bool]
    emit: Callable[[Lowering, Node, Group], None]


#: One row for each operation: how it becomes steps. Filled by the decorator `row`.
ROWS: dict[str, Row] = {}
#: The operations that can host a group.
HOSTS: dict[str, Host] = {}


def row(*names: str) -> Callable[[Row], Row]:
    """Register the lowering of operations."""

    def register(fn: Row) -> Row:
        for name in names:
            ROWS[name] = fn
        return fn

    return register


def host(
    *names: str,
    can: Callable[[Lowering, Node], bool],
    emit: Callable[[Lowering, Node, Group], None],
) -> None:
    """Register operations as hosts of groups."""
    for name in names:
        HOSTS[name] = Host(can, emit)
