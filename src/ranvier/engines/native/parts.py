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


def reduce_step(
    node: Node,
    form: tuple[int, int, int],
    dtype: str,
    to: View,
    *,
    operation: int = 0,
    x: View | None = None,
) -> Draft:
    """A reduction over the middle one of three axes, always in the same order.

    Args:
        node: What it is for.
        form: Sizes of the axes.
        dtype: Of what is reduced.
        to: Where the result goes.
        operation: Number of the operation in the kernel; 0 is the sum.
        x: What is reduced, unless a program computes it.
    """
    outer, n, inner = form
    units = outer if inner == 1 else outer * -(-inner // PANEL)
    return Draft(
        "reduce",
        [None if x is None else place(x), place(to)],
        [*form, dtype_number(dtype), dtype_number(to.dtype), operation, 0],
        units=max(1, min(units, 64)),
        reads=[] if x is None else [access(x)],
        writes=[access(to)],
        cost=15 + outer * n * inner * 0.1,
        label=node.layer,
    )


def join_parts(low: Lowering, node: Node, parts: View, to: View) -> None:
    """Add the step that sums ``[parts, *shape]`` to ``[*shape]``."""
    form = (1, parts.shape[0], parts.size // parts.shape[0])
    low.steps.append(reduce_step(node, form, parts.dtype, to, x=parts))
