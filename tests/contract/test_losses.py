"""What holds for every exported loss: found by name, tried on both engines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from part_cases import targets

import ranvier
from ranvier import losses

HELPERS = {"Loss", "LossFunctionWrapper"}
CLASSES = sorted(n for n in losses.__all__ if n[0].isupper() and n not in HELPERS)
#: Needs targets of its own kind (embeddings of one class each; sequences): their values
#: are compared with Keras's elsewhere.
APART = {"Circle", "CTC"}


@pytest.mark.parametrize("name", CLASSES)
def test_configuration_round_trip(name: str) -> None:
    loss = getattr(losses, name)()
    again = losses.deserialize(losses.serialize(loss))
    assert type(again) is type(loss)
    assert again.get_config() == loss.get_config()
    assert type(losses.get(name)) is type(loss)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", [n for n in CLASSES if n not in APART])
def test_engines_agree_on_training(name: str, weighted: bool) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(23, 5)).astype("float32")
    activation, y = targets(name, 23)
    weights = rng.random(23) if weighted else None
    found: dict[str, Any] = {}
    for engine in ("reference", "native"):
        ranvier.utils.set_random_seed(2)
        model = ranvier.Sequential(
            [
                ranvier.layers.Dense(9, activation="tanh"),
                ranvier.layers.Dense(4, activation=activation),
            ]
        )
        model.compile(
            ranvier.optimizers.SGD(0.01), getattr(losses, name)(), engine=engine
        )
        history = model.fit(
            x, y, batch_size=8, epochs=2, sample_weight=weights, verbose=0
        )
        found[engine] = [*model.get_weights(), np.array(history.history["loss"])]
        assert np.isfinite(found[engine][-1]).all()
    for native, reference in zip(found["native"], found["reference"], strict=True):
        np.testing.assert_allclose(native, reference, rtol=1e-4, atol=1e-5)
