"""Rewrites that give the same bits with fewer nodes.

Composites without a kernel are replaced by their bodies, equal nodes become one (which
keeps the origins of all), and operations that do nothing disappear. Where a sum loses
addends that are 0, the others may be added in another order.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from ranvier.graph.dims import product
from ranvier.graph.ir import Graph, Node, Region, Spec, walk
from ranvier.graph.op import REGISTRY, Composite
from ranvier.graph.trace import CONST, INPUT, PARAM, VARIABLE, constant, get, inline

Keep = Collection[str] | Callable[[Node], bool]


def simplify(graph: Graph, keep: Keep = ()) -> Graph:
    """The same graph with fewer nodes.

    Args:
        graph: The graph.
        keep: Composites that the engine has kernels for: their names, or a function
            that decides for a node.
    """
    rewriter = _Rewriter(keep)
    results = rewriter.run(_merge_scans(graph.results()))
    return graph.rebuilt(rewriter.memo, results)


class _Rewriter:
    """Rebuilds nodes bottom-up; equal ones are shared."""

    def __init__(self, keep: Keep) -> None:
        self.keep = keep
        self.memo: dict[Node, Node] = {}
        self.known: dict[Any, Node] = {}

    def run(self, results: Sequence[Node]) -> list[Node]:
        for node in walk(results):
            if node not in self.memo:
                self.memo[node] = self._rewrite(node)
        return [self.memo[node] for node in results]

    def _rewrite(self, node: Node) -> Node:
        if node.op in (INPUT, VARIABLE, PARAM):
            return self._shared(node)
        if node.op.name == "get" and isinstance(node.inputs[0].op, Composite):
            source = node.inputs[0]
            if not self._kept(source):
                return self._body(source)[node.attrs["index"]]
        if isinstance(node.op, Composite) and not self._kept(node):
            # A node of several results is only read through ``get``, see above.
            return node if isinstance(node.spec, tuple) else self._body(node)[0]
        inputs = tuple(self.memo[c] for c in node.inputs)
        attrs = node.attrs
        if any(isinstance(v, Region) for v in attrs.values()) and not isinstance(
            node.op, Composite
        ):
            attrs = {
                k: self._region(v) if isinstance(v, Region) else v
                for k, v in attrs.items()
            }
        if inputs != node.inputs or attrs is not node.attrs:
            node = Node(node.op, inputs, attrs, node.spec, node.origins)
        rule = _RULES.get(node.op.name)
        simpler = rule(node) if rule is not None else None
        if node.op.name == "where" and simpler is None:
            simpler = self._masked_spread(node)
        return self._shared(node if simpler is None else simpler)

    def _masked_spread(self, node: Node) -> Node | None:
        """What windows of relu pass back, 0 where relu gave 0: known by the windows.

        A gradient only comes to the largest of a window, so the mask of all positions
        is a mask of the windows. The same bits, and the positions need not be kept.
        """
        test, spread, rest = node.inputs
        if test.op.name != "gt" or spread.op.name != "window_spread":
            return None
        (y, bound), (g, taps) = test.inputs, spread.inputs
        if taps.op.name != "window_argmax" or taps.inputs[0] is not y:
            return None
        if not (_scalar(bound, 0) and _scalar(rest, 0)):
            return None

        def made(name: str, inputs: Sequence[Node], dtype: str, attrs: Any) -> Node:
            spec = Spec(g.shape, dtype)
            return self._shared(Node(REGISTRY[name], inputs, attrs, spec, node.origins))

        largest = made("window_pick", (y, taps), y.dtype, taps.attrs)
        zero = {"shape": g.shape, "value": 0.0, "dtype": g.dtype}
        none = made("full", (), g.dtype, zero)
        above = made("gt", (largest, none), "bool", {})
        kept = made("where", (above, g, none), g.dtype, {})
        return Node(spread.op, (kept, taps), spread.attrs, node.spec, node.origins)

    def _kept(self, node: Node) -> bool:
        keep = self.keep
        return keep(node) if callable(keep) else node.op.name in keep

    def _body(self, node: Node) -> list[Node]:
        return self.run(inline(node))

    def _region(self, region: Region) -> Region:
        inner = _Rewriter(self.keep)
        for param in region.params:
            inner.memo[param] = param
        return Region(region.params, tuple(inner.run(_merge_scans(region.results))))

    def _shared(self, node: Node) -> Node:
        key = _key(node)
        if key is None:
            return node
        first = self.known.setdefault(key, node)
        if first is not node and node.origins != first.origins:
            first.origins = tuple(dict.fromkeys(first.origins + node.origins))
        return first


def _key(node: Node) -> Any:
    """Nodes with equal keys compute the same; ``None`` when nothing may be shared."""
    if node.op is PARAM:
        return None
    parts: list[Any] = [node.op, *node.inputs]
    for name, value in sorted(node.attrs.items()):
        if isinstance(value, np.ndarray):
            same = (value.tobytes(), value.shape) if value.size <= 16 else id(value)
            parts.append((name, str(value.dtype), same))
        elif isinstance(value, Region):
            parts.append((name, id(value)))
        else:
            # True, 1 and 1.0 are equal keys but not equal attributes.
            parts.append((name, type(value), value))
    return tuple(parts)


def _scalar(node: Node, value: float) -> bool:
    """Whether a node is this number everywhere."""
    while node.op.name in ("broadcast_to", "reshape"):
        node = node.inputs[0]
    if node.op is CONST:
        array = node.attrs["value"]
        return array.size == 1 and array.reshape(())[()] == value
    return node.op.name == "full" and node.attrs["value"] == value


def _mul(node: Node) -> Node | None:
    a, b = node.inputs
    if _scalar(b, 1):
        return a
    return b if _scalar(a, 1) else None


def _div(node: Node) -> Node | None:
    return node.inputs[0] if _scalar(node.inputs[1], 1) else None


def _reshape(node: Node) -> Node | None:
    (x,) = node.inputs
    if x.op.name == "reshape":
        x = x.inputs[0]
        node = Node(node.op, (x,), node.attrs, node.spec, node.origins)
        return x if x.spec == node.spec else node
    return x if x.spec == node.spec else None


def _transpose(node: Node) -> Node | None:
    (x,) = node.inputs
    perm = node.attrs["perm"]
    if x.op.name != "transpose":
        return None
    first = x.attrs["perm"]
    both = tuple(first[i] for i in perm)
    if both == tuple(range(len(both))):
        return x.inputs[0]
    return Node(node.op, x.inputs, {"perm": both}, node.spec, node.origins)


def _same_spec(node: Node) -> Node | None:
    return node.inputs[0] if node.inputs[0].spec == node.spec else None


def _dim(node: Node) -> Node | None:
    size = node.attrs["size"]
    if not isinstance(size, int):
        return None
    return constant(np.asarray(size, node.attrs["dtype"]))


def _where(node: Node) -> Node | None:
    _, a, b = node.inputs
    return a if a is b else None


def _flip(node: Node) -> Node | None:
    """There and back."""
    (x,) = node.inputs
    return x.inputs[0] if x.op.name == "flip" and x.attrs == node.attrs else None


def _add(node: Node) -> Node | None:
    """A sum of pieces with zeros around them, as the gradient of a split is."""
    pieces: list[Node] = []
    stack = [node]
    while stack:
        x = stack.pop()
        if x.op.name == "add":
            stack.extend(reversed(x.inputs))
        elif x.op.name == "pad" and x.attrs["value"] == 0:
            pieces.append(x)
        else:
            return None
    sides = [(p.attrs["low"], p.attrs["high"]) for p in pieces]
    padded = {
        i for pair in sides for side in pair for i, n in enumerate(side) if n != 0
    }
    if len(padded) != 1:
        return None
    (axis,) = padded
    if not all(isinstance(low[axis], int) for low, _ in sides):
        return None
    pieces.sort(key=lambda p: p.attrs["low"][axis])
    at: Any = 0
    for p in pieces:
        if p.attrs["low"][axis] != at:
            return None
        at = at + p.inputs[0].shape[axis]
    if at != node.shape[axis]:
        return None
    inner = [p.inputs[0] for p in pieces]
    attrs = {"axis": axis}
    return Node(REGISTRY["concat"], inner, attrs, node.spec, node.origins)


def _sum(node: Node) -> Node | None:
    """A sum over axes of size 1 only changes the shape; one of windows is short."""
    (x,) = node.inputs
    axes = node.attrs["axes"]
    if x.op.name == "window_spread" and set(axes) >= set(range(1, len(x.shape) - 1)):
        # What windows put anywhere among the positions adds up to what they had.
        return Node(node.op, x.inputs[:1], node.attrs, node.spec, node.origins)
    if product(x.shape[i] for i in axes) != 1:
        return None
    attrs = {"shape": node.shape}
    return Node(REGISTRY["reshape"], (x,), attrs, node.spec, node.origins)


_RULES: dict[str, Callable[[Node], Node | None]] = {
    "mul": _mul,
    "div": _div,
    "reshape": _reshape,
    "transpose": _transpose,
    "broadcast_to": _same_spec,
    "stop_gradient": _same_spec,
    "cast": _same_spec,
    "dim": _dim,
    "where": _where,
    "flip": _flip,
    "add": _add,
    "sum": _sum,
}


def _merge_scans(results: Sequence[Node]) -> list[Node]:
    """A scan whose results are the first results of another scan becomes that one.

    The gradient of a scan runs it again with the carries as further results; this pass
    leaves only that one.
    """
    order = walk(results)
    longest: dict[Any, Node] = {}

    def key(node: Node) -> Any:
        attrs = node.attrs
        return (
            node.inputs,
            attrs["n_carry"],
            attrs["n_xs"],
            attrs["length"],
            attrs["reverse"],
            attrs["body"].params,
        )

    for node in order:
        if node.op.name == "scan":
            best = longest.get(key(node))
            if best is None or len(node.spec) > len(best.spec):
                longest[key(node)] = node
    replaced: dict[Node, Node] = {}
    for node in order:
        if node.op.name == "get" and node.inputs[0].op.name == "scan":
            source = node.inputs[0]
            best = longest[key(source)]
            own, long = source.attrs["body"].results, best.attrs["body"].results
            if best is not source and long[: len(own)] == own:
                replaced[node] = get(best, node.attrs["index"])
    if not replaced:
        return list(results)
    from ranvier.graph.trace import substitute

    return substitute(results, replaced)
