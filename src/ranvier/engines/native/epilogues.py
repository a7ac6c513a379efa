"""What the product kernels do to a finished tile by themselves, without a program."""

from __future__ import annotations

from ranvier.engines.native.operands import Product, lead
from ranvier.engines.native.programs import Group
from ranvier.engines.native.values import View
from ranvier.graph.ir import Node

#: Flags of the epilogue (native/src/kernels/gemm.h).
BIAS, RELU, MASK, ADD, SIDE_APART, ROW_BIAS = 1, 2, 4, 8, 16, 32


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
    return along == 1 and lead(down, m, n)
