"""Reductions and softmax: along rows, down columns, with what is computed before or after.

A reduction that alone needs an elementwise value computes it; the update of a bias runs
on the sums of a gradient's columns as soon as these are there.
"""

from __future__ import annotations

import math

from ranvier.engines.native.draft import Draft, access
from ranvier.engines.native.groups import only_reader, prologue
from ranvier.engines.native.hosting import emit_program, host_program
from ranvier.engines.native.lowering import Lowering
from ranvier.engines.native.parts import column_parts, join_parts, reduce_step
from ranvier.engines.native.products import weight_gradient
from ranvier.engines.native.programs import Group, place, turned
from ranvier.engines.native.table import host, row
from ranvier.engines.native.values import PANEL, View, dtype_number
from ranvier.graph.ir import Node

_REDUCE = {
    "sum": 0,
    "reduce_max": 2,
    "reduce_min": 3,
    "prod": 4,
    "any": 5,
    "all": 6,
}


def canonical(
    shape: tuple[int, ...], axes: tuple[int, ...]
) -> tuple[int, int, int] | None:
    """``[outer, reduced, inner]`` when the reduced axes are neighbours, else ``None``."""
    real = [i for i, n in enumerate(shape) if n != 1]
    inside = [i for i in real if i in axes]
    if not inside:
        return math.prod(shape), 1, 1
    between = [i for i in real if inside[0] <= i <= inside[-1]]
    if between != inside:
        return None
    outer = math.prod(shape[i] for i in real if i < inside[0])
    inner = math.prod(shape[i] for i in real if i > inside[-1])
    return outer, math.prod(shape[i] for i in inside), inner


def _arranged(
    low: Lowering, x: View, axes: tuple[int, ...]
) -> tuple[View, tuple[int, int, int]]:
    """A dense view with the reduced axes side by side."""
    if x.columns:
        x, axes = turned(x), tuple(1 - axis for axis in axes)
    form = canonical(x.shape, axes)
    if form is None:
        kept = [i for i in range(len(x.shape)) if i not in axes]
        moved = low.dense(x) if x.panel else x
        moved = moved.transposed((*kept, *axes))  # type: ignore[assignment]
        x = low.dense(moved)
        form = canonical(x.shape, tuple(range(len(kept), len(x.shape))))
        assert form is not None
    return low.dense(x), form


@row(*_REDUCE)
def _reduce(low: Lowering, node: Node) -> View:
    child, axes = node.inputs[0], node.attrs["axes"]
    product = weight_gradient(low, child) if node.op.name == "sum" else None
    if product is not None and axes == (0,) and product not in low.memo:
        low.value(product)
        if node in low.memo:
            return low.memo[node]  # type: ignore[no-any-return]
    shape = low.shape(child)
    if child in low.by_columns:
        shape, axes = shape[::-1], tuple(1 - axis for axis in axes)
    form = canonical(shape, axes)
    if form is not None and form[1] > 1 and child.dtype == "float32":
        fused = _reduce_group(low, node, form)
        if fused is not None:
            return fused
    x = low.value(child)
    if x.panel and columns(low, node):
        to = low.room(node)
        _column_sums(low, node, x, to, *x.matrix)
        return to
    x, (outer, n, inner) = _arranged(low, x, node.attrs["axes"])
    if n == 1:
        alone = x.reshaped(low.shape(node))
        assert alone is not None
        return alone
    to = low.room(node)
    if to.size == 0:
        return to
    if outer == 1 and n > 1 and inner > 1 and columns(low, node):
        parts = column_parts(n, inner)
        if parts == 1:
            _column_sums(low, node, x, to, n, inner)
            return to
        made = low.new((parts, inner), to.dtype)
        form = (parts, n // parts, inner)
        low.steps.append(reduce_step(node, form, x.dtype, made, x=x))
        join_parts(low, node, made, to)
        return to
    operation = _REDUCE[node.op.name]
    low.steps.append(
        reduce_step(node, (outer, n, inner), x.dtype, to, operation=operation, x=x)
    )
    return to


def _reduce_group(low: Lowering, node: Node, form: tuple[int, int, int]) -> View | None:
    """A reduction that computes what it reduces, if only it needs that."""
    child = node.inputs[0]
    while child.op.name == "reshape" and only_reader(low, child):
        child = child.inputs[0]
    group = prologue(low, child)
    if group is None:
        return None
    by_columns = child in low.by_columns and child is node.inputs[0]
    if by_columns:
        group = group.turned()
    outer, n, inner = form
    dims = (outer, n) if inner == 1 else (outer * n, inner)
    to = low.room(node)
    operation = _REDUCE[node.op.name]
    draft = reduce_step(node, form, child.dtype, to, operation=operation)
    try:
        if inner == 1 and any(view.panel for view in group.views()):
            raise ValueError("a row of a weight in panels has gaps")
        host_program(draft, group, None, dims, child)
    except ValueError:
        # An operand's axes do not join so: compute it in a step of its own.
        view = low.memo[child] = low.laid(child)
        group.stores[child] = turned(view) if by_columns else view
        emit_program(low, group)
        return None
    if to.size:
        low.steps.append(draft)
    return to


def columns(low: Lowering, node: Node) -> bool:
    """Whether a sum runs down the columns of a matrix, as a bias's gradient does."""
    if node.op.name != "sum" or node.dtype != "float32":
        return False
    if node.inputs[0] in low.by_columns:
        return False  # its columns are runs: plain reductions
    form = canonical(low.shape(node.inputs[0]), node.attrs["axes"])
    return form is not None and form[0] == 1 and form[1] > 1 and form[2] > 1


def _column_sums(
    low: Lowering,
    node: Node,
    x: View,
    to: View | None,
    rows: int,
    wide: int,
    group: Group | None = None,
) -> None:
    panels = -(-wide // PANEL)
    share = ("columns", panels) if panels > 1 else None
    matrix = x.reshaped((rows, wide))
    assert matrix is not None
    draft = Draft(
        "column_sums",
        [place(x), place(to) if to is not None else None],
        [rows, wide, 0 if matrix.panel else wide],
        units=panels,
        reads=[access(matrix, share)],
        cost=15 + rows * wide * 0.1,
        label=node.layer,
    )
    if to is not None:
        draft.writes.append(access(to, share))
    if group is not None:
        host_program(draft, group, share)
    low.steps.append(draft)


def host_column_sums(low: Lowering, node: Node, group: Group) -> None:
    """Sums of columns on which a group runs at once (the update of a bias)."""
    x = low.value(node.inputs[0])
    if x.columns:
        x = low.dense(x)
    if x.panel:
        n, inner = x.matrix
    else:
        x, (_, n, inner) = _arranged(low, x, node.attrs["axes"])
    _column_sums(low, node, x, None, n, inner, group)


def _hosts(low: Lowering, node: Node) -> bool:
    """Whether the update of a bias can follow the sums in the same step."""
    if not columns(low, node):
        return False
    form = canonical(low.shape(node.inputs[0]), node.attrs["axes"])
    return form is not None and column_parts(form[1], form[2]) == 1


host("sum", can=_hosts, emit=host_column_sums)


@row("argmax", "argmin")
def _argmax(low: Lowering, node: Node) -> View:
    x = low.dense(low.value(node.inputs[0]))
    axis = node.attrs["axis"]
    outer, inner = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
    to = low.new(low.shape(node), node.dtype)
    if to.size:
        low.steps.append(
            Draft(
                "argmax",
                [place(x), place(to)],
                [
                    *(outer, x.shape[axis], inner),
                    dtype_number(x.dtype),
                    dtype_number(to.dtype),
                    int(node.op.name == "argmin"),
                ],
                units=max(1, min(outer * inner, 64)),
                reads=[access(x)],
                writes=[access(to)],
                cost=15 + x.size * 0.5,
            )
        )
    return to


# ------------------------------------------------------------------------ softmax


def _rows_step(
    low: Lowering,
    node: Node,
    kernel: str,
    views: list[View | None],
    n_reads: int,
    dims: list[int],
    ns: float,
) -> None:
    """A kernel that goes over rows of dense matrices."""
    m = dims[0]
    if not m or not dims[1]:
        return
    units = max(1, min(m, 64))
    share = ("rows", m, -(-m // units)) if m <= 64 else None
    low.steps.append(
        Draft(
            kernel,
            [place(v) if v is not None else None for v in views],
            dims,
            units=units,
            reads=[access(v, share) for v in views[:n_reads] if v is not None],
            writes=[access(v, share) for v in views[n_reads:] if v is not None],
            cost=20 + m * dims[1] * ns,
            label=node.layer,
        )
    )


@row("softmax", "log_softmax")
def _softmax(low: Lowering, node: Node) -> View:
    x = low.dense(low.value(node.inputs[0]))
    to = low.new(low.shape(node), node.dtype)
    wide = x.shape[-1]
    dims = [x.size // max(wide, 1), wide, int(node.op.name == "log_softmax")]
    _rows_step(low, node, "softmax", [x, to], 1, dims, 1.0)
    return to


@row("sparse_softmax_cross_entropy")
def _sparse_cross_entropy(low: Lowering, node: Node) -> tuple[View, ...]:
    logits = low.dense(low.value(node.inputs[0]))
    labels = low.dense(low.value(node.inputs[1]))
    loss, probs = (low.new(low.bound(spec.shape), spec.dtype) for spec in node.spec)
    used = {c.attrs["index"] for c in low.consumers[node]}
    dims = [labels.size, logits.shape[-1], dtype_number(labels.dtype)]
    views = [
        logits,
        labels,
        loss if 0 in used else None,
        probs if 1 in used else None,
    ]
    _rows_step(low, node, "sparse_softmax_ce", views, 2, dims, 1.2)
    return loss, probs


@row("sparse_softmax_cross_entropy_grad")
def _sparse_cross_entropy_grad(low: Lowering, node: Node) -> View:
    probs, labels = (low.dense(low.value(c)) for c in node.inputs[:2])
    g = low.value(node.inputs[2])
    if g.buffer is None:
        g = low.stored(g)
    elif not (g.dense or all(s == 0 for s in g.strides)):
        g = low.dense(g)
    to = low.new(low.shape(node), node.dtype)
    each = int(not all(s == 0 for s in g.strides) or g.size == 1)
    dims = [labels.size, probs.shape[-1], dtype_number(labels.dtype), each]
    _rows_step(
        low, node, "sparse_softmax_ce_grad", [probs, labels, g, to], 3, dims, 0.3
    )
    return to
