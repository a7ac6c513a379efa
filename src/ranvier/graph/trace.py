"""Running Python on symbols: tensors, the trace, and where a node came from."""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from ranvier.errors import DataError, ShapeError
from ranvier.graph.dims import Dim, Shape, unify
from ranvier.graph.ir import Graph, Node, Origin, Region, Spec, walk
from ranvier.graph.op import Composite, Op
from ranvier.graph.operators import Operators
from ranvier.graph.operators import functions as _functions

if TYPE_CHECKING:
    from ranvier.graph.variable import Variable

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
#: Not the user's: this package, NumPy calling back into tensors, generated code.
_LIBRARIES = (_PACKAGE, os.path.dirname(np.__file__) + os.sep, "<")
FLOATX = "float32"
_name_of = functools.cache(str)  # of a dtype; NumPy puts it together each time


class _State(threading.local):
    def __init__(self) -> None:
        self.traces: list[Trace] = []
        self.layer: str = ""
        self.role: str = "forward"
        self.origins: tuple[Origin, ...] | None = None


_state = _State()


def current_trace() -> Trace | None:
    """The innermost trace of this thread, or ``None`` when values are computed."""
    return _state.traces[-1] if _state.traces else None


@contextmanager
def scope(layer: str | None = None, role: str | None = None) -> Iterator[None]:
    """Nodes made inside come from this layer and this part of the step."""
    before = _state.layer, _state.role
    if layer is not None:
        _state.layer = layer
    if role is not None:
        _state.role = role
    try:
        yield
    finally:
        _state.layer, _state.role = before


@contextmanager
def derived_from(node: Node, role: str) -> Iterator[None]:
    """Nodes made inside inherit the origins of ``node``, with another role."""
    before = _state.origins
    _state.origins = tuple(o._replace(role=role) for o in node.origins)
    try:
        yield
    finally:
        _state.origins = before


def users_line() -> str:
    """The innermost ``file:line`` outside this package, as the user wrote it."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith(_LIBRARIES):
            return f"{name}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return ""


class Tensor(Operators):
    """A value: a symbol inside a trace, numbers outside.

    Works with numpy on both sides (``np.asarray(t)``, ``array + t``).
    """

    __slots__ = ("_keras_mask", "_node", "_value")

    _keras_mask: Any  # which of its entries count, where a layer said so

    def __init__(
        self, node: Node | None = None, value: np.ndarray[Any, Any] | None = None
    ) -> None:
        self._node = node
        self._value = value

    def alias(self) -> Tensor:
        """The same value as another object, which carries nothing but the value."""
        return Tensor(self._node, self._value)

    @property
    def node(self) -> Node | None:
        """The node of a symbol, ``None`` for a value."""
        return self._node

    @property
    def spec(self) -> Spec:
        """Shape and dtype."""
        if self._node is not None:
            return self._node.spec
        assert self._value is not None
        return Spec(self._value.shape, _name_of(self._value.dtype))

    @property
    def shape(self) -> Shape:
        """Shape; symbolic sizes are `Dim` objects usable in ``reshape``."""
        return self.spec.shape

    @property
    def dtype(self) -> str:
        """Dtype."""
        return self.spec.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.spec.shape)

    @property
    def size(self) -> Any:
        """Number of elements."""
        from ranvier.graph.dims import product

        return product(self.shape)

    @property
    def T(self) -> Tensor:
        """Axes reversed."""
        return _functions().transpose(self)

    def numpy(self) -> np.ndarray[Any, Any]:
        """The numbers; of a symbol, those of this batch where Python runs on each.

        Raises:
            ShapeError: RV110, when it is a symbol, which has none while a step is traced.
        """
        return self._numbers("numpy()")

    def _numbers(self, use: str) -> np.ndarray[Any, Any]:
        if self._value is not None:
            return self._value
        trace = current_trace()
        assert self._node is not None
        found = None if trace is None else trace.numbers(self._node)
        if found is None:
            raise _no_value(self, use)
        return found

    def __array__(
        self, dtype: Any = None, copy: bool | None = None
    ) -> np.ndarray[Any, Any]:
        array = self._numbers("numpy.asarray")
        return array.astype(dtype or array.dtype, copy=bool(copy))

    def __dlpack__(self, **kwargs: Any) -> Any:
        return self.numpy().__dlpack__(**kwargs)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.numpy().__dlpack_device__()

    def item(self) -> Any:
        """The only element as a Python number."""
        return self.numpy().item()

    def __float__(self) -> float:
        return float(self._only("float()"))

    def __int__(self) -> int:
        return int(self._only("int()"))

    def __index__(self) -> int:
        return int(self._only("an index"))

    def __bool__(self) -> bool:
        return bool(self._only("if, and, or, not"))

    def _only(self, use: str) -> Any:
        return self._numbers(use).item()

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a tensor without axes")
        return int(self.shape[0])  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Tensor]:
        if not self.shape or not isinstance(self.shape[0], int):
            raise _no_value(self, "iteration over an axis of unknown size")
        return (self[i] for i in range(self.shape[0]))

    def __format__(self, how: str) -> str:
        if self.ndim == 0 and (how or self._value is not None):
            return format(self._only("format()"), how)
        return format(str(self), how)

    def __repr__(self) -> str:
        trace = current_trace()
        if self._node is not None and trace is not None and trace.defines_by_run:
            return f"<Tensor {self.spec} {trace.numbers(self._node)}>"
        if self._node is not None:
            return f"<Tensor {self._node.spec} = {self._node.op.name}(…)>"
        return f"<Tensor {self.spec} {self._value}>"


def _no_value(tensor: Tensor, use: str) -> ShapeError:
    return ShapeError(
        "RV110",
        "a symbol has no value while a step is traced",
        details=f"{use} was asked of {tensor!r} at {users_line()}",
        fix="use ops.where or ops.cond for a choice that depends on values, or "
        "compile(run_eagerly=True), which runs Python on every batch",
    )


class Trace:
    """What is known while Python runs on symbols: the bindings of variables.

    Args:
        parent: The trace that this one is a region of.
        values: Numbers of the inputs, where a step is defined by running it: then every
            symbol has the numbers of this batch too.
        sizes: The integer of each symbolic size, with `values`.
    """

    def __init__(
        self,
        parent: Trace | None = None,
        values: Mapping[Node, Any] | None = None,
        sizes: Mapping[str, int] | None = None,
    ) -> None:
        self.parent = parent
        self._values = None if values is None else dict(values)
        self._sizes = sizes
        #: Lines of the user's at which numbers were taken out of the graph.
        self.taken: list[str] = []
        self.initial: dict[Variable, Node] = {}
        self.bindings: dict[Variable, Node] = {}
        self.assigned: dict[Variable, Node] = {}
        self.taps: dict[str, Node] = {}
        self.checks: dict[str, Node] = {}

    def read(self, variable: Variable) -> Node:
        """The current symbol of a variable."""
        node = self.bindings.get(variable)
        if node is None:
            if self.parent is not None:
                node = self.parent.read(variable)
            else:
                node = Node(VARIABLE, (), {"variable": variable}, variable.spec)
                self.initial[variable] = node
            self.bindings[variable] = node
        return node

    def assign(self, variable: Variable, node: Node) -> None:
        """Rebind a variable: ``node`` is its value from here on."""
        self.read(variable)
        self.bindings[variable] = node
        self.assigned[variable] = node

    @property
    def defines_by_run(self) -> bool:
        """Whether symbols have numbers."""
        return self.root._values is not None

    @property
    def root(self) -> Trace:
        """The trace of the whole step."""
        return self if self.parent is None else self.parent.root

    def numbers(self, node: Node) -> Any:
        """The numbers of a symbol in this batch; ``None`` where it has none."""
        from ranvier.graph.evaluate import Interpreter

        root = self.root
        if root._values is None:
            return None
        order = _walk_until([node], root._values)
        if any(n.op is PARAM for n in order):
            return None  # inside a loop or branch
        interpreter = Interpreter(root._sizes)
        for n in order:
            root._values[n] = (
                n.attrs["variable"].storage.read()
                if n.op is VARIABLE
                else interpreter.value(n, root._values)
            )
        root.taken.append(users_line())
        return root._values[node]

    def lift(self, tensor: Tensor) -> Node:
        """The node of a tensor; a value becomes a constant."""
        return tensor.node if tensor.node is not None else constant(tensor.numpy())


def tap(name: str, value: Any) -> Any:
    """Make a value inside a step an output of its graph, called ``tap:name``.

    Engines copy it out when it is collected; nothing else changes. Outside a trace
    nothing happens. In a loop or branch there is no one value to copy: return it.

    Returns:
        ``value``.

    Raises:
        ShapeError: RV100, for a name that is taken, or inside a loop or branch.
    """
    trace = current_trace()
    if trace is None:
        return value
    if trace.parent is not None or name in trace.taps:
        taken = name in trace.taps
        raise ShapeError(
            "RV100",
            f"tap {name!r} " + ("is taken" if taken else "is inside a loop or branch"),
            fix="another name" if taken else "return the value, and tap the result",
        )
    trace.taps[name] = trace.lift(_tensor(value))
    return value


def must_be_finite(name: str, value: Any) -> None:
    """Make a scalar of a step one that a run may check before it writes anything.

    Numbers that no step computes, and values inside a loop or branch, are left alone.

    Raises:
        ShapeError: RV108, when the value is not a floating scalar.
    """
    trace = current_trace()
    tensor = _tensor(value)
    if trace is None or trace.parent is not None or tensor.node is None:
        return
    if tensor.shape != () or not tensor.spec.floating:
        raise ShapeError("RV108", f"check {name!r} needs a scalar, got {tensor!r}")
    if tensor.dtype not in ("float32", "float64"):
        tensor = _functions().cast(tensor, "float32")
    trace.checks[name] = trace.lift(tensor)


def constant(value: np.ndarray[Any, Any]) -> Node:
    """A constant node. The array must not change afterwards."""
    return Node(CONST, (), {"value": value}, Spec(value.shape, str(value.dtype)))


def constant_array(value: Any, dtype: str | None = None) -> np.ndarray[Any, Any]:
    """An array from what the user gave; float64 becomes float32 unless asked for."""
    if isinstance(value, Tensor) or hasattr(value, "storage"):
        array = value.numpy()
    else:
        array = np.asarray(value)
        if dtype is None and array.dtype == np.float64:
            array = array.astype(FLOATX)
        if (
            dtype is None
            and array.dtype == np.int64
            and isinstance(value, (list, tuple))
        ):
            # Whole numbers in Python's lists are int32 as single ones are, where they fit.
            narrow = array.astype("int32")
            array = narrow if (narrow == array).all() else array
        if array.dtype.kind in "OUSMmV" and not (dtype and array.dtype == object):
            what = "Python objects" if array.dtype == object else str(array.dtype)
            raise DataError(
                "RV203",
                f"a tensor cannot be made from {what}",
                details=f"got {type(value).__name__} {str(value)[:60]!r}",
                fix="pass numbers of one type, or an array with a numeric dtype",
            )
    return array if dtype is None else array.astype(dtype, copy=False)


def _opaque_infer(specs: Sequence[Spec], attrs: dict[str, Any]) -> Spec:
    raise AssertionError("made by the trace, never applied")


def _opaque_ref(*_: Any, **__: Any) -> Any:
    raise AssertionError("bound by the engine, never evaluated")


def _leaf(name: str) -> Op:
    from ranvier.graph.op import op, stops

    return op(name, "leaf", _opaque_infer, _opaque_ref, stops("a leaf"))


INPUT = _leaf("input")
VARIABLE = _leaf("variable")
CONST = _leaf("const")
PARAM = _leaf("param")
GET = _leaf("get")


def get(node: Node, index: int) -> Node:
    """The ``index``-th result of a node that has several."""
    return Node(GET, (node,), {"index": index}, node.spec[index], node.origins)


def apply(op: Op | Composite, *args: Any, **attrs: Any) -> Any:
    """Apply an operation: record a node when any argument is a symbol, else compute.

    Returns:
        A `Tensor`, or a tuple of them for an operation with several results.
    """
    tensors = [_tensor(a) for a in args]
    trace = current_trace()
    symbolic = any(t.node is not None for t in tensors)
    if trace is not None and not symbolic:
        # Values among themselves fold at once, but for sizes known only later; and a
        # number is not spread out over a whole shape.
        symbolic = (
            not tensors
            or op.name == "broadcast_to"
            or any(_symbolic(a) for a in attrs.values())
        )
    if not symbolic:
        if isinstance(op, Composite):
            return op.body(*tensors, **attrs)
        op.infer([t.spec for t in tensors], attrs)
        if op.family == "region":
            from ranvier.graph.evaluate import Interpreter

            attrs |= {"evaluate": Interpreter().region, "sizes": {}}
        found = op.ref(*[t.numpy() for t in tensors], **attrs)
        if isinstance(found, tuple):
            return tuple(Tensor(value=np.asarray(f)) for f in found)
        return Tensor(value=np.asarray(found))
    nodes = [t.node if t.node is not None else constant(t.numpy()) for t in tensors]
    return wrap(make(op, nodes, attrs))


def _symbolic(attr: Any) -> bool:
    if isinstance(attr, (tuple, list)):
        return any(_symbolic(a) for a in attr)
    return isinstance(attr, Dim)


def make(op: Op | Composite, nodes: Sequence[Node], attrs: dict[str, Any]) -> Node:
    """A node of ``op``, with its spec inferred and its origin remembered."""
    specs = [node.spec for node in nodes]
    if isinstance(op, Composite):
        region = _region_of(op, specs, attrs)
        attrs = {**attrs, "body": region}
        found = tuple(node.spec for node in region.results)
        spec: Any = found if len(found) > 1 else found[0]
    else:
        spec = op.infer(specs, attrs)
    return Node(op, nodes, attrs, spec, _origin())  # type: ignore[arg-type]


def wrap(node: Node) -> Any:
    """The tensor of a node; a tuple of tensors when it has several results."""
    if isinstance(node.spec, tuple):
        return tuple(Tensor(node=get(node, i)) for i in range(len(node.spec)))
    return Tensor(node=node)


def _origin() -> tuple[Origin, ...]:
    if _state.origins is not None:
        return _state.origins
    return (Origin(_state.layer, users_line(), _state.role),)


def _tensor(value: Any) -> Tensor:
    if isinstance(value, Tensor):
        return value
    if hasattr(value, "storage"):
        return value.value
    return Tensor(value=constant_array(value))


_regions: dict[Any, Region] = {}


def _region_of(op: Composite, specs: Sequence[Spec], attrs: dict[str, Any]) -> Region:
    """The body of a composite for these specs; the same one for the same specs."""
    key = (op.name, tuple(specs), tuple(sorted(attrs.items())))
    region = _regions.get(key)
    if region is None:
        if len(_regions) > 512:
            _regions.clear()
        region = _regions[key] = op.region(specs, attrs)
    return region


@contextmanager
def tracing(trace: Trace) -> Iterator[Trace]:
    """Make ``trace`` the innermost one of this thread."""
    _state.traces.append(trace)
    try:
        yield trace
    finally:
        _state.traces.pop()


@contextmanager
def outside() -> Iterator[None]:
    """Values are computed inside, as if no trace were active: to make variables."""
    before = _state.traces
    _state.traces = []
    try:
        yield
    finally:
        _state.traces = before


def trace_region(fn: Callable[..., Any], specs: Sequence[Spec]) -> Region:
    """The region of a pure function of tensors with these specs."""
    params = tuple(Node(PARAM, (), {"index": i}, s) for i, s in enumerate(specs))
    with tracing(Trace(current_trace())) as trace:
        found = fn(*[Tensor(node=p) for p in params])
        found = found if isinstance(found, (tuple, list)) else (found,)
        results = tuple(trace.lift(_tensor(f)) for f in found)
    return Region(params, results)


def close_region(
    params: Sequence[Node], results: Sequence[Node], since: int
) -> tuple[Region, tuple[Node, ...]]:
    """Turn nodes made outside the region into parameters.

    Args:
        params: Parameters made for the region.
        results: What the region computes.
        since: Serial number at the region's start: older nodes were made outside.

    Returns:
        The closed region, whose last parameters stand for the captured nodes, and
        those nodes.
    """
    own = set(params)
    replaced: dict[Node, Node] = {}
    captured: list[Node] = []
    inner: dict[Node, bool] = {}
    order = walk(results)
    for node in order:
        inner[node] = node in own or any(inner[c] for c in node.inputs)
    # Anything old, and variables, come from outside; young nodes that depend on
    # nothing of the region (constants) stay in it.
    for node in order:
        if node in own:
            continue
        if node.op is VARIABLE or (node.serial < since and not inner[node]):
            consumed = any(
                node in user.inputs and (user.serial >= since or user in own)
                for user in order
            )
            if consumed or node in results:
                param = Node(
                    PARAM, (), {"index": len(params) + len(captured)}, node.spec
                )
                replaced[node] = param
                captured.append(node)
    closed = substitute(results, replaced)
    return Region((*params, *(replaced[c] for c in captured)), tuple(closed)), tuple(
        captured
    )


def substitute(results: Sequence[Node], replaced: Mapping[Node, Node]) -> list[Node]:
    """Rebuild ``results`` with some nodes replaced by others."""
    memo: dict[Node, Node] = dict(replaced)

    for node in _walk_until(results, memo):
        if node in memo:
            continue
        inputs = tuple(memo[c] for c in node.inputs)
        memo[node] = (
            node
            if inputs == node.inputs
            else Node(node.op, inputs, node.attrs, node.spec, node.origins)
        )
    return [memo[r] for r in results]


def _walk_until(results: Sequence[Node], stop: Mapping[Node, Node]) -> list[Node]:
    """As `walk`, without going below the nodes in ``stop``."""
    order: list[Node] = []
    seen: set[Node] = set(stop)
    for root in results:
        if root in seen:
            continue
        seen.add(root)
        stack = [(root, iter(root.inputs))]
        while stack:
            node, rest = stack[-1]
            for child in rest:
                if child not in seen:
                    seen.add(child)
                    stack.append((child, iter(child.inputs)))
                    break
            else:
                order.append(node)
                stack.pop()
    return order


def inline(node: Node) -> tuple[Node, ...]:
    """The results of a composite node as nodes of its body."""
    region: Region = node.attrs["body"]
    return call_region(region, node.inputs)


def call_region(region: Region, args: Sequence[Node]) -> tuple[Node, ...]:
    """The results of a region with its parameters replaced by ``args``."""
    return tuple(
        substitute(region.results, dict(zip(region.params, args, strict=True)))
    )


def trace(
    fn: Callable[..., Mapping[str, Any]],
    inputs: Mapping[str, Spec],
    values: Mapping[str, np.ndarray[Any, Any]] | None = None,
) -> Graph:
    """Trace a function of named inputs into a graph.

    Args:
        fn: Called with a dict of symbols; returns a dict of named outputs. Variables
            it assigns become updates of the graph.
        inputs: Spec of each input.
        values: An array for each input, to define the step by running it: inside,
            ``float(t)``, ``if t > 0`` and ``t.numpy()`` give the numbers for these
            arrays. The graph is one for such a run.

    Returns:
        The graph of the whole step.
    """
    placeholders = {
        name: Node(INPUT, (), {"name": name}, spec) for name, spec in inputs.items()
    }
    known: dict[Node, Any] | None = None
    sizes: dict[str, int] = {}
    if values is not None:
        known = {node: values[name] for name, node in placeholders.items()}
        for node, array in known.items():
            unify(node.shape, array.shape, sizes)
    with tracing(Trace(None, known, sizes)) as active:
        found = fn({name: Tensor(node=node) for name, node in placeholders.items()})
        outputs = {name: active.lift(_tensor(value)) for name, value in found.items()}
    outputs |= {f"tap:{name}": node for name, node in active.taps.items()}
    return Graph(placeholders, outputs, dict(active.assigned), active.checks)
