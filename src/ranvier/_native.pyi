"""The native core of ranvier: plans, kernels, the thread team."""

from collections.abc import Sequence

def isa() -> str:
    """Instruction set in use."""

def isas() -> list[str]:
    """Instruction sets this machine can run, weakest first."""

def warning() -> str:
    """Why RANVIER_ISA was not followed; empty if it was."""

def threads() -> int:
    """Workers by default: affinity, cgroup quota, RANVIER_THREADS."""

def team_threads() -> int:
    """Threads started besides callers."""

def cpu_model() -> str:
    """Name of the CPU."""

def kernels() -> list[str]:
    """Names of all kernels."""

def elementwise_ops() -> dict:
    """
    Elementwise operations: name to (operands, type classes as in elementwise.def).
    """

def takes(op: str, dtype: str, out: str) -> bool:
    """Whether an elementwise operation takes these types."""

def dtypes() -> list[str]:
    """Names of the element types."""

def fma_peak(
    isa: str = "", workers: int = 0, seconds: float = 0.05, loads: bool = False
) -> float:
    """Measured floating-point peak in FLOP/s of all workers together."""

def shuffle(seed: int, epoch: int, out: object) -> None:
    """
    Fills an int64 array with the row order of an epoch: a function of (seed, epoch, length).
    """

def call_kernel(
    name: str,
    bufs: Sequence,
    dims: Sequence[int] = [],
    scalars: Sequence[float] = [],
    units: int = 1,
    workers: int = 1,
    isa: str = "",
    program: object | None = None,
    rows: object | None = None,
    n_rows: int = 0,
    step_index: int = 0,
) -> object:
    """
    Runs one kernel on arrays, for tests. The arrays must be large enough for what dims say.
    """

class Control:
    """Watches and stops a run from another thread."""

    def __init__(self) -> None: ...
    def abort(self) -> None:
        """Stop at the next step boundary."""

    @property
    def steps(self) -> int: ...
    @property
    def rows(self) -> int: ...

class Program:
    """A validated plan; see ranvier.engines.native.plan for the builder."""

    def __init__(
        self,
        steps: Sequence,
        programs: Sequence,
        slots: Sequence,
        loops: Sequence,
        arena_bytes: int,
        constants: bytes,
        isa: str = "",
        own_bytes: int = 0,
    ) -> None: ...
    def bind(self, slot: int, array: object | None) -> None:
        """Keeps an array bound to a slot; None unbinds."""

    def call(
        self,
        arrays: Sequence,
        workers: int = 0,
        step_index: int = 0,
        rows: object | None = None,
        first_row: int = 0,
        n_rows: int = 0,
    ) -> object:
        """
        Runs the plan once; returns None or the fault (code, source, row, column, value).
        """

    def call_share(
        self,
        arrays: Sequence,
        worker: int,
        workers: int,
        step_index: int = 0,
        rows: object | None = None,
        first_row: int = 0,
        n_rows: int = 0,
    ) -> None:
        """
        Runs only what one worker of several does, alone and without waiting, for proofs of what it touches.
        """

    def __str__(self) -> str: ...
    @property
    def n_steps(self) -> int: ...
    @property
    def arena_bytes(self) -> int: ...
    @property
    def instances(self) -> int: ...

def run_epoch(
    full: Program | None,
    tail: Program | None,
    arrays: Sequence,
    order: object | None,
    rows: int,
    batch: int,
    first_batch: int = 0,
    last_batch: int = -1,
    first_step: int = 0,
    workers: int = 0,
    taps: Sequence = (),
    step_seconds: object | None = None,
    control: Control | None = None,
    signals: bool = False,
    tick: object | None = None,
) -> tuple:
    """
    Runs the batches of an epoch without coming back; returns (steps, rows, stopped, fault or None).
    """
