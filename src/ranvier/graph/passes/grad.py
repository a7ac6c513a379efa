"""Reverse-mode gradients as a graph pass: gradients are nodes like any others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ranvier.errors import NumericsError, ShapeError
from ranvier.graph.ir import Node, walk
from ranvier.graph.op import Composite, NoGradient
from ranvier.graph.trace import Tensor, derived_from, inline


def gradients(
    ys: Any, xs: Sequence[Any], seeds: Sequence[Any] | None = None
) -> list[Any]:
    r"""Gradients :math:`\sum_j \mathrm{seed}_j \, \partial y_j / \partial x_i`.

    Args:
        ys: A symbol or a list of symbols.
        xs: Symbols or variables. For a variable: with respect to its value when the
            trace began.
        seeds: One for each y; 1 by default, which needs scalar ys.

    Returns:
        One symbol for each x; ``None`` where no y depends on it.

    Raises:
        ShapeError: RV108, when a y without a seed is not a scalar.
        NumericsError: RV303, when an operation on the way has no gradient.
    """
    from ranvier.graph.functions import as_tensor
    from ranvier.graph.trace import current_trace

    trace = current_trace()
    assert trace is not None, "gradients() needs a trace; see value_and_grad()"
    ys = list(ys) if isinstance(ys, (list, tuple)) else [ys]
    if seeds is None:
        for y in ys:
            if y.shape != ():
                raise ShapeError(
                    "RV108",
                    "a gradient needs a scalar",
                    details=f"got {y!r}",
                    fix="reduce it first, for example with ops.sum or ops.mean",
                )
        seeds = [as_tensor(1.0, y.dtype) for y in ys]
    root = trace
    while root.parent is not None:
        root = root.parent
    targets = []
    for x in xs:
        if isinstance(x, Tensor):
            targets.append(trace.lift(x))
        else:
            targets.append(trace.initial.get(x) or root.initial.get(x) or trace.read(x))
    return vjp([trace.lift(y) for y in ys], list(seeds), targets)


def vjp(
    results: Sequence[Node], seeds: Sequence[Any], wrt: Sequence[Node]
) -> list[Tensor | None]:
    """Vector-Jacobian products at the level of nodes; see `gradients`."""
    order = walk(results)
    wanted = set(wrt)
    depends: set[Node] = set()
    for node in order:
        if node in wanted or any(c in depends for c in node.inputs):
            depends.add(node)

    grads: dict[Node, Any] = {}  # a tensor, or a list of them for several results

    def accumulate(node: Node, value: Any) -> None:
        if node not in depends or value is None:
            return
        if node.op.name == "get":
            (source,) = node.inputs
            slots = grads.setdefault(source, [None] * len(source.spec))
            index = node.attrs["index"]
            slots[index] = value if slots[index] is None else slots[index] + value
            if node in wanted:
                own[node] = value if node not in own else own[node] + value
        elif node in grads:
            grads[node] = grads[node] + value
        else:
            grads[node] = value

    own: dict[Node, Any] = {}
    for node, seed in zip(results, seeds, strict=True):
        if seed is not None and _floating(node):
            accumulate(node, seed)
    for node in reversed(order):
        g = grads.get(node)
        if g is None or node not in depends or not node.inputs:
            continue
        if not any(child in depends for child in node.inputs):
            continue
        with derived_from(node, "gradient"):
            for child, value in zip(node.inputs, _rule(node, g, depends), strict=True):
                if value is not None and _floating(child):
                    accumulate(child, value)
    return [own.get(x) if x.op.name == "get" else grads.get(x) for x in wrt]


def _floating(node: Node) -> bool:
    return not isinstance(node.spec, tuple) and node.spec.floating


def _rule(node: Node, g: Any, depends: set[Node]) -> Sequence[Any]:
    """The gradient of one node with respect to each of its inputs."""
    op = node.op
    several = isinstance(node.spec, tuple)
    inputs = [Tensor(node=c) for c in node.inputs]
    y: Any = (
        [Tensor(node=_get(node, i)) for i in range(len(node.spec))]
        if several
        else Tensor(node=node)
    )
    if isinstance(op, Composite):
        attrs = {k: v for k, v in node.attrs.items() if k != "body"}
        if op.grad is not None:
            return op.grad(g, y, *inputs, **attrs)
        results = inline(node)
        seeds = g if several else [g]
        return vjp(results, seeds, node.inputs)
    if isinstance(op.grad, NoGradient):
        if op.grad.zero:
            return [None] * len(inputs)
        where = node.origins[0].line if node.origins else ""
        raise NumericsError(
            "RV303",
            f"{op.name} has no gradient: {op.grad.reason}",
            details=f"it is used at {where}" if where else "",
        )
    return op.grad(g, y, *inputs, **node.attrs)


def _get(node: Node, index: int) -> Node:
    from ranvier.graph.trace import get

    return get(node, index)
