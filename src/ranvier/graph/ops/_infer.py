"""Shape and dtype rules shared by the families."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ranvier.errors import ShapeError
from ranvier.graph.ir import Spec


def refuse(name: str, problem: str, specs: Sequence[Spec], fix: str = "") -> ShapeError:
    """The error of an operation whose operands do not fit."""
    shown = ", ".join(map(repr, specs))
    return ShapeError("RV108", f"{name}: {problem}", details=f"got {shown}", fix=fix)


def same(name: str, dtype: str | None = None, kinds: str = "") -> Any:
    """Operands of one shape and dtype; the result too, but for a given dtype.

    Args:
        name: Of the operation, for messages.
        dtype: Of the result, when it is another.
        kinds: ``"float"`` refuses other operands, ``"number"`` refuses truth values.
    """

    def infer(specs: Sequence[Spec], attrs: dict[str, Any]) -> Spec:
        first = specs[0]
        if kinds == "float" and not first.floating:
            raise refuse(name, "needs floats", specs, "ops.cast(x, 'float32')")
        if kinds == "number" and first.dtype == "bool":
            raise refuse(name, "needs numbers", specs, "ops.cast(x, 'int32')")
        for other in specs[1:]:
            if other != first:
                raise refuse(name, "operands need one shape and dtype", specs)
        return Spec(first.shape, dtype or first.dtype)

    return infer


def normal_axis(name: str, axis: int, rank: int) -> int:
    """An axis as a non-negative number.

    Raises:
        ShapeError: RV108, for an axis that the tensor does not have.
    """
    return normal_axes(name, (axis,), rank)[0]


def normal_axes(name: str, axes: Sequence[int], rank: int) -> tuple[int, ...]:
    """Axes as sorted non-negative numbers.

    Raises:
        ShapeError: RV108, for an axis that the tensor does not have.
    """
    found = []
    for axis in axes:
        if not -rank <= axis < rank:
            raise ShapeError(
                "RV108", f"{name}: axis {axis} of a tensor that has {rank} axes"
            )
        found.append(axis % rank)
    if len(set(found)) != len(found):
        raise ShapeError("RV108", f"{name}: an axis is named twice in {tuple(axes)}")
    return tuple(sorted(found))
