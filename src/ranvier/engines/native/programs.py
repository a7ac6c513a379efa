"""Elementwise programs: a group of nodes becomes a list of register instructions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ranvier.engines.native.plan import ACC, Elementwise, Reg
from ranvier.engines.native.values import Buffer, View, collapse, itemsize
from ranvier.graph.ir import Node

#: Graph operation → instruction, where the names differ.
INSTRUCTIONS = {"shift_left": "shl", "shift_right": "shr"}
ELEMENTWISE = frozenset(
    [
        "neg",
        "abs",
        "sign",
        "exp",
        "expm1",
        "log",
        "log1p",
        "sqrt",
        "rsqrt",
        "sin",
        "cos",
        "tan",
        "asin",
        "acos",
        "atan",
        "sinh",
        "cosh",
        "tanh",
        "asinh",
        "acosh",
        "atanh",
        "sigmoid",
        "erf",
        "gelu",
        "gelu_grad",
        "lgamma",
        "floor",
        "ceil",
        "round",
        "trunc",
        "isnan",
        "isinf",
        "isfinite",
        "logical_not",
        "logical_and",
        "logical_or",
        "logical_xor",
        "add",
        "sub",
        "mul",
        "div",
        "pow",
        "max",
        "min",
        "mod",
        "floordiv",
        "atan2",
        "eq",
        "ne",
        "lt",
        "le",
        "gt",
        "ge",
        "bitwise_and",
        "bitwise_or",
        "bitwise_xor",
        "shift_left",
        "shift_right",
        "where",
        "cast",
        "relu",
    ]
)


@dataclass
class Group:
    """Elementwise nodes of one shape that are computed together.

    Attributes:
        shape: Of every node in it.
        nodes: Each after its inputs.
        stores: Where results go that others read.
        leaves: What the nodes read: a view for every input from outside.
        accumulator: The node whose tile the host kernel has just computed.
    """

    shape: tuple[int, ...]
    nodes: list[Node]
    stores: dict[Node, View]
    leaves: dict[Node, View]
    accumulator: Node | None = None

    def turned(self) -> Group:
        """The same computation on transposed matrices."""

        def turn(views: dict[Node, View]) -> dict[Node, View]:
            return {n: turned(view) for n, view in views.items()}

        return Group(
            self.shape[::-1],
            self.nodes,
            turn(self.stores),
            turn(self.leaves),
            self.accumulator,
        )

    def views(self) -> list[View]:
        """Everything read or written that lies in memory."""
        views = [*self.leaves.values(), *self.stores.values()]
        return [v for v in views if v.buffer is not None]


def turned(view: View) -> View:
    """A matrix as its transpose."""
    found = view.transposed((1, 0))
    assert found is not None
    return found


#: Where a view begins: a buffer and an offset in bytes.
Place: TypeAlias = tuple[Buffer, int]


def place(view: View) -> Place:
    """Where a view begins."""
    assert view.buffer is not None
    return view.buffer, view.offset * itemsize(view.dtype)


def build(
    group: Group,
    places: Mapping[Place, int],
    matrix: bool = False,
    dims: tuple[int, ...] | None = None,
    result: Node | None = None,
) -> Elementwise:
    """Write the program of a group.

    Args:
        group: The group.
        places: Index of each place among the step's buffers.
        matrix: Keep two dimensions ``[rows, columns]`` (for a host kernel).
        dims: Keep these dimensions (for a host kernel).
        result: The node whose value the host kernel takes over.

    Raises:
        ValueError: when ``matrix`` is asked for and leading axes do not join, or other
            dimensions than those of a weight in panels.
    """
    leaves, stores = group.leaves, group.stores
    views = [*leaves.values(), *stores.values()]
    if any(v.panel for v in views):
        if dims is not None and dims != group.shape:
            raise ValueError("a weight in panels keeps its two axes")
        dims, strides = group.shape, [v.strides for v in views]
    elif dims is not None:
        strides = _strides_in(dims, views)
    elif matrix:
        dims = (math.prod(group.shape[:-1]), group.shape[-1] if group.shape else 1)
        strides = _strides_in(dims, views)
    else:
        dims, strides = collapse(group.shape, [v.strides for v in views])
    step_of = {id(v): s for v, s in zip(views, strides, strict=True)}
    program = Elementwise(dims)
    where: dict[Node, Reg] = {}
    results: dict[Node, tuple[Reg, Reg, Reg]] = {}

    def load(leaf: Node) -> Reg:
        if leaf is group.accumulator:
            return program.load(ACC, leaf.dtype, (0,) * len(dims))
        view = leaves[leaf]
        if view.buffer is None:
            return program.constant(view.number, view.dtype)
        return program.load(
            places[place(view)], view.dtype, step_of[id(view)], panel=view.panel
        )

    def value(node: Node) -> Reg:
        if node not in where:
            where[node] = load(node)
        return where[node]

    inner = set(group.nodes)
    for node in group.nodes:
        name = node.op.name
        if name == "get":
            where[node] = results[node.inputs[0]][node.attrs["index"]]
        elif name == "adam_update":
            results[node] = _adam(program, node, inner, where, load)
        elif name == "stop_gradient":
            where[node] = value(node.inputs[0])
        else:
            where[node] = program.op(
                INSTRUCTIONS.get(name, name),
                *(value(c) for c in node.inputs),
                dtype=node.dtype,
            )
    for node, view in stores.items():
        assert view.buffer is not None
        reg = where.get(node)
        if reg is None or node not in inner or node.op.name == "stop_gradient":
            reg = program.op("copy", value(node))
        program.store(reg, places[place(view)], step_of[id(view)], panel=view.panel)
    if result is not None:
        program.store(where[result], ACC, (0,) * len(program.dims))
    return program


def _adam(program, node, inner, where, load):  # type: ignore[no-untyped-def]
    """The superinstruction wants its eight operands in consecutive registers."""
    row: list[Reg] = []
    for child in node.inputs:
        if child in inner:
            row.append(program.op("copy", where[child]))
        else:
            row.append(load(child))
    return program.fused("adam", row, 3)


def _strides_in(dims: tuple[int, ...], views: Sequence[View]) -> list[tuple[int, ...]]:
    """Strides of operands over other dimensions with as many elements.

    Raises:
        ValueError: when the axes of an operand do not join so.
    """
    found = []
    for view in views:
        again = view.reshaped(dims)
        if again is None:
            raise ValueError("axes do not join")
        found.append(again.strides)
    return found
