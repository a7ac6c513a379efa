"""The proof of the frame through the front: layers, models and steps of a user's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ranvier as keras
from ranvier import ops
from ranvier.graph.autodiff import grad, value_and_grad

RNG = np.random.default_rng


@pytest.fixture(autouse=True)
def _seed() -> None:
    keras.utils.set_random_seed(0)


def falls(history: Any, name: str = "loss", factor: float = 0.5) -> None:
    values = history.history[name]
    assert np.isfinite(values).all()
    assert values[-1] < factor * values[0], values


# ------------------------------------------------------------------- layers of one's own


class Embedding(keras.layers.Layer):
    def __init__(self, words: int, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.words, self.width = words, width

    def build(self, input_shape: Any) -> None:
        self.table = self.add_weight((self.words, self.width), "uniform", name="table")

    def call(self, words: Any) -> Any:
        return ops.take(self.table, ops.cast(words, "int32"), axis=0)


class MeanOverTime(keras.layers.Layer):
    def call(self, x: Any) -> Any:
        return ops.mean(x, axis=1)


def test_an_embedding_layer() -> None:
    rng = RNG(0)
    y = rng.integers(0, 3, 200)
    words = rng.integers(0, 10, (200, 6)) + 10 * y[:, None]
    model = keras.Sequential(
        [Embedding(30, 8), MeanOverTime(), keras.layers.Dense(3, "softmax")]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.optimizer.learning_rate = 0.02
    history = model.fit(words, y, epochs=20, verbose=0)
    falls(history)
    assert history.history["accuracy"][-1] > 0.9
    seen = model.layers[0].table.numpy()
    assert seen.shape == (30, 8)


class BatchNorm(keras.layers.Layer):
    def build(self, input_shape: Any) -> None:
        n = input_shape[-1]
        self.gamma = self.add_weight((n,), "ones", name="gamma")
        self.beta = self.add_weight((n,), "zeros", name="beta")
        self.mean = self.add_weight((n,), "zeros", trainable=False, name="mean")
        self.var = self.add_weight((n,), "ones", trainable=False, name="var")

    def call(self, x: Any, training: bool = False) -> Any:
        if training:
            mean, var = ops.mean(x, axis=0), ops.var(x, axis=0)
            self.mean.assign(self.mean * 0.9 + mean * 0.1)
            self.var.assign(self.var * 0.9 + var * 0.1)
        else:
            mean, var = self.mean, self.var
        return (x - mean) / ops.sqrt(var + 1e-3) * self.gamma + self.beta


def test_a_normalisation_layer_with_state() -> None:
    x = (RNG(1).normal(size=(320, 5)) * 3 + 7).astype("float32")
    norm = BatchNorm()
    model = keras.Sequential(
        [norm, keras.layers.Dense(16, "tanh"), keras.layers.Dense(1)]
    )
    model.compile(keras.optimizers.Adam(0.01), "mse")
    falls(model.fit(x, np.tanh(x[:, 0] - 7), epochs=20, verbose=0))
    np.testing.assert_allclose(norm.mean.numpy(), x.mean(0), atol=0.6)
    np.testing.assert_allclose(norm.var.numpy(), x.var(0), rtol=0.3)
    before = norm.mean.numpy()
    assert model.evaluate(x, np.tanh(x[:, 0] - 7), verbose=0) < 0.3
    one = model.predict(x[:1], verbose=0)
    np.testing.assert_allclose(
        one, model.predict(x, verbose=0)[:1], rtol=1e-4, atol=1e-5
    )
    np.testing.assert_array_equal(norm.mean.numpy(), before)
    assert [v.name for v in norm.trainable_variables] == ["gamma", "beta"]


class Recurrent(keras.layers.Layer):
    """A recurrent layer whose rows of padding (all zeros) change nothing."""

    traced = 0

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight((input_shape[-1], self.units), name="kernel")
        self.recurrent = self.add_weight((self.units, self.units), name="recurrent")

    def call(self, x: Any) -> Any:
        type(self).traced += 1
        live = ops.any(ops.not_equal(x, 0.0), axis=-1)

        def cell(h: Any, row: Any) -> Any:
            x, mask = row
            new = ops.tanh(ops.matmul(x, self.kernel) + ops.matmul(h, self.recurrent))
            return ops.where(ops.expand_dims(mask, -1), new, h), None

        start = ops.zeros((x.shape[0], self.units))
        rows = ops.transpose(x, (1, 0, 2)), ops.transpose(live)
        return ops.scan(cell, start, rows)[0]


def test_a_recurrent_layer_over_batches_of_other_lengths() -> None:
    """The model is traced once, whatever the lengths."""
    Recurrent.traced = 0
    model = keras.Sequential(
        [keras.Input((None, 2)), Recurrent(8), keras.layers.Dense(1)]
    )
    model.compile(keras.optimizers.Adam(0.02), "mse")

    def batches() -> Any:
        for i in range(40):
            rng = RNG(i)
            length = 3 + i % 4
            x = rng.normal(size=(16, length, 2)).astype("float32")
            used = rng.integers(1, length + 1, 16)
            x[np.arange(length) >= used[:, None]] = 0
            last = x[np.arange(16), used - 1]
            yield x, np.tanh(last[:, :1] - last[:, 1:])

    model.fit(batches(), epochs=1, verbose=0)
    traced = Recurrent.traced
    first = model.evaluate(batches(), verbose=0)
    for _ in range(5):
        model.fit(batches(), epochs=1, verbose=0)
    assert model.evaluate(batches(), verbose=0) < 0.5 * first
    assert Recurrent.traced <= traced + 1, "one trace more for evaluate, no other"
    padded = np.zeros((1, 9, 2), "float32")
    padded[0, :2] = 0.5
    np.testing.assert_allclose(
        model.predict(padded, verbose=0),
        model.predict(padded[:, :2], verbose=0),
        rtol=1e-5,
    )


# --------------------------------------------------------------------- models of one's own


class TwoHeads(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.shared = keras.layers.Dense(32, "relu")
        self.kind = keras.layers.Dense(3)
        self.size = keras.layers.Dense(1)

    def call(self, x: Any) -> Any:
        h = self.shared(x)
        return {"kind": self.kind(h), "size": self.size(h)}


def test_two_outputs_with_a_loss_each() -> None:
    x = RNG(2).normal(size=(320, 6)).astype("float32")
    y = {"kind": np.argmax(x[:, :3], axis=1), "size": x[:, 3] * x[:, 4]}
    model = TwoHeads()
    model.compile(
        keras.optimizers.Adam(0.01),
        loss={
            "kind": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            "size": "mse",
        },
        loss_weights={"kind": 1.0, "size": 0.5},
        metrics={"kind": ["accuracy"]},
    )
    history = model.fit(x, y, epochs=25, verbose=0)
    falls(history)
    logs = history.history
    assert {"kind_loss", "size_loss", "kind_accuracy"} <= set(logs)
    np.testing.assert_allclose(
        logs["loss"],
        np.add(logs["kind_loss"], np.multiply(0.5, logs["size_loss"])),
        rtol=1e-4,
    )
    falls(history, "kind_loss")
    found = model.predict(x[:5], verbose=0)
    assert {name: v.shape for name, v in found.items()} == {
        "kind": (5, 3),
        "size": (5, 1),
    }


def test_a_python_metric() -> None:
    """It needs NumPy, so predictions are tapped for it; it says that it is slower."""

    def rank_correlation(y_true: Any, y_pred: Any) -> float:
        ranks = [
            np.argsort(np.argsort(np.asarray(v).ravel())) for v in (y_true, y_pred)
        ]
        return float(np.corrcoef(*ranks)[0, 1])

    x = RNG(3).normal(size=(192, 4)).astype("float32")
    y = x[:, :1] + 0.5 * x[:, 1:2]
    model = keras.Sequential([keras.layers.Dense(16, "tanh"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=[rank_correlation])
    with pytest.warns(keras.errors.RanvierWarning, match="rank_correlation"):
        history = model.fit(x, y, epochs=15, verbose=0)
    falls(history)
    assert history.history["rank_correlation"][-1] > 0.95


class GAN(keras.Model):
    """Two networks, two optimizers, one step."""

    def __init__(self) -> None:
        super().__init__()
        dense = keras.layers.Dense
        self.generator = keras.Sequential(
            [keras.Input((2,)), dense(16, "tanh"), dense(2)]
        )
        self.critic = keras.Sequential([keras.Input((2,)), dense(24, "relu"), dense(1)])
        self.critic_optimizer = keras.optimizers.Adam(0.01)

    def call(self, noise: Any) -> Any:
        return self.generator(noise)

    def train_step(self, data: Any) -> Any:
        noise, real = data
        n = real.shape[0]

        def judged(x: Any, target: float) -> Any:
            logits = self.critic(x)
            return ops.mean(
                ops.binary_crossentropy(
                    ops.full((n, 1), target), logits, from_logits=True
                )
            )

        def critic_loss() -> Any:
            fake = ops.stop_gradient(self.generator(noise))
            return judged(real, 1.0) + judged(fake, 0.0)

        def generator_loss() -> Any:
            return judged(self.generator(noise), 1.0)

        found = {}
        for name, net, optimizer, loss in (
            ("critic", self.critic, self.critic_optimizer, critic_loss),
            ("generator", self.generator, self.optimizer, generator_loss),
        ):
            weights = net.trainable_variables
            found[name], grads = value_and_grad(loss, variables=weights)()
            optimizer.apply(grads, weights)
        return found


def test_a_step_with_two_optimizers() -> None:
    rng = RNG(4)
    noise = rng.normal(size=(512, 2)).astype("float32")
    real = (rng.normal(size=(512, 2)) * 0.3 + [2.0, -1.0]).astype("float32")
    model = GAN()
    model.compile(keras.optimizers.Adam(0.01))
    model.critic_optimizer.build(model.critic.trainable_variables)
    before = [w.numpy() for w in model.critic.weights]
    history = model.fit(noise, real, epochs=80, verbose=0)
    assert {"critic", "generator"} <= set(history.history)
    assert any(
        (a != w.numpy()).any()
        for a, w in zip(before, model.critic.weights, strict=True)
    )
    fake = model.predict(noise, verbose=0)
    assert np.abs(fake.mean(0) - real.mean(0)).max() < 0.8


class Physics(keras.Model):
    """u'' = -u with u(0) = 0 and u'(0) = 1, learned from the equation alone."""

    def __init__(self) -> None:
        super().__init__()
        dense = keras.layers.Dense
        self.u = keras.Sequential(
            [keras.Input((1,)), dense(20, "tanh"), dense(20, "tanh"), dense(1)]
        )

    def call(self, t: Any) -> Any:
        return self.u(t)

    def compute_loss(self, x: Any = None, **_: Any) -> Any:
        def slope(t: Any) -> Any:
            return grad(lambda t: ops.sum(self.u(t)))(t)

        bend = grad(lambda t: ops.sum(slope(t)))(x)
        start = ops.zeros((1, 1))
        at_start = ops.square(self.u(start)) + ops.square(slope(start) - 1.0)
        return ops.mean(ops.square(bend + self.u(x))) + ops.sum(at_start)


def test_a_physics_informed_model() -> None:
    t = np.linspace(0, 3, 64, dtype="float32")[:, None]
    model = Physics()
    model.compile(keras.optimizers.Adam(0.01))
    falls(model.fit(t, batch_size=64, epochs=400, verbose=0), factor=0.05)
    np.testing.assert_allclose(model.predict(t, verbose=0), np.sin(t), atol=0.25)
