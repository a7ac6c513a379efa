"""Texts as lists of word numbers: what IMDB's and Reuters' loaders share."""

from __future__ import annotations

import json
import math
from collections.abc import Sized
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ranvier.datasets._npz import damaged
from ranvier.errors import ShapeError

__all__ = ["Words", "numbers_of", "rows_of", "shuffled", "word_index"]

Rows = list[list[int]]
Labels = npt.NDArray[Any]


@dataclass(frozen=True)
class Words:
    """Which words are kept, and the numbers that stand for none.

    Attributes:
        num_words: numbers from here on count as unknown; None keeps all.
        skip_top: numbers below it count as unknown.
        maxlen: texts of this length or longer are left out; None keeps all.
        start_char: put before each text; None puts nothing.
        oov_char: put in place of an unknown word; None drops it.
        index_from: added to every word's number.
    """

    num_words: int | None
    skip_top: int
    maxlen: int | None
    start_char: int | None
    oov_char: int | None
    index_from: int

    def marked(self, rows: Rows) -> Rows:
        """With their beginning marked and their words moved up."""
        move = self.index_from or 0
        head = [] if self.start_char is None else [self.start_char]
        return [[*head, *(word + move for word in row)] for row in rows]

    def short(self, rows: Rows, labels: Labels) -> tuple[Rows, Labels]:
        """Those shorter than `maxlen`."""
        if not self.maxlen:
            return rows, labels
        kept = [i for i, row in enumerate(rows) if len(row) < self.maxlen]
        if not kept:
            raise ShapeError(
                "RV100",
                f"no text is shorter than maxlen={self.maxlen}",
                details=f"the shortest has {min(map(len, rows), default=0)} words",
                fix="a larger maxlen",
            )
        return [rows[i] for i in kept], labels[kept]

    def known(self, rows: Rows) -> Rows:
        """With `oov_char` for the words outside `skip_top` and `num_words`."""
        # As in Keras, "all words" leaves the last one out.
        end = self.num_words or max((max(row, default=0) for row in rows), default=0)
        if self.oov_char is None:
            return [[w for w in row if self.skip_top <= w < end] for row in rows]
        unknown = self.oov_char
        return [
            [w if self.skip_top <= w < end else unknown for w in row] for row in rows
        ]


def numbers_of(array: npt.NDArray[Any], path: Path, title: str) -> Rows:
    """The texts of an array of lists, with every word looked at."""
    if array.dtype.kind != "O" or array.ndim != 1:
        raise damaged(path, title, f"{array.dtype} of {array.shape}, expected lists")
    rows = []
    for index, row in enumerate(array.tolist()):
        words = row.tolist() if isinstance(row, np.ndarray) else row
        if not isinstance(words, list) or not all(
            isinstance(word, Integral) and not isinstance(word, bool) for word in words
        ):
            raise damaged(path, title, f"text {index} is no list of numbers")
        rows.append(words)
    return rows


def shuffled(rows: Rows, labels: Labels, order: Any) -> tuple[Rows, Labels]:
    """Texts and labels in this order."""
    return [rows[i] for i in order], labels[order]


def rows_of(rows: Rows) -> npt.NDArray[Any]:
    """An array of lists, also where all have one length."""
    out = np.empty(len(rows), object)
    out[:] = rows
    return out


def word_index(path: Path, title: str) -> dict[str, int]:
    """The numbers of words in a JSON file."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as fault:
        raise damaged(path, title, str(fault)) from fault
    if not isinstance(found, dict) or not all(
        isinstance(number, int) for number in found.values()
    ):
        raise damaged(path, title, "it is no table of words and numbers")
    return found


def split_at(rows: Sized, test_split: float) -> int:
    """Where the test rows begin: Keras's rounding."""
    if not isinstance(test_split, (int, float)) or not 0 <= test_split < 1:
        raise ShapeError(
            "RV100",
            f"test_split={test_split!r} must be at least 0 and below 1",
            fix="test_split=0.2",
        )
    return math.floor(len(rows) * (1 - test_split))
