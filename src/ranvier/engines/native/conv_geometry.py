"""Convolutions as their positions see them: axes, taps, and the frame around an input.

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
from ranvier.engines.native.lowering import Lowering
from ranvier.engines.native.values import PANEL, Buffer, View, number, row_major
from ranvier.graph.ir import Node

#: Flags of the kernels (native/src/kernels/conv.h).
TURNED, DEPTHWISE, FRAMED, POOLED, SPREAD = 64, 128, 256, 512, 2048
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


def operand(
    low: Lowering,
    view: View,
    axes: tuple[Axis, ...],
    own: int,
    deep: int,
    often: int,
) -> Operand:
    """How a kernel reads an input.

    Args:
        low: The lowering.
        view: The input, three axes between rows and channels.
        axes: Its axes.
        own: Channels that a frame holds.
        deep: ``DEPTHWISE`` or 0.
        often: How often channels are repeated in the frame.
    """
    channels = view.shape[-1]
    if all(a.inside for a in axes) and often == 1:
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


def runs(g: Geometry, a: Operand, inner: int) -> tuple[list[int], int]:
    """Runs of rows of a kernel: taps side by side whose channels follow each other.

    Args:
        g: The convolution.
        a: Its input.
        inner: Channels of it that a tap meets.

    Returns:
        Where in the frame each run begins, and rows of a run.
    """
    offsets = [a.offset(taps) for taps in product(*map(range, g.taps))]
    side = g.taps[2]
    joined = all(after == at + inner for at, after in pairwise(offsets[:side]))
    return (offsets[::side], side * inner) if joined else (offsets, inner)


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

    @property
    def windows(self) -> int:
        """Windows of a row of the batch."""
        return math.prod(self.values.shape[1:-1])

    def cropped(self) -> Spread:
        """Three axes between rows and channels, and no positions but those in windows."""
        n, *_, channels = self.shape
        windows = (1,) * (5 - len(self.values.shape)) + self.values.shape[1:-1]
        sizes = tuple(a * b for a, b in zip(windows, self.window, strict=True))
        shape = (n, *sizes, channels)
        return replace(self, shape=shape, strides=row_major(shape))


def three(view: View) -> View:
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


def analyse(low: Lowering, node: Node) -> Conv:
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
