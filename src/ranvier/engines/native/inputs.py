"""Rows of the data set become a batch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ranvier.engines.native.draft import Access, Draft, access
from ranvier.engines.native.programs import place
from ranvier.engines.native.values import Buffer, View, dtype_number

if TYPE_CHECKING:
    from ranvier.engines.native.lowering import Lowering


def gather_input(low: Lowering, name: str, slot: Buffer, to: View) -> None:
    """Rows of the data set become the batch, converted on the way."""
    source = low.sources[name]
    rows = to.shape[0] if to.shape else 1
    elements = math.prod(to.shape[1:])
    shape, strides = source.row_shape, source.row_strides
    dims = [0] * 23
    dims[0], dims[1] = rows, elements
    dims[2], dims[3] = dtype_number(source.dtype), dtype_number(to.dtype)
    dims[4] = source.row_bytes
    dims[5] = len(shape)
    dims[6] = (1 if name in low.checked else 0) | (
        16 if to.columns else 32 if to.panel else 0
    )
    dims[7] = slot.slot
    dims[11 : 11 + len(shape)] = shape
    dims[17 : 17 + len(shape)] = strides
    draft = Draft(
        "gather",
        [(slot, 0), place(to)],
        dims,
        units=max(rows, 1),
        reads=[Access(slot, 0, 1)],
        writes=[access(to, None if to.columns else ("rows", rows, 1))],
        cost=20.0 + rows * (8 + elements * 0.12),
        checks=bool(dims[6] & 1),
        label=name,
    )
    if to.size:
        low.steps.append(draft)
        assert to.buffer is not None
        low.gathers[to.buffer] = draft
