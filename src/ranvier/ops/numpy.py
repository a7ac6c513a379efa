"""Keras's namespace ``ops.numpy``: the operations that NumPy has too."""

from __future__ import annotations

from typing import Any

from ranvier.ops._shared import of_package


def __getattr__(name: str) -> Any:
    return of_package(__name__, name)
