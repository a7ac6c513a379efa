"""Sums over a long batch, made in parts that the shape tells, whatever the workers are.

A sum is a chain in a fixed order, so it cannot be shared out among workers as they come.
Where it is long and its results few, it is cut into parts, each a chain of its own, and
one more step adds what these have come to. Workers then read rows of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ranvier.engines.native.draft import Draft, access
from ranvier.engines.native.programs import place
from ranvier.engines.native.values import PANEL, View, dtype_number
from ranvier.graph.ir import Node

if TYPE_CHECKING:
    from ranvier.engines.native.lowering import Lowering

#: The most parts.
MOST_PARTS = 8
#: Positions of a part of a convolution's kernel gradient, rows of one of a product's: so
#: many are worth the addition of its results.
POSITIONS, ROWS = 1536, 512
#: The most results of a product, and of a sum down columns, that are made in parts.
MOST_RESULTS, MOST_COLUMNS = 1 << 15, PANEL


def _power(most: int) -> int:
    """The largest power of two up to ``most`` and `MOST_PARTS`."""
    return 1 << max(1, min(most, MOST_PARTS)).bit_length() - 1


def kernel_parts(rows: int, positions: int) -> int:
    """Parts of a batch for the gradient of a convolution's kernel.

    Args:
        rows: Of the batch.
        positions: Of one of them.
    """
    return _power(min(rows, rows * positions // POSITIONS))


def product_parts(rows: int, columns: int, depth: int) -> int:
    """Parts of the contraction of a weight gradient ``[rows, columns]``."""
    if columns % 16 or rows * columns > MOST_RESULTS:
        return 1
    return _power(depth // ROWS)


def column_parts(rows: int, columns: int) -> int:
    """Parts of equal length for sums down columns."""
    found = _power(rows // ROWS) if columns <= MOST_COLUMNS else 1
    while rows % found:
        found //= 2
    return found


def sum_step(
    node: Node, x: View, form: tuple[int, int, int], to: View, units: int
) -> Draft:
    """The sum over the middle one of three axes, always in the same order."""
    code = dtype_number(to.dtype)
    return Draft(
        "reduce",
        [place(x), place(to)],
        [*form, code, code, 0, 0],
        units=max(1, min(units, 64)),
        reads=[access(x)],
        writes=[access(to)],
        cost=15 + x.size * 0.1,
        label=node.origins[0].layer if node.origins else "",
    )


def join_parts(low: Lowering, node: Node, parts: View, to: View) -> None:
    """Add the step that sums ``[parts, *shape]`` to ``[*shape]``."""
    count = parts.shape[0]
    size = parts.size // count
    form = (1, count, size)
    low.steps.append(sum_step(node, parts, form, to, -(-size // PANEL)))
