"""Operands of a matrix product: how they lie, and which kernel reads them so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ranvier.engines.native.nodes import ALIASES
from ranvier.engines.native.programs import turned
from ranvier.engines.native.values import View
from ranvier.graph.ir import Node
from ranvier.graph.ops.contract import free_axes

if TYPE_CHECKING:
    from ranvier.engines.native.lowering import Lowering

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


def analyse(low: Lowering, node: Node, by_columns: bool = False) -> Product | None:
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
        fits = _unit(am, m) and lead(ak, k, m)
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
            kernel = "gemm_nn" if _unit(bn, n) and lead(bk, k, n) else "gemm_nt"
        if kernel == "gemm_nt":
            fits = _unit(bk, k) and lead(bn, n, k)
        else:
            fits = _unit(bn, n) and lead(bk, k, n)
        if not fits:
            return None
    return Product(kernel, a, b, m, n, k)


def _choose(
    a: View, b: View, m: int, n: int, k: int, wanted: str = "gemm_nn"
) -> Product | None:
    """The kernel that reads ``a [m, k]`` and ``b [k, n]`` as they lie."""
    (am, ak), (bk, bn) = a.strides, b.strides
    rows = _unit(ak, k) and am >= 0 and lead(am, m, k)
    fits = {
        "gemm_nn": rows and _unit(bn, n) and lead(bk, k, n),
        "gemm_nt": rows and _unit(bk, k) and lead(bn, n, k),
        "gemm_tn": _unit(am, m) and _unit(bn, n) and lead(ak, k, m) and lead(bk, k, n),
    }
    for kernel in (wanted, *fits):
        if fits[kernel]:
            return Product(kernel, a, b, m, n, k)
    return None


def _unit(stride: int, count: int) -> bool:
    return stride == 1 or count == 1


def lead(stride: int, count: int, width: int) -> bool:
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


def turns(low: Lowering, node: Node, right: Node) -> bool:
    """Whether a node is a product that reads its right operand by columns."""
    if node.op.name != "dot_general" or node.inputs[1] is not right:
        return False
    found = analyse(low, node)
    return (
        node.inputs[0] is not right and found is not None and found.kernel == "gemm_nt"
    )
