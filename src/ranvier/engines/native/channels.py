"""Statistics of channels: sums down long columns, in parts that the shape tells."""

from __future__ import annotations

from ranvier.engines.native.draft import Draft, access
from ranvier.engines.native.lowering import Lowering
from ranvier.engines.native.parts import join_parts
from ranvier.engines.native.programs import place
from ranvier.engines.native.table import row
from ranvier.engines.native.values import View, number
from ranvier.graph.ir import Node

#: Numbers for which a part is worth its place, and the most parts.
PART, MOST_PARTS = 8192, 32


def _parts(rows: int, columns: int) -> int:
    """Into how many parts rows are divided, whatever the number of workers."""
    return max(1, min(rows // 4, rows * columns // PART, MOST_PARTS))


def _matrix(low: Lowering, node: Node) -> View:
    """A value as positions by channels."""
    view = low.value(node)
    if view.buffer is None:
        view = low.stored(view)
    view = low.dense(view)
    wide = view.shape[-1]
    found = view.reshaped((view.size // max(wide, 1), wide))
    assert found is not None
    return found


def _in_parts(low: Lowering, node: Node, views: list[View]) -> tuple[View, list[int]]:
    """The step that goes over all rows: ``[parts, 2, columns]``."""
    rows, wide = views[0].shape
    dims = [rows, wide, _parts(rows, wide)]
    to = low.new((dims[2], 2, wide), "float32")
    low.steps.append(
        Draft(
            node.op.name,
            [place(v) for v in (*views, to)],
            dims,
            units=dims[2],
            reads=[access(v) for v in views],
            writes=[access(to)],
            cost=20 + rows * wide * 0.1 * len(views),
            label=node.layer,
        )
    )
    return to, dims


def _apart(view: View) -> tuple[View, ...]:
    """The rows of a matrix of two."""
    wide = view.shape[-1]
    halves = [view.sliced((k, 0), (1, 1), (1, wide)) for k in range(2)]
    found = [half.reshaped((wide,)) for half in halves if half is not None]
    return tuple(half for half in found if half is not None)


@row("channel_moments")
def _moments(low: Lowering, node: Node) -> tuple[View, ...]:
    x = _matrix(low, node.inputs[0])
    rows, wide = x.shape
    room = low.new((2, wide), "float32")
    both = _apart(room)
    if not rows or not wide:
        low.copy(number(float("nan"), room.shape, room.dtype), room)
        return both
    parts, dims = _in_parts(low, node, [x])
    low.steps.append(
        Draft(
            "channel_moments_join",
            [place(v) for v in (parts, *both)],
            dims,
            units=1,
            reads=[access(parts)],
            writes=[access(v) for v in both],
            cost=20 + 2 * parts.size,
            label=node.layer,
        )
    )
    return both


@row("channel_sums")
def _sums(low: Lowering, node: Node) -> tuple[View, ...]:
    g, x = (_matrix(low, child) for child in node.inputs)
    rows, wide = x.shape
    to = low.new((2, wide), "float32")
    if not rows or not wide:
        low.copy(number(0.0, to.shape, to.dtype), to)
        return _apart(to)
    parts, dims = _in_parts(low, node, [g, x])
    if dims[2] == 1:
        return _apart(View(parts.buffer, to.shape, to.strides, to.dtype))
    join_parts(low, node, parts, to)
    return _apart(to)
