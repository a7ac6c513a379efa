"""Tracing: symbols, broadcasting, weak numbers, variables, origins, text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from strategies import run

from ranvier.errors import DataError, ShapeError
from ranvier.graph import Dim, Graph, Spec, Tensor, Variable, scope, trace
from ranvier.graph import composites as c
from ranvier.graph import functions as f
from ranvier.graph.passes.grad import gradients

B = Dim.symbol("batch")
X = {"x": Spec((B, 3), "float32")}


def traced(fn: Any, specs: Mapping[str, Spec] = X) -> Graph:
    return trace(lambda inputs: {"y": fn(*inputs.values())}, specs)


def spec(fn: Any, specs: Mapping[str, Spec] = X) -> Spec:
    return traced(fn, specs).outputs["y"].spec


# ---------------------------------------------------------------------- dtypes, shapes


def test_numbers_are_weak() -> None:
    for dtype in ("float16", "float32", "float64"):
        one = {"x": Spec((2,), dtype)}
        assert spec(lambda x: x * 2 + 0.5 - True, one).dtype == dtype
    ints = {"x": Spec((2,), "int64")}
    assert spec(lambda x: x * 2, ints).dtype == "int64"
    assert spec(lambda x: x * 0.5, ints).dtype == "float32"
    assert spec(lambda x: x / 2, ints).dtype == "float32"
    assert spec(lambda x: x > 1, ints).dtype == "bool"


def test_tensors_are_promoted() -> None:
    def both(a: str, b: str) -> str:
        specs = {"a": Spec((2,), a), "b": Spec((2,), b)}
        return spec(lambda x, y: x + y, specs).dtype

    assert both("float32", "int64") == "float32"
    assert both("float16", "float32") == "float32"
    assert both("int32", "int64") == "int64"
    assert both("bool", "uint8") == "uint8"


def test_broadcasting_is_an_explicit_node() -> None:
    specs = {"a": Spec((B, 3), "float32"), "b": Spec((3,), "float32")}
    graph = traced(lambda a, b: a + b, specs)
    names = [n.op.name for n in graph.nodes()]
    assert "broadcast_to" in names
    add = graph.outputs["y"]
    assert {child.spec for child in add.inputs} == {Spec((B, 3), "float32")}


def test_rows_against_columns_are_refused() -> None:
    """(n,) against (n, 1) would silently become (n, n)."""
    specs = {"a": Spec((B,), "float32"), "b": Spec((B, 1), "float32")}
    with pytest.raises(ShapeError) as caught:
        traced(lambda a, b: a - b, specs)
    assert caught.value.code == "RV108"
    assert "reshape" in caught.value.fix


def test_shapes_that_do_not_fit() -> None:
    specs = {"a": Spec((B, 3), "float32"), "b": Spec((B, 4), "float32")}
    for fn in (lambda a, b: a + b, lambda a, b: f.matmul(a, b)):
        with pytest.raises(ShapeError) as caught:
            traced(fn, specs)
        assert caught.value.code == "RV108"


@pytest.mark.parametrize(
    ("key", "shape"),
    [
        (np.s_[0], (3,)),
        (np.s_[-1], (3,)),
        (np.s_[:, 1], (4,)),
        (np.s_[..., -1], (4,)),
        (np.s_[1:3], (2, 3)),
        (np.s_[::2, ::-1], (2, 3)),
        (np.s_[None, :, 0], (1, 4)),
        (np.s_[3:1:-1], (2, 3)),
        (np.s_[:, [0, 2]], (4, 2)),
        (np.s_[5:], (0, 3)),
    ],
)
def test_indexing_as_numpy_does(key: Any, shape: tuple[int, ...]) -> None:
    x = np.arange(12, dtype="float32").reshape(4, 3)
    eager = f.getitem(x, key)
    assert eager.shape == shape
    np.testing.assert_array_equal(eager, x[key])
    graph = traced(lambda t: t[key], {"x": Spec((4, 3), "float32")})
    for engine in ("reference", "native"):
        np.testing.assert_array_equal(run(engine, graph, {"x": x})["y"], x[key])


def test_an_index_out_of_bounds() -> None:
    with pytest.raises(IndexError):
        traced(lambda x: x[:, 3])
    with pytest.raises(ShapeError):
        traced(lambda x: x[0, 0, 0])


# -------------------------------------------------------------------- symbols, values


def test_a_symbol_has_no_value() -> None:
    uses = {
        "if": lambda x: 1 if f.sum(x) > 0 else 2,
        "float": lambda x: float(f.sum(x)),
        "numpy": lambda x: x.numpy(),
        "asarray": np.asarray,
        "iteration": list,
    }
    for name, use in uses.items():
        with pytest.raises(ShapeError) as caught:
            traced(use)
        assert caught.value.code == "RV110", name
        assert __file__ in caught.value.details + caught.value.place, name


def test_values_compute_at_once() -> None:
    a = f.as_tensor([1.0, 2.0])
    assert a.dtype == "float32"
    assert a.node is None
    np.testing.assert_array_equal(np.asarray([1, 1]) + a, [2, 3])
    np.testing.assert_array_equal(a @ np.eye(2, dtype="float32"), a)
    assert float(f.sum(a)) == 3
    assert f"{f.sum(a):.1f}" == "3.0"
    assert bool(f.sum(a) > 2)
    assert [float(x) for x in a] == [1, 2]
    assert np.from_dlpack(a).tolist() == [1, 2]  # type: ignore[arg-type]


def test_objects_are_refused() -> None:
    with pytest.raises(DataError) as caught:
        f.as_tensor(np.array([object()]))
    assert caught.value.code == "RV203"


def test_constants_fold_and_stay_small() -> None:
    graph = traced(lambda x: x * (f.exp(f.as_tensor(0.0)) + 1.0))
    assert {n.op.name for n in graph.nodes()} <= {
        *("input", "const", "mul", "broadcast_to", "reshape"),
    }
    assert all(
        n.attrs["value"].size == 1 for n in graph.nodes() if n.op.name == "const"
    )


# -------------------------------------------------------------------------- variables


def test_the_last_binding_is_the_new_state() -> None:
    v = Variable([1.0, 2.0], name="v")

    def step(inputs: Mapping[str, Any]) -> dict[str, Any]:
        before = v.value
        v.assign_add([1.0, 1.0])
        between = v.value
        v.assign(v * 10)
        return {"before": before, "between": between, "after": v.value}

    graph = trace(step, {})
    assert list(graph.updates) == [v]
    np.testing.assert_array_equal(v.numpy(), [1, 2])
    got = run("reference", graph, {})
    np.testing.assert_array_equal(got["before"], [1, 2])
    np.testing.assert_array_equal(got["between"], [2, 3])
    np.testing.assert_array_equal(got["after"], [20, 30])
    np.testing.assert_array_equal(v.numpy(), [20, 30])


def test_assigning_another_shape_is_refused() -> None:
    v = Variable([1.0, 2.0], name="v")
    for value in (1.0, [[1.0, 2.0]], [1.0, 2.0, 3.0]):
        with pytest.raises(ShapeError) as caught:
            v.assign(value)
        assert caught.value.code == "RV108"
    with pytest.raises(ShapeError):
        trace(lambda x: {"y": v.assign(f.sum(x["x"])).value}, X)


def test_a_variable_keeps_its_dtype() -> None:
    v = Variable(np.int64(2**53), name="count", kind="counter")
    v.assign_add(1)
    assert v.numpy() == 2**53 + 1
    assert v.dtype == "int64"


def test_a_gradient_is_with_respect_to_the_first_value() -> None:
    w = Variable([3.0], name="w")

    def step(inputs: Mapping[str, Any]) -> dict[str, Any]:
        loss = f.sum(f.square(w))
        w.assign(w * 0.0)
        (g,) = gradients(loss, [w])
        return {"g": g}

    np.testing.assert_array_equal(run("reference", trace(step, {}), {})["g"], [6])


# ------------------------------------------------------------------- origins and text


def test_every_node_knows_the_users_line() -> None:
    def step(inputs: Mapping[str, Any]) -> dict[str, Any]:
        with scope(layer="dense", role="forward"):
            y = f.tanh(inputs["x"])
        with scope(role="loss"):
            loss = f.sum(y * y)
        (g,) = gradients(loss, [inputs["x"]])
        return {"loss": loss, "g": g}

    graph = trace(step, X)
    for node in graph.nodes():
        if node.op.name in ("input", "const"):
            continue
        assert node.origins, node
        for origin in node.origins:
            assert origin.line.startswith(__file__), node
    roles = {o.role for n in graph.nodes() for o in n.origins}
    assert {"forward", "loss", "gradient"} <= roles
    tanh = next(n for n in graph.nodes() if n.op.name == "tanh")
    assert tanh.origins[0].layer == "dense"
    back = [
        n
        for n in graph.nodes()
        if any(o.layer == "dense" and o.role == "gradient" for o in n.origins)
    ]
    assert back, "the gradient of a layer's node belongs to the layer"


def test_text_form() -> None:
    w = Variable(np.zeros((3, 2), "float32"), name="kernel")

    def step(inputs: Mapping[str, Any]) -> dict[str, Any]:
        with scope(layer="dense"):
            y = c.relu(f.matmul(inputs["x"], w))
        w.assign(w * 0.5)
        return {"y": y}

    assert str(trace(step, X)) == (
        "%0 = input(name='x') : float32[batch,3]\n"
        "%1 = variable(variable=kernel) : float32[3,2]\n"
        "%2 = dot_general(%0, %1, contract=((1,), (0,)), batch=((), ())) "
        ": float32[batch,2]  # dense:forward\n"
        "%3 = relu(%2) : float32[batch,2]  # dense:forward\n"
        "%4 = const(value=0.5) : float32[1,1]\n"
        "%5 = broadcast_to(%4, shape=(3, 2)) : float32[3,2]\n"
        "%6 = mul(%1, %5) : float32[3,2]\n"
        "return y = %3\n"
        "assign kernel = %6"
    )


def test_a_deep_graph_needs_no_deep_stack() -> None:
    def deep(x: Tensor) -> Tensor:
        for _ in range(3000):
            x = x + 1.0
        return x

    graph = traced(deep)
    assert len(graph.nodes()) > 3000
    got = run("reference", graph, {"x": np.zeros((1, 3), "float32")})["y"]
    assert (got == 3000).all()
