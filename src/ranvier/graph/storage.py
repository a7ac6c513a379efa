"""Where a variable's numbers lie. The layout belongs to the variable, not to a plan.

An engine may move a variable into a layout of its own (the native engine keeps weights
in column panels); whoever reads the variable always sees the logical tensor.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np


class Storage(Protocol):
    """A layout of one tensor in memory."""

    kind: str

    def read(self) -> np.ndarray[Any, Any]:
        """A copy of the logical tensor."""
        ...

    def write(self, value: np.ndarray[Any, Any]) -> None:
        """Overwrite with a logical tensor of the same shape."""
        ...


class RowMajor:
    """The plain layout: a NumPy array in C order."""

    kind = "row_major"

    def __init__(self, value: np.ndarray[Any, Any]) -> None:
        self.array = value

    def read(self) -> np.ndarray[Any, Any]:
        """A copy of the array."""
        return self.array.copy()

    def write(self, value: np.ndarray[Any, Any]) -> None:
        """Copy ``value`` into the array."""
        self.array[...] = value
