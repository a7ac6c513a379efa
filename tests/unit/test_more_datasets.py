"""Loaders of texts, tables and colour images, on good, damaged and hostile files."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import io
import json
import os
import pickle
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranvier import config
from ranvier.datasets import (
    _cifar,
    boston_housing,
    california_housing,
    cifar10,
    cifar100,
    imdb,
    reuters,
)
from ranvier.datasets._npz import read_npz
from ranvier.datasets._pickles import read_pickle
from ranvier.errors import EnvironmentFault, FileError, ShapeError

LOADERS = [boston_housing, california_housing, cifar10, cifar100, imdb, reuters]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, no other place to find data in, and no network."""
    monkeypatch.setenv("RANVIER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("RANVIER_OFFLINE", "1")
    folder = tmp_path / "home" / "datasets"
    folder.mkdir(parents=True)
    return folder


def texts(*rows: list[int]) -> np.ndarray:
    """An array of lists."""
    out = np.empty(len(rows), object)
    out[:] = list(rows)
    return out


class Harm:
    """Pickled, it asks for a folder to be made."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("module", LOADERS)
def test_offline_says_what_to_do(module: Any, cache: Path) -> None:
    with pytest.raises(EnvironmentFault) as caught:
        module.load_data()
    assert caught.value.code == "RV802"
    assert str(cache) in caught.value.fix


@pytest.mark.parametrize("module", LOADERS)
def test_damaged_files_are_refused(module: Any, cache: Path) -> None:
    name = getattr(module, "_ARCHIVE", f"{module.__name__.rpartition('.')[2]}.npz")
    whole = io.BytesIO()
    np.savez(whole, x=np.zeros((4, 2), np.uint8), y=np.zeros(4))
    for content in (b"", b"PK\3\4 no", whole.getvalue()[:60], whole.getvalue()):
        (cache / name).write_bytes(content)
        with pytest.raises(FileError) as caught:
            module.load_data()
        assert caught.value.code == "RV602"
        assert f"rm {cache / name}" in caught.value.fix


# ------------------------------------------------------------------------- a server


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that a server on this machine gives in place of the real ones."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Says nothing."""

    folder = tmp_path / "server"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{running.server_port}/"
        monkeypatch.setattr("ranvier.datasets._places.KERAS_URL", address)
        monkeypatch.setattr(_cifar, "URL", address)
        yield folder
        running.shutdown()
        thread.join()


def test_a_download_is_checked_and_kept(
    cache: Path, server: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = server / "boston_housing.npz"
    np.savez(path, x=np.arange(130.0).reshape(10, 13), y=np.arange(10.0))
    monkeypatch.setenv("RANVIER_OFFLINE", "0")
    with pytest.raises(FileError, match="not the expected file") as caught:
        boston_housing.load_data()
    assert caught.value.code == "RV602"
    assert not list(cache.iterdir())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(boston_housing, "_SHA256", digest)
    (x_train, y_train), (x_test, _) = boston_housing.load_data()
    assert (x_train.shape, x_test.shape) == ((8, 13), (2, 13))
    np.testing.assert_array_equal(x_train[:, 0], y_train * 13)
    # The second time nothing is fetched.
    monkeypatch.setenv("RANVIER_OFFLINE", "1")
    assert boston_housing.load_data()[1][0].shape == (2, 13)


def test_an_archive_is_downloaded_checked_and_read(
    cache: Path, server: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_cifar100(server)
    monkeypatch.setenv("RANVIER_OFFLINE", "0")
    with pytest.raises(FileError, match="not the expected file"):
        cifar100.load_data()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(cifar100, "_SHA256", digest)
    assert cifar100.load_data()[0][0].shape == (6, 32, 32, 3)
    assert cifar100.find() == cache / "cifar-100-python.tar.gz"


@pytest.mark.parametrize("module", [imdb, reuters])
def test_the_word_index(
    module: Any, cache: Path, server: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{module.__name__.rpartition('.')[2]}_word_index.json"
    (server / name).write_text(json.dumps({"the": 1, "naïve": 2}))
    monkeypatch.setenv("RANVIER_OFFLINE", "0")
    with pytest.raises(FileError, match="md5 expected"):
        module.get_word_index()
    digest = hashlib.md5((server / name).read_bytes()).hexdigest()
    monkeypatch.setattr(module, "_INDEX_MD5", digest)
    assert module.get_word_index() == {"the": 1, "naïve": 2}
    for content in ("[1]", '{"the": "1"}', '{"the', "[" * 100_000):
        (cache / name).write_text(content)
        with pytest.raises(FileError) as caught:
            module.get_word_index()
        assert caught.value.code == "RV602"


# ---------------------------------------------------------------------------- texts

ROWS = texts([1, 2, 3], [4], [5, 6, 7, 8, 9], [1, 1], [2, 9], [3, 4, 5])


def test_texts_hold_what_was_asked_for(cache: Path) -> None:
    np.savez(cache / "reuters.npz", x=ROWS, y=np.arange(6))
    (x, y), (rest, _) = reuters.load_data(test_split=0)
    assert len(rest) == 0
    for row, label in zip(x, y, strict=True):
        # All words but the most seldom one, as in Keras.
        assert row == [1, *(w + 3 if w < 9 else 2 for w in ROWS[label])]
    (x, y), _ = reuters.load_data(
        test_split=0, start_char=None, index_from=0, num_words=6, skip_top=2,
        oov_char=None, maxlen=4,
    )  # fmt: skip
    assert sorted(y) == [0, 1, 3, 4, 5]
    for row, label in zip(x, y, strict=True):
        assert row == [w for w in ROWS[label] if 2 <= w < 6]
    with pytest.raises(ShapeError, match="maxlen=1"):
        reuters.load_data(maxlen=1)
    with pytest.raises(ShapeError, match="test_split"):
        reuters.load_data(test_split=1.0)


def test_texts_of_one_length_stay_lists(cache: Path) -> None:
    rows = texts([1, 2], [3, 4])
    np.savez(
        cache / "imdb.npz", x_train=rows, y_train=[0, 1], x_test=rows, y_test=[1, 0]
    )
    (x_train, _), _ = imdb.load_data()
    assert (x_train.shape, type(x_train[0])) == ((2,), list)
    assert imdb.load_data(str(cache / "imdb.npz"))[1][1].shape == (2,)
    with pytest.raises(ShapeError, match="nb_words"):
        imdb.load_data(nb_words=3)


@pytest.mark.parametrize(
    "row", [["a"], [1.5], [None], "text", 3, [True], [[1]]], ids=repr
)
def test_texts_that_are_no_numbers_are_refused(cache: Path, row: Any) -> None:
    np.savez(cache / "reuters.npz", x=texts([1], row), y=np.arange(2))
    with pytest.raises(FileError) as caught:
        reuters.load_data()
    assert caught.value.code == "RV602"


def test_a_hostile_text_file_runs_nothing(cache: Path, tmp_path: Path) -> None:
    harm = tmp_path / "harm"
    rows = texts([1], [2])
    rows[1] = Harm(harm)
    np.savez(cache / "reuters.npz", x=rows, y=np.arange(2))
    with pytest.raises(FileError, match="Reuters") as caught:
        reuters.load_data()
    assert "mkdir" in caught.value.details
    assert not harm.exists()
    # The file does what it says for those who let it.
    np.load(cache / "reuters.npz", allow_pickle=True)["x"]
    assert harm.exists()


def test_headers_that_promise_too_much(tmp_path: Path) -> None:
    def write(shape: str, descr: str, content: bytes) -> Path:
        head = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}"
        head = head.ljust(117) + "\n"
        data = b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode()
        path = tmp_path / "a.npz"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", data + content)
            archive.writestr("y.npy", data + content)
        return path

    assert read_npz(write("(2,)", "'<i4'", b"\0" * 8), ("x", "y"), "it")[0].shape == (
        2,
    )
    for shape, descr, content in (
        ("(10**12,)", "'<i4'", b""),
        ("(1000000000000,)", "'<f8'", b"\0" * 64),
        ("(3,)", "'|O'", pickle.dumps([1, 2, 3])),
        ("(3,)", "[('a', '|O')]", b"\0" * 64),
        ("(-1,)", "'<i4'", b""),
    ):
        with pytest.raises(FileError) as caught:
            read_npz(write(shape, descr, content), ("x", "y"), "it")
        assert caught.value.code == "RV602"


# --------------------------------------------------------------------------- tables


def test_california(cache: Path) -> None:
    x = np.arange(700 * 8, dtype=np.float32).reshape(700, 8)
    np.savez(cache / "california_housing.npz", x=x, y=x[:, 0])
    (x_train, y_train), (x_test, y_test) = california_housing.load_data("small")
    assert (x_train.shape, x_test.shape) == ((480, 8), (120, 8))
    assert (x_train[:, 0] == y_train).all()
    assert sorted([*y_train, *y_test]) == x[:600, 0].tolist()
    assert not (np.diff(y_train) > 0).all()
    assert california_housing.load_data(test_split=0)[0][0].shape == (700, 8)
    with pytest.raises(ShapeError, match="version"):
        california_housing.load_data("medium")
    with pytest.raises(ShapeError, match="test_split"):
        california_housing.load_data(test_split=-0.1)
    np.savez(cache / "california_housing.npz", x=x[:, 1:], y=x[:, 0])
    with pytest.raises(FileError, match="California"):
        california_housing.load_data()


# --------------------------------------------------------------------------- images


def pixels(rows: int, seed: int) -> np.ndarray:
    """Images as CIFAR stores them."""
    return np.random.default_rng(seed).integers(0, 256, (rows, 3072)).astype(np.uint8)


def write_tar(path: Path, files: dict[str, bytes]) -> Path:
    """An archive of these files."""
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def write_cifar100(folder: Path) -> Path:
    """CIFAR-100 with six training and three test images."""
    files = {}
    for name, rows, seed in (("train", 6, 0), ("test", 3, 1)):
        batch = {
            b"data": pixels(rows, seed),
            b"fine_labels": [90 + i for i in range(rows)],
            b"coarse_labels": [i for i in range(rows)],
        }
        files[f"cifar-100-python/{name}"] = pickle.dumps(batch, protocol=2)
    return write_tar(folder / "cifar-100-python.tar.gz", files)


def test_cifar100(cache: Path) -> None:
    write_cifar100(cache)
    (x_train, y_train), (x_test, y_test) = cifar100.load_data()
    assert (x_train.dtype, y_train.dtype) == (np.uint8, np.int64)
    assert (y_train[:, 0].tolist(), y_test.shape) == ([*range(90, 96)], (3, 1))
    # Three planes, each row by row.
    assert x_test[2, 5, 7, 1] == pixels(3, 1)[2, 1024 + 5 * 32 + 7]
    assert cifar100.load_data("coarse")[0][1][:, 0].tolist() == [*range(6)]
    with pytest.raises(ShapeError, match="label_mode"):
        cifar100.load_data("medium")
    config.set_image_data_format("channels_first")
    try:
        first = cifar100.load_data()[1][0]
    finally:
        config.set_image_data_format("channels_last")
    np.testing.assert_array_equal(first.transpose(0, 2, 3, 1), x_test)


@pytest.mark.parametrize("unpacked", [False, True])
def test_cifar10(cache: Path, tmp_path: Path, unpacked: bool) -> None:
    files = {}
    for i, name in enumerate(cifar10._FILES):
        batch = {b"data": pixels(2, i), b"labels": [i, 9 - i], b"batch_label": b"one"}
        files[f"cifar-10-batches-py/{name}"] = pickle.dumps(batch, protocol=2)
    if unpacked:
        # Where Keras leaves it.
        for name, content in files.items():
            path = tmp_path / "keras/datasets/cifar-10-batches-py-target" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    else:
        write_tar(cache / "cifar-10-python.tar.gz", files)
    (x_train, y_train), (x_test, y_test) = cifar10.load_data()
    assert {a.dtype for a in (x_train, y_train, x_test, y_test)} == {np.dtype(np.uint8)}
    assert (x_train.shape, x_test.shape) == ((10, 32, 32, 3), (2, 32, 32, 3))
    assert y_train[:, 0].tolist() == [0, 9, 1, 8, 2, 7, 3, 6, 4, 5]
    assert x_train[4, 1, 2, 0] == pixels(2, 2)[0, 32 + 2]


def test_a_hostile_image_file_runs_nothing(cache: Path, tmp_path: Path) -> None:
    harm = tmp_path / "harm"
    content = pickle.dumps({b"data": Harm(harm), b"labels": []}, protocol=2)
    names = [f"cifar-10-batches-py/{name}" for name in cifar10._FILES]
    write_tar(cache / "cifar-10-python.tar.gz", dict.fromkeys(names, content))
    with pytest.raises(FileError, match="CIFAR-10") as caught:
        cifar10.load_data()
    assert "mkdir" in caught.value.details
    assert not harm.exists()


@pytest.mark.parametrize(
    "batch",
    [
        [],
        {b"data": pixels(2, 0)},
        {b"data": pixels(2, 0), b"fine_labels": [1]},
        {b"data": pixels(2, 0), b"fine_labels": [1, -1]},
        {b"data": pixels(2, 0), b"fine_labels": [1, b"2"]},
        {b"data": pixels(2, 0)[:, :9], b"fine_labels": [1, 2]},
        {b"data": pixels(2, 0).astype(np.int64), b"fine_labels": [1, 2]},
        {b"data": [[1] * 3072] * 2, b"fine_labels": [1, 2]},
    ],
    ids=range(8),
)
def test_images_and_labels_must_fit(cache: Path, batch: Any) -> None:
    content = pickle.dumps(batch, protocol=2)
    names = ["cifar-100-python/train", "cifar-100-python/test"]
    write_tar(cache / "cifar-100-python.tar.gz", dict.fromkeys(names, content))
    with pytest.raises(FileError) as caught:
        cifar100.load_data()
    assert caught.value.code == "RV602"


# -------------------------------------------------------------------------- pickles

ARRAYS = [
    np.arange(6, dtype=np.int32).reshape(2, 3),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.arange(3, dtype=">i2"),
    np.array([True, False]),
    np.zeros((0, 3), np.uint8),
    texts([1], [2, 3]),
]


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: a.dtype.str)
def test_arrays_come_back(array: np.ndarray, protocol: int) -> None:
    found = read_pickle(io.BytesIO(pickle.dumps(array, protocol)))
    assert (found.dtype, found.shape) == (array.dtype.newbyteorder("="), array.shape)
    assert found.tolist() == array.tolist()


def hostile(*args: Any) -> Any:
    """An object whose pickle calls the first of these with the others."""

    class Hostile:
        def __reduce__(self) -> Any:
            return args[0], args[1:]

    return Hostile()


REBUILD = np.empty(0).__reduce__()[0]  # type: ignore[index]


class Stated:
    """Pickled, an array with a state of the test's choice."""

    def __init__(self, state: Any) -> None:
        self.state = state

    def __reduce__(self) -> Any:
        return REBUILD, (np.ndarray, (0,), b"b"), self.state


@pytest.mark.parametrize(
    "value",
    [
        hostile(os.getcwd),
        hostile(eval, "1"),
        hostile(np.ndarray, (10**12,)),
        hostile(np.dtype, "V1000"),
        hostile(np.dtype, "U4"),
        np.ndarray,
        np.dtype("f4"),
        np.array(["text"]),
        np.zeros(2, [("a", "f4")]),
        Stated((1, (4,), np.dtype("O"), False, b"\1" * 32)),
        Stated((1, (10**12,), np.dtype("f8"), False, b"")),
        Stated((1, (-1,), np.dtype("f8"), False, b"")),
        Stated((1, (2,), np.dtype("O"), False, [1])),
        Stated((1, (2,), "f8", False, b"\0" * 16)),
        Stated((1, 2, 3)),
        hostile(REBUILD, np.ndarray, (0,), b"b"),
    ],
    ids=range(16),
)
def test_a_pickle_can_ask_for_arrays_only(value: Any) -> None:
    data = pickle.dumps({b"data": value}, 4)
    with pytest.raises(pickle.UnpicklingError):
        read_pickle(io.BytesIO(data))


@pytest.mark.parametrize(
    "data",
    [b"Nr\xff\xff\xff\x7f.", b"Np4000000000\n.", b"Np-1\n.", b"\xff.", b"N", b""],
    ids=range(6),
)
def test_a_pickle_cannot_ask_for_endless_memory(data: bytes) -> None:
    with pytest.raises(pickle.UnpicklingError):
        read_pickle(io.BytesIO(data))


def test_a_long_pickle_with_many_notes() -> None:
    rows = texts(*([i, 300, 70_000, -1] for i in range(2_000)))
    for protocol in (2, 3, 4, 5):
        found = read_pickle(io.BytesIO(pickle.dumps(rows, protocol)))
        assert found.tolist() == rows.tolist()


WHOLE = pickle.dumps({b"data": np.arange(4), b"labels": [1, 2, 3, 4]}, protocol=2)


@given(st.integers(0, len(WHOLE)), st.binary(max_size=12), st.integers(0, 12))
def test_pickles_survive_any_bytes(at: int, noise: bytes, dropped: int) -> None:
    data = WHOLE[:at] + noise + WHOLE[at + dropped :]
    with contextlib.suppress(pickle.UnpicklingError):
        read_pickle(io.BytesIO(data))
