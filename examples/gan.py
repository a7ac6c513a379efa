"""Two networks against each other: a step of one's own with two optimizers.

    python examples/gan.py

The whole step, both losses and both updates, is traced once into one graph.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import ranvier as keras
from ranvier import ops


class GAN(keras.Model):
    """A generator of points and a critic that tells them from real ones."""

    def __init__(self) -> None:
        super().__init__()
        dense = keras.layers.Dense
        self.generator = keras.Sequential(
            [keras.Input((2,)), dense(16, activation="tanh"), dense(2)]
        )
        self.critic = keras.Sequential(
            [keras.Input((2,)), dense(24, activation="relu"), dense(1)]
        )
        self.critic_optimizer = keras.optimizers.Adam(0.01)

    def call(self, noise: Any) -> Any:
        return self.generator(noise)

    def train_step(self, data: Any) -> Any:
        noise, real = data

        def judged(points: Any, target: float) -> Any:
            logits = self.critic(points)
            wanted = ops.full_like(logits, target)
            return ops.mean(ops.binary_crossentropy(wanted, logits, from_logits=True))

        def critic_loss() -> Any:
            fake = ops.stop_gradient(self.generator(noise))
            return judged(real, 1.0) + judged(fake, 0.0)

        def generator_loss() -> Any:
            return judged(self.generator(noise), 1.0)

        logs = {}
        for name, part, optimizer, loss in (
            ("critic", self.critic, self.critic_optimizer, critic_loss),
            ("generator", self.generator, self.optimizer, generator_loss),
        ):
            weights = part.trainable_variables
            logs[name], gradients = keras.value_and_grad(loss, variables=weights)()
            optimizer.apply(gradients, weights)
        return logs


def main(epochs: int = 80) -> None:
    """Learn a small cloud of points around (2, -1)."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(4)
    noise = rng.normal(size=(512, 2)).astype("float32")
    real = (rng.normal(size=(512, 2)) * 0.3 + [2.0, -1.0]).astype("float32")
    model = GAN()
    model.critic_optimizer.build(model.critic.trainable_variables)
    model.compile(keras.optimizers.Adam(0.01))
    print(f"before: mean {np.round(model.predict(noise, verbose=0).mean(0), 2)}")
    model.fit(noise, real, epochs=epochs, verbose=0)
    print(f"after:  mean {np.round(model.predict(noise, verbose=0).mean(0), 2)}")
    print(f"real:   mean {np.round(real.mean(0), 2)}")


if __name__ == "__main__":
    main()
