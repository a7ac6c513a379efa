"""Sizes along spatial axes, and the order of axes, as layers of images take them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ranvier import config
from ranvier._check import Interval, OneOf, check_parameters
from ranvier.errors import ShapeError

_FORMATS = {"data_format": OneOf("channels_last", "channels_first")}


def whole_numbers(
    owner: str, name: str, value: Any, count: int, minimum: int = 1
) -> tuple[int, ...]:
    """One whole number for each of `count` axes; a single one stands for all.

    Raises:
        ShapeError: RV100 for another count, or for what is no number >= `minimum`.
    """
    many = (value,) * count if not isinstance(value, Sequence) else tuple(value)
    allowed = Interval(int, minimum)
    if (
        isinstance(value, str)
        or len(many) != count
        or not all(allowed.accepts(item) for item in many)
    ):
        raise ShapeError(
            "RV100",
            f"{owner}: {name} must be a whole number >= {minimum}, or {count} of them",
            details=f"received {name}={value!r}",
            fix=f"{name}={(max(minimum, 1),) * count}",
        )
    return tuple(int(item) for item in many)


def edges(owner: str, name: str, value: Any, count: int) -> tuple[tuple[int, int], ...]:
    """How much before and after, for each of `count` axes.

    Args:
        owner: the layer, for the message.
        name: the argument.
        value: one number for all edges, a number for each axis, or a pair for each.
        count: how many axes.

    Raises:
        ShapeError: RV100 for anything else, or for a negative number.
    """
    allowed = Interval(int, 0)
    entries = (value,) * count if not isinstance(value, Sequence) else tuple(value)
    pairs = [
        tuple(e) if isinstance(e, Sequence) and not isinstance(e, str) else (e, e)
        for e in entries
    ]
    if (
        isinstance(value, str)
        or len(pairs) != count
        or any(len(pair) != 2 for pair in pairs)
        or not all(allowed.accepts(item) for pair in pairs for item in pair)
    ):
        raise ShapeError(
            "RV100",
            f"{owner}: {name} must be a whole number >= 0, one for each of {count} "
            "axes, or a pair (before, after) for each",
            details=f"received {name}={value!r}",
            fix=f"{name}={((1, 1),) * count}",
        )
    return tuple((int(before), int(after)) for before, after in pairs)


def data_format_of(owner: str, value: Any) -> str:
    """`"channels_last"` or `"channels_first"`; the configured one for `None`.

    Raises:
        ShapeError: RV100 for another name.
    """
    found = config.image_data_format() if value is None else value
    check_parameters(owner, _FORMATS, {"data_format": found})
    return str(found)


def spatial_axes(data_format: str, count: int) -> tuple[int, ...]:
    """Where the spatial axes stand."""
    first = 2 if data_format == "channels_first" else 1
    return tuple(range(first, first + count))


__all__ = ["data_format_of", "edges", "spatial_axes", "whole_numbers"]
