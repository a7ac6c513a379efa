"""Boston housing: 506 districts with 13 numbers each, and the median price.

Harrison, Rubinfeld (1978). One column, "B", was made on the assumption that segregation
raises prices; use `california_housing` unless that is the subject.
"""

from __future__ import annotations

from ranvier.datasets import _tables

__all__ = ["load_data"]

#: SHA-256 of the file as Keras distributes it (stated in Keras's own loader).
_SHA256 = "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5"


def load_data(
    path: str = "boston_housing.npz", test_split: float = 0.2, seed: int = 113
) -> tuple[_tables.Split, _tables.Split]:
    """The districts in two parts.

    Args:
        path: name of the file inside the cache's ``datasets`` folder, or a full path.
        test_split: the fraction that becomes the second part.
        seed: of the order of the rows.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: float64 of shape ``(rows, 13)``, and
        prices in thousands of dollars of shape ``(rows,)``.

    Raises:
        ShapeError: RV100 when `test_split` is not within 0 .. 1.
        EnvironmentFault: RV802 when it is not here and cannot be downloaded.
        FileError: RV602 when the file is damaged.

    Example:
        >>> (x_train, y_train), (x_test, y_test) = load_data()  # doctest: +SKIP
        >>> x_train.shape, x_test.shape  # doctest: +SKIP
        ((404, 13), (102, 13))
    """
    return _tables.load(
        path,
        ("boston_housing.npz", _SHA256),
        "the Boston housing data",
        columns=13,
        rows=None,
        test_split=test_split,
        seed=seed,
    )
