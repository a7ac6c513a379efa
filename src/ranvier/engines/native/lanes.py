"""Loops in which workers own rows: a round of a recurrence without a wait.

The rows of a batch do not know of each other. Where each worker takes the same rows in
every step of a round, whatever it reads there is its own; only the weights are common.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ranvier.engines.native.draft import Access
from ranvier.engines.native.values import Moving, View, itemsize

#: Bytes of a weight up to which every worker may read all of it in every round.
COMMON = 1 << 19
#: Rows that a worker has at least: fewer do not fill the tiles of a product.
LEAST = 4


@dataclass(frozen=True)
class Lanes:
    """How rows are shared.

    Attributes:
        rows: Their number.
        workers: Each of them takes as many.
    """

    rows: int
    workers: int

    @property
    def per(self) -> int:
        """Rows of a worker."""
        return self.rows // self.workers

    def fits(self, shape: tuple[int, ...], dims: tuple[int, ...]) -> bool:
        """Whether a program's units, one a worker, are these rows.

        Args:
            shape: What it computes.
            dims: The same, as its kernel walks it: flat in groups of 64.
        """
        if len(shape) != 2 or shape[0] != self.rows:
            return False
        if len(dims) == 1:
            return dims[0] % (64 * self.workers) == 0
        return len(dims) == 2 and dims[0] == self.rows

    def access(self, view: View) -> Access | None:
        """What all workers touch of a matrix, each its own rows.

        Said of the whole array that the view is a part of, and of all rounds, so that
        different parts and rounds of one array are known to be shared alike.

        Returns:
            ``None`` where the rows do not lie one behind the other.
        """
        buffer = view.buffer
        if buffer is None or view.panel or len(view.shape) != 2:
            return None
        (rows, columns), (down, along) = view.shape, view.strides
        if rows != self.rows or along != 1 or down < columns:
            return None
        column = view.offset % down
        if column + columns > down:
            return None
        size = itemsize(view.dtype)
        low, whole = (view.offset - column) * size, rows * down * size
        share = ("lanes", rows, self.workers, down * size)
        if isinstance(buffer, Moving):
            base = buffer.base
            aligned = (buffer.start + low) % whole == 0 and base.nbytes % whole == 0
            if isinstance(base, Moving) or abs(buffer.step) != whole or not aligned:
                return None
            return Access(base, 0, base.nbytes, share)
        if low + whole > buffer.nbytes:
            return None
        return Access(buffer, low, low + whole, share)


def lanes_of(shapes: Iterable[tuple[int, ...]], workers: int) -> Lanes | None:
    """The lanes of a loop that carries values of these shapes, if it has any."""
    found = list(shapes)
    if workers == 1 or not found or any(len(shape) != 2 for shape in found):
        return None
    (rows, _), *rest = found
    if any(shape[0] != rows for shape in rest) or rows % workers:
        return None
    return Lanes(rows, workers) if rows // workers >= LEAST else None
