"""CIFAR-10: 60,000 colour images of 32 x 32 pixels in ten classes.

Krizhevsky (2009), https://www.cs.toronto.edu/~kriz/cifar.html.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ranvier.datasets import _cifar

__all__ = ["class_names", "find", "load_data"]

#: What the labels 0 .. 9 mean.
class_names = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)

Split = tuple[npt.NDArray[Any], npt.NDArray[Any]]

_ARCHIVE, _FOLDER = "cifar-10-python.tar.gz", "cifar-10-batches-py"
#: SHA-256 of the archive (stated in Keras's own loader).
_SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
_FILES = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")


def find() -> Path | None:
    """The archive or its unpacked folder, in ranvier's or Keras's cache, or None."""
    return _cifar.find(_ARCHIVE, _FOLDER, _FILES)


def load_data() -> tuple[Split, Split]:
    """The 50,000 training and 10,000 test images with their labels.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``, all uint8; images of shape
        ``(rows, 32, 32, 3)`` (or ``(rows, 3, 32, 32)``, see
        `config.image_data_format`) with values 0 .. 255, labels ``(rows, 1)``.

    Raises:
        EnvironmentFault: RV802 when it is not here and cannot be downloaded.
        FileError: RV602 when it is damaged or asks for code to be run.

    Example:
        >>> (x_train, y_train), (x_test, y_test) = load_data()  # doctest: +SKIP
        >>> x_train.shape, y_train.shape  # doctest: +SKIP
        ((50000, 32, 32, 3), (50000, 1))
    """
    batches = _cifar.read_batches(_ARCHIVE, _FOLDER, _FILES, _SHA256, "labels")
    train, test = batches[:-1], batches[-1]
    x_train = np.concatenate([images for images, _ in train])
    y_train = np.concatenate([labels for _, labels in train])
    return (
        (_cifar.channels(x_train), y_train.astype(np.uint8)),
        (_cifar.channels(test[0]), test[1].astype(np.uint8)),
    )
