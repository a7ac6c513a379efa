"""A plan in the making: steps with what they read and write, before placement."""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
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
from ranvier.engines.native.values import Buffer, Moving, View

#: Which worker touches which part. Equal keys: the same worker touches the same part.
#: ``None``: any worker may touch any part.
Share: TypeAlias = tuple[Any, ...] | None

ALIGN = 64
TAIL = 256
#: Below so many nanoseconds of work a step is not worth sharing.
SHARE_NS = 1500.0
#: Nanoseconds for a byte of state that others have read since its owner wrote it: the
#: next write waits until they have given it up. Measured on weights of 100 KiB.
GIVE_NS = 0.6
#: Up to so many workers each gathers all rows of a batch that all of them read: memory
#: that another core has written arrives line by line, later than a copy of one's own.
GATHERERS = 4
#: Bytes of a batch up to which that holds: more leaves the near caches either way, and
#: each core would fetch all of it from memory.
GATHERED_BYTES = 1 << 20


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
        body: For a loop: how many of the steps behind it are in it, also in inner ones.
        rounds: For a loop: how often they run; -1 as long as its flag says. A flag is
            the first of ``refs``, and one of ``reads``.
        until: For a loop with a flag: it runs while that is false.
        together: Shared however small it is: no worker waits for another there.
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
    body: int = 0
    rounds: int = 1
    until: bool = False
    together: bool = False

    @property
    def loop(self) -> bool:
        """Whether it is the head of a loop or branch."""
        return self.kernel == "loop"


def access(view: View, share: Share = None) -> Access:
    """All that a view may touch.

    Args:
        view: What is read or written.
        share: Which part of it a worker touches: of rows, columns or numbers of the
            view. Which bytes these are depends on how it lies, and a buffer may come to
            lie where another one lay otherwise.
    """
    assert view.buffer is not None
    low, size = view.extent()
    if share is not None:
        by_columns = share[0] in ("columns", "blocks")
        row = view.shape[-1:] if by_columns and not view.panel else ()
        share = (share, view.panel, view.columns, row)
    buffer, high = view.buffer, low + size
    while isinstance(buffer, Moving):
        # All that any round touches. Rounds touch parts that do not overlap, and within
        # a round equal shares are the same bytes as ever.
        if share is not None:
            share = ("moving", buffer, low, high, share)
        far = buffer.step * (buffer.rounds - 1)
        low += buffer.start + min(far, 0)
        high += buffer.start + max(far, 0)
        buffer = buffer.base
    return Access(buffer, low, high, share)


def total_cost(steps: Sequence[Draft]) -> float:
    """Nanoseconds of all steps on one worker, roughly; rounds that nobody knows are 8."""
    total, at = 0.0, 0
    while at < len(steps):
        step = steps[at]
        inside = steps[at + 1 : at + 1 + step.body]
        rounds = step.rounds if step.rounds >= 0 else 8
        total += step.cost + (rounds * total_cost(inside) if inside else 0.0)
        at += 1 + step.body
    return total


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
    kept = _divided_updates(steps)
    for step in steps:
        # Every worker looks at the flag of a loop.
        small = step.units <= 1 or (
            step.cost + _given(step, kept) * GIVE_NS / workers < SHARE_NS
            and not step.together
        )
        step.single = int(small and not step.loop)
    if workers == 1 or any(step.loop for step in steps):
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
        made = sum(a.high - a.low for a in step.writes)
        if step.single:
            # A variable that one worker updates comes from its cache to each, and has to
            # be taken back from them.
            fetched = {
                (a.low, a.high)
                for a in step.reads
                if a.buffer.space == "slot" and a.buffer in writers
            }
            return 2 * sum(high - low for low, high in fetched) <= made
        if step.kernel != "gather" or made > GATHERED_BYTES:
            return False
        return workers <= GATHERERS and all(
            reader.single or read.share is None
            for a in step.writes
            for reader, read in readers.get(a.buffer, ())
        )

    each = {id(step) for step in steps if may(step)}

    def stays(step: Draft) -> bool:
        # All that writes a buffer must agree, and somebody beside the first worker
        # read it.
        return all(
            id(w) in each for a in step.writes for w in writers[a.buffer]
        ) and any(
            (reader is not step and id(reader) in each) or not reader.single
            for a in step.writes
            for reader, _ in readers.get(a.buffer, ())
        )

    doubtful = [step for step in reversed(steps) if id(step) in each]
    while doubtful:
        step = doubtful.pop()
        if id(step) not in each or stays(step):
            continue
        each.discard(id(step))
        for a in (*step.reads, *step.writes):  # those that counted on it
            doubtful.extend(writers.get(a.buffer, ()))
    for step in steps:
        if id(step) in each:
            step.single = 2
            for a in step.writes:
                a.buffer.space = "own"


def _divided_updates(steps: Sequence[Draft]) -> set[tuple[Buffer, Share]]:
    """Parts of state that workers keep each for itself, as their updates divide them."""
    return {
        (a.buffer, a.share)
        for step in steps
        if step.units > 1 and step.cost >= SHARE_NS
        for a in step.writes
        if a.buffer.space == "slot" and a.share is not None
    }


def _given(step: Draft, kept: set[tuple[Buffer, Share]]) -> int:
    """Bytes that their owners would give away if one worker ran a step alone."""
    return sum(a.high - a.low for a in step.reads if (a.buffer, a.share) in kept)


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
    for i, step in enumerate(steps):
        # What a loop finds or leaves is alive in all its rounds.
        if step.loop and step.rounds != 1:
            end = i + step.body
            for buffer in first:
                before, after = first[buffer] <= i, last[buffer] > end
                if (before and last[buffer] >= i) or (after and first[buffer] <= end):
                    first[buffer] = min(first[buffer], i)
                    last[buffer] = max(last[buffer], end)
    placed: list[tuple[int, int, int, int]] = []  # from, to; first and last step
    total = 0
    for buffer in sorted(first, key=lambda b: (-b.nbytes, first[b])):
        size = -(-(buffer.nbytes + TAIL) // ALIGN) * ALIGN
        offset, begin, end = 0, first[buffer], last[buffer]
        for low, high, born, dead in placed:
            if low >= offset + size:
                break  # all others lie further up
            if offset < high and born <= end and begin <= dead:
                offset = high
        buffer.offset = offset
        insort(placed, (offset, offset + size, begin, end), key=lambda p: p[0])
        total = max(total, offset + size)
    return total


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
    moves = _moves(steps)
    for number, step in enumerate(steps):
        refs: list[Ref | None] = []
        for at in step.refs:
            if at is None:
                refs.append(None)
                continue
            buffer, offset = at
            room = buffer.nbytes - offset
            while isinstance(buffer, Moving):
                offset += buffer.start
                buffer = buffer.base
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
        if step.loop:
            builder.loop(
                step.body,
                step.rounds,
                moves.get(number, ()),
                barrier=step.barrier,
                flag=refs[0] if refs else None,
                until=step.until,
            )
            continue
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


def _moves(steps: Sequence[Draft]) -> dict[int, list[tuple[int, int, int]]]:
    """For each loop: step of its body, buffer, and bytes that it moves on by a round."""
    number = {id(step): i for i, step in enumerate(steps)}
    found: dict[int, list[tuple[int, int, int]]] = {}
    for i, step in enumerate(steps):
        for k, at in enumerate(step.refs):
            buffer = at[0] if at is not None else None
            while isinstance(buffer, Moving):
                loop = number[id(buffer.loop)]
                if buffer.step and buffer.rounds > 1:
                    move = (i - loop - 1, k, buffer.step)
                    found.setdefault(loop, []).append(move)
                buffer = buffer.base
    return found
