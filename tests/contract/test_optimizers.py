"""What holds for every exported optimizer: found by name, tried on both engines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ranvier
from ranvier import optimizers

#: The base, and one that wraps another (tests/unit/test_loss_scale.py).
OTHERS = {"Optimizer", "LossScaleOptimizer"}
CLASSES = sorted(n for n in optimizers.__all__ if n[0].isupper() and n not in OTHERS)
COMMON: list[dict[str, Any]] = [
    {},
    {"clipnorm": 0.1},
    {"global_clipnorm": 0.1, "weight_decay": 0.01},
    {"clipvalue": 0.05, "use_ema": True, "ema_overwrite_frequency": 3},
    {"gradient_accumulation_steps": 2},
]


@pytest.mark.parametrize("name", CLASSES)
def test_configuration_round_trip(name: str) -> None:
    optimizer = getattr(optimizers, name)(learning_rate=0.123)
    again = optimizers.deserialize(optimizers.serialize(optimizer))
    assert type(again) is type(optimizer)
    assert again.get_config() == optimizer.get_config()
    assert type(optimizers.get(name.lower())) is type(optimizer)


@pytest.mark.parametrize("given", COMMON, ids=str)
@pytest.mark.parametrize("name", CLASSES)
def test_engines_agree_on_training(name: str, given: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(23, 5)).astype("float32")
    y = x @ rng.normal(size=(5, 1)).astype("float32")
    found: dict[str, Any] = {}
    for engine in ("reference", "native"):
        ranvier.utils.set_random_seed(2)
        model = ranvier.Sequential(
            [ranvier.layers.Dense(9, activation="tanh"), ranvier.layers.Dense(1)]
        )
        model.compile(
            getattr(optimizers, name)(learning_rate=0.01, **given), "mse", engine=engine
        )
        history = model.fit(x, y, batch_size=8, epochs=3, verbose=0).history["loss"]
        found[engine] = [
            *model.get_weights(),
            *[v.numpy() for v in model.optimizer.variables],
            np.array(history),
        ]
    for native, reference in zip(found["native"], found["reference"], strict=True):
        np.testing.assert_allclose(native, reference, rtol=2e-4, atol=2e-5)
