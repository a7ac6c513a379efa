"""A network that solves u'' = -u from the equation alone: derivatives inside the loss.

    python examples/physics_informed.py

With u(0) = 0 and u'(0) = 1 the solution is the sine. The loss holds the second derivative
of the network by its input, and training differentiates that once more by the weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import ranvier as keras
from ranvier import ops


class Oscillator(keras.Model):
    """u(t)."""

    def __init__(self) -> None:
        super().__init__()
        dense = keras.layers.Dense
        self.u = keras.Sequential(
            [
                keras.Input((1,)),
                dense(20, activation="tanh"),
                dense(20, activation="tanh"),
                dense(1),
            ]
        )

    def call(self, t: Any) -> Any:
        return self.u(t)

    def compute_loss(self, x: Any = None, **_: Any) -> Any:
        def slope(t: Any) -> Any:
            return keras.grad(lambda t: ops.sum(self.u(t)))(t)

        bend = keras.grad(lambda t: ops.sum(slope(t)))(x)
        start = ops.zeros((1, 1))
        at_start = ops.square(self.u(start)) + ops.square(slope(start) - 1.0)
        return ops.mean(ops.square(bend + self.u(x))) + ops.sum(at_start)


def main(epochs: int = 500) -> None:
    """Train on 64 moments between 0 and 3, and compare with the sine."""
    keras.utils.set_random_seed(0)
    t = np.linspace(0, 3, 64, dtype="float32")[:, None]
    model = Oscillator()
    model.compile(keras.optimizers.Adam(0.01))
    history = model.fit(t, batch_size=64, epochs=epochs, verbose=0)
    found = model.predict(t, verbose=0)
    print(f"loss {history.history['loss'][0]:.3f} → {history.history['loss'][-1]:.5f}")
    for at in (0, 21, 42, 63):
        print(
            f"u({t[at, 0]:.2f}) = {found[at, 0]:+.3f}   sin = {np.sin(t[at, 0]):+.3f}"
        )
    print(f"largest error {np.abs(found - np.sin(t)).max():.3f}")


if __name__ == "__main__":
    main()
