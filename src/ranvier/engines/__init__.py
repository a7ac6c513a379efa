"""Engines run graphs. They are found by name and loaded when first used."""

from ranvier.engines.api import (
    Batches,
    Engine,
    Executable,
    Fault,
    RunRecord,
    Shuffle,
    get,
    names,
)

__all__ = [
    "Batches",
    "Engine",
    "Executable",
    "Fault",
    "RunRecord",
    "Shuffle",
    "get",
    "names",
]
