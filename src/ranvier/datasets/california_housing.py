"""California housing: 20,640 block groups of the census of 1990, and the median value.

Pace, Barry (1997), from the StatLib repository.
"""

from __future__ import annotations

from ranvier.datasets import _tables
from ranvier.errors import ShapeError

__all__ = ["load_data"]

#: SHA-256 of the file as Keras distributes it (stated in Keras's own loader).
_SHA256 = "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f"


def load_data(
    version: str = "large",
    path: str = "california_housing.npz",
    test_split: float = 0.2,
    seed: int = 113,
) -> tuple[_tables.Split, _tables.Split]:
    """The block groups in two parts.

    Args:
        version: "large" for all of them, "small" for the first 600.
        path: name of the file inside the cache's ``datasets`` folder, or a full path.
        test_split: the fraction that becomes the second part.
        seed: of the order of the rows.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: floats of shape ``(rows, 8)``, and
        median house values in dollars of shape ``(rows,)``.

    Raises:
        ShapeError: RV100 for another version, or when `test_split` is not within 0 .. 1.
        EnvironmentFault: RV802 when it is not here and cannot be downloaded.
        FileError: RV602 when the file is damaged.

    Example:
        >>> (x_train, _), (x_test, _) = load_data("small")  # doctest: +SKIP
        >>> x_train.shape, x_test.shape  # doctest: +SKIP
        ((480, 8), (120, 8))
    """
    if version not in ("large", "small"):
        raise ShapeError(
            "RV100",
            f"version must be 'large' or 'small', got {version!r}",
            fix="version='large'",
        )
    return _tables.load(
        path,
        ("california_housing.npz", _SHA256),
        "the California housing data",
        columns=8,
        rows=600 if version == "small" else None,
        test_split=test_split,
        seed=seed,
    )
