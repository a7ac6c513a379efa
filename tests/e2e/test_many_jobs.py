"""One architecture, many jobs: the same lines train models of every kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ranvier as keras
from ranvier import layers
from ranvier.datasets import fashion_mnist

RNG = np.random.default_rng(5)
HALF = 400
#: What a job is: x, y, layers in front, outputs, their activation, loss, metric.
Job = tuple[Any, Any, list[Any], int, str, str, str]


def table(rows: int = 2 * HALF) -> Any:
    return RNG.normal(size=(rows, 6)).astype("float32")


def binary() -> Job:
    x = table()
    y = (x[:, 0] * x[:, 1] > 0).astype("int32")
    return x, y, [], 1, "sigmoid", "binary_crossentropy", "accuracy"


def classes() -> Job:
    x = table()
    y = np.argmax(x[:, :3], axis=1)
    return x, y, [], 3, "softmax", "sparse_categorical_crossentropy", "accuracy"


def labels() -> Job:
    x = table()
    y = (x[:, :3] > x[:, 3:]).astype("float32")
    return x, y, [], 3, "sigmoid", "binary_crossentropy", "binary_accuracy"


def regression() -> Job:
    x = table()
    y = x[:, 0] ** 2 + x[:, 1]
    return x, y, [], 1, "linear", "mse", "r2_score"


def images() -> Job:
    (x, y), _ = fashion_mnist.load_sample()
    front = [
        layers.Reshape((28, 28, 1)),
        layers.Rescaling(1 / 255),
        layers.Conv2D(8, 3, strides=2, activation="relu"),
        layers.Flatten(),
    ]
    x, y = x[: 2 * HALF], y[: 2 * HALF]
    return x, y, front, 10, "softmax", "sparse_categorical_crossentropy", "accuracy"


def texts() -> Job:
    words = np.array(["fine", "dull", "a", "film", "plot", "with", "actors", "of"])
    y = RNG.integers(0, 2, 2 * HALF)
    x = np.array([
        " ".join(RNG.permutation([*RNG.choice(words[2:], 5), words[label]]))
        for label in y
    ])  # fmt: skip
    vectorizer = layers.TextVectorization(output_sequence_length=6)
    vectorizer.adapt(x)
    front = [vectorizer, layers.Embedding(10, 8), layers.GlobalAveragePooling1D()]
    return x, y, front, 1, "sigmoid", "binary_crossentropy", "accuracy"


def series() -> Job:
    """The next value of a noisy wave, after sixteen."""
    starts = RNG.uniform(0, 20, (2 * HALF, 1))
    wave = np.sin(starts + 0.4 * np.arange(17)) + RNG.normal(size=(2 * HALF, 17)) / 10
    x, y = wave[:, :16, None].astype("float32"), wave[:, 16].astype("float32")
    return x, y, [layers.LSTM(16)], 1, "linear", "mse", "r2_score"


def trivial(job: Job) -> float:
    """The score of an answer that does not look at x."""
    _, y, _, _, _, _, metric = job
    if metric == "r2_score":
        return 0.0
    if y.ndim > 1:
        share = y.mean(axis=0)
        return float(np.maximum(share, 1 - share).mean())
    return float(np.bincount(y).max() / len(y))


@pytest.mark.parametrize(
    "kind", [binary, classes, labels, regression, images, texts, series],
    ids=lambda kind: kind.__name__,
)  # fmt: skip
def test_the_same_lines_for_every_job(kind: Any) -> None:
    job = kind()
    x, y, front, units, activation, loss, metric = job
    keras.utils.set_random_seed(1)
    hidden = layers.Dense(32, activation="relu")
    model = keras.Sequential([*front, hidden, layers.Dense(units, activation)])
    model.compile(keras.optimizers.Adam(0.01), loss=loss, metrics=[metric])
    model.fit(x[:HALF], y[:HALF], batch_size=32, epochs=25, verbose=0)
    _, score = model.evaluate(x[HALF:], y[HALF:], verbose=0)
    assert score > trivial(job) + 0.25
    found = model.predict(x[HALF:], verbose=0)
    assert found.shape == (HALF, units)
    assert np.isfinite(found).all()
