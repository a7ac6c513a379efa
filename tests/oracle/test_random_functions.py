"""Random functions: the names, arguments, shapes and dtypes are Keras's."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from ranvier import random


def test_every_function_is_here_with_its_arguments(keras: Any) -> None:
    theirs = {name for name in dir(keras.random) if not name.startswith("_")}
    assert theirs == set(random.__all__)
    for name in theirs - {"SeedGenerator"}:
        wanted = inspect.signature(getattr(keras.random, name)).parameters
        found = inspect.signature(getattr(random, name)).parameters
        assert list(found) == list(wanted), name
        for argument, parameter in wanted.items():
            assert found[argument].default == parameter.default, (name, argument)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("normal", ((2, 3),)),
        ("uniform", ((2, 3), -1.0, 1.0)),
        ("truncated_normal", ((4,),)),
        ("randint", ((2, 3), 0, 9)),
        ("gamma", ((2, 3), 2.0)),
        ("beta", ((5,), 2.0, 3.0)),
        ("binomial", ((5,), 10.0, 0.3)),
        ("categorical", (np.zeros((3, 4), "float32"), 5)),
        ("dropout", (np.ones((3, 4), "float32"), 0.5)),
        ("shuffle", (np.arange(6, dtype="int32"),)),
    ],
)
def test_shapes_and_dtypes(keras: Any, name: str, args: tuple[Any, ...]) -> None:
    wanted = getattr(keras.random, name)(*args, seed=1)
    found = getattr(random, name)(*args, seed=1)
    assert tuple(found.shape) == tuple(wanted.shape)
    assert str(found.dtype) == str(wanted.dtype)
