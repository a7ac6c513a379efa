"""The native plan as Python sees it: buffers, steps, elementwise programs, and how to run them.

A plan is data. `PlanBuilder` collects it, `PlanBuilder.build` hands it to the native
core, which validates every offset once and then runs without checks. Offsets and sizes
are in bytes, strides in elements.

Example:
    >>> import numpy as np
    >>> b = PlanBuilder()
    >>> x, y = b.external(16), b.external(16, writable=True)
    >>> e = Elementwise((4,))
    >>> e.store(e.op("square", e.load(0, "float32")), 1)
    >>> _ = b.step("ew_run", [x, y], program=e)
    >>> plan = b.build()
    >>> out = np.empty(4, "float32")
    >>> plan.call([np.arange(4, dtype="float32"), out])
    >>> out
    array([0., 1., 4., 9.], dtype=float32)
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ranvier import _native

ARENA, EXTERNAL, CONSTANT, NONE, OWN = 0, 1, 2, 3, 4
ACC = -2  # operand buffer: the tile of the kernel that hosts the program
PANEL = 64  # columns of a weight panel
ALIGN = 64

# dtype of the result of an elementwise op that is not that of its operands
_TO_BOOL = frozenset(
    name for name, (_, kinds) in _native.elementwise_ops().items() if "c" in kinds
)


class Ref(NamedTuple):
    """A stretch of memory: `bytes` from `offset` on in a space (and slot)."""

    space: int
    slot: int
    offset: int
    bytes: int

    def at(self, offset: int, size: int | None = None) -> Ref:
        """The part that begins `offset` bytes later."""
        rest = self.bytes - offset if size is None else size
        return Ref(self.space, self.slot, self.offset + offset, rest)


ABSENT = Ref(NONE, 0, 0, 0)


class Reg(NamedTuple):
    """A register of an elementwise program and the type it holds."""

    index: int  # type: ignore[assignment]
    dtype: str


def dense_strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Row-major strides in elements."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))


class Elementwise:
    """Builds an elementwise program over the iteration space `dims`.

    Registers are assigned once and never written again. Buffers are named by their
    position in the step's list. Strides default to dense row-major; 0 broadcasts.
    """

    def __init__(self, dims: Sequence[int]) -> None:
        self.dims = tuple(int(d) for d in dims) or (1,)
        self._in: list[tuple[Any, ...]] = []
        self._out: list[tuple[Any, ...]] = []
        self._code: list[tuple[Any, ...]] = []
        self._regs = 0

    def _reg(self, dtype: str) -> Reg:
        self._regs += 1
        return Reg(self._regs - 1, dtype)

    def _strides(self, strides: Sequence[int] | None) -> tuple[int, ...]:
        return dense_strides(self.dims) if strides is None else tuple(strides)

    def load(
        self,
        buffer: int,
        dtype: str = "float32",
        strides: Sequence[int] | None = None,
        *,
        panel: bool = False,
    ) -> Reg:
        """An operand in memory; `panel`: a weight of shape `dims` in column panels."""
        reg = self._reg(dtype)
        self._in.append(
            (buffer, dtype, reg.index, 0.0, self._strides(strides), bool(panel))
        )
        return reg

    def constant(self, value: float, dtype: str = "float32") -> Reg:
        """An immediate value."""
        reg = self._reg(dtype)
        strides = (0,) * len(self.dims)
        self._in.append((-1, dtype, reg.index, float(value), strides, False))
        return reg

    def op(self, name: str, *args: Reg, dtype: str | None = None) -> Reg:
        """One instruction; `dtype` names the result's type for `cast`."""
        kind = args[1].dtype if name == "where" else args[0].dtype
        result = dtype or ("bool" if name in _TO_BOOL else kind)
        reg = self._reg(result)
        a, b, c = ([r.index for r in args] + [0, 0])[:3]
        self._code.append((name, kind, result, reg.index, a, b, c))
        return reg

    def adam(
        self,
        state: Sequence[tuple[int, Sequence[int] | None, bool]],
        gradient: tuple[int, Sequence[int] | None, bool] | Reg,
        scalars: Sequence[int | float],
    ) -> tuple[Reg, Reg, Reg]:
        """The fused Adam update of (weight, m, v), stored in place.

        Args:
            state: `(buffer, strides, panel)` of weight, m and v.
            gradient: the same for the gradient, or `(ACC, strides, False)`.
            scalars: alpha, 1 - beta1, 1 - beta2, epsilon; an int is a buffer
                holding one float32, a float an immediate.
        """
        first = self._regs
        for buffer, strides, panel in state:
            self.load(buffer, "float32", strides, panel=panel)
        if isinstance(gradient, Reg):
            grad = self._reg("float32")
            self._code.append(
                ("copy", "float32", "float32", grad.index, gradient.index, 0, 0)
            )
        else:
            buffer, strides, panel = gradient
            self.load(buffer, "float32", strides, panel=panel)
        second = self._regs
        for s in scalars:
            if isinstance(s, float):
                self.constant(s)
            else:
                self.load(s, "float32", (0,) * len(self.dims))
        new = (self._reg("float32"), self._reg("float32"), self._reg("float32"))
        self._code.append(
            ("adam", "float32", "float32", new[0].index, first, second, 0)
        )
        for reg, (buffer, strides, panel) in zip(new, state, strict=True):
            self.store(reg, buffer, strides, panel=panel)
        return new

    def fused(self, name: str, row: Sequence[Reg], results: int) -> tuple[Reg, ...]:
        """A superinstruction: operands in consecutive registers, as are the results.

        Raises:
            ValueError: when the operands are not consecutive.
        """
        first = row[0].index
        if [r.index for r in row] != list(range(first, first + len(row))):
            raise ValueError(f"{name}: operands need consecutive registers")
        new = tuple(self._reg(row[0].dtype) for _ in range(results))
        half = first + len(row) // 2
        kind = row[0].dtype
        self._code.append((name, kind, kind, new[0].index, first, half, 0))
        return new

    def store(
        self,
        reg: Reg,
        buffer: int,
        strides: Sequence[int] | None = None,
        *,
        panel: bool = False,
    ) -> None:
        """Writes a register's tile to memory."""
        self._out.append(
            (buffer, reg.dtype, reg.index, 0.0, self._strides(strides), bool(panel))
        )

    def data(self) -> tuple[Any, ...]:
        """What the native core reads."""
        return (self.dims, self._in, self._out, self._code, self._regs)


@dataclasses.dataclass
class Step:
    """One kernel call; the meaning of refs, dims and scalars is the kernel's."""

    kernel: str
    refs: Sequence[Ref] = ()
    dims: Sequence[int] = ()
    scalars: Sequence[float] = ()
    units: int = 1
    barrier: int = 0
    single: int = 0
    program: Elementwise | None = None
    every: int = 0
    loop: int = -1


class Fault(NamedTuple):
    """Bad data met by a kernel: which code, source, row, column, and the value."""

    code: int
    source: int
    row: int
    column: int
    value: float


class EpochResult(NamedTuple):
    """What `Plan.run_epoch` completed."""

    steps: int
    rows: int
    stopped: bool
    fault: Fault | None


class Tap(NamedTuple):
    """Copies `ref` into the next record of `array` after every k-th step."""

    ref: Ref
    every: int
    array: np.ndarray[Any, Any]


class PlanBuilder:
    """Collects buffers and steps of a plan."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.arena_bytes = self.own_bytes = 0
        self.slots: list[tuple[int, bool, bool]] = []
        self.constants = bytearray()
        self._known: dict[tuple[str, bytes], Ref] = {}
        self.loops: list[tuple[int, int, list[tuple[int, int, int]], int]] = []

    def arena(self, size: int) -> Ref:
        """New room in the arena, 64-byte aligned, at the end."""
        ref = Ref(ARENA, 0, self.arena_bytes, size)
        self.arena_bytes = -(-(self.arena_bytes + size) // ALIGN) * ALIGN
        return ref

    def arena_at(self, offset: int, size: int) -> Ref:
        """Room at a place that the caller has chosen (liveness placement)."""
        self.arena_bytes = max(self.arena_bytes, offset + size)
        return Ref(ARENA, 0, offset, size)

    def own_at(self, offset: int, size: int) -> Ref:
        """The same in the memory that each worker has for itself."""
        self.own_bytes = max(self.own_bytes, offset + size)
        return Ref(OWN, 0, offset, size)

    def external(
        self, size: int, *, writable: bool = False, strided: bool = False
    ) -> Ref:
        """A slot for an array of at least `size` bytes, given at call time.

        `strided` admits arrays of any strides (data set rows); whoever makes the
        gather step vouches that it stays inside.
        """
        self.slots.append((size, writable, strided))
        return Ref(EXTERNAL, len(self.slots) - 1, 0, size)

    def constant(self, value: np.ndarray[Any, Any]) -> Ref:
        """A copy of an array that the plan keeps; equal arrays are kept once."""
        data = np.ascontiguousarray(value).tobytes()
        key = (str(value.dtype), data)
        if key not in self._known:
            self.constants.extend(bytes(-len(self.constants) % ALIGN))
            self._known[key] = Ref(CONSTANT, 0, len(self.constants), len(data))
            self.constants.extend(data)
        return self._known[key]

    def step(
        self,
        kernel: str,
        refs: Sequence[Ref | None] = (),
        dims: Sequence[int] = (),
        scalars: Sequence[float] = (),
        *,
        units: int = 1,
        barrier: int = 0,
        single: int = 0,
        program: Elementwise | None = None,
        every: int = 0,
    ) -> Step:
        """Appends a kernel call; `None` refs are absent buffers.

        Args:
            kernel: name, one of `_native.kernels()`.
            refs: its buffers.
            dims: its integers.
            scalars: its numbers.
            units: shares that workers may take.
            barrier: 1 waits for all workers first, 2 also stops here after a fault.
            single: 1: worker 0 runs it alone; 2: each worker runs all of it.
            program: elementwise program.
            every: run only in every k-th step of a run.
        """
        made = Step(
            kernel,
            [r if r is not None else ABSENT for r in refs],
            list(dims),
            list(scalars),
            units,
            barrier,
            single,
            program,
            every,
        )
        self.steps.append(made)
        return made

    def loop(
        self,
        body: int,
        count: int,
        moves: Sequence[tuple[int, int, int]] = (),
        *,
        barrier: int = 0,
        flag: Ref | None = None,
        until: bool = False,
    ) -> Step:
        """The next `body` steps run `count` times.

        Args:
            body: number of steps, appended after this call.
            count: rounds; -1, with a flag, for as many as the flag allows.
            moves: `(step of the body, buffer, bytes)`: addresses that move on after
                each round. Loops may be nested; steps are counted through inner ones.
            barrier: as for a step; with a flag, before every look at it.
            flag: a byte: a round runs only while it is true.
            until: only while it is false.
        """
        test = 0 if flag is None else 2 if until else 1
        self.loops.append((body, count, list(moves), test))
        refs = [] if flag is None else [flag]
        number = len(self.loops) - 1
        made = Step("loop", refs, barrier=barrier, loop=number)
        self.steps.append(made)
        return made

    def build(self, isa: str = "") -> Plan:
        """Validates and makes the plan runnable."""
        programs: list[tuple[Any, ...]] = []
        index: dict[int, int] = {}
        steps = []
        for s in self.steps:
            number = -1
            if s.program is not None:
                number = index.setdefault(id(s.program), len(programs))
                if number == len(programs):
                    programs.append(s.program.data())
            steps.append(
                (
                    s.kernel,
                    list(s.refs),
                    [int(d) for d in s.dims],
                    [float(v) for v in s.scalars],
                    int(s.units),
                    int(s.barrier),
                    int(s.single),
                    number,
                    int(s.every),
                    s.loop,
                )
            )
        native = _native.Program(
            steps,
            programs,
            self.slots,
            self.loops,
            self.arena_bytes,
            bytes(self.constants),
            isa,
            self.own_bytes,
        )
        return Plan(native)


def _fault(record: Any) -> Fault | None:
    return None if record is None else Fault(*record)


class Plan:
    """A runnable plan. Calls from several threads each get their own arena."""

    def __init__(self, native: _native.Program) -> None:
        self.native = native

    def __str__(self) -> str:
        return str(self.native)

    @property
    def arena_bytes(self) -> int:
        """Bytes of one arena."""
        return int(self.native.arena_bytes)

    @property
    def n_steps(self) -> int:
        """Number of steps."""
        return int(self.native.n_steps)

    def bind(self, slot: Ref | int, array: Any) -> None:
        """Keeps an array in a slot for all later calls (`None` forgets it)."""
        self.native.bind(slot.slot if isinstance(slot, Ref) else slot, array)

    def call(
        self,
        arrays: Sequence[Any] = (),
        *,
        workers: int = 0,
        step_index: int = 0,
        rows: Any = None,
        first_row: int = 0,
        n_rows: int = 0,
    ) -> Fault | None:
        """Runs the steps once.

        Args:
            arrays: one for each slot, in order; `None`, or nothing at the end, for
                slots that are bound.
            workers: 0 for the machine's default.
            step_index: the counter that predicates and random streams see.
            rows: int64 row numbers for gather steps.
            first_row: where sequential gather steps begin.
            n_rows: rows of this batch.
        """
        return _fault(
            self.native.call(arrays, workers, step_index, rows, first_row, n_rows)
        )


def run_epoch(
    full: Plan | None,
    tail: Plan | None,
    arrays: Sequence[Any],
    *,
    rows: int,
    batch: int,
    order: np.ndarray[Any, Any] | None = None,
    first_batch: int = 0,
    last_batch: int = -1,
    first_step: int = 0,
    workers: int = 0,
    taps: Sequence[Tap] = (),
    step_seconds: np.ndarray[Any, Any] | None = None,
    control: _native.Control | None = None,
    tick: Callable[[int], bool] | None = None,
) -> EpochResult:
    """Runs batches natively without coming back to Python.

    Args:
        full: plan for batches of `batch` rows.
        tail: plan for a last batch of `rows % batch` rows; same slots.
        arrays: as in `Plan.call`; slots bound in `full` serve both plans.
        rows: rows of the epoch.
        batch: rows of a step.
        order: int64 row numbers, or None for the order in memory.
        first_batch: first batch to run.
        last_batch: one past the last, -1 for all.
        first_step: the step counter at the first batch.
        workers: 0 for the machine's default.
        taps: buffers to copy out.
        step_seconds: float64 array, one per step of `full`, that times are added to.
        control: progress counters and `abort()`.
        tick: called about ten times a second with the steps done; true stops.

    Raises:
        KeyboardInterrupt: after Ctrl-C, at a step boundary; `control.steps` tells
            how far it came.
    """
    main = threading.current_thread() is threading.main_thread()
    steps, done, stopped, fault = _native.run_epoch(
        full.native if full else None,
        tail.native if tail else None,
        arrays,
        order,
        rows,
        batch,
        first_batch,
        last_batch,
        first_step,
        workers,
        [tuple(t) for t in taps],
        step_seconds,
        control,
        main,
        tick,
    )
    return EpochResult(steps, done, stopped, _fault(fault))


def shuffle_order(seed: int, epoch: int, n: int) -> np.ndarray[Any, Any]:
    """The order of `n` rows in an epoch, as int64: a function of its arguments."""
    out = np.empty(n, np.int64)
    _native.shuffle(seed, epoch, out)
    return out
