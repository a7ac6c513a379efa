"""Which elements dropout keeps: random choices, a byte each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ranvier.graph import functions as f
from ranvier.graph.op import case, composite

#: Random words have their lower bits cut off, to this many.
UNIT_BITS = 24


@composite(
    "random_keep",
    cases=[
        case(((4,), 0, 2**31, "uint32"), shape=(3, 7), least=0),
        case(((4,), 0, 2**31, "uint32"), shape=(5, 41), least=5_000_000),
    ],
    tol=0.0,
)
def random_keep(key: Any, shape: Sequence[Any], least: int) -> Any:
    """Where the upper 24 of `random_bits` are at least ``least``, 2**24 at most.

    That is ``uniform >= rate`` for ``least = least_kept(rate)``, as uniform numbers are
    multiples of 2**-24; a byte instead of a number is kept for each element.
    """
    bits = f.random_bits(key, shape)
    return f.right_shift(bits, np.uint32(32 - UNIT_BITS)) >= np.uint32(least)


def least_kept(rate: float) -> int:
    """The least 24 random bits of an element that a dropout of ``rate`` keeps."""
    return math.ceil(float(np.float32(rate)) * 2**UNIT_BITS)


def kept_factor(rate: float) -> float:
    """What a dropout of ``rate`` multiplies the others by, so that sums keep their mean."""
    return 1.0 / (1.0 - rate) if rate < 1 else 0.0
