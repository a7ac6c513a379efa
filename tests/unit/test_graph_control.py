"""Loops and branches: meaning, captured tensors, variables, gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from strategies import evaluate, run, slopes_agree

from ranvier.errors import NumericsError, ShapeError
from ranvier.graph import Dim, Graph, Spec, Variable, trace
from ranvier.graph import functions as f
from ranvier.graph.control import cond, scan, while_loop
from ranvier.graph.passes.grad import gradients
from ranvier.graph.passes.simplify import simplify

T, B = Dim.symbol("time"), Dim.symbol("batch")
RNG = np.random.default_rng


def call(graph: Graph, **inputs: Any) -> dict[str, Any]:
    """Results before and after simplifying, which must be the same bits."""
    variables = graph.variables()
    before = [v.numpy() for v in variables]
    want = run("reference", graph, inputs)
    after = [v.numpy() for v in variables]
    for v, value in zip(variables, before, strict=True):
        v.assign(value)
    got = run("reference", simplify(graph), inputs)
    for name in want:
        np.testing.assert_array_equal(got[name], want[name])
    for v, value in zip(variables, after, strict=True):
        np.testing.assert_array_equal(v.numpy(), value)
    return want


# ------------------------------------------------------------------------------- scan


def test_scan_is_the_python_loop_for_any_length() -> None:
    w = Variable(RNG(0).normal(size=(4, 4)).astype("float32"), name="w")

    def step(inputs: Mapping[str, Any]) -> dict[str, Any]:
        def cell(h: Any, x: Any) -> tuple[Any, Any]:
            h = f.tanh(f.matmul(h, w) + x)
            return h, f.sum(h, axis=-1)

        last, ys = scan(cell, f.zeros((2, 4)), inputs["x"])
        return {"last": last, "ys": ys}

    graph = trace(step, {"x": Spec((T, 2, 4), "float32")})
    assert graph.outputs["ys"].spec == Spec((T, 2), "float32")
    for length in (0, 1, 5, 9):
        x = RNG(length).normal(size=(length, 2, 4)).astype("float32")
        got = call(graph, x=x)
        h, ys = np.zeros((2, 4), "float32"), []
        for row in x:
            h = np.tanh(h @ w.numpy() + row)
            ys.append(h.sum(-1))
        np.testing.assert_allclose(got["last"], h, rtol=1e-6)
        assert got["ys"].shape == (length, 2)
        if length:
            np.testing.assert_allclose(got["ys"], np.stack(ys), rtol=1e-5, atol=1e-6)


def test_scan_backwards_keeps_the_order_of_rows() -> None:
    def step(inputs: Mapping[str, Any]) -> dict[str, Any]:
        _, ys = scan(lambda c, x: (c + x, c + x), 0.0, inputs["x"], reverse=True)
        return {"ys": ys}

    got = call(trace(step, {"x": Spec((T,), "float32")}), x=np.float32([1, 2, 3]))
    np.testing.assert_array_equal(got["ys"], [6, 5, 3])


def test_scan_over_nests_and_without_rows() -> None:
    def step(inputs: Mapping[str, Any]) -> dict[str, Any]:
        def cell(carry: Any, row: Any) -> tuple[Any, Any]:
            total, count = carry["total"], carry["count"]
            a, b = row
            new = {"total": total + a * b, "count": count + 1}
            return new, {"product": a * b}

        start = {"total": f.as_tensor(0.0), "count": f.as_tensor(0)}
        carry, ys = scan(cell, start, (inputs["a"], inputs["b"]))
        powers, _ = scan(lambda c, _: (c * 2.0, None), 1.0, length=inputs["a"].shape[0])
        return {**carry, **ys, "powers": powers}

    spec = Spec((T,), "float32")
    got = call(
        trace(step, {"a": spec, "b": spec}),
        a=np.float32([1, 2, 3]),
        b=np.float32([4, 5, 6]),
    )
    assert (got["total"], got["count"], got["powers"]) == (32, 3, 8)
    np.testing.assert_array_equal(got["product"], [4, 10, 18])


def test_a_variable_assigned_in_a_scan_is_carried() -> None:
    total = Variable(np.float32(10), name="total", kind="metric")
    calls = Variable(np.int32(0), name="calls", kind="counter")

    def step(inputs: Mapping[str, Any]) -> dict[str, Any]:
        def cell(c: Any, x: Any) -> tuple[Any, Any]:
            total.assign_add(x)
            calls.assign_add(1)
            return c + total, total.value

        c, seen = scan(cell, 0.0, inputs["x"])
        return {"c": c, "seen": seen, "after": total.value}

    graph = trace(step, {"x": Spec((T,), "float32")})
    got = call(graph, x=np.float32([1, 2, 3]))
    np.testing.assert_array_equal(got["seen"], [11, 13, 16])
    assert (got["c"], got["after"], total.numpy(), calls.numpy()) == (40, 16, 16, 3)


def test_a_carry_that_changes_shape_is_refused() -> None:
    with pytest.raises(ShapeError) as caught:
        trace(
            lambda i: {"y": scan(lambda c, x: (f.stack([c, x]), c), 0.0, i["x"])[1]},
            {"x": Spec((T,), "float32")},
        )
    assert caught.value.code == "RV108"
    with pytest.raises(ShapeError):
        trace(lambda i: {"y": scan(lambda c, x: (c, c), 0.0)[1]}, {})
    with pytest.raises(ShapeError):
        trace(
            lambda i: {"y": scan(lambda c, x: (c, c), 0.0, (i["x"], i["x"][1:]))[1]},
            {"x": Spec((4,), "float32")},
        )


def recurrent(inputs: Mapping[str, Any], weight: Any) -> Any:
    """A masked recurrent sum: rows beyond a sequence's length change nothing."""

    def cell(h: Any, row: Any) -> tuple[Any, Any]:
        x, live = row
        new = f.tanh(f.matmul(h, weight) + x)
        h = f.where(f.expand_dims(live, -1), new, h)
        return h, h * 0.5

    times = f.expand_dims(f.iota(inputs["x"].shape[0]), -1)
    mask = times < f.expand_dims(inputs["n"], 0)
    start = f.zeros_like(inputs["x"][0])
    last, ys = scan(cell, start, (inputs["x"], mask))
    return f.sum(f.square(last)) + f.sum(f.sin(ys))


RECURRENT = {"x": Spec((T, B, 3), "float32"), "n": Spec((B,), "int32")}


@pytest.mark.parametrize("length", [1, 4, 7])
def test_gradients_of_a_scan(length: int) -> None:
    """With respect to rows and captured weights; first and second order."""
    w = Variable(RNG(1).normal(size=(3, 3)).astype("float32"), name="w")

    def step(inputs: Mapping[str, Any]) -> dict[str, Any]:
        loss = recurrent(inputs, inputs["w"] + w)
        gx, gw, gv = gradients(loss, [inputs["x"], inputs["w"], w])
        again = f.sum(f.square(gx)) + f.sum(f.square(gw))
        hx, hw = gradients(again, [inputs["x"], inputs["w"]])
        out = {"loss": loss, "again": again, "dx": gx, "dw": gw, "dv": gv}
        return out | {"ex": hx, "ew": hw}

    graph = trace(step, {**RECURRENT, "w": Spec((3, 3), "float32")})
    at = {
        "x": RNG(2).normal(size=(length, 2, 3)),
        "n": np.array([length, max(1, length - 2)], "int32"),
        "w": RNG(3).normal(size=(3, 3)),
    }
    names = list(graph.outputs)
    found = dict(zip(names, evaluate(graph, at), strict=True))
    np.testing.assert_array_equal(found["dw"], found["dv"])
    for scalar, prefix in (("loss", "d"), ("again", "e")):
        place = names.index(scalar)
        slopes_agree(
            lambda x, place=place: float(evaluate(graph, x)[place]),  # type: ignore[misc]
            {"x": found[prefix + "x"], "w": found[prefix + "w"]},
            at,
            rtol=1e-5,
        )
    beyond = found["dx"][max(1, length - 2) :, 1]
    assert (beyond == 0).all(), "a masked row has no gradient"


def test_the_gradient_of_a_scan_runs_it_forward_once() -> None:
    def step(inputs: Mapping[str, Any]) -> dict[str, Any]:
        loss = recurrent(inputs, inputs["w"])
        return {"loss": loss, "g": gradients(loss, [inputs["w"]])[0]}

    graph = trace(step, {**RECURRENT, "w": Spec((3, 3), "float32")})
    count = [n.op.name for n in simplify(graph).nodes()].count("scan")
    assert count == 2, "one forwards, one backwards"


# ------------------------------------------------------------------------------- cond


@pytest.mark.parametrize("yes", [True, False])
def test_cond_chooses_when_it_runs(yes: bool) -> None:
    v = Variable(np.float32(5), name="v")
    other = Variable(np.float32(7), name="other")

    def step(inputs: Mapping[str, Any]) -> dict[str, Any]:
        def one() -> Any:
            v.assign(v * 2.0)
            return f.sum(inputs["x"]) * 3.0

        def two() -> Any:
            other.assign_add(1.0)
            return f.sum(inputs["x"]) + v

        y = cond(inputs["pick"], one, two)
        (g,) = gradients(y, [inputs["x"]])
        return {"y": y, "g": g, "v": v.value}

    graph = trace(step, {"x": Spec((2,), "float32"), "pick": Spec((), "bool")})
    got = call(graph, x=np.float32([1, 2]), pick=np.array(yes))
    assert got["y"] == (9 if yes else 8)
    np.testing.assert_array_equal(got["g"], [3, 3] if yes else [1, 1])
    assert v.numpy() == (10 if yes else 5)
    assert other.numpy() == (7 if yes else 8)


def test_cond_with_branches_that_differ_is_refused() -> None:
    with pytest.raises(ShapeError) as caught:
        trace(
            lambda i: {"y": cond(i["p"], lambda: i["x"], lambda: f.sum(i["x"]))},
            {"x": Spec((2,), "float32"), "p": Spec((), "bool")},
        )
    assert caught.value.code == "RV108"


def test_cond_inside_scan_inside_cond() -> None:
    def step(inputs: Mapping[str, Any]) -> dict[str, Any]:
        def cell(c: Any, x: Any) -> tuple[Any, Any]:
            c = cond(x > 0, lambda: c + x * inputs["k"], lambda: c * 0.5)
            return c, c

        y = cond(
            inputs["pick"],
            lambda: scan(cell, f.as_tensor(1.0), inputs["x"])[0],
            lambda: f.as_tensor(0.0),
        )
        (g,) = gradients(y, [inputs["k"]])
        return {"y": y, "g": g}

    graph = trace(
        step,
        {
            "x": Spec((T,), "float32"),
            "k": Spec((), "float32"),
            "pick": Spec((), "bool"),
        },
    )
    given = {"x": np.float32([1, -1, 2]), "k": np.float32(3)}
    got = call(graph, **given, pick=np.array(True))
    assert got["y"] == (1 + 3) * 0.5 + 6
    assert got["g"] == 1 * 0.5 + 2
    got = call(graph, **given, pick=np.array(False))
    assert (got["y"], got["g"]) == (0, 0)


# ------------------------------------------------------------------------------ while


def test_while_runs_until_it_is_told() -> None:
    def step(inputs: Mapping[str, Any]) -> dict[str, Any]:
        n, total = while_loop(
            lambda n, total: total < inputs["limit"],
            lambda n, total: (n + 1, total + f.cast(n, "float32")),
            (f.as_tensor(0), f.as_tensor(0.0)),
        )
        capped = while_loop(
            lambda x: x < 100.0, lambda x: x * 2.0, 1.0, maximum_iterations=3
        )
        return {"n": n, "total": total, "capped": capped}

    graph = trace(step, {"limit": Spec((), "float32")})
    got = call(graph, limit=np.float32(10))
    assert (got["n"], got["total"], got["capped"]) == (5, 10, 8)
    assert call(graph, limit=np.float32(-1))["n"] == 0


def test_while_has_no_gradient_and_says_so() -> None:
    def step(inputs: Mapping[str, Any]) -> dict[str, Any]:
        y = while_loop(lambda x: x < 9.0, lambda x: x * 2.0, inputs["x"])
        return {"g": gradients(y, [inputs["x"]])[0]}

    with pytest.raises(NumericsError) as caught:
        trace(step, {"x": Spec((), "float32")})
    assert caught.value.code == "RV303"
    assert "scan" in str(caught.value)
    assert __file__ in str(caught.value)


def test_loops_and_branches_run_eagerly_too() -> None:
    y, ys = scan(lambda c, x: (c + x, c), f.as_tensor(0.0), f.as_tensor([1.0, 2.0]))
    assert float(y) == 3
    np.testing.assert_array_equal(ys, [0, 1])
    assert (
        float(
            cond(f.as_tensor(True), lambda: f.as_tensor(1.0), lambda: f.as_tensor(2.0))
        )
        == 1
    )
    assert float(while_loop(lambda x: x < 5.0, lambda x: x + 2.0, 0.0)) == 6


def test_no_rounds_give_results_of_the_right_shape() -> None:
    """Sizes known only when it runs included."""

    def step(inputs: Mapping[str, Any]) -> dict[str, Any]:
        last, ys = scan(lambda c, x: (c + x, x * 2.0), inputs["c"], inputs["x"])
        return {"last": last, "ys": ys}

    graph = trace(step, {"x": Spec((T, B, 3), "float32"), "c": Spec((B, 3), "float32")})
    for engine in ("reference", "native"):
        found = run(
            engine, graph, {"x": np.zeros((0, 2, 3), "f4"), "c": np.ones((2, 3), "f4")}
        )
        assert found["ys"].shape == (0, 2, 3)
        np.testing.assert_array_equal(found["last"], np.ones((2, 3)))
