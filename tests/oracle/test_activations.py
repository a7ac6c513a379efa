"""Every activation against real Keras: values, gradients, names, traces."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from ranvier import activations as ours
from ranvier.errors import ShapeError
from ranvier.graph.passes.grad import gradients

HELPERS = {"get", "serialize", "deserialize"}
NAMES = sorted(set(ours.__all__) - HELPERS)

ARGUMENTS: dict[str, list[dict[str, Any]]] = {
    "relu": [
        {},
        {"negative_slope": 0.1},
        {"max_value": 2.0},
        {"max_value": 6.0},
        {"threshold": 1.0},
        {"threshold": -1.0, "max_value": 3.0},
        {"negative_slope": 0.1, "threshold": 1.0, "max_value": 2.0},
        {"negative_slope": 0.3, "threshold": -0.5},
    ],
    "leaky_relu": [{}, {"negative_slope": 0.5}],
    "elu": [{}, {"alpha": 0.5}],
    "celu": [{}, {"alpha": 2.0}],
    "gelu": [{}, {"approximate": True}],
    "glu": [{}, {"axis": 0}],
    "softmax": [{}, {"axis": 0}],
    "log_softmax": [{}, {"axis": 0}],
    "sparsemax": [{}, {"axis": 1}, {"axis": 0}],
    "squareplus": [{}, {"b": 1}],
    "hard_shrink": [{}, {"threshold": 1.0}],
    "soft_shrink": [{}, {"threshold": 1.0}],
    "threshold": [{"threshold": 1.0, "default_value": -2.0}],
}
CASES = [(n, a) for n in NAMES for a in ARGUMENTS.get(n, [{}])]
# Keras 3.15's threshold is wrong where several entries stay (keras#23425, mended
# later), so sparsemax is compared with its definition instead.
AS_KERAS = [(n, a) for n, a in CASES if n != "sparsemax"]


def inputs(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(6, 8)) * 3).astype("float32")


@pytest.mark.parametrize(("name", "arguments"), AS_KERAS, ids=str)
def test_values(keras, name, arguments):
    for x in (inputs(), inputs(1) * 0.01, inputs(2) * 20):
        if name == "exponential":
            x = np.clip(x, -80, 80)
        wanted = np.asarray(getattr(keras.activations, name)(x, **arguments))
        found = np.asarray(getattr(ours, name)(x, **arguments))
        assert found.dtype == wanted.dtype
        np.testing.assert_allclose(found, wanted, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize(("name", "arguments"), AS_KERAS, ids=str)
def test_gradients(keras, traced, name, arguments):
    import jax

    x, seed = inputs(), inputs(5)

    def fn(x, seed):
        y = getattr(ours, name)(x, **arguments)
        half = seed[: y.shape[0], : y.shape[1]]
        return {"g": gradients(_dot(y, half), [x])[0]}

    example = {"x": x, "seed": seed}
    if arguments.get("axis") == 0:
        # An axis that is split or sorted must be of known length: not the batch.
        arguments = arguments | {"axis": 1}
    found = traced(fn, example).run(x=x, seed=seed)["g"]

    def real(x):
        y = getattr(keras.activations, name)(x, **arguments)
        return (y * seed[: y.shape[0], : y.shape[1]]).sum()

    wanted = np.asarray(jax.grad(real)(x))
    np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=5e-6)


def _dot(a, b):
    from ranvier import ops

    return ops.sum(a * b)


def nearest_on_simplex(row):
    """Bisection for the threshold whose rest sums to 1, in float64."""
    low, high = row.min() - 1.0, row.max()
    for _ in range(200):
        middle = (low + high) / 2
        if np.maximum(row - middle, 0).sum() > 1:
            low = middle
        else:
            high = middle
    return np.maximum(row - high, 0)


@pytest.mark.parametrize("scale", [0.05, 0.3, 10.0])
def test_sparsemax_is_the_nearest_point_of_the_simplex(traced, scale):
    x, seed = inputs() * scale, inputs(5)

    def fn(x, seed):
        y = ours.sparsemax(x)
        return {"y": y, "g": gradients(_dot(y, seed), [x])[0]}

    found = traced(fn, {"x": x, "seed": seed}).run(x=x, seed=seed)
    wanted = np.stack([nearest_on_simplex(row.astype("float64")) for row in x])
    np.testing.assert_allclose(found["y"], wanted, rtol=1e-5, atol=1e-6)
    for g, y, s in zip(found["g"], wanted, seed, strict=True):
        stays = y > 1e-6
        np.testing.assert_allclose(
            g, np.where(stays, s - s[stays].mean(), 0), rtol=1e-5, atol=1e-5
        )
    across = np.asarray(ours.sparsemax(x.T, axis=0))
    np.testing.assert_array_equal(across, found["y"].T)


@pytest.mark.parametrize("name", NAMES)
def test_extremes_stay_finite_and_have_finite_gradients(traced, name):
    x = np.array([[-90.0, -30.0, -1e-30, 0.0, 1e-30, 30.0, 60.0, 80.0]], "float32")
    extra = ARGUMENTS[name][0] if name == "threshold" else {}

    def fn(x):
        y = getattr(ours, name)(x, **extra)
        return {"y": y, "g": gradients(_dot(y, 1.0), [x])[0]}

    found = traced(fn, {"x": x}).run(x=x)
    assert np.isfinite(found["y"]).all()
    assert np.isfinite(found["g"]).all()


@pytest.mark.parametrize("name", NAMES)
def test_names_and_defaults(keras, name):
    own, real = getattr(ours, name), getattr(keras.activations, name)
    assert ours.get(name) is own
    assert ours.serialize(own) == keras.activations.serialize(real)
    assert ours.deserialize(keras.activations.serialize(real)) is own
    mine = {
        k: p.default for k, p in inspect.signature(own).parameters.items() if k != "x"
    }
    theirs = {
        k: p.default for k, p in inspect.signature(real).parameters.items() if k != "x"
    }
    assert mine == theirs


def test_nothing_is_missing(keras):
    public = {n for n in dir(keras.activations) if not n.startswith("_")}
    assert public <= set(ours.__all__)


def test_none_is_linear_and_unknown_names_the_nearest():
    assert ours.get(None) is ours.linear
    with pytest.raises(ShapeError, match="relu") as caught:
        ours.get("rellu")
    assert caught.value.code == "RV107"
    with pytest.raises(ShapeError):
        ours.get(3)
