"""A recurrent layer over sequences of different lengths, traced once.

    python examples/sequences.py

`ops.scan` runs a cell over time; rows of padding change nothing. The length of the time
axis is a symbol, so that a batch of another length runs the same graph.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import ranvier as keras
from ranvier import ops


class Recurrent(keras.layers.Layer):
    """h ← tanh(x W + h U) where a row is live; the last h is the result."""

    traced = 0

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight((input_shape[-1], self.units), name="kernel")
        self.recurrent = self.add_weight((self.units, self.units), name="recurrent")

    def call(self, x: Any) -> Any:
        Recurrent.traced += 1
        live = ops.any(ops.not_equal(x, 0.0), axis=-1)

        def cell(h: Any, row: Any) -> Any:
            x, mask = row
            new = ops.tanh(ops.matmul(x, self.kernel) + ops.matmul(h, self.recurrent))
            return ops.where(ops.expand_dims(mask, -1), new, h), None

        start = ops.zeros((x.shape[0], self.units))
        return ops.scan(
            cell, start, (ops.transpose(x, (1, 0, 2)), ops.transpose(live))
        )[0]


def batches(count: int = 40) -> Iterator[tuple[Any, Any]]:
    """Sequences of 3 to 6 rows; the target is what the last live row says."""
    for i in range(count):
        rng = np.random.default_rng(i)
        length = 3 + i % 4
        x = rng.normal(size=(16, length, 2)).astype("float32")
        used = rng.integers(1, length + 1, 16)
        x[np.arange(length) >= used[:, None]] = 0
        last = x[np.arange(16), used - 1]
        yield x, np.tanh(last[:, :1] - last[:, 1:])


def main(epochs: int = 6) -> None:
    """Train, and count how often Python ran the layer."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((None, 2)), Recurrent(8), keras.layers.Dense(1)]
    )
    model.compile(keras.optimizers.Adam(0.02), "mse")
    Recurrent.traced = 0
    for epoch in range(epochs):
        history = model.fit(batches(), epochs=1, verbose=0)
        print(f"epoch {epoch + 1}: loss {history.history['loss'][0]:.4f}")
    print(f"batches of four lengths, the layer was traced {Recurrent.traced} times")


if __name__ == "__main__":
    main()
