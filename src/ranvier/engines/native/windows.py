"""Convolutions and the largest of windows: geometry becomes tables and steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from ranvier.engines.api import Unsupported
from ranvier.engines.native import groups
from ranvier.engines.native.conv_geometry import (
    DEPTHWISE,
    MOST_BAND,
    MOST_DEPTH,
    MOST_PACKED,
    MOST_POOL,
    POOLED,
    TURNED,
    Axis,
    Conv,
    Geometry,
    Spread,
    analyse,
    operand,
    solid,
    table,
    three,
)
from ranvier.engines.native.draft import Draft, access
from ranvier.engines.native.epilogues import (
    ADD,
    BIAS,
    MASK,
    RELU,
    SIDE_APART,
    match_epilogue,
)
from ranvier.engines.native.groups import MAX_BUFFERS
from ranvier.engines.native.hosting import emit_program, host_program
from ranvier.engines.native.lowering import Lowering
from ranvier.engines.native.operands import Product
from ranvier.engines.native.pool_gradients import input_step, reads_input
from ranvier.engines.native.products import CALL_NS, FMA_NS
from ranvier.engines.native.programs import Group, place
from ranvier.engines.native.table import host, row
from ranvier.engines.native.values import PANEL, View, number, row_major
from ranvier.graph.ir import Node


def can_host_conv(low: Lowering, node: Node) -> bool:
    """Whether programs may run on its tiles: its steps compute whole rows in order."""
    found = analyse(low, node)
    return len(found.phases) == 1 and math.prod(found.to) > 0


def emit_conv(low: Lowering, node: Node, group: Group) -> None:
    """A convolution whose result only lives in the tiles that ``group`` reads."""
    for child in node.inputs:
        low.value(child)
    shape = low.shape(node)
    m, n = math.prod(shape[:-1]), shape[-1]
    simple = match_epilogue(group, Product("gemm_nn", _ANY, _ANY, m, n, 1))
    if simple is not None:
        flags, bias, side, to = simple
        dense = side is None or m == 1 or side.strides == (n, 1)
        if flags & ~(BIAS | RELU | MASK | ADD) == 0 and dense:
            _emit(low, node, to, flags, bias, side)
            return
    try:
        _emit(low, node, None, group=group)
    except ValueError:
        # Leading axes of an operand do not join: the program runs on its own.
        view = low.new(shape, node.dtype)
        _emit(low, node, view)
        group.leaves[node] = view
        group.accumulator = None
        emit_program(low, group)


_ANY = number(0.0, (), "float32")
host("conv", "conv_input", can=can_host_conv, emit=emit_conv)


@row("conv", "conv_input")
def _conv(low: Lowering, node: Node) -> View:
    for child in node.inputs:
        low.value(child)
    to = low.room(node)
    if to.size:
        _emit(low, node, to)
    return to


def _emit(
    low: Lowering,
    node: Node,
    to: View | None,
    flags: int = 0,
    bias: View | None = None,
    side: View | None = None,
    group: Group | None = None,
    pool: Pool | None = None,
) -> None:
    """The steps of a convolution.

    Raises:
        ValueError: when the axes of an operand of the group do not join.
    """
    x, w = solid(low, node.inputs[0]), solid(low, node.inputs[1])
    c = analyse(low, node)
    refs = [place(v) if v is not None else None for v in (bias, side)]
    if bias is None:
        refs.reverse()
    elif side is not None:
        flags |= SIDE_APART
    made: list[tuple[tuple[int, ...], Draft]]
    if isinstance(x, Spread):  # all residues in one step, from the first position on
        made = [((0, 0, 0), input_step(low, node, c, x.cropped(), w))]
    else:
        made = [
            (first, _phase(low, node, c, three(x), w, first, axes, pool))
            for first, axes in c.phases
        ]
    for first, step in made:
        step.dims[21] |= flags
        step.refs[3:5] = refs
        for extra in (bias, side):
            if extra is not None:
                step.reads.append(access(extra))
        if to is not None:
            step.refs[2] = (place(to)[0], place(to)[1] + _start(c, first))
            step.writes.append(access(to))
        if pool is not None and pool.taps is not None:
            step.refs[4] = place(pool.taps)
            step.writes.append(access(pool.taps))
        if group is not None:
            host_program(step, group, None)
            if len(step.refs) > MAX_BUFFERS:
                raise ValueError("its operands are too many")
    low.steps += [step for _, step in made]


def _strides(c: Conv) -> tuple[int, ...]:
    """Floats of the result from row to row of the batch, and along D, H, W."""
    return row_major(c.to)[:-1]


def _start(c: Conv, first: tuple[int, ...]) -> int:
    steps = _strides(c)[1:]
    return 4 * sum(f * s for f, s in zip(first, steps, strict=True))


def _phase(
    low: Lowering,
    node: Node,
    c: Conv,
    x: View,
    w: View,
    first: tuple[int, ...],
    axes: tuple[Axis, ...],
    pool: Pool | None = None,
) -> Draft:
    """One step: all positions that meet the same taps."""
    g = c.geometry
    if pool is not None:  # no positions but those in windows
        _, kh, kw = pool.window
        axes = (
            axes[0],
            replace(axes[1], count=axes[1].count // kh * kh),
            replace(axes[2], count=axes[2].count // kw * kw),
        )
    channels, columns = x.shape[-1], c.to[-1]
    often = columns // channels if c.deep else 1
    own = c.depth
    if c.deep:
        own = min(channels, PANEL) if often == 1 else channels * often
    a = operand(low, x, axes, own, DEPTHWISE if c.deep else 0, often)
    if pool is not None:
        kh = pool.window[1]
        a.band = max(a.band // kh, 1) * kh
    met = list(product(*(range(len(axis.taps)) for axis in axes)))
    numbers = [
        (axes[0].taps[d] * g.taps[1] + axes[1].taps[h]) * g.taps[2] + axes[2].taps[v]
        for d, h, v in met
    ]
    each = w.shape[-2] * w.shape[-1]
    depth = len(met) * (1 if c.deep else c.depth)
    if depth > MOST_DEPTH:
        raise Unsupported(
            "RV502", f"a convolution that adds {depth:,} products for each output"
        )
    flags, wide = a.flags, w.shape[-1]
    starts = [each * k for k in numbers]
    if c.backward and not c.deep:
        flags |= TURNED
        if depth > MOST_PACKED:
            w, flags = _turned_kernel(low, c, w, numbers), a.flags
            wide = w.shape[-1]
            starts = [w.shape[-2] * wide * k for k in range(len(met))]
    offsets = [a.offset(taps) for taps in met]
    window = pool.window[1:] if pool else ()
    told = table(low, [*offsets, *starts, *window])
    per_row = _strides(c)
    moves = [
        s * k
        for s, k in zip(per_row[1:], g.strides if c.backward else (1,) * 3, strict=True)
    ]
    counts = [axis.count for axis in axes]
    lines = c.to[0] * counts[0] * counts[1]
    units = lines
    if pool is not None:
        _, kh, kw = pool.window
        flags |= POOLED
        units = lines // kh
        moves[2] = columns
        moves[1] = counts[2] // kw * columns
    dims: list[int] = [
        c.to[0],
        c.depth,
        len(met),
        columns if c.deep else c.columns,
        1 if c.deep else g.groups,
        *counts,
        *a.dims(),
        flags,
        wide,
        *moves[::-1],
        per_row[0],
        a.band,
        a.often,
        len(axes[2].taps) if len(axes[0].taps) == 1 else 0,
        w.size,
    ]
    return Draft(
        "conv",
        [place(a.view), place(w), None, None, None, place(told)],
        dims,
        units=max(units, 1),
        reads=[access(a.view), access(w), access(told)],
        cost=CALL_NS + lines * counts[2] * columns * max(depth, 1) * FMA_NS,
        label=node.layer,
    )


def _turned_kernel(low: Lowering, c: Conv, w: View, numbers: Sequence[int]) -> View:
    """These taps of a kernel, ``[taps, outputs of a group, inputs]``."""
    taps, groups = math.prod(c.geometry.taps), c.geometry.groups
    source = w.reshaped((taps, c.columns, groups, c.depth))
    to = low.new((len(numbers), c.depth, groups * c.columns), w.dtype)
    room = to.reshaped((len(numbers), c.depth, groups, c.columns))
    assert source is not None
    assert room is not None
    turned = source.transposed((0, 3, 2, 1))
    assert turned is not None
    ones, shape = (1,) * 4, (1, *turned.shape[1:])
    for i, tap in enumerate(numbers):
        part = turned.sliced((tap, 0, 0, 0), ones, shape)
        into = room.sliced((i, 0, 0, 0), ones, shape)
        assert part is not None
        assert into is not None
        low.copy(part, into)
    return to


# ------------------------------------------------------------------ the largest of windows


def _window_step(
    low: Lowering, node: Node, kernel: str, views: list[View | None], reads: int
) -> None:
    """A step over windows; ``views`` in the order of the kernel, what it reads first."""
    attrs = low.attrs(node)
    known = [v for v in views if v is not None]
    if any(v.size == 0 for v in known):
        return
    spread = kernel == "window_spread"
    inside, outside = (known[-1], known[0]) if spread else (known[0], known[-1])
    g = Geometry.of(attrs, inside.shape[1:-1], outside.shape[1:-1], attrs["window"])
    wide = {v.dtype for v in known if not v.dtype.startswith("float")}
    rows, over = inside.shape[0], g.sizes if spread else g.out
    dims = [
        rows,
        *g.sizes,
        inside.shape[-1],
        *g.out,
        *g.taps,
        *g.strides,
        *g.low,
        4 if "int32" in wide else 1,
    ]
    work = outside.size * math.prod(g.taps)
    low.steps.append(
        Draft(
            kernel,
            [place(v) if v is not None else None for v in views],
            dims,
            units=rows * over[0] * over[1],
            reads=[access(v) for v in views[:reads] if v is not None],
            writes=[access(v) for v in views[reads:] if v is not None],
            cost=20 + work * 0.15,
            label=node.layer,
        )
    )


def _same_windows(low: Lowering, pick: Node, argmax: Node) -> bool:
    return (
        pick.op.name == "window_pick"
        and pick.inputs == (argmax.inputs[0], argmax)
        and low.attrs(pick) == low.attrs(argmax)
    )


@dataclass
class Pool:
    """Windows side by side of which a convolution keeps the largest.

    Attributes:
        window: Positions of a window along three axes.
        taps: Where the largest stood, if somebody asks.
    """

    window: tuple[int, ...]
    taps: View | None


def _window_side_by_side(
    low: Lowering, windows: Node, attrs: dict[str, Any]
) -> tuple[int, ...] | None:
    """A window of one or two axes that a convolution may look through."""
    window = tuple(attrs["window"])
    if window != tuple(attrs["strides"]) or len(window) > 2:
        return None
    if any(pair != (0, 0) for pair in map(tuple, attrs["padding"])):
        return None
    if max(window) > MOST_POOL or not math.prod(low.shape(windows)):
        return None
    return (1,) * (3 - len(window)) + window


def _pooled(low: Lowering, argmax: Node, pick: Node | None) -> bool:
    """A convolution, its bias, relu and the largest of windows in one step.

    Returns:
        Whether that was possible; if not, only operands have been computed.
    """
    window = _window_side_by_side(low, argmax, low.attrs(argmax))
    x = argmax.inputs[0]
    if window is None or pick is None or x in low.external:
        return False
    if any(c not in (argmax, pick) for c in low.consumers[x]):
        return False
    ready = groups.hosted(low, x)
    if ready is None or ready.accumulator is None:
        return False
    node = ready.accumulator
    if node.op.name != "conv" or not can_host_conv(low, node):
        return False
    _, high, wide = analyse(low, node).phases[0][1]
    lines = (window[1] - 1) * high.step + high.reach
    if lines * wide.frame * low.shape(node.inputs[0])[-1] * 4 > MOST_BAND:
        return False
    flags, bias = 0, None
    if ready.nodes:
        shape = low.shape(node)
        m, n = math.prod(shape[:-1]), shape[-1]
        simple = match_epilogue(ready, Product("gemm_nn", _ANY, _ANY, m, n, 1))
        if simple is None or simple[0] & ~(BIAS | RELU) or simple[2] is not None:
            return False
        flags, bias = simple[0], simple[1]
    taps: View | None = None
    if argmax in low.external or any(c is not pick for c in low.consumers[argmax]):
        taps = low.memo[argmax] = low.room(argmax)
    to = low.memo[pick] = low.room(pick)
    low.done.update((argmax, pick, node, *ready.nodes))
    _emit(low, node, to, flags, bias, pool=Pool(window, taps))
    return True


def _largest(low: Lowering, argmax: Node, pick: Node | None) -> None:
    """Values, taps, or both by one step; what nobody else reads is not written."""
    if _pooled(low, argmax, pick):
        return
    x = solid(low, argmax.inputs[0])
    taps: View | None = None
    if argmax in low.external or any(c is not pick for c in low.consumers[argmax]):
        taps = low.memo[argmax] = low.room(argmax)
    to: View | None = None
    if pick is not None:
        to = low.memo[pick] = low.room(pick)
    low.done.update((argmax, *([pick] if pick is not None else [])))
    _window_step(low, argmax, "window_max", [x, to, taps], 1)


@row("window_argmax")
def _window_argmax(low: Lowering, node: Node) -> View:
    pick = next((c for c in low.consumers[node] if _same_windows(low, c, node)), None)
    _largest(low, node, pick)
    if node not in low.memo:
        low.memo[node] = low.new(low.shape(node), node.dtype)
    found: View = low.memo[node]
    return found


@row("window_pick")
def _window_pick(low: Lowering, node: Node) -> View:
    taps = node.inputs[1]
    if (
        taps.op.name == "window_argmax"
        and taps not in low.memo
        and _same_windows(low, node, taps)
    ):
        _largest(low, taps, node)
        found: View = low.memo[node]
        return found
    x, index = (solid(low, c) for c in node.inputs)
    to = low.room(node)
    _window_step(low, node, "window_pick", [x, index, to], 2)
    return to


def _reads_windows(low: Lowering, reader: Node, spread: Node, to: Spread) -> bool:
    """Whether a step of this reader can spread for itself what windows pass back."""
    sizes = to.cropped().shape
    if reader.op.name == "conv_kernel":
        once = reader.inputs[1] is spread and reader.inputs[0] is not spread
        return once and sizes[2] * sizes[3] <= MOST_PACKED
    if reader.op.name != "conv_input" or reader.inputs[1] is spread:
        return False
    return reads_input(analyse(low, reader), to.cropped())


@row("window_spread")
def _window_spread(low: Lowering, node: Node) -> View:
    g, index = (solid(low, c) for c in node.inputs)
    window = _window_side_by_side(low, node.inputs[1], low.attrs(node))
    if window is not None and node.dtype == "float32" and index.dtype == "uint8":
        wide = low.new(low.shape(node), node.dtype)
        at = (wide.buffer, wide.shape, wide.strides, wide.dtype)
        spread = Spread(*at, values=g, taps=index, window=window)
        readers = low.consumers[node]
        if node not in low.external and all(
            _reads_windows(low, c, node, spread) for c in readers
        ):
            return spread
    to = low.room(node)
    _window_step(low, node, "window_spread", [g, index, to], 2)
    if to.size and (g.size == 0 or index.size == 0):
        low.copy(number(0.0, to.shape, to.dtype), to)
    return to
