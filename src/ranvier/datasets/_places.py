"""Where data sets may already lie on this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ranvier import config

__all__ = ["KERAS_URL", "candidates", "fetched", "find", "find_file"]

#: Where Keras fetches its data sets from.
KERAS_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"


def candidates(subfolder: str, system: Sequence[str] = ()) -> list[Path]:
    """Folders to look in: ranvier's cache, Keras's cache, then the system's.

    Args:
        subfolder: name inside a cache's ``datasets`` folder; may be empty.
        system: folders where distributions install the data set.
    """
    keras = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()
    caches = [config.cache_folder("datasets"), keras / "datasets"]
    return [*(cache / subfolder for cache in caches), *map(Path, system)]


def find(folders: Sequence[Path], names: Sequence[str]) -> Path | None:
    """The first folder that holds all the files."""
    for folder in folders:
        if all((folder / name).is_file() for name in names):
            return folder
    return None


def find_file(path: str) -> Path | None:
    """A file of one of the caches, or one named with its full path; or None."""
    if Path(path).is_absolute():
        return Path(path) if Path(path).is_file() else None
    folder = find(candidates(""), [path])
    return folder / path if folder else None


def fetched(path: str, url: str, digest: str) -> Path:
    """A file found by `find_file`, else downloaded into ranvier's cache.

    Args:
        path: its name in the cache, or its full path.
        url: where it comes from.
        digest: the SHA-256 (64 digits) or MD5 (32) it must have when it comes.

    Raises:
        EnvironmentFault: RV802 when it is not here and cannot be downloaded.
        FileError: RV602 when something else came.
    """
    found = find_file(path)
    if found is not None:
        return found
    from ranvier.utils.files import _hash_check, download

    target = config.cache_folder("datasets") / path
    algorithm = "sha256" if len(digest) == 64 else "md5"
    check = _hash_check(target.name, digest, algorithm)
    return download(url, target, check=check, remedy=f"put {url} at {target}")
