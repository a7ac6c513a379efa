"""Steps that run a group's program: one of its own, or one that computes its input."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ranvier.engines.native import programs
from ranvier.engines.native.draft import Access, Draft, Share, access
from ranvier.engines.native.lanes import Lanes
from ranvier.engines.native.programs import Group, place
from ranvier.engines.native.values import PANEL, View, row_major
from ranvier.graph.ir import Node

if TYPE_CHECKING:
    from ranvier.engines.native.lowering import Lowering


def emit_program(low: Lowering, group: Group) -> None:
    """A group as a step of its own."""
    by_columns = group.stores and all(v.columns for v in group.stores.values())
    if by_columns and not any(v.panel for v in group.views()):
        group = group.turned()
    places = {at: i for i, at in enumerate(places_of(group))}
    size = math.prod(group.shape)
    panel = any(v.panel for v in group.views())
    program = programs.build(group, places)
    if panel:
        units = -(-group.shape[1] // PANEL)
        share: Any = ("columns", units)
    else:
        units = max(1, min(size // 2048, 64))
        share = ("flat", units, program.dims)
    lanes = None if panel else low.lanes
    if lanes is not None and lanes.fits(group.shape, program.dims):
        units, share = lanes.workers, ("rows", lanes.rows, lanes.per)
    else:
        lanes = None
    draft = Draft(
        "ew_run",
        list(places),
        units=units,
        program=program,
        cost=size * (0.1 + 0.12 * len(group.nodes)),
        together=lanes is not None,
    )
    record(draft, group, share, lanes)
    low.steps.append(draft)


def places_of(group: Group, first: Sequence[Any] = ()) -> dict[Any, None]:
    """Where the buffers of a step begin, each once."""
    places = dict.fromkeys(first)
    for view in group.views():
        places.setdefault(place(view))
    return places


def record(draft: Draft, group: Group, share: Any, lanes: Lanes | None = None) -> None:
    """Note what a program reads and writes."""

    def touched(view: View) -> Access:
        own = None if lanes is None else lanes.access(view)
        follows = share if _follows(view, group.shape) else None
        return access(view, follows) if own is None else own

    draft.reads += [touched(v) for v in group.leaves.values() if v.buffer is not None]
    draft.writes += [touched(v) for v in group.stores.values()]
    if group.nodes:
        node = group.nodes[-1]
        draft.label = node.layer


def _follows(view: View, shape: tuple[int, ...]) -> bool:
    """Whether workers share a view as they share the iteration space."""
    return view.panel or view.strides == row_major(shape)


def host_program(
    draft: Draft,
    group: Group,
    share: Any,
    dims: tuple[int, ...] | None = None,
    result: Node | None = None,
    lanes: Lanes | None = None,
) -> None:
    """Let a step run a group on the results it has just computed, or about to reduce."""
    places: dict[Any, int] = {}
    for view in group.views():
        if place(view) not in places:
            places[place(view)] = len(draft.refs)
            draft.refs.append(place(view))
    draft.program = programs.build(group, places, True, dims, result)
    for view in group.leaves.values():
        if view.buffer is not None:
            own = share if _matrix(view) else None
            draft.reads.append(touch(view, own, lanes))
    for view in group.stores.values():
        own = share if _matrix(view) else None
        draft.writes.append(touch(view, own, lanes))
    draft.cost += math.prod(group.shape) * 0.12 * len(group.nodes)


def touch(view: View, share: Share, lanes: Lanes | None) -> Access:
    """What a step touches of a matrix that is shared as its result is."""
    own = None if lanes is None else lanes.access(view)
    return access(view, share) if own is None else own


def _matrix(view: View) -> bool:
    """Whether a view is walked as the result is: element (row, column) by its owner."""
    return view.panel or view.dense
