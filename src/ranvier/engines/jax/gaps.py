"""Operations that the JAX engine does not run, each with its reason."""

from __future__ import annotations

from ranvier.engines.api import Unsupported
from ranvier.graph.ir import Node

#: Operation → why the JAX engine has no row for it.
GAPS: dict[str, str] = {}


def no_row(node: Node) -> Unsupported:
    """The error for an operation without a row: its reason and the user's line."""
    name = node.op.name
    where = f"it is used at {node.origins[0].line}" if node.origins else ""
    return Unsupported(
        "RV502",
        f"the JAX engine has no row for {name!r}",
        details="\n".join(filter(None, [GAPS.get(name, ""), where])),
        fix="engine='native' or engine='reference' runs it",
    )
