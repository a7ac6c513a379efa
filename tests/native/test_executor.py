"""Plans: validation, epochs, guards, predicates, loops, taps, threads, fork, stopping, memory."""

from __future__ import annotations

import gc
import os
import resource
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from ranvier import _native
from ranvier.engines.native.plan import (
    ARENA,
    EXTERNAL,
    Elementwise,
    Plan,
    PlanBuilder,
    Ref,
    Tap,
    run_epoch,
    shuffle_order,
)

WORKERS = [1, 2, 3, 8]
DTYPE = {name: i for i, name in enumerate(_native.dtypes())}


def gather_step(b, source, to, rows, array, *, out="float32", flags=0, barrier=1):
    """A gather of dense rows, told in the kernel's own terms."""
    row = array.shape[1:]
    types = [DTYPE[str(array.dtype)], DTYPE[out]]
    dims = [rows, int(np.prod(row)), *types, array.strides[0], len(row), flags]
    dims += [0, 0, 10, 0, *row, *[0] * (6 - len(row)), *array.strides[1:]]
    b.step("gather", [source, to], dims, units=rows, barrier=barrier)


def summing_plan(x, batch, *, flags=0, isa="", columns=None):
    """total += sum of the batch's rows, by columns; seen[step] style counters beside it."""
    n = x.shape[1]
    b = PlanBuilder()
    source = b.external(x.nbytes)
    total = b.external(4 * n, writable=True)
    steps = b.external(8, writable=True)
    rows = b.arena(4 * batch * n)
    sums = b.arena(4 * n)
    gather_step(b, source, rows, batch, x, flags=flags)
    b.step("column_sums", [rows, sums], [batch, n, n], units=-(-n // 64), barrier=2)
    e = Elementwise((n,))
    e.store(e.op("add", e.load(0), e.load(1)), 0)
    b.step("ew_run", [total, sums], program=e, units=2, barrier=1)
    b.step("count_step", [steps], [1], single=True)
    return b.build(isa), sums


def exact_sum(x, order, batch):
    """The same additions in NumPy: four row lanes, then the running total."""
    total = np.zeros(x.shape[1], "f4")
    for first in range(0, len(order), batch):
        part = x[order[first : first + batch]].astype("f4")
        lanes = [np.zeros(x.shape[1], "f4") for _ in range(4)]
        for i, row in enumerate(part):
            lanes[i % 4] = lanes[i % 4] + row
        total = total + ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3]))
    return total


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("isa", _native.isas())
def test_epoch_with_a_last_partial_batch(workers, isa):
    x = np.random.default_rng(0).normal(size=(101, 70))
    full, _ = summing_plan(x, 8, isa=isa)
    tail, _ = summing_plan(x, 101 % 8, isa=isa)
    order = shuffle_order(3, 0, 101)
    total, steps = np.zeros(70, "f4"), np.zeros(1, np.int64)
    control = _native.Control()
    result = run_epoch(full, tail, [x, total, steps], rows=101, batch=8, order=order,
                       workers=workers, control=control)  # fmt: skip
    assert result == (13, 101, False, None)
    assert (control.steps, control.rows) == (13, 101)
    assert steps[0] == 13
    np.testing.assert_array_equal(total, exact_sum(x, order, 8))
    total[:] = 0
    run_epoch(full, tail, [x, total, steps], rows=101, batch=8, workers=workers)
    np.testing.assert_array_equal(total, exact_sum(x, np.arange(101), 8))


def test_an_epoch_in_pieces_equals_the_whole():
    x = np.random.default_rng(1).normal(size=(64, 5)).astype("f4")
    full, _ = summing_plan(x, 4)
    whole, pieces, steps = np.zeros(5, "f4"), np.zeros(5, "f4"), np.zeros(1, np.int64)
    run_epoch(full, None, [x, whole, steps], rows=64, batch=4)
    for first, last in [(0, 3), (3, 4), (4, -1)]:
        run_epoch(full, None, [x, pieces, steps], rows=64, batch=4,
                  first_batch=first, last_batch=last)  # fmt: skip
    np.testing.assert_array_equal(whole, pieces)
    assert steps[0] == 32


@pytest.mark.parametrize("workers", WORKERS)
def test_a_fault_stops_before_the_first_write(workers):
    x = np.random.default_rng(2).normal(size=(40, 6)).astype("f4")
    x[25, 3] = np.nan
    full, _ = summing_plan(x, 4, flags=1)
    total, steps = np.zeros(6, "f4"), np.zeros(1, np.int64)
    result = run_epoch(full, None, [x, total, steps], rows=40, batch=4, workers=workers)
    assert result.fault[:4] == (204, 0, 25, 3)
    assert result.steps == steps[0] == 6
    np.testing.assert_array_equal(total, exact_sum(x, np.arange(24), 4))
    fault = full.call([x, total, steps], first_row=24, n_rows=4, workers=workers)
    assert fault[:4] == (204, 0, 25, 3)


@pytest.mark.parametrize("workers", [1, 3])
def test_taps_and_step_times(workers):
    x = np.random.default_rng(3).normal(size=(30, 7)).astype("f4")
    full, sums = summing_plan(x, 3)
    total, steps = np.zeros(7, "f4"), np.zeros(1, np.int64)
    every_sum, totals = np.zeros((10, 7), "f4"), np.zeros((3, 7), "f4")
    times = np.zeros(full.n_steps)
    taps = [Tap(Ref(sums.space, 0, sums.offset, 28), 1, every_sum),
            Tap(Ref(EXTERNAL, 1, 0, 28), 4, totals)]  # fmt: skip
    run_epoch(full, None, [x, total, steps], rows=30, batch=3, workers=workers, taps=taps,
              step_seconds=times)  # fmt: skip
    for i in range(10):
        np.testing.assert_array_equal(
            every_sum[i], exact_sum(x, np.arange(3 * i, 3 * i + 3), 3)
        )
    np.testing.assert_array_equal(totals[0], exact_sum(x, np.arange(12), 3))
    np.testing.assert_array_equal(totals[1], exact_sum(x, np.arange(24), 3))
    assert not totals[2].any()
    assert (times > 0).all()


@pytest.mark.parametrize("workers", [1, 2])
def test_predicates_and_loops(workers):
    b = PlanBuilder()
    x, y, counter = (
        b.external(40),
        b.external(40, writable=True),
        b.external(8, writable=True),
    )
    state = b.arena(4)
    b.step("fill", [state], [1, 0], [0.0], single=True)
    e = Elementwise((1,))
    total = e.op("add", e.load(0), e.load(1))
    e.store(total, 0)
    e.store(total, 2)
    b.loop(1, 10, [(0, 1, 4), (0, 2, 4)], barrier=1)
    b.step("ew_run", [state, x.at(0, 4), y.at(0, 4)], program=e, single=True)
    b.step("count_step", [counter], [1], every=3, single=True)
    plan = b.build()
    values, out, count = (
        np.arange(10, dtype="f4"),
        np.zeros(10, "f4"),
        np.zeros(1, np.int64),
    )
    run_epoch(plan, None, [values, out, count], rows=10, batch=1, workers=workers)
    np.testing.assert_array_equal(out, np.cumsum(values))
    assert count[0] == 3
    assert "repeat 1 steps 10 times" in str(plan)


def refused(match, *, refs=None, **step):
    b = PlanBuilder()
    b.external(16)
    b.arena(64)
    b.step(step.pop("kernel", "fill"), refs or [], **step)
    with pytest.raises(ValueError, match=match):
        b.build()


def test_plans_are_validated():
    refused("unknown kernel", kernel="no_such")
    refused("leaves its space", refs=[Ref(ARENA, 0, 32, 33)])
    refused("leaves its space", refs=[Ref(EXTERNAL, 0, -1, 4)])
    refused("unknown slot", refs=[Ref(EXTERNAL, 7, 0, 4)])
    refused("too many dims", dims=[0] * 33)
    refused("too many buffers", refs=[Ref(ARENA, 0, 0, 1)] * 17)
    b = PlanBuilder()
    x = b.external(16)
    b.loop(1, 5, [(0, 0, 4)])
    b.step("fill", [x.at(0, 4)], [1, 0], [1.0])
    with pytest.raises(ValueError, match="leaves its space"):
        b.build()


def test_arrays_are_validated():
    x = np.zeros((8, 4), "f4")
    plan, _ = summing_plan(x, 4)
    total, steps = np.zeros(4, "f4"), np.zeros(1, np.int64)
    with pytest.raises(ValueError, match="slot 1 needs 16 bytes and got 12"):
        plan.call([x, total[:3], steps])
    with pytest.raises(ValueError, match="slot 2 has no array"):
        plan.call([x, total])
    frozen = total.copy()
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        plan.call([x, frozen, steps])
    with pytest.raises((ValueError, BufferError), match="contiguous"):
        plan.call([x, np.zeros(8, "f4")[::2], steps])
    with pytest.raises(ValueError, match="shorter than rows"):
        run_epoch(plan, None, [x, total, steps], rows=8, batch=4, order=np.arange(3))


def test_bound_arrays_need_not_be_given():
    x = np.ones((4, 4), "f4")
    plan, _ = summing_plan(x, 4)
    total, steps = np.zeros(4, "f4"), np.zeros(1, np.int64)
    plan.bind(1, total)
    plan.bind(2, steps)
    assert plan.call([x], n_rows=4) is None
    np.testing.assert_array_equal(total, [4, 4, 4, 4])


def busy_plan(size=200_000):
    """A few milliseconds of work a step."""
    b = PlanBuilder()
    x, steps = b.external(4 * size, writable=True), b.external(8, writable=True)
    e = Elementwise((size,))
    r = e.load(0)
    for _ in range(12):
        r = e.op("tanh", r)
    e.store(r, 0)
    b.step("ew_run", [x], program=e, units=64, barrier=1)
    b.step("count_step", [steps], [1], single=True, barrier=1)
    return b.build(), np.full(size, 0.5, "f4"), np.zeros(1, np.int64)


@pytest.mark.parametrize("workers", [1, 2])
def test_abort_from_another_thread(workers):
    plan, x, steps = busy_plan()
    control = _native.Control()

    def stop():
        while control.steps < 3:
            time.sleep(0.001)
        control.abort()

    thread = threading.Thread(target=stop)
    thread.start()
    result = run_epoch(plan, None, [x, steps], rows=10**9, batch=1, workers=workers,
                       control=control)  # fmt: skip
    thread.join()
    assert result.stopped
    assert result.steps == steps[0] == control.steps >= 3


@pytest.mark.parametrize("workers", [1, 2])
def test_tick_is_called_and_stops(workers):
    plan, x, steps = busy_plan()
    seen = []

    def tick(done):
        seen.append(done)
        return len(seen) == 2

    result = run_epoch(
        plan, None, [x, steps], rows=10**9, batch=1, workers=workers, tick=tick
    )
    assert result.stopped
    assert len(seen) == 2
    assert seen[0] < seen[1] <= result.steps == steps[0]

    def broken(done):
        raise RuntimeError("from the tick")

    with pytest.raises(RuntimeError, match="from the tick"):
        run_epoch(
            plan, None, [x, steps], rows=10**9, batch=1, workers=workers, tick=broken
        )


@pytest.mark.parametrize("workers", [1, 2])
def test_control_c_stops_at_a_step_boundary(workers):
    plan, x, steps = busy_plan()
    control = _native.Control()

    def interrupt():
        while control.steps < 2:
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run_epoch(
            plan,
            None,
            [x, steps],
            rows=10**9,
            batch=1,
            workers=workers,
            control=control,
        )
    thread.join()
    assert control.steps == steps[0] >= 2
    assert (
        run_epoch(plan, None, [x, steps], rows=2, batch=1, workers=workers).steps == 2
    )


def test_two_threads_call_one_plan_at_once():
    x = np.random.default_rng(4).normal(size=(96, 33)).astype("f4")
    plan, _ = summing_plan(x, 4)
    want = exact_sum(x, np.arange(96), 4)
    wrong = []

    def call():
        for _ in range(40):
            total, steps = np.zeros(33, "f4"), np.zeros(1, np.int64)
            run_epoch(plan, None, [x, total, steps], rows=96, batch=4, workers=2)
            if not np.array_equal(total, want):
                wrong.append(total)

    threads = [threading.Thread(target=call) for _ in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
    assert plan.native.instances <= 3


FORK = """
import os, sys, warnings
import numpy as np
warnings.simplefilter("ignore")
sys.path.insert(0, {tests!r})
from test_executor import busy_plan, run_epoch
plan, x, steps = busy_plan(20_000)
run_epoch(plan, None, [x, steps], rows=3, batch=1, workers=3)
child = os.fork()
done = run_epoch(plan, None, [x, steps], rows=5, batch=1, workers=3)
ok = done.steps == 5
if child == 0:
    os._exit(0 if ok else 1)
_, status = os.waitpid(child, 0)
print("parent", ok, "child", status)
"""


def test_fork_keeps_both_sides_working():
    code = FORK.format(tests=os.path.dirname(os.path.abspath(__file__)))
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                         timeout=60, check=False)  # fmt: skip
    assert out.stdout.strip() == "parent True child 0", out.stderr


def test_memory_does_not_grow():
    x = np.ones((8, 6), "f4")
    plan, _ = summing_plan(x, 4)
    total, steps = np.zeros(6, "f4"), np.zeros(1, np.int64)

    def work(times):
        for _ in range(times):
            plan.call([x, total, steps], n_rows=4, workers=1)
            run_epoch(plan, None, [x, total, steps], rows=8, batch=4, workers=1)
        for _ in range(times // 20):
            summing_plan(x, 4)
        gc.collect()

    work(500)
    for _ in range(200):
        plan.call([x, total, steps], n_rows=4)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    work(10_000)
    # AddressSanitizer keeps freed memory in quarantine, 256 MB of it.
    allowed = 400_000 if "asan" in os.environ.get("LD_PRELOAD", "") else 2000  # KiB
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < allowed


def test_the_callers_floating_point_mode_is_restored():
    plan, x, steps = busy_plan(1000)
    run_epoch(plan, None, [x, steps], rows=2, batch=1, workers=2)
    tiny = np.array([1e-310])
    assert tiny[0] * 0.5 != 0


def test_text_of_a_plan():
    x = np.ones((8, 6), "f4")
    plan, _ = summing_plan(x, 4)
    assert isinstance(plan, Plan)
    text = str(plan)
    assert "column_sums" in text
    assert "r2=add r0 r1" in text
    assert len(text.splitlines()) == plan.n_steps == 4


def test_workers_meet_between_whole_batches_and_the_last_one():
    """The plans of both know nothing of each other, but share the variables."""
    n = 1_000_000
    full, tail = PlanBuilder(), PlanBuilder()
    for b in (full, tail):
        b.external(4 * n, writable=True)
        b.external(4 * n, writable=True)
    x, y = Ref(EXTERNAL, 0, 0, 4 * n), Ref(EXTERNAL, 1, 0, 4 * n)
    slow = Elementwise((n,))
    value = slow.load(0)
    for _ in range(6):
        value = slow.op("tanh", value)
    slow.store(slow.op("add", value, slow.constant(1.0)), 0)
    full.step("ew_run", [x], program=slow, barrier=1, single=True)
    read = Elementwise((n,))
    read.store(read.op("neg", read.load(0)), 1)
    tail.step("ew_run", [x, y], program=read, units=3)
    tail.step("fill", [x.at(0, 4)], [1, 0], [0.0], barrier=1, single=True)
    for _ in range(5):
        state, out = np.zeros(n, "f4"), np.zeros(n, "f4")
        run_epoch(full.build(), tail.build(), [state, out], rows=3, batch=2, workers=3)
        np.testing.assert_array_equal(out[1:], -state[1:])
        assert (state[1:] == 1).all()
