"""Known architectures beside Keras's: layers, numbers, files of weights, pixels."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import ranvier
from ranvier.applications import _frame, densenet, efficientnet

SIZE = (32, 32, 3)


@pytest.fixture(autouse=True)
def quick(keras: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels are zeros at first, on both sides: the tests give them numbers."""
    import jax
    from keras.src.initializers import constant_initializers as constants
    from keras.src.initializers import random_initializers as randoms

    def filled(number: float) -> Callable[..., Any]:
        return lambda self, shape, dtype=None, **kwargs: jax.device_put(
            np.full(shape, number, dtype or "float32")
        )

    monkeypatch.setattr(constants.Zeros, "__call__", filled(0.0))
    monkeypatch.setattr(constants.Ones, "__call__", filled(1.0))
    monkeypatch.setattr(randoms.VarianceScaling, "__call__", filled(0.0))
    monkeypatch.setattr(
        ranvier.initializers.VarianceScaling,
        "__call__",
        lambda self, shape, dtype=None: np.zeros(shape, dtype or "float32"),
    )


def afresh(keras: Any) -> None:
    """Layers are counted from the beginning."""
    keras.utils.clear_session()
    ranvier.utils.clear_session()


def both(keras: Any, which: str, **given: Any) -> tuple[Any, Any]:
    """The model here and in Keras."""
    afresh(keras)
    given = {"weights": None, **given}
    mine = getattr(ranvier.applications, which)(**given)
    return mine, getattr(keras.applications, which)(**given)


def fill(model: Any, seed: int = 0) -> list[Any]:
    """Random weights with which numbers stay of one size on their way."""
    rng = np.random.default_rng(seed)
    weights = []
    for variable in model.weights:
        shape, name = tuple(variable.shape), variable.path.rpartition("/")[2]
        if len(shape) > 1:
            inputs = shape[0] * shape[1] if len(shape) == 4 else shape[0]
            if len(shape) == 4 and "depthwise" not in variable.path:
                inputs *= shape[2]
            value = rng.standard_normal(shape, "float32") * np.sqrt(2 / inputs)
        elif name in ("gamma", "variance", "moving_variance"):
            value = rng.uniform(0.5, 1.5, shape)
        else:
            value = rng.normal(size=shape) * 0.1
        weights.append(value.astype(str(variable.dtype)))
    model.set_weights(weights)
    return weights


def keras_outputs(model: Any, x: np.ndarray) -> np.ndarray:
    """What Keras predicts, compiled in a hurry."""
    import jax

    for layer in model.layers:
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()  # Normalization keeps its statistics apart
    state = (
        [v.value for v in model.trainable_variables],
        [v.value for v in model.non_trainable_variables],
    )
    step = jax.jit(lambda state, x: model.stateless_call(*state, x, training=False)[0])
    hurried = {
        "xla_backend_optimization_level": 0,
        "xla_llvm_disable_expensive_passes": True,
    }
    return np.asarray(step.lower(state, x).compile(hurried)(state, x))


# -- layers --------------------------------------------------------------------------


def described(model: Any) -> list[Any]:
    """Each layer and operation: its class, name, settings, and what it reads."""
    found = []
    for layer in model.get_config()["layers"]:
        settings = plain(layer["config"])
        if settings.get("axis") in (3, [3], [-1]):
            settings["axis"] = -1  # the channels by any of their names
        calls = [plain([c["args"], c["kwargs"]]) for c in layer["inbound_nodes"]]
        found.append([layer["class_name"], layer["name"], settings, calls])
    return found


def plain(value: Any) -> Any:
    """Settings without the form they are written in; tensors by where they come from."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            return value["config"]["keras_history"]
        left_out = ("module", "registered_name", "seed", "build_config")
        defaults = (("mask", None), ("training", False))
        return {
            k: plain(v)
            for k, v in value.items()
            if k not in left_out and (k, v) not in defaults
        }
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value


TOP = {"input_shape": SIZE, "classes": 7}
FEATURES = {"input_shape": SIZE, "include_top": False}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "ResNet50": ("ResNet50", TOP),
    "ResNet50V2, largest": ("ResNet50V2", FEATURES | {"pooling": "max"}),
    "VGG16": ("VGG16", TOP | {"classifier_activation": "sigmoid", "name": "mine"}),
    "VGG19, mean": ("VGG19", FEATURES | {"pooling": "avg"}),
    "MobileNet": (
        "MobileNet",
        TOP | {"alpha": 0.25, "depth_multiplier": 2, "dropout": 0.3},
    ),
    "MobileNetV2": ("MobileNetV2", TOP | {"alpha": 1.3}),
    "MobileNetV2, any size": ("MobileNetV2", {"include_top": False, "alpha": 0.35}),
    "MobileNetV3Large": ("MobileNetV3Large", {}),
    "MobileNetV3Small, minimalistic": (
        "MobileNetV3Small",
        TOP
        | {
            "alpha": 1.25,
            "minimalistic": True,
            "dropout_rate": 0.0,
            "include_preprocessing": False,
        },
    ),
    "EfficientNetB1": ("EfficientNetB1", {"input_shape": (33, 48, 3), "classes": 7}),
    "DenseNet121": ("DenseNet121", TOP),
}


@pytest.mark.parametrize("case", CASES)
def test_layers_are_those_of_keras(keras: Any, case: str) -> None:
    name, given = CASES[case]
    mine, theirs = both(keras, name, **given)
    assert mine.name == theirs.name
    for a, b in zip(described(mine), described(theirs), strict=True):
        assert a == b
    assert [w.path for w in mine.weights] == [w.path for w in theirs.weights]
    assert [w.shape for w in mine.weights] == [tuple(w.shape) for w in theirs.weights]
    assert mine.input_shape == theirs.input_shape
    assert mine.output_shape == theirs.output_shape


def test_a_tensor_to_begin_with(keras: Any) -> None:
    def build(lib: Any) -> Any:
        x = lib.Input((64, 64, 3), name="images")
        y = lib.layers.Rescaling(2.0, name="first")(x)
        return lib.applications.MobileNetV2(
            input_tensor=y, alpha=0.35, include_top=False, weights=None
        )

    afresh(keras)
    mine, theirs = build(ranvier), build(keras)
    assert described(mine) == described(theirs)
    assert mine.name == theirs.name
    assert [layer.name for layer in mine.layers[:3]] == ["images", "first", "Conv1"]


# -- numbers -------------------------------------------------------------------------

#: One of each family; of the deep ones a shallow member, built by the same function.
FORWARD = {
    "ResNet50": {},
    "ResNet50V2": {},
    "VGG16": {"include_top": False},
    "MobileNet": {"alpha": 0.25},
    "MobileNetV2": {"alpha": 0.35},
    "MobileNetV3Small": {},
    "DenseNet": {"depths": (2, 3, 2, 2)},
    "EfficientNet": {"width": 0.5, "depth": 0.6, "size": 64, "dropout": 0.2},
}


def shallow(keras: Any, name: str, settings: dict[str, Any]) -> tuple[Any, Any]:
    """DenseNet or EfficientNet of a size that nobody published."""
    from keras.src.applications import densenet as their_densenet
    from keras.src.applications import efficientnet as their_efficientnet

    given = {"classes": 7, "classifier_activation": None, "input_shape": SIZE}
    given |= {"include_top": True, "weights": None, "input_tensor": None}
    given |= {"pooling": None, "name": "shallow"}
    asked = _frame.Asked(name, **given)
    if name == "DenseNet":
        blocks = list(settings["depths"])
        return (
            densenet._densenet(asked, **settings),
            their_densenet.DenseNet(blocks, **given),
        )
    return (
        efficientnet._efficientnet(asked, **settings),
        their_efficientnet.EfficientNet(*settings.values(), **given),
    )


@pytest.mark.parametrize("name", FORWARD)
def test_numbers_are_those_of_keras(keras: Any, name: str) -> None:
    settings = FORWARD[name]
    afresh(keras)
    if hasattr(ranvier.applications, name):
        logits = {"classifier_activation": None}
        mine, theirs = both(keras, name, **TOP | logits | settings)
    else:
        mine, theirs = shallow(keras, name, settings)
    theirs.set_weights(fill(mine))
    x = np.random.default_rng(1).uniform(0, 255, (2, *SIZE)).astype("float32")
    if "Efficient" not in name and "V3" not in name:
        x = x / 127.5 - 1.0
    found, wanted = mine.predict(x, verbose=0), keras_outputs(theirs, x)
    assert wanted.std() > 0.01
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


# -- files ---------------------------------------------------------------------------


def legacy(model: Any, path: Path) -> None:
    """Weights alone, in the form before Keras 3."""
    from keras.src.legacy.saving import legacy_h5_format

    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)


FILES: dict[str, Callable[[Any, Path], None]] = {
    "m.weights.h5": lambda model, path: model.save_weights(path),
    "m.keras": lambda model, path: model.save(path),
    "m.h5": legacy,
    "whole.h5": lambda model, path: model.save(path),
}


@pytest.mark.parametrize(
    ("file", "top"),
    [("m.weights.h5", True), ("m.keras", False), ("m.h5", True), ("whole.h5", False)],
)
def test_files_of_keras_load(keras: Any, tmp_path: Path, file: str, top: bool) -> None:
    given = {"input_shape": SIZE, "include_top": top, "classes": 7, "alpha": 0.35}
    afresh(keras)
    theirs = keras.applications.MobileNetV2(weights=None, **given)
    weights = fill(theirs)
    FILES[file](theirs, tmp_path / file)
    mine = ranvier.applications.MobileNetV2(weights=tmp_path / file, **given)
    for found, wanted in zip(mine.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_statistics_of_the_images_load(keras: Any, tmp_path: Path) -> None:
    given = {"input_shape": SIZE, "include_top": False}
    afresh(keras)
    theirs = keras.applications.EfficientNetB0(weights=None, **given)
    weights = fill(theirs)
    legacy(theirs, tmp_path / "m.h5")
    mine = ranvier.applications.EfficientNetB0(weights=tmp_path / "m.h5", **given)
    for found, wanted in zip(mine.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_layers_of_one_name_load_from_an_old_file(keras: Any, tmp_path: Path) -> None:
    given = {"input_shape": SIZE, "alpha": 0.35}
    afresh(keras)
    theirs = keras.applications.MobileNetV2(weights=None, include_top=False, **given)
    weights = fill(theirs)
    legacy(theirs, tmp_path / "notop.h5")
    mine = ranvier.applications.MobileNetV2(weights=None, classes=3, **given)
    mine.load_weights(tmp_path / "notop.h5", by_name=True)
    found = mine.get_weights()
    for a, b in zip(found, weights, strict=False):
        np.testing.assert_array_equal(a, b)
    assert [a.shape for a in found[len(weights) :]] == [(1280, 3), (3,)]
    assert not any(a.any() for a in found[len(weights) :])


# -- pixels --------------------------------------------------------------------------

MODULES = (
    "resnet", "resnet50", "resnet_v2", "vgg16", "vgg19", "mobilenet", "mobilenet_v2",
    "mobilenet_v3", "efficientnet", "densenet",
)  # fmt: skip


def pixels(dtype: str, *shape: int) -> np.ndarray:
    """Random pixels."""
    return np.random.default_rng(5).uniform(0, 255, shape).astype(dtype)


@pytest.mark.parametrize("module", MODULES)
def test_pixels_of_each_family(keras: Any, module: str) -> None:
    x = pixels("float32", 2, 5, 4, 3)
    before = x.copy()
    found = getattr(ranvier.applications, module).preprocess_input(x)
    wanted = getattr(keras.applications, module).preprocess_input(x.copy())
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(x, before)
    assert found.dtype == wanted.dtype


@pytest.mark.parametrize("mode", ["caffe", "tf", "torch"])
@pytest.mark.parametrize("first", [False, True])
def test_pixels_of_each_kind(keras: Any, mode: str, first: bool) -> None:
    how = {"mode": mode, "data_format": "channels_first" if first else "channels_last"}
    mine = ranvier.applications.imagenet_utils.preprocess_input
    theirs = keras.applications.imagenet_utils.preprocess_input
    size = (3, 5, 4) if first else (5, 4, 3)
    for dtype in ("uint8", "float32", "float64"):
        for shape in (size, (2, *size)):
            x = pixels(dtype, *shape)
            found, wanted = mine(x, **how), theirs(x.copy(), **how)
            np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-5)
            assert found.dtype == wanted.dtype
    x = pixels("float32", 2, *size)
    start = ranvier.Input(size)
    model = ranvier.Model(start, mine(start, **how))
    copy = ranvier.Model.from_config(model.get_config())
    for each in (model, copy):
        np.testing.assert_allclose(
            each.predict(x, verbose=0), theirs(x.copy(), **how), rtol=1e-5, atol=1e-5
        )


def test_names_of_classes(keras: Any, tmp_path: Path, monkeypatch: Any) -> None:
    from keras.src.applications import imagenet_utils

    names = {str(i): [f"n{i:08}", f"thing_{i}"] for i in range(1000)}
    monkeypatch.setattr(imagenet_utils, "CLASS_INDEX", names)
    (tmp_path / "models").mkdir()
    file = tmp_path / "models" / "imagenet_class_index.json"
    file.write_text(json.dumps(names))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("RANVIER_HOME", str(tmp_path / "none"))
    preds = np.random.default_rng(2).dirichlet(np.ones(1000), 3).astype("float32")
    found = ranvier.applications.resnet50.decode_predictions(preds, top=4)
    assert found == keras.applications.resnet50.decode_predictions(preds, top=4)
