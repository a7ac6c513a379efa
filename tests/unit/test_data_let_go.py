"""Models do not keep the data they were trained on, evaluated on or asked about."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

import ranvier as keras


def model() -> Any:
    made = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    made.compile("sgd", "mse")
    return made


def fit(made: Any, x: Any, y: Any) -> None:
    made.fit(x, y, epochs=2, verbose=0, sample_weight=np.ones(len(x)))


def validate(made: Any, x: Any, y: Any) -> None:
    made.fit(x.copy(), y.copy(), verbose=0, validation_data=(x, y))


def evaluate(made: Any, x: Any, y: Any) -> None:
    made.evaluate(x, y, verbose=0)


def predict(made: Any, x: Any, y: Any) -> None:
    made.predict(x, verbose=0)


def one_batch(made: Any, x: Any, y: Any) -> None:
    made.train_on_batch(x, y)


@pytest.mark.parametrize("use", [fit, validate, evaluate, predict, one_batch])
def test_arrays_are_let_go(use: Any) -> None:
    made = model()
    x, y = np.ones((64, 3), np.float32), np.ones((64, 1), np.float32)
    use(made, x, y)
    left = [weakref.ref(x), weakref.ref(y)]
    del x, y
    gc.collect()
    assert [ref() for ref in left] == [None, None]
