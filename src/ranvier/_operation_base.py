"""Operations of one's own: what may be called on symbolic tensors and is no layer."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from ranvier._lookup import auto_name
from ranvier.errors import ShapeError
from ranvier.graph import tree
from ranvier.symbolic import Node, any_symbols, evaluate, record

__all__ = ["Operation"]


class _Kind(type):
    """Layers are operations too, as in Keras, though they do not inherit from it."""

    def __instancecheck__(cls, instance: Any) -> bool:
        if cls.__dict__.get("_is_base") and hasattr(instance, "_inbound_nodes"):
            return True
        return type.__instancecheck__(cls, instance)


class Operation(metaclass=_Kind):
    """A computation without state that functional models may hold.

    A subclass defines ``call``, written in `ranvier.ops`. On arrays, and inside a step,
    it computes; on symbolic tensors (`keras.Input`) the call becomes part of functional
    models. Layers are operations as well.

    Args:
        name: a name; made from the class by default.

    Example:
        >>> import ranvier as keras
        >>> class Scaled(keras.Operation):
        ...     def __init__(self, factor, name=None):
        ...         super().__init__(name)
        ...         self.factor = factor
        ...
        ...     def call(self, x):
        ...         return x * self.factor
        >>> Scaled(3.0)(keras.ops.array([1.0, 2.0])).numpy()
        array([3., 6.], dtype=float32)
        >>> Scaled(3.0)(keras.Input((4,))).shape
        (None, 4)
    """

    _is_base = True
    _made_with: tuple[tuple[Any, ...], dict[str, Any]] = (), {}
    _inbound_nodes: list[Node]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._is_base = False

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Notes what it is made with, for `get_config`."""
        made = super().__new__(cls)
        made._made_with = args, kwargs
        return made

    def __init__(self, name: str | None = None) -> None:
        if name is not None and not isinstance(name, str):
            raise ShapeError(
                "RV100",
                f"the name of an operation must be a string, got {name!r}",
                fix=f"name={str(name)!r}",
            )
        self.name = name or auto_name(type(self).__name__)
        self._inbound_nodes = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The result of `call`; on symbolic tensors the call is noted."""
        if any_symbols(args, kwargs):
            return self.symbolic_call(*args, **kwargs)
        return self.call(*args, **kwargs)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The computation; to be written by a subclass."""
        raise NotImplementedError(f"{type(self).__name__} must define call()")

    def symbolic_call(self, *args: Any, **kwargs: Any) -> Any:
        """Notes a call on symbolic tensors and gives its symbolic outputs."""
        if type(self).compute_output_spec is Operation.compute_output_spec:
            return record(self, self.call, args, kwargs)
        outputs = self.compute_output_spec(*args, **kwargs)
        Node(self, args, kwargs, outputs)
        return outputs

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Symbolic tensors like those `call` gives: found by tracing it."""
        return evaluate(self.call, args, kwargs)

    @property
    def input(self) -> Any:
        """The symbolic tensor, or tensors, of its first call.

        Raises:
            ShapeError: RV106 when it was not called on symbolic tensors.
        """
        return _alone(self._first_call("input").input_tensors)

    @property
    def output(self) -> Any:
        """What its first call on symbolic tensors gave.

        Raises:
            ShapeError: RV106 when it was not called on symbolic tensors.
        """
        return _alone(self._first_call("output").outputs)

    def _first_call(self, what: str) -> Node:
        if not self._inbound_nodes:
            raise ShapeError(
                "RV106",
                f"operation {self.name!r} has no {what}: it was not called on keras.Input",
                fix="x = keras.Input(shape); y = operation(x)",
            )
        return self._inbound_nodes[0]

    def get_config(self) -> dict[str, Any]:
        """What it was made with, and its name where the constructor takes one."""
        args, kwargs = self._made_with
        signature = inspect.signature(type(self))
        bound = signature.bind(*args, **kwargs)
        config: dict[str, Any] = {}
        for name, value in bound.arguments.items():
            kind = signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_KEYWORD:
                config |= value
            elif kind is not inspect.Parameter.VAR_POSITIONAL:
                config[name] = value
        if "name" in signature.parameters or "name" in config:
            config["name"] = self.name
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        """The operation that `get_config` described."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<Operation name={self.name}>"


def _alone(tensors: Any) -> Any:
    flat = tree.flatten(tensors)
    return flat[0] if len(flat) == 1 else flat
