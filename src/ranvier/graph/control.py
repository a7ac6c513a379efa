"""Loops and branches over Python functions: scan, cond, while_loop.

A function sees tensors of the surrounding trace and variables freely: what it reads is
captured, a variable it assigns becomes part of what is carried.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ranvier.errors import ShapeError
from ranvier.graph import tree
from ranvier.graph.functions import as_tensor, squeeze
from ranvier.graph.hoist import hoisted
from ranvier.graph.ir import Node, Region, Spec, _serial
from ranvier.graph.ops import regions as _regions
from ranvier.graph.trace import (
    PARAM,
    Tensor,
    Trace,
    apply,
    close_region,
    current_trace,
    tracing,
)


def _leaves(value: Any) -> list[Tensor]:
    return [as_tensor(leaf) for leaf in tree.flatten(value)]


def _assigned_in(fn: Callable[[], Any]) -> list[Any]:
    """Variables that a function assigns, found by tracing it once."""
    with tracing(Trace(current_trace())) as probe:
        fn()
    return list(probe.assigned)


def _symbols(values: Sequence[Tensor]) -> list[Tensor]:
    return [Tensor(node=Node(PARAM, (), {"index": -1}, v.spec)) for v in values]


def _check(what: str, before: Sequence[Tensor], after: Sequence[Node]) -> None:
    want, got = [b.spec for b in before], [a.spec for a in after]
    if want != got:
        raise ShapeError(
            "RV108",
            f"{what} must keep shape and dtype of what it carries",
            details=f"carried {want}, returned {got}",
        )


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: Any = None,
    reverse: bool = False,
    unroll: int = 1,
) -> tuple[Any, Any]:
    """``carry, y = f(carry, x)`` for each row of ``xs``; the ys are stacked.

    Args:
        f: The step. May read and assign variables.
        init: The first carry: a tensor or a nest of them.
        xs: A tensor or a nest of them with one leading axis, or ``None``.
        length: Needed without ``xs``. May be symbolic.
        reverse: Start at the last row.
        unroll: Accepted for Keras; engines decide.

    Returns:
        The last carry, and the stacked ys in the order of ``xs``.

    Example:
        >>> from ranvier import ops
        >>> ops.scan(lambda c, x: (c + x, c + x), 0.0, ops.array([1.0, 2.0, 3.0]))[1].numpy()
        array([1., 3., 6.], dtype=float32)
    """
    start, rows = _leaves(init), _leaves(xs)
    if rows:
        length = rows[0].shape[0]
        if any(r.shape[0] != length for r in rows):
            raise ShapeError("RV108", "scan: the rows of xs differ in number")
    elif length is None:
        raise ShapeError("RV108", "scan needs xs or a length")
    since = next(_serial)

    def run(carry: Sequence[Tensor], row: Sequence[Tensor]) -> tuple[Any, Any]:
        return f(
            tree.rebuild(init, carry), tree.rebuild(xs, row) if xs is not None else None
        )

    carry_syms = _symbols(start)
    row_syms = [
        Tensor(node=Node(PARAM, (), {"index": -1}, Spec(r.shape[1:], r.dtype)))
        for r in rows
    ]
    variables = _assigned_in(lambda: run(carry_syms, row_syms))
    state = [v.value for v in variables]
    state_syms = _symbols(state)
    with tracing(Trace(current_trace())) as inner:
        for v, s in zip(variables, state_syms, strict=True):
            assert s.node is not None
            inner.bindings[v] = s.node
        carry, ys = run(carry_syms, row_syms)
        carried = [inner.lift(t) for t in _leaves(carry)]
        _check("scan", start, carried)
        out = [inner.lift(t) for t in _leaves(ys)]
        results = [*carried, *(inner.bindings[v] for v in variables), *out]
    params = [t.node for t in (*carry_syms, *state_syms, *row_syms)]
    region, captured = close_region(params, results, since)  # type: ignore[arg-type]
    n_carry, n_xs = len(start) + len(state), len(rows)
    operands = [*start, *state, *rows, *(Tensor(node=c) for c in captured)]
    outer = current_trace()
    if outer is not None:
        region, nodes, n_xs = hoisted(
            region, [outer.lift(t) for t in operands], n_carry, n_xs, length
        )
        operands = [Tensor(node=n) for n in nodes]
    found = apply(
        _regions.scan,
        *operands,
        body=region,
        n_carry=n_carry,
        n_xs=n_xs,
        length=length,
        reverse=reverse,
    )
    for v, value in zip(variables, found[len(start) : n_carry], strict=True):
        v.assign(value)
    return (
        tree.rebuild(carry, found[: len(start)]),
        tree.rebuild(ys, found[n_carry:]),
    )


def while_loop(
    cond: Callable[..., Any],
    body: Callable[..., Any],
    loop_vars: Any,
    maximum_iterations: int | None = None,
) -> Any:
    """``while cond(*vars): vars = body(*vars)``; no gradient (use `scan`).

    Args:
        cond: Gives a scalar truth value.
        body: Gives new values of the same shapes and dtypes.
        loop_vars: A tuple or list of tensors (or one tensor).
        maximum_iterations: Stop after as many rounds.
    """
    single = not isinstance(loop_vars, (tuple, list))
    first = (loop_vars,) if single else tuple(loop_vars)
    structure: Any = (first, 0) if maximum_iterations is not None else (first,)
    start = _leaves(structure)
    since = next(_serial)
    syms = _symbols(start)
    params: list[Any] = [s.node for s in syms]

    def close(fn: Callable[..., Any]) -> tuple[Region, tuple[Node, ...]]:
        with tracing(Trace(current_trace())) as inner:
            results = [
                inner.lift(t) for t in _leaves(fn(tree.rebuild(structure, syms)))
            ]
            if inner.assigned:
                raise ShapeError(
                    "RV108", "while_loop cannot assign variables", fix="use ops.scan"
                )
        return close_region(params, results, since)

    def test(state: Any) -> Any:
        go = cond(*state[0])
        return go if len(state) == 1 else (state[1] < maximum_iterations) & go

    def step(state: Any) -> Any:
        new = body(*state[0])
        new = tuple(new) if isinstance(new, (tuple, list)) else (new,)
        return (new,) if len(state) == 1 else (new, state[1] + 1)

    test_region, test_captured = close(test)
    body_region, body_captured = close(step)
    _check("while_loop", start, body_region.results)
    found = apply(
        _regions.while_loop,
        *start,
        *(Tensor(node=c) for c in (*test_captured, *body_captured)),
        test=test_region,
        body=body_region,
        n_carry=len(start),
        n_test=len(test_captured),
    )
    result = tree.rebuild(structure, found)[0]
    return result[0] if single else type(loop_vars)(result)


def cond(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """``true_fn()`` or ``false_fn()``, chosen when the step runs.

    Both must return the same structure, shapes and dtypes. A variable that either
    assigns keeps its value in the other.
    """
    since = next(_serial)
    variables = list(dict.fromkeys([*_assigned_in(true_fn), *_assigned_in(false_fn)]))
    state = [v.value for v in variables]
    state_syms = _symbols(state)

    def branch(fn: Callable[[], Any]) -> tuple[Any, list[Node]]:
        with tracing(Trace(current_trace())) as inner:
            for v, s in zip(variables, state_syms, strict=True):
                assert s.node is not None
                inner.bindings[v] = s.node
            found = fn()
            results = [inner.lift(t) for t in _leaves(found)]
            return found, [*results, *(inner.bindings[v] for v in variables)]

    structure, yes = branch(true_fn)
    _, no = branch(false_fn)
    if [n.spec for n in yes] != [n.spec for n in no]:
        raise ShapeError(
            "RV108",
            "cond: the two branches give different shapes or dtypes",
            details=f"{[n.spec for n in yes]} against {[n.spec for n in no]}",
        )
    # Both regions take the same parameters: close them together, then split.
    params: list[Any] = [s.node for s in state_syms]
    both, captured = close_region(params, [*yes, *no], since)
    n = len(yes)
    if not n:
        return structure
    pick = as_tensor(pred)
    found = apply(
        _regions.cond,
        squeeze(pick) if pick.ndim else pick,
        *state,
        *(Tensor(node=c) for c in captured),
        yes=Region(both.params, both.results[:n]),
        no=Region(both.params, both.results[n:]),
    )
    at = n - len(variables)
    for v, value in zip(variables, found[at:], strict=True):
        v.assign(value)
    return tree.rebuild(structure, found[:at])
