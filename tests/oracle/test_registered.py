"""Classes and functions of the user's own, known by a name, in both libraries' files."""

from __future__ import annotations

import functools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import ranvier
from ranvier.errors import RanvierError

X = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")
Y = np.random.default_rng(1).normal(size=(20, 2)).astype("float32")


@functools.cache
def own(library: Any) -> Any:
    """One of each kind, registered with the library."""
    register = library.saving.register_keras_serializable

    @register("mine", "doubled")
    def double(x: Any) -> Any:
        return 2 * x

    @register("mine")
    class Shift(library.layers.Layer):  # type: ignore[misc,name-defined]
        def call(self, x: Any) -> Any:
            return x + 1.0

    @register("mine")
    class Fill(library.initializers.Initializer):  # type: ignore[misc,name-defined]
        def __init__(self, value: float = 1.0) -> None:
            self.value = value

        def __call__(self, shape: Any, dtype: Any = None, **_: Any) -> Any:
            return np.full(shape, self.value, "float32")

        def get_config(self) -> dict[str, Any]:
            return {"value": self.value}

    @register("mine")
    class Push(library.regularizers.Regularizer):  # type: ignore[misc,name-defined]
        def __init__(self, by: float = 0.1) -> None:
            self.by = by

        def __call__(self, x: Any) -> Any:
            return self.by * library.ops.sum(x)

        def get_config(self) -> dict[str, Any]:
            return {"by": self.by}

    @register("mine")
    class Gap(library.losses.Loss):  # type: ignore[misc,name-defined]
        def call(self, y: Any, p: Any) -> Any:
            return library.ops.mean(library.ops.abs(y - p), axis=-1)

    @register()
    def gap(y: Any, p: Any) -> Any:
        return library.ops.mean(library.ops.abs(y - p), axis=-1)

    @register("mine")
    class Fade(library.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc,name-defined]
        def __init__(self, start: float = 0.1) -> None:
            self.start = start

        def __call__(self, step: Any) -> Any:
            return self.start / (1.0 + library.ops.cast(step, "float32"))

        def get_config(self) -> dict[str, Any]:
            return {"start": self.start}

    return SimpleNamespace(**locals())


def network(library: Any) -> Any:
    mine = own(library)
    model = library.Sequential(
        [
            library.Input((3,)),
            mine.Shift(),
            library.layers.Dense(
                2,
                activation=mine.double,
                kernel_initializer=mine.Fill(0.3),
                kernel_regularizer=mine.Push(0.2),
            ),
        ]
    )
    model.compile(
        library.optimizers.SGD(mine.Fade(0.2)), mine.Gap(), metrics=[mine.gap]
    )
    return model


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if k not in ("module", "name")}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return round(value, 6) if isinstance(value, float) else value


def test_they_are_described_as_keras_describes_them(keras: Any) -> None:
    ours, theirs = (
        [
            library.saving.serialize_keras_object(part)
            for part in network(library).layers
        ]
        for library in (ranvier, keras)
    )
    for key in ("class_name", "registered_name"):
        assert ours[0][key] == theirs[0][key]
    assert plain(ours[1]) == plain(theirs[1])
    for library in (ranvier, keras):
        written = library.activations.serialize(own(library).double)
        assert written["config"] == "mine>doubled"
    assert ranvier.saving.get_registered_name(own(ranvier).double) == "mine>doubled"
    found = ranvier.saving.get_registered_object("mine>Shift")
    assert found is own(ranvier).Shift


@pytest.mark.parametrize("direction", ["to keras", "to ranvier", "ours"])
def test_a_file_that_names_them(keras: Any, tmp_path: Path, direction: str) -> None:
    writer = keras if direction == "to ranvier" else ranvier
    reader = keras if direction == "to keras" else ranvier
    own(reader)  # registered, nothing else is given
    first = network(writer)
    first.fit(X, Y, shuffle=False, verbose=0)
    first.save(tmp_path / "m.keras")
    second = reader.models.load_model(tmp_path / "m.keras")
    for model in (first, second):
        model.fit(X, Y, epochs=2, shuffle=False, verbose=0)
    np.testing.assert_allclose(
        second.evaluate(X, Y, verbose=0), first.evaluate(X, Y, verbose=0), rtol=1e-5
    )


def test_names_inside_a_scope() -> None:
    def own_activation(x: Any) -> Any:
        return x

    with ranvier.saving.custom_object_scope({"own_activation": own_activation}):
        layer = ranvier.layers.Dense(2, activation="own_activation")
    assert layer.activation is own_activation
    with pytest.raises(RanvierError, match="RV107"):
        ranvier.layers.Dense(2, activation="own_activation")


@pytest.mark.parametrize("how", ["clone", "json", "config"])
def test_models_made_anew(keras: Any, how: str) -> None:
    found = []
    for library in (ranvier, keras):
        model = network(library)
        model.fit(X, Y, verbose=0)
        if how == "clone":
            again = library.models.clone_model(model)
        elif how == "json":
            again = library.models.model_from_json(model.to_json())
        else:
            again = library.Sequential.from_config(model.get_config())
        assert [lay.name for lay in again.layers] == [lay.name for lay in model.layers]
        assert np.unique(again.get_weights()[0]) == np.float32(0.3)  # not trained
        found.append((len(again.layers), again.count_params(), bool(again.compiled)))
    assert found[0] == found[1]


def test_a_clone_with_other_layers() -> None:
    inner = ranvier.Sequential([ranvier.layers.Dense(4), ranvier.layers.ReLU()])
    model = ranvier.Sequential([ranvier.Input((3,)), inner, ranvier.layers.Dense(2)])

    def wider(layer: Any) -> Any:
        if isinstance(layer, ranvier.layers.Dense):
            return ranvier.layers.Dense(layer.units * 2)
        return type(layer).from_config(layer.get_config())

    outside = ranvier.models.clone_model(model, clone_function=wider)
    assert outside.count_params() == (3 * 4 + 4) + (4 * 4 + 4)
    inside = ranvier.models.clone_model(model, clone_function=wider, recursive=True)
    assert inside.count_params() == (3 * 8 + 8) + (8 * 4 + 4)
    with pytest.raises(RanvierError, match="input_tensors"):
        ranvier.models.clone_model(model, input_tensors=[1])


@pytest.mark.parametrize(
    "text", ["no json", '{"class_name": "Nope", "config": {}}', "[]"]
)
def test_json_that_is_no_model(text: str) -> None:
    with pytest.raises(RanvierError, match="RV601"):
        ranvier.models.model_from_json(text)
