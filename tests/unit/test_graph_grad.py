"""The gradient pass: what it refuses, what it leaves out, and nesting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from strategies import dense_stack, evaluate, run, slopes_agree

from ranvier.errors import NumericsError, ShapeError
from ranvier.graph import Dim, Spec, Variable, trace
from ranvier.graph import composites as c
from ranvier.graph import functions as f
from ranvier.graph.passes.grad import gradients

B = Dim.symbol("batch")
X = {"x": Spec((B, 3), "float32")}


def grad_of(fn: Any, x: Any, spec: Spec | None = None) -> Any:
    """The gradient of a scalar function of one input, on both engines."""
    x = np.asarray(x, "float32")

    def step(i: Mapping[str, Any]) -> dict[str, Any]:
        (g,) = gradients(fn(i["x"]), [i["x"]])
        return {"g": f.zeros_like(i["x"]) if g is None else g}

    graph = trace(step, {"x": spec or Spec(x.shape, "float32")})
    want = run("reference", graph, {"x": x})["g"]
    got = run("native", graph, {"x": x})["g"]
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    return want


def test_a_gradient_needs_a_scalar() -> None:
    with pytest.raises(ShapeError) as caught:
        grad_of(lambda x: x * 2.0, [1, 2])
    assert caught.value.code == "RV108"
    assert "ops.sum" in caught.value.fix


def test_seeds_replace_the_scalar() -> None:
    def step(i: Mapping[str, Any]) -> dict[str, Any]:
        y = f.square(i["x"])
        (g,) = gradients([y], [i["x"]], seeds=[i["x"] * 0.0 + 3.0])
        return {"g": g}

    x = np.array([[1, 2, 3]], "float32")
    np.testing.assert_array_equal(
        run("reference", trace(step, X), {"x": x})["g"], 6 * x
    )


def test_several_results_add_up() -> None:
    def step(i: Mapping[str, Any]) -> dict[str, Any]:
        (g,) = gradients([f.sum(i["x"]), f.sum(f.square(i["x"]))], [i["x"]])
        return {"g": g}

    x = np.array([[1, 2, 3]], "float32")
    np.testing.assert_array_equal(
        run("reference", trace(step, X), {"x": x})["g"], 1 + 2 * x
    )


def test_what_does_not_depend_has_no_gradient() -> None:
    v = Variable(np.float32(2), name="v")

    def step(i: Mapping[str, Any]) -> dict[str, Any]:
        loss = f.sum(i["x"])
        assert gradients(loss, [v]) == [None]
        assert gradients(loss, [f.sum(i["x"] * 2.0)]) == [None]
        assert gradients(f.sum(f.stop_gradient(i["x"])), [i["x"]]) == [None]
        assert gradients(f.sum(f.cast(f.floor(i["x"]), "int32") * 1.5), [i["x"]]) == [
            None
        ]
        return {"loss": loss}

    trace(step, X)


def test_with_respect_to_what_lies_between() -> None:
    def step(i: Mapping[str, Any]) -> dict[str, Any]:
        hidden = f.square(i["x"])
        loss = f.sum(f.square(hidden)) + f.sum(i["x"])
        g_hidden, g_x = gradients(loss, [hidden, i["x"]])
        return {"hidden": g_hidden, "x": g_x}

    x = np.array([[1, 2, 3]], "float32")
    got = run("reference", trace(step, X), {"x": x})
    np.testing.assert_array_equal(got["hidden"], 2 * x**2)
    np.testing.assert_array_equal(got["x"], 4 * x**3 + 1)


def test_a_value_used_twice_and_by_itself() -> None:
    np.testing.assert_array_equal(
        grad_of(lambda x: f.sum(x * x + x), [1, 2, -3]), [3, 5, -5]
    )
    np.testing.assert_array_equal(grad_of(lambda x: f.sum(x - x), [1, 2]), [0, 0])
    np.testing.assert_array_equal(
        grad_of(lambda x: f.sum(f.concatenate([x, x, x * 2.0])), [1, 2]), [4, 4]
    )


CONVENTIONS = {
    "relu at 0": (lambda x: f.sum(c.relu(x)), [-1, 0, 2], [0, 0, 1]),
    "abs at 0": (lambda x: f.sum(f.absolute(x)), [-1, 0, 2], [-1, 0, 1]),
    "ties of max are shared": (lambda x: f.max(x), [1, 3, 3], [0, 0.5, 0.5]),
    "ties of maximum are shared": (
        lambda x: f.sum(f.maximum(x, 1.0)),
        [0, 1, 2],
        [0, 0.5, 1],
    ),
    "product with a zero": (lambda x: f.prod(x), [2, 0, 3], [0, 6, 0]),
    "product with two zeros": (lambda x: f.prod(x), [0, 0, 3], [0, 0, 0]),
    "a repeated index": (lambda x: f.sum(f.take(x, [0, 0, 2])), [1, 2, 3], [2, 0, 1]),
    "a negative index": (lambda x: f.sum(f.take(x, [-1, 0])), [1, 2, 3], [1, 0, 1]),
    "a strided slice": (lambda x: f.sum(x[::2] * 2.0), [1, 2, 3], [2, 0, 2]),
    "power of a negative": (lambda x: f.sum(f.power(x, 3.0)), [-2, 0, 1], [12, 0, 3]),
    "sort": (
        lambda x: f.sum(f.sort(x) * np.float32([1, 10, 100])),
        [3, 1, 2],
        [100, 1, 10],
    ),
}


@pytest.mark.parametrize("name", sorted(CONVENTIONS))
def test_conventions(name: str) -> None:
    fn, x, want = CONVENTIONS[name]
    np.testing.assert_array_equal(grad_of(fn, x), np.float32(want))


def test_where_protects_the_branch_that_is_not_taken() -> None:
    """The usual trick: the argument is made safe before the unsafe function."""

    def safe(x: Any) -> Any:
        ok = x > 0
        return f.sum(f.where(ok, f.log(f.where(ok, x, 1.0)), 0.0))

    np.testing.assert_array_equal(grad_of(safe, [-1, 0, 2]), [0, 0, 0.5])


def test_third_order() -> None:
    def step(i: Mapping[str, Any]) -> dict[str, Any]:
        y = f.sum(f.power(i["x"], 4.0))
        found = {}
        for order in range(1, 5):
            (g,) = gradients(y, [i["x"]])
            found[f"d{order}"] = g
            y = f.sum(g)
        return found

    x = np.array([[1, 2, -1]], "float32")
    got = run("reference", trace(step, X), {"x": x})
    np.testing.assert_allclose(got["d3"], 24 * x, rtol=1e-5)
    np.testing.assert_allclose(got["d4"], 24 + 0 * x, rtol=1e-5)


def test_hessian_vector_product_of_a_network() -> None:
    """Along any direction, against differences of the gradient in float64."""
    weights, forward = dense_stack([3, 5, 4], f.tanh)

    def step(i: Mapping[str, Any]) -> dict[str, Any]:
        loss = f.mean(c.softmax_cross_entropy(forward(i["x"]), c.softmax(i["t"]))[0])
        gx, gt, *gw = gradients(loss, [i["x"], i["t"], *weights])
        mixed = sum(f.sum(f.square(g)) for g in [gx, gt, *gw])
        hx, ht = gradients(mixed, [i["x"], i["t"]])
        return {"mixed": mixed, "hx": hx, "ht": ht}

    graph = trace(step, {**X, "t": Spec((B, 4), "float32")})
    rng = np.random.default_rng(0)
    at = {"x": rng.normal(size=(2, 3)), "t": rng.normal(size=(2, 4))}
    _, hx, ht = evaluate(graph, at)
    slopes_agree(
        lambda x: float(evaluate(graph, x)[0]), {"x": hx, "t": ht}, at, rtol=1e-5
    )


def test_an_operation_without_a_gradient_names_the_users_line() -> None:
    with pytest.raises(NumericsError) as caught:
        grad_of(lambda x: f.sum(f.lgamma(x)), [1, 2])
    assert caught.value.code == "RV303"
    assert "lgamma" in caught.value.message
    assert __file__ in caught.value.details


def test_gradient_nodes_inherit_the_line_they_come_from() -> None:
    lines: dict[str, str] = {}

    def step(i: Mapping[str, Any]) -> dict[str, Any]:
        y = f.sin(i["x"])
        (g,) = gradients(f.sum(y), [i["x"]])
        return {"g": g}

    graph = trace(step, X)
    for node in graph.nodes():
        for origin in node.origins:
            lines.setdefault(node.op.name, origin.line)
    assert lines["cos"] == lines["mul"]
    cos = next(n for n in graph.nodes() if n.op.name == "cos")
    assert cos.origins[0].role == "gradient"
