"""No memory for a run is an error of the caller's, before the run; never the end."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="limits address space as Linux does"
)

BEGIN = """
import os, resource, sys
os.environ["RANVIER_THREADS"] = "3"
import numpy as np

def limit(more):
    with open("/proc/self/statm") as f:
        now = int(f.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + more, now + more))
"""


def run(code: str) -> list[str]:
    """What a fresh process prints; it must end well."""
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.split()


def test_a_run_finds_its_memory_before_it_starts() -> None:
    """Whatever the room, from none to enough: done with the same numbers, or refused."""
    found = run(
        """
        from ranvier.engines.native.plan import Elementwise, PlanBuilder

        b = PlanBuilder()
        x, y = b.external(40000), b.external(40000, writable=True)
        e = Elementwise((10000,))
        e.store(e.op("sqrt", e.op("exp", e.load(0))), 1)
        b.step("ew_run", [x, y], program=e, units=60)
        plan = b.build()
        a, out = np.linspace(0, 1, 10000, dtype="f4"), np.zeros(10000, "f4")
        want = np.sqrt(np.exp(a))
        for more in range(0, 80 << 20, 2 << 20):
            child = os.fork()
            if child == 0:
                limit(more)
                try:
                    plan.call([a, out], workers=3)
                except MemoryError:
                    os._exit(10)
                os._exit(11 if np.allclose(out, want, rtol=1e-6) else 12)
            _, status = os.waitpid(child, 0)
            print(os.waitstatus_to_exitcode(status))
        """
    )
    assert found[0] == "10"
    assert found[-1] == "11"
    assert set(found) == {"10", "11"}
    assert found == sorted(found), "more room, and yet less done"


def test_training_without_memory_is_a_coded_error() -> None:
    found = run(
        """
        import ranvier as keras

        x = np.random.default_rng(0).normal(size=(256, 300)).astype("f4")
        y = x[:, :1].copy()
        model = keras.Sequential([keras.layers.Dense(200), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        model.build((None, 300))
        before = model.get_weights()
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        with open("/proc/self/statm") as f:
            now = int(f.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + (6 << 20), hard))
        try:
            model.fit(x, y, batch_size=64, verbose=0)
        except keras.RanvierError as fault:
            print(fault.code)
        for a, b in zip(before, model.get_weights()):
            assert (a == b).all()
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        model.fit(x, y, batch_size=64, verbose=0)
        print("trained")
        """
    )
    assert found == ["RV805", "trained"]


def test_a_row_longer_than_the_usual_scratch_is_sorted() -> None:
    found = run(
        """
        from ranvier import _native

        n = (8 << 20) // 4 + 5
        keys = np.random.default_rng(0).integers(0, 1 << 30, n).astype("i4")
        order = np.zeros(n, "i4")
        i32 = _native.dtypes().index("int32")
        _native.call_kernel("argsort", [keys, order, None], [1, n, 1, i32, i32, 0, 0])
        assert (order == np.argsort(keys, kind="stable")).all()
        print("sorted")
        """
    )
    assert found == ["sorted"]
