"""LossScaleOptimizer in training, in files, and with bad arguments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import ranvier
from ranvier.optimizers import SGD, Adam, LossScaleOptimizer


def model_of(optimizer: object, engine: str = "native") -> ranvier.Sequential:
    ranvier.utils.set_random_seed(1)
    model = ranvier.Sequential(
        [ranvier.layers.Dense(5, activation="tanh"), ranvier.layers.Dense(1)]
    )
    model.compile(optimizer, "mse", engine=engine)
    return model


def rows() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(24, 3)).astype("float32")
    return x, x.sum(1, keepdims=True)


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_a_power_of_two_changes_no_bit(engine: str) -> None:
    x, y = rows()
    plain, scaled = (
        model_of(o, engine) for o in (SGD(0.1), LossScaleOptimizer(SGD(0.1), 256.0, 5))
    )
    for model in (plain, scaled):
        model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0)
    for a, b in zip(plain.get_weights(), scaled.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert float(scaled.optimizer.dynamic_scale.numpy()) == 512.0
    assert int(scaled.optimizer.step_counter.numpy()) == 4


@pytest.mark.filterwarnings("ignore:.* encountered in reduce:RuntimeWarning")  # NumPy
@pytest.mark.parametrize("engine", ["native", "reference"])
def test_steps_that_overflow_are_skipped(engine: str) -> None:
    x, y = rows()
    model = model_of(LossScaleOptimizer(Adam(0.1), 2.0**127, 100), engine)
    model.build((None, 3))
    before = model.get_weights()
    y = y * 100
    model.train_on_batch(x, y)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert float(model.optimizer.dynamic_scale.numpy()) == 2.0**126
    assert int(model.optimizer.iterations.numpy()) == 0
    first = model.evaluate(x, y, verbose=0)
    model.fit(x, y, epochs=30, verbose=0)
    assert int(model.optimizer.iterations.numpy()) > 10
    assert model.evaluate(x, y, verbose=0) < first
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_files_keep_all_of_its_state(tmp_path: Path) -> None:
    x, y = rows()
    model = model_of(LossScaleOptimizer(Adam(0.1), 16.0, 3))
    model.fit(x, y, batch_size=8, epochs=2, verbose=0)
    model.save(tmp_path / "m.keras")
    again = ranvier.saving.load_model(tmp_path / "m.keras")
    kept = [v.numpy() for v in model.optimizer.variables]
    assert len(kept) == 6 + 8
    for a, b in zip(again.optimizer.variables, kept, strict=True):
        np.testing.assert_array_equal(a.numpy(), b)
    model.optimizer.learning_rate = 0.25
    assert float(model.optimizer.inner_optimizer.learning_rate.numpy()) == 0.25


def test_bad_arguments() -> None:
    for bad in ({"clipnorm": 1.0}, {"dynamic": False}, {"unknown": 1}):
        with pytest.raises(ranvier.RanvierError, match="RV100"):
            LossScaleOptimizer(SGD(), **bad)
    with pytest.raises(ranvier.RanvierError, match="RV100"):
        LossScaleOptimizer("sgd")  # type: ignore[arg-type]
