"""Where data sets may already lie on this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ranvier import config

__all__ = ["KERAS_URL", "candidates", "find"]

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
