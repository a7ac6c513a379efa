"""Convolutions and the largest of windows: geometry becomes tables and steps.

An axis of a convolution is told by offsets: output position ``j`` meets, for each of its
taps, input position ``j * step + offset``. For the gradient by the input with a stride
these differ by the residue of the position, and each residue is a step of its own.
Offsets start at a *frame* around the input; where that reaches beyond the input, the
kernel copies a band of lines with zeros around it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product
from typing import Any

import numpy as np

from ranvier.engines.api import Unsupported
from ranvier.engines.native import groups
from ranvier.engines.native.access_windows import PIECE_ROWS
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
from ranvier.engines.native.products import CALL_NS, FMA_NS
from ranvier.engines.native.programs import Group, place
from ranvier.engines.native.table import host, row
from ranvier.engines.native.values import PANEL, Buffer, View, number, row_major
from ranvier.graph.ir import Node

#: Flags of the kernels (native/src/kernels/conv.h).
TURNED, DEPTHWISE, FRAMED, POOLED, SPREAD, SPREAD_G = 64, 128, 256, 512, 1024, 2048
#: Bytes of a band: it should stay near; the most that there is room for.
BAND, MOST_BAND = 192 << 10, (2 << 20) - 4096
#: Most products of a sum, and most whose packed kernel has room.
MOST_DEPTH, MOST_PACKED = 1 << 18, ((4 << 20) - 4096) // (4 * PANEL)
#: Taps of a piece of a kernel's gradient, where channels are by themselves.
PIECE_TAPS = 9
#: Most positions of a window along an axis for which a convolution keeps the largest.
MOST_POOL = 8


@dataclass(frozen=True)
class Axis:
    """One axis of a convolution as positions of the result see it.

    Attributes:
        count: Number of positions.
        step: In the input, from one position to the next.
        size: Of the input.
        taps: Numbers of the taps that are met.
        offsets: Of the input position of each tap.
    """

    count: int
    step: int
    size: int
    taps: tuple[int, ...]
    offsets: tuple[int, ...]

    @property
    def before(self) -> int:
        """How far the frame begins before the input."""
        return -min(self.offsets, default=0)

    @property
    def reach(self) -> int:
        """Positions of the frame that one position meets."""
        return max(self.offsets, default=-1) + self.before + 1

    @property
    def frame(self) -> int:
        """Positions of the frame."""
        return (self.count - 1) * self.step + self.reach

    @property
    def inside(self) -> bool:
        """Whether the frame lies in the input."""
        return self.before <= 0 and self.frame - self.before <= self.size


@dataclass(frozen=True)
class Geometry:
    """A convolution of up to three axes, from the input's side.

    Attributes:
        sizes: Of the input.
        out: Of the output.
        taps: Of the kernel.
        strides: Along each axis.
        low: Padding before each axis.
        dilation: Along each axis.
        groups: Of channels.
    """

    sizes: tuple[int, ...]
    out: tuple[int, ...]
    taps: tuple[int, ...]
    strides: tuple[int, ...]
    low: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    @staticmethod
    def of(
        attrs: dict[str, Any], sizes: Sequence[int], out: Sequence[int], taps: Any
    ) -> Geometry:
        """Axes in front that are not there have one position."""

        def three(values: Sequence[int], fill: int) -> tuple[int, ...]:
            return (fill,) * (3 - len(values)) + tuple(values)

        rank = len(sizes)
        dilation = attrs.get("dilation", (1,) * rank)
        return Geometry(
            three(sizes, 1),
            three(out, 1),
            three(taps, 1),
            three(attrs["strides"], 1),
            three([a for a, _ in attrs["padding"]], 0),
            three(dilation, 1),
            attrs.get("groups", 1),
        )

    def forward(self) -> tuple[Axis, ...]:
        """Outputs look at inputs."""
        axes = zip(
            *(self.out, self.strides, self.sizes, self.taps, self.dilation, self.low),
            strict=True,
        )
        return tuple(
            Axis(n, s, i, tuple(range(k)), tuple(t * d - a for t in range(k)))
            for n, s, i, k, d, a in axes
        )

    def backward(self) -> list[tuple[tuple[int, ...], tuple[Axis, ...]]]:
        """Inputs look at outputs: for each residue its first position and the axes."""
        axes = zip(
            *(self.out, self.strides, self.sizes, self.taps, self.dilation, self.low),
            strict=True,
        )
        each: list[list[tuple[int, Axis]]] = []
        for n, s, i, k, d, a in axes:
            found = []
            for first in range(min(s, i)):
                taps = tuple(t for t in range(k) if (first + a - t * d) % s == 0)
                offsets = tuple((first + a - t * d) // s for t in taps)
                count = -(-(i - first) // s)
                found.append((first, Axis(count, 1, n, taps, offsets)))
            each.append(found)
        return [
            (tuple(f for f, _ in part), tuple(axis for _, axis in part))
            for part in product(*each)
        ]


def table(low: Lowering, values: Sequence[int]) -> View:
    """Offsets as a constant in memory.

    Raises:
        Unsupported: RV502, when they do not fit into 32 bits.
    """
    if any(not -(2**31) <= v < 2**31 for v in values):
        raise Unsupported(
            "RV502", "an image of a convolution has 2**31 numbers or more"
        )
    array = np.asarray(values or [0], "int32")
    buffer = Buffer("const", array.nbytes)
    low.constants[buffer] = array
    return View(buffer, array.shape, row_major(array.shape), "int32")


def solid(low: Lowering, node: Node) -> View:
    """The value of a node, dense; a number everywhere becomes a constant."""
    view = low.value(node)
    if view.buffer is not None:
        return low.dense(view)
    array = np.full(view.shape, view.number, view.dtype)
    buffer = Buffer("const", max(array.nbytes, 1))
    low.constants[buffer] = array
    return View(buffer, view.shape, row_major(view.shape), view.dtype)


_NOWHERE = number(0.0, (), "float32")


@dataclass
class Operand:
    """What positions look at, and how.

    Attributes:
        view: ``[rows, *three sizes, channels]``.
        flags: Whether the kernel frames it, and reads channels by themselves.
        channels: Floats from one position of the frame to the next.
        band: Lines of positions in a band.
        often: How often its channels are repeated.
    """

    view: View
    axes: tuple[Axis, ...]
    flags: int
    channels: int
    band: int
    often: int = 1

    @property
    def lines(self) -> int:
        """Lines of the frame in a band."""
        axis = self.axes[1]
        return (self.band - 1) * axis.step + axis.reach

    def offset(self, taps: Sequence[int]) -> int:
        """Of a combination of taps (their places among those met), in the frame."""
        _, height, wide = (
            (self.axes[0].reach, self.lines, self.axes[2].frame)
            if self.flags & FRAMED
            else self.view.shape[1:4]
        )
        d, h, w = (
            axis.offsets[t] + axis.before
            for axis, t in zip(self.axes, taps, strict=True)
        )
        return ((d * height + h) * wide + w) * self.channels

    def dims(self) -> list[int]:
        """Integers 8 to 20 of a step."""
        return [
            *(a.step for a in self.axes),
            *self.view.shape[1:5],
            *(a.before for a in self.axes),
            self.axes[2].frame,
            self.lines,
            self.axes[0].reach,
        ]


def _operand(
    low: Lowering,
    view: View,
    axes: tuple[Axis, ...],
    own: int,
    deep: int,
    often: int,
    framed: bool = False,
) -> Operand:
    """How a kernel reads an input.

    Args:
        low: The lowering.
        view: The input, three axes between rows and channels.
        axes: Its axes.
        own: Channels that a frame holds.
        deep: ``DEPTHWISE`` or 0.
        often: How often channels are repeated in the frame.
        framed: Whether it is framed even if nothing is padded.
    """
    channels = view.shape[-1]
    if all(a.inside for a in axes) and often == 1 and not framed:
        return Operand(view, axes, deep, channels, axes[1].count)
    found = Operand(view, axes, deep | FRAMED, own, axes[1].count, often)
    line = max(axes[0].reach, 1) * axes[2].frame * own * 4
    if line:
        lines = max(BAND // line, axes[1].reach)
        found.band = max(1, (lines - axes[1].reach) // axes[1].step + 1)
        found.band = min(found.band, axes[1].count)
    if found.lines * line <= MOST_BAND:
        return found
    # Not even one line of positions has room: frame all of it in memory.
    shape = (view.shape[0], *(a.frame for a in axes), channels * often)
    wide = low.new(shape, view.dtype)
    low.copy(number(0.0, shape, view.dtype), wide)
    start, count = [0], [view.shape[0]]
    skip = [0]
    for a in axes:
        skip.append(max(-a.before, 0))
        start.append(max(a.before, 0))
        count.append(max(0, min(a.size - skip[-1], a.frame - start[-1])))
    ones = (1,) * 4
    for k in range(often):
        source = view.sliced((*skip, 0), (*ones, 1), (*count, channels))
        to = wide.sliced((*start, k), (*ones, often), (*count, channels))
        assert source is not None
        assert to is not None
        low.copy(source, to)
    moved = tuple(
        replace(a, size=a.frame, offsets=tuple(o + a.before for o in a.offsets))
        for a in axes
    )
    return Operand(wide, moved, deep, channels * often, axes[1].count)


@dataclass(frozen=True, eq=False)
class Spread(View):
    """What windows pass back to positions, which lies nowhere: its readers spread it.

    Attributes:
        values: Of the windows.
        taps: Where in its window each goes.
        window: Positions of a window along three axes; they lie side by side.
    """

    values: View = _NOWHERE
    taps: View = _NOWHERE
    window: tuple[int, ...] = (1, 1, 1)

    def cropped(self) -> Spread:
        """Three axes between rows and channels, and no positions but those in windows."""
        n, *_, channels = self.shape
        windows = (1,) * (5 - len(self.values.shape)) + self.values.shape[1:-1]
        sizes = tuple(a * b for a, b in zip(windows, self.window, strict=True))
        shape = (n, *sizes, channels)
        return replace(self, shape=shape, strides=row_major(shape))


def _three(view: View) -> View:
    """A view with three axes between rows and channels."""
    if isinstance(view, Spread):
        return view.cropped()
    rows, *sizes, channels = view.shape
    found = view.reshaped((rows, *(1,) * (3 - len(sizes)), *sizes, channels))
    assert found is not None
    return found


@dataclass
class Conv:
    """A convolution of either direction, as its positions see it.

    Attributes:
        geometry: Its geometry.
        backward: Inputs look at outputs.
        deep: Channels are by themselves.
        phases: First position and axes of each step.
        to: Shape of the result, three axes between rows and channels.
        depth: Number of channels of the operand in a group.
        columns: Number of channels of the result in a group.
    """

    geometry: Geometry
    backward: bool
    deep: bool
    phases: list[tuple[tuple[int, ...], tuple[Axis, ...]]]
    to: tuple[int, ...]
    depth: int
    columns: int


def _analyse(low: Lowering, node: Node) -> Conv:
    attrs = low.attrs(node)
    x, w = (low.shape(c) for c in node.inputs)
    to = low.shape(node)
    backward = node.op.name == "conv_input"
    sizes, out = (to, x) if backward else (x, to)
    g = Geometry.of(attrs, sizes[1:-1], out[1:-1], w[:-2])
    inner, outer = w[-2], w[-1] // g.groups
    # Several outputs of a channel by itself: only the forward direction repeats them.
    deep = g.groups > 1 and inner == 1 and (outer == 1 or not backward)
    depth, columns = (outer, inner) if backward else (inner, outer)
    result = (to[0], *(g.sizes if backward else g.out), to[-1])
    phases: list[tuple[tuple[int, ...], tuple[Axis, ...]]] = [((0, 0, 0), g.forward())]
    if backward:
        phases = g.backward()
    return Conv(g, backward, deep, phases, result, depth, columns)


def can_host_conv(low: Lowering, node: Node) -> bool:
    """Whether programs may run on its tiles: its steps compute whole rows in order."""
    found = _analyse(low, node)
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
    c = _analyse(low, node)
    refs = [place(v) if v is not None else None for v in (bias, side)]
    if bias is None:
        refs.reverse()
    elif side is not None:
        flags |= SIDE_APART
    made = []
    for first, axes in c.phases:
        step = _phase(low, node, c, _three(x), w, first, axes, pool)
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
        made.append(step)
    low.steps += made


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
    framed = isinstance(x, Spread)
    a = _operand(low, x, axes, own, DEPTHWISE if c.deep else 0, often, framed)
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
    window = pool.window[1:] if pool else x.window[1:] if isinstance(x, Spread) else ()
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
    source = a.view
    if isinstance(x, Spread):
        source = x.values
        dims[21] |= SPREAD
        dims.append(math.prod(source.shape[1:-1]))
    step = Draft(
        "conv",
        [place(source), place(w), None, None, None, place(told)],
        dims,
        units=max(units, 1),
        reads=[access(source), access(w), access(told)],
        cost=CALL_NS + lines * counts[2] * columns * max(depth, 1) * FMA_NS,
        label=node.origins[0].layer if node.origins else "",
    )
    if isinstance(x, Spread):
        step.refs.append(place(x.taps))
        step.reads.append(access(x.taps))
    return step


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


@row("conv_kernel")
def _conv_kernel(low: Lowering, node: Node) -> View:
    attrs = low.attrs(node)
    x, g = solid(low, node.inputs[0]), solid(low, node.inputs[1])
    to = low.room(node)
    if to.size == 0:
        return to
    if x.size == 0 or g.size == 0:
        low.copy(number(0.0, to.shape, to.dtype), to)
        return to
    x, positions = _three(x), _three(g).shape[1:4]
    geometry = Geometry.of(attrs, x.shape[1:4], positions, attrs["kernel"])
    axes, groups = geometry.forward(), geometry.groups
    channels, columns = x.shape[-1], g.shape[-1]
    inner = channels // groups
    deep = groups > 1 and inner == 1
    often = columns // channels if deep else 1
    own = channels * often if deep else inner
    a = _operand(low, x, axes, own, DEPTHWISE if deep else 0, often)
    offsets = [a.offset(taps) for taps in product(*map(range, geometry.taps))]
    entries: list[tuple[int, int, int]] = []
    each, taps, run = 1, len(offsets), 1
    if deep:
        entries = [(offset, k, 1) for k, offset in enumerate(offsets)]
        pieces = -(-taps // PIECE_TAPS) if columns > PANEL else -(-taps // 5)
        each = -(-taps // pieces)
        pieces = -(-taps // each)
    else:
        # Taps side by side whose channels follow each other are one run of rows.
        side = geometry.taps[2]
        joined = all(b == a + inner for a, b in pairwise(offsets[:side]))
        run = side * inner if joined else inner
        parts = -(-run // PIECE_ROWS)
        per = -(-run // parts)
        entries = [
            (offsets[first // inner] + i, first + i, min(per, run - i))
            for first in range(0, taps * inner, run)
            for i in range(0, run, per)
        ]
        pieces = len(entries)
    window: tuple[int, ...] = ()
    source, windows, flags = g, 0, a.flags
    if isinstance(g, Spread):
        source, window, flags = g.values, g.window[1:], a.flags | SPREAD_G
        windows = math.prod(source.shape[1:-1])
    told = table(low, [*(v for entry in entries for v in entry), *window])
    in_group = columns if deep else columns // groups
    dims = [
        x.shape[0],
        1 if deep else inner,
        pieces,
        in_group,
        1 if deep else groups,
        *geometry.out,
        *a.dims(),
        flags,
        columns,
        columns,
        *(windows, 0, 0),
        a.band,
        a.often,
        taps,
        each,
        run,
    ]
    count = x.shape[0] * math.prod(positions)
    step = Draft(
        "conv_kernel",
        [place(a.view), place(source), place(to), None, None, place(told)],
        dims,
        units=pieces * -(-in_group // PANEL) * (1 if deep else groups),
        reads=[access(a.view), access(source), access(told)],
        writes=[access(to)],
        cost=CALL_NS + count * taps * inner * columns * FMA_NS,
        label=node.origins[0].layer if node.origins else "",
    )
    if isinstance(g, Spread):
        step.refs.append(place(g.taps))
        step.reads.append(access(g.taps))
    low.steps.append(step)
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
            label=node.origins[0].layer if node.origins else "",
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
    _, high, wide = _analyse(low, node).phases[0][1]
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
    c = _analyse(low, reader)
    if c.geometry.groups > 1 or not math.prod(c.to):
        return False
    for _, (_, high, wide) in c.phases:
        fits = wide.before >= 0 and wide.before + sizes[3] <= wide.frame
        if not fits or high.reach * wide.frame * sizes[4] * 4 > MOST_BAND:
            return False
    return True


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
