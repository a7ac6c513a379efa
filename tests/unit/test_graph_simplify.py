"""Rewrites: what they remove, what they must leave, and the origins they keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from strategies import run

from ranvier.graph import Dim, Graph, Spec, Variable, scope, trace
from ranvier.graph import composites as c
from ranvier.graph import functions as f
from ranvier.graph.passes.simplify import simplify

B = Dim.symbol("batch")
X = {"x": Spec((B, 4), "float32")}


def graph(fn: Any, specs: Mapping[str, Spec] = X) -> Graph:
    return trace(lambda i: {"y": fn(*i.values())}, specs)


def names(fn: Any, keep: tuple[str, ...] = ()) -> list[str]:
    return [n.op.name for n in simplify(graph(fn), keep).nodes()]


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: x * 1.0,
        lambda x: 1.0 * x,
        lambda x: x / 1.0,
        lambda x: f.transpose(f.transpose(x)),
        lambda x: f.reshape(f.reshape(x, (-1,)), x.shape),
        lambda x: f.where(x > 0, x, x),
        f.stop_gradient,
        lambda x: f.cast(x, "float32"),
        lambda x: f.squeeze(f.expand_dims(x, 1), 1),
    ],
)
def test_what_does_nothing_disappears(fn: Any) -> None:
    assert names(fn) == ["input"]


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: x + 0.0,  # -0.0 + 0.0 is 0.0
        lambda x: x * 0.0,  # NaN stays NaN
        lambda x: x - x,
        lambda x: (x * 3.0) / 3.0,
    ],
)
def test_what_could_change_a_bit_stays(fn: Any) -> None:
    assert len(names(fn)) > 1


def test_equal_nodes_are_shared() -> None:
    assert names(lambda x: f.exp(x) + f.exp(x)).count("exp") == 1
    assert names(lambda x: f.sum(x, 0) + f.sum(x, 0) * 2.0).count("sum") == 1
    assert names(lambda x: f.sum(x, 0) + f.sum(x)).count("sum") == 2


def test_numbers_of_different_types_are_not_equal() -> None:
    """True, 1 and 1.0 are the same key of a dict."""

    def step(i: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "a": f.cast(f.full((B,), 1, "int32"), "float32") + i["x"][:, 0],
            "b": f.full((B,), 1.0, "float32") * i["x"][:, 0],
            "zero": i["x"] * np.float32(0.0),
            "minus": i["x"] * np.float32(-0.0),
        }

    g = trace(step, X)
    x = np.ones((2, 4), "float32")
    got, want = (run("reference", h, {"x": x}) for h in (simplify(g), g))
    for name in want:
        np.testing.assert_array_equal(np.signbit(got[name]), np.signbit(want[name]))


def test_composites_stay_where_there_is_a_kernel() -> None:
    def fn(x: Any) -> Any:
        return c.softmax(c.relu(x))

    assert names(fn, ("softmax", "relu")) == ["input", "relu", "softmax"]
    unfused = names(fn)
    assert not {"softmax", "relu"} & set(unfused)
    assert {"exp", "div", "reduce_max", "sum", "max"} <= set(unfused)


def test_a_composite_of_several_results() -> None:
    def step(i: Mapping[str, Any]) -> dict[str, Any]:
        loss, probs = c.sparse_softmax_cross_entropy(i["x"], i["y"])
        return {"loss": loss, "probs": probs}

    g = trace(step, {**X, "y": Spec((B,), "int32")})
    kept = simplify(g, ("sparse_softmax_cross_entropy",))
    assert "sparse_softmax_cross_entropy" in [n.op.name for n in kept.nodes()]
    given = {
        "x": np.random.default_rng(0).normal(size=(3, 4)).astype("float32"),
        "y": np.array([0, 3, 1], "int32"),
    }
    want = run("reference", g, given)
    for other in (kept, simplify(g)):
        got = run("reference", other, given)
        for name in want:
            np.testing.assert_array_equal(got[name], want[name])


def test_merged_nodes_keep_all_origins() -> None:
    def step(i: Mapping[str, Any]) -> dict[str, Any]:
        with scope(layer="one"):
            a = f.exp(i["x"])
        with scope(layer="two"):
            b = f.exp(i["x"])
        return {"a": a, "b": b}

    simple = simplify(trace(step, X))
    assert simple.outputs["a"] is simple.outputs["b"]
    assert {o.layer for o in simple.outputs["a"].origins} == {"one", "two"}


def test_inputs_and_updates_survive() -> None:
    v = Variable(np.float32(1), name="v")

    def step(i: Mapping[str, Any]) -> dict[str, Any]:
        v.assign(v * 1.0)
        return {"y": v.value}

    simple = simplify(trace(step, {**X, "unused": Spec((B,), "int32")}))
    assert list(simple.inputs) == ["x", "unused"]
    assert list(simple.updates) == [v]
    assert simple.updates[v].op.name == "variable"


def test_a_known_size_becomes_a_number() -> None:
    known = {"x": Spec((5, 4), "float32")}
    mean = simplify(graph(lambda x: f.mean(x), known))
    assert "dim" not in [n.op.name for n in mean.nodes()]
    assert "dim" in [n.op.name for n in simplify(graph(lambda x: f.mean(x))).nodes()]
