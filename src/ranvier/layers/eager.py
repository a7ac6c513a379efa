"""Layers called on arrays: their graph is traced once for each kind of input and run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ranvier.engines.choice import compile_graph
from ranvier.errors import ShapeError
from ranvier.graph import Dim, Spec, Tensor, Variable, trace, tree
from ranvier.graph.functions import as_tensor
from ranvier.graph.locks import building
from ranvier.graph.trace import constant_array
from ranvier.layers import tracking
from ranvier.layers.masks import mask_of, set_mask

_LIMIT = 64


def array_of(value: Any) -> np.ndarray[Any, Any]:
    """The array a layer is called on; float64 becomes float32, as everywhere."""
    if isinstance(value, (Tensor, Variable)):
        return value.numpy()
    detach = getattr(value, "detach", None)
    if detach is not None and hasattr(value, "cpu"):  # PyTorch's, with gradients
        value = detach().cpu()
    return constant_array(value)


def _is_data(value: Any) -> bool:
    return isinstance(value, (np.ndarray, Tensor, Variable, np.generic)) or (
        hasattr(value, "__array__") and not isinstance(value, (bool, int, float))
    )


def call_eagerly(layer: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Runs a layer on arrays through the engine; the graph is kept for next time."""
    args = tuple(_prepared(a) for a in args)
    kwargs = {k: _prepared(v) for k, v in kwargs.items()}
    flat = tree.flatten([args, kwargs])
    arrays = {str(i): array_of(v) for i, v in enumerate(flat) if _is_data(v)}
    arrays |= {
        f"mask{i}": array_of(mask_of(v))
        for i, v in enumerate(flat)
        if mask_of(v) is not None
    }
    rows = {a.shape[0] for a in arrays.values() if a.ndim}
    share = len(rows) == 1 and all(a.ndim for a in arrays.values())
    share = share and not tracking.stateful(layer)
    specs = {
        name: Spec(
            ((Dim.symbol("batch"), *a.shape[1:]) if share else a.shape), str(a.dtype)
        )
        for name, a in arrays.items()
    }
    key = (
        tuple(specs.items()),
        tuple(v if not _is_data(v) else None for v in map(_hashable, flat)),
        repr(tree.map_leaves(lambda _: 0, [args, kwargs])),
    )
    found = layer._eager.get((*key, tracking.structure(layer)))
    if found is None:
        with building:  # another thread may be building the same layer
            found = layer._eager.get((*key, tracking.structure(layer)))
            if found is None:
                found = _compiled(layer, args, kwargs, flat, specs)
                if len(layer._eager) >= _LIMIT:
                    layer._eager.clear()
                layer._eager[*key, tracking.structure(layer)] = found
    executable, outputs, owners = found
    values = executable.call(arrays)
    with building:
        layer._clear_losses()
        for i, part in enumerate(owners):
            part._call_losses.append(Tensor(value=np.asarray(values[f"loss{i}"])))
    leaves = [
        Tensor(value=np.asarray(values[str(i)]))
        for i in range(len(tree.flatten(outputs)))
    ]
    for i, leaf in enumerate(leaves):
        if f"mask{i}" in values:
            set_mask(leaf, Tensor(value=np.asarray(values[f"mask{i}"])))
    return tree.rebuild(outputs, leaves)


def _compiled(
    layer: Any,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    flat: Sequence[Any],
    specs: Mapping[str, Spec],
) -> tuple[Any, Any, list[Any]]:
    """The layer's graph for such arguments, compiled.

    Returns:
        The executable, the structure of the outputs, and the layers whose losses are
        its further outputs.
    """
    structure: list[Any] = []

    def run(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        leaves = [inputs.get(str(i), v) for i, v in enumerate(flat)]
        for i, leaf in enumerate(leaves):
            if f"mask{i}" in inputs:
                set_mask(leaf, inputs[f"mask{i}"])
        new_args, new_kwargs = tree.rebuild([args, kwargs], leaves)
        outputs = layer(*new_args, **new_kwargs)
        losses = [
            (part, loss)
            for part in layer._flatten_layers()
            for loss in part._call_losses
        ]
        structure.extend((outputs, [part for part, _ in losses]))
        found = {str(i): o for i, o in enumerate(tree.flatten(outputs))} | {
            f"loss{i}": as_tensor(loss) for i, (_, loss) in enumerate(losses)
        }
        return found | {
            f"mask{i}": mask_of(o)
            for i, o in enumerate(tree.flatten(outputs))
            if mask_of(o) is not None
        }

    try:
        graph = trace(run, specs)
    finally:
        layer._clear_losses()
    return compile_graph(graph), *structure


def _hashable(value: Any) -> Any:
    if _is_data(value):
        return value
    try:
        hash(value)
    except TypeError:
        return id(value)
    return value


def _prepared(value: Any) -> Any:
    """Lists of numbers become arrays, as Keras's layers take them."""
    if (
        isinstance(value, (list, tuple))
        and value
        and not any(_is_data(v) for v in tree.flatten(value))
    ):
        leaves = tree.flatten(value)
        if all(isinstance(v, (int, float, bool)) for v in leaves):
            return constant_array(value)
    return value


def output_shape(layer: Any, input_shape: Any) -> Any:
    """The output's shape for an input shape, by tracing the layer."""

    def is_shape(s: Any) -> bool:
        return isinstance(s, (tuple, list)) and all(
            x is None or isinstance(x, (int, np.integer)) for x in s
        )

    specs: dict[str, Spec] = {}

    def place(shape: Any) -> Any:
        if is_shape(shape):
            name = str(len(specs))
            sizes = tuple(
                Dim.symbol("batch" if axis == 0 else f"free{axis}")
                if s is None
                else int(s)
                for axis, s in enumerate(shape)
            )
            specs[name] = Spec(
                sizes, getattr(layer, "_input_dtype", None) or layer.compute_dtype
            )
            return name
        if isinstance(shape, Mapping):
            return {k: place(v) for k, v in shape.items()}
        if isinstance(shape, (list, tuple)):
            return type(shape)(place(s) for s in shape)
        raise ShapeError("RV100", f"this is no shape: {shape!r}", fix="(None, 784)")

    structure = place(input_shape)
    found: list[Any] = []

    def run(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        found.append(layer(tree.map_leaves(lambda n: inputs[n], structure)))
        return {}

    with building:
        trace(run, specs)
        layer._clear_losses()

    def shape_of(value: Any) -> Any:
        return tuple(None if isinstance(s, Dim) else s for s in value.shape)

    outputs = found[0]
    if hasattr(outputs, "shape"):
        return shape_of(outputs)
    return tree.map_leaves(shape_of, outputs)
