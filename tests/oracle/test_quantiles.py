"""Limits of bins that are found in data, against real Keras (on TensorFlow)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ranvier


@pytest.mark.parametrize("bins", [3, 10, 64])
@pytest.mark.parametrize("count", [7, 500, 20_000])
def test_discretization_adapts(keras: Any, bins: int, count: int) -> None:
    data = np.random.default_rng(0).normal(size=(count, 2)).astype("float32")
    halves = [data[: count // 3], data[count // 3 :]]
    for given in (data, halves, iter(halves)):
        own = ranvier.layers.Discretization(num_bins=bins)
        theirs = keras.layers.Discretization(num_bins=bins)
        own.adapt(given)
        theirs.adapt(halves if given is not data else data)
        assert own.bin_boundaries == theirs.bin_boundaries
        np.testing.assert_array_equal(own(data).numpy(), np.asarray(theirs(data)))
    again = ranvier.layers.Discretization.from_config(theirs.get_config())
    assert again.bin_boundaries == own.bin_boundaries
    assert again.num_bins == bins
