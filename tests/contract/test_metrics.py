"""What holds for every exported metric: found by name, tried on both engines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from part_cases import ARGUMENTS, targets

import ranvier
from ranvier import metrics

BASES = {"Metric", "MeanMetricWrapper"}
CLASSES = sorted(n for n in metrics.__all__ if n[0].isupper() and n not in BASES)
#: Take values instead of targets and predictions.
OF_VALUES = {"Mean", "Sum"}


def made(name: str) -> Any:
    return getattr(metrics, name)(**ARGUMENTS.get(name, {}))


@pytest.mark.parametrize("name", CLASSES)
def test_configuration_round_trip(name: str) -> None:
    metric = made(name)
    again = metrics.deserialize(metrics.serialize(metric))
    assert type(again) is type(metric)
    assert again.get_config() == metric.get_config()


#: Take a weight for every value, which `fit` has not: see the comparison with Keras.
BY_VALUE = {"BinaryIoU", "IoU", "MeanIoU"}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", [n for n in CLASSES if n not in OF_VALUES])
def test_engines_agree_with_values_at_once(name: str, weighted: bool) -> None:
    """In the compiled step over uneven batches, and called on the whole data."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(23, 5)).astype("float32")
    activation, y = targets(name, 23)
    weights = rng.integers(0, 3, 23).astype("float32")
    weights = weights if weighted and name not in BY_VALUE else None
    found = []
    predicted = None
    for engine in ("reference", "native"):
        ranvier.utils.set_random_seed(2)
        model = ranvier.Sequential([ranvier.layers.Dense(4, activation=activation)])
        metric = made(name)
        if name in ("IoU", "MeanIoU", "Accuracy"):
            model.add(Whole())
        model.compile(
            "sgd", "mse" if y.ndim == 2 else "sparse_categorical_crossentropy",
            weighted_metrics=[metric], engine=engine,
        )  # fmt: skip
        kwargs = {"sample_weight": weights, "batch_size": 8, "verbose": 0}
        logs = model.evaluate(x, y, return_dict=True, **kwargs)
        found.append(logs[metric.name])
        predicted = model.predict(x, verbose=0)
    alone = made(name)
    alone.update_state(y, predicted, sample_weight=weights)
    np.testing.assert_allclose(found[0], found[1], rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(
        found[0], np.asarray(alone.result()), rtol=2e-5, atol=1e-5
    )


class Whole(ranvier.Layer):
    """Whole numbers from 0 to 3, as these metrics take them."""

    def call(self, x: Any) -> Any:
        return ranvier.ops.clip(ranvier.ops.floor(x * 3.0), 0.0, 3.0)
