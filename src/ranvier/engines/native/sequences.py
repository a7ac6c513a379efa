"""Rows of the table for fused operations on sequences: attention, row normalisation."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ranvier.engines.native.draft import Draft, access
from ranvier.engines.native.lowering import Lowering
from ranvier.engines.native.products import CALL_NS, FMA_NS
from ranvier.engines.native.programs import place
from ranvier.engines.native.regions import Body
from ranvier.engines.native.table import row
from ranvier.engines.native.values import PANEL, View
from ranvier.graph.attention import MASKED
from ranvier.graph.dropping import kept_factor, least_kept
from ranvier.graph.ir import Node

#: Floats of a head that attention keeps in a worker's scratch; where there are more, it
#: is computed op by op.
ROOM = 3 << 19
#: Numbers for each key that dropout needs besides: of a block of queries, what is kept.
DROPPED = 64


def _read(low: Lowering, node: Node) -> set[int]:
    """Which results somebody reads."""
    return {reader.attrs["index"] for reader in low.consumers[node]}


def _results(low: Lowering, node: Node) -> list[View | None]:
    """Room for each result that somebody reads: where it is wanted, if that is dense."""
    found: list[View | None] = []
    read = _read(low, node)
    for index, spec in enumerate(node.spec):
        room = None
        if index in read:
            room = low.new(low.bound(spec.shape), spec.dtype)
            for reader in low.consumers[node]:
                wanted = low.places.get(reader)
                if reader.attrs["index"] == index and wanted is not None:
                    room = wanted if wanted.dense and not wanted.panel else room
        found.append(room)
    return found


def _emit(
    low: Lowering,
    node: Node,
    kernel: str,
    reads: Sequence[View | None],
    writes: Sequence[View | None],
    dims: Sequence[int],
    scalars: Sequence[float],
    units: int,
    cost: float,
) -> None:
    low.steps.append(
        Draft(
            kernel,
            [None if v is None else place(v) for v in (*reads, *writes)],
            list(dims),
            list(scalars),
            units=units,
            reads=[access(v) for v in reads if v is not None],
            writes=[access(v) for v in writes if v is not None],
            cost=CALL_NS + cost,
            label=node.layer,
        )
    )


def _by_body(low: Lowering, node: Node) -> tuple[View | None, ...]:
    """A fused operation op by op."""
    region = node.attrs["body"]
    known = {
        param: low.value(given)
        for param, given in zip(region.params, node.inputs, strict=True)
    }
    rooms = _results(low, node)
    pairs = [(r, v) for r, v in zip(region.results, rooms, strict=True) if v]
    inner = Body(low, [result for result, _ in pairs], known)
    low.steps.extend(inner.run_into([view for _, view in pairs]))
    return tuple(rooms)


# -------------------------------------------------------------------- attention


def _vectors(low: Lowering, node: Node) -> View:
    """A value whose last axis is a run of numbers."""
    view: View = low.value(node)
    plain = view.buffer is not None and not view.panel and min(view.strides) >= 0
    if plain and (view.strides[-1] == 1 or view.shape[-1] == 1):
        return view
    return low.dense(view)


def _masks(low: Lowering, nodes: Sequence[Node], shape: tuple[int, ...]) -> View | None:
    """A mask as a view of the scores' shape, its rows runs of bytes."""
    if not nodes:
        return None
    view = low.value(nodes[0])
    if view.buffer is None:
        view = low.stored(view)
    strides = [
        0 if size == 1 else stride
        for size, stride in zip(view.shape, view.strides, strict=True)
    ]
    wide = View(view.buffer, shape, tuple(strides), view.dtype, view.offset)
    if (wide.strides[-1] == 1 or shape[-1] == 1) and min(strides) >= 0:
        return wide
    # Each query's row of its own; what is alike for all rows or heads stays so.
    own = tuple(n if s else 1 for n, s in zip(shape[:-1], strides, strict=False))
    held = View(view.buffer, (*own, shape[-1]), tuple(strides), view.dtype, view.offset)
    held = low.dense(held)
    kept = (0 if n == 1 else s for n, s in zip(held.shape, held.strides, strict=True))
    return View(held.buffer, shape, tuple(kept), held.dtype, held.offset)


def _three(view: View | None) -> tuple[int, ...]:
    """Strides of the batch, of positions and of heads."""
    return (0, 0, 0) if view is None else view.strides[:3]


def _padded(n: int) -> int:
    return -(-n // 16) * 16


@row("attention")
def _attention(low: Lowering, node: Node) -> tuple[View | None, ...]:
    b, i, h, d = low.shape(node.inputs[0])
    j, e = low.shape(node.inputs[1])[1], low.shape(node.inputs[2])[3]
    rate, rest = node.attrs.get("rate", 0.0), node.inputs[3:]
    room = _padded(j) * (d + 1) + i * (d + j) + (DROPPED * j if rate else 0)
    if min(b, i, h, d, j, e) == 0 or room > ROOM:
        return _by_body(low, node)
    q, k, v = (_vectors(low, c) for c in node.inputs[:3])
    key = low.dense(low.value(rest[0])) if rate else None
    mask = _masks(low, rest[1:] if rate else rest, (b, h, i, j))
    out, weights = _results(low, node)
    if out is None:
        out = low.new((b, i, h, e), node.inputs[0].dtype)
    dims = [b, h, i, j, d, e]
    for view in (q, k, v, out):
        dims += _three(view)
    dims += (0, 0, 0, 0) if mask is None else mask.strides
    dims += least_kept(rate), int(node.attrs.get("empty_is_zero", False))
    scalars = [node.attrs["scale"], MASKED, kept_factor(rate)]
    cost = b * h * i * j * ((d + e) * 2 * FMA_NS + 1.0 + bool(rate))
    reads = [q, k, v, mask, key]
    _emit(low, node, "attention", reads, [out, weights], dims, scalars, b * h, cost)
    return out, weights


@row("attention_grad")
def _attention_grad(low: Lowering, node: Node) -> tuple[View | None, ...]:
    b, i, h, d = low.shape(node.inputs[2])
    j, e = low.shape(node.inputs[3])[1], low.shape(node.inputs[4])[3]
    rate = node.attrs.get("rate", 0.0)
    room = _padded(j) * (e + 1) + i * (d + j) + (i * j if rate else 0)
    if min(b, i, h, d, j, e) == 0 or room > ROOM:
        return _by_body(low, node)
    weights = low.value(node.inputs[0])
    weights = low.dense(weights)
    g, q, k, v = (_vectors(low, c) for c in node.inputs[1:5])
    mask = _masks(low, node.inputs[5:], (b, h, i, j))
    rooms = _results(low, node)
    dims = [b, h, i, j, d, e]
    for view in (q, k, v, g):
        dims += _three(view)
    dims += (0, 0, 0, 0) if mask is None else mask.strides
    for room_of in rooms:
        dims += _three(room_of)
    dims.append(int(rate > 0))
    cost = b * h * i * j * ((2 * d + 3 * e) * 2 * FMA_NS + 0.5)
    reads = [q, k, v, mask, weights, g]
    scalars = [node.attrs["scale"], kept_factor(rate)]
    _emit(low, node, "attention_grad", reads, rooms, dims, scalars, b * h, cost)
    return tuple(rooms)


# ---------------------------------------------------------------- normalisation


def _rows(low: Lowering, node: Node) -> View:
    view: View = low.value(node)
    return low.dense(view)


@row("layer_norm")
def _layer_norm(low: Lowering, node: Node) -> tuple[View | None, ...]:
    x, gamma, beta = (_rows(low, c) for c in node.inputs)
    rooms = [low.new(low.bound(spec.shape), spec.dtype) for spec in node.spec]
    wide = x.shape[-1]
    if x.size:
        m = x.size // wide
        _emit(
            low, node, "layer_norm", [x, gamma, beta], rooms, [m, wide],
            [node.attrs["epsilon"]], max(1, min(m, 64)), 20.0 * m + 0.3 * x.size,
        )  # fmt: skip
    return tuple(rooms)


@row("layer_norm_grad")
def _layer_norm_grad(low: Lowering, node: Node) -> tuple[View | None, ...]:
    normal, factor, gamma, g = (_rows(low, c) for c in node.inputs)
    d_x, d_gamma, d_beta = rooms = _results(low, node)
    wide = normal.shape[-1]
    m = normal.size // max(wide, 1)
    if d_x is not None and d_x.size:
        _emit(
            low, node, "layer_norm_grad", [normal, factor, gamma, g], [d_x], [m, wide],
            [], max(1, min(m, 64)), 20.0 * m + 0.3 * normal.size,
        )  # fmt: skip
    if wide and (d_gamma is not None or d_beta is not None):
        panels = math.ceil(wide / PANEL)
        _emit(
            low, node, "product_sums", [normal, g], [d_gamma, d_beta], [m, wide], [],
            panels, 20.0 + 0.2 * normal.size,
        )  # fmt: skip
    return tuple(rooms)
