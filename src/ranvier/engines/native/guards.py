"""Where a plan stops: before its first write of state, once all is known that may stop it.

Data are looked at while they are gathered. A loss is a scalar that is usually computed
last, for nothing waits for it; the steps that compute it are moved in front of the first
write.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ranvier.engines.native.draft import Access, Draft, access
from ranvier.engines.native.programs import place
from ranvier.engines.native.values import View, dtype_number
from ranvier.graph.dims import bind
from ranvier.graph.ir import Graph, Node
from ranvier.graph.variable import Variable


def with_checks(
    graph: Graph, wanted: Collection[str], sizes: Mapping[str, int]
) -> Graph:
    """The graph with no checks but the wanted ones, at their roots."""
    checks = {
        name: _root(node, sizes)
        for name, node in graph.checks.items()
        if name in wanted
    }
    return Graph(graph.inputs, graph.outputs, graph.updates, checks)


def _root(node: Node, sizes: Mapping[str, int]) -> Node:
    """A value that is finite when, and only when, this one is.

    A mean is its sum divided by a count: looking at the sum saves a step, for the
    division can then run together with what else is done to scalars.
    """
    while True:
        below = node.inputs[0] if node.inputs else None
        if below is None or below.dtype != node.dtype:
            return node
        name = node.op.name
        if name not in ("neg", "reshape", "stop_gradient"):
            factor = _number(node.inputs[1], sizes) if len(node.inputs) == 2 else None
            if factor is None or not (
                (name == "div" and 1 <= abs(factor) < np.inf)
                or (name == "mul" and 0 < abs(factor) <= 1)
            ):
                return node
        if below.shape != ():
            return node
        node = below


def _number(node: Node, sizes: Mapping[str, int]) -> float | None:
    """The value of a node that is the same number in every step."""
    while node.op.name in ("reshape", "cast", "broadcast_to"):
        node = node.inputs[0]
    if node.op.name == "dim":
        return float(bind(node.attrs["size"], sizes))
    if node.op.name == "const" and node.attrs["value"].size == 1:
        return float(node.attrs["value"].reshape(())[()])
    return float(node.attrs["value"]) if node.op.name == "full" else None


def check(steps: list[Draft], view: View, index: int) -> None:
    """Let a scalar which is not finite be reported: by the sum that makes it, if one
    does, else by a step of its own."""
    last = next(
        (s for s in steps if any(a.buffer is view.buffer for a in s.writes)), None
    )
    if (
        last is not None
        and last.kernel == "reduce"
        and len(last.dims) == 7
        and (last.dims[0], last.dims[2]) == (1, 1)
        and last.dims[3:5] == [dtype_number("float32")] * 2
    ):
        last.dims.append(index + 1)
        last.checks = True
        return
    step = Draft(
        "check_finite",
        [place(view)],
        [1, dtype_number(view.dtype), 301, index],
        reads=[access(view)],
        cost=5.0,
        checks=True,
        label="loss",
    )
    steps.append(step)


def hoist(steps: Sequence[Draft]) -> list[Draft] | None:
    """Move the checks, and what they wait for, in front of the first write of state.

    Returns:
        The steps in their new order; ``None`` where a check needs something that is
        only known after a write.
    """
    blocks = list(_blocks(steps))
    first = next((i for i, b in enumerate(blocks) if writes_state(b)), len(blocks))
    wanted: set[Any] = set()
    moved: list[int] = []
    for i in range(len(blocks) - 1, first - 1, -1):
        if _looks(blocks[i][0]) or any(a.buffer in wanted for a in _writes(blocks[i])):
            moved.append(i)
            reads = _reads(blocks[i])
            wanted.update(a.buffer for a in reads if a.buffer.space == "arena")
    moved.reverse()
    late = [i for i in range(first, len(blocks)) if i not in set(moved)]
    for i in moved:
        if writes_state(blocks[i]):
            return None
        writes, reads = _writes(blocks[i]), _reads(blocks[i])
        for j in late:
            if j < i and (
                _meet(writes, [*_reads(blocks[j]), *_writes(blocks[j])])
                or _meet(reads, _writes(blocks[j]))
            ):
                return None
    order = [*range(first), *moved, *late]
    return [step for i in order for step in blocks[i]]


def _looks(step: Draft) -> bool:
    """Whether a step looks at a loss (other checks stand where their data are)."""
    return step.checks and step.kernel in ("check_finite", "reduce")


def place_guards(steps: Sequence[Draft], open_check: bool = False) -> bool:
    """Bad data, or a bad loss, stop the plan before the next step that writes state.

    Args:
        steps: The plan, or what a loop holds.
        open_check: Whether something was checked and no guard has looked at it yet.

    Returns:
        The same at the end.
    """
    for block in _blocks(steps):
        if open_check and writes_state(block):
            # In front of a loop or branch, which may run its steps never.
            block[0].guard, open_check = True, False
        open_check = place_guards(block[1:], open_check) or block[0].checks
    return open_check


def writes_state(block: Sequence[Draft]) -> bool:
    """Whether steps change a variable."""
    return any(isinstance(a.buffer.key, Variable) for a in _writes(block))


def _blocks(steps: Sequence[Draft]) -> Iterator[Sequence[Draft]]:
    """Each step alone, but a loop together with what it holds."""
    at = 0
    while at < len(steps):
        end = at + 1 + steps[at].body
        yield steps[at:end]
        at = end


def _reads(block: Sequence[Draft]) -> list[Access]:
    return [a for step in block for a in step.reads]


def _writes(block: Sequence[Draft]) -> list[Access]:
    return [a for step in block for a in step.writes]


def _meet(some: Sequence[Access], others: Sequence[Access]) -> bool:
    return any(
        a.buffer is b.buffer and a.low < b.high and b.low < a.high
        for a in some
        for b in others
    )
