"""Data sets that make their batches, parts of arrays, windows, and images."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ranvier as keras
from ranvier import utils
from ranvier.data.streams import StreamingDataset
from ranvier.errors import (
    DataError,
    EnvironmentFault,
    FileError,
    RanvierWarning,
    ShapeError,
)


def rows(count: int = 10, **options: Any) -> StreamingDataset:
    return StreamingDataset(count, lambda i: (i, i * 2), **options)


def test_batches_and_their_number() -> None:
    data = rows(batch_size=4)
    assert len(data) == 3
    assert [x.tolist() for x, _ in data] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert [len(x) for x, _ in data.batch(5)] == [5, 5]
    single = rows(batch_size=None)
    assert len(single) == 10
    assert [*single][3] == (3, 6)


def test_a_new_order_each_time_that_the_seed_decides() -> None:
    data = rows(batch_size=3, shuffle=True, seed=1)
    first, second = ([i for x, _ in data for i in x] for _ in range(2))
    assert sorted(first) == sorted(second) == [*range(10)]
    assert first != second
    again = rows(batch_size=3, shuffle=True, seed=1)
    assert [i for x, _ in again for i in x] == first


def test_it_trains() -> None:
    x = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
    data = StreamingDataset(64, lambda i: (x[i], x[i, :1]), 16, shuffle=True, seed=0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    losses = model.fit(data, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 4
    assert model.evaluate(data, verbose=0) < losses[-1]


def test_faults_of_streams() -> None:
    for size in (0, -1, 1.5, True):
        with pytest.raises(ShapeError, match="batch_size"):
            rows(batch_size=size)
    with pytest.raises(DataError):
        rows(0)


# ------------------------------------------------------------------ parts and windows


def test_split() -> None:
    x, y = np.arange(20).reshape(10, 2), np.arange(10)
    left, right = utils.split_dataset((x, y), left_size=7)
    assert (len(left), len(right)) == (7, 3)
    a, b = next(iter(right))
    assert (a.tolist(), b) == ([14, 15], 7)
    left, right = utils.split_dataset(x, 0.5, 0.2, shuffle=True, seed=3)
    assert (len(left), len(right)) == (5, 2)
    assert not {tuple(r) for r in left} & {tuple(r) for r in right}


@pytest.mark.parametrize(
    "sizes",
    [(None, None), (0, None), (10, None), (1.0, None), (0.8, 0.3), (6, 6), ("a", None),
     (True, None), (0.01, None)],
    ids=str,
)  # fmt: skip
def test_sizes_that_do_not_fit(sizes: Any) -> None:
    with pytest.raises(ShapeError):
        utils.split_dataset(np.arange(10), *sizes)


def test_what_cannot_be_split() -> None:
    with pytest.raises(ShapeError, match="of type int"):
        utils.split_dataset(3, 0.5)
    with pytest.raises(ShapeError) as caught:
        utils.split_dataset((np.arange(3), np.arange(4)), 0.5)
    assert caught.value.code == "RV109"


@pytest.mark.parametrize(
    "options",
    [{"start_index": -1}, {"start_index": 10}, {"end_index": 11}, {"sampling_rate": 0},
     {"start_index": 5, "end_index": 5}, {"sequence_stride": 10}, {"format": "csv"},
     {"sequence_length": 0}],
    ids=str,
)  # fmt: skip
def test_windows_outside_the_series(options: dict[str, Any]) -> None:
    options = {"sequence_length": 2} | options
    with pytest.raises(ShapeError):
        utils.timeseries_dataset_from_array(np.arange(10), None, **options)


def test_not_one_window() -> None:
    with pytest.raises(DataError):
        utils.timeseries_dataset_from_array(np.arange(10), None, 6, sampling_rate=3)


def test_shuffled_windows_keep_their_targets() -> None:
    data = utils.timeseries_dataset_from_array(
        np.arange(50), np.arange(50) + 100, 3, batch_size=7, shuffle=True, seed=2
    )
    seen = []
    for windows, targets in data:
        np.testing.assert_array_equal(windows[:, 0] + 100, targets)
        seen += targets.tolist()
    assert sorted(seen) == [*range(100, 148)]
    assert seen != sorted(seen)


# ---------------------------------------------------------------------------- images

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype("uint8")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("first", [False, True])
def test_images_come_back(tmp_path: Path, channels: int, first: bool) -> None:
    array = PIXELS[:, :, :channels]
    order = "channels_first" if first else "channels_last"
    given = array.transpose(2, 0, 1) if first else array
    utils.save_img(tmp_path / "a.png", given, order, scale=False)
    mode = "grayscale" if channels == 1 else "rgb"
    image = utils.load_img(tmp_path / "a.png", mode)
    found = utils.img_to_array(image, order)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, given)


def test_sizes_and_colours(tmp_path: Path) -> None:
    path = str(tmp_path / "a.png")
    utils.save_img(path, PIXELS, scale=False)
    assert utils.load_img(path, target_size=(3, 4)).size == (4, 3)
    assert utils.load_img(path, "rgba", (4, 4), "bilinear", True).mode == "RGBA"
    with open(path, "rb") as file:
        assert utils.load_img(io.BytesIO(file.read()), "grayscale").mode == "L"
    stretched = np.asarray(utils.array_to_img(PIXELS[:1, :1] * 0.0 + [0, 1, 2]))
    assert stretched.ravel().tolist() == [0, 127, 255]
    alpha = np.dstack([PIXELS, PIXELS[:, :, :1]])
    with pytest.warns(RanvierWarning, match="transparency"):
        utils.save_img(tmp_path / "a.jpg", alpha)
    assert utils.load_img(tmp_path / "a.jpg").size == (8, 6)


def test_faults_of_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_text("text")
    for name in ("a.png", "missing.png"):
        with pytest.raises(FileError) as caught:
            utils.load_img(tmp_path / name)
        assert caught.value.code == "RV605"
    with pytest.raises(FileError) as unwritable:
        utils.save_img(tmp_path / "no" / "a.png", PIXELS)
    assert unwritable.value.code == "RV603"
    for shape in ((4, 4), (4, 4, 2)):
        with pytest.raises(ShapeError):
            utils.array_to_img(np.zeros(shape))
    with pytest.raises(ShapeError, match="channels_last"):
        utils.img_to_array(PIXELS, "middle")
    with pytest.raises(ShapeError, match="color_mode"):
        utils.load_img(tmp_path / "a.png", "cmyk")
    with pytest.raises(ShapeError, match="interpolation"):
        utils.load_img(tmp_path / "a.png", interpolation="best")
    with pytest.raises(ShapeError, match="does not write"):
        utils.save_img(tmp_path / "a.xyz", PIXELS)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(EnvironmentFault) as missing:
        utils.load_img(tmp_path / "a.png")
    assert missing.value.code == "RV801"
