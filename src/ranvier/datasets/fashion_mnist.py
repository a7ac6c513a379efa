"""Fashion-MNIST: 70,000 grey images of 28 x 28 pixels in ten classes of clothing.

Xiao, Rasul, Vollgraf (2017), https://arxiv.org/abs/1708.07747; MIT licence, Zalando SE.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from ranvier.datasets import _places
from ranvier.errors import EnvironmentFault, FileError

__all__ = ["class_names", "find", "load_data", "load_sample"]

#: What the labels 0 .. 9 mean.
class_names = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

Images = npt.NDArray[np.uint8]
Split = tuple[Images, Images]

#: Where Debian's package `dataset-fashion-mnist` installs the files.
SYSTEM_FOLDERS = ("/usr/share/datasets/fashion-mnist",)
#: How to get the data set without ranvier's own download.
REMEDY = (
    "apt install dataset-fashion-mnist    (Debian, Ubuntu), or put the four .gz files\n"
    "of https://github.com/zalandoresearch/fashion-mnist into "
    "~/.ranvier/datasets/fashion-mnist"
)

_TRAIN, _TEST = (60_000, 28, 28), (10_000, 28, 28)
#: name -> (shape, SHA-256 of the uncompressed content). The content, not the .gz: gzip
#: headers carry a name and a date, so copies of the same data differ in them.
_FILES: dict[str, tuple[tuple[int, ...], str]] = {
    "train-images-idx3-ubyte.gz": (
        _TRAIN,
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    ),
    "train-labels-idx1-ubyte.gz": (
        _TRAIN[:1],
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    ),
    "t10k-images-idx3-ubyte.gz": (
        _TEST,
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    ),
    "t10k-labels-idx1-ubyte.gz": (
        _TEST[:1],
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
}


def find() -> Path | None:
    """The folder on this machine that holds the four files, or None.

    Looked for in ranvier's cache, in Keras's cache, and where Debian installs them.
    """
    folders = _places.candidates("fashion-mnist", SYSTEM_FOLDERS)
    return _places.find(folders, list(_FILES))


def load_data() -> tuple[Split, Split]:
    """The 60,000 training and 10,000 test images with their labels.

    Taken from this machine when they are there (see `find`), else downloaded into
    ranvier's cache and checked by SHA-256.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``, all uint8; images of shape
        ``(rows, 28, 28)`` with values 0 .. 255, labels ``(rows,)`` with 0 .. 9.

    Raises:
        EnvironmentFault: RV802 when they are not here and cannot be downloaded.
        FileError: RV602 when a file is truncated or damaged.

    Example:
        >>> (x_train, y_train), (x_test, y_test) = load_data()  # doctest: +SKIP
        >>> x_train.shape  # doctest: +SKIP
        (60000, 28, 28)
    """
    folder = find() or _fetch()
    arrays = []
    for name, (shape, _) in _FILES.items():
        arrays.append(_read(folder / name, shape))
    x_train, y_train, x_test, y_test = arrays
    return (x_train, y_train), (x_test, y_test)


def load_sample() -> tuple[Split, Split]:
    """The sample inside the package: 5,000 training and 1,000 test images.

    Real rows of Fashion-MNIST: for each class the first 500 of the training file
    and the first 100 of the test file, in file order. Nothing is downloaded.

    Returns:
        As `load_data`, with fewer rows.

    Example:
        >>> (x_train, y_train), (x_test, y_test) = load_sample()
        >>> x_train.shape, x_test.shape
        ((5000, 28, 28), (1000, 28, 28))
    """
    entry = resources.files("ranvier.datasets") / "data" / "fashion_mnist_sample.npz"
    with entry.open("rb") as file, np.load(file, allow_pickle=False) as data:
        return (
            (data["x_train"], data["y_train"]),
            (data["x_test"], data["y_test"]),
        )


def _read(path: Path, shape: tuple[int, ...]) -> Images:
    from ranvier.datasets._idx import read_idx

    array = read_idx(path)
    if array.shape != shape or array.dtype != np.uint8:
        raise FileError(
            "RV602",
            f"{path.name} is not the Fashion-MNIST file of that name",
            details=f"it holds {array.dtype} {array.shape}, expected uint8 {shape}",
            fix=f"rm {path}    (it is fetched again)",
        )
    return array


def _content_check(name: str, expected: str) -> Callable[[IO[bytes]], None]:
    def check(file: IO[bytes]) -> None:
        hasher = hashlib.sha256()
        try:
            with gzip.GzipFile(fileobj=file) as unzipped:
                while chunk := unzipped.read(1 << 18):
                    hasher.update(chunk)
        except (OSError, EOFError, zlib.error) as fault:
            raise FileError(
                "RV602",
                f"{name} arrived damaged",
                details=str(fault),
                fix=REMEDY,
            ) from fault
        if hasher.hexdigest() != expected:
            raise FileError(
                "RV602",
                f"{name} arrived with other content than expected",
                details=f"SHA-256 expected {expected}\n"
                f"SHA-256 received {hasher.hexdigest()}",
                fix=REMEDY,
            )

    return check


def _fetch() -> Path:
    from ranvier import config
    from ranvier.utils.files import download

    folder = config.cache_folder("datasets", "fashion-mnist")
    for name, (_, content_hash) in _FILES.items():
        target = folder / name
        if not target.is_file():
            download(
                _places.KERAS_URL + name,
                target,
                check=_content_check(name, content_hash),
                remedy=REMEDY,
            )
    found = find()
    if found is None:
        raise EnvironmentFault(
            "RV802", f"the files fetched into {folder} are gone", fix=REMEDY
        )
    return found
