"""Objects as plain data in Keras's form, and back: ``{module, class_name, config, …}``.

Writing is here; reading, which must mistrust what it reads, is `ranvier.models.restore`.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from ranvier.errors import FileError, Finding, warn
from ranvier.graph import Dim, Tensor, Variable
from ranvier.layers.base import Layer
from ranvier.layers.policy import DTypePolicy, serialized_policy
from ranvier.models.allowed import builtin_function, get_registered_name, public_name
from ranvier.models.restore import current, unreadable
from ranvier.operation import Operation

__all__ = [
    "deserialize_compile",
    "deserialize_keras_object",
    "deserialize_layer",
    "serialize_compile",
    "serialize_keras_object",
    "serialize_layer",
]

_PLAIN = (str, int, float, bool, type(None))
_COMPILE = (
    "optimizer",
    "loss",
    "loss_weights",
    "metrics",
    "weighted_metrics",
    "run_eagerly",
    "steps_per_execution",
    "jit_compile",
)

# -- writing -------------------------------------------------------------------------


def serialize_keras_object(obj: Any) -> Any:
    """An object as plain data that JSON can hold.

    Args:
        obj: a layer, loss, optimizer, …, a function, an array, or a container of them.

    Raises:
        FileError: RV603 for a lambda, or what has no `get_config`.

    Example:
        >>> from ranvier import regularizers
        >>> serialize_keras_object(regularizers.L2(0.5))["config"]
        {'l2': 0.5}
    """
    if isinstance(obj, _PLAIN):
        return obj
    if isinstance(obj, Mapping):
        if obj.get("class_name") == "function":
            return _described_function(dict(obj))
        return {str(key): serialize_keras_object(item) for key, item in obj.items()}
    if isinstance(obj, (list, tuple, set, frozenset)):
        return [serialize_keras_object(item) for item in obj]
    if isinstance(obj, np.generic):
        return obj.item()
    if isinstance(obj, np.ndarray):
        return _special("__numpy__", value=obj.tolist(), dtype=str(obj.dtype))
    if isinstance(obj, (Tensor, Variable)):
        value = np.asarray(obj.numpy())
        return _special("__tensor__", value=value.tolist(), dtype=str(value.dtype))
    if isinstance(obj, bytes):
        return _special("__bytes__", value=obj.decode("utf-8"))
    if isinstance(obj, slice):
        return _special("__slice__", start=obj.start, stop=obj.stop, step=obj.step)
    if obj is Ellipsis:
        return _special("__ellipsis__")
    if isinstance(obj, np.dtype) or (
        inspect.isclass(obj) and issubclass(obj, np.generic)
    ):
        return np.dtype(obj).name
    if isinstance(obj, DTypePolicy):
        return serialized_policy(obj)
    if isinstance(obj, Operation):
        described = obj.serialized()
        return {**described, "config": serialize_keras_object(described["config"])}
    if inspect.isroutine(obj):
        return _function(obj)
    if inspect.isclass(obj) or not hasattr(obj, "get_config"):
        raise _unwritable(
            f"{obj!r}"[:80] + " has no get_config(), so it cannot be written to a file",
            "def get_config(self): return {the constructor's arguments}",
        )
    return _instance(obj)


def _special(kind: str, **config: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": config}


def _unwritable(problem: str, fix: str) -> FileError:
    return FileError("RV603", problem, fix=fix)


def _function(function: Any) -> dict[str, Any]:
    name = getattr(function, "__name__", "")
    if builtin_function(name) is function:
        module, registered = "builtins", name
    else:
        module, registered = function.__module__, get_registered_name(function)
        if name and registered != name:
            name = registered
    return _described_function(
        {
            "module": None if module == "__main__" else module,
            "class_name": "function",
            "config": name,
            "registered_name": registered,
        }
    )


def _described_function(described: dict[str, Any]) -> dict[str, Any]:
    name = described.get("config")
    if not isinstance(name, str) or not name.replace(">", "").isidentifier():
        raise _unwritable(
            "a lambda cannot be written to a file: only functions with a name can",
            "def my_function(...): ..., and load with "
            "custom_objects={'my_function': my_function}",
        )
    return described


def _instance(obj: Any) -> dict[str, Any]:
    cls = type(obj)
    known = public_name(cls)
    config = obj.get_config()
    if not isinstance(config, Mapping):
        raise _unwritable(
            f"{cls.__name__}.get_config() returned {type(config).__name__}, not a dict",
            "return {**super().get_config(), 'units': self.units}",
        )
    module = cls.__module__
    described: dict[str, Any] = {
        "module": known[0] if known else (None if module == "__main__" else module),
        "class_name": known[1] if known else cls.__name__,
        "config": serialize_keras_object(config),
        # Keras notes a class that it does not export as if it were registered.
        "registered_name": None
        if known and not known[0].startswith("keras.src.")
        else get_registered_name(cls),
    }
    for key in ("build_config", "compile_config"):
        method = getattr(obj, f"get_{key}", None)
        found = method() if method is not None else None
        if found is None and key == "build_config":
            found = _shape_seen(obj)
        if found is not None:
            described[key] = serialize_keras_object(found)
    return described


def _shape_seen(obj: Any) -> dict[str, Any] | None:
    """The input shape of a model without `build`, from a step it has run."""
    for step in getattr(obj, "_steps", {}).values():
        x = step.graph.inputs.get("x")
        if x is not None:
            sizes = [None if isinstance(s, Dim) else int(s) for s in x.spec.shape]
            return {"input_shape": [None, *sizes[1:]]}
    return None


def serialize_layer(layer: Layer) -> dict[str, Any]:
    """A layer or model in Keras's form, with the shape it was built for."""
    described: dict[str, Any] = serialize_keras_object(layer)
    return described


def serialize_compile(
    arguments: Mapping[str, Any], optimizer: Any
) -> dict[str, Any] | None:
    """What `compile` was given, in Keras's form.

    Where it holds what no file can (a lambda), it is left out and a finding says so:
    the weights of a long training must not be lost for that.
    """
    given = {**{key: arguments.get(key) for key in _COMPILE}, "optimizer": optimizer}
    try:
        config: dict[str, Any] = serialize_keras_object(given)
    except FileError as fault:
        warn(
            Finding(
                fault.code,
                "the file will not know how the model was compiled: " + fault.message,
                fix=fault.fix + "; or call compile() again after loading",
            )
        )
        return None
    # "auto" is ours to decide anew; Keras writes a bool there.
    if not isinstance(config["jit_compile"], bool):
        config["jit_compile"] = True
    return config


# -- reading -------------------------------------------------------------------------


def deserialize_keras_object(
    config: Any, custom_objects: Mapping[str, Any] | None = None, safe_mode: bool = True
) -> Any:
    """The object that `serialize_keras_object` (here or in Keras) described.

    Args:
        config: the description; what is none comes back as it is.
        custom_objects: classes and functions of one's own, by name.
        safe_mode: kept for Keras's signature; code in a description is never run.

    Raises:
        FileError: RV601 when it names something unknown or carries code.

    Example:
        >>> from ranvier import regularizers
        >>> again = deserialize_keras_object(serialize_keras_object(regularizers.L2(0.5)))
        >>> again.l2
        0.5
    """
    restorer = current(custom_objects)
    if isinstance(config, str) and config in restorer.customs:
        return restorer.customs[config]
    return restorer.value(config, "object")


def deserialize_layer(
    config: Any, custom_objects: Mapping[str, Any] | None = None
) -> Layer:
    """The layer that `serialize_layer` described, built for the same shape.

    Raises:
        FileError: RV601 when it names something unknown, carries code, or is no layer.
    """
    if isinstance(config, Layer):
        return config
    made = current(custom_objects).value(config, "layer")
    if not isinstance(made, Layer):
        raise unreadable(f"a layer was expected, found {type(made).__name__}")
    return made


def deserialize_compile(
    config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The arguments of `compile` that `serialize_compile` described.

    Raises:
        FileError: RV601 when it names something unknown or carries code.
    """
    restorer = current(custom_objects)

    def named(value: Any) -> Any:
        """Names of the user's own losses and metrics become what they name."""
        if isinstance(value, str):
            return restorer.customs.get(value, value)
        if isinstance(value, list):
            return [named(v) for v in value]
        if type(value) is dict:
            return {k: named(v) for k, v in value.items()}
        return value

    return {
        key: named(restorer.value(config[key], f"compile({key})"))
        for key in _COMPILE
        if key in config
    }
