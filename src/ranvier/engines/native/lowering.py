"""From a simplified graph with known sizes to the steps of a plan.

Every value becomes a view of a buffer. Shape operations only change the view.
Elementwise operations wait until something needs them (`groups`), all others have a row
in a table (`table`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ranvier.engines.native import groups, updates
from ranvier.engines.native.chains import levels, shorten
from ranvier.engines.native.draft import Draft
from ranvier.engines.native.gaps import no_kernel
from ranvier.engines.native.guards import (
    check,
    hoist,
    place_guards,
    with_checks,
)
from ranvier.engines.native.hosting import emit_program
from ranvier.engines.native.inputs import gather_input
from ranvier.engines.native.lanes import Lanes
from ranvier.engines.native.layout import feature_major, in_panels
from ranvier.engines.native.nodes import ALIASES, elementwise, one_number, shape_of
from ranvier.engines.native.programs import Group
from ranvier.engines.native.table import ROWS
from ranvier.engines.native.values import (
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
        self.levels = levels(self)
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
            elif node.inputs and all(self.is_number(c) for c in node.inputs):
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

    def is_number(self, node: Node) -> bool:
        """Whether a value is known to be a number, which needs no memory."""
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
                shorten(self, [node])
                if node not in self.memo:  # not computed on the way
                    self._lower(node)
        return self.memo[node]

    def group(self, roots: Sequence[Node]) -> None:
        """Compute elementwise nodes of one shape together with all they wait for."""
        shorten(self, roots)
        groups.compute(self, roots)

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
        emit_program(self, group)


class _Copy:
    """The marker of plain copies."""

    name = "copy"
    family = "copy"


_COPY: Any = _Copy()
