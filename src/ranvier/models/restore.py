"""Objects from the plain data of a file, made only of what is allowed, within bounds.

Every class and function is found in the closed table of `ranvier.models.allowed` or
among the caller's `custom_objects`; code in a file is refused; weights are counted
before they are made, so that a small file cannot ask for much memory.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from ranvier import initializers
from ranvier.errors import FileError, Finding, RanvierError, nearest, warn
from ranvier.graph import Dim, Spec, Tensor, Variable, trace
from ranvier.graph.trace import outside
from ranvier.layers.base import Layer
from ranvier.layers.policy import DTypePolicy
from ranvier.models.allowed import builtin_function, builtins, customs
from ranvier.models.step import BATCH
from ranvier.operation import operation_from

__all__ = ["Restorer", "current", "is_restoring", "restoring", "unreadable"]

#: Arguments by which a metric allocates; far above any use, far below any harm.
_LIMITS = {"num_thresholds": 1_000_000, "num_classes": 10_000, "num_labels": 10_000}
#: Numbers in a row of an input: 4096 x 4096 pixels of 8 channels.
_ROW = 1 << 27
_SHAPES = ("batch_shape", "build_input_shape", "input_shape", "batch_input_shape")


class Restorer:
    """Makes the objects that a file describes.

    Args:
        custom_objects: classes and functions of the user's own, by name.
        budget: bytes of weights that may be made; `None` for any number. With a
            budget weights start at zero, for they are about to be read.
        compiled: whether models are compiled as they were.
    """

    def __init__(
        self,
        custom_objects: Mapping[str, Any] | None = None,
        budget: int | None = None,
        compiled: bool = True,
    ) -> None:
        self.customs = customs(custom_objects)
        self.budget = budget
        self.compiled = compiled
        self.shared: dict[Any, Any] = {}
        self.guarded: list[Layer] = []

    def value(self, data: Any, where: str) -> Any:
        """Plain data with every described object in it made."""
        if isinstance(data, list):
            return [self.value(v, f"{where}[{i}]") for i, v in enumerate(data)]
        if not isinstance(data, Mapping):
            return data
        if "class_name" in data and "config" in data:
            return self.object(data, where)
        return {key: self.value(v, f"{where}.{key}") for key, v in data.items()}

    def object(self, data: Mapping[str, Any], where: str) -> Any:
        """The object that a description stands for.

        Raises:
            FileError: RV601 when it is unknown, carries code, or does not fit.
        """
        name, config = data["class_name"], data["config"]
        if not isinstance(name, str):
            raise unreadable(f"{where}: class_name is {name!r:.60}, not a name")
        own = config.get("name") if isinstance(config, Mapping) else None
        here = f"{where} ({name}{f' {own!r}' if isinstance(own, str) else ''})"
        if name.startswith("__"):
            return self._special_value(name, config, here)
        if name == "DTypePolicy" and data.get("module") in (
            "keras",
            "keras.dtype_policies",
        ):
            if isinstance(config, Mapping) and config.get("name") in ("int32", "int64"):
                return config["name"]  # of layers that give whole numbers
            return self._calling(DTypePolicy.from_config, config, here)
        if name == "function":
            return self._function(data, here)
        if "shared_object_id" in data and data["shared_object_id"] in self.shared:
            return self.shared[data["shared_object_id"]]
        made = self._instance(data, here)
        if isinstance(made, Layer) and "shared_object_id" in data:
            self.shared[data["shared_object_id"]] = made
        return made

    def _special_value(self, name: str, config: Any, here: str) -> Any:
        if name == "__lambda__":
            raise unreadable(
                f"{here}: it carries code, which is never run",
                "write the lambda as a named function, pass it as custom_objects",
            )
        config = config if isinstance(config, Mapping) else {}
        if name in ("__numpy__", "__tensor__"):
            return self._calling(
                lambda c: np.asarray(c["value"], _plain_dtype(c["dtype"])), config, here
            )
        if name == "__bytes__":
            return self._calling(lambda c: c["value"].encode("utf-8"), config, here)
        if name == "__slice__":
            return slice(config.get("start"), config.get("stop"), config.get("step"))
        if name == "__ellipsis__":
            return Ellipsis
        raise unreadable(f"{here}: such a value is not supported")

    def _function(self, data: Mapping[str, Any], here: str) -> Any:
        for name in (data["config"], data.get("registered_name")):
            if isinstance(name, str) and name != "function" and name in self.customs:
                return self.customs[name]
        name, module = data["config"], data.get("module")
        if isinstance(module, str) and module.split(".")[0] in ("builtins", "keras"):
            found = builtin_function(str(name))
            if found is not None:
                return found
        raise self._unknown("function", str(name), here)

    def _unknown(self, kind: str, name: str, here: str) -> FileError:
        if name == "Lambda":
            return unreadable(
                f"{here}: a Lambda layer carries code, which is never run",
                "write it as a class derived from keras.layers.Layer, and pass it as "
                "custom_objects",
            )
        known = sorted({n for _, n in builtins()})
        close = nearest(name, known) if kind == "class" else ""
        listed = ", ".join(known) if kind == "class" else "the activations, losses and "
        if kind == "function":
            listed += "metrics of Keras"
        own = ", ".join(map(str, self.customs)) or "none"
        return unreadable(
            f"{here}: the {kind} {name!r:.80} is not known"
            + (f"; nearest: {close}" if close else "")
            + f"\nallowed: {listed}\ncustom_objects: {own}",
            f"keras.models.load_model(path, custom_objects={{{name!r:.80}: "
            f"{name if name.isidentifier() else '...'}}})",
        )

    def _find(self, data: Mapping[str, Any], here: str) -> tuple[Any, bool]:
        """The class, and whether it is one of the user's."""
        name, module = data["class_name"], data.get("module")
        registered = data.get("registered_name")
        if isinstance(registered, str) and registered in self.customs:
            return self.customs[registered], True
        if isinstance(module, str) and (module, name) in builtins():
            return builtins()[module, name], False
        if name in self.customs:
            return self.customs[name], True
        raise self._unknown("class", name, here)

    def _instance(self, data: Mapping[str, Any], here: str) -> Any:
        operation = operation_from(data) if data.get("module") else None
        if operation is not None:
            operation.config = self.value(operation.config, here)
            return operation
        cls, custom = self._find(data, here)
        if inspect.isroutine(cls):
            return cls
        config = data["config"] if data["config"] is not None else {}
        if not isinstance(config, Mapping):
            raise unreadable(f"{here}: its config is {type(config).__name__}, no dict")
        from_config = getattr(cls, "from_config", None)
        if from_config is None:
            raise unreadable(f"{here}: the class has no from_config()")
        for shape in (data.get("build_config"), *map(config.get, _SHAPES)):
            _check_shapes(shape, here)
        with restoring(self):
            if _wants_raw(cls, custom, config):
                config = dict(config)
            else:
                config = {
                    key: self._argument(key, v, f"{here} {key}")
                    for key, v in config.items()
                }
                _check_limits(config, here)
            made = self._calling(from_config, config, here)
            if isinstance(made, Layer):
                self._guard(made)
                self._build(made, data.get("build_config"), here)
                self._compile(made, data.get("compile_config"), here)
        return made

    def _argument(self, key: str, data: Any, where: str) -> Any:
        """An argument; one that takes functions may name one of the user's."""
        takes_functions = key.endswith(
            ("activation", "initializer", "regularizer", "constraint")
        )
        if takes_functions and isinstance(data, str) and data in self.customs:
            return self.customs[data]
        return self.value(data, where)

    def _build(self, layer: Layer, config: Any, here: str) -> None:
        if layer.built or not isinstance(config, Mapping) or not config:
            return
        from ranvier.models.model import Model

        shape = config.get("input_shape")
        plain = type(layer).build is Layer.build or type(layer).build is Model.build
        if isinstance(layer, Model) and plain and isinstance(shape, list):
            # A model without build() of its own has its weights made by its call().
            self._calling(lambda sizes: _traced(layer, sizes), shape, here)
            return
        self._calling(layer.build_from_config, config, here)

    def _compile(self, model: Layer, config: Any, here: str) -> None:
        from ranvier.models.model import Model

        if not (self.compiled and config and isinstance(model, Model)):
            return
        if not isinstance(config, Mapping):
            raise unreadable(f"{here}: its compile_config is no dict")
        cls = type(model)
        own_compile = cls.compile is not Model.compile
        if own_compile and cls.compile_from_config is Model.compile_from_config:
            warn(
                Finding(
                    "RV601",
                    f"{cls.__name__} is loaded but not compiled: its compile() is its own",
                    fix="call compile(), or define get_compile_config() and "
                    "compile_from_config(config)",
                )
            )
            return
        self._calling(model.compile_from_config, config, here)

    def _guard(self, layer: Layer) -> None:
        """Counts what the layer's weights take, before they are made."""
        if self.budget is None:
            return
        for inner in layer._flatten_layers():
            if "add_weight" not in vars(inner):
                counted = self._counted(inner.name, inner.add_weight)
                object.__setattr__(inner, "add_weight", counted)
                self.guarded.append(inner)

    def _counted(self, name: str, original: Any) -> Any:
        def add_weight(
            shape: Any = None, initializer: Any = None, *rest: Any, **options: Any
        ) -> Variable:
            sizes = [int(size) for size in shape or ()]
            if any(size < 0 for size in sizes):
                raise unreadable(f"{name}: a weight has the shape {sizes}")
            assert self.budget is not None
            self.budget -= 4 * math.prod(sizes)
            if self.budget < 0:
                raise unreadable(
                    f"{name}: a weight of shape {sizes} is larger than the file"
                )
            made: Variable = original(shape, "zeros", *rest, **options)
            # What `Model.reset` starts from is the initializer that was configured.
            floating = made.dtype.startswith("float")
            default = "glorot_uniform" if floating else "zeros"
            made.initializer = initializers.get(  # type: ignore[attr-defined]
                initializer or default
            )
            return made

        return add_weight

    def release(self) -> None:
        """Layers make weights without being counted again."""
        for layer in self.guarded:
            vars(layer).pop("add_weight", None)
        self.guarded.clear()

    @staticmethod
    def _calling(function: Any, argument: Any, here: str) -> Any:
        try:
            return function(argument)
        except FileError:
            raise
        except RanvierError as fault:
            text = fault.message + (f"\n{fault.details}" if fault.details else "")
            raise unreadable(f"{here}: {text}", fault.fix) from fault
        except Exception as fault:
            text = f"{type(fault).__name__}: {fault}"[:400]
            raise unreadable(f"{here}: {text}") from fault


def _traced(model: Any, shape: list[Any]) -> None:
    """Makes a model's weights by calling it on a symbol of this shape."""
    sizes = [BATCH] + [
        Dim.symbol(f"free{axis}") if size is None else int(size)
        for axis, size in enumerate(shape[1:], 1)
    ]
    dtype = model._dtype_of_input() or model.compute_dtype

    def run(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        model(inputs["x"])
        return {}

    with outside():
        trace(run, {"x": Spec(tuple(sizes), dtype)})
    model._clear_losses()


def _wants_raw(cls: Any, custom: bool, config: Mapping[str, Any]) -> bool:
    """Whether a class reads its config itself, descriptions of objects included."""
    from ranvier.models.model import Model

    own = getattr(cls, "from_config", None)
    own = getattr(own, "__func__", own)
    if own is vars(Model)["from_config"].__func__:
        return {"layers", "input_layers", "output_layers"} <= set(config)
    if issubclass(cls, Model) and not custom:
        return True
    inherited = vars(Layer)["from_config"].__func__
    return custom and own is not inherited


def _check_limits(config: Mapping[str, Any], here: str) -> None:
    for key, most in _LIMITS.items():
        value = config.get(key)
        if isinstance(value, (int, float)) and value > most:
            raise unreadable(f"{here}: {key}={value:,} is more than {most:,}")


def _check_shapes(value: Any, here: str) -> None:
    """Refuses rows of absurd size, for which some layers would make constants."""
    if isinstance(value, Mapping):
        for item in value.values():
            _check_shapes(item, here)
    elif isinstance(value, list):
        sizes = [size for size in value[1:] if isinstance(size, int)]
        if any(size < 0 for size in sizes) or math.prod(sizes) > _ROW:
            raise unreadable(f"{here}: an input of shape {str(value)[:80]}")
        for item in value:
            _check_shapes(item, here)


def _plain_dtype(name: Any) -> np.dtype[Any]:
    dtype = np.dtype(str(name))
    if dtype.kind not in "biuf":
        raise ValueError(f"dtype {name!r} is not a number's")
    return dtype


def unreadable(why: str, fix: str = "") -> FileError:
    """The error for a configuration that cannot be used."""
    return FileError(
        "RV601",
        "the configuration of the model cannot be used",
        details=why,
        fix=fix or "save the model again, or build it in code and load its weights",
    )


_active: ContextVar[Restorer | None] = ContextVar("restorer", default=None)


@contextmanager
def restoring(restorer: Restorer) -> Iterator[Restorer]:
    """Inside the block, `deserialize_…` go on with this restorer."""
    token = _active.set(restorer)
    try:
        yield restorer
    finally:
        _active.reset(token)


def is_restoring() -> bool:
    """Whether objects are being made from a file or configuration."""
    return _active.get() is not None


def current(custom_objects: Mapping[str, Any] | None) -> Restorer:
    """The restorer at work, or a new one."""
    active = _active.get()
    if active is None:
        return Restorer(custom_objects)
    if custom_objects:
        active.customs.update(custom_objects)
    return active
