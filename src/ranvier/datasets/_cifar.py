"""CIFAR's batches: pickled by Python 2, read without running what they name."""

from __future__ import annotations

import io
import pickle
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ranvier import config
from ranvier.datasets import _places
from ranvier.datasets._npz import damaged
from ranvier.datasets._pickles import read_pickle

__all__ = ["URL", "channels", "find", "read_batches"]

#: Where both data sets come from.
URL = "https://www.cs.toronto.edu/~kriz/"
_PIXELS = 3 * 32 * 32

Images = npt.NDArray[np.uint8]


def find(archive: str, folder: str, names: Sequence[str]) -> Path | None:
    """The archive, or the folder it was unpacked into, on this machine; or None.

    Args:
        archive: name of the .tar.gz file.
        folder: name of the folder inside it.
        names: the files that the folder must hold.
    """
    # Keras keeps the archive as NAME-target_archive and unpacks it into NAME-target.
    kept = f"{folder}-target"
    for cache in _places.candidates(""):
        for unpacked in (cache / folder, cache / kept / folder):
            if all((unpacked / name).is_file() for name in names):
                return unpacked
        for packed in (cache / archive, cache / f"{kept}_archive"):
            if packed.is_file():
                return packed
    return None


def read_batches(
    archive: str, folder: str, names: Sequence[str], digest: str, label_key: str
) -> list[tuple[Images, npt.NDArray[Any]]]:
    """Images of shape ``(rows, 3, 32, 32)`` and labels of each named file.

    Args:
        archive: name of the .tar.gz file, in the caches and under `URL`.
        folder: name of the folder inside it.
        names: the files to read.
        digest: SHA-256 that the archive must have when it is downloaded.
        label_key: what the labels are called in the files.

    Raises:
        EnvironmentFault: RV802 when it is not here and cannot be downloaded.
        FileError: RV602 when it is damaged or asks for code to be run.
    """
    place = find(archive, folder, names) or _places.fetched(
        archive, URL + archive, digest
    )
    title = archive.partition("-python")[0].upper()
    try:
        contents = _contents(place, folder, names)
    except (tarfile.TarError, KeyError, OSError, EOFError, zlib.error) as fault:
        raise damaged(place, title, str(fault)) from fault
    return [
        _batch(place, title, name, content, label_key)
        for name, content in zip(names, contents, strict=True)
    ]


def _contents(place: Path, folder: str, names: Sequence[str]) -> list[bytes]:
    if place.is_dir():
        return [(place / name).read_bytes() for name in names]
    # Nothing is unpacked: the files are read where they lie.
    found = {}
    with tarfile.open(place) as tar:
        for member in tar:
            name = member.name.removeprefix(f"{folder}/")
            file = tar.extractfile(member) if member.isfile() else None
            if name in names and file is not None:
                found[name] = file.read()
    return [found[name] for name in names]


def _batch(
    place: Path, title: str, name: str, content: bytes, label_key: str
) -> tuple[Images, npt.NDArray[Any]]:
    try:
        batch = read_pickle(io.BytesIO(content))
    except pickle.UnpicklingError as fault:
        raise damaged(place, title, f"{name}: {fault}") from fault
    if not isinstance(batch, dict):
        raise damaged(place, title, f"{name} holds no table of names")
    named = {
        k.decode("latin-1") if isinstance(k, bytes) else k: batch[k] for k in batch
    }
    images, labels = named.get("data"), named.get(label_key)
    if (
        not isinstance(images, np.ndarray)
        or images.dtype != np.uint8
        or images.shape[1:] != (_PIXELS,)
    ):
        raise damaged(place, title, f"{name} holds no images of 32 x 32 x 3 bytes")
    if (
        not isinstance(labels, list)
        or len(labels) != len(images)
        or not all(type(label) is int and 0 <= label < 256 for label in labels)
    ):
        raise damaged(place, title, f"{name} holds no {label_key!r} for its images")
    return images.reshape(-1, 3, 32, 32), np.array(labels, np.int64).reshape(-1, 1)


def channels(images: Images) -> Images:
    """With the channels where `config.image_data_format()` has them."""
    if config.image_data_format() == "channels_first":
        return images
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1))
