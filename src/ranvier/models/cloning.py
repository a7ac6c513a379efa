"""Models made anew from what others say of themselves."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from ranvier._registered import custom_object_scope
from ranvier.errors import FileError, ShapeError
from ranvier.graph import tree
from ranvier.layers.reshaping import Input, InputLayer
from ranvier.operation import Operation


def clone_model(
    model: Any,
    input_tensors: Any = None,
    clone_function: Callable[[Any], Any] | None = None,
    call_function: Any = None,
    recursive: bool = False,
    **kwargs: Any,
) -> Any:
    """A model of the same architecture, compiled alike, with weights of its own.

    Args:
        model: a model.
        input_tensors: symbolic tensors on which a functional model's copy is built;
            by default inputs like the model's.
        clone_function: makes the layer that takes a layer's place in a `Sequential` or
            functional model; by default one of the same configuration.
        call_function: makes a call of a functional model's copy: of a layer, its
            arguments by position, and by name.
        recursive: whether `clone_function` is also asked for the layers of the models
            inside, rather than for those models.
        **kwargs: nothing.

    Raises:
        ShapeError: RV100 for an argument that is not supported.

    Example:
        >>> import ranvier as keras
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> clone_model(model).count_params()
        3
    """
    from ranvier.models.functional import made_by_graph
    from ranvier.models.sequential import Sequential

    functional = getattr(model, "_function", None) is not None
    functional = functional and not isinstance(model, Sequential)
    given = {**kwargs}
    if not functional:
        given |= {"input_tensors": input_tensors, "call_function": call_function}
    for name, value in given.items():
        if value is not None:
            raise ShapeError(
                "RV100",
                f"clone_model: {name} is not supported for {type(model).__name__}",
                fix="clone_model(model, clone_function=...)",
            )
    if clone_function is not None and not (functional or isinstance(model, Sequential)):
        raise ShapeError(
            "RV100",
            "clone_model: clone_function asks for a Sequential or functional model; "
            f"the layers of {type(model).__name__} are made by its own code",
        )

    def copied(layer: Any) -> Any:
        if isinstance(layer, Operation):
            return Operation(layer.kind, layer.function, layer.config, layer.name)
        if recursive and isinstance(layer, Sequential):
            return clone(layer)
        if recursive and getattr(layer, "_function", None) is not None:
            return clone_graph(layer, None)
        if clone_function is not None:
            return clone_function(layer)
        return type(layer).from_config(layer.get_config())

    def clone(one: Any) -> Any:
        fresh = type(one)(name=one.name)
        if one._input_layer is not None:
            fresh.add(InputLayer.from_config(one._input_layer.get_config()), False)
        for layer in one.layers:
            fresh.add(copied(layer), rebuild=False)
        fresh._maybe_build()
        if not fresh.built and one.built and one.input_shape is not None:
            fresh.build(one.input_shape)
        return fresh

    def clone_graph(one: Any, tensors: Any) -> Any:
        function = one._function
        if tensors is None:
            inputs = tree.map_leaves(
                lambda t: Input(batch_shape=t.shape, dtype=t.dtype, name=t.name),
                function.inputs_struct,
            )
        else:
            inputs = tree.rebuild(function.inputs_struct, tree.flatten(tensors))
        made: dict[int, Any] = {}

        def call(operation: Any, args: Any, arguments: Any) -> Any:
            if id(operation) not in made:
                made[id(operation)] = copied(operation)
            if call_function is not None:
                return call_function(made[id(operation)], *args, **arguments)
            return made[id(operation)](*args, **arguments)

        outputs = function.run(tree.flatten(inputs), call)
        return type(one)(inputs, outputs, name=one.name)

    # The classes of the layers inside are those they have, registered or not.
    own = {type(part).__name__: type(part) for part in model._flatten_layers()}
    with custom_object_scope(own):
        if isinstance(model, Sequential):
            made = clone(model)
        elif functional and made_by_graph(type(model)):
            made = clone_graph(model, input_tensors)
        else:
            made = type(model).from_config(model.get_config())
        if model.compiled:
            made.compile_from_config(model.get_compile_config())
    return made


def model_from_json(
    json_string: str, custom_objects: Mapping[str, Any] | None = None
) -> Any:
    """The model that `Model.to_json` described, with new weights.

    Args:
        json_string: what `to_json` gave, here or in Keras.
        custom_objects: layers, losses, … of one's own that it names.

    Raises:
        FileError: RV601 when it is no JSON, or describes no model.

    Example:
        >>> import ranvier as keras
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> model_from_json(model.to_json()).count_params()
        3
    """
    from ranvier.models.model import Model
    from ranvier.models.registry import deserialize_layer

    try:
        described = json.loads(json_string)
    except (TypeError, ValueError, RecursionError) as fault:
        raise FileError(
            "RV601",
            "model_from_json: this is no JSON text",
            details=str(fault),
            fix="pass what model.to_json() returned",
        ) from fault
    made = deserialize_layer(described, custom_objects)
    if not isinstance(made, Model):
        raise FileError(
            "RV601",
            f"model_from_json: it describes {type(made).__name__}, which is no model",
        )
    return made


__all__ = ["clone_model", "model_from_json"]
