"""Matrix products: the steps, which work they share, and what runs on a finished tile."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ranvier.engines.api import Unsupported
from ranvier.engines.native.draft import Draft, access
from ranvier.engines.native.epilogues import ROW_BIAS, SIDE_APART, match_epilogue
from ranvier.engines.native.hosting import emit_program, host_program, touch
from ranvier.engines.native.lanes import COMMON
from ranvier.engines.native.operands import Product, analyse
from ranvier.engines.native.parts import join_parts, product_parts
from ranvier.engines.native.programs import Group, place, turned
from ranvier.engines.native.values import PANEL, View, collapse
from ranvier.graph.ir import Node
from ranvier.graph.ops.contract import free_axes

if TYPE_CHECKING:
    from ranvier.engines.native.lowering import Lowering

#: Columns below which a program runs better on its own than on tiles.
NARROW = 4
#: Nanoseconds for a multiply-add, and for a call.
FMA_NS, CALL_NS = 1 / 40, 30.0


def _is_dots(low: Lowering, node: Node) -> bool:
    """A weight gradient of operands that both lie column-major."""
    (ca, cb), (ba, _) = node.attrs["contract"], node.attrs["batch"]
    return (
        node.op.name == "dot_general"
        and not ba
        and (tuple(ca), tuple(cb)) == ((0,), (0,))
        and all(child in low.by_columns for child in node.inputs)
    )


def weight_gradient(low: Lowering, dy: Node) -> Node | None:
    """The product that computes the sums of a gradient's columns as well, if any."""
    if dy not in low.by_columns:
        return None
    found = (c for c in low.consumers[dy] if c.op.name == "dot_general")
    return next((c for c in found if c.inputs[1] is dy and _is_dots(low, c)), None)


def _emit_dots(low: Lowering, node: Node) -> View:
    """Products of columns with columns, and in the same step the bias's gradient."""
    x, dy = node.inputs
    a, b = turned(low.memo[x]), turned(low.memo[dy])
    to = low.room(node)
    sums = [
        c
        for c in low.consumers[dy]
        if c.op.name == "sum" and c.attrs["axes"] == (0,) and c not in low.memo
    ]
    total = None
    if sums and weight_gradient(low, dy) is node:
        total = low.room(sums[0])
        for c in sums:
            low.memo[c] = total
    m, n, k = a.shape[0], b.shape[0], a.shape[1]
    low.steps.append(
        Draft(
            "dots",
            [place(a), place(b), place(to), None if total is None else place(total)],
            [m, n, k, k, k],
            units=m + (total is not None),
            reads=[access(a), access(b)],
            writes=[access(to), *([] if total is None else [access(total)])],
            cost=CALL_NS + m * n * k * FMA_NS,
            label=node.layer,
        )
    )
    return to


def can_host(low: Lowering, node: Node) -> bool:
    """Whether a product has a kernel that runs programs on its tiles.

    Tiles of a few columns are not worth it: a program over all rows is quicker.
    """
    if _is_dots(low, node):
        return False
    found = analyse(low, node, node in low.by_columns)
    if found is None:
        return False
    if low.shape(node)[-1:] != (found.m if found.turned else found.n,):
        return False  # its columns are several axes, a program's are the last one
    return (found.n >= NARROW or found.m == 1) and _parts(found) == 1


def _parts(p: Product) -> int:
    """Parts of the contraction, which only a weight gradient has."""
    if p.kernel != "gemm_tn" or p.turned:
        return 1
    return product_parts(p.m, p.n, p.k)


def operands(low: Lowering, node: Node) -> None:
    """Compute what a product reads."""
    for child in node.inputs:
        low.value(child)


def _lead_of(view: View, rows: int, width: int, flip: bool = False) -> int:
    if view.panel:
        return 0
    stride = view.strides[1 if flip else 0]
    return max(stride, width) if rows > 1 else max(stride, width, 1)


def emit_product(low: Lowering, node: Node, group: Group) -> None:
    """A product whose result only lives in the tiles that ``group`` reads."""
    operands(low, node)
    found = analyse(low, node, all(v.columns for v in group.stores.values()))
    if found is None:
        # It has a kernel by columns only, and rows of the results are wanted.
        _emit_apart(low, node, group)
        return
    if found.turned:
        group = group.turned()
    simple = match_epilogue(group, found)
    if simple is not None:
        flags, bias, side, to = simple
        _emit(low, node, found, to, flags=flags, bias=bias, side=side)
        return
    try:
        _emit(low, node, found, None, group=group)
    except ValueError:
        # Leading axes of an operand do not join.
        to = low.laid(node) if found.turned else low.new(low.shape(node), node.dtype)
        to = turned(to) if found.turned else to
        _emit(low, node, found, to)
        group.leaves[node] = to
        group.accumulator = None
        emit_program(low, group)


def _emit_apart(low: Lowering, node: Node, group: Group) -> None:
    """A product that is kept, and the program that reads it on its own."""
    found = analyse(low, node, node in low.by_columns)
    assert found is not None
    to = low.laid(node)
    _emit(low, node, found, turned(to) if found.turned else to)
    group.leaves[node] = to
    group.accumulator = None
    emit_program(low, group)


def lower_product(low: Lowering, node: Node) -> View:
    """A product that is stored as it is."""
    operands(low, node)
    if _is_dots(low, node):
        return _emit_dots(low, node)
    to = low.room(node)
    if to.size == 0:
        return to
    found = analyse(low, node, to.columns)
    if found is not None and not to.columns and _in_parts(low, node, found, to):
        return to
    if found is not None and found.turned:
        _emit(low, node, found, turned(to))
    elif found is not None and to.columns and not to.dense:
        by_rows = low.new(to.shape, to.dtype)
        _emit(low, node, found, by_rows)
        low.copy(by_rows, to)
    elif found is not None:
        _emit(low, node, found, to)
    elif to.panel:
        by_rows = low.new(to.shape, to.dtype)
        _emit_any(low, node, by_rows)
        low.copy(by_rows, to)
    else:
        _emit_any(low, node, to)
    return to


def _in_parts(low: Lowering, node: Node, p: Product, to: View) -> bool:
    """A weight gradient over a long batch, in parts; whether it is one."""
    parts = _parts(p)
    if parts == 1:
        return False
    made = low.new((parts, p.m, p.n), to.dtype)
    lda, ldb = _lead_of(p.a, p.k, p.m, flip=True), _lead_of(p.b, p.k, p.n)
    ldc = 0 if to.panel else p.n  # panels of whole lines have no gaps: as many numbers
    low.steps.append(
        Draft(
            "gemm_tn",
            [place(p.a), place(p.b), place(made), None],
            [
                *(p.k, p.n, p.m, lda, ldb, ldc, 0),
                *(p.m, 1, p.n, 0, parts, p.m * p.n),
            ],
            units=parts,
            reads=[access(p.a), access(p.b)],
            writes=[access(made)],
            cost=CALL_NS + p.m * p.n * p.k * FMA_NS,
            label=node.layer,
        )
    )
    join_parts(low, node, made, to)
    return True


def _emit(
    low: Lowering,
    node: Node,
    p: Product,
    to: View | None,
    *,
    flags: int = 0,
    bias: View | None = None,
    side: View | None = None,
    group: Group | None = None,
) -> None:
    """One of the three fast kernels."""
    # Dimensions as the kernels name them.
    if p.kernel == "gemm_nn":
        dims, lda, rows = [p.m, p.n, p.k], _lead_of(p.a, p.m, p.k), p.m
        ldb = _lead_of(p.b, p.k, p.n)
    elif p.kernel == "gemm_nt":
        dims, lda, rows = [p.m, p.k, p.n], _lead_of(p.a, p.m, p.k), p.m
        ldb = _lead_of(p.b, p.n, p.k, flip=True)
    else:
        dims, rows = [p.k, p.n, p.m], p.m
        lda = _lead_of(p.a, p.k, p.m, flip=True)
        ldb = _lead_of(p.b, p.k, p.n)
    panels = -(-p.n // PANEL)
    batch = p.k if p.kernel == "gemm_tn" else p.m
    per, by_rows, share = _divide(rows, panels, low.workers, p.kernel, batch, p.n)
    lanes = low.lanes
    if p.kernel == "gemm_tn" or p.k * p.n * 4 > COMMON or flags & ROW_BIAS:
        lanes = None
    if lanes is not None and lanes.rows != rows:
        lanes = None
    if lanes is not None:
        per, by_rows = lanes.per, panels > 1
        share = ("rows", rows, per)
    blocks = -(-rows // per)
    units = blocks if by_rows else panels * blocks
    lds = p.n
    if side is not None and (side.panel or p.m > 1):
        lds = 0 if side.panel else side.strides[0]
    flat = None
    if to is not None:
        flat = to.reshaped((p.m, p.n))
    c_lead = 0 if flat is not None and flat.panel else p.n
    if bias is not None and side is not None:
        flags |= SIDE_APART
    fixed = [place(p.a), place(p.b), place(flat) if flat is not None else None]
    refs: list[Any] = list(fixed)
    extra = bias if bias is not None else side
    refs.append(place(extra) if extra is not None else None)
    if flags & SIDE_APART:
        assert side is not None
        refs.append(place(side))
    draft = Draft(
        p.kernel,
        refs,
        [*dims, lda, ldb, c_lead, flags, per, blocks, lds, panels if by_rows else 0],
        units=units,
        cost=CALL_NS + p.m * p.n * p.k * FMA_NS,
    )
    a_share = share if p.kernel != "gemm_tn" and share and share[0] == "rows" else None
    b_share = share if share and share[0] == "columns" else None
    if p.kernel == "gemm_nt":
        b_share = None
    draft.together = lanes is not None
    draft.reads += [touch(p.a, a_share, lanes), access(p.b, b_share)]
    if bias is not None:
        draft.reads.append(access(bias))
    if side is not None:
        draft.reads.append(touch(side, share, lanes))
    if flat is not None:
        draft.writes.append(touch(flat, share, lanes))
    if group is not None:
        host_program(draft, group, share, lanes=lanes)
    if node.origins:
        draft.label = node.origins[0].layer
    low.steps.append(draft)


def _divide(
    rows: int, panels: int, workers: int, kernel: str, batch: int, columns: int
) -> tuple[int, bool, Any]:
    """Rows of a unit, whether units are rows of all panels, the name of the division.

    A worker that owns panels reads all rows of the batch, one that owns rows reads the
    whole weight: whichever is smaller crosses from one core to the other.
    """
    if workers == 1:
        return rows, False, None
    if kernel == "gemm_tn" and rows <= columns and panels % workers == 0:
        # The whole of the narrower operand, and of the wider one columns of one's own.
        return rows, False, ("columns", panels)
    if panels > 1 and batch >= 2 * columns:
        per = max(1, -(-rows // workers))
        return per, True, ("rows", rows, per)
    if panels == 1:
        per = 64 if kernel == "gemm_tn" else max(1, min(rows // (2 * workers), 48))
        if kernel == "gemm_tn" and rows < 2 * 64:
            per = max(1, -(-rows // workers))
        return per, False, ("rows", rows, per)
    if panels % workers == 0 or panels >= 4 * workers:
        return rows, False, ("columns", panels)
    per = max(1, -(-rows // workers))
    return per, False, ("blocks", panels, per)


def _emit_any(low: Lowering, node: Node, to: View) -> None:
    """Any other contraction: strides of their own, batches."""
    if node.dtype != "float32":
        raise Unsupported(
            "RV502",
            f"the native engine multiplies matrices in float32, not {node.dtype}",
            fix="cast to float32, or fit(engine='reference')",
        )
    (ca, cb), (ba, bb) = node.attrs["contract"], node.attrs["batch"]
    views = [low.memo[c] for c in node.inputs]
    a, b = (low.dense(v) if v.panel or v.buffer is None else v for v in views)
    fa = free_axes(len(a.shape), ca, ba)
    fb = free_axes(len(b.shape), cb, bb)
    a = _join(low, a, (ba, fa, ca))
    b = _join(low, b, (bb, cb, fb))
    nb = len(ba)
    batch = tuple(a.shape[:nb])
    m, k = a.shape[nb:]
    n = b.shape[-1]
    c = to.reshaped((*batch, m, n))
    assert c is not None
    dims_b, (sa, sb, sc) = collapse(
        batch, [a.strides[:nb], b.strides[:nb], c.strides[:nb]]
    )
    if len(dims_b) > 4:
        raise Unsupported("RV502", "a batched product of more than four batch axes")
    per = m if low.workers == 1 else max(1, min(m, 48))
    batches = math.prod(dims_b)

    def padded(xs: Sequence[int]) -> list[int]:
        return [*xs, *[0] * (4 - len(xs))]

    low.steps.append(
        Draft(
            "gemm_any",
            [place(a), place(b), place(c)],
            [
                *(m, n, k),
                *a.strides[nb:],
                *b.strides[nb:],
                *c.strides[nb:],
                len(dims_b),
                *padded(dims_b),
                *padded(sa),
                *padded(sb),
                *padded(sc),
                per,
                -(-m // per),
            ],
            units=batches * -(-n // PANEL) * -(-m // per),
            reads=[access(a), access(b)],
            writes=[access(c)],
            cost=CALL_NS + 2 * batches * m * n * k * FMA_NS,
            label=node.layer,
        )
    )


def _join(low: Lowering, view: View, groups: Sequence[Sequence[int]]) -> View:
    """Batch axes kept, the two other groups of axes joined into one each."""
    lead, first, second = groups
    moved = view.transposed((*lead, *first, *second))
    assert moved is not None
    shape = (
        *(view.shape[i] for i in lead),
        math.prod(view.shape[i] for i in first),
        math.prod(view.shape[i] for i in second),
    )
    joined = moved.reshaped(shape)
    if joined is None:
        joined = low.dense(moved).reshaped(shape)
    assert joined is not None
    return replace(joined)
