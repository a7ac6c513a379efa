"""Layouts of variables in the native engine: aligned, padded, weights in panels."""

from __future__ import annotations

from typing import Any

import numpy as np

from ranvier.engines.native.values import PANEL, panel_elements
from ranvier.graph.storage import RowMajor, Storage
from ranvier.graph.variable import Variable

Array = np.ndarray[Any, Any]
ALIGN = 64
#: Counts every move of a variable to other memory, so that plans notice cheaply.
moves = 0
#: Kernels may read this far behind the last element.
TAIL = 256


def aligned(count: int, dtype: Any) -> Array:
    """Zeros at a multiple of 64 bytes, with readable bytes behind them."""
    size = count * np.dtype(dtype).itemsize
    raw = np.zeros(size + ALIGN + TAIL, np.uint8)
    start = -raw.ctypes.data % ALIGN
    return raw[start : start + size].view(dtype)


class Aligned(RowMajor):
    """Row-major, aligned and padded for kernels."""

    def __init__(self, value: Array) -> None:
        flat = aligned(value.size, value.dtype)
        flat[...] = value.reshape(-1)
        self.flat = flat
        super().__init__(flat.reshape(value.shape))

    def __reduce__(self) -> Any:
        # A copy is plain: whoever runs it next moves it again.
        return RowMajor, (self.read(),)


class Panels:
    """A float32 weight ``[K, N]`` in panels of 64 columns (see docs/architecture.md)."""

    kind = "panels"

    def __init__(self, value: Array) -> None:
        self.shape = value.shape
        self.flat = aligned(panel_elements(*value.shape), value.dtype)
        self.write(value)

    def __reduce__(self) -> Any:
        return RowMajor, (self.read(),)

    def _pieces(self) -> list[tuple[Array, slice]]:
        rows, columns = self.shape
        found, at = [], 0
        for first in range(0, columns, PANEL):
            width = min(PANEL, columns - first)
            padded = min(PANEL, -(-width // 16) * 16)
            panel = self.flat[at : at + rows * padded].reshape(rows, padded)
            found.append((panel[:, :width], slice(first, first + width)))
            at += rows * padded
        return found

    def read(self) -> Array:
        """The logical tensor."""
        value = np.empty(self.shape, self.flat.dtype)
        for panel, columns in self._pieces():
            value[:, columns] = panel
        return value

    def write(self, value: Array) -> None:
        """Overwrite; padding stays zero."""
        for panel, columns in self._pieces():
            panel[...] = value[:, columns]


def adopt(variable: Variable, panels: bool) -> None:
    """Move a variable into native memory, once.

    Args:
        variable: The variable.
        panels: Whether it should lie in column panels. A variable that lies in panels
            already stays there.
    """
    storage = variable.storage
    if isinstance(storage, Panels):
        return
    if panels:
        move(variable, Panels(storage.read()))
    elif not isinstance(storage, Aligned):
        move(variable, Aligned(storage.read()))


def move(variable: Variable, storage: Storage) -> None:
    """Give a variable other memory."""
    global moves
    variable.storage = storage
    moves += 1
