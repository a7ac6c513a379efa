"""Known architectures: sizes, arguments, weights that are refused, names of classes."""

from __future__ import annotations

import doctest
import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ranvier as keras
from ranvier import applications
from ranvier.errors import FileError, RanvierError, ShapeError

#: Parameters as Keras counts them, on images of the default size.
COUNTS = {
    "DenseNet121": 8_062_504,
    "DenseNet169": 14_307_880,
    "DenseNet201": 20_242_984,
    "EfficientNetB0": 5_330_571,
    "EfficientNetB1": 7_856_239,
    "EfficientNetB2": 9_177_569,
    "EfficientNetB3": 12_320_535,
    "EfficientNetB4": 19_466_823,
    "EfficientNetB5": 30_562_527,
    "EfficientNetB6": 43_265_143,
    "EfficientNetB7": 66_658_687,
    "LeNet5": 61_706,
    "MobileNet": 4_253_864,
    "MobileNetV2": 3_538_984,
    "MobileNetV3Large": 5_507_432,
    "MobileNetV3Small": 2_554_968,
    "ResNet101": 44_707_176,
    "ResNet101V2": 44_675_560,
    "ResNet152": 60_419_944,
    "ResNet152V2": 60_380_648,
    # What PyTorch's have, and two running statistics for each normalized channel.
    "ResNet18": 11_689_512 + 2 * 4_800,
    "ResNet34": 21_797_672 + 2 * 8_512,
    "ResNet50": 25_636_712,
    "ResNet50V2": 25_613_800,
    "VGG16": 138_357_544,
    "VGG19": 143_667_240,
}
MODULES = sorted(name for name in applications.__all__ if name not in COUNTS)


@pytest.fixture(name="zeros")
def fixture_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels are zeros, which take neither time nor memory."""
    monkeypatch.setattr(
        keras.initializers.VarianceScaling,
        "__call__",
        lambda self, shape, dtype=None: np.zeros(shape, dtype or "float32"),
    )


def test_every_architecture_is_counted() -> None:
    assert sorted(applications.__all__) == sorted([*COUNTS, *MODULES])


@pytest.mark.usefixtures("zeros")
@pytest.mark.parametrize("name", COUNTS)
def test_parameters(name: str) -> None:
    model = getattr(applications, name)(weights=None)
    assert model.count_params() == COUNTS[name]
    assert model.output_shape == (None, 10 if name == "LeNet5" else 1000)


@pytest.mark.usefixtures("zeros")
@pytest.mark.parametrize("module", MODULES)
def test_examples(module: str) -> None:
    found = importlib.import_module(f"ranvier.applications.{module}")
    assert found.__doc__
    # One architecture of each family: the examples of the others are the same.
    others = [name for name in found.__all__ if name in COUNTS][1:]
    for test in doctest.DocTestFinder().find(found):
        if test.name.rpartition(".")[2] not in others:
            assert doctest.DocTestRunner().run(test).failed == 0


# -- arguments -----------------------------------------------------------------------

BAD = [
    ("LeNet5", {"pooling": "mean", "include_top": False}, "pooling"),
    ("LeNet5", {"classes": 0}, "classes"),
    ("LeNet5", {"include_top": 1}, "include_top"),
    ("LeNet5", {"input_shape": (28, 28)}, r"\(height, width, channels\)"),
    ("LeNet5", {"input_shape": (28, 28, None)}, r"\(height, width, channels\)"),
    ("LeNet5", {"input_shape": (8, 28, 1)}, "at least 12 x 12"),
    ("ResNet50", {"input_shape": (31, 64, 3)}, "at least 32 x 32"),
    ("ResNet50", {"input_shape": (None, 64, 3)}, "images of one size"),
    ("VGG16", {"input_tensor": np.ones((1, 32, 32, 3))}, "symbolic tensor"),
    ("VGG16", {"input_tensor": keras.Input((32,), name="flat")}, "symbolic tensor"),
    (
        "VGG16",
        {
            "input_tensor": keras.Input((32, 32, 3), name="images"),
            "input_shape": (48, 48, 3),
        },
        "is not the shape of input_tensor",
    ),
    ("MobileNet", {"alpha": 0}, "alpha"),
    ("MobileNet", {"dropout": 1.0}, "dropout"),
    ("MobileNet", {"depth_multiplier": 0.5}, "depth_multiplier"),
    ("MobileNetV2", {"alpha": "1"}, "alpha"),
    ("MobileNetV3Small", {"minimalistic": 1}, "minimalistic"),
    ("MobileNetV3Small", {"input_shape": (16, 16, 3)}, "at least 32 x 32"),
]


@pytest.mark.parametrize(("name", "given", "message"), BAD)
def test_bad_arguments(name: str, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ShapeError, match=message) as caught:
        getattr(applications, name)(**{"weights": None, **given})
    assert caught.value.code == "RV100"
    assert name in caught.value.message


def test_channels_may_come_first() -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (2, 40, 32, 3)).astype("float32")
    given = {"alpha": 0.35, "include_top": False, "pooling": "avg", "weights": None}
    last = applications.MobileNetV2((40, 32, 3), **given)
    keras.config.set_image_data_format("channels_first")
    try:
        first = applications.MobileNetV2((3, 40, 32), **given)
        with pytest.raises(ShapeError, match=r"\(channels, height, width\)"):
            applications.MobileNetV2((None, 40, 32), **given)
    finally:
        keras.config.set_image_data_format("channels_last")
    first.set_weights(last.get_weights())
    np.testing.assert_allclose(
        first.predict(x.transpose(0, 3, 1, 2), verbose=0),
        last.predict(x, verbose=0),
        rtol=1e-4,
        atol=1e-5,
    )


def test_images_of_any_size() -> None:
    model = applications.MobileNetV2(
        alpha=0.35, include_top=False, pooling="max", weights=None
    )
    for size in (32, 45):
        assert model.predict(np.ones((1, size, size, 3)), verbose=0).shape == (1, 1280)


def test_lenet_learns() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 128)
    x = rng.normal(size=(128, 28, 28, 1)) * 0.3
    x[y == 1, 8:20, 13:15] += 2.0  # a stroke, upright
    x[y == 0, 13:15, 8:20] += 2.0  # a stroke, lying
    keras.utils.set_random_seed(0)
    model = applications.LeNet5(classes=2)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=3, verbose=0)
    assert model.evaluate(x, y, verbose=0)[1] == 1.0


# -- weights -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "given", "file"),
    [
        ("ResNet50", {}, "resnet/resnet50_weights_tf_dim_ordering_tf_kernels.h5"),
        (
            "VGG19",
            {"include_top": False},
            "vgg19/vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
        ),
        ("MobileNet", {"alpha": 0.5}, "mobilenet/mobilenet_5_0_224_tf.h5"),
        (
            "MobileNetV2",
            {"input_shape": (96, 96, 3), "include_top": False},
            "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_96_no_top.h5",
        ),
        (
            "MobileNetV3Large",
            {"minimalistic": True},
            "weights_mobilenet_v3_large_minimalistic_224_1.0_float.h5",
        ),
        ("EfficientNetB3", {"include_top": False}, "/efficientnetb3_notop.h5"),
        ("DenseNet169", {}, "densenet169_weights_tf_dim_ordering_tf_kernels.h5"),
        ("MobileNet", {"alpha": 0.3}, ""),
        ("ResNet18", {"weights": "imagenet"}, ""),
    ],
)
def test_imagenet_is_refused_and_the_way_told(
    name: str, given: dict[str, Any], file: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("RANVIER_HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    with pytest.raises(FileError, match="RV606") as caught:
        getattr(applications, name)(**given)
    assert f"{file}\n" in caught.value.fix if file else "none" in caught.value.fix
    if file:
        (tmp_path / "keras" / "models").mkdir(parents=True)
        here = tmp_path / "keras" / "models" / file.rpartition("/")[2]
        here.touch()
        with pytest.raises(FileError) as caught:
            getattr(applications, name)(**given)
        assert repr(str(here)) in caught.value.fix


def test_weights_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "m.weights.h5"
    applications.LeNet5().save_weights(path)
    found = applications.LeNet5(weights=path)
    assert found.count_params() == COUNTS["LeNet5"]
    for weights, code in ((tmp_path / "none.h5", "RV605"), (3, "RV605")):
        with pytest.raises(FileError) as caught:
            applications.LeNet5(weights=weights)
        assert caught.value.code == code
    for given, code in (
        ({"classifier_activation": "sigmoid"}, "RV100"),
        ({"classes": 3}, "RV601"),
    ):
        with pytest.raises(RanvierError) as fault:
            applications.LeNet5(weights=path, **given)
        assert fault.value.code == code


def test_efficientnet_of_imagenet_scales_once_more(tmp_path: Path) -> None:
    given = {"input_shape": (32, 32, 3), "include_top": False, "pooling": "avg"}
    plain = applications.EfficientNetB0(weights=None, **given)
    spread = np.array([0.229, 0.224, 0.225], "float32")
    plain.get_layer(index=2).adapt_variance.assign(spread)
    for file in ("m.weights.h5", "m.keras"):
        (plain.save if file == "m.keras" else plain.save_weights)(tmp_path / file)
        model = applications.EfficientNetB0(weights=tmp_path / file, **given)
        kinds = [type(layer).__name__ for layer in model.layers[1:4]]
        assert kinds == ["Rescaling", "Normalization", "Rescaling"]
        # Deviations where variances belong: their squares give the same, without it.
        plain.get_layer(index=2).adapt_variance.assign(spread**2)
        x = np.random.default_rng(0).uniform(0, 255, (1, 32, 32, 3))
        found, wanted = model.predict(x, verbose=0), plain.predict(x, verbose=0)
        np.testing.assert_allclose(found, wanted, atol=1e-4 * float(wanted.std()))
        plain.get_layer(index=2).adapt_variance.assign(spread)


# -- names of classes ----------------------------------------------------------------


def names(path: Path, change: Any = None) -> Path:
    """A file of classes."""
    table: Any = {str(i): [f"n{i}", f"thing {i}"] for i in range(1000)}
    path.write_text(json.dumps(change(table) if change else table))
    return path


def test_the_file_of_names_is_asked_for(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("RANVIER_HOME", str(tmp_path / "ranvier"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    decode = applications.imagenet_utils.decode_predictions
    preds = np.eye(1000)[[3, 5]]
    with pytest.raises(FileError, match=r"imagenet_class_index\.json") as caught:
        decode(preds)
    assert caught.value.code == "RV606"
    assert str(tmp_path / "ranvier" / "models") in caught.value.fix
    (tmp_path / "ranvier" / "models").mkdir(parents=True)
    names(tmp_path / "ranvier" / "models" / "imagenet_class_index.json")
    found = decode(preds, top=2)
    assert [row[0] for row in found] == [("n3", "thing 3", 1.0), ("n5", "thing 5", 1.0)]
    assert [len(row) for row in found] == [2, 2]


@pytest.mark.parametrize(
    "change",
    [
        lambda table: [],
        lambda table: {k: v for k, v in table.items() if k != "7"},
        lambda table: table | {"7": ["n7", 3]},
    ],
    ids=["no table", "one missing", "no name"],
)
def test_damaged_names(tmp_path: Path, change: Any) -> None:
    path = names(tmp_path / "names.json", change)
    with pytest.raises(FileError, match="RV602"):
        applications.imagenet_utils.decode_predictions(np.eye(1000), class_index=path)


def test_names_that_cannot_be_read(tmp_path: Path) -> None:
    decode = applications.imagenet_utils.decode_predictions
    (tmp_path / "text").write_text("{")
    for path, code in ((tmp_path / "none", "RV605"), (tmp_path / "text", "RV602")):
        with pytest.raises(FileError) as caught:
            decode(np.eye(1000), class_index=path)
        assert caught.value.code == code
    for preds in (np.eye(10), np.ones(1000)):
        with pytest.raises(ShapeError, match="RV108"):
            decode(preds)
