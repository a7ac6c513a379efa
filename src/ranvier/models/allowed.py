"""Which classes and functions a model file may name: a closed table, and the user's own.

Nothing is imported by a name that stands in a file. Besides the table, a file may name
what the caller passes as `custom_objects`, or what the program itself registered.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any

from ranvier._registered import (
    custom_object_scope,
    customs,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)

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

#: Modules under which Keras's files name the sequential model.
_SEQUENTIAL = ("keras", "keras.models", "keras.src.models.sequential")
#: … and the functional one, which its files name by where it is.
_FUNCTIONAL = ("keras.src.models.functional", "keras", "keras.models")


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
    from ranvier.models.functional import Functional
    from ranvier.models.sequential import Sequential
    from ranvier.optimizers import schedules

    found: dict[tuple[str, str], type] = {
        (m, "Sequential"): Sequential for m in _SEQUENTIAL
    }
    found |= {(m, "Functional"): Functional for m in _FUNCTIONAL}
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
