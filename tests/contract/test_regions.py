"""Loops and branches mean the same on every engine, for any number of workers.

The meaning itself is held in unit/test_graph_control.py against Python loops; here every
engine is held to the reference, gradients included.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from strategies import assert_near, assert_same_bits, workers

from ranvier.engines import api
from ranvier.engines.native.gaps import GAPS
from ranvier.engines.native.storage import Panels
from ranvier.errors import DataError
from ranvier.graph import REGISTRY, Dim, Graph, Spec, Variable, trace
from ranvier.graph import composites as c
from ranvier.graph import functions as f
from ranvier.graph.control import cond, scan, while_loop
from ranvier.graph.ir import Node, Region, walk
from ranvier.graph.passes.grad import gradients

T, B = Dim.symbol("time"), Dim.symbol("batch")
Inputs = Mapping[str, Any]
WORKERS = (1, 2, 3, 8)
X = {"x": Spec((T, B, 5), "float32")}


def variable(*shape: int, seed: int = 0, kind: str = "weight") -> Variable:
    value = np.random.default_rng(seed).normal(size=shape) / np.sqrt(
        max(shape[-1:] + (1,))
    )
    return Variable(value.astype("float32"), name=f"v{seed}", kind=kind)


def same_everywhere(
    graph: Graph, batches: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Outputs and state of the native engine are the reference's.

    Returns:
        What the native engine gave, state included, for each batch.
    """
    variables = graph.variables()
    start = [v.numpy() for v in variables]

    def outcome(engine: str) -> list[dict[str, Any]]:
        for v, value in zip(variables, start, strict=True):
            v.assign(value)
        executable = api.get(engine).compile(graph)
        found = []
        for batch in batches:
            outputs = executable.call(batch)
            state = {f"state{i}": v.numpy() for i, v in enumerate(variables)}
            found.append({**outputs, **state})
        return found

    want = outcome("reference")
    first: list[dict[str, Any]] | None = None
    for count in WORKERS:
        with workers(count):
            got = outcome("native")
        for a, b in zip(got, want, strict=True):
            assert {n: v.dtype for n, v in a.items()} == {
                n: v.dtype for n, v in b.items()
            }
            assert_near(a, b)
        if first is None:
            first = got
        for a, b in zip(got, first, strict=True):
            assert_same_bits(a, b, f"{count} workers")
    assert first is not None
    return first


def sequences(*lengths: int, rows: int = 3, width: int = 5) -> list[dict[str, Any]]:
    return [
        {"x": np.random.default_rng(n).normal(size=(n, rows, width)).astype("float32")}
        for n in lengths
    ]


# ------------------------------------------------------------------------------ cases


def _recurrent(i: Inputs, weight: Any, reverse: bool = False) -> Any:
    def cell(h: Any, x: Any) -> tuple[Any, Any]:
        h = f.tanh(f.matmul(h, weight) + x)
        return h, h

    return scan(cell, f.zeros_like(i["x"][0]), i["x"], reverse=reverse)


def recurrent(reverse: bool, width: int = 5) -> Callable[[], Any]:
    def make() -> Any:
        w = variable(width, width)

        def step(i: Inputs) -> dict[str, Any]:
            last, ys = _recurrent(i, w, reverse)
            loss = f.sum(f.square(last)) + f.sum(f.sin(ys))
            gx, gw = gradients(loss, [i["x"], w])
            return {"last": last, "ys": ys, "gx": gx, "gw": gw}

        return step

    return make


def no_history() -> Any:
    """Only the last carry is wanted, and it is too large for a trail."""
    w = variable(5, 5)

    def step(i: Inputs) -> dict[str, Any]:
        start = f.broadcast_to(f.sum(i["x"][0], axis=0), (4096, 5))

        def cell(h: Any, x: Any) -> tuple[Any, Any]:
            return f.tanh(f.matmul(h, w) + f.sum(x, axis=0)), None

        return {"last": scan(cell, start, i["x"])[0]}

    return step


def swapped() -> Any:
    """Carries that trade places, small and large."""

    def step(i: Inputs) -> dict[str, Any]:
        out = {}
        for name, rows in (("small", 2), ("large", 20_000)):
            a = f.broadcast_to(i["x"][0, 0], (rows, 5))

            def cell(state: Any, x: Any) -> tuple[Any, Any]:
                a, b, _ = state
                return (b, a + x[0], a), f.sum(b)

            (a, b, d), ys = scan(cell, (a, a * 2.0, a * 3.0), i["x"])
            out |= {f"{name}{k}": v for k, v in enumerate((a, b, d, ys))}
        return out

    return step


def nests() -> Any:
    """Several rows and results, dtypes, a carry that stays, a result that stays."""

    def step(i: Inputs) -> dict[str, Any]:
        x = i["x"]
        fixed = f.exp(x[0])

        def cell(state: Any, row: Any) -> tuple[Any, Any]:
            total, count, seen, still = state
            a, b, k = row
            seen = f.logical_or(seen, a > 1.0)
            new = (total + f.sum(a * b), count + f.cast(k, "int64"), seen, still)
            return new, {
                "fixed": fixed,
                "k": k * 2,
                "seen": seen,
                "one": 1.0,
                "t": total,
            }

        start = (0.0, f.as_tensor(0, "int64"), fixed > 99.0, fixed)
        last, ys = scan(cell, start, (x, f.flip(x, 0), f.iota(x.shape[0])))
        return {**ys, **{f"last{k}": v for k, v in enumerate(last)}}

    return step


def strided() -> Any:
    """Rows that are columns of memory, and a scan over the last axis."""

    def step(i: Inputs) -> dict[str, Any]:
        across = f.transpose(i["x"], (2, 0, 1))
        last, ys = scan(lambda h, x: (h * 0.5 + x, f.sum(h * x)), across[0], across)
        some, _ = scan(lambda h, x: (h + x, None), 0.0, i["x"][:, 0, ::2][:, 1])
        return {"last": last, "ys": ys, "some": some}

    return step


def assigned() -> Any:
    """Variables assigned in the body are carried, and read by what follows."""
    total, calls = variable(5, seed=1), Variable(np.int32(3), kind="counter")
    big = variable(70, 1000, seed=2)

    def step(i: Inputs) -> dict[str, Any]:
        before = total.value

        def cell(h: Any, x: Any) -> tuple[Any, Any]:
            total.assign(total * 0.9 + f.sum(x, axis=0))
            calls.assign_add(1)
            big.assign(big * 0.5 + f.sum(x))
            return h + total, total.value

        h, seen = scan(cell, before, i["x"])
        big.assign_add(1.0)
        return {"h": h, "seen": seen, "before": before, "big": f.sum(big.value)}

    return step


def nested() -> Any:
    """A scan over rows of a scan's rows, backwards inside, with a branch in it."""
    w = variable(5, 5)

    def step(i: Inputs) -> dict[str, Any]:
        def outer(total: Any, rows: Any) -> tuple[Any, Any]:
            def inner(h: Any, x: Any) -> tuple[Any, Any]:
                new = f.tanh(f.matmul(f.expand_dims(x, 0), w)[0] + h)
                new = cond(f.sum(x) > 0.0, lambda: new + total, lambda: new * 0.5)
                return new, (h, f.sum(new))

            last, ys = scan(inner, total, rows, reverse=True)
            return last * 0.5, ys

        last, (hs, sums) = scan(outer, f.zeros((5,)), i["x"])
        loss = f.sum(f.square(last)) + f.sum(hs * 0.1) + f.sum(f.cos(sums))
        gx, gw = gradients(loss, [i["x"], w])
        return {"last": last, "hs": hs, "sums": sums, "gx": gx, "gw": gw}

    return step


def branches() -> Any:
    """One branch assigns, the other keeps; both give what lies elsewhere already."""
    v, count = variable(5, seed=1), Variable(np.int32(0), kind="counter")

    def step(i: Inputs) -> dict[str, Any]:
        x = i["x"]

        def yes() -> Any:
            v.assign(v * 2.0 + 1.0)
            return x, f.sum(x, axis=0), f.as_tensor(1.0)

        def no() -> Any:
            count.assign_add(1)
            return f.flip(x, 0), x[0], f.sum(x) * 3.0

        found = cond(f.sum(x) > 0.0, yes, no)
        loss = f.sum(found[0] * found[0][0]) + f.sum(found[1]) * found[2] + f.sum(v)
        (g,) = gradients(loss, [x])
        number = cond(f.sum(x), lambda: f.as_tensor(1), lambda: f.as_tensor(2))
        fixed = cond(True, lambda: x * 2.0, lambda: x * 3.0)
        return {f"y{k}": y for k, y in enumerate((*found, g, number, fixed))}

    return step


def whiles() -> Any:
    """As long as data say, none at all, at most so often, and in a scan."""

    def step(i: Inputs) -> dict[str, Any]:
        x = i["x"]
        limit = f.sum(f.absolute(x)) + 1.0
        n, total, rows = while_loop(
            lambda n, total, rows: f.sum(f.absolute(rows)) < limit * 8.0,
            lambda n, total, rows: (
                n + 1, total + f.cast(n, "float32"), rows * 1.5 + f.exp(-limit)
            ),
            (f.as_tensor(0), f.as_tensor(0.0), x),
        )  # fmt: skip
        never = while_loop(lambda y: limit < 0.0, lambda y: y * 2.0, x)
        capped = while_loop(
            lambda y, z: y < limit, lambda y, z: (z, y + 1.0), (0.0, 1.0), 3
        )

        def cell(h: Any, row: Any) -> tuple[Any, Any]:
            bound = f.sum(f.square(row))
            h = while_loop(lambda h: f.sum(h) < bound, lambda h: h + 0.7, h * 0.1)
            return h, h

        last, ys = scan(cell, f.zeros((3,)), x)
        found = (n, total, rows, never, *capped, last, ys)
        return {f"y{k}": y for k, y in enumerate(found)}

    return step


def kernels() -> Any:
    """Operations with kernels of their own in a body."""

    def step(i: Inputs) -> dict[str, Any]:
        def cell(h: Any, x: Any) -> tuple[Any, Any]:
            order = f.argsort(x, axis=-1)
            h = c.softmax(h + f.take_along_axis(x, order, axis=-1))
            y = f.concatenate([f.cumsum(h, axis=0), f.flip(x, 1)], axis=1)
            return h, (y, f.argmax(x, axis=-1), f.sum(x, axis=(0, 1)))

        last, ys = scan(cell, i["x"][0] * 0.0, i["x"])
        return {"last": last, **{f"y{k}": y for k, y in enumerate(ys)}}

    return step


def trained() -> Any:
    """A whole step: a masked recurrence, its gradient, and the update of wide weights."""
    w_x, w_h = variable(5, 70, seed=1), variable(70, 70, seed=2)
    bias, slot = variable(70, seed=3), variable(70, 70, seed=4, kind="slot")

    def step(i: Inputs) -> dict[str, Any]:
        x = i["x"]
        live = f.sum(x, axis=-1, keepdims=True) > -2.0

        def cell(h: Any, row: Any) -> tuple[Any, Any]:
            x, live = row
            new = f.tanh(f.matmul(x, w_x) + f.matmul(h, w_h) + bias)
            return f.where(live, new, h), None

        h, _ = scan(cell, f.zeros((x.shape[1], 70)), (x, live))
        loss = f.mean(f.square(h - 0.1))
        weights = [w_x, w_h, bias]
        grads = gradients(loss, weights)
        slot.assign(slot * 0.9 + grads[1])
        grads[1] = slot * 0.5
        for w, g in zip(weights, grads, strict=True):
            w.assign(w - g * 0.3)
        return {"loss": loss}

    return step


def layers() -> Any:
    """A scan over the weights of layers, trained; the gradient is stacked like them."""
    stack, biases = variable(4, 5, 5), variable(4, 5, seed=1)

    def step(i: Inputs) -> dict[str, Any]:
        def layer(h: Any, row: Any) -> tuple[Any, Any]:
            w, b = row
            h = f.tanh(f.matmul(h, w) + b) + h
            return h, f.mean(h, axis=0)

        h, means = scan(layer, f.reshape(i["x"], (-1, 5)), (stack.value, biases.value))
        loss = f.mean(f.square(h)) + f.sum(f.square(means))
        for w, g in zip((stack, biases), gradients(loss, [stack, biases]), strict=True):
            w.assign(w - g * 0.1)
        return {"loss": loss, "means": means}

    return step


def panels() -> Any:
    """Weights in column panels as rows, as something shared, as what is carried."""
    w, kept = variable(70, 130), variable(70, 130, seed=1, kind="slot")

    def step(i: Inputs) -> dict[str, Any]:
        product = f.matmul(f.sum(i["x"]) + f.ones((2, 70)), w)

        def cell(h: Any, row: Any) -> tuple[Any, Any]:
            kept.assign(kept * 0.5 + w)
            new = f.tanh(h * 0.5 + row + f.sum(w * 0.01, axis=0))
            return new, f.max(f.absolute(w * f.sum(new)))

        last, tops = scan(cell, product[0], w.value, reverse=True)
        loss = f.sum(f.square(last)) * 0.01 + f.sum(product) * 0.001
        (g,) = gradients(loss, [w])
        w.assign(w - g * 0.01 + kept * 1e-3)
        return {"last": last, "tops": tops, "loss": loss}

    return step


def mapped() -> Any:
    """Nothing is carried; and nothing but a number of rounds goes in."""

    def step(i: Inputs) -> dict[str, Any]:
        _, ys = scan(lambda c, x: (c, (f.sum(x, axis=0), f.exp(x))), (), i["x"])
        loss = f.sum(f.square(ys[0])) + f.sum(ys[1])
        rounds = i["x"].shape[0]
        _, counts = scan(lambda c, _: (c + 2, c), f.as_tensor(1), length=rounds)
        (g,) = gradients(loss, [i["x"]])
        return {"a": ys[0], "b": ys[1], "g": g, "counts": counts}

    return step


def replaced() -> Any:
    """What is carried in place becomes something that does not change, or is shared."""

    def step(i: Inputs) -> dict[str, Any]:
        x = i["x"]
        a = f.broadcast_to(x[0, 0], (20_000, 5))
        b = a * 2.0

        def cell(state: Any, row: Any) -> tuple[Any, Any]:
            one, two = state
            seen = f.sum(one * 0.5 + two) + f.sum(row)
            return (f.exp(-f.absolute(b)) + 1.0, b), (seen, f.max(one))

        last, ys = scan(cell, (a, a * 3.0), x)
        return {f"y{k}": y for k, y in enumerate((*last, *ys))}

    return step


def shares() -> Any:
    """Two carries with one new value, results that are the same, a mask that varies."""

    def step(i: Inputs) -> dict[str, Any]:
        x = i["x"]

        def cell(state: Any, row: Any) -> tuple[Any, Any]:
            a, b, big = state
            new = f.where(row > 0.0, a + row, b)
            big = f.where(f.sum(row) > 0.0, big * 0.9 + f.sum(new), big)
            return (new, new, big), (new, new, b, f.reshape(new, (-1,)), f.sum(big))

        start = (x[0], x[0] * 2.0, f.broadcast_to(x[0, 0], (15_000, 5)))
        last, ys = scan(cell, start, x, reverse=True)
        found = (*last, *ys)
        return {f"y{k}": y for k, y in enumerate(found)}

    return step


CASES: dict[str, Callable[[], Any]] = {
    "recurrent": recurrent(False),
    "recurrent backwards": recurrent(True),
    "no history": no_history,
    "swapped": swapped,
    "nests": nests,
    "strided": strided,
    "assigned": assigned,
    "nested": nested,
    "branches": branches,
    "whiles": whiles,
    "kernels": kernels,
    "trained": trained,
    "layers": layers,
    "panels": panels,
    "mapped": mapped,
    "replaced": replaced,
    "shares": shares,
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_native_equals_the_reference_on_any_number_of_workers(name: str) -> None:
    graph = trace(CASES[name](), X)
    same_everywhere(graph, sequences(1, 4, 7, 4, rows=3))


def test_every_operation_with_a_region_has_a_case() -> None:
    found: set[str] = set()

    def visit(nodes: list[Node]) -> None:
        for node in nodes:
            if node.op.family == "region":
                found.add(node.op.name)
                for region in node.attrs.values():
                    if isinstance(region, Region):
                        visit(walk(region.results))

    for make in CASES.values():
        visit(trace(make(), X).nodes())
    assert found == {n for n, r in REGISTRY.items() if r.family == "region"}
    assert not found & set(GAPS), "its gap is closed"


# ------------------------------------------------------------------------------ faults


@pytest.mark.parametrize("engine", api.names())
@pytest.mark.parametrize("looped", [True, False])
def test_an_index_out_of_range_changes_nothing(engine: str, looped: bool) -> None:
    w = variable(4, 5)
    before = w.numpy()

    def step(i: Inputs) -> dict[str, Any]:
        def cell(h: Any, k: Any) -> tuple[Any, Any]:
            return h + f.take(w, k, axis=0), None

        if looped:
            last, _ = scan(cell, f.zeros((5,)), i["k"])
        else:
            last = f.sum(f.take(w, i["k"], axis=0), axis=0)
        w.assign(w * 0.5 + last)
        return {"last": last}

    graph = trace(step, {"k": Spec((T,), "int32")})
    for count in WORKERS:
        with workers(count):
            executable = api.get(engine).compile(graph)
            with pytest.raises(DataError) as caught:
                executable.call({"k": np.int32([0, 3, 4, 1])})
            assert caught.value.code == "RV111"
            np.testing.assert_array_equal(w.numpy(), before)
    executable.call({"k": np.int32([0, 3, 1])})
    assert (w.numpy() != before).any()


def test_halves_are_carried_and_stacked() -> None:
    """What only moves values takes float16 in a loop too."""
    x = np.arange(12, dtype="float16").reshape(3, 4)

    def step(i: Inputs) -> dict[str, Any]:
        last, ys = scan(lambda c, x: (x, c), i["x"][0], i["x"], reverse=True)
        return {"last": last, "ys": ys}

    graph = trace(step, {"x": Spec((T, 4), "float16")})
    got = api.get("native").compile(graph).call({"x": x})
    np.testing.assert_array_equal(got["last"], x[0])
    np.testing.assert_array_equal(got["ys"], x[[1, 2, 0]])


# ----------------------------------------------------------------------- what it costs


def plan_of(make: Callable[[], Any], **inputs: Any) -> Any:
    executable: Any = api.get("native").compile(trace(make(), X))
    executable.call(sequences(6, rows=32)[0])
    (compiled,) = executable._plans.values()
    return compiled


def test_weights_multiplied_in_a_body_lie_in_panels() -> None:
    graph = trace(trained(), X)
    api.get("native").compile(graph).call(sequences(3)[0])
    wide = [v for v in graph.variables() if v.shape in ((5, 70), (70, 70))]
    assert len(wide) == 3
    assert all(isinstance(v.storage, Panels) for v in wide)


def inside(steps: list[Any]) -> list[list[str]]:
    """Kernels in each loop."""
    return [
        [s.kernel for s in steps[i + 1 : i + 1 + loop.body]]
        for i, loop in enumerate(steps)
        if loop.kernel == "loop"
    ]


def test_a_round_of_a_recurrence_is_one_step() -> None:
    """Product, sum and tanh on its tiles; what is carried is written where it goes."""

    def make() -> Any:
        w = variable(5, 5)
        return lambda i: {"ys": _recurrent(i, w)[1]}

    (body,) = inside(plan_of(make).steps)
    assert body == ["gemm_nn"]


def test_what_does_not_change_is_computed_once() -> None:
    def make() -> Any:
        w = variable(5, 5)

        def step(i: Inputs) -> dict[str, Any]:
            def cell(h: Any, x: Any) -> tuple[Any, Any]:
                return f.tanh(f.matmul(h, f.matmul(w, w) * 0.1) + x), None

            return {"h": scan(cell, f.zeros_like(i["x"][0]), i["x"])[0]}

        return step

    (body,) = inside(plan_of(make).steps)
    assert body == ["gemm_nn"]


def test_what_nobody_reads_is_not_computed() -> None:
    """A weight's gradient needs no gradient of the rows."""

    def make() -> Any:
        w = variable(5, 5)

        def step(i: Inputs) -> dict[str, Any]:
            def cell(h: Any, x: Any) -> tuple[Any, Any]:
                return f.tanh(h + f.sum(f.matmul(x, w))), f.exp(x)

            last, _ = scan(cell, f.as_tensor(0.0), i["x"])
            return {"g": gradients(last, [w])[0]}

        return step

    forward, backward = inside(plan_of(make).steps)
    assert "gemm_nt" not in forward + backward, "that is the gradient of the rows"
    assert forward == ["reduce", "ew_run"], "no exp of the rows, no product in the loop"


def test_a_constant_choice_is_made_in_the_plan() -> None:
    def make() -> Any:
        return lambda i: {
            "y": cond(True, lambda: i["x"] * 2.0, lambda: f.argsort(i["x"]) * 1.0)
        }

    kernels = [s.kernel for s in plan_of(make).steps]
    assert kernels == ["gather", "ew_run", "ew_run"], "it is copied out"


def test_what_is_carried_in_place_takes_no_room_of_its_own() -> None:
    """A long scan over a large carry keeps one value of it, not all."""

    def step(i: Inputs) -> dict[str, Any]:
        start = f.broadcast_to(i["x"][0, 0], (10_000, 5))
        last, _ = scan(lambda h, x: (h * 0.5 + f.sum(x), None), start, i["x"])
        return {"last": f.sum(last)}

    executable: Any = api.get("native").compile(trace(step, X))
    executable.call(sequences(100)[0])
    (compiled,) = executable._plans.values()
    assert compiled.plan.arena_bytes < 2 * 10_000 * 5 * 4
