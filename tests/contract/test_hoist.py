"""What loops leave to long products before and after them.

The oracle is the loop written out in Python, round by round, on the reference engine in
float64: other nodes, other gradient rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from strategies import assert_near, assert_same_bits, evaluate, wide, workers

from ranvier.engines import api
from ranvier.graph import Dim, Graph, Spec, trace
from ranvier.graph import functions as f
from ranvier.graph.control import scan
from ranvier.graph.ir import Node, Region, walk
from ranvier.graph.passes.grad import gradients
from ranvier.graph.passes.simplify import simplify

T, B = Dim.symbol("time"), Dim.symbol("batch")
LENGTH, ROWS, WIDTH = 5, 3, 4
Inputs = Mapping[str, Any]
Cell = Callable[[Inputs], Callable[[Any, Any], tuple[Any, Any]]]

SHAPES: dict[str, tuple[int, ...]] = {
    "w": (WIDTH, WIDTH),
    "u": (WIDTH, WIDTH),
    "b": (WIDTH,),
    "m": (ROWS, WIDTH),
}


def plain(i: Inputs) -> Any:
    def cell(h: Any, x: Any) -> Any:
        h = f.tanh(f.matmul(x, i["w"]) + i["b"] + f.matmul(h, i["u"]))
        return h, h

    return cell


def dropped(i: Inputs) -> Any:
    """The rows are changed before the product, the state too."""

    def cell(h: Any, x: Any) -> Any:
        h = f.tanh(f.matmul(x * i["m"], i["w"]) + f.matmul(h * i["m"], i["u"]))
        return h, None

    return cell


def gated(i: Inputs) -> Any:
    """Slices of a product, whose gradients are put together again."""

    def cell(h: Any, x: Any) -> Any:
        z = f.matmul(x, i["w"]) + f.matmul(h, i["u"]) + i["b"]
        gate = f.sigmoid(z[:, :2])
        new = f.tanh(z[:, 2:])
        both = f.concatenate([gate * new, new - gate], axis=-1)
        return h * 0.5 + both, f.sum(both, axis=-1)

    return cell


def activated(i: Inputs) -> Any:
    """What follows a product of rows goes along; both ends are read."""

    def cell(h: Any, x: Any) -> Any:
        z = f.matmul(x, i["w"])
        return f.tanh(h + f.sigmoid(z + i["b"]) * z), z

    return cell


def turned(i: Inputs) -> Any:
    """The weight on the left; a transposed row; a sum over the state."""

    def cell(h: Any, x: Any) -> Any:
        left = f.transpose(f.matmul(i["w"], f.transpose(x)))
        scale = f.sum(f.matmul(h, i["u"]) * i["b"], axis=0)
        return f.tanh(left + scale + h * 0.3), None

    return cell


def twice(i: Inputs) -> Any:
    """Two products of one row, one behind the other; one weight used in both ways."""

    def cell(h: Any, x: Any) -> Any:
        z = f.matmul(f.sigmoid(f.matmul(x, i["w"])), i["w"])
        return f.tanh(z + f.matmul(h, i["w"]) + f.matmul(h, f.transpose(i["u"]))), h

    return cell


def own_products(i: Inputs) -> Any:
    """Products of rows with rows, which stay in the loop."""

    def cell(h: Any, x: Any) -> Any:
        square = f.matmul(f.transpose(x), x)
        return f.tanh(f.matmul(h, square) * 0.2 + f.matmul(h, i["u"])), None

    return cell


def nested(i: Inputs) -> Any:
    """A scan in a scan: its weight is the same in all rounds of both."""

    def cell(h: Any, x: Any) -> Any:
        def inner(g: Any, row: Any) -> Any:
            return f.tanh(g + f.matmul(row, i["w"]) + f.matmul(g, i["u"])), None

        rows = f.stack([x, h], axis=0)
        found, _ = scan(inner, h, rows)
        return found, f.matmul(x, i["u"])

    return cell


CELLS: list[Cell] = [
    plain, dropped, gated, activated, turned, twice, own_products, nested,
]  # fmt: skip


def loss_of(cell: Any, h: Any, xs: Any, loop: Any, reverse: bool) -> Any:
    """One number that everything goes into."""
    last, ys = loop(cell, h, xs, reverse)
    total = f.sum(last * last)
    if ys is not None:
        total = total + f.sum(f.sin(ys))
    return total


def scanned(cell: Any, h: Any, xs: Any, reverse: bool) -> Any:
    return scan(cell, h, xs, reverse=reverse)


def written_out(cell: Any, h: Any, xs: Any, reverse: bool) -> Any:
    ys: list[Any] = [None] * LENGTH
    for t in reversed(range(LENGTH)) if reverse else range(LENGTH):
        h, ys[t] = cell(h, xs[t])
    return h, None if ys[0] is None else f.stack(ys, axis=0)


def graph_of(make: Cell, loop: Any, reverse: bool, length: Any, second: bool) -> Graph:
    def step(i: Inputs) -> dict[str, Any]:
        names = ["x", "h", *SHAPES]
        loss = loss_of(make(i), i["h"], i["x"], loop, reverse)
        grads = gradients(loss, [i[n] for n in names])
        found = {f"d{n}": g for n, g in zip(names, grads, strict=True) if g is not None}
        if second:
            size = sum(f.sum(g * g) for g in found.values())
            again = gradients(size, [i["u"], i["x"]])
            found |= {f"dd{k}": g for k, g in enumerate(again) if g is not None}
        return {"loss": loss, **found}

    specs = {"x": (length, ROWS, WIDTH), "h": (ROWS, WIDTH), **SHAPES}
    return trace(step, {n: Spec(s, "float32") for n, s in specs.items()})


def data() -> dict[str, Any]:
    rng = np.random.default_rng(3)
    specs = {"x": (LENGTH, ROWS, WIDTH), "h": (ROWS, WIDTH), **SHAPES}
    return {n: rng.normal(size=s).astype("float32") * 0.6 for n, s in specs.items()}


@pytest.mark.parametrize("second", [False, True], ids=["first", "second"])
@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("make", CELLS)
def test_a_scan_is_the_loop_written_out(
    make: Cell, reverse: bool, second: bool
) -> None:
    """Values, gradients, and gradients of gradients."""
    mine = graph_of(make, scanned, reverse, T, second)
    other = graph_of(make, written_out, reverse, LENGTH, second)
    assert list(mine.outputs) == list(other.outputs)
    want = evaluate(other, wide(data()))
    for got in (evaluate(mine, wide(data())), evaluate(simplify(mine), wide(data()))):
        for name, a, b in zip(mine.outputs, got, want, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("make", CELLS)
def test_engines_agree(make: Cell) -> None:
    graph = graph_of(make, scanned, False, T, False)
    want = api.get("reference").compile(graph).call(data())
    first = None
    for count in (1, 2, 3):
        with workers(count):
            got = api.get("native").compile(graph).call(data())
        assert_near(got, want)
        if first is not None:
            assert_same_bits(got, first)
        first = got


def loops(graph: Graph) -> list[Region]:
    """Bodies of the scans of a graph that something reads, without inner ones."""
    nodes = simplify(graph).nodes()
    return [n.attrs["body"] for n in nodes if n.op.name == "scan"]


def products(results: tuple[Node, ...]) -> int:
    return sum(n.op.name == "dot_general" for n in walk(results))


@pytest.mark.parametrize(
    ("make", "forward", "backward"),
    [(plain, 1, 1), (dropped, 1, 1), (gated, 1, 1), (activated, 0, 0), (twice, 2, 2)],
)
def test_products_that_stay_in_the_loops(
    make: Cell, forward: int, backward: int
) -> None:
    """Only those of the state; what they gave is kept, not computed again."""
    graph = graph_of(make, scanned, False, T, False)
    assert [products(b.results) for b in loops(graph)] == [forward, backward]


def test_the_gradient_of_a_split_is_put_together_without_adding_zeros() -> None:
    graph = graph_of(gated, scanned, False, T, False)
    names = [n.op.name for body in loops(graph) for n in walk(body.results)]
    assert "pad" not in names


def test_nothing_of_a_loop_without_rows_moves() -> None:
    """A product of what a loop carries, or of nothing that changes, stays as it was."""

    def step(i: Inputs) -> dict[str, Any]:
        def cell(h: Any, _: Any) -> Any:
            return f.tanh(f.matmul(h, f.matmul(i["w"], i["w"]))), None

        return {"h": scan(cell, i["h"], length=T)[0]}

    graph = trace(
        step,
        {
            "x": Spec((T, 1), "float32"),
            "w": Spec((WIDTH, WIDTH), "float32"),
            "h": Spec((ROWS, WIDTH), "float32"),
        },
    )
    (body,) = loops(graph)
    assert products(body.results) == 2
