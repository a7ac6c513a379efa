"""Data sets that teach: loaders under Keras's names.

Example:
    >>> from ranvier import datasets
    >>> datasets.fashion_mnist.class_names[9]
    'Ankle boot'
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ranvier.datasets import fashion_mnist as fashion_mnist
    from ranvier.datasets import mnist as mnist

__all__ = ["fashion_mnist", "mnist"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'ranvier.datasets' has no attribute {name!r}")
    return importlib.import_module(f"ranvier.datasets.{name}")


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
