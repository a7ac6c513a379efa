"""What a loop computes from its rows alone is computed for all rows at once.

``x[t] @ w`` inside a scan over ``x`` is one product of all rows before the scan. So are
gradients: ``sum over t of a[t]^T b[t]`` is one product after the loop, over the rows that
it left behind (`Sums`). Both are rewrites of graphs, made while a step is traced, so that
everything later, gradients included, sees the long products.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ranvier.graph.dims import product
from ranvier.graph.ir import Node, Region, Spec, walk
from ranvier.graph.ops import movement
from ranvier.graph.ops.contract import free_axes
from ranvier.graph.trace import PARAM, apply, derived_from, make, substitute

Rule = Callable[[Node, Sequence[Any], Any], Node]


def _shift(axes: Sequence[int]) -> tuple[int, ...]:
    return tuple(i + 1 for i in axes)


def lifted(node: Node, length: Any) -> Node:
    """A value that is the same in all rounds, once for each."""
    shape = (length, *node.shape)
    while node.op.name == "broadcast_to":
        node = node.inputs[0]  # one broadcast has one sum as its gradient
    wide = make(movement.reshape, [node], {"shape": (1, *node.shape)})
    return make(movement.broadcast_to, [wide], {"shape": shape})


def _transpose(node: Node, x: Sequence[Node], length: Any) -> Node:
    return make(node.op, x, {"perm": (0, *_shift(node.attrs["perm"]))})


def _shaped(node: Node, x: Sequence[Node], length: Any) -> Node:
    return make(node.op, x, {"shape": (length, *node.attrs["shape"])})


def _slice(node: Node, x: Sequence[Node], length: Any) -> Node:
    a = node.attrs
    bounds = {"start": (0, *a["start"]), "stop": (length, *a["stop"])}
    return make(node.op, x, {**bounds, "step": (1, *a["step"])})


def _pad(node: Node, x: Sequence[Node], length: Any) -> Node:
    a = node.attrs
    return make(node.op, x, {**a, "low": (0, *a["low"]), "high": (0, *a["high"])})


def _concat(node: Node, x: Sequence[Node], length: Any) -> Node:
    return make(node.op, x, {"axis": node.attrs["axis"] + 1})


def _axes(node: Node, x: Sequence[Node], length: Any) -> Node:
    return make(node.op, x, {**node.attrs, "axes": _shift(node.attrs["axes"])})


def _plain(node: Node, x: Sequence[Node], length: Any) -> Node:
    return make(node.op, x, node.attrs)


def _flat(x: Node) -> Node:
    """All but the last axis as one: a matrix of long products."""
    rows = product(x.shape[:-1])
    return make(movement.reshape, [x], {"shape": (rows, x.shape[-1])})


def _behind(node: Node, x: Sequence[Node], length: Any) -> Node:
    """An elementwise operation behind a long product, on matrices as that is."""
    found = make(node.op, [_flat(v) for v in x], node.attrs)
    return make(movement.reshape, [found], {"shape": (length, *node.shape)})


def _dot(node: Node, x: Sequence[Node], length: Any) -> Node:
    """One operand has rows, the other is the same in all of them."""
    (ca, cb), batch = node.attrs["contract"], node.attrs["batch"]
    a, b = x
    rank = len(node.inputs[0].shape)
    if len(a.shape) > rank:
        if tuple(ca) != (rank - 1,) or len(b.shape) != 2:
            return make(node.op, x, {"contract": (_shift(ca), cb), "batch": batch})
        flat = make(node.op, [_flat(a), b], {"contract": ((1,), cb), "batch": batch})
        return make(movement.reshape, [flat], {"shape": (length, *node.shape)})
    found = make(node.op, x, {"contract": (ca, _shift(cb)), "batch": batch})
    # The rows' axis comes behind the free axes of the first operand.
    n = len(free_axes(len(a.shape), ca, ()))
    rest = [i for i in range(len(found.shape)) if i != n]
    return make(movement.transpose, [found], {"perm": (n, *rest)})


_RULES: dict[str, Rule] = {
    "transpose": _transpose,
    "reshape": _shaped,
    "broadcast_to": _shaped,
    "slice": _slice,
    "pad": _pad,
    "concat": _concat,
    "flip": _axes,
    "sum": _axes,
    "reduce_max": _axes,
    "reduce_min": _axes,
}


def _rule(node: Node) -> Rule | None:
    """How a node is computed for all rows; ``None`` where that is not known."""
    if node.op.family == "elementwise":
        return None if node.op.name == "check_range" else _plain
    if node.op.name == "dot_general":
        return None if node.attrs["batch"][0] else _dot
    return _RULES.get(node.op.name)


def _changing(nodes: Sequence[Node], first: Sequence[Node]) -> set[Node]:
    """Nodes that depend on some of these parameters."""
    found = set(first)
    for node in nodes:
        if any(child in found for child in node.inputs):
            found.add(node)
    return found


def hoisted(
    region: Region, operands: Sequence[Node], n_carry: int, n_xs: int, length: Any
) -> tuple[Region, list[Node], int]:
    """A scan's body without the products of its rows with what never changes.

    Elementwise operations that follow such a product and need nothing else go along.

    Args:
        region: The body.
        operands: What the scan is applied to.
        n_carry: Number of carries.
        n_xs: Number of operands that give rows.
        length: Number of rows.

    Returns:
        The body, its operands, and how many of them give rows.
    """
    params, at = region.params, n_carry + n_xs
    nodes = walk(region.results)
    carried = _changing(nodes, params[:n_carry])
    by_row = _changing(nodes, params[n_carry:at]) - carried
    rules = {n: _rule(n) for n in nodes if n in by_row and n.inputs}
    rows = set(params[n_carry:at])

    able: set[Node] = set(rows)
    for node in nodes:
        if node in rules and rules[node] is not None:
            changing = [c for c in node.inputs if c in by_row]
            if node.op.name == "dot_general" and len(changing) > 1:
                continue
            if all(c in able for c in changing):
                able.add(node)
    taken: set[Node] = set()
    for node in nodes:
        if node not in able or node in rows:
            continue
        changing = [c for c in node.inputs if c in by_row]
        follows = any(c in taken for c in changing) and all(
            c in taken or c in rows for c in changing
        )
        if node.op.name == "dot_general" or (
            node.op.family == "elementwise" and follows
        ):
            taken.add(node)
    if not taken:
        return region, list(operands), n_xs

    outside = dict(zip(params, operands, strict=True))
    memo: dict[Node, Node] = {p: outside[p] for p in params[n_carry:at]}

    def whole(node: Node) -> Node:
        """A node's value for all rows."""
        for inner in walk([node]):
            if inner in memo or inner not in by_row:
                continue
            rule = rules[inner]
            assert rule is not None
            is_dot = inner.op.name == "dot_general"
            given = [
                memo[c]
                if c in by_row
                else (fixed(c) if is_dot else lifted(fixed(c), length))
                for c in inner.inputs
            ]
            if inner in taken and not is_dot and len(inner.shape) > 1:
                rule = _behind
            with derived_from(inner, inner.origins[0].role if inner.origins else ""):
                memo[inner] = rule(inner, given, length)
        return memo[node]

    def fixed(node: Node) -> Node:
        """A value that never changes, outside the loop."""
        return substitute([node], outside)[0]

    read = {c for n in nodes if n not in taken for c in n.inputs}
    ends = [n for n in nodes if n in taken and (n in read or n in region.results)]
    new = {n: Node(PARAM, (), {"index": -1}, n.spec) for n in ends}
    results = substitute(region.results, new)
    before = [whole(n) for n in ends]
    used = set(walk(results))
    kept = [i for i in range(n_carry, len(params)) if params[i] in used]
    old_rows = [i for i in kept if i < at]
    shared = [i for i in kept if i >= at]
    order = [*range(n_carry), *old_rows]
    body = Region(
        (
            *(params[i] for i in order),
            *new.values(),
            *(params[i] for i in shared),
        ),
        tuple(results),
    )
    given = [operands[i] for i in order] + before + [operands[i] for i in shared]
    return body, given, len(old_rows) + len(new)


class Sums:
    """Sums over all rounds that a loop leaves to one operation after it.

    A term ``dot(a, b)`` of a sum over rounds is one product over the rows of ``a`` and
    ``b``; a term ``sum(x)`` one sum over the rows of ``x``. What is only moved after that
    (transposed, reshaped) is moved once.

    Args:
        fixed: Nodes of the loop's body that are the same in all rounds.
    """

    def __init__(self, fixed: Callable[[Node], bool]) -> None:
        self.fixed = fixed
        #: For each term: the operation, the operands whose rows it needs, the moves.
        self.terms: list[list[tuple[Node, tuple[Node, ...], list[Node]]]] = []

    def split(self, total: Node) -> Node | None:
        """Takes terms out of what a round adds.

        Returns:
            What is left to be added in the loop, if anything.
        """
        mine: list[tuple[Node, tuple[Node, ...], list[Node]]] = []
        rest: list[Node] = []
        for term in _terms(total):
            base, moves = _peeled(term)
            if self._waits(base):
                mine.append((base, base.inputs, moves))
            else:
                rest.append(term)
        self.terms.append(mine)
        if not rest:
            return None
        left = rest[0]
        for term in rest[1:]:
            left = make(_add(), [left, term], {})
        return left

    def _waits(self, node: Node) -> bool:
        if node.op.name == "dot_general":
            plain = not node.attrs["batch"][0] and node.attrs["contract"][0]
            return bool(plain) and not any(self.fixed(c) for c in node.inputs)
        return node.op.name == "sum" and not self.fixed(node.inputs[0])

    def operands(self) -> list[Node]:
        """Values of whose rows the sums are made, each once."""
        return list(
            dict.fromkeys(
                operand
                for terms in self.terms
                for _, operands, _ in terms
                for operand in operands
            )
        )

    def after(self, index: int, rows: dict[Node, Any]) -> Any:
        """One of the sums, from the rows of its operands; ``None`` if it is empty."""
        total = None
        for base, operands, moves in self.terms[index]:
            found = _over_rows(base, [rows[o] for o in operands])
            for move in reversed(moves):
                found = _moved(move, found)
            total = found if total is None else total + found
        return total


def _add() -> Any:
    from ranvier.graph.op import REGISTRY

    return REGISTRY["add"]


def _terms(node: Node) -> list[Node]:
    if node.op.name == "add":
        return [t for child in node.inputs for t in _terms(child)]
    return [node]


#: What only moves numbers, which can be done to a sum as well as to its terms.
_MOVES = frozenset(("reshape", "transpose", "pad", "slice"))


def _peeled(node: Node) -> tuple[Node, list[Node]]:
    """What is computed, and the moves that follow, last one first."""
    moves: list[Node] = []
    while node.op.name in _MOVES and not node.attrs.get("value"):
        moves.append(node)
        node = node.inputs[0]
    return node, moves


def _over_rows(base: Node, rows: Sequence[Any]) -> Any:
    from ranvier.graph import functions as f

    if base.op.name == "sum":
        return f.sum(rows[0], axis=(0, *_shift(base.attrs["axes"])))
    ca, cb = base.attrs["contract"]
    return f.dot_general(rows[0], rows[1], ((0, *_shift(ca)), (0, *_shift(cb))))


def _moved(move: Node, x: Any) -> Any:
    return apply(move.op, x, **move.attrs)


#: Families of operations that are computed again rather than kept.
_CHEAP = frozenset(
    ("elementwise", "movement", "reduce", "gather", "leaf", "region", "composite")
)
#: Elementwise functions that are kept: reading a number is quicker.
_LONG = frozenset(
    ("exp", "expm1", "log", "log1p", "sin", "cos", "tanh", "sigmoid", "erf", "pow")
)


def worth_keeping(body: Region, fixed: Callable[[Node], bool]) -> list[Node]:
    """What is better kept for the gradient than computed again, if it is read there.

    Products (where one is only added to something, the sum), and functions that take
    long. A gate ``y = sigmoid(z)`` has a gradient in terms of ``y``: then nobody reads
    ``z``.
    """
    nodes = walk(body.results)
    readers: dict[Node, list[Node]] = {n: [] for n in nodes}
    for node in nodes:
        for child in dict.fromkeys(node.inputs):
            readers[child].append(node)
    found: dict[Node, None] = {}
    for node in nodes:
        cheap = node.op.family in _CHEAP and node.op.name not in _LONG
        if cheap or fixed(node) or not isinstance(node.spec, Spec):
            continue
        while (
            node.op.name not in _LONG
            and len(readers[node]) == 1
            and node not in body.results
            and readers[node][0].op.name == "add"
        ):
            node = readers[node][0]
        found.setdefault(node)
    return list(found)
