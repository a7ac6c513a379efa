"""Where the first NaN or infinity of a step came from, by running it again in NumPy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ranvier.graph.dims import unify
from ranvier.graph.evaluate import Interpreter
from ranvier.graph.ir import Graph, Node

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Cause:
    """The first operation on the way to a result that made it NaN or infinite.

    Attributes:
        node: The operation; a variable or an input where these are not finite.
        value: Its result.
        operands: What it was computed from, all finite.
        index: The first element of the result that is not finite.
    """

    node: Node
    value: Array
    operands: Sequence[Array]
    index: tuple[int, ...]


def find_cause(graph: Graph, result: Node, inputs: Mapping[str, Any]) -> Cause | None:
    """Go back from a result that is not finite to the first operation that was not.

    Args:
        graph: The step the result belongs to.
        result: A scalar of it.
        inputs: The batch, by input name; variables are read as they are now.

    Returns:
        ``None`` when NumPy computes a finite result.
    """
    sizes: dict[str, int] = {}
    known: dict[Node, Any] = {}
    for name, node in graph.inputs.items():
        known[node] = np.asarray(inputs[name]).astype(node.dtype)
        unify(node.shape, known[node].shape, sizes)
    for node in graph.nodes():
        if node.op.name == "variable":
            known[node] = node.attrs["variable"].storage.read()
    with np.errstate(all="ignore"):
        values = Interpreter(sizes).values([result], known)
    if _finite(values[result]):
        return None
    node = result
    while (below := _worst(node, values)) is not None:
        node = below
    value = values[node] if not isinstance(values[node], tuple) else values[node][0]
    if _finite(value):  # of several results, another one
        value = next(v for v in values[node] if not _finite(v))
    index = tuple(int(i) for i in np.argwhere(~np.isfinite(value))[0])
    return Cause(node, value, [values[c] for c in node.inputs], index)


def _finite(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(_finite(v) for v in value)
    return value.dtype.kind != "f" or bool(np.isfinite(value).all())


def _worst(node: Node, values: Mapping[Node, Any]) -> Node | None:
    """The operand that brought it in; ``None`` where all are finite.

    NaN comes before infinity, for minus infinity masks on purpose; and what was computed
    comes before constants.
    """
    inputs = list(node.inputs)
    if node.op.name == "where":
        chosen, a, b = (values[c] for c in inputs)
        inputs = [
            child
            for child, value, used in (
                (inputs[1], a, chosen),
                (inputs[2], b, ~chosen.astype(bool)),
            )
            if (~np.isfinite(value) & used).any()
        ]
    bad = [c for c in inputs if not _finite(values[c])]
    return min(bad, key=lambda c: _rank(c, values[c]), default=None)


def _rank(node: Node, value: Any) -> tuple[bool, bool]:
    several = value if isinstance(value, tuple) else (value,)
    nan = any(bool(np.isnan(v).any()) for v in several if v.dtype.kind == "f")
    return node.op.name in ("const", "full"), not nan
