"""Names in front of the paths of variables."""

from __future__ import annotations

from typing import Any

from ranvier.errors import ShapeError
from ranvier.graph import variable
from ranvier.layers import tracking

__all__ = ["name_scope"]


class name_scope:
    """In this block the paths of new variables begin with a name.

    Args:
        name: without ``/``.
        **kwargs: Keras's: ``caller``, an object, and ``deduplicate=True``: the same
            caller with the same name inside its own block opens no further one;
            ``override_parent``: a path that replaces those of the blocks around.

    Raises:
        ShapeError: RV100 for a name that is no string or has a ``/``.

    Example:
        >>> import ranvier as keras
        >>> with keras.name_scope("encoder"):
        ...     dense = keras.layers.Dense(2, name="first")
        ...     dense.build((None, 3))
        >>> dense.kernel.path
        'encoder/first/kernel'
    """

    def __init__(self, name: str, **kwargs: Any) -> None:
        if not isinstance(name, str) or "/" in name:
            raise ShapeError(
                "RV100",
                f"name_scope takes a name without '/', got {name!r}",
                fix="with name_scope('outer'), name_scope('inner'): ...",
            )
        self.name = name
        self.caller = kwargs.pop("caller", None)
        self.deduplicate = kwargs.pop("deduplicate", True)
        self.override_parent = kwargs.pop("override_parent", None)
        if kwargs:
            raise ShapeError(
                "RV100", f"name_scope has no argument {next(iter(kwargs))!r}"
            )
        self._before: Any = None

    def __enter__(self) -> name_scope:
        context, scopes = tracking.context, variable.scopes
        last = scopes.callers[-1] if scopes.callers else None
        if (
            self.deduplicate
            and self.caller is not None
            and last is not None
            and last[0] is self.caller
            and last[1] == self.name
        ):
            return self
        self._before = context.path, scopes.path, scopes.callers
        outer = scopes.path
        if self.override_parent is not None:
            outer = tuple(part for part in self.override_parent.split("/") if part)
            context.path = outer
        context.path = (*context.path, self.name)
        scopes.path = (*outer, self.name)
        scopes.callers = (*scopes.callers, (self.caller, self.name))
        return self

    def __exit__(self, *_: Any) -> None:
        if self._before is not None:
            (
                tracking.context.path,
                variable.scopes.path,
                variable.scopes.callers,
            ) = self._before
            self._before = None
