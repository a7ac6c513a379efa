"""What an engine is: it compiles a graph, and runs it over batches.

Engines know nothing of layers; they see inputs, variables and outputs.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from ranvier.errors import EnvironmentFault, unknown_name
from ranvier.graph.ir import Graph

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Shuffle:
    """Rows in the order of `ranvier.graph.ops.random.permutation`."""

    seed: int
    epoch: int


@dataclass
class Batches:
    """Rows of arrays, in an order, cut into batches; the engine gathers them.

    Attributes:
        arrays: One array for each input of the graph, rows first. Any dtype and
            strides: the engine converts to the input's dtype while it gathers.
        batch_size: Rows of a batch; the last one may be shorter.
        order: Row numbers, a `Shuffle`, or ``None`` for rows as they are.
        first: Number of the first batch to run.
        count: How many batches to run; all by default.
        check_finite: Names of inputs, and of the graph's checks, in which NaN and
            infinity are faults.
        memo: Where an engine keeps what it found out about the arrays, by executable.
            Give the same one whenever the arrays are the same ones.
    """

    arrays: Mapping[str, Array]
    batch_size: int
    order: Array | Shuffle | None = None
    first: int = 0
    count: int | None = None
    check_finite: Sequence[str] = ()
    memo: dict[Any, Any] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.arrays.values())))

    @property
    def total(self) -> int:
        """Number of batches in all rows, the last partial one included."""
        return -(-self.rows // self.batch_size)

    @property
    def last(self) -> int:
        """Number of the first batch that is not run any more."""
        return (
            self.total
            if self.count is None
            else min(self.total, self.first + self.count)
        )


@dataclass(frozen=True)
class Fault:
    """What was wrong with a batch; nothing of that step was written.

    Attributes:
        code: ``RV105`` (label out of range), ``RV204`` (not finite), ``RV111`` (index out
            of range), ``RV301`` (the loss is not finite).
        input: Name of the input (RV301: of the graph's check), as far as known.
        row: Row of the array.
        column: Column in the row's flattened values.
        value: What was found.
        details: Further facts for the message.
    """

    code: str
    input: str = ""
    row: int = -1
    column: int = -1
    value: float = 0.0
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class RunRecord:
    """What a run did.

    Attributes:
        steps: Batches completed.
        rows: Rows in them.
        collected: For each collected output, its rows for all batches together.
        fault: Why it stopped early, if bad data stopped it.
        interrupted: Whether ``tick`` asked it to stop.
    """

    steps: int = 0
    rows: int = 0
    collected: dict[str, Array] = field(default_factory=dict)
    fault: Fault | None = None
    interrupted: bool = False


Tick = Callable[[int], bool]


class Executable(Protocol):
    """A compiled graph."""

    graph: Graph

    def call(
        self, inputs: Mapping[str, Array], check_finite: Sequence[str] = ()
    ) -> dict[str, Array]:
        """Run once; variables are updated, outputs returned.

        Args:
            inputs: An array for each input of the graph.
            check_finite: Names of the graph's checks to look at.

        Raises:
            RanvierError: for a fault, which it carries as ``fault``.
        """
        ...

    def run(
        self,
        batches: Batches,
        *,
        collect: Sequence[str] = (),
        tick: Tick | None = None,
    ) -> RunRecord:
        """Run once a batch.

        Args:
            batches: The rows.
            collect: Outputs that are kept: rows (first axis is the batch) are joined,
                scalars become one value a batch.
            tick: Called about ten times a second with the steps done so far; a true
                result stops the run at the next step boundary.
        """
        ...


class Engine(Protocol):
    """Compiles graphs."""

    name: str

    def compile(self, graph: Graph) -> Executable:
        """Make a graph runnable.

        Raises:
            Unsupported: RV502, when the engine cannot run an operation of it.
        """
        ...


class Unsupported(EnvironmentFault):
    """An engine lacks an operation; the message names it."""


_ENGINES = {
    "reference": "ranvier.engines.reference",
    "native": "ranvier.engines.native",
    "jax": "ranvier.engines.jax",
}
#: Packages that engines need; the others need nothing that is not always there.
_NEEDS = {"jax": "jax"}
_loaded: dict[str, Engine] = {}


def names() -> list[str]:
    """Names of the engines whose packages are installed."""
    return sorted(
        name
        for name in _ENGINES
        if name not in _NEEDS or importlib.util.find_spec(_NEEDS[name]) is not None
    )


def get(name: str) -> Engine:
    """The engine of this name, loaded when first asked for.

    Raises:
        ShapeError: RV107, for an unknown name.
        EnvironmentFault: RV801, where the package that it needs is missing.
    """
    if name not in _ENGINES:
        raise unknown_name("engine", name, _ENGINES)
    if name not in _loaded:
        _loaded[name] = importlib.import_module(_ENGINES[name]).ENGINE
    return _loaded[name]
