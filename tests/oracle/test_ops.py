"""Activations among the operations, where Keras has them too."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from ranvier import ops

X = np.linspace(-3, 3, 24).reshape(4, 6).astype("float32")
#: Keras 3.15.1 gives rows that do not sum to 1 there; its activation does.
_OTHERS = {"sparsemax", "threshold"}


@pytest.mark.parametrize("name", sorted(ops.ACTIVATIONS - _OTHERS))
def test_activation(keras: Any, name: str) -> None:
    found = getattr(ops, name)(X).numpy()
    wanted = np.asarray(getattr(keras.ops, name)(X))
    assert found.dtype == wanted.dtype
    np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("gelu", {"approximate": False}),
        ("gelu", {"approximate": True}),
        ("leaky_relu", {"negative_slope": 0.3}),
        ("elu", {"alpha": 0.5}),
        ("celu", {"alpha": 0.5}),
        ("soft_shrink", {"threshold": 0.3}),
        ("squareplus", {"b": 2}),
        ("glu", {"axis": 0}),
        ("threshold", {"threshold": 0.5, "default_value": 7.0}),
    ],
)
def test_arguments(keras: Any, name: str, arguments: dict[str, Any]) -> None:
    np.testing.assert_allclose(
        getattr(ops, name)(X, **arguments).numpy(),
        np.asarray(getattr(keras.ops, name)(X, **arguments)),
        rtol=2e-5,
        atol=1e-6,
    )


def test_namespaces() -> None:
    assert ops.nn.softmax is ops.softmax
    assert ops.numpy.mean is ops.mean
    with pytest.raises(AttributeError, match="softmax"):
        ops.nn.sofmax  # noqa: B018


def test_defaults_are_those_of_keras(keras: Any) -> None:
    """Arguments of one name mean the same when they are left out."""
    differ = set()
    for name in ops.__all__:
        theirs = getattr(keras.ops, name, None)
        mine = getattr(ops, name)
        if not (inspect.isfunction(theirs) and inspect.isfunction(mine)):
            continue
        ours = inspect.signature(mine).parameters
        for argument, parameter in inspect.signature(theirs).parameters.items():
            if argument in ours and ours[argument].default != parameter.default:
                differ.add((name, argument))
    assert not differ


def test_joining_and_picking(keras: Any) -> None:
    index = np.argsort(-X, axis=None)
    for found, wanted in (
        (ops.concatenate([X, X]), keras.ops.concatenate([X, X])),
        (ops.concatenate([X, X], axis=-1), keras.ops.concatenate([X, X], axis=-1)),
        (ops.take_along_axis(X, index), keras.ops.take_along_axis(X, index)),
        (ops.full((2, 3), fill_value=4.0), keras.ops.full((2, 3), fill_value=4.0)),
    ):
        np.testing.assert_array_equal(found.numpy(), np.asarray(wanted))
