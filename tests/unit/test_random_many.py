"""Draws of many numbers run on the engine; they are the numbers that NumPy gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ranvier import ops, random


@pytest.mark.parametrize(
    ("draw", "apart"),
    [(random.uniform, 0.0), (random.normal, 2e-6), (random.truncated_normal, 2e-6)],
)
def test_many_are_as_few(
    draw: Any, apart: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = (300, 250)
    many = draw(shape, seed=5).numpy()
    monkeypatch.setattr(random, "MANY", 1 << 40)
    np.testing.assert_allclose(many, draw(shape, seed=5).numpy(), rtol=0, atol=apart)


def test_the_beginning_of_many_is_a_few() -> None:
    """Numbers follow from seed and place alone."""
    few = random.uniform((1000,), -2.0, 3.0, seed=9).numpy()
    many = random.uniform((random.MANY,), -2.0, 3.0, seed=9).numpy()
    np.testing.assert_array_equal(many[:1000], few)


def test_an_array_of_a_tensor_is_a_copy_if_asked_for() -> None:
    x = ops.convert_to_tensor(np.ones(3, "float32"))
    np.array(x)[0] = 9
    assert x.numpy()[0] == 1
    assert np.asarray(x, "float32") is x.numpy()
