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
    from ranvier.datasets import boston_housing as boston_housing
    from ranvier.datasets import california_housing as california_housing
    from ranvier.datasets import cifar10 as cifar10
    from ranvier.datasets import cifar100 as cifar100
    from ranvier.datasets import fashion_mnist as fashion_mnist
    from ranvier.datasets import imdb as imdb
    from ranvier.datasets import mnist as mnist
    from ranvier.datasets import reuters as reuters

__all__ = [
    "boston_housing",
    "california_housing",
    "cifar10",
    "cifar100",
    "fashion_mnist",
    "imdb",
    "mnist",
    "reuters",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'ranvier.datasets' has no attribute {name!r}")
    return importlib.import_module(f"ranvier.datasets.{name}")


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
