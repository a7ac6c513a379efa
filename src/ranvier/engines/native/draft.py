"""A plan in the making: steps with what they read and write, before placement."""

from __future__ import annotations

from collections.abc import Sequence
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
from ranvier.engines.native.values import Buffer, View

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
        body: For a loop: its steps.
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


def access(view: View, share: Share = None) -> Access:
    """All that a view may touch."""
    assert view.buffer is not None
    low, size = view.extent()
    return Access(view.buffer, low, low + size, share)


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
    first steps are looked at behind its last ones too.
    """
    touches: list[list[Touch]] = []
    for step in steps:
        step.single = step.units <= 1 or step.cost < SHARE_NS
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
    since: list[Touch] = []
    for step, own in zip(steps, touches, strict=True):
        if step.guard:
            step.barrier = 2
        elif workers > 1 and _clash(own, since):
            step.barrier = 1
        since = own if step.barrier else since + own
    for step, own in zip(steps, touches, strict=True):
        if step.barrier:
            break
        if workers > 1 and _clash(own, since):
            step.barrier = 1
            break
        since = since + own


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
