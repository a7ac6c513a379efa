"""A layer as a function of its variables: values in, values out, nothing kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ranvier.engines.choice import compile_graph
from ranvier.errors import ShapeError
from ranvier.graph import Spec, Tensor, Variable, current_trace, trace, tree
from ranvier.graph.functions import as_tensor
from ranvier.graph.locks import building
from ranvier.layers import tracking
from ranvier.layers.eager import _is_data, array_of


def stateless_call(
    layer: Any,
    trainable: Sequence[Any],
    non_trainable: Sequence[Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    return_losses: bool,
) -> tuple[Any, ...]:
    """See `Layer.stateless_call`."""
    if not layer.built:
        raise ShapeError(
            "RV106",
            f"stateless_call: {layer.name!r} has no variables yet",
            fix="call it once, or build(shape), before taking its variables",
        )
    own = [*layer.trainable_variables, *layer.non_trainable_variables]
    given = [*trainable, *non_trainable]
    _check(layer, own, given, len(trainable))
    if current_trace() is None:
        return _on_arrays(layer, given, len(trainable), args, kwargs, return_losses)
    return _in_trace(layer, own, given, len(trainable), args, kwargs, return_losses)


def _check(
    layer: Any, own: Sequence[Variable], given: Sequence[Any], trainable: int
) -> None:
    wanted = len(layer.trainable_variables)
    if len(own) != len(given) or trainable != wanted:
        raise ShapeError(
            "RV108",
            f"stateless_call: {layer.name!r} has {wanted} trainable and "
            f"{len(own) - wanted} other variables, got {trainable} and "
            f"{len(given) - trainable} values",
            fix="values in the order of trainable_variables and "
            "non_trainable_variables",
        )
    for variable, value in zip(own, given, strict=True):
        if tuple(np.shape(value)) != tuple(variable.shape):
            raise ShapeError(
                "RV108",
                f"stateless_call: variable {variable.path} has shape {variable.shape}, "
                f"the value {tuple(np.shape(value))}",
            )


def _in_trace(
    layer: Any,
    own: Sequence[Variable],
    given: Sequence[Any],
    trainable: int,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    return_losses: bool,
) -> tuple[Any, ...]:
    active = current_trace()
    assert active is not None
    before = {variable: active.read(variable) for variable in own}
    assigned = dict(active.assigned)
    try:
        for variable, value in zip(own, given, strict=True):
            active.bindings[variable] = active.lift(as_tensor(value, variable.dtype))
        outputs = layer(*args, **kwargs)
        after = [Tensor(node=active.read(variable)) for variable in own[trainable:]]
        losses = list(layer.losses) if return_losses else []
    finally:
        active.bindings.update(before)
        for variable in own:
            active.assigned.pop(variable, None)
            if variable in assigned:
                active.assigned[variable] = assigned[variable]
        layer._clear_losses()
    return (outputs, after, losses) if return_losses else (outputs, after)


def _on_arrays(
    layer: Any,
    given: Sequence[Any],
    trainable: int,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    return_losses: bool,
) -> tuple[Any, ...]:
    flat = tree.flatten([list(args), dict(kwargs)])
    arrays = {str(i): array_of(leaf) for i, leaf in enumerate(flat) if _is_data(leaf)}
    arrays |= {f"v{i}": array_of(value) for i, value in enumerate(given)}
    specs = {name: Spec(a.shape, str(a.dtype)) for name, a in arrays.items()}
    rest = tuple(None if _is_data(leaf) else repr(leaf) for leaf in flat)
    key = ("stateless", tuple(specs.items()), rest, return_losses)
    key = (*key, tracking.structure(layer))  # type: ignore[assignment]
    with building:
        found = layer._eager.get(key)
        if found is None:
            shape: list[Any] = []

            def run(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
                leaves = [inputs.get(str(i), leaf) for i, leaf in enumerate(flat)]
                new_args, new_kwargs = tree.rebuild([list(args), dict(kwargs)], leaves)
                values = [inputs[f"v{i}"] for i in range(len(given))]
                parts = stateless_call(
                    layer, values[:trainable], values[trainable:], new_args,
                    new_kwargs, return_losses,
                )  # fmt: skip
                shape.append(parts)
                return {str(i): as_tensor(o) for i, o in enumerate(tree.flatten(parts))}

            found = layer._eager[key] = compile_graph(trace(run, specs)), shape[0]
    executable, parts = found
    values = executable.call(arrays)
    leaves = [
        Tensor(value=np.asarray(values[str(i)]))
        for i in range(len(tree.flatten(parts)))
    ]
    result: tuple[Any, ...] = tree.rebuild(parts, leaves)
    return result


__all__ = ["stateless_call"]
