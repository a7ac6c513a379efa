"""The gradient of a convolution's kernel: a sum over all positions of a batch.

Each worker makes pieces of the kernel (a run of rows, in one panel of columns) of its own
parts of the batch. What comes back through windows side by side has a kernel of its own
(`pool_gradients`), where that is cheaper than multiplying its zeros.
"""

from __future__ import annotations

import math
from itertools import product

from ranvier.engines.native.access_windows import PIECE_ROWS
from ranvier.engines.native.conv_geometry import (
    DEPTHWISE,
    PIECE_TAPS,
    SPREAD,
    Geometry,
    Spread,
    operand,
    runs,
    solid,
    table,
    three,
)
from ranvier.engines.native.draft import Draft, access
from ranvier.engines.native.lowering import Lowering
from ranvier.engines.native.parts import join_parts, kernel_parts
from ranvier.engines.native.pool_gradients import kernel_step
from ranvier.engines.native.products import CALL_NS, FMA_NS
from ranvier.engines.native.programs import place
from ranvier.engines.native.table import row
from ranvier.engines.native.values import PANEL, View, number
from ranvier.graph.ir import Node


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
    x, positions = three(x), three(g).shape[1:4]
    parts, made = kernel_parts(x.shape[0], math.prod(positions)), to
    if parts > 1:
        made = low.new((parts, *to.shape), to.dtype)
    step = None
    if isinstance(g, Spread):
        step = kernel_step(low, node, attrs, x, g.cropped(), made, parts)
    low.steps.append(step or _kernel_step(low, node, x, g, made, parts))
    if parts > 1:
        join_parts(low, node, made, to)
    return to


def _kernel_step(
    low: Lowering, node: Node, x: View, g: View, to: View, parts: int
) -> Draft:
    """The gradient of a kernel, from all positions.

    Args:
        low: The lowering.
        node: The gradient.
        x: The input of the convolution, three axes between rows and channels.
        g: What comes back to its positions.
        to: Where the gradients of the batch's parts go, one after the other.
        parts: How many there are.
    """
    attrs, positions = low.attrs(node), three(g).shape[1:4]
    geometry = Geometry.of(attrs, x.shape[1:4], positions, attrs["kernel"])
    axes, groups = geometry.forward(), geometry.groups
    channels, columns = x.shape[-1], g.shape[-1]
    inner = channels // groups
    deep = groups > 1 and inner == 1
    often = columns // channels if deep else 1
    own = channels * often if deep else inner
    a = operand(low, x, axes, own, DEPTHWISE if deep else 0, often)
    entries: list[tuple[int, int, int]] = []
    each, taps, run = 1, math.prod(geometry.taps), 1
    if deep:
        met = product(*map(range, geometry.taps))
        entries = [(a.offset(tap), k, 1) for k, tap in enumerate(met)]
        pieces = -(-taps // PIECE_TAPS) if columns > PANEL else -(-taps // 5)
        each = -(-taps // pieces)
        pieces = -(-taps // each)
    else:
        starts, run = runs(geometry, a, inner)
        cuts = -(-run // PIECE_ROWS)
        per = -(-run // cuts)
        entries = [
            (start + i, number * run + i, min(per, run - i))
            for number, start in enumerate(starts)
            for i in range(0, run, per)
        ]
        pieces = len(entries)
    window: tuple[int, ...] = ()
    source, windows, flags = g, 0, a.flags
    if isinstance(g, Spread):
        source, window, flags = g.values, g.window[1:], a.flags | SPREAD
        windows = g.windows
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
        *(windows, parts, to.size // parts),
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
        units=pieces * -(-in_group // PANEL) * (1 if deep else groups) * parts,
        reads=[access(a.view), access(source), access(told)],
        writes=[access(to)],
        cost=CALL_NS + count * taps * inner * columns * FMA_NS,
        label=node.layer,
    )
    if isinstance(g, Spread):
        step.refs.append(place(g.taps))
        step.reads.append(access(g.taps))
    return step
