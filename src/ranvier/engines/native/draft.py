"""A plan in the making: steps with what they read and write, before placement."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from ranvier.engines.native.plan import (
    ARENA,
    CONSTANT,
    EXTERNAL,
    OWN,
    Elementwise,
    PlanBuilder,
    Ref,
)
from ranvier.engines.native.programs import Place
from ranvier.engines.native.values import Buffer, View

#: Which worker touches which part. Equal keys: the same worker touches the same part.
#: ``None``: any worker may touch any part.
Share: TypeAlias = tuple[Any, ...] | None

ALIGN = 64
TAIL = 256
#: Below so many nanoseconds of work a step is not worth sharing.
SHARE_NS = 1500.0
#: Up to so many workers each gathers all rows of a batch that all of them read: memory
#: that another core has written arrives line by line, later than a copy of one's own.
GATHERERS = 4


@dataclass
class Access:
    """Bytes of a buffer that a step touches, and how workers share them."""

    buffer: Buffer
    low: int
    high: int
    share: Share = None


@dataclass
class Draft:
    """One step.

    Attributes:
        kernel: Name of the kernel.
        refs: Its buffers, as views or ``None``; several views may begin at one place.
        dims: Its integers.
        scalars: Its numbers.
        units: Work units.
        program: Elementwise program.
        reads: What it reads.
        writes: What it writes.
        cost: Nanoseconds on one worker, roughly.
        guard: Stop before this step when bad data was met.
        checks: It may report bad data.
        label: Where it comes from, for the text form.
        single: 1: one worker runs it alone; 2: each runs all of it (see `divide`).
        barrier: 1: wait for all workers before it; 2: and stop here after a fault.
    """

    kernel: str
    refs: list[Place | None] = field(default_factory=list)
    dims: list[int] = field(default_factory=list)
    scalars: list[float] = field(default_factory=list)
    units: int = 1
    program: Elementwise | None = None
    reads: list[Access] = field(default_factory=list)
    writes: list[Access] = field(default_factory=list)
    cost: float = 0.0
    guard: bool = False
    checks: bool = False
    label: str = ""
    single: int = 0
    barrier: int = 0


def access(view: View, share: Share = None) -> Access:
    """All that a view may touch."""
    assert view.buffer is not None
    low, size = view.extent()
    return Access(view.buffer, low, low + size, share)


def divide(steps: Sequence[Draft], keep: Sequence[Buffer], workers: int) -> None:
    """Decide which steps workers share, one runs alone, or each runs for itself.

    What is too small to share but read by all is cheaper computed by each of them, into
    memory of its own (buffers of space ``"own"``), than by one while the others wait and
    then fetch it from that one's cache. The same holds for gathering a batch that every
    worker reads whole.

    Args:
        steps: The plan.
        keep: Buffers read after the last step: these stay in common.
        workers: How many there are.
    """
    for step in steps:
        step.single = int(step.units <= 1 or step.cost < SHARE_NS)
    if workers == 1:
        return
    readers: dict[Buffer, list[tuple[Draft, Access]]] = {}
    writers: dict[Buffer, list[Draft]] = {}
    for step in steps:
        for a in step.reads:
            readers.setdefault(a.buffer, []).append((step, a))
        for a in step.writes:
            writers.setdefault(a.buffer, []).append(step)

    def may(step: Draft) -> bool:
        if not step.writes or any(
            a.buffer.space != "arena" or a.buffer in keep for a in step.writes
        ):
            return False
        if step.single:
            # A variable that one worker updates comes from its cache to each, and has to
            # be taken back from them.
            fetched = {
                (a.low, a.high)
                for a in step.reads
                if a.buffer.space == "slot" and a.buffer in writers
            }
            made = sum(a.high - a.low for a in step.writes)
            return 2 * sum(high - low for low, high in fetched) <= made
        if step.kernel != "gather":
            return False
        return workers <= GATHERERS and all(
            reader.single or read.share is None
            for a in step.writes
            for reader, read in readers.get(a.buffer, ())
        )

    each = {id(step) for step in steps if may(step)}
    # All that writes a buffer must agree, and somebody beside the first worker read it.
    while True:
        dropped = {
            id(step)
            for step in steps
            if id(step) in each
            and not (
                all(id(w) in each for a in step.writes for w in writers[a.buffer])
                and any(
                    id(reader) in each - {id(step)} or not reader.single
                    for a in step.writes
                    for reader, _ in readers.get(a.buffer, ())
                )
            )
        }
        if not dropped:
            break
        each -= dropped
    for step in steps:
        if id(step) in each:
            step.single = 2
            for a in step.writes:
                a.buffer.space = "own"


def place_buffers(steps: Sequence[Draft], keep: Sequence[Buffer], space: str) -> int:
    """Give every buffer of a space an offset; those not alive together may share room.

    Args:
        steps: The plan.
        keep: Buffers read after the last step.
        space: ``"arena"`` or ``"own"``.

    Returns:
        Size of the space.
    """
    first: dict[Buffer, int] = {}
    last: dict[Buffer, int] = {}
    for i, step in enumerate(steps):
        for a in (*step.reads, *step.writes):
            if a.buffer.space == space:
                first.setdefault(a.buffer, i)
                last[a.buffer] = i
    for buffer in keep:
        if buffer.space == space:
            first.setdefault(buffer, 0)
            last[buffer] = len(steps)
    placed: list[tuple[int, int, Buffer]] = []
    total = 0
    for buffer in sorted(first, key=lambda b: (-b.nbytes, first[b])):
        size = -(-(buffer.nbytes + TAIL) // ALIGN) * ALIGN
        offset = 0
        for low, high, other in placed:
            alive = first[other] <= last[buffer] and first[buffer] <= last[other]
            if alive and low < offset + size and offset < high:
                offset = high
        buffer.offset = offset
        placed.append((offset, offset + size, buffer))
        placed.sort(key=lambda p: p[0])
        total = max(total, offset + size)
    return total


#: The share of a step that one worker runs.
ALONE: Share = ("one",)
#: A touched range of memory: space, first byte, end, share, whether it is written.
Touch: TypeAlias = tuple[int, int, int, Share, bool]


def place_barriers(steps: Sequence[Draft], workers: int) -> None:
    """Mark the steps that must wait for all workers before.

    A step waits when it touches bytes that another worker may have touched since the
    last wait, one of the two writing. The plan runs again for the next batch, so its
    first steps are looked at behind its last ones too. As few waits as possible; each
    then stands where workers come to it at about the same time.
    """
    for step in steps:
        step.barrier = 2 if step.guard else 0
    if workers == 1:
        return
    touches = [_touches(step) for step in steps]
    n = len(steps)
    # For each step, the last one before it, in this round or the one before, that it
    # must not overtake: somewhere behind that one, all workers meet.
    needs: list[tuple[int, int]] = []
    for j in range(n):
        for i in range(j - 1, j - n - 1, -1):
            if _clash(touches[j], touches[i]):
                needs.append((i, j))
                break
    marks = {j for j, step in enumerate(steps) if step.guard}
    for own_round in (True, False):  # then the waits of the round before are known
        for i, j in needs:
            if (i >= 0) == own_round and not _met(i, j, marks, n):
                marks.add(j)
    for mark in sorted(marks):
        if steps[mark].guard:
            continue
        others = marks - {mark}
        mine = [(i, j) for i, j in needs if not _met(i, j, others, n)]
        before = max((m for m in others if m < mark), default=0)
        behind = min((m for m in others if m > mark), default=n)
        allowed = [
            at
            for at in range(before, mark + 1)
            if all(_met(i, j, {at}, n) for i, j in mine)
        ]
        best = min(
            allowed,
            key=lambda at: (
                _span(steps[before:at], workers) + _span(steps[at:behind], workers)
            ),
        )
        marks = others | {best}
    for mark in marks:
        steps[mark].barrier = max(steps[mark].barrier, 1)


def _met(i: int, j: int, marks: Set[int], n: int) -> bool:
    """Whether there is a wait behind step ``i`` and not behind step ``j``.

    A negative ``i`` counts from the end of the round before.
    """
    return any(i < at <= j for mark in marks for at in (mark, mark - n))


def _touches(step: Draft) -> list[Touch]:
    return [
        (
            _space(a.buffer),
            *_range(a),
            a.share if not step.single else ALONE if step.single == 1 else None,
            write,
        )
        for accesses, write in ((step.reads, False), (step.writes, True))
        for a in accesses
        if a.buffer.space != "own"
    ]


def _span(steps: Sequence[Draft], workers: int) -> float:
    """Nanoseconds until the last worker has run these steps."""
    first = rest = 0.0
    for step in steps:
        own = step.cost if step.single else step.cost / workers
        first += own
        rest += 0.0 if step.single == 1 else own
    return max(first, rest)


def _clash(own: Sequence[Touch], others: Sequence[Touch]) -> bool:
    return any(
        (w1 or w2)
        and s1 == s2
        and low1 < high2
        and low2 < high1
        # Equal shares of different ranges are not the same bytes; but a step on one
        # worker comes after any other step on it.
        and (k1 is None or k1 != k2 or (k1 != ALONE and (low1, high1) != (low2, high2)))
        for s1, low1, high1, k1, w1 in own
        for s2, low2, high2, k2, w2 in others
    )


def _space(buffer: Buffer) -> int:
    return -1 if buffer.space == "arena" else id(buffer)


def _range(a: Access) -> tuple[int, int]:
    base = a.buffer.offset if a.buffer.space == "arena" else 0
    return base + a.low, base + a.high


def emit(
    steps: Sequence[Draft], slots: Sequence[Buffer], constants: dict[Buffer, Any]
) -> PlanBuilder:
    """Hand the placed steps over to the plan builder."""
    builder = PlanBuilder()
    for buffer in slots:
        strided = isinstance(buffer.key, str)
        builder.external(buffer.nbytes, writable=not strided, strided=strided)
    fixed = {buffer: builder.constant(array) for buffer, array in constants.items()}
    builder.constant(np.zeros(TAIL, np.uint8))  # kernels may read this far behind
    for step in steps:
        refs: list[Ref | None] = []
        for at in step.refs:
            if at is None:
                refs.append(None)
                continue
            buffer, offset = at
            room = buffer.nbytes - offset
            if buffer.space == "arena":
                builder.arena_at(buffer.offset, buffer.nbytes + TAIL)
                refs.append(Ref(ARENA, 0, buffer.offset + offset, room))
            elif buffer.space == "own":
                builder.own_at(buffer.offset, buffer.nbytes + TAIL)
                refs.append(Ref(OWN, 0, buffer.offset + offset, room))
            elif buffer.space == "slot":
                refs.append(Ref(EXTERNAL, buffer.slot, offset, room))
            else:
                refs.append(Ref(CONSTANT, 0, fixed[buffer].offset + offset, room))
        builder.step(
            step.kernel,
            refs,
            step.dims,
            step.scalars,
            units=max(step.units, 1),
            barrier=step.barrier,
            single=step.single,
            program=step.program,
        )
    return builder
