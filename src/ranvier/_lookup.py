"""Functions and classes by name: `get`, `serialize`, `deserialize` of one family.

Losses, metrics and activations mix plain functions with classes; their `Lookup` knows
both under all aliases, turns either into Keras's serialized form and back, and names
the nearest candidate for a misspelt name. Nothing is looked up outside its table and
the caller's `custom_objects`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ranvier._registered import customs, get_registered_name
from ranvier.errors import ShapeError, unknown_name

_counters: dict[str, int] = {}


def snake_case(name: str) -> str:
    """Turns a class name into Keras's object name.

    Example:
        >>> snake_case("SparseCategoricalAccuracy"), snake_case("AUC")
        ('sparse_categorical_accuracy', 'auc')
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def auto_name(class_name: str) -> str:
    """A name unique in this process: `mean`, then `mean_1`, `mean_2`, …"""
    base = snake_case(class_name)
    index = _counters.get(base, 0)
    _counters[base] = index + 1
    return f"{base}_{index}" if index else base


def clear_session(free_memory: bool = True) -> None:
    """Starts the automatic names of layers, metrics, … from the beginning.

    A dtype policy that was set for all layers goes too. Models that exist keep what
    they have.

    Args:
        free_memory: kept for Keras's signature: a model that nobody holds is freed
            at once.
    """
    _counters.clear()
    from ranvier import config

    config.set_dtype_policy(None)


def object_name(obj: Any) -> str:
    """The name Keras gives an object in logs: `.name`, else the name of the thing."""
    if hasattr(obj, "name"):
        return str(obj.name)
    if hasattr(obj, "__name__"):
        return snake_case(obj.__name__)
    return snake_case(type(obj).__name__)


class Lookup:
    """The functions and classes of one family under all their names.

    Args:
        family: what messages call one member, for example `"loss"`.
        module: the public module that Keras's serialized form names.
        members: functions and classes, known by their `__name__`.
        aliases: further names.
        snake_classes: whether classes are also known by their snake-case name, as
            metrics are in Keras.
    """

    def __init__(
        self,
        family: str,
        module: str,
        members: Iterable[Any],
        aliases: Mapping[str, Any] | None = None,
        snake_classes: bool = False,
    ) -> None:
        self.family = family
        self.module = module
        self.members: dict[str, Any] = {m.__name__: m for m in members}
        self.names: dict[str, Any] = dict(self.members)
        if snake_classes:
            for name, member in self.members.items():
                if inspect.isclass(member):
                    self.names[snake_case(name)] = member
        self.names.update(aliases or {})

    def look_up(
        self, name: str, custom_objects: Mapping[str, Any] | None = None
    ) -> Any:
        """The object of that name.

        Raises:
            ShapeError: RV107 where there is none; the message names the nearest.
        """
        if custom_objects and name in custom_objects:
            return custom_objects[name]
        if name in self.names:
            return self.names[name]
        own = customs()
        if name in own:
            return own[name]
        raise unknown_name(self.family, name, self.names)

    def get(self, identifier: Any) -> Any:
        """Finds an object by name, configuration, class or itself.

        A class (by name or as such) is instantiated without arguments; `None` stays
        `None`.

        Raises:
            ShapeError: RV107 where the identifier names nothing known.
        """
        if identifier is None:
            return None
        if isinstance(identifier, str):
            found = self.look_up(identifier)
        elif isinstance(identifier, Mapping):
            found = self.deserialize(identifier)
        else:
            found = identifier
        if inspect.isclass(found):
            found = found()
        if not callable(found):
            raise ShapeError(
                "RV107",
                f"this is no {self.family}: {identifier!r}",
                details=f"a {type(identifier).__name__} cannot be called",
                fix=f"pass a name, a function or a {self.family} object",
            )
        return found

    def serialize(self, obj: Any) -> dict[str, Any]:
        """The object in Keras's form: `{"module", "class_name", "config", …}`."""
        if inspect.isfunction(obj) or inspect.isbuiltin(obj):
            return {
                "module": "builtins",
                "class_name": "function",
                "config": get_registered_name(obj),
                "registered_name": "function",
            }
        cls = type(obj)
        own = self.members.get(cls.__name__) is cls
        return {
            "module": self.module if own else cls.__module__,
            "class_name": cls.__name__,
            "config": obj.get_config(),
            "registered_name": None if own else get_registered_name(cls),
        }

    def deserialize(
        self, config: Any, custom_objects: Mapping[str, Any] | None = None
    ) -> Any:
        """The object that `serialize` (ours or real Keras's) described.

        Raises:
            ShapeError: RV107 for an unknown class or function.
        """
        if config is None or callable(config):
            return config
        if isinstance(config, str):
            return self.look_up(config, custom_objects)
        if not isinstance(config, Mapping) or "class_name" not in config:
            raise ShapeError(
                "RV107",
                f"this describes no {self.family}: {config!r}",
                details='expected {"class_name": …, "config": …}',
                fix="pass what serialize() returned",
            )
        name, inner = config["class_name"], config.get("config") or {}
        if name == "function":
            return self.look_up(str(inner), custom_objects)
        registered = config.get("registered_name")
        known = customs(custom_objects)
        found = (
            known[registered]
            if isinstance(registered, str) and registered in known
            else self.look_up(name, custom_objects)
        )
        if not inspect.isclass(found):
            return found
        build: Callable[[Any], Any] = getattr(
            found, "from_config", lambda c: found(**c)
        )
        return build(plain(inner))


def plain(value: Any) -> Any:
    """Undoes the wrapping that Keras's serializer puts around tuples and arrays."""
    if isinstance(value, Mapping):
        kind = value.get("class_name")
        if kind == "__tuple__":
            return tuple(plain(v) for v in value["items"])
        if kind in ("__numpy__", "__tensor__"):
            return value["config"]["value"]
        if kind == "DTypePolicy":
            return value["config"]["name"]
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    return value
