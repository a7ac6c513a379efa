"""Loaders, the IDX reader, downloads and archives, on good and on damaged files."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import struct
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranvier import utils
from ranvier.datasets import fashion_mnist, mnist
from ranvier.datasets._idx import read_idx
from ranvier.errors import DataError, EnvironmentFault, FileError, ShapeError
from ranvier.utils.archives import extract_archive
from ranvier.utils.files import atomic_write, download, get_file, hash_file


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, no other place to find data in, and no network."""
    monkeypatch.setenv("RANVIER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("RANVIER_OFFLINE", "1")
    monkeypatch.setattr(fashion_mnist, "SYSTEM_FOLDERS", ())
    return tmp_path / "home"


def idx(array: np.ndarray) -> bytes:
    """An IDX file of a uint8 array."""
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return head + array.astype(np.uint8).tobytes()


def test_the_sample() -> None:
    (x_train, y_train), (x_test, y_test) = fashion_mnist.load_sample()
    assert (x_train.shape, x_test.shape) == ((5000, 28, 28), (1000, 28, 28))
    assert {a.dtype.name for a in (x_train, y_train, x_test, y_test)} == {"uint8"}
    assert np.bincount(y_train).tolist() == [500] * 10
    assert np.bincount(y_test).tolist() == [100] * 10
    assert x_train.max() == 255


def test_the_sample_and_its_licence_are_small_and_there() -> None:
    folder = Path(fashion_mnist.__file__).parent / "data"
    assert (folder / "fashion_mnist_sample.npz").stat().st_size <= 3_000_000
    assert "MIT License" in (folder / "LICENSE.fashion-mnist").read_text()


@pytest.mark.skipif(
    fashion_mnist.find() is None, reason="Fashion-MNIST is not on this machine"
)
def test_the_whole_data_set_and_the_sample_agree() -> None:
    (x_train, y_train), (x_test, y_test) = fashion_mnist.load_data()
    assert (x_train.shape, y_train.shape) == ((60000, 28, 28), (60000,))
    assert (x_test.shape, y_test.shape) == ((10000, 28, 28), (10000,))
    assert np.bincount(y_train).tolist() == [6000] * 10
    (small, labels), _ = fashion_mnist.load_sample()
    rows = np.sort(
        np.concatenate([np.flatnonzero(y_train == k)[:500] for k in range(10)])
    )
    assert (x_train[rows] == small).all()
    assert (y_train[rows] == labels).all()


def test_class_names() -> None:
    assert len(fashion_mnist.class_names) == len(mnist.class_names) == 10
    assert fashion_mnist.class_names[9] == "Ankle boot"


@pytest.mark.parametrize("module", [fashion_mnist, mnist])
def test_offline_says_what_to_do(module: object, home: Path) -> None:
    with pytest.raises(EnvironmentFault) as caught:
        module.load_data()  # type: ignore[attr-defined]
    assert caught.value.code == "RV802"
    assert "put" in caught.value.fix
    assert not list(home.rglob("*.part"))


def test_files_in_keras_cache_are_found(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "keras" / "datasets" / "fashion-mnist"
    folder.mkdir(parents=True)
    for name in fashion_mnist._FILES:
        (folder / name).write_bytes(b"")
    assert fashion_mnist.find() == folder
    with pytest.raises(FileError) as caught:
        fashion_mnist.load_data()
    assert caught.value.code == "RV602"
    assert f"rm {folder}" in caught.value.fix


def test_a_file_of_other_shape_is_refused(home: Path) -> None:
    folder = home / "datasets" / "fashion-mnist"
    folder.mkdir(parents=True)
    for name in fashion_mnist._FILES:
        (folder / name).write_bytes(gzip.compress(idx(np.zeros((3, 2, 2)))))
    with pytest.raises(FileError, match="is not the Fashion-MNIST file"):
        fashion_mnist.load_data()


def test_a_download_with_other_content_is_refused(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = tmp_path / "server"
    server.mkdir()
    for name in fashion_mnist._FILES:
        (server / name).write_bytes(gzip.compress(idx(np.zeros((3, 2, 2)))))
    monkeypatch.setenv("RANVIER_OFFLINE", "0")
    monkeypatch.setattr("ranvier.datasets._places.KERAS_URL", f"{server.as_uri()}/")
    with pytest.raises(FileError, match="other content") as caught:
        fashion_mnist.load_data()
    assert caught.value.code == "RV602"
    assert not [p for p in home.rglob("*") if p.is_file()]


def test_a_download_is_checked_and_kept(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = tmp_path / "server"
    server.mkdir()
    files = {}
    for name, (shape, _) in fashion_mnist._FILES.items():
        small = (5, *shape[1:])
        content = idx(np.arange(np.prod(small)).reshape(small) % 251)
        (server / name).write_bytes(gzip.compress(content))
        files[name] = (small, hashlib.sha256(content).hexdigest())
    monkeypatch.setenv("RANVIER_OFFLINE", "0")
    monkeypatch.setattr("ranvier.datasets._places.KERAS_URL", f"{server.as_uri()}/")
    monkeypatch.setattr(fashion_mnist, "_FILES", files)
    (x_train, y_train), _ = fashion_mnist.load_data()
    assert (x_train.shape, y_train.tolist()) == ((5, 28, 28), [0, 1, 2, 3, 4])
    # The second time nothing is fetched.
    monkeypatch.setenv("RANVIER_OFFLINE", "1")
    assert fashion_mnist.load_data()[1][0].shape == (5, 28, 28)


def test_mnist_reads_keras_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = {"x_train": (4, 28, 28), "y_train": (4,)}
    shapes |= {"x_test": (2, 28, 28), "y_test": (2,)}
    monkeypatch.setattr(mnist, "_SHAPES", shapes)
    path = home / "datasets" / "mnist.npz"
    path.parent.mkdir(parents=True)
    arrays = {name: np.full(shape, 7, np.uint8) for name, shape in shapes.items()}
    np.savez(path, **arrays)
    (x_train, _), (_, y_test) = mnist.load_data()
    assert x_train.shape == (4, 28, 28)
    assert y_test.tolist() == [7, 7]
    assert mnist.load_data(str(path))[1][0].shape == (2, 28, 28)


def test_a_damaged_mnist_is_refused(home: Path) -> None:
    path = home / "datasets" / "mnist.npz"
    path.parent.mkdir(parents=True)
    whole = io.BytesIO()
    np.savez(whole, x_train=np.zeros((2, 2), np.uint8))
    for content in (b"", b"PK\3\4 no", whole.getvalue()[:60], whole.getvalue()):
        path.write_bytes(content)
        with pytest.raises(FileError) as caught:
            mnist.load_data()
        assert caught.value.code == "RV602"


# ------------------------------------------------------------------------------ IDX


@pytest.mark.parametrize("code", [0x08, 0x09, 0x0B, 0x0C, 0x0D, 0x0E])
@pytest.mark.parametrize("zipped", [False, True])
def test_idx_types(code: int, zipped: bool, tmp_path: Path) -> None:
    dtype = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}[code]
    values = np.arange(6).reshape(2, 3).astype(dtype)
    data = struct.pack(">BBBBII", 0, 0, code, 2, 2, 3) + values.tobytes()
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(data) if zipped else data)
    read = read_idx(path)
    assert read.dtype == np.dtype(dtype).newbyteorder("=")
    assert read.tolist() == values.tolist()


GOOD = idx(np.arange(24).reshape(2, 3, 4))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0",
        b"text, not numbers",
        GOOD[:-1],
        GOOD + b"x",
        GOOD[:10],
        struct.pack(">BBBB", 0, 0, 8, 0),
        struct.pack(">BBBB", 0, 0, 8, 255) + b"\0" * 1020,
        struct.pack(">BBBBIII", 0, 0, 8, 3, *[2**32 - 1] * 3),
        struct.pack(">BBBBI", 0, 0, 8, 1, 2**32 - 1) + b"\0" * 100,
        gzip.compress(struct.pack(">BBBBII", 0, 0, 8, 2, 2**31, 2**31)),
        gzip.compress(GOOD)[:-4],
        gzip.compress(GOOD)[:-8] + b"\0" * 8,
        gzip.compress(GOOD)[:20],
        b"\x1f\x8b",
    ],
)
def test_damaged_idx(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file-idx3-ubyte.gz"
    path.write_bytes(content)
    with pytest.raises(FileError) as caught:
        read_idx(path)
    assert caught.value.code == "RV602"
    assert str(path) in caught.value.fix


@given(st.binary(max_size=64), st.booleans(), st.integers(0, len(GOOD)))
def test_idx_survives_any_bytes(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, zipped: bool, keep: int
) -> None:
    path = tmp_path_factory.mktemp("idx") / "file"
    data = GOOD[:keep] + noise
    path.write_bytes(gzip.compress(data) if zipped else data)
    try:
        assert read_idx(path).nbytes <= len(data)
    except FileError as fault:
        assert fault.code == "RV602"


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileError) as caught:
        read_idx(tmp_path / "nothing")
    assert caught.value.code == "RV605"


# ---------------------------------------------------------------------------- files


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    class Stop(BaseException):
        pass

    with pytest.raises(Stop), atomic_write(path) as file:
        file.write(b"new")
        raise Stop
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_unwritable_target(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with (
        pytest.raises(FileError) as caught,
        atomic_write(tmp_path / "file" / "below") as file,
    ):
        file.write(b"x")
    assert caught.value.code == "RV603"


def test_get_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "source.txt"
    source.write_bytes(b"content")
    digest = hashlib.sha256(b"content").hexdigest()
    path = get_file(
        origin=source.as_uri(), cache_dir=tmp_path / "cache", file_hash=digest
    )
    assert Path(path).read_bytes() == b"content"
    assert path == str(tmp_path / "cache" / "datasets" / "source.txt")
    assert "download source.txt" in capsys.readouterr().err
    # Here already: not fetched again.
    source.unlink()
    assert path == get_file(origin=source.as_uri(), cache_dir=tmp_path / "cache")
    assert hash_file(path) == digest
    assert hash_file(path, "md5") == hashlib.md5(b"content").hexdigest()


def test_get_file_refuses_another_content(tmp_path: Path) -> None:
    source = tmp_path / "source.txt"
    source.write_bytes(b"content")
    with pytest.raises(FileError, match="is not the expected file"):
        get_file(
            "a.txt", source.as_uri(), cache_dir=tmp_path / "cache", file_hash="0" * 64
        )
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]


@pytest.mark.parametrize("name", ["../a", "a/b", "..", "/etc/passwd"])
def test_get_file_refuses_folders_in_names(name: str, tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match="plain file name"):
        get_file(name, "file:///nothing", cache_dir=tmp_path)


def test_a_failed_download_is_told(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault) as caught:
        download((tmp_path / "nothing").as_uri(), tmp_path / "target")
    assert caught.value.code == "RV802"
    assert not list(tmp_path.iterdir())


class Server(http.server.BaseHTTPRequestHandler):
    """Answers /whole and /cut with ten bytes announced; /cut sends five of them."""

    def do_GET(self) -> None:
        known = self.path in ("/whole", "/cut")
        self.send_response(200 if known else 404)
        self.send_header("Content-Length", "10" if known else "0")
        self.end_headers()
        if known:
            self.wfile.write(b"0123456789" if self.path == "/whole" else b"01234")

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_downloads_from_a_server(address: str, tmp_path: Path) -> None:
    path = download(f"{address}/whole", tmp_path / "whole")
    assert path.read_bytes() == b"0123456789"
    with pytest.raises(FileError, match="5 of 10 bytes") as cut:
        download(f"{address}/cut", tmp_path / "cut")
    assert cut.value.code == "RV602"
    with pytest.raises(EnvironmentFault, match="404") as missing:
        download(f"{address}/nothing", tmp_path / "nothing")
    assert missing.value.code == "RV802"
    assert list(tmp_path.iterdir()) == [path]


def make_tar(path: Path, member: tarfile.TarInfo, data: bytes = b"") -> None:
    member.size = len(data)
    with tarfile.open(path, "w:gz") as tar:
        tar.addfile(member, io.BytesIO(data))


def test_unpacking(tmp_path: Path) -> None:
    make_tar(tmp_path / "a.tar.gz", tarfile.TarInfo("folder/file"), b"abc")
    out = get_file(
        origin=(tmp_path / "a.tar.gz").as_uri(), cache_dir=tmp_path, untar=True
    )
    assert (Path(out) / "folder" / "file").read_bytes() == b"abc"
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("folder/file", b"xyz")
    extract_archive(tmp_path / "a.zip", tmp_path / "out")
    assert (tmp_path / "out" / "folder" / "file").read_bytes() == b"xyz"


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "a/../../evil"])
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_an_archive_cannot_write_outside(name: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"archive.{kind}"
    if kind == "tar":
        make_tar(path, tarfile.TarInfo(name), b"x")
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, b"x")
    with pytest.raises(FileError) as caught:
        extract_archive(path, tmp_path / "inner" / "out")
    assert caught.value.code == "RV604"
    assert not (tmp_path / "inner").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_refused(kind: bytes, tmp_path: Path) -> None:
    member = tarfile.TarInfo("innocent")
    member.type = kind
    member.linkname = "/etc/passwd"
    make_tar(tmp_path / "a.tar", member)
    with pytest.raises(FileError, match="link or a device"):
        extract_archive(tmp_path / "a.tar", tmp_path / "out")


def test_a_damaged_archive(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"nothing")
    with pytest.raises(FileError, match="not a tar or zip"):
        extract_archive(tmp_path / "a.zip", tmp_path / "out")


# ---------------------------------------------------------------------------- arrays


def test_to_categorical() -> None:
    assert utils.to_categorical([0, 2]).tolist() == [[1, 0, 0], [0, 0, 1]]
    assert utils.to_categorical(np.array([[1], [0]]), 3).shape == (2, 3)
    assert utils.to_categorical(np.zeros((2, 3), np.uint8), 4).shape == (2, 3, 4)
    with pytest.raises(ShapeError, match="label 10 found"):
        utils.to_categorical([10], 10)
    with pytest.raises(ShapeError, match="label -1"):
        utils.to_categorical([-1], 10)
    with pytest.raises(DataError, match="must be numbers"):
        utils.to_categorical(["cat"])
    with pytest.raises(DataError, match="whole numbers"):
        utils.to_categorical([0.5])
    with pytest.raises(DataError, match="no labels"):
        utils.to_categorical([])


def test_normalize() -> None:
    out = utils.normalize(np.array([[3.0, 4.0], [0.0, 0.0]]))
    assert out.tolist() == [[0.6, 0.8], [0.0, 0.0]]
    assert utils.normalize(np.ones((2, 2)), axis=0, order=1)[0, 0] == 0.5


def test_pad_sequences() -> None:
    assert utils.pad_sequences([[1], [2, 3]]).tolist() == [[0, 1], [2, 3]]
    post = utils.pad_sequences([[1], [2, 3]], padding="post", value=-1)
    assert post.tolist() == [[1, -1], [2, 3]]
    cut = utils.pad_sequences([[1, 2, 3]], maxlen=2, truncating="post")
    assert cut.tolist() == [[1, 2]]
    with pytest.raises(ShapeError):
        utils.pad_sequences([[1]], padding="left")
