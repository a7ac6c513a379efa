"""Which classes and functions a model file may name: a closed table, and the user's own.

Nothing is imported by a name that stands in a file. Besides the table, a file may name
what the caller passes as `custom_objects`, or what the program itself registered.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from ranvier.errors import ShapeError

__all__ = [
    "builtin_function",
    "builtins",
    "custom_object_scope",
    "customs",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "public_name",
    "register_keras_serializable",
]

Thing = TypeVar("Thing")

#: Modules under which Keras's files name the sequential model.
_SEQUENTIAL = ("keras", "keras.models", "keras.src.models.sequential")

_registered: dict[str, Any] = {}
_names: dict[Any, str] = {}
_scope: ContextVar[Mapping[str, Any] | None] = ContextVar(
    "custom_objects", default=None
)


@functools.cache
def builtins() -> dict[tuple[str, str], type]:
    """The classes that a file may name, by module and class name."""
    from ranvier import (
        constraints,
        initializers,
        layers,
        losses,
        metrics,
        optimizers,
        regularizers,
    )
    from ranvier.models.sequential import Sequential
    from ranvier.optimizers import schedules

    found: dict[tuple[str, str], type] = {
        (m, "Sequential"): Sequential for m in _SEQUENTIAL
    }
    for name in layers.__all__:
        member = getattr(layers, name)
        if inspect.isclass(member) and issubclass(member, layers.Layer):
            found["keras.layers", name] = member
    del found["keras.layers", "Layer"]
    families = (
        ("keras.initializers", initializers._NAMES),
        ("keras.regularizers", regularizers._NAMES),
        ("keras.constraints", constraints._NAMES),
        ("keras.optimizers", optimizers._NAMES),
        ("keras.optimizers.schedules", schedules._NAMES),
        ("keras.losses", losses._LOOKUP),
        ("keras.metrics", metrics._LOOKUP),
    )
    for module, lookup in families:
        for name, member in lookup.names.items():
            # Keras writes class names only; "adam" or "mse" are for people.
            if inspect.isclass(member) and name[0].isupper() and not _is_base(name):
                found[module, name] = member
    return found


def _is_base(name: str) -> bool:
    return name in ("Loss", "Metric", "LossFunctionWrapper")


@functools.cache
def _public_names() -> dict[type, tuple[str, str]]:
    found: dict[type, tuple[str, str]] = {}
    for (module, name), cls in builtins().items():
        # An alias must not take the place of the class's own name.
        if cls not in found or (cls.__name__ == name and found[cls][1] != name):
            found[cls] = module, name
    return found


def public_name(cls: type) -> tuple[str, str] | None:
    """Keras's module and name of a class of the table; `None` for any other."""
    return _public_names().get(cls)


def builtin_function(name: str) -> Any:
    """The activation, loss or metric function of that name; `None` if there is none."""
    from ranvier import activations, losses, metrics

    for lookup in (activations._LOOKUP, losses._LOOKUP, metrics._LOOKUP):
        found = lookup.names.get(name)
        if inspect.isfunction(found):
            return found
    return None


# -- the user's own ------------------------------------------------------------------


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


def customs(custom_objects: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """All names of the user's own: registered, in scope, and these."""
    return {**_registered, **(_scope.get() or {}), **(custom_objects or {})}
