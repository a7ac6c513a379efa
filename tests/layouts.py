"""Weights in column panels and streams of random words, for tests of the core."""

from __future__ import annotations

from typing import Any

import numpy as np

from ranvier.engines.native.storage import Panels
from ranvier.engines.native.values import panel_elements as panel_size
from ranvier.graph.ops.random import random_bits_reference

__all__ = ["from_panels", "panel_size", "philox_words", "to_panels"]

Array = np.ndarray[Any, Any]


def to_panels(weight: Array) -> Array:
    """A ``[K, N]`` array as one vector of column panels."""
    return Panels(weight).flat


def from_panels(panels: Array, rows: int, columns: int) -> Array:
    """The ``[rows, columns]`` array behind a vector of column panels."""
    storage = Panels(np.zeros((rows, columns), panels.dtype))
    storage.flat[...] = panels
    return storage.read()


def philox_words(
    seed: int, stream: int, step: int, count: int, first: int = 0
) -> Array:
    """Words ``first … first + count`` of a stream of a seed at a step."""
    key = [seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF, step, stream]
    words = random_bits_reference(np.asarray(key, np.uint32), (first + count,))
    return words[first:]
