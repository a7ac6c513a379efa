"""Gradients of Python functions, nested at will, and functions with gradients of their own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from ranvier.errors import ShapeError
from ranvier.graph import tree
from ranvier.graph.evaluate import Interpreter
from ranvier.graph.functions import as_tensor, zeros_like
from ranvier.graph.ir import Node, Region, _serial
from ranvier.graph.op import REGISTRY, Composite
from ranvier.graph.passes.grad import gradients
from ranvier.graph.trace import (
    INPUT,
    PARAM,
    Tensor,
    Trace,
    apply,
    call_region,
    close_region,
    current_trace,
    tracing,
)


def value_and_grad(
    fn: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    variables: Sequence[Any] | None = None,
    has_aux: bool = False,
) -> Callable[..., tuple[Any, Any]]:
    """A function that gives the value of ``fn`` and its gradient.

    It works on symbols inside a step and on arrays outside of one, and nests: the
    gradient of a function that itself uses a gradient is the second derivative.

    Args:
        fn: Gives a scalar; ``(scalar, anything)`` with ``has_aux``.
        argnums: Which arguments to differentiate with respect to: tensors or nests.
        variables: Differentiate with respect to these instead of arguments.
        has_aux: Whether ``fn`` gives something besides the scalar.

    Returns:
        A function of the same arguments that gives ``(value of fn, gradient)``. The
        gradient has the structure of the argument; a list for ``variables``; a tuple
        for several ``argnums``. Where nothing depends on a tensor its gradient is 0.

    Raises:
        ShapeError: RV108, when ``fn`` does not give a scalar.

    Example:
        >>> from ranvier.graph.autodiff import value_and_grad
        >>> from ranvier import ops
        >>> y, g = value_and_grad(lambda x: ops.sum(x * x))([1.0, 2.0])
        >>> float(y), g.numpy()
        (5.0, array([2., 4.], dtype=float32))
    """

    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        if current_trace() is None:
            return _eagerly(symbolic, args, kwargs)
        return symbolic(*args, **kwargs)

    def symbolic(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        wanted = (argnums,) if isinstance(argnums, int) else tuple(argnums)
        new = list(args)
        if variables is None:
            for i in wanted:
                new[i] = tree.map_leaves(_fresh, _as_tree(args[i]))
        value = fn(*new, **kwargs)
        scalar = as_tensor(value[0] if has_aux else value)
        if variables is not None:
            found = gradients(scalar, list(variables))
            return value, [
                zeros_like(v) if g is None else g
                for v, g in zip(variables, found, strict=True)
            ]
        leaves = [tree.flatten(new[i]) for i in wanted]
        flat = [leaf for part in leaves for leaf in part]
        found = gradients(scalar, flat)
        full = iter(
            zeros_like(x) if g is None else g for x, g in zip(flat, found, strict=True)
        )
        grads = tuple(
            tree.rebuild(new[i], [next(full) for _ in part])
            for i, part in zip(wanted, leaves, strict=True)
        )
        return value, grads[0] if isinstance(argnums, int) else grads

    return call


def grad(
    fn: Callable[..., Any], argnums: int | Sequence[int] = 0
) -> Callable[..., Any]:
    """A function that gives the gradient of ``fn``; see `value_and_grad`."""
    both = value_and_grad(fn, argnums)
    return functools.wraps(fn)(lambda *args, **kwargs: both(*args, **kwargs)[1])


def _as_tree(value: Any) -> Any:
    """Lists of plain numbers are one tensor, lists of tensors a nest."""
    leaves = tree.flatten(value)
    plain = all(isinstance(leaf, (bool, int, float)) for leaf in leaves)
    return as_tensor(value) if leaves and plain else value


def _fresh(value: Any) -> Tensor:
    """A node of its own with the same value: other uses of it do not count."""
    trace = current_trace()
    assert trace is not None
    node = trace.lift(as_tensor(value))
    attrs = {"dtype": node.dtype}
    return Tensor(node=Node(REGISTRY["cast"], (node,), attrs, node.spec, node.origins))


def _eagerly(
    fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Trace a function of arrays, evaluate it at once, and write what it assigned."""
    trees = [_as_tree(a) for a in args]
    arrays = [as_tensor(leaf).numpy() for leaf in tree.flatten(trees)]
    specs = [as_tensor(a).spec for a in arrays]
    inputs = [Node(INPUT, (), {"name": str(i)}, s) for i, s in enumerate(specs)]
    with tracing(Trace()) as trace:
        found = fn(*tree.rebuild(trees, [Tensor(node=n) for n in inputs]), **kwargs)
        results = [trace.lift(as_tensor(leaf)) for leaf in tree.flatten(found)]
    known = dict(zip(inputs, arrays, strict=True))
    known |= {node: v.numpy() for v, node in trace.initial.items()}
    values = Interpreter().run([*results, *trace.assigned.values()], known)
    for variable, value in zip(trace.assigned, values[len(results) :], strict=True):
        variable.assign(value)
    return tree.rebuild(found, [Tensor(value=v) for v in values[: len(results)]])


def custom_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function a gradient of its own, as Keras's ``ops.custom_gradient``.

    Args:
        f: Takes tensors; gives ``(result, backward)``, where ``backward(*upstream)``
            gives one gradient (or ``None``) for each argument. ``backward`` may use
            whatever ``f`` computed.

    Returns:
        The function that gives only the result.

    Raises:
        ShapeError: RV108, when ``backward`` does not give one gradient an argument.

    Example:
        >>> from ranvier.graph.autodiff import custom_gradient, grad
        >>> from ranvier import ops
        >>> @custom_gradient
        ... def straight_through(x):
        ...     return ops.round(x), lambda upstream: upstream
        >>> grad(lambda x: ops.sum(straight_through(x) * 3.0))([0.4, 1.6]).numpy()
        array([3., 3.], dtype=float32)
    """

    @functools.wraps(f)
    def call(*args: Any) -> Any:
        trace = current_trace()
        if trace is None:
            return f(*args)[0]
        xs = [Tensor(node=trace.lift(as_tensor(a))) for a in args]
        found, backward = f(*xs)
        ys = [as_tensor(y) for y in tree.flatten(found)]
        since = next(_serial)
        upstream = tuple(Node(PARAM, (), {"index": -1}, y.spec) for y in ys)
        with tracing(Trace(trace)) as inner:
            given = backward(*(Tensor(node=p) for p in upstream))
            grads = list(given) if isinstance(given, (list, tuple)) else [given]
            if len(grads) != len(xs):
                raise ShapeError(
                    "RV108",
                    "custom_gradient: one gradient is needed for each argument",
                    details=f"{len(xs)} arguments, {len(grads)} gradients",
                )
            which = tuple(i for i, g in enumerate(grads) if g is not None)
            results = [inner.lift(as_tensor(grads[i])) for i in which]
        region, captured = close_region(upstream, results, since)
        out = apply(
            _GIVEN,
            *ys,
            *xs,
            *(Tensor(node=node) for node in captured),
            backward=region,
            n_ys=len(ys),
            which=which,
        )
        out = out if isinstance(out, tuple) else (out,)
        return tree.rebuild(found, out)

    return call


def _given_body(*args: Any, backward: Region, n_ys: int, which: Any) -> Any:
    return args[:n_ys] if n_ys > 1 else args[0]


def _given_grad(
    g: Any, y: Any, *args: Any, backward: Region, n_ys: int, which: tuple[int, ...]
) -> list[Any]:
    ys = list(y) if n_ys > 1 else [y]
    seeds = list(g) if n_ys > 1 else [g]
    seeds = [zeros_like(t) if s is None else s for s, t in zip(seeds, ys, strict=True)]
    trace = current_trace()
    assert trace is not None
    captured = args[len(args) - (len(backward.params) - n_ys) :]
    operands = [trace.lift(as_tensor(t)) for t in (*seeds, *captured)]
    results = call_region(backward, operands)
    grads: list[Any] = [None] * len(args)
    for i, node in zip(which, results, strict=True):
        grads[n_ys + i] = Tensor(node=node)
    return grads


# ys = custom_gradient(ys, xs, what backward reads): no kernel, every engine inlines it.
_GIVEN = Composite("custom_gradient", _given_body, _given_grad)
