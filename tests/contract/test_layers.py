"""What holds for every exported layer: found by name, tried on both engines."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from layer_cases import CASES, FLAT, IDS, OTHERS, inputs
from layer_parts import layer_of, made, model_around
from layer_parts import stack as stacked

import ranvier
from ranvier import layers
from ranvier.engines import api


def stack(name: str, args: dict[str, Any], shape: Any) -> Any:
    """A model of this one layer."""
    return stacked(ranvier, name, args, shape)


def unbuilt(config: Any) -> Any:
    """A configuration without the shapes for which layers inside were built."""
    if isinstance(config, dict):
        return {k: unbuilt(v) for k, v in config.items() if k != "build_config"}
    return [unbuilt(v) for v in config] if isinstance(config, list) else config


def test_every_exported_layer_is_tried() -> None:
    assert set(CASES) == set(layers.__all__) - OTHERS


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_layer_is_documented(name: str) -> None:
    text = getattr(layers, name).__doc__
    assert text
    assert "Example:" in text


@pytest.mark.parametrize(("name", "args", "shape"), FLAT, ids=IDS)
def test_traced_shape_is_that_of_the_values(
    name: str, args: dict[str, Any], shape: Any
) -> None:
    model = stack(name, args, shape)
    x = inputs(name, shape, 7)
    assert model.output_shape[0] is None
    assert model.predict(x, verbose=0).shape == (7, *model.output_shape[1:])
    assert model(x).shape == (7, *model.output_shape[1:])
    assert model.predict(x[:1], verbose=0).shape == (1, *model.output_shape[1:])


@pytest.mark.parametrize(("name", "args", "shape"), FLAT, ids=IDS)
def test_configuration_round_trip(name: str, args: dict[str, Any], shape: Any) -> None:
    model = stack(name, args, shape)
    layer = layer_of(model)
    again = type(layer).from_config(layer.get_config())
    assert unbuilt(again.get_config()) == unbuilt(layer.get_config())
    if isinstance(shape, list):
        copy = model_around(ranvier, again, name, shape)
    else:
        copy = ranvier.Sequential.from_config(model.get_config())
    copy.set_weights(model.get_weights())
    x = inputs(name, shape, 5)
    np.testing.assert_array_equal(
        copy.predict(x, verbose=0), model.predict(x, verbose=0)
    )


@pytest.mark.parametrize(("name", "args", "shape"), FLAT, ids=IDS)
def test_engines_agree_on_training(name: str, args: dict[str, Any], shape: Any) -> None:
    x = inputs(name, shape, 11)
    found: dict[str, Any] = {}
    weights = seeds = None
    for engine in api.names():
        model = stack(name, args, shape)
        if weights is None:
            rng = np.random.default_rng(4)
            weights = [rng.uniform(0.3, 1.2, w.shape) for w in model.weights]
            seeds = [v.numpy() for v in model.variables if v not in model.weights]
        model.set_weights(weights)
        rest = [v for v in model.variables if v not in model.weights]
        for variable, value in zip(rest, seeds or (), strict=True):
            variable.assign(value)
        y = np.random.default_rng(5).normal(size=(11, *model.output_shape[1:]))
        model.compile(ranvier.optimizers.SGD(0.1), "mse", engine=engine)
        history = model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0)
        found[engine] = (*model.get_weights(), history.history["loss"])
    want = found.pop("reference")
    assert "native" in found
    for other in found.values():
        for got, reference in zip(other, want, strict=True):
            np.testing.assert_allclose(got, reference, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(("name", "args", "shape"), FLAT, ids=IDS)
def test_native_kernels_exist(name: str, args: dict[str, Any], shape: Any) -> None:
    """No layer falls back to the reference engine (which would warn: an error here)."""
    model = stack(name, args, shape)
    model.compile("adam", "mse", engine="native")
    x = inputs(name, shape, 3)
    y = np.zeros((3, *model.output_shape[1:]), "float32")
    assert np.isfinite(model.train_on_batch(x, y))


@pytest.mark.parametrize(("name", "args", "shape"), FLAT, ids=IDS)
def test_summary_counts_its_weights(
    name: str, args: dict[str, Any], shape: Any
) -> None:
    model = stack(name, args, shape)
    lines: list[str] = []
    model.summary(print_fn=lines.append, explain=True)
    count = sum(w.size for w in model.get_weights())
    assert f"Total params: {count:,} " in lines[0]
    assert f"({type(model.layers[0]).__name__})" in lines[0]
    assert model.count_params() == count


@pytest.mark.parametrize("name", sorted(CASES))
def test_unknown_arguments_are_refused(name: str) -> None:
    args, _ = CASES[name][0]
    with pytest.raises(ranvier.RanvierError, match="RV100"):
        made(ranvier, name, {**args, "no_such_argument": 1})


def test_a_layer_can_be_pickled() -> None:
    layer = stack("Dense", {"units": 2}, (3,)).layers[0]
    again = pickle.loads(pickle.dumps(layer))
    for mine, other in zip(again.get_weights(), layer.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)
