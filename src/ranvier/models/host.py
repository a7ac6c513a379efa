"""The part of a model that runs in Python on the data, before its compiled step.

Layers that look words up (`layers.host.HostLayer`) cannot be traced. In a functional model,
and so in a `Sequential`, they stand at the inputs: what they are called on comes from inputs
or from each other. `split` divides the calls of such a model in two; the first part runs on
arrays, and what it gives are the inputs of the second, which is traced like any model.
Outside, a model has one set of inputs: `prepared` is asked wherever data come in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ranvier import symbolic
from ranvier.data.arrays import any_leaf, as_leaf, structured
from ranvier.errors import ShapeError
from ranvier.graph import Tensor, Variable, current_trace, tree
from ranvier.layers.base import Layer
from ranvier.layers.host import HostLayer, needs_data
from ranvier.layers.input_spec import show, wrong_input
from ranvier.symbolic import KerasTensor, Node

if TYPE_CHECKING:
    from ranvier.models.function import Function

Array = np.ndarray[Any, Any]


class Prepared(list[Any]):
    """The inputs of the traced part of a model: what the part before it gave."""


class Raw(list[Any]):
    """Data of a model with a part before the step: an array for each of its inputs."""


@dataclass
class Call:
    """A call of a layer or operation: like a `Node`, but noted nowhere."""

    operation: Callable[..., Any]
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    outputs: list[KerasTensor]
    is_input: bool = False


@dataclass
class HostSection:
    """The two parts of a model that does not run in the compiled step alone.

    Attributes:
        function: the whole graph.
        before: calls that run in Python, on arrays.
        traced: calls of the compiled step.
        inputs: what the step begins with: inputs of the model, and results of `before`.
        apart: whether rows do not depend on each other in `before`.
    """

    function: Function
    before: list[Any]
    traced: list[Any]
    inputs: list[KerasTensor]
    apart: bool

    @property
    def places(self) -> dict[int, int]:
        """For those of `inputs` that are inputs of the model, which one."""
        own = {id(t): i for i, t in enumerate(self.function.inputs)}
        return {
            k: own[id(tensor)]
            for k, tensor in enumerate(self.inputs)
            if id(tensor) in own
        }

    @property
    def needed(self) -> list[int]:
        """Which inputs of the model the calls before the step take."""
        used = {id(t) for call in self.before for t in _symbols(call)}
        return [i for i, t in enumerate(self.function.inputs) if id(t) in used]

    def raw(self, x: Any, who: str) -> Raw:
        """Data as an array for each input, words among them.

        Raises:
            ShapeError: RV100 for another structure, RV103 for rows of another shape.
            DataError: RV203 for what is neither numbers nor text.
        """
        if isinstance(x, Raw):
            return x
        given = structured(x, "x", leaf=any_leaf)
        leaves = self.function.matched(given, who)
        needed = self.needed
        pairs = zip(leaves, self.function.inputs, strict=True)
        return Raw(
            _fitted(leaf, tensor.shape)
            if i in needed
            else as_leaf(leaf, f"input {tensor.name!r}")
            for i, (leaf, tensor) in enumerate(pairs)
        )

    def prepare(self, raw: Raw) -> Prepared:
        """What the traced part begins with, for these rows."""
        known = {
            id(t): value for t, value in zip(self.function.inputs, raw, strict=True)
        }
        self.function.go(self.before, known, _call)
        return Prepared(
            known[id(tensor)]
            if k in self.places
            else _checked(known[id(tensor)], tensor)
            for k, tensor in enumerate(self.inputs)
        )

    def outputs(self, raw: Raw) -> Any:
        """The model's outputs, where all of them are computed before the step."""
        known = {
            id(t): value for t, value in zip(self.function.inputs, raw, strict=True)
        }
        self.function.go(self.before, known, _call)
        found = [known[id(t)] for t in self.function.outputs]
        return tree.rebuild(self.function.outputs_struct, found)


# -- dividing ------------------------------------------------------------------------


def split(function: Function) -> HostSection | None:
    """The two parts of a graph; ``None`` where all of it can be traced.

    Raises:
        ShapeError: RV113 for a layer that needs data and is called on what the step
            computes.
    """
    if not any(_on_host(operation) for operation in function.operations):
        return None
    ready = {id(t) for t in function.inputs}
    before: list[Any] = []
    traced: list[Any] = []
    apart = True
    for node in function.nodes:
        if node.is_input or all(id(t) in ready for t in node.outputs):
            continue
        operation = node.operation
        section = section_of(operation)
        if section is not None and section.traced:
            first, second = _halves(operation, section, node)
            _check_ready(operation, first, ready)
            before.append(first)
            traced.append(second)
            ready.update(id(t) for t in first.outputs)
            apart &= section.apart
        elif section is not None or isinstance(operation, HostLayer):
            _check_ready(operation, node, ready)
            before.append(node)
            ready.update(id(t) for t in node.outputs)
            apart &= operation.rows_apart if section is None else section.apart
        else:
            traced.append(node)
    wanted = [t for call in traced for t in _symbols(call)] + function.outputs
    inputs = list({id(t): t for t in wanted if id(t) in ready}.values())
    if traced:
        for tensor in inputs:
            if tensor.dtype == "string":
                raise ShapeError(
                    "RV113",
                    f"text, {tensor!r}, cannot be an output beside what the model "
                    "computes",
                    fix="a model of its own for the text",
                )
    return HostSection(function, before, traced, inputs, apart)


def _on_host(operation: Any) -> bool:
    return isinstance(operation, HostLayer) or section_of(operation) is not None


def _symbols(call: Any) -> list[KerasTensor]:
    return symbolic.symbols_in([list(call.args), dict(call.kwargs)])


def _check_ready(operation: Any, call: Any, ready: set[int]) -> None:
    for tensor in _symbols(call):
        if id(tensor) not in ready:
            made = tensor.node
            by = "" if made is None else f" by {made.operation.name!r}"
            raise needs_data(operation, f"a tensor that is computed in the step{by}")


def _halves(model: Any, section: HostSection, node: Node) -> tuple[Call, Call]:
    """A call of a model with both parts, as a call of each."""
    first, *rest = node.args or [node.kwargs["inputs"]]
    kwargs = {k: v for k, v in node.kwargs.items() if k != "inputs"}
    leaves = section.function.matched(first, model.name)
    places = section.places
    begins = [
        leaves[places[k]] if k in places else KerasTensor(t.shape, t.dtype, name=t.name)
        for k, t in enumerate(section.inputs)
    ]
    made = [tensor for k, tensor in enumerate(begins) if k not in places]

    def compute(values: Sequence[Any]) -> list[Any]:
        raw = Raw([None] * len(section.function.inputs))
        for i, value in zip(section.needed, values, strict=True):
            raw[i] = _fitted(_plain(value), section.function.inputs[i].shape)
        found = section.prepare(raw)
        return [value for k, value in enumerate(found) if k not in places]

    def go_on(values: Sequence[Any], *args: Any, **kwargs: Any) -> Any:
        return model(Prepared(values), *args, **kwargs)

    taken = [leaves[i] for i in section.needed]
    return (
        Call(compute, (taken,), {}, made),
        Call(go_on, (begins, *rest), kwargs, node.outputs),
    )


def section_of(model: Any) -> HostSection | None:
    """The division of a functional model, a `Sequential` among them, that has two parts."""
    function = getattr(model, "__dict__", {}).get("_function")
    return None if function is None else function.host


def needs_data_first(model: Any) -> bool:
    """Whether a layer in a model, or in a model in it, runs in Python on the data."""
    return any(isinstance(layer, HostLayer) for layer in model._flatten_layers())


def begun(model: Any, x: Any) -> HostSection | None:
    """The division of a model, which is built for these data if it was not yet."""
    if model.__dict__.get("_function") is None and not model.built:
        from ranvier.models.sequential import Sequential

        if isinstance(model, Sequential) and needs_data_first(model):
            if current_trace() is not None:
                raise needs_data(model)
            if not isinstance(x, KerasTensor):
                leaves = tree.flatten(structured(x, "x", leaf=any_leaf))
                x = leaves[0]
            model.build((None, *x.shape[1:]))
    return section_of(model)


# -- running -------------------------------------------------------------------------


def _call(operation: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    return tree.map_leaves(_plain, operation(*args, **kwargs))


def _plain(value: Any) -> Any:
    return value.numpy() if isinstance(value, (Tensor, Variable)) else value


def _fitted(array: Array, want: Sequence[Any]) -> Array:
    """Rows as an input takes them: a last axis of one may be missing or too much.

    Raises:
        ShapeError: RV103 for rows of another shape.
    """
    got = array.shape
    if len(got) == len(want) + 1 and got[-1] == 1:
        array = array[..., 0]
    elif len(got) == len(want) - 1 and want[-1] == 1:
        array = array[..., None]
    if not _agree(array.shape, want):
        raise wrong_input(got, want)
    return array


def _agree(shape: Sequence[Any], want: Sequence[Any]) -> bool:
    return len(shape) == len(want) and all(
        w is None or w == s for s, w in zip(shape[1:], want[1:], strict=True)
    )


def _checked(array: Any, tensor: KerasTensor) -> Array:
    """What a layer gave, of the shape for which the rest of the model was made.

    Raises:
        ShapeError: RV103, when it has learned other words since then; RV113 for text.
    """
    if tensor.dtype == "string":
        raise ShapeError(
            "RV113",
            "a model that gives text has no compiled step",
            fix="call it: model(x)",
        )
    if not _agree(array.shape, tensor.shape):
        raise ShapeError(
            "RV103",
            f"{tensor.name!r} was {show(tensor.shape)} when the model was made, and is "
            f"{array.shape} now",
            details="its vocabulary has changed since",
            fix="adapt() before the layer is called in a model, or "
            "pad_to_max_tokens=True",
        )
    return np.asarray(array, tensor.dtype)


def prepared(model: Any, x: Any) -> Any:
    """Data as the model's step takes them: words have been looked up.

    Args:
        model: a model.
        x: what a user calls it on; it comes back as it is where nothing is to be done.
    """
    if isinstance(x, Prepared):
        return x
    section = begun(model, x)
    return x if section is None else section.prepare(section.raw(x, model.name))


def called(
    model: Any, section: HostSection, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """A call of a model with a part before the step, on data or symbolic tensors.

    Raises:
        ShapeError: RV113 for what a step computes.
    """
    inputs, *rest = args or [kwargs["inputs"]]
    further = {k: v for k, v in kwargs.items() if k != "inputs"}
    if isinstance(inputs, Prepared):
        return Layer.__call__(model, inputs, *rest, **further)
    if symbolic.any_symbols((inputs,)):
        outputs = _symbolic(model, section, inputs, further)
        Node(model, args, kwargs, outputs)
        return outputs
    if current_trace() is not None:
        raise needs_data(model)
    raw = section.raw(inputs, model.name)
    if section.traced:
        return Layer.__call__(model, section.prepare(raw), *rest, **further)
    return tree.map_leaves(_result, section.outputs(raw))


def _result(value: Any) -> Any:
    """Numbers as a tensor; text stays an array."""
    return Tensor(value=value) if value.dtype.kind in "fiub" else value


def _symbolic(
    model: Any, section: HostSection, inputs: Any, kwargs: Mapping[str, Any]
) -> Any:
    """The symbolic outputs of a call of the model, which is not yet noted."""
    leaves = section.function.matched(inputs, model.name)
    if not section.traced:

        def made(tensor: KerasTensor) -> KerasTensor:
            return KerasTensor(tensor.shape, tensor.dtype)

        return tree.map_leaves(made, section.function.outputs_struct)
    places = section.places
    begins = [
        leaves[places[k]] if k in places else tensor
        for k, tensor in enumerate(section.inputs)
    ]

    def run(*values: Any) -> Any:
        return Layer.__call__(model, Prepared(values), **kwargs)

    outputs = symbolic.evaluate(run, begins, {})
    model._clear_losses()
    return outputs


__all__ = [
    "HostSection",
    "Prepared",
    "Raw",
    "begun",
    "called",
    "needs_data_first",
    "prepared",
    "section_of",
    "split",
]
