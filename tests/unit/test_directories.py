"""Data sets of the files in folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ranvier as keras
from ranvier import utils
from ranvier.errors import DataError, FileError, ShapeError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of five images each: dark cats, light dogs."""
    random = np.random.default_rng(0)
    for level, name in ((0, "cats"), (200, "dogs")):
        (tmp_path / name / "more").mkdir(parents=True)
        for i in range(5):
            pixels = level + random.integers(0, 50, (6, 9, 3))
            place = tmp_path / name / ("more" if i == 4 else "")
            utils.save_img(place / f"{i}.png", pixels, scale=False)
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "cats" / "notes.txt").write_text("no image")
    return tmp_path


def images(folder: Path, **options: Any) -> Any:
    options = {"image_size": (4, 6), "verbose": False, "seed": 1} | options
    return utils.image_dataset_from_directory(folder, **options)


def test_images_and_labels(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = images(photos, batch_size=4, verbose=True)
    assert "Found 10 files belonging to 2 classes." in capsys.readouterr().err
    assert (data.class_names, len(data), len(data.file_paths)) == (
        ["cats", "dogs"],
        3,
        10,
    )
    first, second = ([*data] for _ in range(2))
    x, y = (np.concatenate(part) for part in zip(*first, strict=True))
    assert (x.shape, x.dtype, y.dtype) == ((10, 4, 6, 3), np.float32, np.int32)
    np.testing.assert_array_equal(x.mean((1, 2, 3)) > 100, y == 1)
    assert y.tolist() != np.concatenate([y for _, y in second]).tolist()


def test_kinds_of_labels(photos: Path) -> None:
    options: dict[str, Any] = {"shuffle": False, "batch_size": 10}
    ((_, y),) = images(photos, label_mode="categorical", **options)
    assert y.tolist() == [[1, 0]] * 5 + [[0, 1]] * 5
    ((_, y),) = images(photos, label_mode="binary", **options)
    assert (y.dtype, y[:, 0].tolist()) == (np.float32, [0] * 5 + [1] * 5)
    ((_, y),) = images(photos, class_names=["dogs", "cats"], **options)
    assert y.tolist() == [0] * 5 + [1] * 5
    data = images(photos, labels=[3, 7] * 5, **options)
    assert data.class_names == ["3", "7"]
    assert next(iter(data))[1].tolist() == [3, 7] * 5
    ((x),) = images(photos, labels=None, data_format="channels_first", **options)
    assert x.shape == (10, 3, 4, 6)
    single = images(photos, label_mode=None, color_mode="grayscale", batch_size=None)
    assert [x.shape for x in single] == [(4, 6, 1)] * 10


def test_parts_do_not_overlap(photos: Path) -> None:
    options: dict[str, Any] = {"validation_split": 0.3, "seed": 5}
    both = images(photos, subset="both", **options)
    alone = [images(photos, subset=s, **options) for s in ("training", "validation")]
    assert [part.file_paths for part in both] == [part.file_paths for part in alone]
    files = [path for part in both for path in part.file_paths]
    assert len(both[1].file_paths) == 3
    assert len(set(files)) == len(files) == 10
    # Validation comes in one order.
    a, b = ([y.tolist() for _, y in both[1]] for _ in range(2))
    assert a == b


def test_a_model_learns_from_a_folder(photos: Path) -> None:
    train, validation = images(
        photos, validation_split=0.2, subset="both", batch_size=4, label_mode="binary"
    )
    model = keras.Sequential(
        [
            keras.Input((4, 6, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(0.1), "binary_crossentropy", metrics=["accuracy"]
    )
    history = model.fit(train, validation_data=validation, epochs=12, verbose=0).history
    assert history["val_accuracy"][-1] == 1.0


def test_texts(tmp_path: Path) -> None:
    for name in ("bad", "good"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_bytes(f"{name}\r\nnaïve".encode())
    data = utils.text_dataset_from_directory(tmp_path, shuffle=False, verbose=False)
    ((x, y),) = data
    assert (x.tolist(), y.tolist()) == (["bad\r\nnaïve", "good\r\nnaïve"], [0, 1])
    ((x, _),) = utils.text_dataset_from_directory(
        tmp_path, shuffle=False, max_length=3, verbose=False
    )
    assert x.tolist() == ["bad", "goo"]
    (tmp_path / "bad" / "a.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(FileError) as caught:
        list(data)
    assert caught.value.code == "RV605"


@pytest.mark.parametrize(
    "options",
    [
        {"labels": "guess"},
        {"labels": [0, 1]},
        {"labels": None, "class_names": ["cats"]},
        {"class_names": ["cats", "birds"]},
        {"class_names": ["cats"], "label_mode": "binary"},
        {"label_mode": "text"},
        {"format": "csv"},
        {"subset": "both"},
        {"validation_split": 0.2},
        {"validation_split": 1.2, "subset": "both"},
        {"validation_split": 0.2, "subset": "all"},
        {"validation_split": 0.2, "subset": "both", "seed": None},
        {"image_size": (0, 4)},
        {"image_size": (4, 4, 3)},
        {"color_mode": "cmyk"},
        {"interpolation": "best"},
        {"pad_to_aspect_ratio": True},
        {"data_format": "middle"},
    ],
    ids=str,
)
def test_arguments(photos: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ShapeError):
        images(photos, **options)


def test_folders(tmp_path: Path) -> None:
    with pytest.raises(FileError) as missing:
        images(tmp_path / "nowhere")
    assert missing.value.code == "RV605"
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError) as empty:
        images(tmp_path)
    assert empty.value.code == "RV207"
    (tmp_path / "a" / "b.png").write_text("text")
    with pytest.raises(FileError) as damaged:
        list(images(tmp_path))
    assert damaged.value.code == "RV605"
