"""`value_and_grad`, `grad` and `custom_gradient`: in a step, outside, and nested."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from strategies import run

from ranvier.errors import ShapeError
from ranvier.graph import Dim, Spec, Variable, trace
from ranvier.graph import functions as f
from ranvier.graph.autodiff import custom_gradient, grad, value_and_grad
from ranvier.graph.control import scan
from ranvier.graph.trace import tap

X = {"x": Spec((Dim.symbol("batch"), 3), "float32")}
ONES = np.array([[1, 2, 3]], "float32")


def test_on_arrays() -> None:
    value, g = value_and_grad(lambda x: f.sum(f.square(x)))([1.0, 2.0])
    assert float(value) == 5
    np.testing.assert_array_equal(g, [2, 4])


def test_on_nests_and_several_arguments() -> None:
    def fn(p: Any, x: Any, scale: float) -> Any:
        return f.sum(p["w"] * x + p["b"]) * scale

    p = {"w": np.float32([1, 2]), "b": np.float32([3, 4])}
    _, (gp, gx) = value_and_grad(fn, argnums=(0, 1))(p, np.float32([5, 6]), 2.0)
    np.testing.assert_array_equal(gp["w"], [10, 12])
    np.testing.assert_array_equal(gp["b"], [2, 2])
    np.testing.assert_array_equal(gx, [2, 4])


def test_variables_and_aux() -> None:
    w = Variable([2.0], name="w")
    unused = Variable([1.0], name="unused")
    seen = Variable(np.int32(0), name="seen", kind="counter")

    def fn(x: Any) -> Any:
        seen.assign_add(1)
        return f.sum(w * w * x), x * 2.0

    both = value_and_grad(fn, variables=[w, unused], has_aux=True)
    (value, aux), (gw, gu) = both(np.float32([3]))
    assert float(value) == 12
    np.testing.assert_array_equal(aux, [6])
    np.testing.assert_array_equal(gw, [12])
    np.testing.assert_array_equal(gu, [0])
    assert seen.numpy() == 1


@pytest.mark.parametrize("engine", ["reference", "native"])
def test_nested_in_a_step(engine: str) -> None:
    """The second derivative of x³ is 6x."""

    def step(i: Mapping[str, Any]) -> dict[str, Any]:
        def slope(x: Any) -> Any:
            return f.sum(grad(lambda x: f.sum(x * x * x))(x))

        return {"y": grad(slope)(i["x"])}

    got = run(engine, trace(step, X), {"x": ONES})["y"]
    np.testing.assert_allclose(got, 6 * ONES, rtol=1e-6)


def test_nested_outside_a_step() -> None:
    second = grad(lambda x: f.sum(grad(lambda x: f.sum(x * x * x))(x)))
    np.testing.assert_array_equal(second(ONES), 6 * ONES)


def test_other_uses_of_the_argument_do_not_count() -> None:
    def step(i: Mapping[str, Any]) -> dict[str, Any]:
        x = i["x"]
        return {"y": grad(lambda z: f.sum(z * x))(x)}

    np.testing.assert_array_equal(
        run("reference", trace(step, X), {"x": ONES})["y"], ONES
    )


def test_a_gradient_needs_a_scalar() -> None:
    with pytest.raises(ShapeError) as caught:
        grad(lambda x: x * 2.0)(ONES)
    assert caught.value.code == "RV108"


@custom_gradient
def clipped(x: Any) -> Any:
    """The identity whose gradient is clipped, and grows with x."""
    return x * 1.0, lambda upstream: f.clip(upstream, -1.0, 1.0) * x


@custom_gradient
def doubled(a: Any, b: Any) -> Any:
    """Two results, no gradient for b."""
    return (a + b, a - b), lambda u, v: (u * 2.0 + v, None)


@pytest.mark.parametrize("engine", ["reference", "native"])
def test_custom_gradients(engine: str) -> None:
    def step(i: Mapping[str, Any]) -> dict[str, Any]:
        first = grad(lambda x: f.sum(clipped(x) * 5.0))
        second = grad(lambda x: f.sum(first(x) * x))
        one, two = doubled(i["x"], i["x"])
        only_first = grad(lambda a: f.sum(doubled(a, i["x"])[0]))
        return {
            "y": clipped(i["x"]),
            "g": first(i["x"]),
            "gg": second(i["x"]),
            "one": one,
            "two": two,
            "ga": only_first(i["x"]),
            "gb": grad(lambda b: f.sum(doubled(i["x"], b)[0]))(i["x"]),
        }

    got = run(engine, trace(step, X), {"x": ONES})
    want = {"y": ONES, "g": ONES, "gg": 2 * ONES, "one": 2 * ONES, "two": 0 * ONES}
    want |= {"ga": 2 + 0 * ONES, "gb": 0 * ONES}
    for name, value in want.items():
        np.testing.assert_array_equal(got[name], value, err_msg=name)


def test_a_custom_gradient_inside_a_scan() -> None:
    def step(i: Mapping[str, Any]) -> dict[str, Any]:
        def total(x: Any) -> Any:
            last, _ = scan(lambda c, row: (c + clipped(row) * 5.0, c), f.zeros(3), x)
            return f.sum(last)

        return {"g": grad(total)(i["x"])}

    np.testing.assert_array_equal(
        run("reference", trace(step, X), {"x": np.vstack([ONES, -ONES])})["g"],
        np.vstack([ONES, -ONES]),
    )


def test_custom_gradient_outside_a_step() -> None:
    np.testing.assert_array_equal(clipped(f.as_tensor(ONES)), ONES)
    with pytest.raises(ShapeError):
        grad(lambda x: f.sum(custom_gradient(lambda a, b: (a, lambda u: u))(x, x)))(
            ONES
        )


def test_taps() -> None:
    def step(i: Mapping[str, Any]) -> dict[str, Any]:
        hidden = tap("hidden", f.tanh(i["x"]))
        with pytest.raises(ShapeError):
            tap("hidden", hidden)
        with pytest.raises(ShapeError):
            scan(lambda c, x: (tap("inner", c), x), 0.0, i["x"][:, 0])
        return {"y": f.sum(hidden)}

    graph = trace(step, X)
    assert list(graph.outputs) == ["y", "tap:hidden"]
    for engine in ("reference", "native"):
        got = run(engine, graph, {"x": ONES})["tap:hidden"]
        np.testing.assert_allclose(got, np.tanh(ONES), rtol=1e-6)
    assert tap("hidden", 3) == 3
