"""CIFAR-100: 60,000 colour images of 32 x 32 pixels in 100 classes of 20 groups.

Krizhevsky (2009), https://www.cs.toronto.edu/~kriz/cifar.html.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy.typing as npt

from ranvier.datasets import _cifar
from ranvier.errors import ShapeError

__all__ = ["find", "load_data"]

Split = tuple[npt.NDArray[Any], npt.NDArray[Any]]

_ARCHIVE, _FOLDER = "cifar-100-python.tar.gz", "cifar-100-python"
#: SHA-256 of the archive (stated in Keras's own loader).
_SHA256 = "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"
_FILES = ("train", "test")


def find() -> Path | None:
    """The archive or its unpacked folder, in ranvier's or Keras's cache, or None."""
    return _cifar.find(_ARCHIVE, _FOLDER, _FILES)


def load_data(label_mode: str = "fine") -> tuple[Split, Split]:
    """The 50,000 training and 10,000 test images with their labels.

    Args:
        label_mode: "fine" for the 100 classes, "coarse" for the 20 groups.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``; images uint8 of shape
        ``(rows, 32, 32, 3)`` (or ``(rows, 3, 32, 32)``, see
        `config.image_data_format`) with values 0 .. 255, labels int64 ``(rows, 1)``.

    Raises:
        ShapeError: RV100 for another mode.
        EnvironmentFault: RV802 when it is not here and cannot be downloaded.
        FileError: RV602 when it is damaged or asks for code to be run.

    Example:
        >>> (x_train, y_train), _ = load_data("coarse")  # doctest: +SKIP
        >>> x_train.shape, int(y_train.max())  # doctest: +SKIP
        ((50000, 32, 32, 3), 19)
    """
    if label_mode not in ("fine", "coarse"):
        raise ShapeError(
            "RV100",
            f"label_mode must be 'fine' or 'coarse', got {label_mode!r}",
            fix="label_mode='fine'",
        )
    key = f"{label_mode}_labels"
    train, test = _cifar.read_batches(_ARCHIVE, _FOLDER, _FILES, _SHA256, key)
    return (_cifar.channels(train[0]), train[1]), (_cifar.channels(test[0]), test[1])
