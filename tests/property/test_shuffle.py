"""The order of rows in an epoch behaves as a random order does."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ranvier.graph.ops.random import permutation


@pytest.mark.parametrize("n", [0, 1, 2, 10, 255, 256, 257, 5000])
def test_it_is_a_permutation(n: int) -> None:
    np.testing.assert_array_equal(np.sort(permutation(3, 5, n)), np.arange(n))


def test_every_row_is_as_likely_in_every_place() -> None:
    n, runs = 12, 2000
    places, neighbours, inversions = np.zeros((n, n)), np.zeros((n, n)), 0
    for seed in range(runs):
        order = permutation(seed, seed % 7, n)
        places[np.arange(n), order] += 1
        neighbours[order[:-1], order[1:]] += 1
        inversions += int(np.sum(np.triu(order[:, None] > order[None, :], 1)))

    def chi_square(counts: np.ndarray, expected: float) -> float:
        return float(((counts - expected) ** 2 / expected).sum())

    # Five standard deviations of a chi-square distribution with f degrees of freedom.
    for counts, expected, f in (
        (places, runs / n, (n - 1) ** 2),
        (neighbours[~np.eye(n, dtype=bool)], runs / n, n * (n - 1) - 1),
    ):
        assert abs(chi_square(counts, expected) - f) < 5 * math.sqrt(2 * f)
    assert inversions / runs == pytest.approx(n * (n - 1) / 4, rel=0.02)


def test_epochs_and_neighbours_are_uncorrelated() -> None:
    n = 4000
    found = []
    for seed in range(100):
        a, b = permutation(seed, 1, n), permutation(seed, 2, n)
        found.append([np.corrcoef(u, v)[0, 1] for u, v in ((a, b), (a[:-1], a[1:]))])
    # A correlation of random orders has mean 0 and deviation 1 / sqrt(n).
    mean = np.abs(np.mean(found, axis=0))
    assert (mean < 5 / math.sqrt(n * len(found))).all()
