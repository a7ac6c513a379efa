"""From a simplified graph with known sizes to the steps of a plan.

Every value becomes a view of a buffer. Shape operations only change the view.
Elementwise operations wait until something needs them and are then computed together,
if possible on the tile that a matrix product has just finished.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ranvier.engines.native import programs, updates
from ranvier.engines.native.draft import Access, Draft, access
from ranvier.engines.native.gaps import no_kernel
from ranvier.engines.native.guards import (
    check,
    hoist,
    place_guards,
    with_checks,
)
from ranvier.engines.native.lanes import Lanes
from ranvier.engines.native.layout import feature_major, in_panels
from ranvier.engines.native.nodes import ALIASES, elementwise, one_number, shape_of
from ranvier.engines.native.programs import Group, place
from ranvier.engines.native.values import (
    PANEL,
    Buffer,
    View,
    itemsize,
    number,
    panel_elements,
    row_major,
)
from ranvier.graph.dims import bind
from ranvier.graph.ir import Graph, Node
from ranvier.graph.variable import Variable

if TYPE_CHECKING:
    from ranvier.engines.native.bundles import Bundle

Array = np.ndarray[Any, Any]
Row = Callable[["Lowering", Node], View | tuple[View | None, ...]]

MAX_BUFFERS = 16
MAX_REGISTERS = 110
MAX_OPERANDS = 44
#: One row for each operation: how it becomes steps. Filled by the decorator `row`.
ROWS: dict[str, Row] = {}


def row(*names: str) -> Callable[[Row], Row]:
    """Register the lowering of operations."""

    def register(fn: Row) -> Row:
        for name in names:
            ROWS[name] = fn
        return fn

    return register


@dataclass(frozen=True)
class Source:
    """How the rows of an input's array lie in memory.

    Attributes:
        dtype: Of the array.
        row_bytes: From one row to the next.
        row_shape: Of a row.
        row_strides: In bytes.
    """

    dtype: str
    row_bytes: int
    row_shape: tuple[int, ...]
    row_strides: tuple[int, ...]

    @staticmethod
    def of(array: Array) -> Source:
        """The layout of an array; a scalar is one row."""
        if array.ndim == 0:
            return Source(str(array.dtype), array.itemsize, (), ())
        return Source(
            str(array.dtype), array.strides[0], array.shape[1:], array.strides[1:]
        )


@dataclass
class Lowered:
    """The steps of a graph for one binding of its sizes.

    Attributes:
        steps: In order.
        slots: Buffers bound per call: inputs (by name), then variables.
        constants: Contents of constant buffers.
        outputs: Where each output lies when the plan has run.
    """

    steps: list[Draft]
    slots: list[Buffer]
    constants: dict[Buffer, Array]
    outputs: dict[str, View]


class Lowering:
    """The state of one lowering.

    Args:
        graph: A simplified graph.
        sizes: The integer of each symbolic size.
        panels: Variables that lie in column panels.
        workers: For how many workers to share the work; never changes a result.
        sources: The layout of each input's array.
        checked: Inputs and checks in which values that are not finite are faults.
        bundles: Updates to run as one; their variables lie in pools.
        called: Outputs are slots of their own; otherwise they stay in the arena.
        checks_first: Compute checks before all else, and keep new state aside until
            they are known: where they depend on new state themselves.
    """

    def __init__(
        self,
        graph: Graph,
        sizes: Mapping[str, int],
        panels: frozenset[Variable],
        workers: int,
        sources: Mapping[str, Source],
        checked: Sequence[str] = (),
        bundles: Sequence[Bundle] = (),
        called: bool = False,
        checks_first: bool = False,
    ) -> None:
        self.check_names = list(graph.checks)
        self.graph = graph = with_checks(graph, checked, sizes)
        self.sizes = sizes
        self.workers = workers
        self.sources = sources
        self.checked = frozenset(checked)
        self.bundles = bundles
        self.called = called
        self.checks_first = checks_first
        self.aside = False  # new state does not go where the old one lies
        self.looked: set[str] = set()
        self.steps: list[Draft] = []
        self.slots: list[Buffer] = []
        self.constants: dict[Buffer, Array] = {}
        self.memo: dict[Node, Any] = {}
        self.shapes: dict[Node, tuple[int, ...]] = {}
        self.order = graph.nodes()
        self.place_in_order = {n: i for i, n in enumerate(self.order)}
        self.consumers: dict[Node, list[Node]] = {n: [] for n in self.order}
        for node in self.order:
            for child in dict.fromkeys(node.inputs):
                self.consumers[child].append(node)
        self.external = set(graph.results())
        self.targets: dict[Node, list[Variable]] = {}
        for variable, node in graph.updates.items():
            self.targets.setdefault(node, []).append(variable)
        self.written: set[Variable] = set()
        self.busy: set[Node] = set()
        self.done: set[Node] = set()  # computed, but kept nowhere
        self.variables: dict[Variable, View] = {}
        self.readers: dict[Variable, Node] = {}
        self.gathers: dict[Buffer, Draft] = {}
        self.pools: dict[int, Buffer] = {}  # by identity of the memory
        self.places: dict[Node, View] = {}  # where a result is wanted
        self.by_columns = feature_major(self)
        self.by_panels = in_panels(self)
        self.lanes: Lanes | None = None  # whether workers own rows
        for name, node in graph.inputs.items():
            self.slots.append(Buffer("slot", 0, len(self.slots), key=name))
            if node in self.consumers or node in self.external:
                self._input(name, node)
        for variable in graph.variables():
            self.variables[variable] = self._variable(variable, variable in panels)
        for node in self.order:
            if node.op.name == "variable":
                self.readers[node.attrs["variable"]] = node
                self.memo[node] = self.variables[node.attrs["variable"]]

    # ------------------------------------------------------------------ the whole

    def run(self) -> Lowered | None:
        """Lower the graph; ``None``: it can only be done with ``checks_first``."""
        self._fold_numbers()
        for node in self.order:
            if node.op.name == "check_range":
                self.value(node)
        if self.checks_first:
            self._compute_checks()
        late = self._save_old_values()
        gradients = [updates.place_gradients(self, bundle) for bundle in self.bundles]
        scalars = [n for n in self.targets if one_number(n)]
        if self.bundles:
            updates.numbers(self, scalars)
        if self.called:
            outputs = self._result_slots()
        else:
            outputs = {name: self._output(n) for name, n in self.graph.outputs.items()}
        for bundle, rooms in zip(self.bundles, gradients, strict=True):
            updates.update(self, bundle, rooms)
        self._new_state(late)
        steps = hoist(self.steps)
        if steps is None:
            return None
        place_guards(steps)
        return Lowered(steps, self.slots, self.constants, outputs)

    def _new_state(self, late: Mapping[Variable, View]) -> None:
        """Compute the new value of every variable, and put it where that lies."""
        scalars = [n for n in self.targets if one_number(n)]
        for node in self.targets:
            if node not in scalars:
                self.value(node)
        self._compute_checks()
        self.group([n for n in scalars if n not in self.memo])
        for node, variables in self.targets.items():
            for variable in variables:
                if variable not in self.written:
                    source = late.get(variable, None) or self.memo[node]
                    self.copy(source, self.variables[variable])
                    self.written.add(variable)

    def _compute_checks(self) -> None:
        """Look at the checks, once, by steps that write no state."""
        self.aside = True
        for name, node in self.graph.checks.items():
            if name not in self.looked:
                view = self.value(node)
                view = self.stored(view) if view.buffer is None else view
                check(self.steps, view, self.check_names.index(name))
                self.looked.add(name)
        self.aside = False

    def _fold_numbers(self) -> None:
        """What depends on nothing but sizes and constants of one element is a number."""
        for node in self.order:
            name = node.op.name
            if node in self.memo or name in ("input", "variable"):
                continue
            if name in ("full", "dim"):
                self.value(node)
            elif name == "const":
                if node.attrs["value"].size == 1:
                    self.value(node)
            elif node.inputs and all(self._is_number(c) for c in node.inputs):
                if name in ALIASES:
                    view = self.memo[node.inputs[0]]
                    self.memo[node] = number(view.number, self.shape(node), view.dtype)
                elif node.op.family == "elementwise":
                    args = [
                        np.asarray(self.memo[c].number, c.dtype) for c in node.inputs
                    ]
                    attrs = {k: v for k, v in self.attrs(node).items() if k != "body"}
                    found = np.asarray(node.op.ref(*args, **attrs))
                    self.memo[node] = number(found, self.shape(node), node.dtype)

    def _is_number(self, node: Node) -> bool:
        view = self.memo.get(node)
        return isinstance(view, View) and view.buffer is None

    def owner(self, node: Node) -> Variable | None:
        """The variable whose old value a node is."""
        return node.attrs["variable"] if node.op.name == "variable" else None

    def _save_old_values(self) -> dict[Variable, View]:
        """Copies of variables that are assigned to other variables as they are."""
        saved: dict[Variable, View] = {}
        for node, variables in self.targets.items():
            source = node
            while source.op.name in ALIASES:
                source = source.inputs[0]
            owner = self.owner(source)
            if owner is None:
                continue
            for variable in variables:
                if source is node and owner is variable:
                    self.written.add(variable)  # assigned to itself
                else:
                    saved[variable] = self.dense(self.value(node), fresh=True)
        return saved

    def _output(self, node: Node) -> View:
        """A dense value that no later step changes."""
        view = self.value(node)
        mine = view.buffer is not None and view.buffer.space == "arena"
        return self.dense(view, fresh=not mine)

    def _result_slots(self) -> dict[str, View]:
        """Outputs computed straight into arrays of the caller's."""
        rooms: dict[str, View] = {}
        for name, node in self.graph.outputs.items():
            shape = self.shape(node)
            size = math.prod(shape) * itemsize(node.dtype)
            buffer = Buffer("slot", size, len(self.slots), key=("output", name))
            self.slots.append(buffer)
            rooms[name] = View(buffer, shape, row_major(shape), node.dtype)
            # Kernels read behind the end of an operand, which an array of the caller's
            # does not allow: only what nobody reads is computed there.
            unread = not self.consumers[node] and node not in self.targets
            if unread and node not in self.memo:
                self.places.setdefault(node, rooms[name])
        for name, node in self.graph.outputs.items():
            view, room = self.value(node), rooms[name]
            if view.buffer is not room.buffer:
                self.copy(view, room)
        return rooms

    # --------------------------------------------------------------------- leaves

    def _input(self, name: str, node: Node) -> None:
        from ranvier.engines.native.rows import gather_input

        view = self.laid(node)
        self.memo[node] = view
        gather_input(self, name, self.slots[-1], view)

    def _variable(self, variable: Variable, panel: bool) -> View:
        shape = tuple(int(n) for n in variable.shape)  # type: ignore[arg-type]
        flat: Any = variable.storage.flat  # type: ignore[attr-defined]
        buffer = self.pools.get(id(flat))
        if buffer is None:
            buffer = Buffer("slot", flat.nbytes, len(self.slots), key=variable)
            self.slots.append(buffer)
            self.pools[id(flat)] = buffer
        at = getattr(variable.storage, "at", 0)
        return View(buffer, shape, row_major(shape), variable.dtype, at, panel)

    def shape(self, node: Node) -> tuple[int, ...]:
        """The shape of a node in integers."""
        found = self.shapes.get(node)
        if found is None:
            found = self.shapes[node] = bind(shape_of(node), self.sizes)
        return found

    def bound(self, shape: tuple[Any, ...]) -> tuple[int, ...]:
        """A shape in integers."""
        return bind(shape, self.sizes)

    def attrs(self, node: Node) -> dict[str, Any]:
        """Static arguments in integers."""
        return bind(node.attrs, self.sizes)

    def new(self, shape: tuple[int, ...], dtype: str) -> View:
        """Fresh dense room in the arena."""
        size = max(math.prod(shape) * itemsize(dtype), 1)
        return View(Buffer("arena", size), shape, row_major(shape), dtype)

    def room(self, node: Node) -> View:
        """Where the result of a node goes: where it is wanted, else fresh room."""
        return self.places.get(node) or self.laid(node)

    def laid(self, node: Node) -> View:
        """Fresh room in the arena, in the layout that was chosen for a node."""
        view = self.new(self.shape(node), node.dtype)
        if node in self.by_panels:
            size = panel_elements(*view.matrix) * itemsize(node.dtype)
            return replace(view, buffer=Buffer("arena", size), panel=True)
        if node in self.by_columns:
            view = replace(view, strides=(1, view.shape[0]))
        return view

    def const(self, array: Array) -> View:
        """A constant; a single element becomes a number."""
        dtype = str(array.dtype)
        if array.size == 1:
            return number(array.reshape(())[()], array.shape, dtype)
        buffer = Buffer("const", max(array.nbytes, 1))
        self.constants[buffer] = np.ascontiguousarray(array)
        return View(buffer, array.shape, row_major(array.shape), dtype)

    def stored(self, view: View) -> View:
        """A number as a view of one element in memory, repeated."""
        buffer = Buffer("const", itemsize(view.dtype))
        self.constants[buffer] = np.asarray([view.number], view.dtype)
        return replace(view, buffer=buffer, strides=(0,) * len(view.shape))

    # --------------------------------------------------------------------- values

    def value(self, node: Node) -> Any:
        """Where the value of a node lies; it is computed now if it was not yet."""
        if node not in self.memo:
            if elementwise(node):
                self.group([node])
            else:
                self._lower(node)
        return self.memo[node]

    def _lower(self, node: Node) -> None:
        name = node.op.name
        if name not in ROWS:
            raise no_kernel(node)
        found = ROWS[name](self, node)
        self.memo[node] = found

    def dense(self, view: View, fresh: bool = False) -> View:
        """The same values in order without gaps, copied if need be."""
        if view.dense and not fresh:
            return view
        to = self.new(view.shape, view.dtype)
        self.copy(view, to)
        return to

    def copy(self, source: View, to: View) -> None:
        """Copy values, whatever the strides."""
        if to.size == 0:
            return
        marker = Node(_COPY, (), {}, None)
        group = Group(to.shape, [], {marker: to}, {marker: source})
        self.emit_program(group)

    # ----------------------------------------------------------------- elementwise

    def group(self, roots: Sequence[Node]) -> None:
        """Compute elementwise nodes of one shape together with all they wait for."""
        ready = self._prepare(roots, hosted=True)
        if ready is None:
            return
        nodes, leaves, host = ready
        group = self._open(nodes, leaves, host)
        if math.prod(group.shape) == 0:
            return
        if host is None:
            self.emit_program(group)
            return
        self.done.add(host)
        from ranvier.engines.native.products import emit_product
        from ranvier.engines.native.rows import host_column_sums
        from ranvier.engines.native.windows import emit_conv

        if host.op.name == "sum":
            host_column_sums(self, host, group)
        elif host.op.family == "conv":
            emit_conv(self, host, group)
        else:
            emit_product(self, host, group)

    def only_reader(self, node: Node) -> bool:
        """Whether one node reads this one, and nothing has computed it yet."""
        return (
            node not in self.memo
            and node not in self.external
            and len(self.consumers[node]) == 1
        )

    def prologue(self, root: Node) -> Group | None:
        """The group of a node that only the step about to be made reads, to run in it.

        What can be computed from its nodes at once joins it: the gradient of an
        elementwise loss beside the loss.

        Returns:
            The group, in which ``root`` is not stored; ``None`` when the node has a
            value already, or others read it too.
        """
        if not elementwise(root) or root.op.name == "get" or not self.only_reader(root):
            return None
        ready = self._prepare([root], hosted=False)
        if ready is None:
            return None
        nodes, leaves, _ = ready
        more, read = self._follow(nodes, leaves)
        if self._fits(more, read, alone=False):
            nodes, leaves = more, read
        return self._open(nodes, leaves, None, kept=root)

    def _follow(
        self, nodes: Sequence[Node], leaves: Sequence[Node]
    ) -> tuple[list[Node], list[Node]]:
        """A group and all that needs nothing but its nodes and what is known."""
        shape, more, read = self.shape(nodes[-1]), list(nodes), dict.fromkeys(leaves)
        inner = set(nodes)
        for node in more:  # grows on the way
            for reader in self.consumers[node]:
                if (
                    reader not in inner
                    and reader not in self.memo
                    and reader not in self.targets
                    and elementwise(reader)
                    and not isinstance(reader.spec, tuple)
                    and self.shape(reader) == shape
                    and all(c in inner or c in self.memo for c in reader.inputs)
                ):
                    more.append(reader)
                    inner.add(reader)
                    read.update(
                        dict.fromkeys(c for c in reader.inputs if c not in inner)
                    )
        return more, list(read)

    def _prepare(
        self, roots: Sequence[Node], hosted: bool
    ) -> tuple[list[Node], list[Node], Node | None] | None:
        """Compute all that a group waits for.

        Returns:
            Its nodes, what it reads, and the step that hosts it; ``None`` when there is
            nothing left to compute.
        """
        while True:
            roots = [r for r in roots if r not in self.memo]
            if not roots:
                return None
            nodes, leaves = self._collect(roots)
            inner = set(nodes)
            hosts = self._hosts(nodes, inner, leaves) if hosted else []
            if len(hosts) > 1 and (earlier := self._earlier(nodes, hosts[-1])):
                # Forward and backward of a layer hang together: one host at a time.
                self.group(earlier)
                continue
            host = hosts[-1] if hosts else None
            need = [leaf for leaf in leaves if leaf is not host]
            need += host.inputs if host is not None else ()
            need = [leaf for leaf in need if leaf not in self.memo]
            if need:
                # Computing a leaf may compute parts of the group: look again after.
                self.value(need[0])
                continue
            # After the leaves: they bring most readers with them, fused as they should.
            waiting = self.readers_first(nodes, inner)
            if waiting is not None:
                self.busy.add(waiting)
                self.value(waiting)
                self.busy.discard(waiting)
                continue
            alone = hosted and host is None
            if not self._fits(nodes, leaves, alone) and self._split(nodes, roots):
                continue
            return nodes, leaves, host

    def _collect(self, roots: Sequence[Node]) -> tuple[list[Node], list[Node]]:
        shape = self.shape(roots[0])
        nodes: list[Node] = []
        leaves: dict[Node, None] = {}
        seen: set[Node] = set()
        stack: list[tuple[Node, Any]] = []

        def inside(node: Node) -> bool:
            return (
                node not in self.memo
                and elementwise(node)
                and self.shape(node) == shape
            )

        for root in roots:
            if root in seen:
                continue
            seen.add(root)
            stack.append((root, iter(root.inputs)))
            while stack:
                node, rest = stack[-1]
                for child in rest:
                    if child in seen:
                        continue
                    seen.add(child)
                    if inside(child):
                        stack.append((child, iter(child.inputs)))
                        break
                    leaves.setdefault(child)
                else:
                    nodes.append(node)
                    stack.pop()
        # All results of a fused update belong together.
        inner = set(nodes)
        for node in list(nodes):
            if node.op.name == "adam_update":
                for reader in self.consumers[node]:
                    if reader not in inner:
                        nodes.append(reader)
                        inner.add(reader)
        return nodes, list(leaves)

    def readers_first(self, nodes: Sequence[Node], inner: set[Node]) -> Node | None:
        """A node that must read an old value before this group overwrites it."""
        for node in nodes:
            for variable in self.targets.get(node, ())[:1]:
                reader = self.readers.get(variable)
                if reader is None:
                    continue
                pending = self._pending(reader, inner)
                if pending is not None and pending not in self.busy:
                    return pending
        return None

    def _pending(self, node: Node, inner: set[Node]) -> Node | None:
        """A consumer of ``node``, or of a window on it, that has not run yet."""
        for consumer in self.consumers[node]:
            if consumer in inner:
                continue
            if consumer.op.name in ALIASES:
                deeper = self._pending(consumer, inner)
                if deeper is not None:
                    return deeper
                if any(c in inner for c in self.consumers[consumer]):
                    continue  # read here through a window: decided by in_place
            elif consumer not in self.memo and consumer not in self.done:
                return consumer
        return None

    def in_place(self, node: Node, inner: set[Node]) -> Variable | None:
        """The variable whose memory may take the result of ``node`` directly."""
        for variable in self.targets.get(node, ())[:1]:
            if self.aside or variable in self.written:
                return None
            reader = self.readers.get(variable)
            if reader is None:
                return variable
            if reader in self.external or self._pending(reader, inner) is not None:
                return None
            if self._read_through_window(reader, inner):
                return None
            return variable
        return None

    def _read_through_window(self, reader: Node, inner: set[Node]) -> bool:
        return any(
            consumer.op.name in ALIASES
            and (
                consumer in self.external
                or any(c in inner for c in self.consumers[consumer])
                or self._read_through_window(consumer, inner)
            )
            for consumer in self.consumers[reader]
        )

    def _hosts(
        self, nodes: Sequence[Node], inner: set[Node], leaves: Sequence[Node]
    ) -> list[Node]:
        """Products and column sums among the leaves that can run the group on their
        tiles, in the order in which they can be computed."""
        from ranvier.engines.native.products import can_host
        from ranvier.engines.native.rows import columns
        from ranvier.engines.native.windows import can_host_conv

        can = {
            "dot_general": can_host,
            "sum": columns,
            "conv": can_host_conv,
            "conv_input": can_host_conv,
        }
        found = [
            leaf
            for leaf in leaves
            if leaf.op.name in can
            and leaf not in self.memo
            and leaf not in self.done
            and leaf not in self.external
            and self.shape(leaf) == self.shape(nodes[-1])
            and all(c in inner for c in self.consumers[leaf])
            and can[leaf.op.name](self, leaf)
        ]
        return sorted(found, key=self.place_in_order.__getitem__)

    def _earlier(self, nodes: Sequence[Node], last: Node) -> list[Node]:
        """Results of a group that others read and that do not need the last host."""
        inner = set(nodes)
        late: set[Node] = {last}
        for node in nodes:
            if any(child in late for child in node.inputs):
                late.add(node)
        return [n for n in nodes if n not in late and self._stored(n, inner)]

    def _fits(self, nodes: Sequence[Node], leaves: Sequence[Node], alone: bool) -> bool:
        """Whether a group is small enough; alone it is in a step of its own."""
        stores = sum(self._stored(n, set(nodes)) for n in nodes)
        registers = len(leaves) + len(nodes) + stores
        numbers = sum(self._is_number(leaf) for leaf in leaves)
        return (
            len(leaves) - numbers + stores <= MAX_BUFFERS - (0 if alone else 3)
            and registers <= MAX_REGISTERS
            and len(leaves) + stores <= MAX_OPERANDS
        )

    def _split(self, nodes: Sequence[Node], roots: Sequence[Node]) -> bool:
        """Compute a part of a group that is too large first."""
        if len(roots) > 1:
            half = list(roots[: len(roots) // 2])
            self.group(half)
            return True
        plain = [n for n in nodes if n.op.name not in ("get", "adam_update")]
        inner = [n for n in plain if n not in roots]
        if not inner:
            return False
        self.group([inner[len(inner) // 2]])
        return True

    def _stored(self, node: Node, inner: set[Node]) -> bool:
        if isinstance(node.spec, tuple):
            return False
        return node in self.external or any(
            c not in inner for c in self.consumers[node]
        )

    def _open(
        self,
        nodes: list[Node],
        leaves: Sequence[Node],
        host: Node | None,
        kept: Node | None = None,
    ) -> Group:
        """Decide where a group reads and writes; ``kept`` is not stored."""
        shape = self.shape(nodes[-1])
        inner = set(nodes)
        views: dict[Node, View] = {}
        for leaf in leaves:
            if leaf is host:
                continue
            view: View = self.memo[leaf]
            if view.shape != shape and view.size == 1:
                # A scalar operand of a fused update.
                view = replace(view, shape=shape, strides=(0,) * len(shape))
            views[leaf] = replace(view)  # its own identity: a view may be read twice
        stores: dict[Node, View] = {}
        for node in nodes:
            if node is kept or not self._stored(node, inner):
                continue
            variable = self.in_place(node, inner)
            if variable is not None:
                stores[node] = replace(self.variables[variable])
                self.written.add(variable)
            else:
                stores[node] = self.room(node)
        for node, view in stores.items():
            self.memo[node] = view
        self.done.update(nodes)
        return Group(shape, nodes, stores, views, host)

    def emit_program(self, group: Group) -> None:
        """A group as a step of its own."""
        by_columns = group.stores and all(v.columns for v in group.stores.values())
        if by_columns and not any(v.panel for v in group.views()):
            group = group.turned()
        places = {at: i for i, at in enumerate(places_of(group))}
        size = math.prod(group.shape)
        panel = any(v.panel for v in group.views())
        program = programs.build(group, places)
        if panel:
            units = -(-group.shape[1] // PANEL)
            share: Any = ("columns", units)
        else:
            units = max(1, min(size // 2048, 64))
            share = ("flat", units, program.dims)
        lanes = None if panel else self.lanes
        if lanes is not None and lanes.fits(group.shape, program.dims):
            units, share = lanes.workers, ("rows", lanes.rows, lanes.per)
        else:
            lanes = None
        draft = Draft(
            "ew_run",
            list(places),
            units=units,
            program=program,
            cost=size * (0.1 + 0.12 * len(group.nodes)),
            together=lanes is not None,
        )
        record(draft, group, share, lanes)
        self.steps.append(draft)


class _Copy:
    """The marker of plain copies."""

    name = "copy"
    family = "copy"


_COPY: Any = _Copy()


def places_of(group: Group, first: Sequence[Any] = ()) -> dict[Any, None]:
    """Where the buffers of a step begin, each once."""
    places = dict.fromkeys(first)
    for view in group.views():
        places.setdefault(place(view))
    return places


def record(draft: Draft, group: Group, share: Any, lanes: Lanes | None = None) -> None:
    """Note what a program reads and writes."""

    def touched(view: View) -> Access:
        own = None if lanes is None else lanes.access(view)
        follows = share if _follows(view, group.shape) else None
        return access(view, follows) if own is None else own

    draft.reads += [touched(v) for v in group.leaves.values() if v.buffer is not None]
    draft.writes += [touched(v) for v in group.stores.values()]
    if group.nodes:
        node = group.nodes[-1]
        draft.label = node.origins[0].layer if node.origins else ""


def _follows(view: View, shape: tuple[int, ...]) -> bool:
    """Whether workers share a view as they share the iteration space."""
    return view.panel or view.strides == row_major(shape)
