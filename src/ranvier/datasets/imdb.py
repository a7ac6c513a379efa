"""IMDB: 50,000 film reviews as lists of word numbers, good or bad.

Maas, Daly, Pham, Huang, Ng, Potts (2011), https://ai.stanford.edu/~amaas/data/sentiment/.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ranvier.datasets import _places
from ranvier.datasets._npz import read_npz
from ranvier.datasets._words import Words, numbers_of, rows_of, shuffled, word_index
from ranvier.errors import ShapeError

__all__ = ["class_names", "get_word_index", "load_data"]

#: What the labels 0 and 1 mean.
class_names = ("negative", "positive")

Split = tuple[npt.NDArray[Any], npt.NDArray[Any]]

#: SHA-256 of imdb.npz and MD5 of the word index as Keras distributes them (stated in
#: Keras's own loader, which has no SHA-256 of the second).
_SHA256 = "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f"
_INDEX_MD5 = "bfafd718b763782e994055a2d397834f"


def load_data(
    path: str = "imdb.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
    **kwargs: Any,
) -> tuple[Split, Split]:
    """The 25,000 training and 25,000 test reviews with their labels.

    Words are numbered by how frequent they are, so that ``num_words=10_000`` keeps the
    most frequent ones. 0 stands for no word: it is for padding.

    Args:
        path: name of the file inside the cache's ``datasets`` folder, or a full path.
        num_words: numbers from here on become `oov_char`; all are kept unless given.
        skip_top: numbers below it become `oov_char`.
        maxlen: reviews of this length or longer are left out.
        seed: of the order of the reviews.
        start_char: marks the beginning of a review; None for no mark.
        oov_char: stands for a word that is not kept; None drops such words.
        index_from: is added to the numbers of `get_word_index`.
        **kwargs: none is known.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: arrays of lists of numbers, and labels
        0 (negative) or 1 (positive).

    Raises:
        ShapeError: RV100 for an unknown argument, or when `maxlen` leaves no review.
        EnvironmentFault: RV802 when it is not here and cannot be downloaded.
        FileError: RV602 when the file is damaged or asks for code to be run.

    Example:
        >>> (x_train, y_train), _ = load_data(num_words=10_000)  # doctest: +SKIP
        >>> x_train[0][:5]  # doctest: +SKIP
        [1, 14, 22, 16, 43]
    """
    if kwargs:
        raise ShapeError("RV100", f"imdb.load_data: unknown {', '.join(kwargs)}")
    words = Words(num_words, skip_top, maxlen, start_char, oov_char, index_from)
    found = _places.fetched(path, f"{_places.KERAS_URL}imdb.npz", _SHA256)
    names = ("x_train", "y_train", "x_test", "y_test")
    arrays = read_npz(found, names, "IMDB")
    random = np.random.RandomState(seed)
    halves = []
    for x, y in (arrays[:2], arrays[2:]):
        order = np.arange(len(x))
        random.shuffle(order)
        rows, labels = shuffled(numbers_of(x, found, "IMDB"), y, order)
        halves.append(words.short(words.marked(rows), labels))
    (train, y_train), (test, y_test) = halves
    # The largest number of both halves ends the vocabulary.
    rows = words.known(train + test)
    x_train, x_test = rows_of(rows[: len(train)]), rows_of(rows[len(train) :])
    return (x_train, y_train), (x_test, y_test)


def get_word_index(path: str = "imdb_word_index.json") -> dict[str, int]:
    """The number of each word; `load_data` adds `index_from` to it.

    Args:
        path: name of the file inside the cache's ``datasets`` folder, or a full path.

    Raises:
        EnvironmentFault: RV802 when it is not here and cannot be downloaded.
        FileError: RV602 when the file is damaged.

    Example:
        >>> words = {n + 3: word for word, n in get_word_index().items()}  # doctest: +SKIP
        >>> " ".join(words.get(n, "?") for n in x_train[0][:5])  # doctest: +SKIP
        '? this film was just'
    """
    url = f"{_places.KERAS_URL}imdb_word_index.json"
    return word_index(_places.fetched(path, url, _INDEX_MD5), "IMDB's word index")
