"""Where workers wait for each other: as few waits as possible, in the best places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from ranvier.engines.native.draft import Access, Draft, Share
from ranvier.engines.native.values import Buffer

#: The share of a step that one worker runs.
ALONE: Share = ("one",)
#: A touched range of memory: space, first byte, end, share, whether it is written.
Touch: TypeAlias = tuple[int, int, int, Share, bool]


def place_barriers(steps: Sequence[Draft], workers: int) -> None:
    """Mark the steps that must wait for all workers before.

    A step waits when it touches bytes that another worker may have touched since the
    last wait, one of the two writing. The plan runs again for the next batch, so its
    first steps are looked at behind its last ones too; so are those of a loop.
    """
    for step in steps:
        step.barrier = 2 if step.guard else 0
    if workers == 1:
        return
    touches = [_touches(step) for step in steps]
    since = _wait(steps, touches, range(len(steps)), [])
    _wait(steps, touches, range(len(steps)), since, again=True)
    if not any(step.loop for step in steps):
        _settle(steps, touches, workers)


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


def _settle(
    steps: Sequence[Draft], touches: Sequence[list[Touch]], workers: int
) -> None:
    """Move each wait to where the workers come to it at about the same time."""
    n = len(steps)
    # For each step, the last one before it, in this round or the one before, that it
    # must not overtake: somewhere behind that one, all workers meet.
    needs: list[tuple[int, int]] = []
    for j in range(n):
        for i in range(j - 1, j - n - 1, -1):
            if _clash(touches[j], touches[i]):
                needs.append((i, j))
                break
    marks = [j for j, step in enumerate(steps) if step.barrier]
    for k, mark in enumerate(marks):
        if steps[mark].guard:
            continue
        # What happens between two steps has no gaps: if a wait besides this one lies
        # there, one of this one's neighbours does (the first follows the last).
        beside = {marks[k - 1], marks[(k + 1) % len(marks)]} - {mark}
        mine = [
            (i, j)
            for i, j in needs
            if _met(i, j, mark, n) and not any(_met(i, j, at, n) for at in beside)
        ]
        before = marks[k - 1] if k else 0
        behind = marks[k + 1] if k + 1 < len(marks) else n
        marks[k] = min(
            (
                at
                for at in range(before, mark + 1)
                if all(_met(i, j, at, n) for i, j in mine)
            ),
            key=lambda at: (
                _span(steps[before:at], workers) + _span(steps[at:behind], workers)
            ),
        )
    kept = set(marks)
    for j, step in enumerate(steps):
        step.barrier = step.barrier if step.guard else int(j in kept)


def _met(i: int, j: int, mark: int, n: int) -> bool:
    """Whether a wait is behind step ``i`` and not behind step ``j``.

    A negative ``i`` counts from the end of the round before.
    """
    return i < mark <= j or i < mark - n <= j


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
