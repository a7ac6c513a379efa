"""Makes the sample of Fashion-MNIST that the package carries.

    python scripts/make_sample.py

For each of the ten classes it takes the first 500 rows of the training file and the
first 100 of the test file, in the order of the files, so that anyone with the full data
can check it. The members of the archive carry a fixed date: same input, same bytes.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np

from ranvier.datasets import fashion_mnist

TRAIN_PER_CLASS, TEST_PER_CLASS = 500, 100
TARGET = Path(__file__).parents[1] / "src/ranvier/datasets/data"


def first_of_each_class(labels: np.ndarray, count: int) -> np.ndarray:
    """Row numbers of the first `count` rows of each class, in ascending order."""
    rows = [np.flatnonzero(labels == label)[:count] for label in range(10)]
    return np.sort(np.concatenate(rows))


def main() -> None:
    """Writes ``fashion_mnist_sample.npz``."""
    (x_train, y_train), (x_test, y_test) = fashion_mnist.load_data()
    train = first_of_each_class(y_train, TRAIN_PER_CLASS)
    test = first_of_each_class(y_test, TEST_PER_CLASS)
    arrays = {
        "x_train": x_train[train],
        "y_train": y_train[train],
        "x_test": x_test[test],
        "y_test": y_test[test],
    }
    path = TARGET / "fashion_mnist_sample.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(array))
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, buffer.getvalue(), compresslevel=9)
    print(
        f"{path.name}: {path.stat().st_size:,} bytes, {len(train)} + {len(test)} rows"
    )


if __name__ == "__main__":
    main()
