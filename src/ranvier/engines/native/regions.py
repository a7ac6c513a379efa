"""Loops and branches: the steps of a region, run again or not at all.

What a loop carries is state, as variables are state of a plan: it lies in one place, is
read at the beginning of a round and overwritten once everything that reads the old value
has run. Where every value of it is wanted, or it is small, it leaves a *trail* instead:
a round reads one row and writes the next, and nothing is copied. Rows of operands and
results are windows that move on from round to round (`values.Moving`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ranvier.engines.native.draft import Draft, access
from ranvier.engines.native.groups import collect
from ranvier.engines.native.hosting import emit_program
from ranvier.engines.native.lanes import lanes_of
from ranvier.engines.native.lowering import Lowering
from ranvier.engines.native.nodes import elementwise
from ranvier.engines.native.operands import turns
from ranvier.engines.native.overwrites import in_place
from ranvier.engines.native.programs import Group, place
from ranvier.engines.native.table import row
from ranvier.engines.native.values import Moving, View, itemsize
from ranvier.graph.ir import Graph, Node, Region, Spec, walk
from ranvier.graph.op import REGISTRY

#: Bytes up to which what a loop carries may leave a trail that nobody asked for.
TRAIL = 1 << 18
#: Operations that may report bad data: run only where the graph runs them.
_CHECKS = frozenset(
    (
        *("take", "take_along_axis", "scatter_add", "add_along_axis", "check_range"),
        *("scan", "while", "cond"),
    )
)


@dataclass(frozen=True, eq=False)
class Carry:
    """What a loop carries in one place: to its body what a variable is to a step.

    Attributes:
        param: The body's name for the value that a round begins with.
        view: Where it lies.
    """

    param: Node
    view: View

    @property
    def path(self) -> str:
        """For the text form of a graph."""
        return "carry"


class Body(Lowering):
    """The lowering of a region.

    Args:
        outer: The lowering of what surrounds it.
        results: Nodes that are wanted.
        known: Where values lie that are known already: parameters, and what does not
            change from round to round.
        carries: What is carried in place, with its new value.
    """

    def __init__(
        self,
        outer: Lowering,
        results: Sequence[Node],
        known: Mapping[Node, Any],
        carries: Mapping[Carry, Node] | None = None,
    ) -> None:
        outputs = {str(i): node for i, node in enumerate(results)}
        state: dict[Any, Node] = dict(carries or {})
        self.carried: dict[Node, Any] = {carry.param: carry for carry in state}
        self.joined = False  # whether a group is complete
        self.lifting = False  # whether steps go in front of the loop
        graph = Graph({}, outputs, state)
        super().__init__(graph, outer.sizes, frozenset(), outer.workers, {})
        self.constants = outer.constants
        self.memo.update(known)
        for carry in state:
            self.memo[carry.param] = carry.view
            self.readers[carry] = carry.param

    def _variable(self, variable: Any, panel: bool) -> View:
        return variable.view

    def group(self, roots: Sequence[Node]) -> None:
        """Compute elementwise nodes; results that need nothing more go along."""
        roots = [r for r in roots if r not in self.memo]
        if self.joined or self.busy or not roots:
            super().group(roots)
            return
        self.joined = True  # parts of this group stay as they are
        try:
            super().group([*roots, *self._along(roots)])
        finally:
            self.joined = False

    def _lower(self, node: Node) -> None:
        before, self.joined = self.joined, self.lifting
        super()._lower(node)
        self.joined = before

    def _along(self, roots: Sequence[Node]) -> list[Node]:
        """Results that share work with a group and need nothing else."""
        nodes, leaves = collect(self, roots)
        shape, own, near = self.shape(roots[0]), set(nodes), set(leaves)
        found = []
        for state in dict.fromkeys((*self.targets, *self.graph.outputs.values())):
            if state in self.memo or state in roots or not elementwise(state):
                continue
            if self.shape(state) == shape:
                more, needs = collect(self, [state])
                if own & set(more) and all(n in near or n in self.memo for n in needs):
                    found.append(state)
        return found

    def room(self, node: Node) -> View:
        """Where a result goes: over what was carried, once all have read that."""
        if node in self.targets and not elementwise(node):
            carry = in_place(self, node, set())
            if carry is not None:
                self.written.add(carry)
                return self.variables[carry]
        return super().room(node)

    def owner(self, node: Node) -> Any:
        """The carry whose old value a node is."""
        return self.carried.get(node)

    def constant_part(
        self, into: list[Draft], changing: Collection[Node], surely: bool = True
    ) -> dict[Node, Any]:
        """Compute once, in ``into``, what no changing parameter goes into.

        Args:
            into: Where the steps go.
            changing: Parameters that differ from round to round.
            surely: Whether there is at least one round; what may report bad data stays
                in the loop otherwise.

        Returns:
            Where the values lie.
        """
        self._fold_numbers()
        fixed: dict[Node, bool] = {}
        for node in self.order:
            fixed[node] = (
                node not in changing
                and (surely or node.op.name not in _CHECKS)
                and all(fixed[child] for child in node.inputs)
            )
        wanted = {node: None for node in self.external if fixed[node]}
        for node in self.order:
            if not fixed[node]:
                wanted |= {child: None for child in node.inputs if fixed[child]}
        # What a loop carries is written in it, not here.
        own, self.steps = self.steps, into
        targets, self.targets = self.targets, {}
        self.joined = self.lifting = True  # nobody's reader is computed with it here
        for node in self.order:
            if node in wanted:
                self.value(node)
        self.steps, self.targets = own, targets
        self.joined = self.lifting = False
        return {n: self.memo[n] for n in self.order if fixed[n] and n in self.memo}

    def turn_fixed(self, outer: Lowering, changing: Collection[Node]) -> None:
        """Lay matrices that never change as their products read them fastest.

        ``a @ b^T`` is a slower kernel than ``a @ b``, for it turns ``b`` in every round.
        """
        moving = set(changing)
        fixed = [n for n in self.order if n in self.memo and n not in moving]
        for node in fixed:
            view, readers = self.memo[node], self.consumers[node]
            plain = isinstance(view, View) and len(view.shape) == 2 and readers
            if not plain or view.buffer is None or node in self.external:
                continue
            if all(turns(self, reader, node) for reader in readers):
                to = outer.new(view.shape[::-1], view.dtype)
                to = replace(to, shape=view.shape, strides=(1, view.shape[0]))
                outer.copy(view, to)
                self.memo[node] = to

    def run_into(self, rooms: Sequence[View]) -> list[Draft]:
        """Steps that leave the results in ``rooms`` and the new state in its place."""
        self._fold_numbers()
        for node in self.order:
            if node.op.name == "check_range":
                self.value(node)
        late = self._save_old_values()
        results = list(zip(self.graph.outputs.values(), rooms, strict=True))
        for node, room in results:
            if node not in self.memo and node not in self.targets:
                self.places.setdefault(node, room)
        for node, room in results:
            view = self.value(node)
            if view.buffer is not room.buffer:
                self.copy(view, room)
        self._new_state(late)
        return self.steps


def regions_of(node: Node) -> list[Region]:
    """The regions of a loop or branch."""
    return [value for value in node.attrs.values() if isinstance(value, Region)]


def shared_of(node: Node) -> list[tuple[Region, dict[Node, Node]]]:
    """For each region the parameters that stand for a value around it, unchanged."""
    attrs, given = node.attrs, node.inputs
    if node.op.name == "cond":
        parts = [(region, 0, given[1:]) for region in regions_of(node)]
    elif node.op.name == "scan":
        fixed = attrs["n_carry"] + attrs["n_xs"]
        parts = [(attrs["body"], fixed, given[fixed:])]
    else:
        n, end = attrs["n_carry"], attrs["n_carry"] + attrs["n_test"]
        parts = [(attrs["test"], n, given[n:end]), (attrs["body"], n, given[end:])]
    return [
        (region, dict(zip(region.params[at:], some, strict=True)))
        for region, at, some in parts
    ]


def _rows(view: View, first: int, count: int, back: bool, loop: Draft) -> View:
    """Of ``count`` rows from ``first`` on the one that a round sees.

    Args:
        view: The whole; no stride is negative.
        first: First row of those.
        count: Number of rounds.
        back: The last row comes first.
        loop: The loop.
    """
    shape, strides = view.shape[1:], view.strides[1:]
    size = itemsize(view.dtype)
    step = view.strides[0] * size
    start = view.offset * size + (first + (count - 1 if back else 0)) * step
    nbytes = replace(view, shape=shape, strides=strides, offset=0).extent()[1]
    assert view.buffer is not None
    buffer = Moving(view.buffer, start, nbytes, -step if back else step, count, loop)
    return View(buffer, shape, strides, view.dtype)


def _read(low: Lowering, node: Node) -> set[int]:
    """Which results somebody reads."""
    return {reader.attrs["index"] for reader in low.consumers[node]}


def _room(low: Lowering, node: Node, index: int) -> View:
    """Room for a result: where somebody wants it, else fresh.

    Not in an array of the caller's: rounds may read what others wrote, and kernels read
    behind the end of an operand.
    """
    for reader in low.consumers[node]:
        place = low.places.get(reader)
        if reader.attrs["index"] != index or place is None or place.buffer is None:
            continue
        if place.dense and place.buffer.space == "arena":
            return place
    spec = node.spec[index]
    return low.new(low.bound(spec.shape), spec.dtype)


def _alive(body: Region, read: set[int], n_carry: int) -> tuple[set[int], set[Node]]:
    """Results that are read, or go into such a one in a later round; nodes they need."""
    while True:
        nodes = set(walk([body.results[i] for i in sorted(read)]))
        more = {i for i in range(n_carry) if body.params[i] in nodes} - read
        if not more:
            return read, nodes
        read = read | more


@row("scan")
def _scan(low: Lowering, node: Node) -> tuple[View | None, ...]:
    attrs = low.attrs(node)
    body: Region = attrs["body"]
    n, n_xs, length = attrs["n_carry"], attrs["n_xs"], attrs["length"]
    back: bool = attrs["reverse"]
    shapes = [low.bound(spec.shape) for spec in node.spec]
    if length == 0:
        ends = [low.dense(low.value(x), fresh=True) for x in node.inputs[:n]]
        return (*ends, *map(low.new, shapes[n:], [s.dtype for s in node.spec[n:]]))
    alive, nodes = _alive(body, _read(low, node), n)
    loop = _loop(node, length)
    known: dict[Node, View] = {}
    for i, param in list(enumerate(body.params))[n:]:
        if param not in nodes:
            continue
        x = low.value(node.inputs[i])
        if i >= n + n_xs:
            known[param] = x
        elif x.buffer is None:
            known[param] = replace(x, shape=x.shape[1:], strides=x.strides[1:])
        else:
            whole = low.dense(x) if x.panel or min(x.strides) < 0 else x
            known[param] = _rows(whole, 0, length, back, loop)
    stacked = [body.results[j] for j in range(n, len(shapes)) if j in alive]
    wanted: list[tuple[Node, View]] = []  # results and the room of each
    carries: dict[Carry, Node] = {}
    found: list[View | None] = [None] * len(shapes)
    trails: dict[Node, tuple[View, int]] = {}  # rows of it from the first on
    for i in sorted(alive & set(range(n))):
        param, result = body.params[i], body.results[i]
        shape, dtype = shapes[i], param.dtype
        start = low.value(node.inputs[i])
        small = (length + 1) * math.prod(shape) * itemsize(dtype) <= TRAIL
        if small or param in stacked or result in stacked:
            trail = low.new((length + 1, *shape), dtype)
            # Row t is read and row t + 1 written; backwards the other way round.
            before, after = (1, 0) if back else (0, 1)
            known[param] = _rows(trail, before, length, back, loop)
            wanted.append((result, _rows(trail, after, length, back, loop)))
            trails.setdefault(param, (trail, before))
            trails.setdefault(result, (trail, after))
            low.copy(start, _row(trail, length if back else 0))
            found[i] = _row(trail, 0 if back else length)
        else:
            found[i] = room = _room(low, node, i)
            low.copy(start, room)
            carries[Carry(param, room)] = result
    for j in sorted(alive - set(range(n))):
        result = body.results[j]
        if result in trails:
            trail, first = trails[result]
            offset = trail.offset + first * trail.strides[0]
            found[j] = replace(trail, shape=(length, *shapes[j][1:]), offset=offset)
        else:
            found[j] = room = _room(low, node, j)
            wanted.append((result, _rows(room, 0, length, back, loop)))
    inner = Body(low, [result for result, _ in wanted], known, carries)
    inner.lanes = lanes_of([shapes[i] for i in range(n) if i in alive], low.workers)
    inner.constant_part(low.steps, body.params[: n + n_xs])
    if length >= 4:
        inner.turn_fixed(low, body.params[: n + n_xs])
    _append(low, loop, inner.run_into([room for _, room in wanted]))
    return tuple(found)


def _row(view: View, index: int) -> View:
    """One row of a dense view."""
    offset = view.offset + index * view.strides[0]
    return replace(view, shape=view.shape[1:], strides=view.strides[1:], offset=offset)


def _append(low: Lowering, loop: Draft, steps: Sequence[Draft]) -> None:
    """A loop or branch with its steps; nothing where nothing is to be done."""
    if not steps:
        return
    loop.body = len(steps)
    low.steps.append(loop)
    low.steps.extend(steps)


def _loop(node: Node, rounds: int, flag: View | None = None) -> Draft:
    loop = Draft("loop", rounds=rounds, label=node.layer, cost=10.0)
    if flag is not None:
        loop.refs.append(place(flag))
        loop.reads.append(access(flag))
    return loop


def _truth(low: Lowering, view: View, to: View) -> None:
    """One number of any dtype as a truth value in memory."""
    scalar = view.reshaped(())
    assert scalar is not None
    source = Node(REGISTRY["param"], (), {"index": 0}, Spec((), view.dtype))
    test = Node(REGISTRY["cast"], (source,), {"dtype": "bool"}, Spec((), "bool"))
    emit_program(low, Group((), [test], {test: to}, {source: scalar}))


@row("while")
def _while(low: Lowering, node: Node) -> tuple[View, ...]:
    test: Region = node.attrs["test"]
    body: Region = node.attrs["body"]
    n, n_test = node.attrs["n_carry"], node.attrs["n_test"]
    given = [low.value(child) for child in node.inputs]
    rooms = []
    for i, view in enumerate(given[:n]):
        rooms.append(_room(low, node, i))
        low.copy(view, rooms[-1])
    flag = low.new((), "bool")
    look: dict[Node, Any] = dict(
        zip(test.params, (*rooms, *given[n : n + n_test]), strict=True)
    )
    shared = zip(body.params[n:], given[n + n_test :], strict=True)
    carries = {
        Carry(param, room): result
        for param, room, result in zip(body.params, rooms, body.results, strict=False)
    }
    inner = Body(low, (), dict(shared), carries)
    inner.constant_part(low.steps, body.params[:n], surely=False)
    fixed = Body(low, test.results, look)
    look |= fixed.constant_part(low.steps, test.params[:n])

    def looks() -> list[Draft]:
        """Is there another round?"""
        ask = Body(low, test.results, look)
        (result,) = test.results
        if result.spec == Spec((), "bool"):
            return ask.run_into([flag])
        _truth(ask, ask.value(result), flag)
        return ask.steps

    low.steps.extend(looks())
    _append(low, _loop(node, -1, flag), [*inner.run_into(()), *looks()])
    return tuple(rooms)


@row("cond")
def _cond(low: Lowering, node: Node) -> tuple[View | None, ...]:
    read = sorted(_read(low, node))
    found: list[View | None] = [None] * len(node.spec)
    rooms = []
    for i in read:
        found[i] = room = _room(low, node, i)
        rooms.append(room)
    branches = [(node.attrs["yes"], False), (node.attrs["no"], True)]
    results = {id(region): [region.results[i] for i in read] for region, _ in branches}
    needed = {id(region): set(walk(results[id(region)])) for region, _ in branches}
    flag = low.value(node.inputs[0])
    if flag.buffer is None:  # known while the plan is made
        branches = [b for b in branches if bool(flag.number) != b[1]]
    elif flag.dtype != "bool":
        truth = low.new((), "bool")
        _truth(low, flag, truth)
        flag = truth
    known = [
        {
            param: low.value(given)
            for param, given in zip(region.params, node.inputs[1:], strict=True)
            if param in needed[id(region)]
        }
        for region, _ in branches
    ]
    for (region, until), values in zip(branches, known, strict=True):
        steps = Body(low, results[id(region)], values).run_into(rooms)
        if flag.buffer is None:
            low.steps.extend(steps)
            continue
        branch = _loop(node, 1, flag)
        branch.until = until
        _append(low, branch, steps)
    return tuple(found)
