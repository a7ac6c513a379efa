"""A layer of one's own with state that changes in the forward pass, and an embedding.

    python examples/own_layer.py

Both are written with `ranvier.ops` only and run in the compiled step like any other layer:
the embedding's gradient is a scatter, the normalisation assigns its moving statistics.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import ranvier as keras
from ranvier import ops


class Embedding(keras.layers.Layer):
    """A row of a table for each whole number, averaged over the sequence."""

    def __init__(self, words: int, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.words, self.width = words, width

    def build(self, input_shape: Any) -> None:
        self.table = self.add_weight((self.words, self.width), "uniform", name="table")

    def call(self, words: Any) -> Any:
        return ops.mean(ops.take(self.table, ops.cast(words, "int32"), axis=0), axis=1)


class MovingNorm(keras.layers.Layer):
    """Batch normalisation without scale and shift."""

    def build(self, input_shape: Any) -> None:
        n = input_shape[-1]
        self.mean = self.add_weight((n,), "zeros", trainable=False, name="mean")
        self.var = self.add_weight((n,), "ones", trainable=False, name="var")

    def call(self, x: Any, training: bool = False) -> Any:
        if not training:
            return (x - self.mean) / ops.sqrt(self.var + 1e-3)
        mean, var = ops.mean(x, axis=0), ops.var(x, axis=0)
        self.mean.assign(self.mean * 0.9 + mean * 0.1)
        self.var.assign(self.var * 0.9 + var * 0.1)
        return (x - mean) / ops.sqrt(var + 1e-3)


def main(epochs: int = 15) -> None:
    """Tell three topics apart by their words."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    topic = rng.integers(0, 3, 600)
    words = np.where(
        rng.random((600, 8)) < 0.5,
        rng.integers(0, 10, (600, 8)) + 10 * topic[:, None],
        rng.integers(0, 30, (600, 8)),
    )
    model = keras.Sequential(
        [Embedding(30, 8), MovingNorm(), keras.layers.Dense(3, activation="softmax")]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(words[:500], topic[:500], epochs=epochs, verbose=0)
    print(f"loss {history.history['loss'][0]:.3f} → {history.history['loss'][-1]:.3f}")
    _, accuracy = model.evaluate(words[500:], topic[500:], verbose=0)
    print(f"accuracy on new texts {accuracy:.2f}")
    print(f"moving means {np.round(model.layers[1].mean.numpy()[:4], 3)}")


if __name__ == "__main__":
    main()
