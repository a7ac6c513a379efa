"""Keras's introductory convolutional network, from pictures to a trained classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from strategies import workers

import ranvier as keras
from ranvier import layers

Array = np.ndarray[Any, Any]


def pictures(count: int, seed: int) -> tuple[Array, Array]:
    """Strokes of ten directions at random places, with noise."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 10, count)
    angle = y * np.pi / 10
    place = rng.uniform(9, 18, (count, 2))
    down, along = np.mgrid[0:28, 0:28].astype("float32")
    off = (down - place[:, 0, None, None]) * np.cos(angle)[:, None, None] - (
        along - place[:, 1, None, None]
    ) * np.sin(angle)[:, None, None]
    x = np.exp(-(off**2) / 2) + rng.normal(0, 0.3, (count, 28, 28))
    return x[..., None].astype("float32"), y.astype("int32")


def convnet() -> Any:
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, kernel_size=(3, 3), activation="relu"),
            layers.MaxPooling2D(pool_size=(2, 2)),
            layers.Conv2D(64, kernel_size=(3, 3), activation="relu"),
            layers.MaxPooling2D(pool_size=(2, 2)),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(
        optimizer="adam",
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        engine="native",
    )
    return model


def test_it_learns() -> None:
    x, y = pictures(1200, 0)
    x_test, y_test = pictures(300, 1)
    model = convnet()
    assert model.count_params() == 34_826
    history = model.fit(x, y, batch_size=32, epochs=3, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    accuracy = model.evaluate(x_test, y_test, verbose=0)[1]
    assert accuracy > 0.8  # a guess is right once in ten


@pytest.mark.parametrize("rows", [32, 45])
def test_the_same_bits_for_any_number_of_workers(rows: int) -> None:
    """Also in a last batch that is not full."""
    x, y = pictures(rows, 2)
    found = []
    for count in (1, 2, 3):
        with workers(count):
            model = convnet()
            model.fit(x, y, batch_size=32, epochs=2, verbose=0)
            found.append([*model.get_weights(), model.predict(x, verbose=0)])
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)
