"""Model files exchanged with real Keras, in both directions."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import ranvier
from ranvier.models.archive import CONFIG, WEIGHTS

ROWS = np.random.default_rng(0).normal(size=(48, 4)).astype("float32")
REAL = np.random.default_rng(1).normal(size=(48, 1)).astype("float32")
LABELS = np.random.default_rng(2).integers(0, 3, 48)


def dense(lib: Any) -> Any:
    """A plain classifier."""
    model = lib.Sequential(
        [
            lib.Input((4,)),
            lib.layers.Dense(6, "relu", kernel_regularizer="l2"),
            lib.layers.Dense(3),
        ]
    )
    loss = lib.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    model.fit(ROWS, LABELS, verbose=0)
    return model


def mixed(lib: Any) -> Any:
    """All layers that have state, one model inside another, and a schedule."""
    statistics = lib.layers.Normalization()
    statistics.adapt(ROWS)
    inner = lib.Sequential([lib.layers.Dense(6), lib.layers.PReLU()])
    model = lib.Sequential(
        [
            lib.Input((4,)),
            statistics,
            lib.layers.Rescaling(0.5, 1.0),
            lib.layers.Dense(6, kernel_constraint=lib.constraints.MaxNorm(2.0)),
            lib.layers.BatchNormalization(momentum=0.8),
            lib.layers.LeakyReLU(0.1),
            lib.layers.LayerNormalization(),
            lib.layers.Dropout(0.1),
            inner,
            lib.layers.Reshape((3, 2)),
            lib.layers.Flatten(),
            lib.layers.ELU(),
            lib.layers.Dense(1, activation=lib.activations.tanh),
        ]
    )
    rate = lib.optimizers.schedules.CosineDecay(0.01, 100)
    model.compile(
        lib.optimizers.RMSprop(rate, momentum=0.9, centered=True, clipnorm=1.0),
        lib.losses.LogCosh(),
        metrics=[lib.metrics.RootMeanSquaredError(name="rmse"), "mae"],
    )
    model.fit(ROWS, REAL, verbose=0)
    return model


def built_by_data(lib: Any) -> Any:
    """A model without a declared input."""
    model = lib.Sequential([lib.layers.Dense(5, "gelu"), lib.layers.Dense(1)])
    model.compile(lib.optimizers.SGD(0.05, momentum=0.9, nesterov=True), "mse")
    model.fit(ROWS, REAL, batch_size=7, verbose=0)
    return model


def frozen(lib: Any) -> Any:
    """Accumulated gradients, and a layer that is not trained."""
    model = lib.Sequential(
        [
            lib.Input((4,)),
            lib.layers.Dense(5, "selu", trainable=False),
            lib.layers.Dense(1),
        ]
    )
    model.compile(lib.optimizers.AdamW(gradient_accumulation_steps=2), "mse")
    model.fit(ROWS, REAL, verbose=0)
    return model


MODELS = {f.__name__: f for f in (dense, mixed, built_by_data, frozen)}
DIRECTIONS = ("from ranvier to keras", "from keras to ranvier")


def sides(keras: Any, direction: str) -> tuple[Any, Any]:
    """Who writes and who reads."""
    return (ranvier, keras) if direction == DIRECTIONS[0] else (keras, ranvier)


def targets(name: str) -> Any:
    """What the model of that name learns."""
    return LABELS if name == "dense" else REAL


def state(model: Any) -> list[Any]:
    """The optimizer's variables, in the order of the file."""
    store: dict[str, Any] = {}
    model.optimizer.save_own_variables(store)
    return [np.asarray(store[str(i)]) for i in range(len(store))]


@pytest.mark.filterwarnings("error:Skipping variable loading")
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_predictions_and_optimizer_state(
    keras: Any, tmp_path: Path, direction: str, name: str
) -> None:
    writer, reader = sides(keras, direction)
    first = MODELS[name](writer)
    first.save(tmp_path / "m.keras")
    second = reader.models.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(
        second.predict(ROWS, verbose=0),
        first.predict(ROWS, verbose=0),
        rtol=1e-6,
        atol=1e-6,
    )
    for mine, theirs in zip(state(first), state(second), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    found = second.evaluate(ROWS, targets(name), verbose=0)
    wanted = first.evaluate(ROWS, targets(name), verbose=0)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("name", ["dense", "built_by_data", "frozen"])
def test_training_goes_on_alike(
    keras: Any, tmp_path: Path, direction: str, name: str
) -> None:
    writer, reader = sides(keras, direction)
    first = MODELS[name](writer)
    first.save(tmp_path / "m.keras")
    second = reader.models.load_model(tmp_path / "m.keras")
    for model in (first, second):
        model.fit(
            ROWS, targets(name), epochs=3, batch_size=16, shuffle=False, verbose=0
        )
    for mine, theirs in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_weights_alone(keras: Any, tmp_path: Path, direction: str) -> None:
    writer, reader = sides(keras, direction)
    first, second = mixed(writer), mixed(reader)
    first.save_weights(tmp_path / "m.weights.h5")
    second.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_allclose(
        second.predict(ROWS, verbose=0),
        first.predict(ROWS, verbose=0),
        rtol=1e-6,
        atol=1e-6,
    )


def own_parts(lib: Any) -> dict[str, Any]:
    """A layer with layers in it, a model, and a loss, written for either library."""

    class Block(lib.layers.Layer):  # type: ignore[name-defined,misc]
        """Layers in attributes and containers, public and private."""

        def __init__(self, units: int, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.units = units
            self._private = lib.layers.Dense(units)
            self.zeta = lib.layers.Dense(units)
            self.inner = [
                lib.layers.Dense(units),
                [lib.layers.Dense(units)],
                {"a": lib.layers.Dense(units)},
            ]

        def _all(self) -> list[Any]:
            inner: Any = self.inner
            return [self._private, inner[0], inner[1][0], inner[2]["a"]]

        def build(self, input_shape: Any) -> None:
            """A factor, and the weights of the layers."""
            self.factor = self.add_weight(
                shape=(input_shape[-1],), initializer="ones", name="factor"
            )
            self.zeta.build(input_shape)
            for layer in self._all():
                layer.build((None, self.units))

        def call(self, x: Any) -> Any:
            """One after the other."""
            x = self.zeta(x * self.factor)
            for layer in self._all():
                x = layer(x)
            return x

        def get_config(self) -> dict[str, Any]:
            """The arguments."""
            return {**super().get_config(), "units": self.units}

    class Net(lib.Model):  # type: ignore[name-defined,misc]
        """A model whose layers stand before and after `layers` in the alphabet."""

        def __init__(self, units: int = 3, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.units = units
            self.a_first = lib.layers.Dense(units)
            self.out = lib.layers.Dense(1)
            self.stack = [lib.layers.Dense(units), lib.layers.Dense(units)]

        def call(self, x: Any) -> Any:
            """All layers."""
            x = self.a_first(x)
            for layer in self.stack:
                x = layer(x)
            return self.out(x)

        def get_config(self) -> dict[str, Any]:
            """The arguments."""
            return {**super().get_config(), "units": self.units}

    def cubed(y: Any, p: Any) -> Any:
        """A loss."""
        return lib.ops.mean(lib.ops.abs(y - p) ** 3, axis=-1)

    return {"Block": Block, "Net": Net, "cubed": cubed}


@pytest.mark.filterwarnings("error:Skipping variable loading")
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("kind", ["layer", "model"])
def test_the_users_own_classes(
    keras: Any, tmp_path: Path, direction: str, kind: str
) -> None:
    writer, reader = sides(keras, direction)
    parts = own_parts(writer)
    model = (
        writer.Sequential(
            [writer.Input((4,)), parts["Block"](3), writer.layers.Dense(1)]
        )
        if kind == "layer"
        else parts["Net"]()
    )
    model.compile("adam", parts["cubed"])
    model.fit(ROWS, REAL, verbose=0)
    model.save(tmp_path / "m.keras")
    again = reader.models.load_model(
        tmp_path / "m.keras", custom_objects=own_parts(reader)
    )
    np.testing.assert_allclose(
        again.predict(ROWS, verbose=0),
        model.predict(ROWS, verbose=0),
        rtol=1e-5,
        atol=2e-6,
    )
    again.fit(ROWS, REAL, verbose=0)


def layout(path: Path) -> tuple[Any, dict[str, Any]]:
    """Members of the archive, and datasets and attributes of the weights."""
    found: dict[str, Any] = {}

    def note(name: str, item: Any) -> None:
        plain = isinstance(item, h5py.Dataset)
        found[name] = (item.shape, str(item.dtype)) if plain else sorted(item.attrs)

    with zipfile.ZipFile(path) as archive:
        infos = [(i.filename, i.compress_type) for i in archive.infolist()]
        with archive.open(WEIGHTS) as member, h5py.File(member, "r") as file:
            file.visititems(note)
    return infos, found


def keys(value: Any) -> Any:
    """The structure of a configuration: keys, classes, modules; not ids and names."""
    if isinstance(value, dict):
        own = {k: keys(v) for k, v in value.items() if k != "shared_object_id"}
        for key in ("module", "class_name", "registered_name"):
            if key in value:
                own[key] = value[key]
        return own
    # An axis may be written as -1 or [-1].
    nested = isinstance(value, list) and any(isinstance(v, dict) for v in value)
    return [keys(v) for v in value] if nested else None


@pytest.mark.parametrize("name", ["dense", "mixed"])
def test_the_file_is_laid_out_as_keras_lays_it_out(
    keras: Any, tmp_path: Path, name: str
) -> None:
    configs = []
    for lib, path in ((ranvier, tmp_path / "r.keras"), (keras, tmp_path / "k.keras")):
        MODELS[name](lib).save(path)
        with zipfile.ZipFile(path) as archive:
            configs.append(json.loads(archive.read(CONFIG)))
    assert layout(tmp_path / "r.keras") == layout(tmp_path / "k.keras")
    ours, theirs = configs
    assert list(ours)[:4] == list(theirs)[:4]
    for mine, real in zip(
        ours["config"]["layers"], theirs["config"]["layers"], strict=True
    ):
        # Keras also tells some layers' shapes that have no weights, and we others'.
        for config in (mine, real):
            config.pop("build_config", None)
        if mine["class_name"] != "Sequential":
            assert keys(mine) == keys(real)
    assert keys(ours["compile_config"]) == keys(theirs["compile_config"])


@pytest.mark.filterwarnings("ignore:.*lambda")
def test_a_lambda_layer_of_keras_is_refused_by_name(keras: Any, tmp_path: Path) -> None:
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Lambda(lambda x: x * 2, name="twice")]
    )
    model.save(tmp_path / "m.keras")
    with pytest.raises(ranvier.errors.FileError, match="'twice'") as caught:
        ranvier.models.load_model(tmp_path / "m.keras", safe_mode=False)
    assert "never run" in str(caught.value)


@pytest.mark.filterwarnings("error:Skipping variable loading")
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("name", ["Adafactor", "Nadam", "Lamb", "Lion", "Ftrl"])
def test_other_optimizers_go_on_from_a_file(
    keras: Any, tmp_path: Path, direction: str, name: str
) -> None:
    writer, reader = sides(keras, direction)
    first = dense(writer)
    first.compile(
        getattr(writer.optimizers, name)(0.01),
        writer.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    first.fit(ROWS, LABELS, batch_size=16, shuffle=False, verbose=0)
    first.save(tmp_path / "m.keras")
    second = reader.models.load_model(tmp_path / "m.keras")
    for mine, theirs in zip(state(first), state(second), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    for model in (first, second):
        model.fit(ROWS, LABELS, batch_size=16, shuffle=False, verbose=0)
    for mine, theirs in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=2e-6)
