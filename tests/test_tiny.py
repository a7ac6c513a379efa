"""The whole library in one second: the first test to run after any change."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import ranvier as keras


def test_a_network_learns_is_saved_and_answers_the_same(tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 4)).astype("float32")
    y = (x[:, 0] * x[:, 1] > 0).astype("int64")
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dropout(0.1),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(2),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(0.01),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    history = model.fit(
        x, y, epochs=30, batch_size=50, validation_split=0.2, verbose=0
    ).history
    assert list(history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert history["loss"][-1] < history["loss"][0] / 2
    loss, accuracy = model.evaluate(x, y, verbose=0)
    assert accuracy > 0.9
    assert loss < 0.3

    path = tmp_path / "model.keras"
    model.save(path)
    again = keras.models.load_model(path)
    np.testing.assert_array_equal(
        again.predict(x, verbose=0), model.predict(x, verbose=0)
    )
    for mine, read in zip(
        model.optimizer.variables, again.optimizer.variables, strict=True
    ):
        np.testing.assert_array_equal(mine.numpy(), read.numpy())
    assert model.test_on_batch(x, y) == again.test_on_batch(x, y)
    # Training goes on: a restart would forget what the optimizer knew.
    before = again.evaluate(x, y, verbose=0)[0]
    again.fit(x, y, epochs=3, batch_size=50, verbose=0)
    assert again.evaluate(x, y, verbose=0)[0] < 1.5 * before


def test_a_layer_of_ones_own_trains_on_every_engine() -> None:
    class Scale(keras.Layer):
        def build(self, input_shape: tuple[int, ...]) -> None:
            self.factor = self.add_weight((input_shape[-1],), "ones")

        def call(self, x: object) -> object:
            return keras.ops.multiply(x, self.factor)

    x = np.arange(12.0).reshape(6, 2)
    found = []
    for engine in ("native", "reference"):
        model = keras.Sequential([Scale()])
        model.compile(keras.optimizers.SGD(0.01), "mse", engine=engine)
        model.fit(x, 3 * x, epochs=40, shuffle=False, verbose=0)
        found.append(model.get_weights()[0])
    np.testing.assert_allclose(found[0], [3, 3], rtol=1e-2)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)
