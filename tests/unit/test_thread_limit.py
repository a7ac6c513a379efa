"""`config.at_most_threads`: fewer workers in a block, the same bits."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ranvier import config
from ranvier.errors import ShapeError

SCRIPT = """
import numpy as np, ranvier as k
from ranvier import config
x = np.random.default_rng(0).normal(size=(256, 300)).astype("float32")
def fitted():
    k.utils.set_random_seed(0)
    model = k.Sequential([k.Input((300,)), k.layers.Dense(200), k.layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(x, x[:, 0], batch_size=128, verbose=0)
    return model
model = fitted()
with config.at_most_threads(1):
    other = fitted()
    print("limited", file=__import__("sys").stderr, flush=True)
    model.predict(x, batch_size=128, verbose=0)   # a plan of its own inside ...
    model.predict_on_batch(x)
print("free", file=__import__("sys").stderr, flush=True)
model.predict(x, batch_size=128, verbose=0)       # ... and another one outside
model.predict_on_batch(x)
for a, b in zip(model.get_weights(), other.get_weights()):
    np.testing.assert_array_equal(a, b)
"""


def test_plans_follow_the_limit_and_bits_stay() -> None:
    env = {**os.environ, "RANVIER_THREADS": "3", "RANVIER_VERBOSE": "1"}
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=env, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr
    before, _, rest = found.stderr.partition("limited\n")
    inside, _, outside = rest.partition("free\n")

    def workers(text: str) -> list[str]:
        plans = [line for line in text.splitlines() if line.startswith("ranvier: plan")]
        return [line.split("steps, ")[1].split(" of ")[1][0] for line in plans]

    assert workers(before) == ["3", "1"]
    assert workers(inside) == ["1", "1"]
    assert workers(outside) == ["3", "3"]


def test_blocks_nest_and_end() -> None:
    assert config.thread_limit() is None
    with config.at_most_threads(2):
        with config.at_most_threads(None):
            assert config.thread_limit() == 2
        with config.at_most_threads(1):
            assert config.thread_limit() == 1
        assert config.thread_limit() == 2
    with pytest.raises(RuntimeError), config.at_most_threads(1):
        raise RuntimeError
    assert config.thread_limit() is None


@pytest.mark.parametrize("count", [0, -1, True, 1.5, "2"])
def test_bad_counts_are_refused(count: object) -> None:
    with pytest.raises(ShapeError, match="RV100"), config.at_most_threads(count):  # type: ignore[arg-type]
        pass
