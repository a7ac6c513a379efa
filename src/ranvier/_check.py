"""Parameters declared once: the check, the message, and values a test must see refused.

A class writes down what its arguments may be::

    _parameters = {"units": Interval(int, 1, None), "rate": Interval(float, 0, 1)}
    check_parameters("Dense", _parameters, {"units": units, "rate": rate})

The same table gives `bad_values`, from which the contract tests draw.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ranvier.errors import ShapeError, nearest

__all__ = [
    "Constraint",
    "InstanceOf",
    "Interval",
    "OneOf",
    "Optional",
    "ShapeLike",
    "check_parameters",
]


class Constraint(Protocol):
    """What a parameter may be."""

    def accepts(self, value: object) -> bool:
        """Whether `value` is allowed."""

    def describe(self) -> str:
        """What is allowed, in words that follow "must be"."""

    def bad_values(self) -> Sequence[object]:
        """A few values that are not allowed."""


@dataclass(frozen=True)
class Interval:
    """A number of a kind (``int`` or ``float``) between two bounds.

    Args:
        kind: ``int`` or ``float``; an int is a float too, a bool is neither.
        low: lower bound, or None.
        high: upper bound, or None.
        closed: which bounds belong to it: "both", "left", "right" or "neither".
    """

    kind: type[int] | type[float]
    low: float | None = None
    high: float | None = None
    closed: str = "both"

    def accepts(self, value: object) -> bool:
        """Whether `value` is a finite number of this kind within the bounds."""
        wanted = numbers.Integral if self.kind is int else numbers.Real
        # numpy's bool is no numbers.Real; Python's is an Integral, hence the test.
        if isinstance(value, bool) or not isinstance(value, wanted):
            return False
        number = float(value)  # type: ignore[arg-type]
        if not math.isfinite(number):
            return False
        left, right = self.closed in ("both", "left"), self.closed in ("both", "right")
        if self.low is not None and (
            number < self.low or (number == self.low and not left)
        ):
            return False
        return self.high is None or not (
            number > self.high or (number == self.high and not right)
        )

    def describe(self) -> str:
        """For example ``a whole number >= 1``."""
        what = "a whole number" if self.kind is int else "a number"
        bounds = []
        if self.low is not None:
            sign = ">=" if self.closed in ("both", "left") else ">"
            bounds.append(f"{sign} {self.low}")
        if self.high is not None:
            sign = "<=" if self.closed in ("both", "right") else "<"
            bounds.append(f"{sign} {self.high}")
        return " ".join([what, " and ".join(bounds)]).strip()

    def bad_values(self) -> Sequence[object]:
        """Just outside the bounds, and of other types."""
        bad: list[object] = ["one", None, float("nan"), True]
        if self.kind is int:
            bad.append(2.5)
        step = 1 if self.kind is int else 0.5
        if self.low is not None:
            bad.append(self.kind(self.low - step))
        if self.high is not None:
            bad.append(self.kind(self.high + step))
        return bad


@dataclass(frozen=True)
class OneOf:
    """One of a few values."""

    values: tuple[object, ...]

    def __init__(self, *values: object) -> None:
        object.__setattr__(self, "values", values)

    def accepts(self, value: object) -> bool:
        """Whether `value` is one of them, of the same type."""
        return any(type(value) is type(v) and value == v for v in self.values)

    def describe(self) -> str:
        """The values, quoted."""
        return "one of " + ", ".join(map(repr, self.values))

    def bad_values(self) -> Sequence[object]:
        """Values beside them."""
        return ["no such value", -12345, object()]


@dataclass(frozen=True)
class InstanceOf:
    """An instance of one of some types."""

    types: tuple[type, ...]

    def __init__(self, *types: type) -> None:
        object.__setattr__(self, "types", types)

    def accepts(self, value: object) -> bool:
        """Whether `value` has one of the types; a bool counts only as a bool."""
        if isinstance(value, bool):
            return bool in self.types
        return isinstance(value, self.types)

    def describe(self) -> str:
        """The names of the types."""
        return "of type " + " or ".join(t.__name__ for t in self.types)

    def bad_values(self) -> Sequence[object]:
        """Values of other types."""
        return [v for v in (object(), "text", 3, 1.5, True) if not self.accepts(v)]


@dataclass(frozen=True)
class ShapeLike:
    """A shape: a sequence of sizes, ``None`` where a size is free.

    Args:
        allow_none: whether free sizes are allowed.
        minimum: the smallest size.
    """

    allow_none: bool = True
    minimum: int = 0

    def accepts(self, value: object) -> bool:
        """Whether `value` is a sequence of sizes."""
        if isinstance(value, str | bytes) or not isinstance(value, Sequence):
            return False
        size = Interval(int, self.minimum)
        return all(
            (self.allow_none and item is None) or size.accepts(item) for item in value
        )

    def describe(self) -> str:
        """For example ``a shape such as (28, 28)``."""
        free = ", None where free" if self.allow_none else ""
        return f"a shape such as (28, 28), sizes >= {self.minimum}{free}"

    def bad_values(self) -> Sequence[object]:
        """Not sequences, or with sizes that are none."""
        bad: list[object] = ["28", 28, (self.minimum - 1,), (2.5,), ("a",)]
        return bad if self.allow_none else [*bad, (None,)]


@dataclass(frozen=True)
class Optional:
    """None, or what another constraint allows."""

    inner: Constraint

    def accepts(self, value: object) -> bool:
        """Whether `value` is None or allowed."""
        return value is None or self.inner.accepts(value)

    def describe(self) -> str:
        """The inner words, then ``or None``."""
        return f"{self.inner.describe()}, or None"

    def bad_values(self) -> Sequence[object]:
        """Those of the inner constraint, None apart."""
        return [v for v in self.inner.bad_values() if v is not None]


def check_parameters(
    owner: str, table: Mapping[str, Constraint], values: Mapping[str, Any]
) -> None:
    """Checks the values of a call against a table.

    Args:
        owner: the class or function, for the message.
        table: parameter name to constraint.
        values: parameter name to what was given.

    Raises:
        ShapeError: RV100 for a value that is not allowed, RV107 for a parameter that is
            not in the table.

    Example:
        >>> check_parameters("Dropout", {"rate": Interval(float, 0, 1)}, {"rate": 0.5})
    """
    for name, value in values.items():
        if name not in table:
            close = nearest(name, table)
            raise ShapeError(
                "RV107",
                f"{owner} has no parameter {name!r}"
                + (f"; nearest: {close}" if close else ""),
                details="parameters: " + ", ".join(table),
            )
        constraint = table[name]
        if not constraint.accepts(value):
            close = (
                nearest(value, [v for v in constraint.values if isinstance(v, str)])
                if isinstance(constraint, OneOf) and isinstance(value, str)
                else ""
            )
            raise ShapeError(
                "RV100",
                f"{owner}: {name} must be {constraint.describe()}",
                details=f"received {name}={value!r} ({type(value).__name__})",
                fix=f"{name}={close}" if close else "",
            )
