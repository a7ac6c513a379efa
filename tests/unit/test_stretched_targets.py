"""A user's own loss does not stretch targets over outputs, and may do all else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import ranvier as keras
from ranvier import ops
from ranvier.errors import ShapeError

Loss = Callable[[Any, Any], Any]


def fit(loss: Loss, units: int, targets: int, **options: Any) -> Any:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 4)).astype("float32")
    y = rng.uniform(0.1, 1.0, size=(20, targets)).astype("float32")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(units)])
    model.compile("sgd", loss, **options)
    return model.fit(x, y, batch_size=8, verbose=0)


def mean(x: Any) -> Any:
    return ops.mean(x, axis=-1)


REFUSED: dict[str, Loss] = {
    "difference": lambda t, p: mean(ops.square(t - p)),
    "the other way round": lambda t, p: mean(ops.square(p - t)),
    "product": lambda t, p: -mean(t * ops.log_softmax(p)),
    "scaled before": lambda t, p: mean(ops.abs(2.0 * t + 1.0 - ops.tanh(p))),
    "maximum": lambda t, p: mean(ops.maximum(t, p)),
    "where": lambda t, p: mean(ops.where(p > 0.0, t, p)),
    "compared": lambda t, p: mean(ops.where(ops.greater(t, p), p, 0.0)),
    "centred by itself": lambda t, p: mean(
        ops.square(t - (p - mean(p)[:, None]))
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("shape", [(3, 1), (1, 3)])
@pytest.mark.parametrize("by_run", [False, True])
def test_one_target_against_several_outputs(
    name: str, shape: tuple[int, int], by_run: bool
) -> None:
    with pytest.raises(ShapeError) as caught:
        fit(REFUSED[name], *shape, run_eagerly=by_run)
    assert caught.value.code == "RV101"
    text = str(caught.value)
    assert "y_true" in text
    assert "broadcast_to" in text
    assert "test_stretched_targets.py" in text


LEGAL: dict[str, Loss] = {
    "meant": lambda t, p: mean(ops.square(ops.broadcast_to(t, ops.shape(p)) - p)),
    "a sum of the targets": lambda t, p: mean(
        ops.square(ops.sum(t * t, axis=-1, keepdims=True)[:, :, None][:, 0] - p)
    ),
    "a mean of the outputs": lambda t, p: mean(
        ops.square(t - ops.mean(p, axis=-1, keepdims=True))
    ),
    "a mask of the targets": lambda t, p: mean(
        ops.where(t > 0.5, ops.square(p), ops.abs(p))
    ),
    "classes": lambda t, p: mean(
        ops.square(p - ops.cast(ops.equal(ops.round(t), ops.arange(3.0)), "float32"))
    ),
    "weights": lambda t, p: (
        mean(ops.square(p) * ops.convert_to_tensor([1.0, 2.0, 3.0])) + 0.0 * mean(t)
    ),
    "one column": lambda t, p: mean(ops.square(p[:, :1] - t)),
}


@pytest.mark.parametrize("name", LEGAL)
@pytest.mark.parametrize("by_run", [False, True])
def test_what_is_meant_is_legal(name: str, by_run: bool) -> None:
    history = fit(LEGAL[name], 3, 1, run_eagerly=by_run).history
    assert np.isfinite(history["loss"]).all()


def test_one_shape_may_be_broadcast_with_anything() -> None:
    def loss(t: Any, p: Any) -> Any:
        scale = ops.max(ops.abs(t), axis=-1, keepdims=True)
        return mean(ops.square((t - p) / (scale + 1.0)))

    fit(loss, 3, 3)


def test_rows_without_an_axis_meet_one_unit() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 4)).astype("float32")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", lambda t, p: mean(ops.square(t - p)))
    model.fit(x, x[:, 0], verbose=0)


def test_a_loss_class_of_ones_own_is_held_to_it_too() -> None:
    class Own(keras.losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return mean(ops.square(y_true - y_pred))

    with pytest.raises(ShapeError, match="RV101"):
        fit(Own(), 3, 1)
