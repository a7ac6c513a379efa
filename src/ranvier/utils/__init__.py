"""Small helpers under Keras's names: seeds, one-hot columns, downloads."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ranvier.utils.archives import extract_archive as extract_archive
    from ranvier.utils.files import atomic_write as atomic_write
    from ranvier.utils.files import get_file as get_file
    from ranvier.utils.files import hash_file as hash_file
    from ranvier.utils.numerical import normalize as normalize
    from ranvier.utils.numerical import pad_sequences as pad_sequences
    from ranvier.utils.numerical import to_categorical as to_categorical
    from ranvier.utils.seeds import set_random_seed as set_random_seed

_HOMES = {
    "atomic_write": "ranvier.utils.files",
    "extract_archive": "ranvier.utils.archives",
    "get_file": "ranvier.utils.files",
    "hash_file": "ranvier.utils.files",
    "normalize": "ranvier.utils.numerical",
    "pad_sequences": "ranvier.utils.numerical",
    "set_random_seed": "ranvier.utils.seeds",
    "to_categorical": "ranvier.utils.numerical",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    # Lazy, because `files` needs urllib and that costs more than the rest of an import.
    if name not in _HOMES:
        raise AttributeError(f"module 'ranvier.utils' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
