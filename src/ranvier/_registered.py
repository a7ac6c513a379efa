"""Classes and functions of the user's own that files and names may mean."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from ranvier.errors import ShapeError

Thing = TypeVar("Thing")

_registered: dict[str, Any] = {}
_names: dict[Any, str] = {}
_scope: ContextVar[Mapping[str, Any] | None] = ContextVar(
    "custom_objects", default=None
)


def register_keras_serializable(
    package: str = "Custom", name: str | None = None
) -> Callable[[Thing], Thing]:
    """Lets model files name a class or function of one's own, as ``package>name``.

    Args:
        package: the first part of the name.
        name: the second part; the object's own name by default.

    Raises:
        ShapeError: RV100 for a class without `get_config`.

    Example:
        >>> @register_keras_serializable("mine")
        ... def double(x):
        ...     return 2 * x
        >>> get_registered_name(double)
        'mine>double'
    """

    def register(thing: Thing) -> Thing:
        own = name or getattr(thing, "__name__", type(thing).__name__)
        if inspect.isclass(thing) and not hasattr(thing, "get_config"):
            raise ShapeError(
                "RV100",
                f"{own} cannot be registered: it has no get_config()",
                fix="def get_config(self): return {the constructor's arguments}",
            )
        full = f"{package}>{own}"
        _registered[full] = thing
        _names[thing] = full
        return thing

    return register


def get_registered_name(obj: Any) -> str:
    """The name an object was registered under, else its own."""
    try:
        found = _names.get(obj)
    except TypeError:  # not hashable, hence not registered
        found = None
    return found or str(getattr(obj, "__name__", type(obj).__name__))


def get_registered_object(
    name: str,
    custom_objects: Mapping[str, Any] | None = None,
    module_objects: Mapping[str, Any] | None = None,
) -> Any:
    """The object registered under a name, or found in these tables; else `None`."""
    return {**(module_objects or {}), **customs(custom_objects)}.get(name)


def get_custom_objects() -> dict[str, Any]:
    """The table of registered objects itself; what is put in is known to all loads."""
    return _registered


@contextmanager
def custom_object_scope(custom_objects: Mapping[str, Any] | None) -> Iterator[None]:
    """Inside the block, loading knows these objects.

    Example:
        >>> with custom_object_scope({"double": len}):
        ...     customs()["double"]
        <built-in function len>
    """
    token = _scope.set({**(_scope.get() or {}), **(custom_objects or {})})
    try:
        yield
    finally:
        _scope.reset(token)


#: Keras's other name of it.
CustomObjectScope = custom_object_scope


def customs(custom_objects: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """All names of the user's own: registered, in scope, and these."""
    return {**_registered, **(_scope.get() or {}), **(custom_objects or {})}
