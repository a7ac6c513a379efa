"""Labels out of range, found before a step is run: those of validation data.

A kernel looks at the labels of each batch before its step writes anything. That of
validation comes only after an epoch of training, so its labels are looked at beforehand.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ranvier.data.arrays import Arrays
from ranvier.engines.api import Fault
from ranvier.engines.faults import error_of
from ranvier.graph.dims import bind, unify
from ranvier.graph.evaluate import Interpreter
from ranvier.graph.ir import Graph, Node, walk

#: Rows looked at together.
ROWS = 1 << 16
Label = tuple[Node, dict[str, Node]]


def labels_of(graph: Graph) -> list[Label]:
    """Where a step refuses labels, with the inputs that these are computed from.

    Only labels that are computed from targets alone: what else a step looks up is known
    when it runs.
    """
    found = []
    for node in graph.nodes():
        if node.op.name != "check_range":
            continue
        leaves = [n for n in walk(node.inputs) if not n.inputs]
        inputs = {n.attrs["name"]: n for n in leaves if n.op.name == "input"}
        fixed = all(n.op.name in ("input", "const", "full", "dim") for n in leaves)
        if inputs and fixed and all(name.startswith("y") for name in inputs):
            found.append((node, inputs))
    return found


def refuse_labels(
    labels: list[Label], data: Arrays, rows: int, what: str, first: int = 0
) -> None:
    """Look at the labels of rows.

    Args:
        labels: see `labels_of`.
        data: the arrays.
        rows: how many of their rows to look at.
        what: said behind ``y``.
        first: number of the first row in the user's data.

    Raises:
        DataError: RV105, with the label and its row.
    """
    for node, inputs in labels:
        for start in range(0, rows, ROWS):
            part = slice(start, min(start + ROWS, rows))
            row = _first_bad(node, inputs, data, part)
            if row is None:
                continue
            at, value, high = row
            fault = Fault(
                "RV105",
                next(iter(inputs)),
                first + start + at,
                value=value,
                details={"high": high, "what": what},
            )
            raise error_of(fault, data.named)


def _first_bad(
    node: Node, inputs: dict[str, Node], data: Arrays, rows: slice
) -> tuple[int, float, int] | None:
    """Row, value and number of classes of the first label out of range."""
    sizes: dict[str, int] = {}
    known: dict[Node, Any] = {}
    for name, source in inputs.items():
        known[source] = data.named[name][rows].astype(source.dtype)
        unify(source.shape, known[source].shape, sizes)
    with np.errstate(all="ignore"):
        labels = Interpreter(sizes).run(node.inputs, known)[0]
    low, high, allow = (bind(node.attrs, sizes)[k] for k in ("low", "high", "allow"))
    if labels.size == 0 or (labels.min() >= low and labels.max() < high):
        return None
    bad = (labels < low) | (labels >= high)
    if allow is not None:
        bad &= labels != allow
    if not bad.any():
        return None
    at = tuple(np.argwhere(bad)[0])
    return (int(at[0]) if at else 0), float(labels[at]), int(high)
