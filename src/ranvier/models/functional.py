"""Functional models, and their configuration in Keras's form."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from ranvier._operation_base import Operation as OwnOperation
from ranvier.models.function import Function
from ranvier.models.model import Model
from ranvier.operation import Operation
from ranvier.symbolic import KerasTensor, Node


class Functional(Model):
    """A model of what leads from symbolic inputs to symbolic outputs: see `Model`.

    Args:
        inputs: symbolic tensors in a structure.
        outputs: symbolic tensors in a structure.
        name: a name.
        trainable: whether the weights are trained.
    """

    def __init__(
        self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(inputs, outputs, name=name, **kwargs)


def made_by_graph(cls: type) -> bool:
    """Whether a class of models is made with inputs and outputs and nothing else."""
    if cls.__init__ in (Model.__init__, Functional.__init__):  # type: ignore[misc]
        return True
    parameters = inspect.signature(cls.__init__).parameters.values()  # type: ignore[misc]
    kinds = {p.kind for p in parameters}
    if (
        inspect.Parameter.VAR_POSITIONAL in kinds
        and inspect.Parameter.VAR_KEYWORD in kinds
    ):
        return True
    names = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    return names[1:] == ["inputs", "outputs", "name"]


# -- writing -------------------------------------------------------------------------


class _Places:
    """Where each symbolic tensor of a graph comes from, in a configuration's numbers.

    Only the calls that belong to the graph count. Keras counts those of a functional
    model from 1 where it lists inputs and outputs, and from 0 elsewhere.
    """

    def __init__(self, function: Function) -> None:
        self.index = {
            id(node): i
            for operation in function.operations
            for i, node in enumerate(function.calls[id(operation)])
        }

    def of(self, tensor: KerasTensor, listed: bool = False) -> list[Any]:
        """Name of the layer, number of its call, number of that call's output."""
        history = tensor._keras_history
        assert history is not None
        node = history.operation._inbound_nodes[history.node_index]
        first = 1 if listed and _counts_from_one(history.operation) else 0
        return [
            history.operation.name,
            self.index[id(node)] + first,
            history.tensor_index,
        ]


def _counts_from_one(operation: Any) -> bool:
    if not isinstance(operation, Model) or operation._function is None:
        return False
    from ranvier.models.sequential import Sequential

    return not isinstance(operation, Sequential)


def config_of(model: Any) -> dict[str, Any]:
    """The configuration of a functional model: layers, and the calls of each."""
    from ranvier.models.registry import serialize_keras_object

    function: Function = model._function
    places = _Places(function)

    def plain(leaf: Any) -> Any:
        if not isinstance(leaf, KerasTensor):
            return serialize_keras_object(leaf)
        return {
            "class_name": "__keras_tensor__",
            "config": {
                "shape": list(leaf.shape),
                "dtype": leaf.dtype,
                "keras_history": places.of(leaf),
            },
        }

    def call(node: Node) -> dict[str, Any]:
        return {
            "args": [_mapped(plain, a) for a in node.args],
            "kwargs": {k: _mapped(plain, v) for k, v in node.kwargs.items()},
        }

    layers = []
    for operation in function.operations:
        described = serialize_keras_object(operation)
        described["name"] = operation.name
        calls = [n for n in function.calls[id(operation)] if not n.is_input]
        described["inbound_nodes"] = [call(node) for node in calls]
        layers.append(described)

    def listed(struct: Any) -> Any:
        return _mapped(lambda t: places.of(t, listed=True), struct)

    return {
        "name": model.name,
        "trainable": model.trainable,
        "layers": layers,
        "input_layers": listed(function.inputs_struct),
        "output_layers": listed(function.outputs_struct),
    }


def _mapped(fn: Any, value: Any) -> Any:
    """A structure of plain lists and dicts, its leaves mapped; ``None`` is a leaf."""
    if isinstance(value, (list, tuple)):
        return [_mapped(fn, v) for v in value]
    if isinstance(value, dict):
        return {k: _mapped(fn, v) for k, v in value.items()}
    return fn(value)


# -- reading -------------------------------------------------------------------------


def from_config(
    cls: type, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None
) -> Any:
    """The functional model of a configuration.

    Raises:
        FileError: RV601 when its calls have no order, or name what is not there.
    """
    from ranvier.models.restore import current, unreadable

    restorer = current(custom_objects)
    made: dict[str, Any] = {}
    waiting: list[tuple[Any, Any]] = []
    for described in config["layers"]:
        operation = restorer.value(described, "layer")
        if not isinstance(operation, OwnOperation):
            raise unreadable(f"a layer was expected, found {type(operation).__name__}")
        name = str(described.get("name") or operation.name)
        if name in made:
            raise unreadable(f"two layers are named {name!r}")
        # A name that differs from the layer's own would not be found again.
        made[name] = operation
        for call in described.get("inbound_nodes") or ():
            waiting.append((operation, call))
    begun = {
        name: len(operation._inbound_nodes)
        for name, operation in made.items()
        if not _declares(operation)
    }
    calls = _Calls(made, begun)
    while waiting:
        left = []
        blocked: set[int] = set()
        for operation, call in waiting:
            # The calls of one layer keep their order.
            if id(operation) in blocked or not calls.ready(call):
                blocked.add(id(operation))
                left.append((operation, call))
                continue
            args, kwargs = calls.arguments(call)
            if isinstance(operation, Operation) and operation.kind == "get_item":
                args[1:] = [tuple(k) if isinstance(k, list) else k for k in args[1:]]
            operation(*args, **kwargs)
        if len(left) == len(waiting):
            names = sorted({operation.name for operation, _ in left})
            raise unreadable(
                f"the calls of layers {', '.join(names)} wait for each other, or for "
                "a layer that is not there"
            )
        waiting = left
    rest = {
        k: v
        for k, v in config.items()
        if k not in ("layers", "input_layers", "output_layers", "name", "trainable")
    }
    return cls(
        inputs=calls.listed(config["input_layers"]),
        outputs=calls.listed(config["output_layers"]),
        name=config.get("name"),
        trainable=config.get("trainable", True),
        **rest,
    )


def _declares(operation: Any) -> bool:
    return bool(operation._inbound_nodes) and operation._inbound_nodes[0].is_input


class _Calls:
    """The calls that were made again so far, by the names of their layers."""

    def __init__(self, made: Mapping[str, Any], begun: Mapping[str, int]) -> None:
        self.made, self.begun = made, begun

    def _node(self, name: Any, index: Any) -> Node | None:
        """The call of that number; ``None`` while it was not made."""
        from ranvier.models.restore import unreadable

        if name not in self.made or not isinstance(index, int) or index < 0:
            raise unreadable(f"a call of {name!r:.60} is named, which is not there")
        nodes = self.made[name]._inbound_nodes
        index += self.begun.get(name, 0)
        return nodes[index] if index < len(nodes) else None

    def _tensor(self, history: Sequence[Any]) -> KerasTensor | None:
        node = self._node(history[0], history[1])
        return None if node is None else node.outputs[history[2]]

    def ready(self, call: Any) -> bool:
        """Whether all arguments of a call have been made."""
        return all(self._tensor(h) is not None for h in _histories(call))

    def arguments(self, call: Any) -> tuple[list[Any], dict[str, Any]]:
        """The arguments of a call; the tensors in it are those made again."""
        from ranvier.models.restore import current

        restorer = current(None)

        def filled(value: Any) -> Any:
            if _is_tensor(value):
                return self._tensor(value["config"]["keras_history"])
            if isinstance(value, Mapping) and "class_name" not in value:
                return {k: filled(v) for k, v in value.items()}
            if isinstance(value, (list, tuple)):
                return [filled(v) for v in value]
            return restorer.value(value, "argument")

        if isinstance(call, Mapping):
            args = [filled(a) for a in call.get("args") or ()]
            return args, {k: filled(v) for k, v in (call.get("kwargs") or {}).items()}
        # The form before Keras 3: [[layer, call, output, keyword arguments], ...]
        tensors = [self._tensor(entry[:3]) for entry in call]
        kwargs = dict(call[0][3]) if call and len(call[0]) > 3 else {}
        return [tensors[0] if len(tensors) == 1 else tensors], kwargs

    def listed(self, value: Any) -> Any:
        """Inputs or outputs from their places in the configuration."""
        from ranvier.models.restore import unreadable

        if isinstance(value, Mapping):
            return {k: self.listed(v) for k, v in value.items()}
        if len(value) == 3 and isinstance(value[0], str):
            name, index, output = value
            if name in self.made and _counts_from_one(self.made[name]):
                index -= 1
            found = self._tensor((name, index, output))
            if found is None:
                raise unreadable(f"call {index} of layer {name!r} is not there")
            return found
        return [self.listed(v) for v in value]


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("class_name") == "__keras_tensor__"


def _histories(call: Any) -> list[Any]:
    """Where the tensors in a serialized call come from."""
    if not isinstance(call, Mapping):
        return [entry[:3] for entry in call]
    found: list[Any] = []

    def visit(value: Any) -> None:
        if _is_tensor(value):
            found.append(value["config"]["keras_history"])
        elif isinstance(value, Mapping):
            for item in value.values():
                visit(item)
        elif isinstance(value, (list, tuple)):
            for item in value:
                visit(item)

    visit(call)
    return found


__all__ = ["Functional", "config_of", "from_config", "made_by_graph"]
