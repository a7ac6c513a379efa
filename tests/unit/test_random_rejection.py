"""Gamma, beta and binomial draws: their distributions, and the same bits everywhere."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ranvier import random
from ranvier.engines import api
from ranvier.errors import ShapeError
from ranvier.graph import trace

N = 20_000


@pytest.mark.parametrize("alpha", [0.3, 1.0, 2.5, 40.0])
def test_gamma(alpha: float) -> None:
    x = np.asarray(random.gamma((N,), alpha, seed=3), "float64")
    assert (x >= 0).all()
    assert x.mean() == pytest.approx(alpha, abs=5 * math.sqrt(alpha / N))
    assert x.var() == pytest.approx(alpha, rel=0.15)
    # The share below the mean: the regularised incomplete gamma function, by its series.
    terms = [math.exp(-alpha + alpha * math.log(alpha) - math.lgamma(alpha + 1))]
    for k in range(1, 400):
        terms.append(terms[-1] * alpha / (alpha + k))
    assert (x < alpha).mean() == pytest.approx(sum(terms), abs=0.016)


@pytest.mark.parametrize(("a", "b"), [(0.5, 0.5), (2.0, 5.0), (30.0, 3.0)])
def test_beta(a: float, b: float) -> None:
    x = np.asarray(random.beta((N,), a, b, seed=5), "float64")
    mean, var = a / (a + b), a * b / ((a + b) ** 2 * (a + b + 1))
    assert ((x >= 0) & (x <= 1)).all()
    assert x.mean() == pytest.approx(mean, abs=5 * math.sqrt(var / N))
    assert x.var() == pytest.approx(var, rel=0.08)


@pytest.mark.parametrize(
    ("n", "p"), [(5, 0.3), (40, 0.1), (40, 0.9), (60, 0.4), (1000, 0.02), (100, 0.75)]
)
def test_binomial(n: int, p: float) -> None:
    """Every number of successes as often as it should be, by a chi-square."""
    x = np.asarray(random.binomial((N,), n, p, seed=7)).astype(int)
    assert ((x >= 0) & (x <= n)).all()
    wanted = np.array(
        [
            math.exp(
                math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
                + k * math.log(p) + (n - k) * math.log1p(-p)
            )
            for k in range(n + 1)
        ]
    )  # fmt: skip
    found = np.bincount(x, minlength=n + 1)
    big = wanted * N >= 8
    chi = ((found[big] - wanted[big] * N) ** 2 / (wanted[big] * N)).sum()
    freedom = int(big.sum()) - 1
    assert chi < freedom + 5 * math.sqrt(2 * freedom)


def test_certain_counts() -> None:
    assert np.asarray(random.binomial((4,), 7, 1.0, seed=1)).tolist() == [7.0] * 4
    assert np.asarray(random.binomial((4,), 7, 0.0, seed=1)).tolist() == [0.0] * 4
    both = random.binomial((2, 3), np.array([[1000.0], [3.0]]), 0.5, seed=1)
    assert np.asarray(both)[1].max() <= 3 < 400 < np.asarray(both)[0].min()


DRAWS: dict[str, Callable[[Any], Any]] = {
    "gamma": lambda seed: random.gamma((50,), 0.7, seed=seed),
    "beta": lambda seed: random.beta((50,), 2.0, 0.5, seed=seed),
    "binomial": lambda seed: random.binomial((50,), 60, 0.3, seed=seed),
}


@pytest.mark.parametrize("name", DRAWS)
def test_a_seed_decides_and_both_engines_agree(name: str) -> None:
    first = np.asarray(DRAWS[name](9))
    assert np.array_equal(first, np.asarray(DRAWS[name](9)))
    assert not np.array_equal(first, np.asarray(DRAWS[name](10)))
    generator = random.SeedGenerator(9)
    a, b = (np.asarray(DRAWS[name](generator)) for _ in range(2))
    assert not np.array_equal(a, b)
    generator = random.SeedGenerator(9)
    graph = trace(lambda _: {"y": DRAWS[name](generator)}, {})
    found = api.get("native").compile(graph).call({})["y"]
    np.testing.assert_allclose(found, a, rtol=1e-4)


@pytest.mark.parametrize(("n", "p"), [(5, 1.5), (5, -0.1), (-1, 0.5), (2**25, 0.5)])
def test_refused(n: int, p: float) -> None:
    with pytest.raises(ShapeError) as caught:
        random.binomial((2,), n, p)
    assert caught.value.code == "RV100"
