"""What convolutions and windows read and write (see `access_rules`)."""

from __future__ import annotations

import numpy as np

from ranvier.engines.native.accesses import Part, rule
from ranvier.engines.native.values import PANEL

FLOAT = 4
BIAS, SIDE, APART, DEPTHWISE = 1, 4 | 8, 16, 128
POOLED, SPREAD = 512, 2048
#: Most rows of a piece of a kernel's gradient (native/src/kernels/conv.h).
PIECE_ROWS = 24
#: Channels that go together, runs of a piece and floats of a run in one, at most
#: (native/src/kernels/conv_windows.h).
STRIPE, RUNS, RUN_FLOATS = 16, 3, 96


def _operand(p: Part, first: int, last: int) -> None:
    """All of these rows of the input: which of it is met follows from the table."""
    size = p.dim(11) * p.dim(12) * p.dim(13) * p.dim(14)
    p.read(0, first * size, [((last - first) * size, 1)], FLOAT)


def _windows_of(p: Part, values: int, at: int, count: int) -> None:
    """Values of windows and their taps, of which positions are made."""
    p.read(values, at, [(count, 1)], FLOAT)
    p.read(6, at, [(count, 1)], 1)


def _rows_of_parts(p: Part, units: int) -> tuple[int, int]:
    """The batch's rows that a worker meets for the gradient of a kernel."""
    first, last = p.first // units, (p.last - 1) // units
    rows, parts = p.dim(0), p.dim(25)
    return rows * first // parts, rows * (last + 1) // parts


@rule("conv")
def _conv(p: Part) -> None:
    taps, columns, groups = p.dim(2), p.dim(3), p.dim(4)
    depth, height, wide = (p.dim(i) for i in (5, 6, 7))
    lines = np.arange(p.first, p.last)
    if not len(lines) or not wide:
        return
    of_row = max(p.step.units // p.dim(0), 1)
    _operand(p, p.first // of_row, (p.last - 1) // of_row + 1)
    p.read(5, 0, [(2 * taps + (2 if p.dim(21) & POOLED else 0), 1)], 4)
    p.read(1, 0, [(p.dim(30), 1)], FLOAT)
    total = columns * groups
    if p.dim(21) & POOLED:
        if p.dim(21) & BIAS:
            p.read(3, 0, [(total, 1)], FLOAT)
        line = p.dim(24)  # floats of a line of windows, and bytes of their taps
        own = [(len(lines) * line, 1)]
        p.write(2, p.first * line, own, FLOAT)
        p.write(4, p.first * line, own, 1)
        return
    n, rest = np.divmod(lines, depth * height)
    od, oh = np.divmod(rest, height)
    at = n * p.dim(26) + od * p.dim(25) + oh * p.dim(24)
    flags = p.dim(21)
    if flags & BIAS:
        p.read(3, 0, [(total, 1)], FLOAT)
    rows = [(wide, p.dim(23)), (total, 1)]
    if flags & SIDE:
        p.read(4 if flags & APART else 3, at, rows, FLOAT)
    if p.step.program is not None:
        for c0 in range(0, total, PANEL):
            p.block(
                p.first * wide,
                len(lines) * wide,
                c0,
                min(PANEL, total - c0),
                False,
            )
    else:
        p.write(2, at, rows, FLOAT)


@rule("conv_kernel")
def _conv_kernel(p: Part) -> None:
    pieces, columns = p.dim(2), p.dim(3)
    if p.first >= p.last:
        return
    wide = p.dim(22)
    panels = -(-columns // PANEL)
    in_part = p.dim(4) * pieces * panels
    a, b = _rows_of_parts(p, in_part)
    _operand(p, a, b)
    positions = p.dim(5) * p.dim(6) * p.dim(7)
    spread = p.dim(21) & SPREAD
    if spread:
        _windows_of(p, 1, a * p.dim(24) * wide, (b - a) * p.dim(24) * wide)
    else:
        p.read(1, a * positions * wide, [((b - a) * positions * wide, 1)], FLOAT)
    deep = p.dim(21) & DEPTHWISE
    each, taps = p.dim(30), p.dim(29)
    entries = taps if deep else pieces
    p.read(5, 0, [(3 * entries + (2 if spread else 0), 1)], 4)
    run = p.dim(31)
    parts = -(-run // PIECE_ROWS)
    per = -(-run // parts)
    for unit in range(p.first, p.last):
        of_batch, rest = divmod(unit, in_part)
        group, rest = divmod(rest, pieces * panels)
        panel, piece = divmod(rest, pieces)
        c0 = group * columns + panel * PANEL
        count = min(PANEL, columns - panel * PANEL)
        if deep:
            first, rows = piece * each, min(each, taps - piece * each)
        else:
            number, part = divmod(piece, parts)
            first, rows = number * run + part * per, min(per, run - part * per)
        at = of_batch * p.dim(26) + first * wide + c0
        p.write(2, at, [(rows, wide), (count, 1)], FLOAT)


@rule("conv_input_windows")
def _conv_input_windows(p: Part) -> None:
    rows, columns = p.last - p.first, p.dim(3)
    if rows <= 0:
        return
    passed = p.dim(4) * p.dim(5) * p.dim(1)
    _windows_of(p, 0, p.first * passed, rows * passed)
    p.read(1, 0, [(p.dim(2) * columns * p.dim(1), 1)], FLOAT)
    p.read(5, 0, [(p.dim(2), 1)], 4)
    flags, positions = p.dim(21), p.dim(14) * p.dim(15)
    at, own = p.first * positions, rows * positions
    if flags & BIAS:
        p.read(3, 0, [(columns, 1)], FLOAT)
    if flags & SIDE:
        p.read(4 if flags & APART else 3, at * columns, [(own * columns, 1)], FLOAT)
    if p.step.program is None:
        p.write(2, at * columns, [(own * columns, 1)], FLOAT)
        return
    for c0 in range(0, columns, STRIPE):
        p.block(at, own, c0, min(STRIPE, columns - c0), False)


@rule("conv_kernel_windows")
def _conv_kernel_windows(p: Part) -> None:
    if p.first >= p.last:
        return
    runs, columns = p.dim(2), p.dim(3)
    p.read(5, 0, [(2 * runs + 2, 1)], 4)
    at_once, run, wide = (p.dim(i) for i in (29, 30, 31))
    parts = -(-run // wide)
    pieces = -(-runs // at_once) * parts
    in_part = pieces * -(-columns // STRIPE)
    a, b = _rows_of_parts(p, in_part)
    _operand(p, a, b)
    passed = p.dim(24) * columns
    _windows_of(p, 1, a * passed, (b - a) * passed)
    for unit in range(p.first, p.last):
        of_batch, rest = divmod(unit, in_part)
        stripe, piece = divmod(rest, pieces)
        group, part = divmod(piece, parts)
        c0, first = stripe * STRIPE, group * at_once
        own = [(min(wide, run - part * wide), columns), (min(STRIPE, columns - c0), 1)]
        for number in range(first, min(first + at_once, runs)):
            at = of_batch * p.dim(26) + (number * run + part * wide) * columns + c0
            p.write(2, at, own, FLOAT)


def _windows(p: Part) -> tuple[int, int, int]:
    """Floats of a line of positions and of a line of windows, bytes of a tap."""
    return p.dim(3) * p.dim(4), p.dim(7) * p.dim(4), p.dim(17)


@rule("window_max", "window_pick")
def _over_windows(p: Part) -> None:
    if p.first >= p.last:
        return
    line, over, tap = _windows(p)
    pick = p.step.kernel == "window_pick"
    p.read(0, 0, [(p.dim(0) * p.dim(1) * p.dim(2) * line, 1)], FLOAT)
    at, own = p.first * over, [((p.last - p.first) * over, 1)]
    if pick:
        p.read(1, at, own, tap)
        p.write(2, at, own, FLOAT)
    else:
        p.write(1, at, own, FLOAT)
        p.write(2, at, own, tap)


@rule("window_spread")
def _spread(p: Part) -> None:
    if p.first >= p.last:
        return
    line, over, tap = _windows(p)
    count = p.dim(0) * p.dim(5) * p.dim(6) * over
    p.read(0, 0, [(count, 1)], FLOAT)
    p.read(1, 0, [(count, 1)], tap)
    p.write(2, p.first * line, [((p.last - p.first) * line, 1)], FLOAT)
