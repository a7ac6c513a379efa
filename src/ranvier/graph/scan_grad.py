"""The gradient of a scan: a scan backwards, and what can wait until after it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ranvier.graph import functions as f
from ranvier.graph.dims import Size
from ranvier.graph.hoist import Sums, worth_keeping
from ranvier.graph.ir import Node, Region, Spec, walk
from ranvier.graph.op import Op
from ranvier.graph.passes.grad import vjp
from ranvier.graph.trace import (
    PARAM,
    Tensor,
    Trace,
    apply,
    current_trace,
    substitute,
    tracing,
)


def scan_grad(
    scan: Op,
    g: Sequence[Any],
    y: Sequence[Any],
    inputs: Sequence[Any],
    body: Region,
    n_carry: int,
    n_xs: int,
    length: Size,
    reverse: bool,
) -> list[Any]:
    """Scan backwards over what was saved, running the body again for its gradient.

    Saved: the carry before each step, and the products of a step (`worth_keeping`), as
    far as they are read. Everything else is computed again. Sums over the steps that can
    wait, such as the gradient of a weight, are made after the loop (`Sums`).

    Args:
        scan: The operation.
        g: Gradients of its results; ``None`` where nothing depends on one.
        y: Its results.
        inputs: What it was applied to.
        body: Its body.
        n_carry: Number of carries.
        n_xs: Number of inputs that give rows.
        length: Number of rounds.
        reverse: Whether the last row came first.
    """
    params, results = body.params, body.results
    n_rows = n_carry + n_xs
    floats = [i for i, p in enumerate(params) if p.spec.floating]
    carry_in = [i for i in floats if i < n_carry]
    xs_in = [i for i in floats if n_carry <= i < n_rows]
    shared_in = [i for i in floats if i >= n_rows]
    ys_out = [j for j in range(n_carry, len(results)) if g[j] is not None]

    # Parameters of the loop backwards: gradients that it carries, then what has rows
    # (the carries and products that were saved, the rows of xs, the gradients of ys),
    # then what never changes.
    again = {p: _param(p.spec) for p in params}
    kept = worth_keeping(body, _fixed(params[:n_rows]))
    saved = {node: _param(node.spec) for node in kept}
    g_carry = [_param(params[i].spec) for i in carry_in]
    g_rows = [_param(results[j].spec) for j in ys_out]
    shared = {again[p]: inputs[i] for i, p in enumerate(params) if i >= n_rows}

    images = substitute([*results, *kept], again)
    seeds: dict[int, Node] = dict(
        zip((*carry_in, *ys_out), (*g_carry, *g_rows), strict=True)
    )
    wanted = [*carry_in, *xs_in, *shared_in]
    with tracing(Trace(current_trace())) as inner:
        grads = vjp(
            images[: len(results)],
            [
                Tensor(node=seeds[j]) if j in seeds else None
                for j in range(len(results))
            ],
            [again[params[i]] for i in wanted],
        )
        for k, i in enumerate(carry_in):
            if grads[k] is None:
                spec = params[i].spec
                grads[k] = f.zeros(spec.shape, spec.dtype)
        # What was saved is read, not computed again.
        known = dict(zip(images[len(results) :], saved.values(), strict=True))
        present = [i for i, d in zip(wanted, grads, strict=True) if d is not None]
        nodes = substitute([inner.lift(d) for d in grads if d is not None], known)
        found = dict(zip(present, nodes, strict=True))

        rows = [*(again[p] for p in params[:n_rows]), *saved.values(), *g_rows]
        sums = Sums(_fixed([*g_carry, *rows]))
        left = {i: sums.split(found[i]) for i in shared_in if i in found}
        at_once = {i: k for k, i in enumerate(left)}
        totals = {i: _param(params[i].spec) for i, rest in left.items() if rest}
        added = [
            inner.lift(Tensor(node=totals[i]) + Tensor(node=left[i])) for i in totals
        ]

    # The results with rows: gradients of xs, and the operands of the sums.
    stacked = dict.fromkeys(found[i] for i in xs_in if i in found)
    stacked |= {o: None for o in sums.operands() if o not in rows}
    back_results = [*(found[i] for i in carry_in), *added, *stacked]
    used = set(walk(back_results)) | set(sums.operands())

    # The loop forwards leaves what is used behind.
    history = [p for p in params[:n_carry] if again[p] in used]
    products = [node for node, param in saved.items() if param in used]
    all_results = (*results, *history, *products)
    forward = apply(
        scan, *inputs, body=Region(params, all_results), n_carry=n_carry, n_xs=n_xs,
        length=length, reverse=reverse,
    )  # fmt: skip
    values: dict[Node, Any] = dict(
        zip(
            [*(again[p] for p in history), *(saved[n] for n in products)],
            forward[len(results) :],
            strict=True,
        )
    )
    values |= {again[params[i]]: inputs[i] for i in range(n_carry, n_rows)}
    values |= {p: g[j] for p, j in zip(g_rows, ys_out, strict=True)}
    needed = set(walk(back_results))
    rows = [p for p in rows if p in needed]
    fixed_params = [p for p in shared if p in needed]
    start = [g[i] if g[i] is not None else f.zeros_like(y[i]) for i in carry_in]
    start += [f.zeros_like(inputs[i]) for i in totals]
    ends = apply(
        scan,
        *start,
        *(values[p] for p in rows),
        *(shared[p] for p in fixed_params),
        body=Region(
            (*g_carry, *totals.values(), *rows, *fixed_params), tuple(back_results)
        ),
        n_carry=len(start),
        n_xs=len(rows),
        length=length,
        reverse=not reverse,
    )
    values |= dict(zip(stacked, ends[len(start) :], strict=True))

    answer: list[Any] = [None] * len(inputs)
    for i, end in zip(carry_in, ends, strict=False):
        answer[i] = end
    for i, end in zip(totals, ends[len(carry_in) :], strict=False):
        answer[i] = end
    for i in xs_in:
        if i in found:
            answer[i] = values[found[i]]
    for i, k in at_once.items():
        total = sums.after(k, values)
        if total is not None:
            answer[i] = total if answer[i] is None else answer[i] + total
    return answer


def _param(spec: Spec) -> Node:
    return Node(PARAM, (), {"index": -1}, spec)


def _fixed(changing: Sequence[Node]) -> Callable[[Node], bool]:
    """Whether a node depends on none of these parameters."""
    known = dict.fromkeys(changing, False)

    def fixed(node: Node) -> bool:
        if node not in known:
            for inner in walk([node]):
                if inner not in known:
                    known[inner] = all(known[c] for c in inner.inputs)
        return known[node]

    return fixed
