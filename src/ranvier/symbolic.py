"""Symbolic tensors: what `keras.Input` gives, and the calls that were made on them.

A layer, or a function of `ranvier.ops`, that is called on a `KerasTensor` is traced on
symbols of that shape, which builds it and tells the shapes of its outputs, and leaves a
`Node` behind. A functional model follows those nodes back from its outputs to its inputs;
when it runs, it makes the same calls on the tensors of a step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ranvier._lookup import auto_name
from ranvier.errors import ShapeError
from ranvier.graph import Dim, Spec, Tensor, Variable, trace, tree
from ranvier.graph.functions import as_tensor
from ranvier.graph.locks import building

#: Methods of Python's operators, and the functions of `ranvier.ops` they are.
_OPERATORS = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "true_divide",
    "floordiv": "floor_divide",
    "mod": "mod",
    "pow": "power",
    "matmul": "matmul",
    "and": "logical_and",
    "or": "logical_or",
    "xor": "logical_xor",
}
_COMPARISONS = {
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "ne": "not_equal",
}
_UNARY = {"neg": "negative", "abs": "absolute", "invert": "logical_not"}


class KerasHistory(NamedTuple):
    """Where a symbolic tensor came from.

    Attributes:
        operation: the layer or operation that made it.
        node_index: which call of it, in order.
        tensor_index: which of that call's outputs.
    """

    operation: Any
    node_index: int
    tensor_index: int


class KerasTensor:
    """A tensor without numbers, as `keras.Input` returns: a shape and a dtype.

    Layers, Python's operators and `ranvier.ops` take it and return such tensors.

    Args:
        shape: with ``None`` where free, the batch first.
        dtype: dtype.
        sparse: kept for Keras's signature.
        ragged: kept for Keras's signature.
        record_history: kept for Keras's signature.
        name: a name.

    Example:
        >>> import ranvier as keras
        >>> x = keras.Input((4,))
        >>> (keras.layers.Dense(3)(x) * 2.0).shape
        (None, 3)
    """

    #: Once there are some, functions look for them among their arguments.
    made = False
    _keras_mask: Any = None
    _keras_history: KerasHistory | None = None

    def __init__(
        self,
        shape: Sequence[int | None],
        dtype: Any = "float32",
        sparse: bool | None = False,
        ragged: bool | None = False,
        record_history: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if sparse or ragged:
            raise ShapeError("RV100", "sparse and ragged tensors are not supported")
        KerasTensor.made = True
        self.shape = tuple(shape)
        self.dtype = str(dtype)
        self.sparse = self.ragged = False
        self.name = name or auto_name("KerasTensor")

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def node(self) -> Node | None:
        """The call that made it; ``None`` for one made by hand."""
        history = self._keras_history
        if history is None:
            return None
        found: Node = history.operation._inbound_nodes[history.node_index]
        return found

    def reshape(self, newshape: Any) -> Any:
        """This tensor in another shape."""
        return _ops().reshape(self, newshape)

    def squeeze(self, axis: Any = None) -> Any:
        """This tensor without axes of one."""
        return _ops().squeeze(self, axis)

    def __getitem__(self, key: Any) -> Any:
        from ranvier.graph.functions import getitem
        from ranvier.operation import apply_operation

        return apply_operation("get_item", getitem, (self, key), {})

    def __round__(self, ndigits: int | None = None) -> Any:
        return _ops().round(self, ndigits or 0)

    def __iter__(self) -> Any:
        raise _no_numbers(self, "iteration")

    def __bool__(self) -> bool:
        raise _no_numbers(self, "if, and, or, not")

    def __float__(self) -> float:
        raise _no_numbers(self, "float()")

    def __int__(self) -> int:
        raise _no_numbers(self, "int()")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        raise _no_numbers(self, "numpy")

    #: NumPy leaves ``array + symbol`` to this class.
    __array_ufunc__ = None

    def __repr__(self) -> str:
        return f"<KerasTensor shape={self.shape}, dtype={self.dtype}, name={self.name}>"


def _ops() -> Any:
    from ranvier import ops

    return ops


def _operator(name: str, reflected: bool = False) -> Callable[..., Any]:
    def binary(self: Any, other: Any) -> Any:
        function = getattr(_ops(), name)
        return function(other, self) if reflected else function(self, other)

    return binary


def _unary(name: str) -> Callable[..., Any]:
    return lambda self: getattr(_ops(), name)(self)


for _python, _name in _OPERATORS.items():
    setattr(KerasTensor, f"__{_python}__", _operator(_name))
    setattr(KerasTensor, f"__r{_python}__", _operator(_name, reflected=True))
for _python, _name in _COMPARISONS.items():
    setattr(KerasTensor, f"__{_python}__", _operator(_name))
for _python, _name in _UNARY.items():
    setattr(KerasTensor, f"__{_python}__", _unary(_name))


def _no_numbers(tensor: KerasTensor, use: str) -> ShapeError:
    return ShapeError(
        "RV110",
        "a symbolic tensor has no numbers",
        details=f"{use} was asked of {tensor!r}",
        fix="ranvier.ops and layers take it; Python and NumPy see numbers in "
        "model.predict(...)",
    )


class Node:
    """A call of a layer or operation on symbolic tensors.

    Args:
        operation: what was called.
        args: arguments by position.
        kwargs: arguments by name.
        outputs: what the call gave, symbolic tensors in a structure.
    """

    def __init__(
        self,
        operation: Any,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        outputs: Any,
    ) -> None:
        self.operation = operation
        self.args, self.kwargs = tuple(args), dict(kwargs)
        self.structure = outputs
        self.outputs: list[KerasTensor] = tree.flatten(outputs)
        self.input_tensors = symbols_in([self.args, self.kwargs])
        index = len(operation._inbound_nodes)
        operation._inbound_nodes.append(self)
        for i, tensor in enumerate(self.outputs):
            tensor._keras_history = KerasHistory(operation, index, i)

    @property
    def is_input(self) -> bool:
        """Whether it declares an input rather than computing something."""
        return not self.input_tensors

    @property
    def output_tensors(self) -> list[KerasTensor]:
        """What the call gave, flat."""
        return self.outputs

    @property
    def parent_nodes(self) -> list[Node]:
        """The calls that made its arguments."""
        return [t.node for t in self.input_tensors if t.node is not None]

    def __repr__(self) -> str:
        return f"<Node operation={self.operation.name}>"


def symbols_in(value: Any) -> list[KerasTensor]:
    """The symbolic tensors in a structure."""
    return [leaf for leaf in tree.flatten(value) if isinstance(leaf, KerasTensor)]


def any_symbols(args: Iterable[Any], kwargs: Mapping[str, Any] | None = None) -> bool:
    """Whether a symbolic tensor is among the arguments, also inside lists and dicts."""
    if not KerasTensor.made:
        return False
    for value in args:
        kind = type(value)
        if kind is KerasTensor:
            return True
        if (kind is list or kind is tuple) and any_symbols(value):
            return True
        if kind is dict and any_symbols(value.values()):
            return True
    return bool(kwargs) and any_symbols(kwargs.values())  # type: ignore[union-attr]


def spec_of(tensor: KerasTensor) -> Spec:
    """The spec of a symbol for it: sizes that are free are named by their axis.

    Raises:
        ShapeError: RV113 for text.
    """
    if tensor.dtype == "string":
        raise ShapeError(
            "RV113",
            f"a layer or operation of numbers was called on text: {tensor!r}",
            fix="TextVectorization, StringLookup or Hashing first",
        )
    sizes = tuple(
        Dim.symbol("batch" if axis == 0 else f"free{axis}") if size is None else size
        for axis, size in enumerate(tensor.shape)
    )
    return Spec(sizes, tensor.dtype)


def free_sizes(shape: Iterable[Any]) -> tuple[Any, ...]:
    """A shape with ``None`` for sizes that are known only later."""
    return tuple(None if isinstance(size, Dim) else size for size in shape)


def evaluate(
    run: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """What a function gives for symbolic tensors: symbolic tensors again.

    The function is traced; what it records is thrown away. Results that are no tensors
    (a shape) come back as they are, with ``None`` for sizes known only later.
    """
    leaves = tree.flatten([list(args), dict(kwargs)])
    specs: dict[str, Spec] = {}
    for i, leaf in enumerate(leaves):
        if isinstance(leaf, KerasTensor):
            specs[str(i)] = spec_of(leaf)
            if leaf._keras_mask is not None:
                specs[f"mask{i}"] = spec_of(leaf._keras_mask)
    found: list[Any] = []

    def symbolic(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        values = [inputs.get(str(i), leaf) for i, leaf in enumerate(leaves)]
        for i, value in enumerate(values):
            if f"mask{i}" in inputs:
                value._keras_mask = inputs[f"mask{i}"]
        new_args, new_kwargs = tree.rebuild([list(args), dict(kwargs)], values)
        outputs = run(*new_args, **new_kwargs)
        if any(isinstance(o, (Tensor, Variable)) for o in tree.flatten(outputs)):
            found.append(tree.map_leaves(_symbol, outputs))
        else:
            found.append(_plain(outputs))
        return {}

    with building:
        trace(symbolic, specs)
    return found[0]


def _symbol(value: Any) -> KerasTensor:
    """A symbolic tensor for what a traced function gave."""
    if not isinstance(value, (Tensor, Variable, np.ndarray, np.generic, int, float)):
        raise ShapeError(
            "RV108",
            f"a {type(value).__name__} cannot be an output in a functional model",
            fix="return tensors, or lists, tuples and dicts of them",
        )
    tensor = as_tensor(value)
    made = KerasTensor(free_sizes(tensor.shape), tensor.dtype)
    mask = getattr(tensor, "_keras_mask", None)
    if mask is not None:
        made._keras_mask = KerasTensor(free_sizes(mask.shape), mask.dtype)
    return made


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(v) for v in value)
    return None if isinstance(value, Dim) else value


def record(
    operation: Any,
    run: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> Any:
    """Calls a layer or operation on symbolic tensors, and notes the call.

    Args:
        operation: has a name and a list of calls, ``_inbound_nodes``.
        run: what it does with tensors.
        args: arguments by position, symbolic tensors in them.
        kwargs: arguments by name.

    Returns:
        Symbolic tensors in the structure that `run` returns.
    """
    outputs = evaluate(run, args, kwargs)
    if symbols_in(outputs):
        Node(operation, args, kwargs, outputs)
    return outputs


__all__ = ["KerasHistory", "KerasTensor", "Node", "any_symbols", "evaluate", "record"]
