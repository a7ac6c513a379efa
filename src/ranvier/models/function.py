"""The graph of calls between symbolic inputs and outputs, and how it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ranvier import ops
from ranvier.errors import ShapeError
from ranvier.graph import tree
from ranvier.layers.base import Layer
from ranvier.layers.input_spec import dims_of, show, wrong_input
from ranvier.layers.masks import leaves_with_none, mask_of, masked, set_mask
from ranvier.layers.reshaping import Input, InputLayer
from ranvier.models.host import HostSection, Prepared, split
from ranvier.symbolic import KerasHistory, KerasTensor, Node

Call = Callable[[Any, Sequence[Any], Mapping[str, Any]], Any]
_map = tree.map_leaves


@dataclass(frozen=True)
class _Place:
    """A symbolic tensor in a list of calls: which call made it, as which output."""

    call: int
    index: int


@dataclass(frozen=True)
class _Described:
    """A symbolic tensor by what it is made with."""

    shape: tuple[int | None, ...]
    dtype: str
    name: str


class Function:
    """What leads from symbolic inputs to symbolic outputs.

    Args:
        inputs: symbolic tensors in a structure. Those that are no `keras.Input` but came
            out of a layer get inputs of their own: the graph begins there.
        outputs: symbolic tensors in a structure.

    Attributes:
        inputs: the inputs, flat.
        outputs: the outputs, flat.
        nodes: the calls, each after those it needs.
        operations: the layers and operations that are called, in Keras's order: by
            depth, as its files and `get_weights` have them.
        host: where some calls run in Python on the data, the division of the calls;
            else ``None``.

    Raises:
        ShapeError: RV100 for what is no symbolic tensor; RV112 when the inputs do not
            lead to the outputs; RV108 for two layers of one name; RV113 for a layer
            that needs data and is called on what the step computes.
    """

    def __init__(self, inputs: Any, outputs: Any) -> None:
        for what, given in (("inputs", inputs), ("outputs", outputs)):
            _check(what, given)
        begins = tree.flatten(inputs)
        if not all(_declared(tensor) for tensor in begins):
            inputs, outputs = _begin_anew(inputs, outputs)
        self._follow(inputs, outputs)
        _check_names(self.operations)

    def _follow(self, inputs: Any, outputs: Any) -> None:
        self.inputs_struct, self.outputs_struct = inputs, outputs
        self.inputs: list[KerasTensor] = tree.flatten(inputs)
        self.outputs: list[KerasTensor] = tree.flatten(outputs)
        self.nodes, traversal = _walk(self.inputs, self.outputs)
        _check_connected(self.nodes, self.inputs, self.outputs)
        self.operations = _in_order(self.nodes, traversal, self.inputs)
        #: The calls of each operation that belong to this graph.
        self.calls: dict[int, list[Node]] = {id(op): [] for op in self.operations}
        kept = {id(node) for node in self.nodes}
        for operation in self.operations:
            for node in operation._inbound_nodes:
                if id(node) in kept or (
                    node.is_input and node.outputs[0] in self.inputs
                ):
                    self.calls[id(operation)].append(node)
        self.host: HostSection | None = split(self)

    @property
    def layers(self) -> list[Layer]:
        """The layers among the operations, inputs included."""
        return [op for op in self.operations if isinstance(op, Layer)]

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs."""
        return [tensor.name for tensor in self.inputs]

    @property
    def output_names(self) -> list[str]:
        """Names of the layers or operations that give the outputs."""
        return [str(_history(tensor).operation.name) for tensor in self.outputs]

    # ------------------------------------------------------------------- running

    def run(self, values: Sequence[Any], call: Call | None = None) -> Any:
        """Makes all calls.

        Args:
            values: a tensor for each input; symbolic ones give symbolic outputs.
            call: makes a call: of an operation, with arguments by position and by name.
        """
        known = {id(t): v for t, v in zip(self.inputs, values, strict=True)}
        return self._results(self.nodes, known, call)

    def run_traced(self, values: Sequence[Any], call: Call | None = None) -> Any:
        """Makes the calls behind those that run on data; see `host`.

        Args:
            values: a tensor for each of `host.inputs`.
            call: makes a call, as for `run`.
        """
        assert self.host is not None
        pairs = zip(self.host.inputs, values, strict=True)
        known = {id(tensor): value for tensor, value in pairs}
        return self._results(self.host.traced, known, call)

    def _results(self, calls: Sequence[Any], known: Any, call: Call | None) -> Any:
        self.go(calls, known, call)
        return tree.rebuild(self.outputs_struct, [known[id(t)] for t in self.outputs])

    @staticmethod
    def go(
        calls: Sequence[Any], known: dict[int, Any], call: Call | None = None
    ) -> None:
        """Makes calls, and adds what they give to what is known of each tensor."""

        def filled(leaf: Any) -> Any:
            return known[id(leaf)] if isinstance(leaf, KerasTensor) else leaf

        for node in calls:
            if node.is_input or all(id(t) in known for t in node.outputs):
                continue
            args = [_map(filled, a) for a in node.args]
            kwargs = {k: _map(filled, v) for k, v in node.kwargs.items()}
            made = (
                node.operation(*args, **kwargs)
                if call is None
                else call(node.operation, args, kwargs)
            )
            known.update(
                (id(t), v)
                for t, v in zip(node.outputs, tree.flatten(made), strict=True)
            )

    def matched(self, given: Any, who: str = "the model") -> list[Any]:
        """The parts of a given structure, in the order of the inputs.

        A dict is matched by the names of the inputs where these are in a list.

        Raises:
            ShapeError: RV100 for another structure, a missing or an unknown input.
        """
        want = self.inputs_struct
        if len(self.inputs) > 1 and isinstance(given, Mapping):
            if isinstance(want, Mapping):
                names = sorted(want)
                if all(isinstance(want[n], KerasTensor) for n in names):
                    return [given[n] for n in self._names(names, given, who)]
            elif all(isinstance(t, KerasTensor) for t in want):
                names = list(self._names(self.input_names, given, who, extra=True))
                return [given[n] for n in names]
        leaves = tree.flatten(given)
        if len(leaves) != len(self.inputs):
            raise ShapeError(
                "RV100",
                f"{who} takes {_inputs_in_words(self.inputs)}, got {len(leaves)}",
                fix=_call_in_words(self.inputs_struct),
            )
        return leaves

    def _names(
        self,
        names: Sequence[str],
        given: Mapping[str, Any],
        who: str,
        extra: bool = False,
    ) -> Sequence[str]:
        missing = [n for n in names if n not in given]
        unknown = [] if extra else [n for n in given if n not in names]
        if missing or unknown:
            raise ShapeError(
                "RV100",
                f"{who} has no input {unknown[0]!r}"
                if not missing
                else f"{who}: input {missing[0]!r} is missing",
                details=f"inputs: {', '.join(names)}; got: {', '.join(map(str, given))}",
                fix=_call_in_words(self.inputs_struct),
            )
        return names

    def adjusted(self, given: Any, who: str) -> list[Any]:
        """Tensors fit for `run`: of the inputs' dtypes and numbers of axes.

        Raises:
            ShapeError: RV100 for another structure, RV103 for another shape.
        """
        leaves = self.matched(given, who)
        return [
            fitted(x, t.shape, t.dtype)
            for x, t in zip(leaves, self.inputs, strict=True)
        ]

    # ------------------------------------------------------------------- copying

    def __getstate__(self) -> dict[str, Any]:
        """What a copy takes along: the list of calls, flat however deep the graph."""
        nodes = [self._input_node(t) for t in self.inputs]
        nodes += [n for n in self.nodes if not n.is_input]
        places = {
            id(t): _Place(i, k)
            for i, n in enumerate(nodes)
            for k, t in enumerate(n.outputs)
        }

        def place(leaf: Any) -> Any:
            return places[id(leaf)] if isinstance(leaf, KerasTensor) else leaf

        calls = [
            (
                node.operation,
                [_map(place, a) for a in node.args],
                {k: _map(place, v) for k, v in node.kwargs.items()},
                _map(lambda t: _Described(t.shape, t.dtype, t.name), node.structure),
            )
            for node in nodes
        ]
        return {
            "calls": calls,
            "inputs": _map(place, self.inputs_struct),
            "outputs": _map(place, self.outputs_struct),
        }

    @staticmethod
    def _input_node(tensor: KerasTensor) -> Node:
        node = tensor.node
        assert node is not None
        return node

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        made: list[Node] = []

        def tensor(leaf: Any) -> Any:
            return made[leaf.call].outputs[leaf.index] if type(leaf) is _Place else leaf

        for operation, args, kwargs, structure in state["calls"]:
            if isinstance(operation, InputLayer):
                made.append(operation._inbound_nodes[0])
                continue
            outputs = _map(
                lambda d: KerasTensor(d.shape, d.dtype, name=d.name), structure
            )
            Node(
                operation,
                [_map(tensor, a) for a in args],
                {k: _map(tensor, v) for k, v in kwargs.items()},
                outputs,
            )
            made.append(operation._inbound_nodes[-1])
        self._follow(_map(tensor, state["inputs"]), _map(tensor, state["outputs"]))


# -- following the calls -------------------------------------------------------------


def _history(tensor: KerasTensor) -> KerasHistory:
    assert tensor._keras_history is not None
    return tensor._keras_history


def _declared(tensor: KerasTensor) -> bool:
    """Whether a tensor is a `keras.Input`."""
    node = tensor.node
    return node is not None and node.is_input


def _begin_anew(inputs: Any, outputs: Any) -> tuple[Any, Any]:
    """Inputs of their own for a graph that begins behind layers, and its outputs."""

    def begun(tensor: KerasTensor) -> KerasTensor:
        if _declared(tensor):
            return tensor
        return Input(
            batch_shape=tensor.shape, dtype=tensor.dtype, name=f"{tensor.name}CLONE"
        )

    inner = object.__new__(Function)
    inner._follow(inputs, outputs)
    fresh = _map(begun, inputs)
    return fresh, inner.run(tree.flatten(fresh))


def _walk(
    inputs: Sequence[KerasTensor], outputs: Sequence[KerasTensor]
) -> tuple[list[Node], dict[int, int]]:
    """The calls that lead to the outputs, each after those it needs.

    Returns:
        The calls, and in which order their operations were met, from the outputs on.
    """
    given = {id(t) for t in inputs}
    order: list[Node] = []
    met: dict[int, int] = {}
    seen: set[int] = set()

    def entered(tensor: KerasTensor) -> Node | None:
        node = tensor.node
        if node is None or id(node) in seen:
            return None
        if id(tensor) in given and not node.is_input:
            return None
        seen.add(id(node))
        met.setdefault(id(node.operation), len(met))
        return node

    for output in outputs:
        first = entered(output)
        if first is None:
            continue
        stack: list[tuple[Node, Iterator[KerasTensor]]] = [
            (first, iter(first.input_tensors))
        ]
        while stack:
            node, rest = stack[-1]
            for tensor in rest:
                inner = entered(tensor)
                if inner is not None:
                    stack.append((inner, iter(inner.input_tensors)))
                    break
            else:
                order.append(node)
                stack.pop()
    return order, met


def _in_order(
    nodes: Sequence[Node], met: dict[int, int], inputs: Sequence[KerasTensor]
) -> list[Any]:
    """The operations as Keras lists them: the furthest from the outputs first."""
    depths: dict[int, int] = {}
    of_operation: dict[int, int] = {}
    operations: dict[int, Any] = {}
    kept = {id(node) for node in nodes}
    for node in reversed(nodes):
        key = id(node.operation)
        operations[key] = node.operation
        depth = max(depths.get(id(node), 0), of_operation.get(key, 0))
        depths[id(node)] = of_operation[key] = depth
        for parent in node.parent_nodes:
            if id(parent) in kept:
                depths[id(parent)] = max(depth + 1, depths.get(id(parent), 0))
    for tensor in inputs:  # those that no output needs
        unused = tensor.node
        if unused is None or not unused.is_input:
            continue
        if id(unused.operation) not in operations:
            key = id(unused.operation)
            operations[key], of_operation[key], met[key] = unused.operation, 0, -1
    keys = sorted(operations, key=lambda k: (-of_operation[k], met[k]))
    return [operations[k] for k in keys]


# -- checks --------------------------------------------------------------------------


def _check(what: str, given: Any) -> None:
    leaves = tree.flatten(given)
    for leaf in leaves:
        if not isinstance(leaf, KerasTensor):
            raise ShapeError(
                "RV100",
                f"Model({what}=...) takes symbolic tensors, got {type(leaf).__name__}",
                details=f"{leaf!r}"[:80],
                fix="x = keras.Input(shape); y = layer(x); keras.Model(x, y)",
            )
    if not leaves:
        raise ShapeError("RV100", f"Model({what}=...) is empty")


def _check_connected(
    nodes: Sequence[Node], inputs: Sequence[KerasTensor], outputs: Sequence[KerasTensor]
) -> None:
    """Refuses outputs that cannot be computed from the inputs alone."""
    known = {id(t) for t in inputs}
    for node in nodes:
        if node.is_input:
            continue
        for tensor in node.input_tensors:
            if id(tensor) not in known:
                raise _disconnected(tensor, f"layer {node.operation.name!r} needs it")
        known.update(id(t) for t in node.outputs)
    for tensor in outputs:
        if id(tensor) not in known:
            raise _disconnected(tensor, "it is an output")


def _disconnected(tensor: KerasTensor, why: str) -> ShapeError:
    node = tensor.node
    name = tensor.name if node is None else node.operation.name
    kind = "keras.Input" if node is not None and node.is_input else "tensor of"
    return ShapeError(
        "RV112",
        f"the inputs do not lead to {kind} {name!r}",
        details=f"{why}; shape {show(tensor.shape)}",
        fix=f"add {name!r} to the inputs of the model"
        if kind == "keras.Input"
        else "begin at keras.Input, and pass every input that the outputs need",
    )


def _check_names(operations: Sequence[Any]) -> None:
    names: set[str] = set()
    for operation in operations:
        if operation.name in names:
            raise ShapeError(
                "RV108",
                f"two layers are named {operation.name!r}",
                fix="give each a name of its own",
            )
        names.add(operation.name)


# -- what a model is called on -------------------------------------------------------


def fitted(x: Any, want: Sequence[Any], dtype: str | None) -> Any:
    """A tensor as an input takes it: a last axis of one may be missing or too much.

    Raises:
        ShapeError: RV103 for rows of another shape.
    """
    if isinstance(x, KerasTensor):
        return x
    mask = mask_of(x)
    x = ops.convert_to_tensor(x)
    if dtype is not None and x.dtype != dtype:
        x = ops.cast(x, dtype)
    got = dims_of(x)
    if len(got) == len(want) + 1 and got[-1] == 1:
        x = ops.squeeze(x, -1)
    elif len(got) == len(want) - 1 and want[-1] == 1:
        x = ops.expand_dims(x, -1)
    adjusted = dims_of(x)
    if len(want) != len(adjusted) or any(
        w is not None and g is not None and w != g
        for w, g in zip(want[1:], adjusted[1:], strict=True)
    ):
        raise wrong_input(got, want)
    if mask is not None and mask_of(x) is None:
        x = x.alias()
        set_mask(x, mask)
    return x


def _inputs_in_words(inputs: Sequence[KerasTensor]) -> str:
    names = ", ".join(t.name for t in inputs)
    return (
        f"{len(inputs)} inputs ({names})" if len(inputs) > 1 else f"one input ({names})"
    )


def _call_in_words(structure: Any) -> str:
    if isinstance(structure, Mapping):
        return "pass {" + ", ".join(f"{k!r}: ..." for k in structure) + "}"
    if isinstance(structure, (list, tuple)):
        names = ", ".join(getattr(t, "name", "...") for t in structure)
        return f"pass [{names}] in this order, or a dict with these names"
    return "pass one array"


def run_function(
    function: Function, who: str, inputs: Any, training: bool | None, mask: Any
) -> Any:
    """What a functional model gives for tensors.

    Args:
        function: its graph.
        who: its name, for messages.
        inputs: tensors in the structure of its inputs.
        training: handed to every layer that knows the difference, also to one that was
            told otherwise when the graph was made (as Keras does); ``None`` leaves each
            as it was.
        mask: masks of the inputs, in their structure.
    """
    begun = isinstance(inputs, Prepared) and function.host is not None
    if begun:
        assert function.host is not None
        pairs = zip(inputs, function.host.inputs, strict=True)
        values = [fitted(x, t.shape, t.dtype) for x, t in pairs]
    else:
        values = function.adjusted(inputs, who)
    if mask is not None:
        given = leaves_with_none(mask)
        for i, one in enumerate(given[: len(values)]):
            if one is not None and mask_of(values[i]) is not one:
                values[i] = masked(values[i], one)

    def call(operation: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if training is not None and "training" in kwargs:
            kwargs = {**kwargs, "training": training}
        return operation(*args, **kwargs)

    found = (function.run_traced if begun else function.run)(values, call)
    if isinstance(found, (list, tuple)) and len(found) == 1:
        return found[0]
    return found
