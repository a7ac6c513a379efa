"""Tables of numbers with a target: what the two housing loaders share."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ranvier.datasets import _places
from ranvier.datasets._npz import damaged, read_npz
from ranvier.datasets._words import split_at

__all__ = ["Split", "load"]

Split = tuple[npt.NDArray[Any], npt.NDArray[Any]]


def load(
    path: str,
    file: tuple[str, str],
    title: str,
    *,
    columns: int,
    rows: int | None,
    test_split: float,
    seed: int,
) -> tuple[Split, Split]:
    """Reads, shuffles and splits ``x`` and ``y`` of an .npz file.

    Args:
        path: name in the cache, or full path.
        file: its name where Keras keeps it, and its SHA-256.
        title: what it is, for messages.
        columns: how many `x` has.
        rows: only so many of the first; None for all.
        test_split: the fraction of the second part.
        seed: of the order.
    """
    split_at((), test_split)
    found = _places.fetched(path, _places.KERAS_URL + file[0], file[1])
    x, y = read_npz(found, ("x", "y"), title)
    if x.dtype.kind != "f" or y.dtype.kind not in "fiu" or x.shape[1:] != (columns,):
        raise damaged(
            found, title, f"{x.dtype} {x.shape}, expected {columns} columns of floats"
        )
    x, y = x[:rows], y[:rows]
    order = np.arange(len(x))
    np.random.RandomState(seed).shuffle(order)
    x, y, at = x[order], y[order], split_at(x, test_split)
    return (x[:at], y[:at]), (x[at:], y[at:])
