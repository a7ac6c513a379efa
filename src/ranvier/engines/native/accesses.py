"""Which bytes each worker reads and writes in a step: one rule for every kernel.

The rules say again what stands beside the kernels (``native/src/kernels/*.h``,
``moves.h``): how a step's units are shared out, and what a unit touches. They serve
proofs about plans (`races`), and are themselves tested against the kernels. Bytes that
a vector reads behind the last element, and that cannot change a result, do not count.

The rules themselves stand in `access_rules`.

Example:
    >>> spans(100, [(2, 40), (3, 4)], 4)  # two rows of three float32, 40 bytes apart
    array([[100, 112],
           [140, 152]])
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np

from ranvier.engines.native.plan import EXTERNAL, NONE, Step
from ranvier.engines.native.values import PANEL, itemsize
from ranvier.errors import InternalError

Array = np.ndarray[Any, Any]
#: A space and a slot in it.
Place: TypeAlias = tuple[int, int]
#: ``(count, stride)`` of an axis, in elements.
Axis: TypeAlias = tuple[int, int]
#: Beyond every buffer: rows of a data set have strides of their own.
EVERYWHERE = 1 << 62


def spans(start: int | Array, axes: Sequence[Axis], size: int) -> Array:
    """First byte and end of every stretch of a strided array.

    Args:
        start: Byte of the first element; an array of them for as many arrays.
        axes: Count and stride of each axis, in bytes.
        size: Bytes of an element.

    Returns:
        ``[n, 2]``, in no order.
    """
    starts = np.atleast_1d(np.asarray(start, np.int64))
    if any(count <= 0 for count, _ in axes):
        return np.empty((0, 2), np.int64)
    starts = starts + sum(s * (n - 1) for n, s in axes if s < 0)
    length = size
    for stride, count in sorted((abs(s), n) for n, s in axes if s and n > 1):
        if stride <= length:
            length += stride * (count - 1)
        else:
            starts = (starts[:, None] + stride * np.arange(count)).reshape(-1)
    return np.stack([starts, starts + length], axis=1)


def padded(n: int) -> int:
    """Columns of a row of a panel, padding included."""
    return -(-n // 16) * 16


class Part:
    """What one worker does in a step; the rules fill in what it touches.

    Attributes:
        reads: Stretches of memory that it reads.
        writes: Stretches that it writes.
    """

    def __init__(self, step: Step, worker: int, workers: int) -> None:
        self.step, self.worker = step, worker
        self.first = step.units * worker // workers
        self.last = step.units * (worker + 1) // workers
        self.reads: list[tuple[Place, Array]] = []
        self.writes: list[tuple[Place, Array]] = []

    def dim(self, i: int) -> int:
        """An integer of the step; 0 when it is not given."""
        return self.step.dims[i] if i < len(self.step.dims) else 0

    def has(self, buffer: int) -> bool:
        """Whether the step has this buffer."""
        refs = self.step.refs
        return buffer < len(refs) and refs[buffer].space != NONE

    def of(self, count: int) -> tuple[int, int]:
        """This worker's part of so many equal things."""
        if self.first >= self.last:
            return 0, 0
        units = self.step.units
        return count * self.first // units, count * self.last // units

    def read(
        self, buffer: int, at: int | Array, axes: Sequence[Axis], size: int
    ) -> None:
        """Elements from ``at`` on are read."""
        self._touch(self.reads, buffer, at, axes, size)

    def write(
        self, buffer: int, at: int | Array, axes: Sequence[Axis], size: int
    ) -> None:
        """Elements from ``at`` on are written."""
        self._touch(self.writes, buffer, at, axes, size)

    def _touch(
        self,
        to: list[tuple[Place, Array]],
        buffer: int,
        at: int | Array,
        axes: Sequence[Axis],
        size: int,
    ) -> None:
        if not self.has(buffer):
            return
        ref = self.step.refs[buffer]
        found = spans(ref.offset + at * size, [(n, s * size) for n, s in axes], size)
        if len(found):
            to.append(((ref.space, ref.slot if ref.space == EXTERNAL else 0), found))

    # ------------------------------------------------------------------- programs

    def operands(self) -> Iterator[tuple[bool, int, int, Sequence[int], bool]]:
        """Operands in memory: written, buffer, bytes of an element, strides, panels."""
        if self.step.program is None:
            return
        _, ins, outs, _, _ = self.step.program.data()
        for write, side in ((False, ins), (True, outs)):
            for buffer, dtype, _, _, strides, panel in side:
                if buffer >= 0:
                    yield write, buffer, itemsize(dtype), strides, panel

    def block(self, r0: int, rows: int, c0: int, columns: int, whole: bool) -> None:
        """A program of two axes runs on a block of them.

        Args:
            r0: First row.
            rows: How many.
            c0: First column.
            columns: How many.
            whole: Rows of a panel are run padding and all.
        """
        program = self.step.program
        if program is None:
            return
        for write, buffer, size, strides, panel in self.operands():
            touch = self.write if write else self.read
            if panel:
                first = c0 // PANEL * PANEL
                lead = min(PANEL, padded(program.dims[1] - first))
                at = first * program.dims[0] + r0 * lead + c0 - first
                wide = padded(columns) if whole else columns
                touch(buffer, at, [(rows, lead), (wide, 1)], size)
            else:
                at = r0 * strides[0] + c0 * strides[1]
                touch(buffer, at, [(rows, strides[0]), (columns, strides[1])], size)


Rule: TypeAlias = Callable[[Part], None]
#: The rule of every kernel.
RULES: dict[str, Rule] = {}


def rule(*kernels: str) -> Callable[[Rule], Rule]:
    """Register what kernels touch."""

    def register(fn: Rule) -> Rule:
        for kernel in kernels:
            RULES[kernel] = fn
        return fn

    return register


def touched(step: Step, worker: int, workers: int) -> Part:
    """What a worker reads and writes in a step.

    Args:
        step: The step.
        worker: Number of the worker.
        workers: How many there are.

    Raises:
        InternalError: RV903, for a kernel without a rule.
    """
    if step.kernel not in RULES:
        raise InternalError(
            "RV903",
            f"nobody has said what the kernel {step.kernel} touches",
            fix="add its rule to engines/native/access_rules.py",
        )
    # 1: the first worker runs it alone; 2: each runs all of it, for itself.
    alone = bool(step.single)
    part = Part(step, 0 if alone else worker, 1 if alone else workers)
    if step.single == 2 or not (alone and worker):
        RULES[step.kernel](part)
    return part
