"""Proof that the workers of a plan do not meet in memory.

While no wait lies between two steps, one worker may be at the first and another one at
the second. Then neither may write bytes that the other touches. The end of a batch is no
wait: a worker may begin the next batch while others still finish this one. Run on every
plan in tests (RANVIER_VERIFY=1).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ranvier.engines.native import access_rules as _rules  # noqa: F401  (fills the table)
from ranvier.engines.native import access_sequences as _sequences  # noqa: F401  (the same)
from ranvier.engines.native import access_windows as _windows  # noqa: F401  (the same)
from ranvier.engines.native.accesses import Part, Place, touched
from ranvier.engines.native.plan import ARENA, CONSTANT, OWN, PlanBuilder, Step
from ranvier.errors import InternalError

Array = np.ndarray[Any, Any]
#: Rounds that stand for all of a loop whose length nobody knows: its addresses stay.
ROUNDS = 2


@dataclass(frozen=True)
class Race:
    """Bytes that one worker writes and another one touches, with no wait between.

    Attributes:
        place: Space and slot.
        low: First byte.
        high: End.
        steps: Kernels of the two steps.
        text: All of it in words.
    """

    place: Place
    low: int
    high: int
    steps: tuple[str, str]
    text: str


def check(builder: PlanBuilder, workers: int) -> None:
    """Prove a plan free of races.

    Args:
        builder: The plan.
        workers: How many run it.

    Raises:
        InternalError: RV903, naming the steps that meet, and where.
    """
    if workers < 2:
        return
    for race in find(builder, workers):
        raise InternalError(
            "RV903",
            f"two workers of a plan meet in memory: {race.text}",
            details=f"with {workers} workers and no wait between these steps",
            fix="see what the steps say they share in engines/native/draft.py",
        )


def find(builder: PlanBuilder, workers: int) -> Iterator[Race]:
    """Every pair of steps at which two workers may meet.

    Args:
        builder: The plan.
        workers: How many run it.
    """
    flow = Flow(builder)
    touches = [_Touches(step, workers) for step in flow.steps]
    for i, own in enumerate(touches):
        for j in (i, *flow.behind(i)):
            race = _meeting(own, touches[j], i, j)
            if race is not None:
                yield race


# -------------------------------------------------------------------------------- flow


class Flow:
    """The steps as they run, loops walked round by round, and what may follow what.

    Attributes:
        steps: Each as it is run once; a look at the flag of a loop is a step too.
        after: For each step, the numbers of those that may come next.
    """

    def __init__(self, builder: PlanBuilder) -> None:
        self.loops = builder.loops
        self.steps: list[Step] = []
        self.after: list[list[int]] = []
        waits = self._waits_outside(builder.steps)
        first = self._add(Step("batch", barrier=0 if waits else 1), [])
        ends = self._walk(builder.steps, [first])
        for end in ends:
            self.after[end].append(first)  # the next batch

    def _waits_outside(self, steps: Sequence[Step]) -> bool:
        """Whether a batch waits somewhere: if not, the executor waits at its begin."""
        i = 0
        while i < len(steps):
            if steps[i].barrier:
                return True
            i += 1 + (self.loops[steps[i].loop][0] if steps[i].loop >= 0 else 0)
        return False

    def _add(self, step: Step, before: Sequence[int]) -> int:
        self.steps.append(step)
        self.after.append([])
        for i in before:
            self.after[i].append(len(self.steps) - 1)
        return len(self.steps) - 1

    def _walk(self, steps: Sequence[Step], before: list[int]) -> list[int]:
        """Append steps; returns those after which what follows may begin."""
        i = 0
        while i < len(steps):
            step = steps[i]
            i += 1
            if step.loop < 0:
                before = [self._add(step, before)]
                continue
            size = self.loops[step.loop][0]
            before = self._loop(step, list(steps[i : i + size]), before)
            i += size
        return before

    def _loop(self, head: Step, body: list[Step], before: list[int]) -> list[int]:
        _, count, moves, test = self.loops[head.loop]
        if not test:
            # The head waits once, before the first round.
            before = [self._add(head, before)]
        looks: list[int] = []
        for _ in range(count if count >= 0 else ROUNDS):
            if test:
                looks.append(self._add(head, before))
                before = [looks[-1]]
            before = self._walk(body, before)
            for at, buffer, by in moves:
                refs = list(body[at].refs)
                refs[buffer] = refs[buffer]._replace(offset=refs[buffer].offset + by)
                body[at] = dataclasses.replace(body[at], refs=refs)
        if test and count != 1:
            looks.append(self._add(head, before))
            before = []
            if count < 0:
                self.after[looks[-1]] += self.after[looks[0]]
        return list(dict.fromkeys([*before, *looks]))

    def behind(self, i: int) -> list[int]:
        """Steps that may run after step ``i`` without a wait between."""
        found: dict[int, None] = {}
        stack = list(self.after[i])
        while stack:
            j = stack.pop()
            if j in found or self.steps[j].barrier:
                continue
            found[j] = None
            stack += self.after[j]
        return list(found)


# ------------------------------------------------------------------------------ memory


def merged(pieces: Sequence[Array]) -> Array:
    """Stretches of memory in order, joined where they meet."""
    if not pieces:
        return np.empty((0, 2), np.int64)
    found = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
    if len(found) == 1:
        return found
    found = found[np.argsort(found[:, 0], kind="stable")]
    ends = np.maximum.accumulate(found[:, 1])
    starts = np.flatnonzero(np.append(True, found[1:, 0] > ends[:-1]))
    return np.stack([found[starts, 0], ends[np.append(starts[1:] - 1, -1)]], axis=1)


def overlap(a: Array, b: Array) -> tuple[int, int] | None:
    """First bytes common to two merged lists of stretches."""
    if not len(a) or not len(b) or a[0, 0] >= b[-1, 1] or b[0, 0] >= a[-1, 1]:
        return None
    at = np.searchsorted(b[:, 1], a[:, 0], side="right")
    inside = at < len(b)
    inside[inside] = b[at[inside], 0] < a[inside, 1]
    if not inside.any():
        return None
    i = int(np.argmax(inside))
    low, high = max(a[i, 0], b[at[i], 0]), min(a[i, 1], b[at[i], 1])
    return int(low), int(high)


class _Touches:
    """What the workers write, and what they touch at all, in one step."""

    def __init__(self, step: Step, workers: int) -> None:
        self.kernel = step.kernel
        parts = [touched(step, w, workers) for w in range(workers)]
        self.writes = self._by_place(parts, False)
        self.all = self._by_place(parts, True)

    @staticmethod
    def _by_place(parts: Sequence[Part], reads: bool) -> dict[Place, list[Array]]:
        places: dict[Place, list[list[Array]]] = {}
        for worker, part in enumerate(parts):
            for place, pieces in (*part.writes, *(part.reads if reads else ())):
                if place[0] not in (CONSTANT, OWN):  # of OWN each has another
                    places.setdefault(place, [[] for _ in parts])[worker].append(pieces)
        return {place: [merged(own) for own in all_] for place, all_ in places.items()}


def _meeting(one: _Touches, other: _Touches, i: int, j: int) -> Race | None:
    for writer, toucher in ((one, other), (other, one)):
        for place, written in writer.writes.items():
            if place not in toucher.all:
                continue
            for a, mine in enumerate(written):
                for b, theirs in enumerate(toucher.all[place]):
                    found = overlap(mine, theirs) if a != b else None
                    if found is None:
                        continue
                    where = "the arena" if place[0] == ARENA else f"slot {place[1]}"
                    numbers = (i, j) if writer is one else (j, i)
                    text = (
                        f"bytes {found[0]} to {found[1]} of {where}: worker {a} writes "
                        f"them in step {numbers[0]} ({writer.kernel}), worker {b} "
                        f"touches them in step {numbers[1]} ({toucher.kernel})"
                    )
                    steps = (writer.kernel, toucher.kernel)
                    return Race(place, *found, steps, text)
    return None
