"""Weights of known architectures: refused when they are not here, loaded from a path."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from ranvier import config
from ranvier.errors import FileError

__all__ = ["check_weights", "find_cached", "keras_file", "url_of", "variance_of"]

_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications"


def keras_file(folder: str, name: str, include_top: bool) -> str:
    """Where Keras publishes the weights of most architectures."""
    ending = "" if include_top else "_notop"
    return url_of(folder, f"{name}_weights_tf_dim_ordering_tf_kernels{ending}.h5")


def url_of(folder: str, file: str) -> str:
    """Where Keras publishes a file of weights."""
    return f"{_KERAS}/{folder}/{file}"


def find_cached(name: str) -> Path | None:
    """A file in the folder ``models`` of ranvier's cache or of Keras's."""
    keras = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()
    for folder in (config.cache_folder("models"), keras / "models"):
        if (folder / name).is_file():
            return folder / name
    return None


def check_weights(model: str, weights: Any, url: str) -> None:
    """Whether ``weights`` is ``None`` or the path of a file that is there.

    Args:
        model: how messages call the architecture.
        weights: the argument.
        url: where Keras publishes its weights; empty where it does not.

    Raises:
        FileError: RV606 for ``"imagenet"``; RV605 when there is no such file.
    """
    if weights is None:
        return
    if weights == "imagenet":
        file = url.rpartition("/")[2]
        here = find_cached(file) if file else None
        if here is not None:
            way = f"weights={str(here)!r}, which is on this machine"
        elif file:
            way = f"fetch {url}\nand give weights={file!r}; "
            way += "or weights=None, which starts from random ones"
        else:
            way = "weights=None, or the path of a file: Keras publishes none for this"
        raise FileError(
            "RV606",
            f"{model}: no weights come with ranvier, and none are downloaded",
            details="weights='imagenet' asks for those that were trained on ImageNet",
            fix=way,
        )
    if not isinstance(weights, str | os.PathLike):
        raise FileError(
            "RV605",
            f"{model}: weights must be None or the path of a file",
            details=f"received weights={weights!r:.80} ({type(weights).__name__})",
        )
    if not Path(weights).expanduser().is_file():
        raise FileError(
            "RV605",
            f"{model}: there is no file {os.fspath(weights)!r}",
            fix="the path of a .weights.h5, .keras or .h5 file; or weights=None",
        )


def variance_of(path: Any) -> np.ndarray[Any, Any] | None:
    """The variances in a file of weights that its model normalizes images with.

    Raises:
        FileError: RV601 when the file is damaged or unsafe.
    """
    from ranvier.models import archive, legacy_weights, weights_file

    with archive.opened(path) as file:
        source: Any = file
        if file.read(2) == b"PK":
            file.seek(0)
            members = archive.read_archive(file, path)
            source = io.BytesIO(members[archive.WEIGHTS])
        elif legacy_weights.is_legacy(file, path):
            return legacy_weights.legacy_dataset(
                file, path, "normalization", "variance"
            )
        return weights_file.read_one(source, path, "layers/normalization/vars", "1")
