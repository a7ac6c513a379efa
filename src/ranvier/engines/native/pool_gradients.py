"""Gradients of convolutions of which windows side by side kept the largest.

What comes back to the positions of such a convolution is zero but for one position in
each window. The kernels of ``native/src/kernels/conv_windows.h`` multiply nothing with
these zeros, nor with those that an activation has left among the windows' values.
"""

from __future__ import annotations

import math
from itertools import product
from typing import Any

from ranvier.engines.native.access_windows import RUN_FLOATS, RUNS, STRIPE
from ranvier.engines.native.conv_geometry import (
    FRAMED,
    MOST_BAND,
    Conv,
    Geometry,
    Spread,
    operand,
    runs,
    table,
)
from ranvier.engines.native.draft import Draft, access
from ranvier.engines.native.lowering import Lowering
from ranvier.engines.native.products import CALL_NS, FMA_NS
from ranvier.engines.native.programs import place
from ranvier.engines.native.values import View
from ranvier.graph.ir import Node

#: Room in scratch for a kernel, its channels side by side; for the values of a row of
#: the batch, with their places; and for where those of each position begin.
MOST_KERNEL, MOST_VALUES, MOST_STARTS = 2 << 20, 7 << 18, 1 << 17
#: Most windows of a line.
MOST_WINDOWS = 1 << 14
#: Nanoseconds for a value that comes back to a window, beside its products.
VALUE_NS = 1.5


def _frame(g: Geometry, spread: Spread) -> tuple[int, int]:
    """Positions along two axes that the taps of all positions meet, and the input."""
    reached = (
        (n - 1) * s + (k - 1) * d + 1
        for n, s, k, d in zip(
            spread.shape[1:4], g.strides, g.taps, g.dilation, strict=True
        )
    )
    inside = (a + n for a, n in zip(g.low, g.sizes, strict=True))
    _, high, wide = map(max, reached, inside)
    return high, wide


def reads_input(c: Conv, spread: Spread) -> bool:
    """Whether there is room for what the gradient of the input holds at once.

    Args:
        c: The convolution, backward.
        spread: What comes back, cropped.
    """
    g, windows = c.geometry, spread.windows
    channels, each = spread.shape[-1], math.prod(spread.window)
    high, wide = _frame(g, spread)
    stripes = -(-c.to[-1] // STRIPE)
    return (
        g.groups == 1
        and math.prod(c.to) > 0
        and min(g.low) >= 0
        and high * wide * STRIPE * 4 <= MOST_BAND
        and channels * math.prod(g.taps) * stripes * STRIPE * 4 <= MOST_KERNEL
        and (windows * channels + 2 * STRIPE) * 8 <= MOST_VALUES
        and (windows * each + 1) * 4 <= MOST_STARTS
    )


def input_step(low: Lowering, node: Node, c: Conv, spread: Spread, w: View) -> Draft:
    """The gradient of the input; its result and epilogue are for the caller to add.

    Args:
        low: The lowering.
        node: The convolution, backward.
        c: The same, analysed.
        spread: What comes back, cropped.
        w: The kernel.
    """
    g, (high, wide) = c.geometry, _frame(c.geometry, spread)
    taps, (rows, *_, channels) = math.prod(g.taps), spread.shape
    offsets = [
        (h * g.dilation[1] * wide + v * g.dilation[2]) * STRIPE
        for h, v in product(range(g.taps[1]), range(g.taps[2]))
    ]
    told = table(low, offsets)
    _, kh, kw = spread.window
    dims = [0] * 24
    dims[:16] = [
        *(rows, channels, taps, c.to[-1]),
        *(spread.shape[2] // kh, spread.shape[3] // kw, kh, kw),
        *(g.strides[1] * wide * STRIPE, g.strides[2] * STRIPE),
        *(high * wide, wide, g.low[1], g.low[2]),
        *c.to[2:4],
    ]
    dims[23] = c.to[-1]
    stripes = -(-c.to[-1] // STRIPE)
    work = taps * stripes * STRIPE * FMA_NS + VALUE_NS
    return Draft(
        "conv_input_windows",
        [
            *(place(spread.values), place(w), None, None, None),
            *(place(told), place(spread.taps)),
        ],
        dims,
        units=rows,
        reads=[access(v) for v in (spread.values, spread.taps, w, told)],
        cost=CALL_NS + spread.values.size * work,
        label=node.layer,
    )


def kernel_step(
    low: Lowering,
    node: Node,
    attrs: dict[str, Any],
    x: View,
    spread: Spread,
    to: View,
    parts: int,
) -> Draft | None:
    """The gradient of the kernel, or ``None`` where products with zeros are cheaper.

    Args:
        low: The lowering.
        node: The gradient.
        attrs: Of the convolution.
        x: Its input, three axes between rows and channels.
        spread: What comes back, cropped.
        to: Where the gradients of the batch's parts go, one after the other.
        parts: How many there are.
    """
    g = Geometry.of(attrs, x.shape[1:4], spread.shape[1:4], attrs["kernel"])
    axes, inner, columns = g.forward(), x.shape[-1], spread.shape[-1]
    _, kh, kw = spread.window
    lines = (kh - 1) * axes[1].step + axes[1].reach
    if (
        g.groups > 1
        or inner * g.taps[2] % STRIPE
        or spread.shape[3] // kw > MOST_WINDOWS
        or axes[0].reach * lines * axes[2].frame * inner * 4 > MOST_BAND
    ):
        return None
    a = operand(low, x, axes, inner, 0, 1)
    if a.flags & FRAMED:
        a.band = max(a.band // kh, 1) * kh
    starts, run = runs(g, a, inner)
    if run % STRIPE:
        return None
    told = table(
        low,
        [
            *(v for i, start in enumerate(starts) for v in (start, i * run)),
            *(kh, kw),
        ],
    )
    groups = -(-len(starts) // RUNS)
    at_once = -(-len(starts) // groups)
    cuts = -(-run // RUN_FLOATS)
    wide = -(-run // STRIPE // cuts) * STRIPE
    dims = [
        *(x.shape[0], inner, len(starts), columns, 1),
        *g.out,
        *a.dims(),
        *(a.flags, columns, columns, spread.windows, parts, to.size // parts),
        *(a.band, a.often, at_once, run, wide),
    ]
    work = math.prod(g.taps) * inner * FMA_NS + VALUE_NS
    return Draft(
        "conv_kernel_windows",
        [
            *(place(a.view), place(spread.values), place(to), None, None),
            *(place(told), place(spread.taps)),
        ],
        dims,
        units=groups * cuts * -(-columns // STRIPE) * parts,
        reads=[access(v) for v in (a.view, spread.values, spread.taps, told)],
        writes=[access(to)],
        cost=CALL_NS + spread.values.size * work,
        label=node.layer,
    )
