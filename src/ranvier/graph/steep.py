"""Gradients that may be infinite or NaN although the loss is finite.

The square root of 0 is 0, and its slope is infinite: the loss looks well and the step
writes NaN. Looking at every gradient would cost a pass over all weights. So operations
that divide by what may be 0 are searched for in the graph; most networks have none, and
nothing is looked at. Where there are some, the sums from which weights take their gradients
are looked at: rows of a batch times units, not weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from ranvier.graph.ir import Node, walk
from ranvier.graph.op import Composite
from ranvier.graph.variable import Variable

Bounds = tuple[float, float]
#: What a number is divided by safely: quotients stay far from overflow.
TINY = 1e-30
ANY: Bounds = (-math.inf, math.inf)
#: How far down bounds are looked for.
DEPTH = 24
#: Results that are not finite if, and only if, an operand is (overflow apart): the
#: operands are looked at instead, which are smaller.
_THROUGH = frozenset(
    ("dot_general", "sum", "add", "sub", "neg", "reshape", "transpose", "scatter_add")
)
_SAME = frozenset(
    ("reshape", "transpose", "broadcast_to", "slice", "cast", "stop_gradient", "flip")
)
_FIXED: Mapping[str, Bounds] = {
    "exp": (0.0, math.inf), "relu": (0.0, math.inf), "abs": (0.0, math.inf),
    "softmax": (0.0, 1.0), "sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0),
    "sin": (-1.0, 1.0), "cos": (-1.0, 1.0), "erf": (-1.0, 1.0),
    "cosh": (1.0, math.inf), "dim": (1.0, math.inf),
    "log_softmax": (-math.inf, 0.0),
}  # fmt: skip


def steep_gradients(updates: Mapping[Variable, Node]) -> dict[str, Node]:
    """What has to be finite for the gradients of variables to be finite.

    Args:
        updates: New values of variables.

    Returns:
        Nodes by the path of a variable whose gradient they make; none where every
        gradient is finite whenever all before it is, unless numbers overflow.
    """
    trained = {v: n for v, n in updates.items() if v.trainable}
    tainted: set[Node] = set()
    for node in walk(list(trained.values())):
        if any(c in tainted for c in node.inputs) or _steep(node):
            tainted.add(node)
    if not tainted:
        return {}
    found: dict[str, Node] = {}
    seen: set[Node] = set()
    for variable, new in trained.items():
        for node in _looked_at(new, tainted, seen):
            name = variable.path
            while name in found:
                name += "'"
            found[name] = node
    return found


def _looked_at(new: Node, tainted: set[Node], seen: set[Node]) -> Iterable[Node]:
    """Tainted gradients below a new value, as far down as they can be looked at."""
    stack = [new]
    while stack:
        node = stack.pop()
        if node in seen or node not in tainted:
            continue
        seen.add(node)
        if not _is_gradient(node):
            stack.extend(node.inputs)
        elif node.op.name in _THROUGH and any(c in tainted for c in node.inputs):
            # A factor from the forward pass has been through the loss.
            stack.extend(c for c in node.inputs if _is_gradient(c))
            if not any(c in tainted and _is_gradient(c) for c in node.inputs):
                yield node
        elif not isinstance(node.spec, tuple) and node.spec.floating:
            yield node


def _is_gradient(node: Node) -> bool:
    return any(origin.role == "gradient" for origin in node.origins)


def _steep(node: Node) -> bool:
    """Whether finite operands of ordinary size may give what is not finite."""
    if any(origin.role in ("update", "metric") for origin in node.origins):
        return False
    return _may_explode(node)


def _may_explode(node: Node) -> bool:
    name = node.op.name
    if isinstance(node.op, Composite):
        if name in _FIXED or name.startswith(("sparse_softmax", "softmax", "sigmoid")):
            return False
        return any(_may_explode(n) for n in walk(node.attrs["body"].results))
    if node.op.family == "region":
        regions = [a for a in node.attrs.values() if hasattr(a, "results")]
        return any(_may_explode(n) for r in regions for n in walk(r.results))
    if isinstance(node.spec, tuple) or not node.spec.floating:
        return False
    if name == "div":
        return not _away_from_zero(node.inputs[1])
    if name in ("log", "rsqrt"):
        return bounds(node.inputs[0])[0] < TINY
    if name in ("log1p", "atanh"):
        return bounds(node.inputs[0])[0] <= -1
    if name == "pow":
        return bounds(node.inputs[1])[0] < 0 and not _away_from_zero(node.inputs[0])
    return name in ("tan", "acosh")


def _away_from_zero(node: Node) -> bool:
    low, high = bounds(node)
    if low >= TINY or high <= -TINY:
        return True
    if node.op.name in _SAME:
        return _away_from_zero(node.inputs[0])
    if node.op.name == "sqrt":
        return _away_from_zero(node.inputs[0])
    if node.op.name == "where":
        # where(x == 0, 1, x) and where(x > 0, x, 1): what is chosen is not 0.
        test, one, other = node.inputs
        if test.op.name == "eq" and bounds(test.inputs[1]) == (0.0, 0.0):
            return test.inputs[0] is other and _away_from_zero(one)
        if test.op.name == "gt" and bounds(test.inputs[1])[0] >= 0.0:
            return test.inputs[0] is one and _away_from_zero(other)
        return _away_from_zero(one) and _away_from_zero(other)
    return False


def bounds(
    node: Node, depth: int = DEPTH, known: dict[Node, Bounds] | None = None
) -> Bounds:
    """Numbers between which all elements lie, as far as the graph tells.

    Args:
        node: A value.
        depth: How far down to look.
        known: Bounds that were found before; each node is asked once.
    """
    known = {} if known is None else known
    if node not in known:
        known[node] = _bounds(node, depth, known)
    return known[node]


def _bounds(node: Node, depth: int, known: dict[Node, Bounds]) -> Bounds:
    name = node.op.name
    if name in _FIXED:
        return _FIXED[name]
    if not isinstance(node.spec, tuple) and node.spec.dtype == "bool":
        return 0.0, 1.0
    if name == "const":
        value = node.attrs["value"]
        return (float(value.min()), float(value.max())) if value.size else ANY
    if name == "full":
        return (float(node.attrs["value"]),) * 2
    if not node.inputs or depth == 0 or isinstance(node.spec, tuple):
        return ANY
    if name == "get" and node.inputs[0].op.name == "channel_moments":
        return (0.0, math.inf) if node.attrs["index"] == 1 else ANY
    if name == "mul" and node.inputs[0] is node.inputs[1]:
        low, high = bounds(node.inputs[0], depth - 1, known)
        least = 0.0 if low <= 0.0 <= high else min(low * low, high * high)
        return least, max(low * low, high * high)
    of = [bounds(c, depth - 1, known) for c in node.inputs]
    (low, high), last = of[0], of[-1]
    if name in _SAME:
        return low, high
    if node.op.family == "reduce":
        if name in ("reduce_max", "reduce_min"):
            return low, high
        if name != "sum" or low < 0:
            return ANY
        return max(low, _least_sum(node)), math.inf
    if name == "add":
        return low + last[0], high + last[1]
    if name == "sub":
        return low - last[1], high - last[0]
    if name == "neg":
        return -high, -low
    if name == "max":
        return max(low, last[0]), max(high, last[1])
    if name == "min":
        return min(low, last[0]), min(high, last[1])
    if name == "where":
        return min(of[1][0], of[2][0]), max(of[1][1], of[2][1])
    if name == "sqrt" and low >= 0:
        return math.sqrt(low), math.sqrt(high)
    if name == "mul" and low >= 0 and last[0] >= 0:
        return low * last[0], math.inf
    if name == "div" and low >= 0 and last[0] > 0:
        return low / last[1], math.inf
    return ANY


def _source(node: Node) -> Node:
    """Where numbers come from that were only moved, or replaced if not finite."""
    while True:
        if node.op.name in _SAME:
            (node,) = node.inputs
        elif node.op.name == "where" and node.inputs[0].op.name == "isfinite":
            node = node.inputs[1]
        else:
            return node


def _least_sum(node: Node) -> float:
    """What a sum of numbers >= 0 cannot be less than, by what is summed."""
    (of,) = node.inputs
    axes, rank = node.attrs["axes"], len(of.spec.shape)
    if of.op.name == "softmax":
        return 0.5 if rank - 1 in axes else 0.0
    if of.op.name == "cast":
        (of,) = of.inputs
    # Which are the largest: one at least. And exp(x - max(x)): the largest gives 1.
    if of.op.name == "exp":
        (of,) = of.inputs
    elif of.op.name != "eq":
        return 0.0
    if of.op.name not in ("eq", "sub"):
        return 0.0
    for one, other in (of.inputs, of.inputs[::-1]):
        one = _source(one)
        largest = one.op.name == "reduce_max" or (
            one.op.name == "reduce_min" and of.op.name == "eq"
        )
        if largest and one.inputs[0] is other and set(one.attrs["axes"]) <= set(axes):
            return 1.0 if of.op.name == "eq" or other is of.inputs[0] else 0.0
    return 0.0
