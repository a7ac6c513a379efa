"""Elementwise operations: which are computed together, where, and when.

They wait until something needs them and are then computed in one pass with all that they
wait for, if possible on the tile that a matrix product has just finished.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ranvier.engines.native.hosting import emit_program
from ranvier.engines.native.nodes import elementwise
from ranvier.engines.native.overwrites import in_place, readers_first
from ranvier.engines.native.programs import Group
from ranvier.engines.native.table import HOSTS
from ranvier.engines.native.values import View
from ranvier.graph.ir import Node

if TYPE_CHECKING:
    from ranvier.engines.native.lowering import Lowering

MAX_BUFFERS = 16
MAX_REGISTERS = 110
MAX_OPERANDS = 44


def compute(low: Lowering, roots: Sequence[Node]) -> None:
    """Compute elementwise nodes of one shape together with all they wait for."""
    ready = _prepare(low, roots, hosted=True)
    if ready is None:
        return
    nodes, leaves, host = ready
    group = _open(low, nodes, leaves, host)
    if math.prod(group.shape) == 0:
        return
    if host is None:
        emit_program(low, group)
        return
    low.done.add(host)
    HOSTS[host.op.name].emit(low, host, group)


def only_reader(low: Lowering, node: Node) -> bool:
    """Whether one node reads this one, and nothing has computed it yet."""
    return (
        node not in low.memo
        and node not in low.external
        and len(low.consumers[node]) == 1
    )


def prologue(low: Lowering, root: Node) -> Group | None:
    """The group of a node that only the step about to be made reads, to run in it.

    What can be computed from its nodes at once joins it: the gradient of an
    elementwise loss beside the loss.

    Returns:
        The group, in which ``root`` is not stored; ``None`` when the node has a
        value already, or others read it too.
    """
    if not elementwise(root) or root.op.name == "get" or not only_reader(low, root):
        return None
    ready = _prepare(low, [root], hosted=False)
    if ready is None:
        return None
    nodes, leaves, _ = ready
    more, read = _follow(low, nodes, leaves)
    if _fits(low, more, read, alone=False):
        nodes, leaves = more, read
    return _open(low, nodes, leaves, None, kept=root)


def hosted(low: Lowering, root: Node) -> Group | None:
    """What a step computes that takes all of ``root`` over: its group and its host.

    Operands are computed. Nothing else is decided: the caller may go another way.

    Returns:
        The group, which stores ``root`` nowhere yet (its place has no memory), or
        without nodes where ``root`` may be a host itself; ``None`` when a part of it is
        known already, or others need one.
    """
    if root in low.memo or root in low.done:
        return None
    if root.op.name in HOSTS:
        for child in root.inputs:
            low.value(child)
        return Group(low.shape(root), [], {}, {}, root)
    if not elementwise(root) or root.op.name == "get":
        return None
    ready = _prepare(low, [root], hosted=True)
    if ready is None:
        return None
    nodes, leaves, host = ready
    inner = set(nodes)
    if any(_stored(low, n, inner) for n in nodes if n is not root):
        return None
    views = {leaf: replace(low.memo[leaf]) for leaf in leaves if leaf is not host}
    to = low.new(low.shape(root), root.dtype)
    return Group(to.shape, nodes, {root: to}, views, host)


def _follow(
    low: Lowering, nodes: Sequence[Node], leaves: Sequence[Node]
) -> tuple[list[Node], list[Node]]:
    """A group and all that needs nothing but its nodes and what is known."""
    shape, more, read = low.shape(nodes[-1]), list(nodes), dict.fromkeys(leaves)
    inner = set(nodes)
    for node in more:  # grows on the way
        for reader in low.consumers[node]:
            if (
                reader not in inner
                and reader not in low.memo
                and reader not in low.targets
                and elementwise(reader)
                and not isinstance(reader.spec, tuple)
                and low.shape(reader) == shape
                and all(c in inner or c in low.memo for c in reader.inputs)
            ):
                more.append(reader)
                inner.add(reader)
                read.update(dict.fromkeys(c for c in reader.inputs if c not in inner))
    return more, list(read)


def _prepare(
    low: Lowering, roots: Sequence[Node], hosted: bool
) -> tuple[list[Node], list[Node], Node | None] | None:
    """Compute all that a group waits for.

    Returns:
        Its nodes, what it reads, and the step that hosts it; ``None`` when there is
        nothing left to compute.
    """
    while True:
        roots = [r for r in roots if r not in low.memo]
        if not roots:
            return None
        nodes, leaves = collect(low, roots)
        inner = set(nodes)
        hosts = _hosts(low, nodes, inner, leaves) if hosted else []
        if len(hosts) > 1 and (earlier := _earlier(low, nodes, hosts[-1])):
            # Forward and backward of a layer hang together: one host at a time.
            low.group(earlier)
            continue
        host = hosts[-1] if hosts else None
        need = [leaf for leaf in leaves if leaf is not host]
        need += host.inputs if host is not None else ()
        need = [leaf for leaf in need if leaf not in low.memo]
        if need:
            # Computing a leaf may compute parts of the group: look again after.
            low.value(need[0])
            continue
        # After the leaves: they bring most readers with them, fused as they should.
        waiting = readers_first(low, nodes, inner)
        if waiting is not None:
            low.busy.add(waiting)
            low.value(waiting)
            low.busy.discard(waiting)
            continue
        alone = hosted and host is None
        if not _fits(low, nodes, leaves, alone) and _split(low, nodes, roots):
            continue
        return nodes, leaves, host


def collect(low: Lowering, roots: Sequence[Node]) -> tuple[list[Node], list[Node]]:
    """Nodes that can be computed together with ``roots``, in order, and their leaves."""
    shape = low.shape(roots[0])
    nodes: list[Node] = []
    leaves: dict[Node, None] = {}
    seen: set[Node] = set()
    stack: list[tuple[Node, Any]] = []

    def inside(node: Node) -> bool:
        return node not in low.memo and elementwise(node) and low.shape(node) == shape

    for root in roots:
        if root in seen:
            continue
        seen.add(root)
        stack.append((root, iter(root.inputs)))
        while stack:
            node, rest = stack[-1]
            for child in rest:
                if child in seen:
                    continue
                seen.add(child)
                if inside(child):
                    stack.append((child, iter(child.inputs)))
                    break
                leaves.setdefault(child)
            else:
                nodes.append(node)
                stack.pop()
    # All results of a fused update belong together.
    inner = set(nodes)
    for node in list(nodes):
        if node.op.name == "adam_update":
            for reader in low.consumers[node]:
                if reader not in inner:
                    nodes.append(reader)
                    inner.add(reader)
    return nodes, list(leaves)


def _hosts(
    low: Lowering, nodes: Sequence[Node], inner: set[Node], leaves: Sequence[Node]
) -> list[Node]:
    """Products and column sums among the leaves that can run the group on their
    tiles, in the order in which they can be computed."""
    found = [
        leaf
        for leaf in leaves
        if leaf.op.name in HOSTS
        and leaf not in low.memo
        and leaf not in low.done
        and leaf not in low.external
        and low.shape(leaf) == low.shape(nodes[-1])
        and all(c in inner for c in low.consumers[leaf])
        and HOSTS[leaf.op.name].can(low, leaf)
    ]
    return sorted(found, key=low.place_in_order.__getitem__)


def _earlier(low: Lowering, nodes: Sequence[Node], last: Node) -> list[Node]:
    """Results of a group that others read and that do not need the last host."""
    inner = set(nodes)
    late: set[Node] = {last}
    for node in nodes:
        if any(child in late for child in node.inputs):
            late.add(node)
    return [n for n in nodes if n not in late and _stored(low, n, inner)]


def _fits(
    low: Lowering, nodes: Sequence[Node], leaves: Sequence[Node], alone: bool
) -> bool:
    """Whether a group is small enough; alone it is in a step of its own."""
    stores = sum(_stored(low, n, set(nodes)) for n in nodes)
    registers = len(leaves) + len(nodes) + stores
    numbers = sum(low.is_number(leaf) for leaf in leaves)
    return (
        len(leaves) - numbers + stores <= MAX_BUFFERS - (0 if alone else 3)
        and registers <= MAX_REGISTERS
        and len(leaves) + stores <= MAX_OPERANDS
    )


def _split(low: Lowering, nodes: Sequence[Node], roots: Sequence[Node]) -> bool:
    """Compute a part of a group that is too large first."""
    if len(roots) > 1:
        half = list(roots[: len(roots) // 2])
        low.group(half)
        return True
    plain = [n for n in nodes if n.op.name not in ("get", "adam_update")]
    inner = [n for n in plain if n not in roots]
    if not inner:
        return False
    low.group([inner[len(inner) // 2]])
    return True


def _stored(low: Lowering, node: Node, inner: set[Node]) -> bool:
    if isinstance(node.spec, tuple):
        return False
    return node in low.external or any(c not in inner for c in low.consumers[node])


def _open(
    low: Lowering,
    nodes: list[Node],
    leaves: Sequence[Node],
    host: Node | None,
    kept: Node | None = None,
) -> Group:
    """Decide where a group reads and writes; ``kept`` is not stored."""
    shape = low.shape(nodes[-1])
    inner = set(nodes)
    views: dict[Node, View] = {}
    for leaf in leaves:
        if leaf is host:
            continue
        view: View = low.memo[leaf]
        if view.shape != shape and view.size == 1:
            # A scalar operand of a fused update.
            view = replace(view, shape=shape, strides=(0,) * len(shape))
        views[leaf] = replace(view)  # its own identity: a view may be read twice
    stores: dict[Node, View] = {}
    for node in nodes:
        if node is kept or not _stored(low, node, inner):
            continue
        variable = in_place(low, node, inner)
        if variable is not None:
            stores[node] = replace(low.variables[variable])
            low.written.add(variable)
        else:
            stores[node] = low.room(node)
    for node, view in stores.items():
        low.memo[node] = view
    low.done.update(nodes)
    return Group(shape, nodes, stores, views, host)
