"""What crosses from one core to another, and how long a plan takes with that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from ranvier.engines.native.draft import GIVE_NS, Access, Draft, Share, total_cost
from ranvier.engines.native.values import Buffer
from ranvier.engines.native.waits import ALONE

#: Nanoseconds for a byte that comes from another core's cache, in a stream.
FETCH_NS = 0.12
#: Nanoseconds until all workers have met.
MEET_NS = 300.0
#: Nanoseconds of work below which it is not worth waking a second worker.
ALONE_NS = 6000.0
#: What more workers are expected to gain at least for long steps, and for short ones
#: whose estimate errs more; and from which gain on they are the better guess.
SURE, SURE_SHORT, LIKELY = 1.2, 1.6, 1.25
#: Nanoseconds of a long step.
LONG_NS = 2e6


@dataclass(slots=True)
class _Part:
    """Bytes of a buffer, and who has written them last."""

    low: int
    high: int
    share: Share
    everywhere: bool = False  # read by others since


def _effective(step: Draft, access: Access) -> Share:
    if step.single == 1:
        return ALONE
    return None if step.single == 2 else access.share


def crossing_ns(steps: Sequence[Draft], workers: int) -> float:
    """Nanoseconds for what crosses in one round of a plan that runs again and again.

    Args:
        steps: The plan, divided, without loops.
        workers: How many there are.
    """
    written: dict[Buffer, list[_Part]] = {}
    total = 0.0
    for count in (False, True):  # the second round finds what the first has left
        for step in steps:
            for a in step.reads:
                if a.buffer.space == "own":
                    continue
                share = _effective(step, a)
                for part in written.get(a.buffer, ()):
                    size = min(part.high, a.high) - max(part.low, a.low)
                    if size <= 0 or part.everywhere or _same(part, a, share):
                        continue
                    part.everywhere = True
                    if count:
                        ns = FETCH_NS * (workers - 1)
                        if a.buffer.space == "slot":
                            ns += GIVE_NS
                        total += size * ns / workers
            for a in step.writes:
                if a.buffer.space == "own":
                    continue
                share = _effective(step, a)
                parts = written.setdefault(a.buffer, [])
                parts[:] = [p for p in parts if p.high <= a.low or p.low >= a.high]
                parts.append(_Part(a.low, a.high, share))
    return total


def _same(part: _Part, read: Access, share: Share) -> bool:
    """Whether every worker reads what it wrote itself."""
    if share is None or share != part.share:
        return False
    return share == ALONE or (part.low, part.high) == (read.low, read.high)


def plan_ns(steps: Sequence[Draft], workers: int) -> float:
    """Nanoseconds of one round of several workers, roughly.

    Args:
        steps: The plan, divided and with its waits, without loops.
        workers: How many there are.
    """
    total = crossing_ns(steps, workers)
    first = rest = 0.0
    for step in steps:
        if step.barrier == 1:
            total += max(first, rest) + MEET_NS
            first = rest = 0.0
        own = step.cost
        if not step.single:  # the largest number of units that one worker has
            own *= -(-step.units // workers) / step.units
        first += own
        rest += 0.0 if step.single == 1 else own
    return total + max(first, rest)


class Verdict(Enum):
    """How many workers a plan gets."""

    ONE = "one is faster"
    PERHAPS_ONE = "one may be faster: try both"
    PERHAPS_SEVERAL = "several may be faster: try both"
    SEVERAL = "several are faster"


def judge(steps: Sequence[Draft], workers: int) -> Verdict:
    """Whether several workers are faster than one would be.

    Args:
        steps: The plan for several, divided and with its waits.
        workers: How many there are.
    """
    alone = total_cost(steps)
    if workers == 1 or alone < ALONE_NS:
        return Verdict.ONE
    if any(step.loop for step in steps):
        return Verdict.PERHAPS_SEVERAL
    gain = alone / plan_ns(steps, workers)
    if gain > (SURE if alone >= LONG_NS else SURE_SHORT):
        return Verdict.SEVERAL
    if gain > LIKELY:
        return Verdict.PERHAPS_SEVERAL
    return Verdict.PERHAPS_ONE if gain > 1 / SURE_SHORT else Verdict.ONE
