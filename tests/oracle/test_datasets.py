"""What loaders return, against real Keras reading the same small files."""

from __future__ import annotations

import importlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ranvier

WORDS = [
    {},
    {"num_words": 20},
    {"num_words": 20, "skip_top": 6, "oov_char": None},
    {"maxlen": 9, "seed": 7},
    {"start_char": None, "index_from": 0},
    {"start_char": None, "index_from": 5, "oov_char": 0},
    {"start_char": 9, "num_words": 30, "maxlen": 12},
]


def texts(count: int, seed: int) -> np.ndarray:
    """An array of lists of 1 .. 15 word numbers."""
    random = np.random.default_rng(seed)
    out = np.empty(count, object)
    out[:] = [random.integers(1, 50, n).tolist() for n in random.integers(1, 16, count)]
    return out


@pytest.fixture(name="both")
def fixture_both(
    keras: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Any, Path]:
    """Gives a loader of both, each reading a file in the folder of the test."""
    monkeypatch.setenv("RANVIER_OFFLINE", "1")

    def modules(name: str, path: Path) -> tuple[Any, Any]:
        theirs = importlib.import_module(f"keras.src.datasets.{name}")
        monkeypatch.setattr(theirs, "get_file", lambda *a, **k: str(path))
        return importlib.import_module(f"ranvier.datasets.{name}"), theirs

    return modules, tmp_path


def same(found: Any, wanted: Any) -> None:
    """Equal values, shapes and dtypes, in two pairs of arrays."""
    for ours, theirs in zip(found, wanted, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            b = np.asarray(b)
            assert (type(a), a.dtype, a.shape) == (np.ndarray, b.dtype, b.shape)
            assert a.tolist() == b.tolist()


@pytest.mark.parametrize("options", WORDS, ids=range(len(WORDS)))
def test_imdb(both: Any, options: dict[str, Any]) -> None:
    path = both[1] / "imdb.npz"
    np.savez(
        path, x_train=texts(40, 0), y_train=np.arange(40) % 2, x_test=texts(30, 1),
        y_test=np.arange(30) % 2,
    )  # fmt: skip
    ours, theirs = both[0]("imdb", path)
    same(ours.load_data(str(path), **options), theirs.load_data(str(path), **options))


@pytest.mark.parametrize("options", [*WORDS, {"test_split": 0.37}])
def test_reuters(both: Any, options: dict[str, Any]) -> None:
    path = both[1] / "reuters.npz"
    np.savez(path, x=texts(53, 2), y=np.arange(53) % 46)
    ours, theirs = both[0]("reuters", path)
    same(ours.load_data(str(path), **options), theirs.load_data(str(path), **options))


def test_the_topics_of_reuters(keras: Any) -> None:
    ours = ranvier.datasets.reuters.get_label_names()
    assert ours == keras.datasets.reuters.get_label_names()


@pytest.mark.parametrize("options", [{}, {"test_split": 0.33, "seed": 5}])
@pytest.mark.parametrize(
    ("name", "columns"), [("boston_housing", 13), ("california_housing", 8)]
)
def test_housing(both: Any, name: str, columns: int, options: dict[str, Any]) -> None:
    path = both[1] / f"{name}.npz"
    random = np.random.default_rng(3)
    np.savez(path, x=random.normal(size=(650, columns)), y=random.normal(size=650))
    ours, theirs = both[0](name, path)
    options = options | {"path": str(path)}
    same(ours.load_data(**options), theirs.load_data(**options))
    if name == "california_housing":
        small = options | {"version": "small"}
        same(ours.load_data(**small), theirs.load_data(**small))


@pytest.mark.parametrize("mode", ["fine", "coarse"])
def test_cifar100(both: Any, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    ours, theirs = both[0]("cifar100", both[1] / "datasets")
    monkeypatch.setenv("RANVIER_HOME", str(both[1]))
    folder = both[1] / "datasets" / "cifar-100-python"
    folder.mkdir(parents=True)
    random = np.random.default_rng(4)
    for name, rows in (("train", 12), ("test", 5)):
        batch = {
            b"data": random.integers(0, 256, (rows, 3072)).astype(np.uint8),
            b"fine_labels": random.integers(0, 100, rows).tolist(),
            b"coarse_labels": random.integers(0, 20, rows).tolist(),
        }
        (folder / name).write_bytes(pickle.dumps(batch, protocol=3))
    same(ours.load_data(mode), theirs.load_data(mode))


def test_where_the_data_come_from(keras: Any) -> None:
    """The hashes are those that Keras's sources state."""
    names = (
        "boston_housing", "california_housing", "cifar10", "cifar100", "imdb", "reuters",
    )  # fmt: skip
    for name in names:
        theirs = importlib.import_module(f"keras.src.datasets.{name}")
        ours = importlib.import_module(f"ranvier.datasets.{name}")
        source = Path(str(theirs.__file__)).read_text()
        assert ours._SHA256 in source
        assert getattr(ours, "_INDEX_MD5", "") in source
        assert getattr(ours, "_ARCHIVE", f"{name}.npz") in source
