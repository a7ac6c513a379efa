"""Functions of `ranvier.ops` as steps of a functional model."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ranvier._lookup import auto_name
from ranvier._operation_base import Operation as OwnOperation
from ranvier._operations import keras_operations, squashed
from ranvier.errors import FileError
from ranvier.symbolic import (
    KerasTensor,
    Node,
    any_symbols,
    evaluate,
    symbols_in,
)

_Parameter = inspect.Parameter


class Operation(OwnOperation):
    """A function with its settings, called on tensors: ``sum`` with ``axis=1``.

    Args:
        kind: name of the function, such as ``"sum"``.
        function: the function.
        config: settings by name.
        name: a name, made from the kind's by default.
    """

    def __init__(
        self,
        kind: str,
        function: Callable[..., Any],
        config: Mapping[str, Any],
        name: str | None = None,
    ) -> None:
        self.kind, self.function = kind, function
        self.config = dict(config)
        self.name = name or auto_name(self.class_name)
        self._inbound_nodes: list[Any] = []

    @property
    def _keras(self) -> Any:
        return keras_operations().get(squashed(self.kind))

    @property
    def class_name(self) -> str:
        """Its name in Keras, as in ``"Sum"``."""
        if self._keras is not None:
            return str(self._keras.name)
        return "".join(part.capitalize() for part in self.kind.split("_"))

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The function of these tensors, with its settings."""
        given = {**self.config, **kwargs}
        values = iter(args)
        in_order: list[Any] = []
        by_name: dict[str, Any] = {}
        for name, parameter in inspect.signature(self.function).parameters.items():
            if parameter.kind is _Parameter.VAR_POSITIONAL:
                in_order += values
            elif parameter.kind is _Parameter.VAR_KEYWORD:
                continue
            else:
                value = (
                    given[name] if name in given else next(values, parameter.default)
                )
                if parameter.kind is _Parameter.KEYWORD_ONLY:
                    by_name[name] = value
                else:
                    in_order.append(value)
        return self.function(*in_order, **by_name)

    def serialized(self) -> dict[str, Any]:
        """The operation in Keras's form, its settings not yet serialized.

        Raises:
            FileError: RV603 for a setting that Keras's operation does not have.
        """
        keras = self._keras
        config = dict(self.config)
        if keras is not None:
            parameters = inspect.signature(self.function).parameters
            for key in set(config) - set(keras.made_with):
                known = parameters.get(key)
                if known is not None and config[key] == known.default:
                    del config[key]
                    continue
                raise FileError(
                    "RV603",
                    f"operation {self.name!r}: {key}={config[key]!r} cannot be written "
                    f"to a file: Keras's {keras.name} has no such setting",
                    fix="put the operation into a layer of your own",
                )
        return {
            "module": "ranvier.ops" if keras is None else keras.module,
            "class_name": self.class_name,
            "config": {"name": self.name, **config},
            "registered_name": self.class_name,
        }

    def __getstate__(self) -> dict[str, Any]:
        """What a copy takes along: the function by its name, and no calls."""
        return {"kind": self.kind, "config": self.config, "name": self.name}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__init__(  # type: ignore[misc]
            state["kind"], function_of(state["kind"]), state["config"], state["name"]
        )

    def __repr__(self) -> str:
        return f"<Operation {self.class_name} name={self.name}>"


def apply_operation(
    kind: str,
    function: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> Any:
    """Calls a function on symbolic tensors, noted as a call of an `Operation`."""
    signature = inspect.signature(function)
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError:
        return function(*args, **kwargs)  # Python's own message
    bound.apply_defaults()
    outputs = evaluate(function, args, kwargs)
    if not symbols_in(outputs):
        return outputs  # a shape, a number of axes: no call worth noting
    keras = keras_operations().get(squashed(kind))
    settings = () if keras is None else keras.made_with
    called: list[Any] = []
    by_name: dict[str, Any] = {}
    config: dict[str, Any] = {}
    gap = False
    for name, parameter in signature.parameters.items():
        value = bound.arguments[name]
        symbolic = any_symbols([value])
        needed = parameter.default is _Parameter.empty
        if parameter.kind is _Parameter.VAR_POSITIONAL:
            called += value
        elif parameter.kind is _Parameter.VAR_KEYWORD:
            config |= value
        elif symbolic or needed or (keras is not None and name in keras.called_with):
            if name in settings and not symbolic:
                config[name] = value
            elif gap or parameter.kind is _Parameter.KEYWORD_ONLY or name in settings:
                by_name[name] = value
            elif not needed and value is parameter.default:
                gap = True  # what comes behind it is given by name
            else:
                called.append(value)
        elif name in settings or value is not parameter.default:
            config[name] = value
    Node(Operation(kind, function, config), called, by_name, outputs)
    return outputs


def recorded(kind: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that, on symbolic tensors, notes its call; else it is the function."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if KerasTensor.made and any_symbols(args, kwargs):
            return apply_operation(kind, function, args, kwargs)
        return function(*args, **kwargs)

    return call


def record_calls(namespace: dict[str, Any], names: Sequence[str]) -> None:
    """Makes the functions of a module take symbolic tensors.

    Args:
        namespace: the module's.
        names: names of its functions.
    """
    for name in names:
        function = namespace.get(name)
        if inspect.isfunction(function):
            own = inspect.unwrap(function).__name__  # ``abs`` is ``absolute``
            namespace[name] = recorded(own if own in names else name, function)


@functools.cache
def _functions() -> dict[str, tuple[str, Callable[..., Any]]]:
    """Functions by their squashed names; those of `activations` under their own."""
    from ranvier import activations, ops
    from ranvier.graph.functions import getitem

    found: dict[str, tuple[str, Callable[..., Any]]] = {}
    for module in (activations, ops, ops.image):
        for name in module.__all__:
            function = inspect.unwrap(getattr(module, name))
            if inspect.isfunction(function):
                found[squashed(name)] = name, function
    for name in ("relu", "mish"):
        found[squashed(name)] = name, inspect.unwrap(getattr(activations, name))
    found["getitem"] = "get_item", getitem
    return found


def function_of(kind: str) -> Callable[..., Any]:
    """The function of that name."""
    return _functions()[squashed(kind)][1]


def operation_from(data: Mapping[str, Any]) -> Operation | None:
    """The operation of a serialized one, its settings restored; ``None`` if unknown."""
    module, kind = data.get("module"), squashed(str(data.get("class_name")))
    keras = keras_operations().get(kind)
    known = {"ranvier.ops"} | ({keras.module} if keras is not None else set())
    if kind == "relu":  # Keras has two of that name
        known.add("keras.src.ops.nn")
    if module not in known or kind not in _functions():
        return None
    name, function = _functions()[kind]
    config = dict(data.get("config") or {})
    own = config.pop("name", None)
    parameters = inspect.signature(function).parameters
    for key in set(config) - set(parameters):
        if config.pop(key) not in (None, False, 0):
            return None
    return Operation(name, function, config, own)


__all__ = ["Operation", "apply_operation", "operation_from", "record_calls", "recorded"]
