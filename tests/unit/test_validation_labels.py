"""Labels of validation data that are out of range are told before the first step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ranvier as keras
from ranvier.errors import DataError
from ranvier.models import labels


def network(engine: str = "native", **loss: Any) -> Any:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    chosen = keras.losses.SparseCategoricalCrossentropy(from_logits=True, **loss)
    model.compile("sgd", chosen, metrics=["accuracy"], engine=engine)
    return model


def rows(count: int, bad: int | None = None, label: float = 5) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(count, 4)).astype("float32")
    y = np.arange(count) % 3
    if bad is not None:
        y[bad] = label
    return x, y


def refused(model: Any, *args: Any, **options: Any) -> str:
    before = model.get_weights()
    with pytest.raises(DataError) as caught:
        model.fit(*args, verbose=0, **options)
    assert caught.value.code == "RV105"
    assert not model.optimizer.iterations.numpy()
    for mine, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, old)
    return str(caught.value)


@pytest.mark.parametrize("engine", ["native", "reference"])
@pytest.mark.parametrize("label", [-1, 3, 5])
def test_a_label_of_validation_data(engine: str, label: int) -> None:
    text = refused(
        network(engine), *rows(30), validation_data=rows(40, bad=37, label=label)
    )
    assert f"label {label} found in y of validation_data, row 37" in text
    assert "3 units (0..2)" in text


def test_the_row_of_a_split_is_that_of_the_whole() -> None:
    x, y = rows(100, bad=97)
    text = refused(network(), x, y, validation_split=0.1)
    assert "label 5 found in y, row 97" in text


def test_many_rows_are_looked_at_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "ROWS", 16)
    text = refused(network(), *rows(30), validation_data=rows(40, bad=39))
    assert "row 39" in text


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
@pytest.mark.parametrize("dtype", ["float32", "int64", "uint8"])
def test_of_any_shape_and_dtype(shape: Any, dtype: str) -> None:
    x, y = rows(40, bad=8)
    held = x, y.astype(dtype).reshape(shape)
    assert "row 8" in refused(network(), *rows(30), validation_data=held)


def test_what_the_loss_leaves_out_is_no_fault() -> None:
    x, y = rows(40, bad=8, label=255)
    network(ignore_class=255).fit(*rows(30), validation_data=(x, y), verbose=0)


def test_rows_that_no_validation_reads_are_no_fault() -> None:
    held = rows(40, bad=39)
    network().fit(
        *rows(30),
        validation_data=held,
        validation_steps=2,
        validation_batch_size=16,
        verbose=0,
    )


def test_targets_that_are_no_labels_may_be_anything() -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = rows(40, bad=8)
    model.fit(x, y, validation_data=(x, y), verbose=0)
