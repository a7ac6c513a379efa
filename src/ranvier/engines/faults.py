"""What an engine found wrong in a step, told in the user's terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ranvier.engines.api import Fault
from ranvier.errors import DataError, NumericsError, RanvierError

_WORDS = {"x": "x", "y": "y", "w": "sample_weight"}


def not_finite(
    arrays: Mapping[str, Any], names: Sequence[str], rows: Any = None
) -> Fault | None:
    """RV204 for the first value of these inputs that is NaN or infinite, if there is one.

    Args:
        arrays: A batch, by input name.
        names: Which of them to look at.
        rows: Where the batch's rows lie in the data: a slice or row numbers; by default
            the batch is all there is.
    """
    for name in names:
        array = arrays[name]
        if array.dtype.kind != "f" or np.isfinite(array).all():
            continue
        flat = array.reshape(len(array), -1)
        row, column = (int(i) for i in np.argwhere(~np.isfinite(flat))[0])
        at = row
        if isinstance(rows, slice):
            at += rows.start
        elif rows is not None:
            at = int(rows[row])
        return Fault("RV204", name, at, column, float(flat[row, column]))
    return None


def error_of(
    fault: Fault, arrays: Mapping[str, Any], units: int | None = None
) -> RanvierError:
    """The exception for a fault; it keeps the fault, for callers that know more.

    Args:
        fault: what the engine reported.
        arrays: the arrays by input name.
        units: classes of the output, where known.
    """
    error = _error(fault, arrays, units)
    error.fault = fault
    return error


def _error(fault: Fault, arrays: Mapping[str, Any], units: int | None) -> RanvierError:
    label = _label(fault.input)
    if fault.code == "RV204":
        array = arrays.get(fault.input)
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
        return _label_error(fault, arrays, units)
    if fault.code == "RV111":
        return DataError(
            "RV111",
            f"an index is out of range: {fault.value:g}"
            + (f" in {label}, row {fault.row:,}" if label and fault.row >= 0 else ""),
            details="; ".join(f"{k}: {v}" for k, v in fault.details.items()),
        )
    if fault.code == "RV301":
        name = "the loss" if fault.input in ("", "loss") else fault.input
        return NumericsError(
            "RV301",
            f"{name} became {fault.value:g}",
            details="nothing of that step was written; the weights are those before it",
            fix="a smaller learning rate, scaled inputs",
        )
    return NumericsError(fault.code, "the step failed")


def _label(name: str) -> str:
    """The user's word for an input of a step: ``y1`` is ``y[1]``."""
    number = name[1:]
    return _WORDS.get(name[:1], name) + (f"[{number}]" if number else "")


def _label_error(
    fault: Fault, arrays: Mapping[str, Any], units: int | None
) -> RanvierError:
    """RV105, with the label and its row, found again in the data if need be."""
    value, row, name = fault.value, fault.row, fault.input
    inner = fault.details.get("error")
    if row < 0 and units:
        found = _search(arrays, units)
        if found is not None:
            name, row, value = found
    if row < 0:
        return inner or DataError("RV105", "a label is out of range")
    label = (_label(name) or "y") + str(fault.details.get("what", ""))
    count = units or int(fault.details.get("high", 0)) or None
    if name.startswith("x"):
        return DataError(
            "RV105",
            f"{label} holds {value:g} in row {row:,}, outside the range of an embedding",
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
