"""Two tensors that are never broadcast against each other: targets and predictions.

``(n, 1)`` against ``(n, 3)`` fits by NumPy's rules, and trains every output on the one
target. In a loss that is a mistake in the data or in the last layer; where it is meant,
one says so with ``broadcast_to``.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ranvier.errors import ShapeError
from ranvier.graph.ir import Node


class _Pair(threading.local):
    names: tuple[str, str] = ("", "")
    nodes: tuple[Node, Node] | None = None


_pair = _Pair()


@contextmanager
def apart(one: Any, other: Any, names: tuple[str, str]) -> Iterator[None]:
    """Inside, elementwise operations do not stretch one tensor to meet the other.

    Nothing happens where they have one shape, or are no symbols.
    """
    before = _pair.names, _pair.nodes
    _pair.names, _pair.nodes = names, None
    a, b = getattr(one, "node", None), getattr(other, "node", None)
    if a is not None and b is not None and a.spec.shape != b.spec.shape:
        _pair.nodes = a, b
    try:
        yield
    finally:
        _pair.names, _pair.nodes = before


def refuse_stretching(tensors: Sequence[Any]) -> None:
    """Called with the operands of an elementwise operation.

    Raises:
        ShapeError: RV101, when both tensors of `apart` are among them, in their own
            shapes.
    """
    if _pair.nodes is None:
        return
    nodes = [t.node for t in tensors if t.node is not None]
    if len({n.spec.shape for n in nodes}) < 2:
        return
    if not all(any(_is(node, own) for node in nodes) for own in _pair.nodes):
        return
    (a, b), (one, other) = _pair.names, _pair.nodes
    raise ShapeError(
        "RV101",
        f"{a} {_shown(one)} and {b} {_shown(other)} do not fit together",
        details=f"here {a} meets {b} element by element, and would be repeated",
        fix=f"let the last layer have as many units as there are targets; where it is "
        f"meant, ops.broadcast_to({a}, ops.shape({b}))",
    )


def _shown(node: Node) -> str:
    return "(" + ", ".join(map(str, node.spec.shape)) + ")"


def _is(node: Node, own: Node) -> bool:
    """Whether a node is a tensor, or made of it element by element.

    What has another shape is not: a sum with ``keepdims``, a slice. Neither are truth
    values, which choose among numbers.
    """
    stack, seen = [node], {node}
    while stack:
        current = stack.pop()
        spec = current.spec
        if current is own:
            return True
        if not isinstance(spec, tuple) and spec.shape == own.spec.shape:
            below = () if spec.dtype == "bool" else current.inputs
            stack += [child for child in below if child not in seen]
            seen.update(below)
    return False
