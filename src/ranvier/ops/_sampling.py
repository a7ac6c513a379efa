"""Values between the places of an array: which places are around, and their shares."""

from __future__ import annotations

from typing import Any

from ranvier import ops

#: What lies outside of an array.
FILL_MODES = ("constant", "nearest", "wrap", "mirror", "reflect")


def neighbours(at: Any, size: int, interpolation: str, fill_mode: str) -> Any:
    """For places on an axis: indices inside, whether they were inside, and weights."""
    if interpolation == "nearest":
        # Halves are rounded away from zero.
        whole = ops.floor(ops.abs(at) + 0.5) * ops.sign(at)
        pairs = [(whole, None)]
    else:
        whole = ops.floor(at)
        part = at - whole
        pairs = [(whole, 1.0 - part), (whole + 1.0, part)]
    found = []
    for place, weight in pairs:
        index = ops.cast(place, "int32")
        inside = None
        if fill_mode == "constant":
            inside = ops.logical_and(index >= 0, index < size)
            index = ops.clip(index, 0, size - 1)
        elif fill_mode == "nearest":
            index = ops.clip(index, 0, size - 1)
        elif fill_mode == "wrap":
            index = ops.mod(index, size)
        elif fill_mode == "mirror":
            # A single place has no neighbour to mirror; it stands for all.
            last = max(size - 1, 1)
            index = ops.minimum(abs(ops.mod(index + last, 2 * last) - last), size - 1)
        else:
            index = ops.mod(index, 2 * size)
            index = ops.minimum(index, 2 * size - 1 - index)
        found.append((index, inside, weight))
    return found


__all__ = ["FILL_MODES", "neighbours"]
