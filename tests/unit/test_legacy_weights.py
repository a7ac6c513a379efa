"""Weights of the form before Keras 3: what is read, what is refused and how."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import ranvier as keras
from ranvier.errors import FileError, RanvierWarning, ShapeError

WEIGHTS = {
    "hidden": {"kernel:0": (4, 5), "bias:0": (5,)},
    "norm": {
        "gamma:0": (5,),
        "beta:0": (5,),
        "moving_mean:0": (5,),
        "moving_variance:0": (5,),
    },
    "out": {"kernel:0": (5, 1), "bias:0": (1,)},
}


def small(last: int = 1) -> Any:
    """A network of three layers with weights."""
    return keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(5, name="hidden"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.Dropout(0.5, name="drop"),
            keras.layers.Dense(last, name="out"),
        ]
    )


def numbers() -> list[np.ndarray]:
    """An array for each weight."""
    rng = np.random.default_rng(0)
    return [
        rng.normal(size=shape).astype("float32")
        for layer in WEIGHTS.values()
        for shape in layer.values()
    ]


def written(path: Path, *, inside: str = "", parts: int = 1) -> list[np.ndarray]:
    """A file by hand, as TensorFlow's Keras laid it out."""
    arrays = numbers()
    values = iter(arrays)
    names = ["input_1", "hidden", "norm", "drop", "out"]
    with h5py.File(path, "w") as file:
        root = file.create_group(inside) if inside else file
        listed = [name.encode() for name in names]
        if parts == 1:
            root.attrs["layer_names"] = listed
        else:
            for i, part in enumerate(np.array_split(np.array(listed), parts)):
                root.attrs[f"layer_names{i}"] = part
        for name in names:
            group = root.create_group(name)
            paths = [f"{name}/{weight}".encode() for weight in WEIGHTS.get(name, ())]
            group.attrs["weight_names"] = paths
            for weight in paths:
                group.create_dataset(weight.decode(), data=next(values))
    return arrays


@pytest.mark.parametrize(
    "how",
    [{}, {"inside": "model_weights"}, {"parts": 3}],
    ids=["plain", "whole", "cut"],
)
def test_every_layout_is_read(tmp_path: Path, how: dict[str, Any]) -> None:
    arrays = written(tmp_path / "old.h5", **how)
    for by_name in (False, True):
        model = small()
        model.load_weights(tmp_path / "old.h5", by_name=by_name)
        for found, wanted in zip(model.get_weights(), arrays, strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_layers_that_do_not_fit_are_left_as_they_are(tmp_path: Path) -> None:
    arrays = written(tmp_path / "old.h5")
    model = small(last=2)
    before = model.get_weights()
    with pytest.raises(FileError, match="RV601") as caught:
        model.load_weights(tmp_path / "old.h5")
    assert "layer 'out', kernel has the shape (5, 2)" in caught.value.details
    for found, wanted in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, wanted)
    with pytest.warns(RanvierWarning, match="layer 'out' is left as it is"):
        model.load_weights(tmp_path / "old.h5", skip_mismatch=True)
    for found, wanted in zip(
        model.get_weights(), [*arrays[:6], *before[6:]], strict=True
    ):
        np.testing.assert_array_equal(found, wanted)


def test_layers_of_other_names_are_left_out_by_name(tmp_path: Path) -> None:
    arrays = written(tmp_path / "old.h5")
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(5, name="hidden"), keras.layers.Dense(2)]
    )
    with pytest.raises(FileError) as caught:
        model.load_weights(tmp_path / "old.h5")
    assert "2 layers with weights, the file 3" in caught.value.details
    assert "norm (in the file)" in caught.value.details
    model.load_weights(tmp_path / "old.h5", by_name=True)
    np.testing.assert_array_equal(model.get_weights()[0], arrays[0])


def test_a_model_s_own_weights_are_read(tmp_path: Path) -> None:
    class Shifted(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(2)
            self.shift = self.add_weight((2,), name="shift")

        def call(self, x: Any) -> Any:
            return self.dense(x) + self.shift

    model = Shifted()
    model.build((None, 3))
    with h5py.File(tmp_path / "own.h5", "w") as file:
        file.attrs["layer_names"] = [b"dense"]
        for name, shapes in (
            ("dense", {"kernel": (3, 2), "bias": (2,)}),
            ("top_level_model_weights", {"shift": (2,)}),
        ):
            group = file.create_group(name)
            group.attrs["weight_names"] = [weight.encode() for weight in shapes]
            for weight, shape in shapes.items():
                group[weight] = np.full(shape, 2.0, "float32")
    model.load_weights(tmp_path / "own.h5")
    np.testing.assert_array_equal(model.shift.numpy(), [2.0, 2.0])
    np.testing.assert_array_equal(model.dense.kernel.numpy(), np.full((3, 2), 2.0))


def a_link(file: Any) -> None:
    del file["out/out/bias:0"]
    file["out/out/bias:0"] = h5py.ExternalLink("other.h5", "/x")


def text_as_numbers(file: Any) -> None:
    del file["out/out/bias:0"]
    file["out/out/bias:0"] = np.array([b"a"])


def numbers_as_names(file: Any) -> None:
    file["out"].attrs["weight_names"] = np.arange(2)


def a_group_is_missing(file: Any) -> None:
    del file["norm"]


def a_weight_is_missing(file: Any) -> None:
    del file["out/out/kernel:0"]


def fewer_weights(file: Any) -> None:
    file["out"].attrs["weight_names"] = [b"out/kernel:0"]


DAMAGE = {
    a_link: "link to somewhere else",
    text_as_numbers: "not plain numbers",
    numbers_as_names: "not names",
    a_group_is_missing: "is not there",
    a_weight_is_missing: "",
    fewer_weights: "layer 'out' has 2 weights, 'out' in the file 1",
}


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_damaged_files_are_refused(
    tmp_path: Path, damage: Callable[[Any], None]
) -> None:
    written(tmp_path / "old.h5")
    with h5py.File(tmp_path / "old.h5", "r+") as file:
        damage(file)
    model = small()
    before = model.get_weights()
    with pytest.raises(FileError, match="RV601") as caught:
        model.load_weights(tmp_path / "old.h5")
    assert DAMAGE[damage] in caught.value.details
    for found, wanted in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("share", [0.001, 0.3, 0.9])
def test_cut_files_are_refused(tmp_path: Path, share: float) -> None:
    written(tmp_path / "old.h5")
    data = (tmp_path / "old.h5").read_bytes()
    (tmp_path / "old.h5").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(FileError, match="RV601"):
        small().load_weights(tmp_path / "old.h5")


def test_by_name_is_for_old_files(tmp_path: Path) -> None:
    model = small()
    model.save_weights(tmp_path / "new.weights.h5")
    with pytest.raises(ShapeError, match="RV100"):
        model.load_weights(tmp_path / "new.weights.h5", by_name=True)
