"""MNIST: 70,000 grey images of 28 x 28 pixels of handwritten digits.

LeCun, Cortes, Burges; CC BY-SA 3.0.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ranvier import config
from ranvier.datasets import _places
from ranvier.errors import FileError

__all__ = ["class_names", "find", "load_data"]

#: What the labels 0 .. 9 mean.
class_names = tuple("0123456789")

Images = npt.NDArray[np.uint8]
Split = tuple[Images, Images]

#: How to get the data set without ranvier's own download.
REMEDY = f"put {_places.KERAS_URL}mnist.npz into ~/.ranvier/datasets"

#: SHA-256 of mnist.npz as Keras distributes it (stated in Keras's own loader).
_SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"
_SHAPES = {
    "x_train": (60_000, 28, 28),
    "y_train": (60_000,),
    "x_test": (10_000, 28, 28),
    "y_test": (10_000,),
}


def find(path: str = "mnist.npz") -> Path | None:
    """The file on this machine, in ranvier's or Keras's cache, or None."""
    if Path(path).is_absolute():
        return Path(path) if Path(path).is_file() else None
    folder = _places.find(_places.candidates(""), [path])
    return folder / path if folder else None


def load_data(path: str = "mnist.npz") -> tuple[Split, Split]:
    """The 60,000 training and 10,000 test images with their labels.

    Args:
        path: name of the file inside the cache's ``datasets`` folder, or a full path.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``, all uint8; images of shape
        ``(rows, 28, 28)`` with values 0 .. 255, labels ``(rows,)`` with 0 .. 9.

    Raises:
        EnvironmentFault: RV802 when it is not here and cannot be downloaded.
        FileError: RV602 when the file is truncated or damaged.
    """
    found = find(path)
    if found is None:
        from ranvier.utils.files import _hash_check, download

        target = config.cache_folder("datasets") / path
        check = _hash_check(target.name, _SHA256, "sha256")
        url = f"{_places.KERAS_URL}mnist.npz"
        found = download(url, target, check=check, remedy=REMEDY)
    arrays = _read(found)
    return (
        (arrays["x_train"], arrays["y_train"]),
        (arrays["x_test"], arrays["y_test"]),
    )


def _read(path: Path) -> dict[str, Images]:
    arrays: dict[str, Images] = {}
    try:
        _check_headers(path)
        with np.load(path, allow_pickle=False) as data:
            for name in _SHAPES:
                arrays[name] = data[name]
    except (OSError, ValueError, KeyError, EOFError, zlib.error) as fault:
        if isinstance(fault, FileError):
            raise
        raise _damaged(path, str(fault) or type(fault).__name__) from fault
    except zipfile.BadZipFile as fault:
        raise _damaged(path, str(fault)) from fault
    return arrays


def _check_headers(path: Path) -> None:
    """Compares every header with what MNIST holds, before memory is asked for."""
    with zipfile.ZipFile(path) as archive:
        for name, shape in _SHAPES.items():
            with archive.open(f"{name}.npy") as member:
                major, _ = np.lib.format.read_magic(member)
                read = (
                    np.lib.format.read_array_header_1_0
                    if major == 1
                    else np.lib.format.read_array_header_2_0
                )
                stored, _, dtype = read(member)
            if stored != shape or dtype != np.uint8:
                raise _damaged(
                    path, f"{name} holds {dtype} of {stored}, expected uint8 of {shape}"
                )


def _damaged(path: Path, why: str) -> FileError:
    return FileError(
        "RV602",
        f"{path.name} is damaged or is not MNIST",
        details=f"{why}\nfile {path}",
        fix=f"rm {path}    (it is fetched again)",
    )
