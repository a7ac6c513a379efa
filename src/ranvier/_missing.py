"""What is said when a module of Keras is asked for a part that is not here."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable
from typing import Any

from ranvier.errors import EnvironmentFault, nearest


class MissingPart(EnvironmentFault, AttributeError):
    """RV806, also an AttributeError: a part of Keras or TensorFlow that is not here."""


def missing(module: str, names: Callable[[], Iterable[str]]) -> Callable[[str], Any]:
    """A module's ``__getattr__`` for names it does not have.

    Args:
        module: its name, as ``ranvier.layers``.
        names: gives the public names it has.

    Example:
        >>> from ranvier import layers
        >>> try:
        ...     layers.Dens
        ... except AttributeError as fault:
        ...     print(fault.fix)
        'Dense'
    """

    def getattr(name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        known = list(names())
        raise MissingPart(
            "RV806",
            f"module {module!r} has no attribute {name!r}",
            details=textwrap.fill("there are: " + ", ".join(known), 84)
            if len(known) <= 40
            else "",
            fix=nearest(name, known),
        )

    return getattr


__all__ = ["MissingPart", "missing"]
