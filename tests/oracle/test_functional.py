"""Functional models beside real Keras: outputs, training, configurations, files."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from functional_cases import CASES, Case

import ranvier
from ranvier.graph import tree

DIRECTIONS = ["from Keras", "to Keras"]


def pair(keras: Any, case: Case) -> tuple[Any, Any]:
    """The model here and in Keras, with the same weights."""
    keras.utils.clear_session()
    ranvier.utils.clear_session()
    mine, theirs = case.build(ranvier), case.build(keras)
    assert [w.shape for w in mine.weights] == [w.shape for w in theirs.weights]
    rng = np.random.default_rng(3)
    weights = [rng.normal(size=w.shape).astype("float32") * 0.5 for w in mine.weights]
    mine.set_weights(weights)
    theirs.set_weights(weights)
    return mine, theirs


def close(mine: Any, theirs: Any) -> None:
    """The same structure, and the same numbers but for rounding."""
    assert type(mine) is type(theirs)
    if isinstance(mine, dict):
        assert sorted(mine) == sorted(theirs)
    for a, b in zip(tree.flatten(mine), tree.flatten(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", CASES)
def test_outputs_and_order_of_layers(keras: Any, name: str) -> None:
    case = CASES[name]
    mine, theirs = pair(keras, case)
    close(mine.predict(case.x, verbose=0), theirs.predict(case.x, verbose=0))
    assert [lay.name for lay in mine.layers] == [lay.name for lay in theirs.layers]
    assert mine.output_names == theirs.output_names
    assert mine.input_shape == theirs.input_shape
    assert mine.output_shape == theirs.output_shape
    assert [w.path for w in mine.weights] == [w.path for w in theirs.weights]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_three_steps_of_training(keras: Any, name: str, weighted: bool) -> None:
    case = CASES[name]
    mine, theirs = pair(keras, case)
    weight = None
    if weighted:
        weight = np.random.default_rng(5).uniform(0.2, 2.0, 12).astype("float32")
        if len(tree.flatten(case.y)) > 1:
            weight = tree.map_leaves(lambda _: weight, case.y)
        if name == "masked":
            weight = np.random.default_rng(5).uniform(0.2, 2.0, (12, 7))
    found = []
    for lib, model in ((ranvier, mine), (keras, theirs)):
        model.compile(lib.optimizers.SGD(0.1), **copy.deepcopy(case.compiled))
        history = model.fit(
            case.x, case.y, sample_weight=weight, batch_size=5, shuffle=False,
            verbose=0, validation_data=(case.x, case.y),
        ).history  # fmt: skip
        tested = model.evaluate(
            case.x, case.y, sample_weight=weight, verbose=0, return_dict=True
        )
        plain = model.evaluate(case.x, case.y, verbose=0)
        found.append((history, tested, plain, model.get_weights()))
    ours, real = found
    assert sorted(ours[0]) == sorted(real[0])
    assert sorted(ours[1]) == sorted(real[1])
    for key, value in real[0].items():
        if name == "masked" and key in ("mae", "mse"):
            # On JAX the predictions lose their mask on the way out of the gradient, so
            # Keras counts masked steps in training's metrics, though not in evaluate's.
            continue
        np.testing.assert_allclose(
            ours[0][key], value, rtol=5e-5, atol=1e-6, err_msg=key
        )
    for key, value in real[1].items():
        np.testing.assert_allclose(
            ours[1][key], value, rtol=5e-5, atol=1e-6, err_msg=key
        )
    np.testing.assert_allclose(ours[2], real[2], rtol=5e-5, atol=1e-6)
    close(ours[3], real[3])


def compared(config: Any) -> Any:
    """A configuration without what the two libraries tell differently on purpose."""
    if isinstance(config, dict):
        left = {k: compared(v) for k, v in config.items()}
        for key in ("build_config", "compile_config", "quantization_config"):
            left.pop(key, None)
        if left.get("initial", 0) is None:  # an argument of max that we do not have
            del left["initial"]
        if left.get("kwargs") in ({"mask": None}, {"mask": [None]}):
            left["kwargs"] = {}
        return left
    return [compared(v) for v in config] if isinstance(config, list) else config


@pytest.mark.parametrize("name", CASES)
def test_configuration_is_that_of_keras(keras: Any, name: str) -> None:
    mine, theirs = pair(keras, CASES[name])
    assert compared(json.loads(mine.to_json())) == compared(
        json.loads(theirs.to_json())
    )


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("name", CASES)
def test_json_both_ways(keras: Any, name: str, direction: str) -> None:
    case = CASES[name]
    mine, theirs = pair(keras, case)
    if direction == "to Keras":
        again = keras.models.model_from_json(mine.to_json())
    else:
        again = ranvier.models.model_from_json(theirs.to_json())
    again.set_weights(mine.get_weights())
    close(again.predict(case.x, verbose=0), mine.predict(case.x, verbose=0))


@pytest.mark.filterwarnings("error:Skipping variable loading")
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("name", CASES)
def test_files_both_ways(keras: Any, tmp_path: Path, name: str, direction: str) -> None:
    case = CASES[name]
    mine, theirs = pair(keras, case)
    for lib, model in ((ranvier, mine), (keras, theirs)):
        model.compile(lib.optimizers.Adam(0.01), **copy.deepcopy(case.compiled))
        model.fit(case.x, case.y, batch_size=5, shuffle=False, verbose=0)
    if direction == "to Keras":
        mine.save(tmp_path / "m.keras")
        again, wanted = keras.models.load_model(tmp_path / "m.keras"), mine
    else:
        theirs.save(tmp_path / "m.keras")
        again, wanted = ranvier.models.load_model(tmp_path / "m.keras"), theirs
    close(again.predict(case.x, verbose=0), wanted.predict(case.x, verbose=0))
    for model in (again, wanted):  # the optimizer's state came along
        model.fit(case.x, case.y, batch_size=5, shuffle=False, verbose=0)
    close(again.get_weights(), wanted.get_weights())
