"""Compiles graphs to plans and runs them, whole epochs without coming back."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from ranvier import _native, config
from ranvier.engines.api import (
    Batches,
    Fault,
    RunRecord,
    Tick,
    Unsupported,
)
from ranvier.engines.faults import error_of
from ranvier.engines.native import rows as _rows  # noqa: F401  (fills the table)
from ranvier.engines.native import storage
from ranvier.engines.native.bundles import SMALL, find, pool
from ranvier.engines.native.draft import (
    Draft,
    divide,
    emit,
    place_buffers,
    total_cost,
)
from ranvier.engines.native.gaps import no_kernel, wrong_dtype
from ranvier.engines.native.lowering import Lowering, Source
from ranvier.engines.native.nodes import elementwise
from ranvier.engines.native.plan import (
    ARENA,
    Plan,
    Ref,
    Tap,
    run_epoch,
    shuffle_order,
)
from ranvier.engines.native.plan import Fault as KernelFault
from ranvier.engines.native.regions import regions_of, shared_of
from ranvier.engines.native.storage import Panels, adopt
from ranvier.engines.native.table import ROWS
from ranvier.engines.native.traffic import Verdict, judge
from ranvier.engines.native.trial import Trial
from ranvier.engines.native.values import PANEL, View, itemsize
from ranvier.engines.native.waits import place_barriers
from ranvier.engines.order import RowOrder
from ranvier.errors import ShapeError
from ranvier.graph.dims import unify
from ranvier.graph.ir import Graph, Node, walk
from ranvier.graph.locks import building
from ranvier.graph.passes.flatten import flatten
from ranvier.graph.passes.simplify import simplify
from ranvier.graph.passes.verify import verify
from ranvier.graph.variable import Variable

Array = np.ndarray[Any, Any]

#: Composites with kernels of their own; any other is replaced by its body.
KERNELS = frozenset(
    (
        "relu",
        "gelu",
        "gelu_grad",
        "layer_norm",
        "layer_norm_grad",
        "attention",
        "attention_grad",
        "adam_update",
        "softmax",
        "log_softmax",
        "sparse_softmax_cross_entropy",
        "sparse_softmax_cross_entropy_grad",
        "channel_moments",
        "channel_sums",
        "random_keep",
    )
)
#: Bound when a plan runs, or by the loop or branch around.
LEAVES = ("input", "variable", "param")
#: Plans kept for different batch sizes, lengths and kinds of arrays.
PLANS = 32
FAULTS = {105: "RV105", 111: "RV111", 204: "RV204", 301: "RV301"}


@dataclass
class Compiled:
    """A plan and where its outputs lie."""

    plan: Plan
    outputs: dict[str, View]
    workers: int
    steps: list[Draft]
    #: For plans that are called once: ``None`` for each variable (they are bound), and
    #: shape and dtype of each output.
    bound: list[None]
    results: list[tuple[tuple[int, ...], str]]
    #: Where estimates cannot tell how many workers are best: this plan, and another.
    trial: Trial[Compiled] | None = None

    @property
    def best(self) -> Compiled:
        """This plan, or the one that has turned out to be faster."""
        return self if self.trial is None else self.trial.best


class NativeExecutable:
    """A graph with the plans made for it so far."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        checked = bool(config.get("RANVIER_VERIFY"))
        if checked:
            verify(graph, "tracing")
        self.simplified = simplify(graph, _has_kernel)
        flat = flatten(self.simplified)
        if flat is not self.simplified:
            self.simplified = simplify(flat, _has_kernel)
        if checked:
            verify(self.simplified, "simplify")
        _refuse_unknown(self.simplified.nodes())
        self.inputs = list(self.simplified.inputs)
        self.variables = self.simplified.variables()
        self._plans: OrderedDict[Any, Compiled] = OrderedDict()
        self._calls: dict[Any, Compiled] = {}
        self._order = RowOrder(shuffle_order)
        self._storages: list[Any] = []
        self._moves = -1
        self._panels = wanted_panels(self.simplified)
        self._bundles = find(self.simplified)

    # ------------------------------------------------------------------- running

    def call(
        self, inputs: Mapping[str, Array], check_finite: Sequence[str] = ()
    ) -> dict[str, Array]:
        """Run once; variables are updated, outputs returned."""
        arrays: list[Any] = [inputs[name] for name in self.inputs]
        if storage.moves != self._moves:
            self._follow_storages()
        try:
            key: Any = tuple([(a.shape, a.strides, a.dtype) for a in arrays])
        except AttributeError:
            return self.call({n: _plain(a) for n, a in inputs.items()}, check_finite)
        if check_finite:
            key = *key, *check_finite
        limit = config.thread_limit()
        if limit is not None:
            key = *key, limit
        compiled = self._calls.get(key)
        if compiled is None:
            compiled = self._prepare_call(
                key, [_plain(a) for a in arrays], check_finite
            )
        results = [np.empty(shape, dtype) for shape, dtype in compiled.results]
        n = arrays[0].shape[0] if arrays and arrays[0].ndim else 1
        fault: Any = compiled.plan.native.call(
            arrays + compiled.bound + results, compiled.workers, 0, None, 0, n
        )
        if fault is not None:
            raise error_of(self._fault(KernelFault(*fault)), inputs)
        return dict(zip(compiled.outputs, results, strict=True))

    def _prepare_call(
        self, key: Any, arrays: Sequence[Array], checked: Sequence[str]
    ) -> Compiled:
        if any(not np.dtype(dtype).isnative for _, _, dtype in key[: len(arrays)]):
            raise Unsupported("RV502", "arrays need the byte order of this machine")
        with building:
            compiled = self._plan(arrays, None, checked)
            while len(self._calls) >= PLANS:
                self._calls.pop(next(iter(self._calls)))
            self._calls[key] = compiled
        return compiled

    def run(
        self,
        batches: Batches,
        *,
        collect: Sequence[str] = (),
        tick: Tick | None = None,
    ) -> RunRecord:
        """Run once a batch."""
        size, n = batches.batch_size, batches.rows
        first, last = batches.first, batches.last
        whole = min(last, n // size)
        order = self._order.of(batches)
        arrays, full, tail = self._plans_for(batches, first < whole, last > n // size)
        record = RunRecord()
        parts: list[dict[str, Array]] = []
        for piece in _pieces(full, tail, first, whole, last, bool(collect)):
            one, rest, begin, end = piece.full, piece.tail, piece.begin, piece.end
            some = one or rest
            if some is None or begin >= end:
                continue
            found, taps = _room(some, end - begin, collect)
            started = perf_counter()
            result = run_epoch(
                one.plan if one else None,
                rest.plan if rest else None,
                arrays,
                rows=n,
                batch=size,
                order=order,
                first_batch=begin,
                last_batch=end,
                first_step=begin,
                workers=max(some.workers, (rest or some).workers),
                taps=taps,
                tick=_after(record.steps, tick),
            )
            if piece.trial is not None and result.steps:
                spent = perf_counter() - started
                piece.trial.took(piece.turn, result.steps, spent)
            record.steps += result.steps
            record.rows += result.rows
            parts.append(found)
            if result.fault is not None:
                record.fault = self._fault(result.fault)
            if result.stopped:
                record.interrupted = record.fault is None
            if record.fault or record.interrupted:
                break
        for name in collect:
            joined = [_joined(part[name]) for part in parts]
            record.collected[name] = (
                joined[0] if len(joined) == 1 else np.concatenate(joined)
            )
        return record

    def _plans_for(
        self, batches: Batches, whole: bool, rest: bool
    ) -> tuple[list[Array], Compiled | None, Compiled | None]:
        """The arrays, and plans for whole batches and for the last partial one.

        Epoch after epoch asks for the same, and to find them anew takes longer than a
        few steps of a small network.
        """
        size, checked = batches.batch_size, batches.check_finite
        asked = size, tuple(checked), whole, rest
        kept = batches.memo.get(self)
        if kept is not None and kept[0] == asked and kept[1] == storage.moves:
            return kept[2]  # type: ignore[no-any-return]
        arrays = [_plain(batches.arrays[name]) for name in self.inputs]
        left = batches.rows % size
        found = (
            arrays,
            self._plan(arrays, size, checked) if whole else None,
            self._plan(arrays, left, checked) if rest and left else None,
        )
        batches.memo[self] = asked, self._moves, found
        return found

    def _fault(self, fault: KernelFault) -> Fault:
        code = FAULTS.get(fault.code, f"RV{fault.code}")
        names = list(self.simplified.checks) if code == "RV301" else self.inputs
        name = names[fault.source] if 0 <= fault.source < len(names) else ""
        return Fault(code, name, fault.row, fault.column, fault.value)

    # ------------------------------------------------------------------ planning

    def _plan(
        self, arrays: Sequence[Array], batch: int | None, checked: Sequence[str]
    ) -> Compiled:
        """The plan for these arrays in batches of so many rows (``None``: whole)."""
        key = (
            batch,
            config.thread_limit(),
            tuple(checked),
            tuple(
                [
                    (a.dtype, a.shape if batch is None else a.shape[1:], a.strides)
                    for a in arrays
                ]
            ),
        )
        with building:
            self._follow_storages()
            compiled = self._plans.get(key)
            if compiled is None:
                compiled = self._make(arrays, batch, checked)
                self._plans[key] = compiled
                while len(self._plans) > PLANS:
                    self._plans.popitem(last=False)
        return compiled

    def _follow_storages(self) -> None:
        """Plans are for one layout of the variables: notice when it has changed.

        Another executable may be moving the same variables in another thread: a plan
        that was made for where they lay before would train what nobody reads.
        """
        if self._moves == storage.moves:
            return
        with building:
            if len(self._storages) != len(self.variables) or any(
                [
                    v.storage is not s
                    for v, s in zip(self.variables, self._storages, strict=True)
                ]
            ):
                self._plans.clear()
                for bundle in self._bundles:
                    pool(bundle)
                for variable in self.variables:
                    adopt(variable, variable in self._panels)
                self._calls.clear()
                self._storages = [v.storage for v in self.variables]
            self._moves = storage.moves

    def _make(
        self, arrays: Sequence[Array], batch: int | None, checked: Sequence[str]
    ) -> Compiled:
        sizes: dict[str, int] = {}
        sources: dict[str, Source] = {}
        for name, array in zip(self.inputs, arrays, strict=True):
            spec = self.simplified.inputs[name].spec
            shape = array.shape if batch is None else (batch, *array.shape[1:])
            if not unify(spec.shape, shape, sizes):
                raise ShapeError(
                    "RV103",
                    f"input {name!r} does not have the shape the graph was made for",
                    details=f"got {array.shape}, needs {spec}",
                )
            sources[name] = Source.of(array)
        panels = frozenset(v for v in self.variables if isinstance(v.storage, Panels))
        threads = config_threads()

        def lower(workers: int) -> Any:
            # Several workers update what they own as they go; a lone one is better off
            # with few steps.
            bundles = [b for b in self._bundles if workers == 1 and b.pooled()]
            for checks_first in (False, True):
                found = Lowering(
                    self.simplified,
                    sizes,
                    panels,
                    workers,
                    sources,
                    checked,
                    bundles,
                    called=batch is None,
                    checks_first=checks_first,
                ).run()
                if found is not None:
                    return found
            raise AssertionError("checks that come first wait for nothing")

        def placed(workers: int) -> Any:
            lowered = lower(workers)
            keep = [v.buffer for v in lowered.outputs.values() if v.buffer is not None]
            divide(lowered.steps, keep, workers)
            place_buffers(lowered.steps, keep, "arena")
            place_buffers(lowered.steps, keep, "own")
            place_barriers(lowered.steps, workers)
            return lowered

        def finished(workers: int, lowered: Any) -> Compiled:
            builder = emit(lowered.steps, lowered.slots, lowered.constants)
            if config.get("RANVIER_VERIFY"):
                from ranvier.engines.native.races import check

                check(builder, workers)
            plan = builder.build()
            for buffer in lowered.slots:
                if isinstance(buffer.key, Variable):
                    kept: Any = buffer.key.storage
                    plan.bind(buffer.slot, kept.flat)
            _tell(plan, workers, sizes, total)
            bound = [None for b in lowered.slots if isinstance(b.key, Variable)]
            results = [(view.shape, view.dtype) for view in lowered.outputs.values()]
            return Compiled(
                plan, lowered.outputs, workers, lowered.steps, bound, results
            )

        lowered = placed(threads)
        total = total_cost(lowered.steps)
        verdict = judge(lowered.steps, threads)
        if verdict is Verdict.SEVERAL or threads == 1:
            return finished(threads, lowered)
        one = finished(1, placed(1))
        if verdict is Verdict.ONE:
            return one
        several = finished(threads, lowered)
        if verdict is Verdict.PERHAPS_SEVERAL:
            several.trial = Trial(several, one, total)
            return several
        one.trial = Trial(one, several, total)
        return one


@dataclass
class _Piece:
    """Batches that run without coming back, and the plans they run on."""

    full: Compiled | None
    tail: Compiled | None
    begin: int
    end: int
    trial: Trial[Compiled] | None = None
    turn: int = 0


def _pieces(
    full: Compiled | None,
    tail: Compiled | None,
    first: int,
    whole: int,
    last: int,
    apart: bool,
) -> Iterator[_Piece]:
    """The pieces of a run, made as it goes.

    Args:
        full: Plan for whole batches.
        tail: Plan for the last, partial one.
        first: The first batch.
        whole: One past the last whole batch.
        last: One past the last batch.
        apart: Whole batches and the last one run one after the other: outputs are
            collected, and one tap serves both plans only if they place buffers alike.
    """
    trial = None if full is None or apart else full.trial
    while trial is not None and first < whole:
        turn, end = trial.turn, first + trial.batches
        if end >= whole and not trial.trying:
            break
        end = min(end, whole)
        yield _Piece(trial.plans[turn], None, first, end, trial, turn)
        first = end
    if first >= whole:
        trial = None
    if full is not None:
        full = full.best
        if tail is not None and tail.trial is not None:
            # Plans for different numbers of workers run one after the other.
            alike = (p for p in tail.trial.plans if p.workers == full.workers)
            tail = next(alike, tail)
    turn = 0 if trial is None else trial.turn
    # A plan is safe for as many workers as it was made for, or fewer.
    if apart or (full and tail and full.workers != tail.workers):
        yield _Piece(full, None, first, whole, trial, turn)
        yield _Piece(tail, tail, max(first, whole), last)
    else:
        yield _Piece(full or tail, tail, first, last, trial, turn)


def _tell(plan: Plan, workers: int, sizes: Mapping[str, int], cost: float) -> None:
    """With RANVIER_VERBOSE=1 say what was chosen, with 2 also the plan itself."""
    verbose = int(config.get("RANVIER_VERBOSE"))
    if verbose < 1:
        return
    known = " ".join(f"{name}={size}" for name, size in sizes.items())
    sys.stderr.write(
        f"ranvier: plan {known}: {plan.n_steps} steps, {workers} of "
        f"{config_threads()} workers, arena {plan.arena_bytes:,} bytes, "
        f"{_native.isa()}, about {cost / 1000:.1f} us of work\n"
    )
    if verbose > 1:
        sys.stderr.write(f"{plan}\n")


def config_threads() -> int:
    """Workers: RANVIER_THREADS, else what affinity and quota allow; fewer if asked."""
    limit = config.thread_limit()
    return int(_native.threads()) if limit is None else min(limit, _native.threads())


def _after(steps: int, tick: Tick | None) -> Tick | None:
    """A tick that counts the steps of earlier pieces of a run too."""
    if tick is None or not steps:
        return tick
    return lambda done: tick(steps + done)


def _plain(array: Any) -> Array:
    """An array whose dtype and byte order the core knows; anything else is converted."""
    array = np.asarray(array)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return array


def _room(
    compiled: Compiled, records: int, names: Sequence[str] | None = None
) -> tuple[dict[str, Array], list[Tap]]:
    """Arrays for outputs, and the taps that fill them after every step."""
    found: dict[str, Array] = {}
    taps: list[Tap] = []
    for name, view in compiled.outputs.items():
        if names is not None and name not in names:
            continue
        shape = view.shape if names is None else (records, *view.shape)
        if view.buffer is None:
            found[name] = np.full(shape, view.number, view.dtype)
            continue
        found[name] = array = np.empty(shape, view.dtype)
        nbytes = view.size * itemsize(view.dtype)
        if nbytes:
            assert view.buffer.space == "arena"
            at = view.buffer.offset + view.offset * itemsize(view.dtype)
            taps.append(Tap(Ref(ARENA, 0, at, nbytes), 1, array))
    return found, taps


def _joined(array: Array) -> Array:
    """``[batches, rows, …]`` as ``[rows of all, …]``."""
    return array.reshape(-1, *array.shape[2:]) if array.ndim > 1 else array


def _has_kernel(node: Node) -> bool:
    """Whether a composite runs as it is: its kernels compute in float32."""
    others = ("int", "uint", "bool")
    floats = {c.dtype for c in node.inputs if not c.dtype.startswith(others)}
    return node.op.name in KERNELS and floats <= {"float32"}


def _refuse_unknown(nodes: Sequence[Node]) -> None:
    for node in nodes:
        name = node.op.name
        known = name in LEAVES or name in ROWS or elementwise(node)
        if known and node.op.family == "region":
            for region in regions_of(node):
                _refuse_unknown(walk(region.results))
            continue
        fault = wrong_dtype(node) if known else no_kernel(node)
        if fault is not None:
            raise fault


def wanted_panels(graph: Graph) -> frozenset[Variable]:
    """Weights that are multiplied on the right and wider than a panel, and their slots."""
    found: set[Variable] = set()
    for node, right in _right_operands(graph.nodes(), {}):
        (_, cb), (_, bb) = node.attrs["contract"], node.attrs["batch"]
        if right.op.name == "variable" and not bb and tuple(cb) == (0,):
            found |= {right.attrs["variable"]} if _wide(right) else set()
    for variable, node in graph.updates.items():
        if variable in found:
            found |= _slots_of(node, variable)
    return frozenset(found)


def _right_operands(
    nodes: Sequence[Node], outside: Mapping[Node, Node]
) -> Iterator[tuple[Node, Node]]:
    """Products, also in regions, with what they multiply by as the graph knows it."""
    for node in nodes:
        if node.op.name == "dot_general":
            yield node, outside.get(node.inputs[1], node.inputs[1])
        elif node.op.family == "region":
            for region, args in shared_of(node):
                known = {p: outside.get(arg, arg) for p, arg in args.items()}
                yield from _right_operands(walk(region.results), known)


def _wide(node: Node) -> bool:
    """Whether a weight is better off in panels.

    One of exactly one panel lies as it would row-major, but its update then takes the
    short way; a small one is better off in a pool.
    """
    shape: Any = node.spec.shape
    if len(shape) != 2 or node.dtype != "float32":
        return False
    return shape[1] > PANEL or (shape[1] == PANEL and shape[0] * PANEL > SMALL)


def _slots_of(node: Node, weight: Variable) -> set[Variable]:
    """Variables of the same shape that meet the weight element by element."""
    found: set[Variable] = set()
    stack, seen = [node], set()
    while stack:
        current = stack.pop()
        if current in seen:
            continue
        seen.add(current)
        if current.op.name == "variable" and current.spec == weight.spec:
            found.add(current.attrs["variable"])
        if elementwise(current):
            stack.extend(current.inputs)
    return found


class NativeEngine:
    """The engine called ``"native"``."""

    name = "native"

    def compile(self, graph: Graph) -> NativeExecutable:
        """Simplify a graph and check that every operation has a kernel.

        Raises:
            Unsupported: RV502, when one has none.
        """
        return NativeExecutable(graph)


ENGINE = NativeEngine()
