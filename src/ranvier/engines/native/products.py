"""Matrix products: which kernel, which orientation, and what runs on the finished tile."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from ranvier.engines.api import Unsupported
from ranvier.engines.native import programs
from ranvier.engines.native.draft import Access, Draft, Share, access
from ranvier.engines.native.lanes import COMMON, Lanes
from ranvier.engines.native.nodes import ALIASES
from ranvier.engines.native.programs import Group, place, turned
from ranvier.engines.native.values import PANEL, View, collapse
from ranvier.graph.ir import Node
from ranvier.graph.ops.contract import free_axes

if TYPE_CHECKING:
    from ranvier.engines.native.lowering import Lowering

#: Flags of the epilogue (native/src/kernels/gemm.h).
BIAS, RELU, MASK, ADD, SIDE_APART, ROW_BIAS = 1, 2, 4, 8, 16, 32
#: Columns below which a program runs better on its own than on tiles.
NARROW = 4
#: Nanoseconds for a multiply-add, and for a call.
FMA_NS, CALL_NS = 1 / 40, 30.0


#: Axes that become the rows of a matrix, and those that become its columns.
Axes: TypeAlias = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass
class Product:
    """``C[m, n] = sum_k A[m, k] B[k, n]`` over views with two axes each.

    Attributes:
        kernel: ``gemm_nn``, ``gemm_nt`` or ``gemm_tn``.
        a: Left operand as ``[m, k]``.
        b: Right operand as ``[k, n]``; in panels as it lies.
        m: Rows of the result.
        n: Columns of the result.
        k: Length of the sums.
        turned: It is the transpose of what the graph says.
    """

    kernel: str
    a: View
    b: View
    m: int
    n: int
    k: int
    turned: bool = False


def _two_axes(view: View, first: Sequence[int], second: Sequence[int]) -> View | None:
    """A view as a matrix whose axes are groups of its axes."""
    if view.panel:
        return view if (tuple(first), tuple(second)) == ((0,), (1,)) else None
    moved = view.transposed((*first, *second))
    if moved is None:
        return None
    m = math.prod(view.shape[i] for i in first)
    n = math.prod(view.shape[i] for i in second)
    return moved.reshaped((m, n))


def _analyse(low: Lowering, node: Node, by_columns: bool = False) -> Product | None:
    """The product as one of the fast kernels, or ``None``.

    Looks at shapes and known strides only; an operand that has no place yet will lie as
    the layout says. A result by columns is best had as ``C^T = B^T A^T``.
    """
    (ca, cb), (ba, _) = node.attrs["contract"], node.attrs["batch"]
    left, right = node.inputs
    if ba or left.dtype != "float32":
        return None
    a, b = _future(low, left), _future(low, right)
    fa = free_axes(len(a.shape), ca, ())
    fb = free_axes(len(b.shape), cb, ())
    m = math.prod(a.shape[i] for i in fa)
    n = math.prod(b.shape[i] for i in fb)
    k = math.prod(a.shape[i] for i in ca)
    if not (m and n and k) or a.buffer is None or b.buffer is None:
        return None
    if a.panel or b.panel:
        of_a, of_b = (tuple(fa), tuple(ca)), (tuple(cb), tuple(fb))
        return _in_panels(a, b, of_a, of_b, (m, n, k))
    a2, b2 = _two_axes(a, fa, ca), _two_axes(b, cb, fb)
    if a2 is None or b2 is None:
        return None
    # Where an axis of size 1 leaves a choice, the graph's orientation decides: a batch
    # of one row is still a weight gradient.
    if len(a.shape) > 1 and 0 in ca and 0 in cb:
        wanted = "gemm_tn"
    else:
        wanted = "gemm_nn" if 0 in cb else "gemm_nt"
    if by_columns:
        found = _choose(turned(b2), turned(a2), n, m, k)
        if found is not None:
            found.turned = True
            return found
    return _choose(a2, b2, m, n, k, wanted)


def _in_panels(
    a: View, b: View, of_a: Axes, of_b: Axes, sizes: tuple[int, int, int]
) -> Product | None:
    """A product of which an operand lies in panels, if a kernel reads both."""
    m, n, k = sizes
    by_rows, by_columns = ((0,), (1,)), ((1,), (0,))
    forward = of_b == by_rows  # b is [k, n]
    if a.panel and of_a == by_columns:
        kernel = "gemm_tn"
    elif not a.panel and len(a.shape) == 2 and of_a == by_columns and forward:
        kernel = "gemm_tn" if a.strides[0] != 1 else "gemm_nn"
    elif a.panel and of_a != by_rows:
        return None
    else:
        kernel = "gemm_nn" if forward else "gemm_nt"
    if not a.panel:
        moved = _two_axes(a, *of_a)
        if moved is None:
            return None
        a, (am, ak) = moved, moved.strides
        fits = _unit(am, m) and _lead(ak, k, m)
        if not (fits if kernel == "gemm_tn" else _unit(ak, k)):
            return None
    if b.panel:
        if of_b not in (by_rows, by_columns) or (kernel == "gemm_tn" and not forward):
            return None
    else:
        moved = _two_axes(b, *of_b)
        if moved is None:
            return None
        b, (bk, bn) = moved, moved.strides
        if kernel != "gemm_tn":
            kernel = "gemm_nn" if _unit(bn, n) and _lead(bk, k, n) else "gemm_nt"
        if kernel == "gemm_nt":
            fits = _unit(bk, k) and _lead(bn, n, k)
        else:
            fits = _unit(bn, n) and _lead(bk, k, n)
        if not fits:
            return None
    return Product(kernel, a, b, m, n, k)


def _choose(
    a: View, b: View, m: int, n: int, k: int, wanted: str = "gemm_nn"
) -> Product | None:
    """The kernel that reads ``a [m, k]`` and ``b [k, n]`` as they lie."""
    (am, ak), (bk, bn) = a.strides, b.strides
    rows = _unit(ak, k) and am >= 0 and _lead(am, m, k)
    fits = {
        "gemm_nn": rows and _unit(bn, n) and _lead(bk, k, n),
        "gemm_nt": rows and _unit(bk, k) and _lead(bn, n, k),
        "gemm_tn": _unit(am, m)
        and _unit(bn, n)
        and _lead(ak, k, m)
        and _lead(bk, k, n),
    }
    for kernel in (wanted, *fits):
        if fits[kernel]:
            return Product(kernel, a, b, m, n, k)
    return None


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
            label=node.origins[0].layer if node.origins else "",
        )
    )
    return to


def _unit(stride: int, count: int) -> bool:
    return stride == 1 or count == 1


def _lead(stride: int, count: int, width: int) -> bool:
    """Whether rows of so many elements, so far apart, do not overlap."""
    return count == 1 or stride >= width


def _future(low: Lowering, node: Node) -> View:
    """The view a node has or will have: dense, for all that is not a window."""
    if node in low.memo:
        return low.memo[node]
    if node.op.name in ALIASES:
        source = _future(low, node.inputs[0])
        moved = window(low, node, source)
        if moved is not None:
            return moved
    return low.laid(node)


def window(low: Lowering, node: Node, source: View) -> View | None:
    """The view of a shape operation on a view; ``None`` when it needs a copy."""
    attrs = low.attrs(node)
    match node.op.name:
        case "reshape":
            return source.reshaped(low.shape(node))
        case "transpose":
            return source.transposed(attrs["perm"])
        case "broadcast_to":
            return source.broadcast(low.shape(node))
        case "slice":
            return source.sliced(attrs["start"], attrs["step"], low.shape(node))
        case _:
            return source


def can_host(low: Lowering, node: Node) -> bool:
    """Whether a product has a kernel that runs programs on its tiles.

    Tiles of a few columns are not worth it: a program over all rows is quicker.
    """
    if _is_dots(low, node):
        return False
    found = _analyse(low, node, node in low.by_columns)
    if found is None:
        return False
    if low.shape(node)[-1:] != (found.m if found.turned else found.n,):
        return False  # its columns are several axes, a program's are the last one
    return found.n >= NARROW or found.m == 1


def turns(low: Lowering, node: Node, right: Node) -> bool:
    """Whether a node is a product that reads its right operand by columns."""
    if node.op.name != "dot_general" or node.inputs[1] is not right:
        return False
    found = _analyse(low, node)
    return (
        node.inputs[0] is not right and found is not None and found.kernel == "gemm_nt"
    )


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
    found = _analyse(low, node, all(v.columns for v in group.stores.values()))
    assert found is not None
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
        # Leading axes of an operand do not join: the program runs on its own.
        to = low.laid(node) if found.turned else low.new(low.shape(node), node.dtype)
        to = turned(to) if found.turned else to
        _emit(low, node, found, to)
        group.leaves[node] = to
        group.accumulator = None
        low.emit_program(group)


def lower_product(low: Lowering, node: Node) -> View:
    """A product that is stored as it is."""
    operands(low, node)
    if _is_dots(low, node):
        return _emit_dots(low, node)
    to = low.room(node)
    if to.size == 0:
        return to
    found = _analyse(low, node, to.columns)
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


def match_epilogue(
    group: Group, found: Product
) -> tuple[int, View | None, View | None, View] | None:
    """The flags of the kernel that do what a group does, if there are such.

    Returns:
        Flags, bias, side operand, destination.
    """
    if len(group.stores) != 1:
        return None
    ((last, to),) = group.stores.items()
    if last is not group.nodes[-1] or not (to.panel or to.dense):
        return None
    nodes, acc = list(group.nodes), group.accumulator
    flags, bias, side = 0, None, None

    def number_of(node: Node) -> float | None:
        view = group.leaves.get(node)
        return view.number if view is not None and view.buffer is None else None

    current = acc
    for node in nodes:
        name, ins = node.op.name, node.inputs
        if name == "add" and current in ins and ins[0] is not ins[1]:
            other = ins[1] if ins[0] is current else ins[0]
            view = group.leaves.get(other)
            if view is None or view.buffer is None:
                return None
            flat = view.reshaped((found.m, found.n))
            if flat is None or (flat.panel and flags):
                return None
            if flat.panel:
                flags, side, current = ADD, flat, node
                continue
            (down, along) = flat.strides
            if flags == 0 and along == 0 and found.n > 1:
                if found.kernel == "gemm_nt" or (down != 1 and found.m > 1):
                    return None
                flags, bias = ROW_BIAS, flat
            elif along != 1 and found.n != 1:
                return None
            elif flags == 0 and (down == 0 or found.m == 1):
                if found.kernel != "gemm_nn":
                    return None
                flags, bias = BIAS, flat
            elif flags == 0 and down >= found.n:
                flags, side = ADD, flat
            else:
                return None
        elif name == "relu" and ins[0] is current and flags in (BIAS, ROW_BIAS):
            flags |= RELU
        elif name == "gt" and node is not last:
            # the mask of relu's gradient: where(y > 0, g, 0)
            if number_of(ins[1]) != 0.0 or ins[0] not in group.leaves or flags:
                return None
            continue
        elif name == "where" and ins[1] is current and flags == 0:
            test = ins[0]
            if test not in nodes or number_of(ins[2]) != 0.0:
                return None
            view = group.leaves[test.inputs[0]]
            flat = view.reshaped((found.m, found.n)) if view.buffer else None
            if flat is None or not (flat.panel or _by_rows(flat)):
                return None
            flags, side = MASK, flat
        else:
            return None
        current = node
    return (flags, bias, side, to) if current is last and flags else None


def _by_rows(view: View) -> bool:
    (down, along), (m, n) = view.strides, view.shape
    return along == 1 and _lead(down, m, n)


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
    draft.reads += [_touch(p.a, a_share, lanes), access(p.b, b_share)]
    if bias is not None:
        draft.reads.append(access(bias))
    if side is not None:
        draft.reads.append(_touch(side, share, lanes))
    if flat is not None:
        draft.writes.append(_touch(flat, share, lanes))
    if group is not None:
        host_program(draft, group, share, lanes=lanes)
    if node.origins:
        draft.label = node.origins[0].layer
    low.steps.append(draft)


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
            draft.reads.append(_touch(view, own, lanes))
    for view in group.stores.values():
        own = share if _matrix(view) else None
        draft.writes.append(_touch(view, own, lanes))
    draft.cost += math.prod(group.shape) * 0.12 * len(group.nodes)


def _touch(view: View, share: Share, lanes: Lanes | None) -> Access:
    """What a step touches of a matrix that is shared as its result is."""
    own = None if lanes is None else lanes.access(view)
    return access(view, share) if own is None else own


def _matrix(view: View) -> bool:
    """Whether a view is walked as the result is: element (row, column) by its owner."""
    return view.panel or view.dense


def _divide(
    rows: int, panels: int, workers: int, kernel: str, batch: int, columns: int
) -> tuple[int, bool, Any]:
    """Rows of a unit, whether units are rows of all panels, the name of the division.

    A worker that owns panels reads all rows of the batch, one that owns rows reads the
    whole weight: whichever is smaller crosses from one core to the other.
    """
    if workers == 1:
        return rows, False, None
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
            label=node.origins[0].layer if node.origins else "",
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
