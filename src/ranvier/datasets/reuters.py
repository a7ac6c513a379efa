"""Reuters: 11,228 newswires of 1987 as lists of word numbers, on 46 topics.

Made from Reuters-21578 (D. Lewis), as Keras distributes it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ranvier.datasets import _places
from ranvier.datasets._npz import read_npz
from ranvier.datasets._words import (
    Words,
    numbers_of,
    rows_of,
    shuffled,
    split_at,
    word_index,
)

__all__ = ["class_names", "get_label_names", "get_word_index", "load_data"]

#: What the labels 0 .. 45 mean.
class_names = (
    "cocoa", "grain", "veg-oil", "earn", "acq", "wheat", "copper", "housing",
    "money-supply", "coffee", "sugar", "trade", "reserves", "ship", "cotton", "carcass",
    "crude", "nat-gas", "cpi", "money-fx", "interest", "gnp", "meal-feed", "alum",
    "oilseed", "gold", "tin", "strategic-metal", "livestock", "retail", "ipi",
    "iron-steel", "rubber", "heat", "jobs", "lei", "bop", "zinc", "orange", "pet-chem",
    "dlr", "gas", "silver", "wpi", "hog", "lead",
)  # fmt: skip

Split = tuple[npt.NDArray[Any], npt.NDArray[Any]]

#: SHA-256 of reuters.npz and MD5 of the word index as Keras distributes them (stated in
#: Keras's own loader, which has no SHA-256 of the second).
_SHA256 = "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916"
_INDEX_MD5 = "4d44cc38712099c9e383dc6e5f11a921"


def load_data(
    path: str = "reuters.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    test_split: float = 0.2,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> tuple[Split, Split]:
    """The newswires with their topics, in two parts.

    Args:
        path: name of the file inside the cache's ``datasets`` folder, or a full path.
        num_words: numbers from here on become `oov_char`; all are kept unless given.
        skip_top: numbers below it become `oov_char`.
        maxlen: newswires of this length or longer are left out.
        test_split: the fraction that becomes the second part.
        seed: of the order of the newswires.
        start_char: marks the beginning of a newswire; None for no mark.
        oov_char: stands for a word that is not kept; None drops such words.
        index_from: is added to the numbers of `get_word_index`.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: arrays of lists of numbers, and labels
        0 .. 45 (see `get_label_names`).

    Raises:
        ShapeError: RV100 when `test_split` is not within 0 .. 1, or `maxlen` leaves no
            newswire.
        EnvironmentFault: RV802 when it is not here and cannot be downloaded.
        FileError: RV602 when the file is damaged or asks for code to be run.

    Example:
        >>> (x_train, y_train), _ = load_data(num_words=10_000)  # doctest: +SKIP
        >>> class_names[y_train[0]]  # doctest: +SKIP
        'earn'
    """
    split_at((), test_split)
    words = Words(num_words, skip_top, maxlen, start_char, oov_char, index_from)
    found = _places.fetched(path, f"{_places.KERAS_URL}reuters.npz", _SHA256)
    x, y = read_npz(found, ("x", "y"), "Reuters")
    order = np.arange(len(x))
    np.random.RandomState(seed).shuffle(order)
    rows, labels = shuffled(numbers_of(x, found, "Reuters"), y, order)
    rows, labels = words.short(words.marked(rows), labels)
    texts, at = rows_of(words.known(rows)), split_at(rows, test_split)
    return (texts[:at], labels[:at]), (texts[at:], labels[at:])


def get_word_index(path: str = "reuters_word_index.json") -> dict[str, int]:
    """The number of each word; `load_data` adds `index_from` to it.

    Args:
        path: name of the file inside the cache's ``datasets`` folder, or a full path.

    Raises:
        EnvironmentFault: RV802 when it is not here and cannot be downloaded.
        FileError: RV602 when the file is damaged.
    """
    url = f"{_places.KERAS_URL}reuters_word_index.json"
    return word_index(_places.fetched(path, url, _INDEX_MD5), "Reuters' word index")


def get_label_names() -> tuple[str, ...]:
    """The names of the 46 topics, in the order of their labels.

    Example:
        >>> get_label_names()[3]
        'earn'
    """
    return class_names
