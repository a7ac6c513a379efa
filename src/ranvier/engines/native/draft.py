"""A plan in the making: steps with what they read and write, before placement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from ranvier.engines.native.plan import (
    ARENA,
    CONSTANT,
    EXTERNAL,
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
        label: Where it comes from, for the text form.
        body: For a loop: how many of the steps behind it are in it, also in inner ones.
        rounds: For a loop: how often they run; -1 as long as its flag says. A flag is
            the first of ``refs``, and one of ``reads``.
        until: For a loop with a flag: it runs while that is false.
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
    single: bool = False
    barrier: int = 0
    body: int = 0
    rounds: int = 1
    until: bool = False

    @property
    def loop(self) -> bool:
        """Whether it is the head of a loop or branch."""
        return self.kernel == "loop"


def access(view: View, share: Share = None) -> Access:
    """All that a view may touch."""
    assert view.buffer is not None
    low, size = view.extent()
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


def place_arena(steps: Sequence[Draft], keep: Sequence[Buffer]) -> int:
    """Give every arena buffer an offset; buffers not alive together may share room.

    Args:
        steps: The plan.
        keep: Buffers read after the last step.

    Returns:
        Size of the arena.
    """
    first: dict[Buffer, int] = {}
    last: dict[Buffer, int] = {}
    for i, step in enumerate(steps):
        for a in (*step.reads, *step.writes):
            if a.buffer.space == "arena":
                first.setdefault(a.buffer, i)
                last[a.buffer] = i
    for buffer in keep:
        if buffer.space == "arena":
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
    """Mark steps that run on one worker, and those that must wait for all before.

    A step waits when it touches bytes that another worker may have touched since the
    last wait, one of the two writing. The plan runs again for the next batch, so its
    first steps are looked at behind its last ones too; so are those of a loop.
    """
    touches: list[list[Touch]] = []
    for step in steps:
        # Every worker looks at the flag of a loop.
        step.single = not step.loop and (step.units <= 1 or step.cost < SHARE_NS)
        touches.append(
            [
                (
                    _space(a.buffer),
                    *_range(a),
                    ALONE if step.single else a.share,
                    write,
                )
                for accesses, write in ((step.reads, False), (step.writes, True))
                for a in accesses
            ]
        )
        if step.guard:
            step.barrier = 2
    if workers == 1:
        return
    whole = range(len(steps))
    since = _wait(steps, touches, whole, [])
    _wait(steps, touches, whole, since, again=True)


def _wait(
    steps: Sequence[Draft],
    touches: Sequence[list[Touch]],
    part: range,
    since: list[Touch],
    again: bool = False,
) -> list[Touch]:
    """Place barriers in a part of the plan.

    Args:
        steps: The plan.
        touches: Of each step.
        part: Which steps.
        since: What was touched since the last wait.
        again: They have been looked at before: nothing is new behind a wait.

    Returns:
        What has been touched since the last wait at the end.
    """
    at = part.start
    while at < part.stop:
        step, inside = steps[at], range(at + 1, at + 1 + steps[at].body)
        if step.loop and not step.refs:
            since = _wait_rounds(steps, touches, at, inside, since)
        elif step.loop:
            since = _wait_test(steps, touches, at, inside, since)
        else:
            since = _wait_one(step, touches[at], since)
        if again and step.barrier:
            break
        at = inside.stop
    return since


def _wait_one(step: Draft, own: list[Touch], since: list[Touch]) -> list[Touch]:
    if not step.barrier and _clash(own, since):
        step.barrier = 1
    return list(own) if step.barrier else since + own


def _wait_rounds(
    steps: Sequence[Draft],
    touches: Sequence[list[Touch]],
    at: int,
    inside: range,
    since: list[Touch],
) -> list[Touch]:
    """A loop of so many rounds: from one to the next, then once before the first."""
    after = _wait(steps, touches, inside, [])
    after = _wait(steps, touches, inside, after)
    first: list[Touch] = []
    waits = False
    for i in _surely(steps, inside):
        if steps[i].barrier:
            waits = True
            break
        first += touches[i]
    if not waits:
        first = [t for i in inside for t in touches[i]]
    if _clash(first, since):
        steps[at].barrier = 1
    return after if waits or steps[at].barrier else since + after


def _surely(steps: Sequence[Draft], part: range) -> Iterator[int]:
    """Steps in order as far as each of them runs, up to the first branch."""
    for i in part:
        yield i
        if steps[i].loop and steps[i].refs:
            return


def _wait_test(
    steps: Sequence[Draft],
    touches: Sequence[list[Touch]],
    at: int,
    inside: range,
    since: list[Touch],
) -> list[Touch]:
    """A loop or branch with a flag, which is looked at before every round."""
    found = since = _wait_one(steps[at], touches[at], since)
    since = _wait(steps, touches, inside, since)
    if steps[at].rounds != 1:
        since = _wait_one(steps[at], touches[at], since)
        since = _wait(steps, touches, inside, since)
        since = _wait_one(steps[at], touches[at], since)
    return list(dict.fromkeys(since + found))  # it may also have been none


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
