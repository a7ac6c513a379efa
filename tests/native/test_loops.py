"""Loops and branches of plans: the core runs them, and Python places what they need."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Any

import numpy as np
import pytest

from ranvier import _native
from ranvier.engines.native import draft
from ranvier.engines.native.draft import Access, Draft, access, total_cost
from ranvier.engines.native.plan import (
    ARENA,
    Elementwise,
    Plan,
    PlanBuilder,
    Ref,
    run_epoch,
)
from ranvier.engines.native.values import Buffer, Moving, View
from ranvier.engines.native.waits import place_barriers

WORKERS = [1, 2, 3, 8]
both = pytest.mark.parametrize("workers", WORKERS)

# ------------------------------------------------------------------------------ the core


def adding(a: int, b: int, to: int, size: int) -> Elementwise:
    """Buffer ``to`` becomes the sum of two others."""
    e = Elementwise((size,))
    e.store(e.op("add", e.load(a), e.load(b)), to)
    return e


@both
def test_loops_in_loops_move_addresses_of_both(workers: int) -> None:
    """y[i, j] = x[i, j] + c[j], and a running total over all of it."""
    b = PlanBuilder()
    x, c = b.external(4 * 12 * 8), b.external(4 * 4 * 8)
    y = b.external(4 * 12 * 8, writable=True)
    last = b.external(4 * 8, writable=True)
    total = b.arena(4 * 8)
    b.step("fill", [total], [8, 0], [0.0], single=True)
    row = 4 * 8
    b.loop(3, 3, [(1, 0, 4 * row), (1, 2, 4 * row), (2, 0, 4 * row)], barrier=1)
    b.loop(2, 4, [(0, 0, row), (0, 1, row), (0, 2, row), (1, 0, row)])
    refs = [x.at(0, row), c.at(0, row), y.at(0, row)]
    b.step("ew_run", refs, program=adding(0, 1, 2, 8), units=4)
    b.step("ew_run", [y.at(0, row), total], program=adding(0, 1, 1, 8), units=4)
    e = Elementwise((8,))
    e.store(e.op("copy", e.load(0)), 1)
    b.step("ew_run", [total, last], program=e, units=4)
    values = np.random.default_rng(0).normal(size=(3, 4, 8)).astype("f4")
    add = np.random.default_rng(1).normal(size=(4, 8)).astype("f4")
    out, end = np.zeros((3, 4, 8), "f4"), np.zeros(8, "f4")
    plan = b.build()
    for _ in range(2):
        plan.call([values, add, out, end], workers=workers)
        np.testing.assert_array_equal(out, values + add)
        want = np.zeros(8, "f4")
        for line in (values + add).reshape(12, 8):
            want = line + want
        np.testing.assert_array_equal(end, want)
    assert "repeat 3 steps 3 times" in str(plan)
    assert "repeat 2 steps 4 times" in str(plan)


def doubling(limit: float, count: int = -1) -> Plan:
    """x doubles while it is below the limit; rounds are counted."""
    b = PlanBuilder()
    x, rounds = b.external(4, writable=True), b.external(8, writable=True)
    flag = b.arena(1)

    def test(barrier: int) -> None:
        e = Elementwise((1,))
        e.store(e.op("lt", e.load(0), e.constant(limit)), 1)
        b.step("ew_run", [x, flag], program=e, single=True, barrier=barrier)

    test(0)
    b.loop(3, count, flag=flag, barrier=1)
    b.step("ew_run", [x], program=adding(0, 0, 0, 1), single=True)
    b.step("count_step", [rounds], [1], single=True)
    test(1)
    return b.build()


@both
@pytest.mark.parametrize(
    ("start", "count", "end", "rounds"),
    [(1, -1, 128, 7), (200, -1, 200, 0), (1, 3, 8, 3), (90, 3, 180, 1), (1, 1, 2, 1)],
)
def test_a_loop_runs_while_its_flag_says(
    workers: int, start: float, count: int, end: float, rounds: int
) -> None:
    plan = doubling(100, count)
    x, counted = np.float32([start]), np.zeros(1, np.int64)
    plan.call([x, counted], workers=workers)
    assert (x[0], counted[0]) == (end, rounds)
    text = str(plan)
    assert ("if true: 3 steps" if count == 1 else "while true") in text
    assert ("3 times" in text) == (count == 3)


@both
def test_one_of_two_branches_runs(workers: int) -> None:
    b = PlanBuilder()
    flag, y = b.external(1), b.external(4, writable=True)
    for value, until in ((1.0, False), (2.0, True)):
        b.loop(1, 1, flag=flag, until=until)
        b.step("fill", [y], [1, 0], [value], single=True)
    plan = b.build()
    for chosen, want in ((True, 1), (False, 2)):
        out = np.zeros(1, "f4")
        plan.call([np.array([chosen]), out], workers=workers)
        assert out[0] == want
    assert "if true: 1 steps" in str(plan)
    assert "if false: 1 steps" in str(plan)


def test_loops_are_validated() -> None:
    def refused(match: str, *loops: Any, steps: int = 2, room: int = 64) -> None:
        b = PlanBuilder()
        x = b.arena(room)
        for args, options in loops:
            b.loop(*args, **options)
        for _ in range(steps):
            b.step("fill", [x.at(0, 4)], [1, 0], [1.0])
        with pytest.raises(ValueError, match=match):
            b.build()

    flag = {"flag": Ref(ARENA, 0, 0, 1)}
    refused("loop body out of range", ((3, 2), {}))
    refused("loop body out of range", ((-1, 2), {}))
    refused("loop body out of range", ((2, 2), {}), ((2, 2), {}))
    refused("without end", ((1, -1), {}))
    refused("without end", ((1, -1, [(0, 0, 0)]), flag))
    refused("without end", ((1, -2), flag))
    refused("outside the body", ((1, 2, [(1, 0, 4)]), {}))
    refused("buffer that is not there", ((1, 2, [(0, 1, 4)]), {}))
    refused("nothing to test", ((1, 2), {"flag": Ref(ARENA, 0, 0, 0)}))
    refused("leaves its space", ((1, 2), {"flag": Ref(ARENA, 0, 64, 1)}))
    refused("moved buffer leaves its space", ((1, 2, [(0, 0, -4)]), {}))
    refused("moved buffer leaves its space", ((1, 2, [(0, 0, 61)]), {}))
    refused("moved buffer leaves its space", ((1, 9, [(0, 0, 1 << 62)]), {}))
    # Each loop alone would stay inside, both together do not.
    far = (0, 0, 40)
    inner = ((1, 2, [far]), {})
    refused("moved buffer leaves its space", ((2, 2, [(1, 0, 40)]), {}), inner)


# -------------------------------------------------------------------- loops without end


def endless() -> tuple[Plan, np.ndarray[Any, Any]]:
    """Counts rounds for ever; nothing may ever come after it."""
    b = PlanBuilder()
    rounds, after = b.external(8, writable=True), b.external(4, writable=True)
    flag = b.arena(1)
    b.step("fill", [flag], [1, 5], [1.0], single=True)
    b.loop(1, -1, flag=flag, barrier=1)
    b.step("count_step", [rounds], [1], single=True)
    b.step("fill", [after], [1, 0], [1.0], single=True, barrier=1)
    return b.build(), np.zeros(1, np.int64)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_control_c_ends_a_call_that_would_not_end(workers: int) -> None:
    plan, rounds = endless()
    after = np.zeros(1, "f4")

    def interrupt() -> None:
        while rounds[0] < 100:
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        plan.call([rounds, after], workers=workers)
    thread.join()
    assert after[0] == 0, "what follows has not run"
    assert rounds[0] >= 100


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("how", ["abort", "tick"])
def test_an_epoch_is_stopped_inside_a_loop(workers: int, how: str) -> None:
    plan, rounds = endless()
    after = np.zeros(1, "f4")
    control = _native.Control()

    def abort() -> None:
        while rounds[0] < 100:
            time.sleep(0.001)
        control.abort()

    thread = threading.Thread(target=abort if how == "abort" else lambda: None)
    thread.start()
    tick = (lambda done: rounds[0] >= 100) if how == "tick" else None
    result = run_epoch(
        plan, None, [rounds, after], rows=5, batch=1, workers=workers,
        control=control, tick=tick,
    )  # fmt: skip
    thread.join()
    assert result.stopped
    assert result.steps == 0
    assert after[0] == 0


# ---------------------------------------------------------------------- barriers, room


def step(reads: list[Access], writes: list[Access]) -> Draft:
    return Draft("ew_run", reads=reads, writes=writes, units=8, cost=1e6)


def placed(*buffers: Buffer) -> None:
    at = 0
    for buffer in buffers:
        buffer.offset = at
        at += buffer.nbytes


def barriers(steps: list[Draft]) -> list[int]:
    place_barriers(steps, 2)
    return [s.barrier for s in steps]


def test_a_round_waits_for_the_one_before() -> None:
    """Also where nothing in the order of the steps says so."""
    a, b = Buffer("arena", 64), Buffer("arena", 64)
    placed(a, b)
    for rounds, waits in ((5, 1), (1, 1)):
        loop = Draft("loop", body=2, rounds=rounds)
        body = [
            step([Access(a, 0, 64)], []),
            step([Access(b, 0, 64)], [Access(a, 0, 64)]),
        ]
        # One round or many: the plan itself runs again.
        assert barriers([loop, *body]) == [0, waits, 1]


def test_a_wait_before_a_loop_is_made_once() -> None:
    a, b, c = (Buffer("arena", 64) for _ in range(3))
    placed(a, b, c)
    steps = [
        step([], [Access(a, 0, 64)]),
        Draft("loop", body=1, rounds=9),
        step([Access(a, 0, 64)], [Access(b, 0, 64, ("flat", 8))]),
        step([Access(b, 0, 64, ("flat", 8))], [Access(c, 0, 64)]),
    ]
    assert barriers(steps) == [1, 1, 0, 0]


def test_everybody_looks_at_a_flag() -> None:
    """It was written by one worker; and is written again only when all have looked."""
    flag, a = Buffer("arena", 64), Buffer("arena", 64)
    placed(flag, a)
    test = [Draft("ew_run", writes=[Access(flag, 0, 1)]) for _ in range(2)]
    loop = Draft("loop", [(flag, 0)], body=2, rounds=-1, reads=[Access(flag, 0, 1)])
    work = step([], [Access(a, 0, 64, ("flat", 8))])
    assert barriers([test[0], loop, work, test[1]]) == [1, 1, 0, 1]


def test_a_branch_that_is_skipped_has_not_waited() -> None:
    flag, a, b = (Buffer("arena", 64) for _ in range(3))
    placed(flag, a, b)
    branch = Draft("loop", [(flag, 0)], body=2, reads=[Access(flag, 0, 1)])
    steps = [
        step([], [Access(a, 0, 64)]),
        branch,
        step([], [Access(b, 0, 64)]),
        step([Access(b, 0, 64)], []),
        step([Access(a, 0, 64)], []),
    ]
    assert barriers(steps)[3:] == [1, 1], "the wait inside serves only who was inside"


def test_what_a_loop_finds_stays_alive_in_all_rounds() -> None:
    """A value read early in a round is read again in the next."""
    found, inner, left = (Buffer("arena", 64) for _ in range(3))
    loop = Draft("loop", body=2, rounds=4)
    steps = [
        step([], [Access(found, 0, 64)]),
        loop,
        step([Access(found, 0, 64)], [Access(left, 0, 64)]),
        step([], [Access(inner, 0, 64)]),
        step([Access(left, 0, 64)], []),
    ]
    draft.place_buffers(steps, [], "arena")
    places = {b.offset for b in (found, inner, left)}
    assert len(places) == 3
    loop.rounds = 1  # a branch: behind the first of its steps nobody reads it
    draft.place_buffers(steps, [], "arena")
    assert inner.offset == found.offset


def test_rows_of_one_window_are_touched_by_their_owners() -> None:
    """Equal shares of one window do not clash; of two windows on one buffer they do."""
    base = Buffer("arena", 64 * 5)
    placed(base)
    loop = Draft("loop", body=2, rounds=4)
    before, after = (Moving(base, at, 64, 64, 4, loop) for at in (0, 64))
    rows = ("rows", 4, 1)

    def of(buffer: Moving) -> Access:
        return access(View(buffer, (16,), (1,), "float32"), rows)

    assert (of(after).low, of(after).high) == (64, 64 * 5)
    back = Moving(base, 64 * 3, 64, -64, 4, loop)
    assert (of(back).low, of(back).high) == (0, 64 * 4)
    one = [loop, step([], [of(after)]), step([of(after)], [])]
    assert barriers(one) == [0, 0, 0]
    two = [loop, step([], [of(after)]), step([of(before)], [])]
    assert barriers(two) == [0, 1, 1]
    other = [loop, step([], [of(before)]), step([of(back)], [])]
    assert barriers(other) == [0, 1, 1]


def test_the_work_of_a_loop_is_that_of_its_rounds() -> None:
    steps = [
        Draft("ew_run", cost=1),
        Draft("loop", body=3, rounds=10, cost=1),
        Draft("ew_run", cost=2),
        Draft("loop", body=1, rounds=5),
        Draft("ew_run", cost=3),
        Draft("ew_run", cost=4),
    ]
    assert total_cost(steps) == 1 + 1 + 10 * (2 + 5 * 3) + 4
