"""The native engine's table: how each operation becomes steps of a plan.

Elementwise operations have a file of their own (`groups`), so have matrix products
(`products`), `reductions`, windows and regions; the rest is here, one row an operation.
"""

from __future__ import annotations

import math

import numpy as np

from ranvier.engines.native import channels as _channels  # noqa: F401  (its rows)
from ranvier.engines.native import kernel_gradients as _kernels  # noqa: F401  (its rows)
from ranvier.engines.native import reductions as _reductions  # noqa: F401  (its rows)
from ranvier.engines.native import regions as _regions  # noqa: F401  (its rows)
from ranvier.engines.native import sequences as _sequences  # noqa: F401  (its rows)
from ranvier.engines.native import windows as _windows  # noqa: F401  (its rows)
from ranvier.engines.native.draft import Draft, access
from ranvier.engines.native.lowering import Lowering
from ranvier.engines.native.nodes import elementwise
from ranvier.engines.native.operands import window
from ranvier.engines.native.products import (
    can_host,
    emit_product,
    lower_product,
)
from ranvier.engines.native.programs import place
from ranvier.engines.native.table import host, row
from ranvier.engines.native.values import (
    View,
    dtype_number,
    itemsize,
    number,
)
from ranvier.graph.ir import Node

# ---------------------------------------------------------------- leaves, windows


@row("const")
def _const(low: Lowering, node: Node) -> View:
    return low.const(node.attrs["value"])


@row("full")
def _full(low: Lowering, node: Node) -> View:
    return number(node.attrs["value"], low.shape(node), node.dtype)


@row("dim")
def _dim(low: Lowering, node: Node) -> View:
    return number(low.attrs(node)["size"], (), node.dtype)


@row("iota")
def _iota(low: Lowering, node: Node) -> View:
    return low.const(np.arange(low.attrs(node)["size"], dtype=node.dtype))


@row("reshape", "transpose", "broadcast_to", "slice")
def _window(low: Lowering, node: Node) -> View:
    source = low.value(node.inputs[0])
    if source.buffer is None:
        return number(source.number, low.shape(node), source.dtype)
    found = window(low, node, source)
    if found is not None and all(s >= 0 for s in found.strides):
        return found
    found = window(low, node, low.dense(source))
    assert found is not None
    return found


@row("get")
def _get(low: Lowering, node: Node) -> View:
    source = node.inputs[0]
    low.value(source)
    return low.memo[source][node.attrs["index"]]


row("dot_general")(lower_product)
host("dot_general", can=can_host, emit=emit_product)


@row("pad")
def _pad(low: Lowering, node: Node) -> View:
    attrs = low.attrs(node)
    source = low.value(node.inputs[0])
    to = low.new(low.shape(node), node.dtype)
    low.copy(number(attrs["value"], to.shape, to.dtype), to)
    inner = to.sliced(attrs["low"], (1,) * len(to.shape), source.shape)
    assert inner is not None
    low.copy(source, inner)
    return to


@row("concat")
def _concat(low: Lowering, node: Node) -> View:
    axis, at = node.attrs["axis"], 0
    to = low.room(node)
    parts: list[View] = []
    for child in node.inputs:
        shape, start = low.shape(child), [0] * len(to.shape)
        start[axis] = at
        part = to.sliced(start, (1,) * len(start), shape)
        assert part is not None
        parts.append(part)
        at += shape[axis]
    # Pieces are computed in their place, alike ones together.
    own = [
        c
        for c in node.inputs
        if elementwise(c)
        and c not in low.memo
        and c not in low.external
        and c not in low.places
        and node.inputs.count(c) == 1
    ]
    for child, part in zip(node.inputs, parts, strict=True):
        if child in own:
            low.places[child] = part
    for shape in dict.fromkeys(low.shape(c) for c in own):
        low.group([c for c in own if low.shape(c) == shape])
    for child, part in zip(node.inputs, parts, strict=True):
        source = low.value(child)
        if source.buffer is not part.buffer or source.offset != part.offset:
            low.copy(source, part)
    return to


# ------------------------------------------------------- moves, indices, checks


#: Kernels that look at indices from data, and report those out of range.
_INDEXED = frozenset(("take", "take_along", "scatter_add", "add_along"))


def _step(
    low: Lowering,
    node: Node,
    kernel: str,
    reads: list[View],
    writes: list[View],
    order: list[View],
    dims: list[int],
    units: int,
    scalars: list[float] | None = None,
    checks: bool = False,
) -> None:
    """A plain kernel over dense arrays."""
    low.steps.append(
        Draft(
            kernel,
            [place(v) for v in order],
            dims,
            scalars or [],
            units=max(1, min(units, 64)),
            reads=[access(v) for v in reads],
            writes=[access(v) for v in writes],
            cost=20 + 0.5 * sum(v.size for v in (*reads, *writes)),
            checks=checks or kernel in _INDEXED,
            label=node.layer,
        )
    )


@row("check_range")
def _check_range(low: Lowering, node: Node) -> View:
    view = low.value(node.inputs[0])
    if view.buffer is None:
        return view
    view = low.dense(view)
    attrs = low.attrs(node)
    allow = attrs["allow"]
    gather = low.gathers.get(view.buffer) if view.buffer is not None else None
    if gather is not None and not gather.dims[6] & 2:
        # Labels are checked while they are gathered.
        gather.dims[6] |= 2 | (4 if allow is not None else 0)
        gather.dims[8:11] = [attrs["low"], attrs["high"], allow or 0]
        gather.checks = True
        return view
    source = -1
    below = node
    while below.inputs:
        below = below.inputs[0]
    if below.op.name == "input":
        source = list(low.graph.inputs).index(below.attrs["name"])
    width = view.size // max(view.shape[0], 1) if view.shape else 1
    dims = [view.size, dtype_number(view.dtype), attrs["low"], attrs["high"], source]
    dims += [int(allow is not None), allow or 0, 0, max(width, 1)]
    if view.size:
        _step(low, node, "check_range", [view], [], [view], dims, 1, checks=True)
    return view


def _around(shape: tuple[int, ...], axis: int) -> tuple[int, int, int]:
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])


@row("take")
def _take(low: Lowering, node: Node) -> View:
    x, indices = (low.dense(low.value(c)) for c in node.inputs)
    outer, n, inner = _around(x.shape, node.attrs["axis"])
    to = low.new(low.shape(node), node.dtype)
    k = indices.size
    dims = [outer, n, inner, k, dtype_number(indices.dtype), itemsize(x.dtype), 111, -1]
    if to.size:
        reads = [x, indices]
        _step(low, node, "take", reads, [to], [x, indices, to], dims, outer * k)
    return to


@row("take_along_axis")
def _take_along(low: Lowering, node: Node) -> View:
    x, indices = (low.dense(low.value(c)) for c in node.inputs)
    outer, n, inner = _around(x.shape, node.attrs["axis"])
    to = low.new(low.shape(node), node.dtype)
    k = indices.shape[node.attrs["axis"]]
    dims = [outer, n, inner, k, dtype_number(indices.dtype), itemsize(x.dtype), 111, -1]
    if to.size:
        reads = [x, indices]
        _step(
            low, node, "take_along", reads, [to], [x, indices, to], dims, outer * inner
        )
    return to


@row("scatter_add", "add_along_axis")
def _scatter_add(low: Lowering, node: Node) -> View:
    x = low.value(node.inputs[0])
    indices, updates = (low.dense(low.value(c)) for c in node.inputs[1:])
    along = node.op.name == "add_along_axis"
    outer, n, inner = _around(x.shape, node.attrs["axis"])
    clear = x.buffer is None and x.number == 0.0
    to = low.new(x.shape, x.dtype)
    if not clear:
        low.copy(x, to)
    k = indices.shape[node.attrs["axis"]] if along else indices.size
    dims = [outer, n, inner, k, dtype_number(indices.dtype), itemsize(x.dtype), 111, -1]
    dims += [dtype_number(x.dtype), int(clear)]
    if to.size:
        kernel = "add_along" if along else "scatter_add"
        units = outer * inner if along else n
        reads, order = [indices, updates, to], [indices, updates, to]
        _step(low, node, kernel, reads, [to], order, dims, units)
    return to


@row("flip")
def _flip(low: Lowering, node: Node) -> View:
    x = low.value(node.inputs[0])
    for axis in node.attrs["axes"]:
        x = low.dense(x)
        order = low.const(np.arange(x.shape[axis], dtype="int32")[::-1].copy())
        if order.buffer is None:
            continue
        outer, n, inner = _around(x.shape, axis)
        to = low.new(x.shape, x.dtype)
        dims = [outer, n, inner, n, dtype_number("int32"), itemsize(x.dtype), 111, -1]
        if to.size:
            _step(low, node, "take", [x, order], [to], [x, order, to], dims, outer * n)
        x = to
    return x


@row("cumsum", "cumprod")
def _cumulate(low: Lowering, node: Node) -> View:
    x = low.dense(low.value(node.inputs[0]))
    outer, n, inner = _around(x.shape, node.attrs["axis"])
    to = low.new(x.shape, x.dtype)
    what = int(node.op.name == "cumprod")
    dims = [outer, n, inner, dtype_number(x.dtype), what, 0]
    if to.size:
        _step(low, node, "cumulate", [x], [to], [x, to], dims, outer * inner)
    return to


@row("argsort")
def _argsort(low: Lowering, node: Node) -> View:
    x = low.dense(low.value(node.inputs[0]))
    outer, n, inner = _around(x.shape, node.attrs["axis"])
    to = low.new(x.shape, node.dtype)
    dims = [outer, n, inner, dtype_number(x.dtype), dtype_number(node.dtype), 0, 0]
    if to.size:
        _step(low, node, "argsort", [x], [to], [x, to], dims, outer * inner)
    return to


@row("random_bits", "random_keep")
def _random_bits(low: Lowering, node: Node) -> View:
    key = low.dense(low.value(node.inputs[0]))
    to = low.new(low.shape(node), node.dtype)
    if to.size:
        least = node.attrs.get("least")
        dims = [to.size, int(least is not None), least or 0]
        _step(low, node, "random_bits", [key], [to], [key, to], dims, to.size // 256)
    return to
