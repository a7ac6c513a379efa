"""Data sets of arrays and folders, and images, against Keras's own on TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ranvier import utils

WINDOWS = [
    {"sequence_length": 2},
    {"sequence_length": 5, "sequence_stride": 3, "sampling_rate": 2},
    {"sequence_length": 3, "start_index": 7, "end_index": 31, "batch_size": 4},
    {"sequence_length": 2, "start_index": 4, "sampling_rate": 3, "batch_size": None},
]


def same(found: Any, wanted: Any) -> None:
    """Equal batches in an equal order."""
    found, wanted = list(found), list(wanted)
    assert len(found) == len(wanted) > 0
    for ours, theirs in zip(found, wanted, strict=True):
        if not isinstance(theirs, (tuple, list)):
            ours, theirs = (ours,), (theirs,)
        for a, b in zip(ours, theirs, strict=True):
            b = np.asarray(b)
            assert np.shape(a) == b.shape
            if b.dtype == object:
                assert [text.encode() for text in a] == b.tolist()
            else:
                np.testing.assert_allclose(a, b, rtol=1e-6, atol=2e-4)


@pytest.mark.parametrize("targets", [None, 40, 37])
@pytest.mark.parametrize("options", WINDOWS, ids=range(len(WINDOWS)))
def test_windows(keras: Any, options: dict[str, Any], targets: int | None) -> None:
    pytest.importorskip("tensorflow")
    data = np.random.default_rng(0).normal(size=(40, 2)).astype("float32")
    arguments = (data, None if targets is None else np.arange(targets))
    name = "timeseries_dataset_from_array"
    same(
        getattr(utils, name)(*arguments, **options),
        getattr(keras.utils, name)(*arguments, **options),
    )


@pytest.mark.parametrize(
    "options",
    [
        {"left_size": 0.7},
        {"right_size": 4},
        {"left_size": 3, "right_size": 0.25},
        {"left_size": 0.55, "shuffle": True, "seed": 3},
    ],
    ids=str,
)
def test_parts(keras: Any, options: dict[str, Any]) -> None:
    pytest.importorskip("tensorflow")
    x = np.random.default_rng(1).normal(size=(21, 3)).astype("float32")
    for data in (x, (x, np.arange(21))):
        found = utils.split_dataset(data, **options)
        wanted = keras.utils.split_dataset(
            data, preferred_backend="tensorflow", **options
        )
        for ours, theirs in zip(found, wanted, strict=True):
            assert len(ours) == len(theirs)
            same(ours, theirs)


@pytest.fixture(name="photos")
def fixture_photos(tmp_path: Path) -> Path:
    pytest.importorskip("PIL")
    random = np.random.default_rng(2)
    for name in ("a", "b", "c"):
        (tmp_path / name / "deep").mkdir(parents=True)
        for i in range(4):
            pixels = random.integers(0, 256, (*random.integers(5, 20, 2), 3))
            place = tmp_path / name / ("deep" if i == 3 else "")
            utils.save_img(place / f"{i}.png", pixels, scale=False)
    return tmp_path


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"interpolation": "nearest", "label_mode": "categorical"},
        {"crop_to_aspect_ratio": True, "batch_size": None},
        {"color_mode": "rgba", "class_names": ["c", "a"], "label_mode": "binary"},
        {"data_format": "channels_first", "labels": None},
        {"labels": [*range(12)]},
    ],
    ids=str,
)
def test_images_of_a_folder(keras: Any, photos: Path, options: dict[str, Any]) -> None:
    pytest.importorskip("tensorflow")
    options = {"batch_size": 5, "image_size": (7, 11), "shuffle": False} | options
    options |= {"verbose": False}
    found = utils.image_dataset_from_directory(photos, **options)
    wanted = keras.utils.image_dataset_from_directory(str(photos), **options)
    assert found.class_names == wanted.class_names
    assert found.file_paths == wanted.file_paths
    same(found, wanted)


def test_the_same_files_are_for_validation(keras: Any, photos: Path) -> None:
    pytest.importorskip("tensorflow")
    options = {"validation_split": 0.3, "subset": "validation", "seed": 7}
    options |= {"verbose": False, "image_size": (8, 8)}
    found = utils.image_dataset_from_directory(photos, **options)
    wanted = keras.utils.image_dataset_from_directory(str(photos), **options)
    assert sorted(found.file_paths) == sorted(wanted.file_paths)


@pytest.mark.parametrize("length", [None, 4])
def test_texts_of_a_folder(keras: Any, tmp_path: Path, length: int | None) -> None:
    pytest.importorskip("tensorflow")
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        for i in range(3):
            (tmp_path / name / f"{i}.txt").write_bytes(f"{name} {i}\r\nline".encode())
    options: dict[str, Any] = {"shuffle": False, "max_length": length, "batch_size": 4}
    options |= {"verbose": False}
    found = utils.text_dataset_from_directory(tmp_path, **options)
    same(found, keras.utils.text_dataset_from_directory(str(tmp_path), **options))


@pytest.mark.parametrize("mode", ["rgb", "rgba", "grayscale"])
@pytest.mark.parametrize("ratio", [False, True])
@pytest.mark.parametrize("method", ["nearest", "bilinear", "lanczos"])
def test_images(keras: Any, photos: Path, mode: str, ratio: bool, method: str) -> None:
    path = photos / "a" / "0.png"
    options = (mode, (6, 9), method, ratio)
    found = utils.load_img(path, *options)
    wanted = keras.utils.load_img(path, *options)
    assert found.mode == wanted.mode
    for order in ("channels_last", "channels_first"):
        ours = utils.img_to_array(found, order)
        theirs = keras.utils.img_to_array(wanted, order)
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    for scale in (False, True):
        ours = utils.img_to_array(found)
        pair = [m.array_to_img(ours * 0.7, scale=scale) for m in (utils, keras.utils)]
        np.testing.assert_array_equal(*map(np.asarray, pair))
