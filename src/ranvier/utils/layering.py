"""Where the boxes of a drawing stand, and how the arrows between them run.

Boxes are ranked by the longest way that leads to them, ordered within a rank so that few
arrows cross, and moved towards their neighbours. Lengths are along the flow of the
arrows, breadths across it: a drawing from top to bottom and one from left to right are
the same layout.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["PASSING", "Block", "Layout", "Link", "arrange"]

#: Between two boxes of a rank, between a box and a passing arrow, between two ranks.
_APART, PASSING, _BETWEEN = 24.0, 14.0, 36.0
#: How strongly an arrow wants to be straight: by how many of its ends are boxes.
_PULL = {2: 1.0, 1: 2.0, 0: 8.0}
#: The same for an arrow that is the only one behind a box and before the next.
_ONLY = 30.0
_SWEEPS, _SETTLING = 12, 150


@dataclass(frozen=True)
class Block:
    """A box to be placed.

    Attributes:
        breadth: its size across the flow.
        length: its size along the flow.
        last: whether it stands behind all others.
    """

    breadth: float
    length: float
    last: bool = False


@dataclass(frozen=True)
class Link:
    """An arrow between two boxes, by their numbers.

    Attributes:
        source: where it starts.
        target: where it ends.
        leaves: where on the source, across, from its middle.
        enters: where on the target, across, from its middle.
    """

    source: int
    target: int
    leaves: float = 0.0
    enters: float = 0.0


@dataclass
class Layout:
    """What `arrange` found.

    Attributes:
        places: the middle of each box across, and where it begins along the flow.
        routes: for each link the stretches along the flow on which it runs straight:
            where across, from, to. Between two stretches it bends.
        breadth: size of all of it across the flow.
        length: size of all of it along the flow.
    """

    places: list[tuple[float, float]]
    routes: list[list[tuple[float, float, float]]]
    breadth: float
    length: float


@dataclass
class _Spot:
    """A box, or where a long arrow passes through a rank."""

    rank: int
    breadth: float
    length: float
    box: bool
    at: float = 0.0
    #: Neighbours in the ranks before and behind, as (spot, pull, shift).
    before: list[tuple[int, float, float]] = field(default_factory=list)
    behind: list[tuple[int, float, float]] = field(default_factory=list)


def arrange(blocks: Sequence[Block], links: Sequence[Link]) -> Layout:
    """Places boxes and routes arrows.

    Args:
        blocks: the boxes.
        links: the arrows; cycles are allowed, an arrow from a box to itself is routed
            along its side.

    Example:
        >>> line = arrange([Block(10, 4), Block(10, 4)], [Link(0, 1)])
        >>> line.places
        [(5.0, 0.0), (5.0, 40.0)]
        >>> line.routes
        [[(5.0, 4.0, 4.0), (5.0, 40.0, 40.0)]]
    """
    turned = _turned(len(blocks), links)
    ranks = _ranks(blocks, links, turned)
    spots = [
        _Spot(r, b.breadth, b.length, True) for r, b in zip(ranks, blocks, strict=True)
    ]
    chains = [_chain(spots, link, i in turned) for i, link in enumerate(links)]
    _straighten(spots)
    rows: list[list[int]] = [[] for _ in range(max(ranks, default=-1) + 1)]
    for number, spot in enumerate(spots):
        rows[spot.rank].append(number)
    _order(spots, rows)
    _align(spots, rows)
    starts = _along(spots, rows)
    left = min((s.at - s.breadth / 2 for s in spots), default=0.0)
    right = max((s.at + s.breadth / 2 for s in spots), default=0.0)
    for spot in spots:
        spot.at -= left

    def stretch(number: int, shift: float) -> tuple[float, float, float]:
        spot = spots[number]
        from_ = starts[spot.rank][0]
        if not spot.box:
            return spot.at, from_, starts[spot.rank][1]
        middle = (from_ + starts[spot.rank][1]) / 2
        begin = middle - spot.length / 2
        return spot.at + shift, begin, begin + spot.length

    routes = []
    for i, (link, chain) in enumerate(zip(links, chains, strict=True)):
        if len(chain) == 1:
            routes.append([stretch(chain[0], 0.0)])
            continue
        ends = (link.enters, link.leaves) if i in turned else (link.leaves, link.enters)
        shifts = [ends[0], *[0.0] * (len(chain) - 2), ends[1]]
        route = [stretch(n, s) for n, s in zip(chain, shifts, strict=True)]
        # At its two boxes an arrow has no stretch: it leaves one and meets the other.
        route[0] = (route[0][0], route[0][2], route[0][2])
        route[-1] = (route[-1][0], route[-1][1], route[-1][1])
        if i in turned:
            route = [(at, to, from_) for at, from_, to in reversed(route)]
        routes.append(route)
    places = [stretch(n, 0.0)[:2] for n in range(len(blocks))]
    length = starts[-1][1] if starts else 0.0
    return Layout(places, routes, right - left, length)


# -- ranks ---------------------------------------------------------------------------


def _turned(count: int, links: Sequence[Link]) -> set[int]:
    """The links that close a cycle: ranks take them the other way round."""
    leaving: list[list[int]] = [[] for _ in range(count)]
    for i, link in enumerate(links):
        leaving[link.source].append(i)
    turned: set[int] = set()
    state = [0] * count  # 1 while what it leads to is followed, 2 afterwards
    for begin in range(count):
        if state[begin]:
            continue
        stack = [(begin, iter(leaving[begin]))]
        state[begin] = 1
        while stack:
            box, rest = stack[-1]
            for i in rest:
                target = links[i].target
                if state[target] == 1:
                    turned.add(i)
                elif not state[target]:
                    state[target] = 1
                    stack.append((target, iter(leaving[target])))
                    break
            else:
                state[box] = 2
                stack.pop()
    return turned


def _ranks(
    blocks: Sequence[Block], links: Sequence[Link], turned: set[int]
) -> list[int]:
    """The longest way to each box; what starts a way stands close to its first use."""
    count = len(blocks)
    behind: list[list[int]] = [[] for _ in range(count)]
    waiting = [0] * count
    for i, link in enumerate(links):
        if link.source == link.target:
            continue
        source, target = link.source, link.target
        if i in turned:
            source, target = target, source
        behind[source].append(target)
        waiting[target] += 1
    begins = [n for n in range(count) if not waiting[n]]
    ranks = [0] * count
    ready = list(begins)
    for box in ready:
        for target in behind[box]:
            ranks[target] = max(ranks[target], ranks[box] + 1)
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    for box in begins:
        if behind[box] and blocks[box].length:
            ranks[box] = min(ranks[target] for target in behind[box]) - 1
    end = max(ranks, default=0)
    return [end if b.last else r for b, r in zip(blocks, ranks, strict=True)]


def _chain(spots: list[_Spot], link: Link, turned: bool) -> list[int]:
    """The spots of a link, one a rank; those it passes through are made."""
    if link.source == link.target:
        spots[link.source].breadth += 2 * PASSING  # room for its loop
        return [link.source]
    ends = [(link.source, link.leaves), (link.target, link.enters)]
    if turned:
        ends.reverse()
    (first, out), (final, into) = ends
    chain = [first]
    for rank in range(spots[first].rank + 1, spots[final].rank):
        spots.append(_Spot(rank, 2.0, 0.0, False))
        chain.append(len(spots) - 1)
    chain.append(final)
    for i in range(len(chain) - 1):
        a, b = chain[i], chain[i + 1]
        pull = _PULL[spots[a].box + spots[b].box]
        shift = (out if i == 0 else 0.0) - (into if i == len(chain) - 2 else 0.0)
        spots[b].before.append((a, pull, shift))
        spots[a].behind.append((b, pull, -shift))
    return chain


def _straighten(spots: list[_Spot]) -> None:
    """Lets boxes in a line stand in a line."""
    for number, spot in enumerate(spots):
        if not spot.box or len(spot.behind) != 1:
            continue
        next_, _, shift = spot.behind[0]
        if spots[next_].box and len(spots[next_].before) == 1:
            spot.behind = [(next_, _ONLY, shift)]
            spots[next_].before = [(number, _ONLY, -shift)]


# -- order within ranks --------------------------------------------------------------


def _order(spots: list[_Spot], rows: list[list[int]]) -> None:
    """Orders each rank by the middle of its neighbours, as long as crossings go."""
    best, fewest = [list(row) for row in rows], _crossings(spots, rows)
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        down = sweep % 2 == 0
        for row in rows if down else reversed(rows):
            place = {n: i for r in rows for i, n in enumerate(r)}

            def middle(number: int, place: dict[int, int] = place) -> float:
                spot = spots[number]
                near = spot.before if down else spot.behind  # noqa: B023
                if not near:
                    return float(place[number])
                return sum(place[n] for n, *_ in near) / len(near)

            row.sort(key=middle)
        now = _crossings(spots, rows)
        if now < fewest:
            best, fewest = [list(row) for row in rows], now
    rows[:] = best


def _crossings(spots: list[_Spot], rows: list[list[int]]) -> int:
    """How many pairs of arrows cross."""
    found = 0
    for upper, lower in itertools.pairwise(rows):
        place = {n: i for i, n in enumerate(lower)}
        seen: list[int] = []
        for number in upper:
            ends = sorted(place[n] for n, *_ in spots[number].behind)
            for end in ends:
                found += len(seen) - bisect_left(seen, end + 1)
            for end in ends:
                insort(seen, end)
    return found


# -- places across -------------------------------------------------------------------


def _align(spots: list[_Spot], rows: list[list[int]]) -> None:
    """Moves spots towards their neighbours, in order and without touching."""
    for row in rows:
        _settle(spots, row, [0.0] * len(row), [1.0] * len(row))
    for sweep in range(_SETTLING):
        down, both = sweep % 2 == 0, sweep >= _SWEEPS
        moved = 0.0
        for row in rows if down else rows[::-1]:
            wanted, pulls = [], []
            before = [spots[number].at for number in row]
            for number in row:
                spot = spots[number]
                near = spot.before if down else spot.behind
                if both:
                    near = spot.before + spot.behind
                pull = sum(p for _, p, _ in near)
                wanted.append(
                    sum(p * (spots[n].at + shift) for n, p, shift in near) / pull
                    if near
                    else spot.at
                )
                pulls.append(pull or 0.1)
            _settle(spots, row, wanted, pulls)
            now = (spots[number].at for number in row)
            moved = max(moved, *(abs(a - b) for a, b in zip(before, now, strict=True)))
        if both and moved < 0.05:
            break


def _settle(
    spots: list[_Spot], row: list[int], wanted: list[float], pulls: list[float]
) -> None:
    """The places nearest to those wanted that keep the order and the distances.

    Least squares under ``at[i+1] - at[i] >= distance[i]``: with the distances taken off
    it is a regression by a rising function, solved by pooling neighbours.
    """
    offsets = [0.0]
    for a, b in itertools.pairwise(row):
        gap = _APART if spots[a].box and spots[b].box else PASSING
        offsets.append(offsets[-1] + (spots[a].breadth + spots[b].breadth) / 2 + gap)
    pools: list[tuple[float, float, int]] = []  # mean, weight, how many
    for want, pull, offset in zip(wanted, pulls, offsets, strict=True):
        mean, weight, count = want - offset, pull, 1
        while pools and pools[-1][0] >= mean:
            other, more, members = pools.pop()
            mean = (mean * weight + other * more) / (weight + more)
            weight, count = weight + more, count + members
        pools.append((mean, weight, count))
    levels = [mean for mean, _, count in pools for _ in range(count)]
    for number, level, offset in zip(row, levels, offsets, strict=True):
        spots[number].at = level + offset


def _along(spots: list[_Spot], rows: list[list[int]]) -> list[tuple[float, float]]:
    """Where each rank begins and ends along the flow."""
    found, at = [], 0.0
    for row in rows:
        thickness = max(spots[n].length for n in row)
        found.append((at, at + thickness))
        at += thickness + _BETWEEN
    return found
