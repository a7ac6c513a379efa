"""What an engine found in the data, told in the user's terms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ranvier.engines.api import Fault
from ranvier.errors import DataError, NumericsError, RanvierError

_WORDS = {"x": "x", "y": "y", "w": "sample_weight"}


def error_of(
    fault: Fault, arrays: Mapping[str, Any], units: int | None
) -> RanvierError:
    """The exception for a fault.

    Args:
        fault: what the engine reported.
        arrays: the arrays by input name.
        units: classes of the output, where known.
    """
    name = fault.input
    number = name[1:] if name else ""
    label = _WORDS.get(name[:1], name) + (f"[{number}]" if number else "")
    if fault.code == "RV204":
        array = arrays.get(name)
        column = "" if array is None or array.ndim < 2 else f", column {fault.column}"
        return DataError(
            "RV204",
            f"{label} has a value that is not finite: {fault.value} in row "
            f"{fault.row:,}{column}",
            details="nothing of its batch was trained on; the weights are those before",
            fix=f"drop or fill such rows (np.isfinite({label})), or pass allow_nan=True "
            "if they are meant",
        )
    if fault.code == "RV105":
        return label_error(fault, arrays, units)
    if fault.code == "RV111":
        return DataError(
            "RV111",
            f"an index is out of range: {fault.value:g}"
            + (f" in {label}, row {fault.row:,}" if fault.row >= 0 else ""),
            details="; ".join(f"{k}: {v}" for k, v in fault.details.items()),
        )
    return NumericsError(
        fault.code,
        "the loss is not finite" if fault.code == "RV301" else "the step failed",
        details="nothing of that step was written; the weights are those before it",
        fix="a smaller learning rate, scaled inputs",
    )


def label_error(
    fault: Fault, arrays: Mapping[str, Any], units: int | None
) -> RanvierError:
    """RV105, with the label and its row, found again in the data if need be."""
    value, row, name = fault.value, fault.row, fault.input
    inner = fault.details.get("error")
    if row < 0 and units:
        found = _search(arrays, units)
        if found is not None:
            name, row, value = found
    elif inner is not None and row < 0:
        return inner
    if row < 0:
        return (
            inner
            if inner is not None
            else DataError("RV105", "a label is out of range")
        )
    label = _WORDS.get(name[:1], name) or "y"
    count = units or int(fault.details.get("high", 0)) or None
    if name.startswith("x"):
        return DataError(
            "RV105",
            f"x holds {value:g} in row {row:,}, outside the range of an embedding",
            fix="Embedding(input_dim) must be larger than the largest number",
        )
    fix = "whole numbers from 0 on"
    if count:
        fix = f"Dense({int(value) + 1})" if value >= count else "labels from 0 on"
        if value == count:
            fix += ", or subtract 1 if labels start at 1"
    return DataError(
        "RV105",
        f"label {value:g} found in {label}, row {row:,}"
        + (f"; the output has {count} units (0..{count - 1})" if count else ""),
        details="checked before anything was written: the weights are those before",
        fix=fix,
    )


def _search(arrays: Mapping[str, Any], units: int) -> tuple[str, int, float] | None:
    for name, array in arrays.items():
        if name.startswith("y"):
            flat = np.asarray(array).reshape(len(array), -1)
            bad = (flat < 0) | (flat >= units) | ~np.isfinite(flat)
            if bad.any():
                row = int(bad.any(axis=1).argmax())
                return name, row, float(flat[row][bad[row].argmax()])
    return None
