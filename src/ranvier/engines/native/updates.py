"""Updates of bundled variables: gradients side by side, one program for all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ranvier.engines.native.hosting import emit_program
from ranvier.engines.native.nodes import one_number
from ranvier.engines.native.overwrites import in_place, readers_first
from ranvier.engines.native.programs import Group
from ranvier.engines.native.values import View, row_major
from ranvier.graph.ir import Node
from ranvier.graph.variable import Variable

if TYPE_CHECKING:
    from ranvier.engines.native.bundles import Bundle
    from ranvier.engines.native.lowering import Lowering


def place_gradients(low: Lowering, bundle: Bundle) -> list[View]:
    """Room for the gradients of all members side by side, one for each role."""
    total = sum(member.size for member in bundle.members)
    rooms = []
    for role in range(len(bundle.members[0].gradients)):
        room = low.new((total,), "float32")
        at = 0
        for member in bundle.members:
            _want(low, member.gradients[role], replace(room, offset=at))
            at += member.size
        rooms.append(room)
    return rooms


def _want(low: Lowering, node: Node, room: View) -> None:
    """Ask for the result of a node at the beginning of ``room``."""
    shape = low.shape(node)
    if node.op.name == "sum" and math.prod(shape) == math.prod(
        low.shape(node.inputs[0])
    ):
        _want(low, node.inputs[0], room)  # a sum over one row only changes the shape
    elif node.op.name in ("reshape",):
        _want(low, node.inputs[0], room)
    else:
        low.places[node] = replace(room, shape=shape, strides=row_major(shape))


def update(low: Lowering, bundle: Bundle, rooms: Sequence[View]) -> None:
    """Update all members of a bundle by one program."""
    first = bundle.members[0]
    nodes = [node for member in bundle.members for node in member.nodes]
    if any(node in low.memo for node in nodes):
        return
    inner = set(nodes)
    for member in bundle.members:
        for node in (*member.gradients, *member.scalars.values()):
            low.value(node)
    while (waiting := readers_first(low, nodes, inner)) is not None:
        low.busy.add(waiting)
        low.value(waiting)
    if any(node in low.memo for node in nodes) or any(
        in_place(low, node, inner) is None
        for member in bundle.members
        for node in member.targets
    ):
        return  # one by one, as any other update
    total = sum(member.size for member in bundle.members)
    for role, room in enumerate(rooms):
        at = 0
        for member in bundle.members:
            view: View = low.memo[member.gradients[role]]
            here = replace(room, offset=room.offset + at)
            if view.buffer is not room.buffer or view.offset != here.offset:
                to = replace(here, shape=view.shape, strides=row_major(view.shape))
                low.copy(view, to)
            at += member.size

    def pooled(variable: Variable) -> View:
        view = low.variables[variable]
        return replace(view, shape=(total,), strides=(1,))

    leaves: dict[Node, View] = {}
    for node in first.nodes:
        for child in node.inputs:
            if child in first.scalars:
                view = low.memo[first.scalars[child]]
                leaves[child] = replace(view, shape=(total,), strides=(0,))
            elif child.op.name == "variable":
                leaves[child] = pooled(child.attrs["variable"])
            elif child in first.gradients:
                leaves[child] = replace(rooms[first.gradients.index(child)])
    stores = {
        node: pooled(first.variables[role]) for node, role in first.targets.items()
    }
    emit_program(low, Group((total,), first.nodes, stores, leaves))
    low.done.update(nodes)
    for member in bundle.members:
        for node, role in member.targets.items():
            low.memo[node] = low.variables[member.variables[role]]
            low.written.add(member.variables[role])


def numbers(low: Lowering, scalars: Sequence[Node]) -> None:
    """Counters, sums, logs and learning rates in one program: for a tiny network
    each further step costs as much as a layer."""
    roots = dict.fromkeys(scalars)
    roots.update(dict.fromkeys(low.graph.outputs.values()))
    for bundle in low.bundles:
        for member in bundle.members:
            roots.update(dict.fromkeys(member.scalars.values()))
    low.group([n for n in roots if n not in low.memo and one_number(n)])
