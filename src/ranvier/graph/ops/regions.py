"""Operations that own a piece of graph: loops and branches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ranvier.graph.dims import Size, bind
from ranvier.graph.ir import Region, Spec
from ranvier.graph.op import op, unsupported

Array = np.ndarray[Any, Any]
Evaluate = Callable[[Region, Sequence[Array]], tuple[Array, ...]]


def _scan_infer(specs: Sequence[Spec], attrs: dict[str, Any]) -> tuple[Spec, ...]:
    body: Region = attrs["body"]
    n: int = attrs["n_carry"]
    carries = tuple(r.spec for r in body.results[:n])
    stacked = tuple(
        Spec((attrs["length"], *r.spec.shape), r.spec.dtype) for r in body.results[n:]
    )
    return carries + stacked


def _scan_ref(
    *args: Array,
    body: Region,
    n_carry: int,
    n_xs: int,
    length: int,
    reverse: bool,
    evaluate: Evaluate,
    sizes: Mapping[str, int],
) -> tuple[Array, ...]:
    carry = list(args[:n_carry])
    xs, shared = args[n_carry : n_carry + n_xs], args[n_carry + n_xs :]
    n_ys = len(body.results) - n_carry
    rows: list[list[Array]] = [[None] * length for _ in range(n_ys)]  # type: ignore[list-item]
    for t in reversed(range(length)) if reverse else range(length):
        found = evaluate(body, [*carry, *(x[t] for x in xs), *shared])
        carry = list(found[:n_carry])
        for row, y in zip(rows, found[n_carry:], strict=True):
            row[t] = y
    stacked = []
    for row, result in zip(rows, body.results[n_carry:], strict=True):
        # A scan of length 0 still has a result of the right shape.
        empty = (0, *bind(result.spec.shape, sizes))
        stacked.append(np.stack(row) if row else np.zeros(empty, result.spec.dtype))
    return (*carry, *stacked)


def _scan_grad(
    g: Sequence[Any],
    y: Sequence[Any],
    *inputs: Any,
    body: Region,
    n_carry: int,
    n_xs: int,
    length: Size,
    reverse: bool,
) -> Sequence[Any]:
    """See `ranvier.graph.scan_grad`."""
    from ranvier.graph.scan_grad import scan_grad

    return scan_grad(scan, g, y, inputs, body, n_carry, n_xs, length, reverse)


def _or_zeros(g: Any, y: Any) -> Any:
    from ranvier.graph import functions as f

    return f.zeros_like(y) if g is None else g


# carry', stacked ys = scan(carry…, xs…, shared…): the body runs once a row of xs.
scan = op("scan", "region", _scan_infer, _scan_ref, _scan_grad)


def _while_ref(
    *args: Array,
    test: Region,
    body: Region,
    n_carry: int,
    n_test: int,
    evaluate: Evaluate,
    sizes: Mapping[str, int],
) -> tuple[Array, ...]:
    carry = list(args[:n_carry])
    shared_test = args[n_carry : n_carry + n_test]
    shared_body = args[n_carry + n_test :]
    while bool(evaluate(test, [*carry, *shared_test])[0]):
        carry = list(evaluate(body, [*carry, *shared_body]))
    return tuple(carry)


while_loop = op(
    "while",
    "region",
    lambda specs, attrs: tuple(specs[: attrs["n_carry"]]),
    _while_ref,
    unsupported("the number of steps is not known; use ops.scan"),
)


def _cond_ref(
    pick: Array,
    *args: Array,
    yes: Region,
    no: Region,
    evaluate: Evaluate,
    sizes: Mapping[str, int],
) -> tuple[Array, ...]:
    return tuple(evaluate(yes if bool(pick) else no, args))


def _cond_grad(
    g: Sequence[Any], y: Sequence[Any], pick: Any, *args: Any, yes: Region, no: Region
) -> Sequence[Any]:
    """The chosen branch runs again for its gradient."""
    from ranvier.graph import functions as f
    from ranvier.graph.passes.grad import vjp
    from ranvier.graph.trace import apply, call_region, trace_region

    wanted = [i for i, a in enumerate(args) if a.spec.floating]
    outs = [j for j, t in enumerate(y) if t.spec.floating]
    seeds = [_or_zeros(g[j], y[j]) for j in outs]

    def branch(region: Region) -> Region:
        def back(*xs: Any) -> list[Any]:
            operands, given = xs[: len(args)], xs[len(args) :]
            results = call_region(region, [o.node for o in operands])
            all_seeds: list[Any] = [None] * len(results)
            for j, seed in zip(outs, given, strict=True):
                all_seeds[j] = seed
            found = vjp(results, all_seeds, [operands[i].node for i in wanted])
            return [
                f.zeros_like(operands[i]) if d is None else d
                for i, d in zip(wanted, found, strict=True)
            ]

        return trace_region(back, [t.spec for t in (*args, *seeds)])

    grads: list[Any] = [None] * (len(args) + 1)
    if wanted:
        found = apply(cond, pick, *args, *seeds, yes=branch(yes), no=branch(no))
        for i, d in zip(wanted, found, strict=True):
            grads[i + 1] = d
    return grads


# Results are always a tuple, also of one.
cond = op(
    "cond",
    "region",
    lambda specs, attrs: tuple(r.spec for r in attrs["yes"].results),
    _cond_ref,
    _cond_grad,
)
