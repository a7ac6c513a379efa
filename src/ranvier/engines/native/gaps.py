"""Operations that the native engine does not run, each with its reason.

``tests/contract/test_op_table.py`` joins this with the registry: an operation has a row,
is elementwise, or stands here.
"""

from __future__ import annotations

from ranvier.engines.api import Unsupported
from ranvier.graph.ir import Node

#: Operation → why the native engine has no row for it.
GAPS: dict[str, str] = {}


def no_kernel(node: Node) -> Unsupported:
    """The error for an operation without a row: its reason and the user's line."""
    name = node.op.name
    where = f"it is used at {node.origins[0].line}" if node.origins else ""
    return Unsupported(
        "RV502",
        f"the native engine has no kernel for {name!r} yet",
        details="\n".join(filter(None, [GAPS.get(name, ""), where])),
        fix="fit(engine='reference') runs it, slowly",
    )


#: Operations that only move or convert values: they take float16 too.
MOVES = frozenset(
    (
        *(
            "input",
            "variable",
            "param",
            "const",
            "get",
            "full",
            "cast",
            "stop_gradient",
        ),
        *("reshape", "transpose", "broadcast_to", "slice", "pad", "concat", "flip"),
        *("take", "take_along_axis"),
    )
)


def wrong_dtype(node: Node) -> Unsupported | None:
    """The error for an operation on a dtype that its kernel does not compute in."""
    name = node.op.name
    spec = node.spec[0] if isinstance(node.spec, tuple) else node.spec
    dtypes = [
        spec.dtype,
        *(c.dtype for c in node.inputs if not isinstance(c.spec, tuple)),
    ]
    if name == "dot_general" and spec.dtype != "float32":
        problem = f"multiplies matrices in float32, not {spec.dtype}"
    elif node.op.family in ("conv", "window") and "float64" in dtypes:
        problem = f"has no {name!r} of float64"
    elif "float16" in dtypes and name not in MOVES:
        problem = f"has no {name!r} of float16"
    else:
        return None
    return Unsupported(
        "RV502",
        f"the native engine {problem}",
        details=f"it is used at {node.origins[0].line}" if node.origins else "",
        fix="cast to float32, or fit(engine='reference')",
    )
