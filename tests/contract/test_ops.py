"""Every record of an operation, found in the registry: shapes, values, gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from strategies import (
    assert_close,
    draw,
    evaluate,
    graph_of,
    named,
    run,
    slopes_agree,
    specs_of,
    wide,
)

from ranvier.engines.native.gaps import GAPS
from ranvier.errors import NumericsError, ShapeError
from ranvier.graph import COMPOSITES, REGISTRY, Dim, Spec, trace
from ranvier.graph import composites as _  # noqa: F401  (fills the registry)
from ranvier.graph import functions as f
from ranvier.graph.dims import bind
from ranvier.graph.op import NoGradient
from ranvier.graph.passes.grad import gradients
from ranvier.graph.trace import apply

#: Operations that own a region are tested in unit/test_graph_control.py; leaves and
#: ``get`` are no operations of their own.
WITHOUT_CASES = {"scan", "while", "cond", "input", "variable", "const", "param", "get"}
RECORDS = {**REGISTRY, **COMPOSITES}
CASES = [
    pytest.param(record, case, id=f"{name}-{i}")
    for name, record in sorted(RECORDS.items())
    for i, case in enumerate(record.cases)
]
#: Every record with at least one input, with its first case.
FIRST = [
    pytest.param(record, record.cases[0], id=name)
    for name, record in sorted(RECORDS.items())
    if record.cases and record.cases[0].inputs
]


def attrs_of(case: Any) -> dict[str, Any]:
    return dict(case.attrs)


def several(found: Any) -> tuple[Any, ...]:
    return found if isinstance(found, tuple) else (found,)


def floats(arrays: list[Any]) -> list[int]:
    return [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]


def test_every_record_has_cases() -> None:
    without = {name for name, record in RECORDS.items() if not record.cases}
    assert without == WITHOUT_CASES


@pytest.mark.parametrize(("record", "case"), CASES)
def test_the_reference_has_the_inferred_shape_and_dtype(record: Any, case: Any) -> None:
    arrays = draw(case)
    graph = graph_of(record, specs_of(arrays), attrs_of(case))
    got = run("reference", graph, named(arrays))
    for name, node in graph.outputs.items():
        assert (got[name].shape, str(got[name].dtype)) == (node.shape, node.dtype)
    if record.family == "composite" or record.name == "random_bits":
        return
    with_zeros = record.infer(specs_of(arrays), attrs_of(case))
    assert with_zeros == graph.outputs["y0"].spec


@pytest.mark.parametrize(("record", "case"), CASES)
def test_eager_and_traced_give_the_same(record: Any, case: Any) -> None:
    arrays = draw(case)
    eager = [np.asarray(y) for y in several(apply(record, *arrays, **attrs_of(case)))]
    graph = graph_of(record, specs_of(arrays), attrs_of(case))
    traced = run("reference", graph, named(arrays))
    for a, b in zip(eager, traced.values(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("record", "case"), CASES)
def test_native_equals_the_reference(record: Any, case: Any) -> None:
    if record.name in GAPS:
        pytest.fail(f"{record.name} has cases and a declared gap: test them here")
    for seed in (0, 1):
        arrays = draw(case, seed)
        graph = graph_of(record, specs_of(arrays), attrs_of(case))
        want = run("reference", graph, named(arrays))
        got = run("native", graph, named(arrays))
        for name in want:
            assert_close(got[name], want[name], record.tol, f"{record.name} {name}")


@pytest.mark.parametrize(("record", "case"), FIRST)
def test_native_reads_windows_and_strides(record: Any, case: Any) -> None:
    """Operands that are transposed in the graph, and input arrays that are not dense."""
    arrays = draw(case)
    order = [tuple(range(a.ndim))[::-1] for a in arrays]
    turned = [np.ascontiguousarray(a.T) for a in arrays]
    graph = graph_of(
        record,
        specs_of(turned),
        attrs_of(case),
        lambda i, x: f.transpose(x, order[i]) if x.ndim > 1 else x,
    )
    loose = []
    for a in turned:
        room = np.zeros((*a.shape, 3), a.dtype)
        room[..., 1] = a
        loose.append(room[..., 1])
    want = run("reference", graph, named(turned))
    for given in (turned, loose):
        got = run("native", graph, named(given))
        for name in want:
            assert_close(got[name], want[name], record.tol, f"{record.name} {name}")


EDGES = np.array(
    [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.5, -2.5, 3.0, -2.0]
    + [1e-30, -1e-30, 87.0, -87.0, 104.0, -104.0, 1e9, -1e9],
    "float32",
)
ELEMENTWISE = [
    pytest.param(record, id=name)
    for name, record in sorted(REGISTRY.items())
    if record.family == "elementwise" and record.cases[0].inputs[0][3:] == ()
]


@pytest.mark.parametrize("record", ELEMENTWISE)
def test_native_equals_the_reference_at_the_edges(record: Any) -> None:
    """Every pair of NaN, infinities, zeros of both signs, large and small numbers."""
    count = len(record.cases[0].inputs)
    arrays = [a.ravel() for a in np.meshgrid(*[EDGES] * count)]
    attrs = attrs_of(record.cases[0])
    if record.name == "cast":
        attrs = {"dtype": "float64"}  # what an integer makes of infinity is undefined
    graph = graph_of(record, specs_of(arrays), attrs)
    want = run("reference", graph, named(arrays))["y0"]
    got = run("native", graph, named(arrays))["y0"]
    assert_close(got, want, record.tol, record.name)


ROWWISE = [
    pytest.param(record, case, id=f"{record.name}-{i}")
    for name, record in sorted(RECORDS.items())
    for i, case in enumerate(record.cases)
    if record.family in ("elementwise", "reduce", "check")
    and all(len(s[0]) > 0 and s[0][0] == case.inputs[0][0][0] for s in case.inputs)
]


@pytest.mark.parametrize(("record", "case"), ROWWISE)
def test_a_symbolic_number_of_rows(record: Any, case: Any) -> None:
    """One graph for any number of rows, on both engines."""
    n = Dim.symbol("n")
    arrays = draw(case)
    specs = [Spec((n, *a.shape[1:]), str(a.dtype)) for a in arrays]
    graph = graph_of(record, specs, attrs_of(case))
    for rows in (1, 2, 3):
        given = named([np.resize(a, (rows, *a.shape[1:])) for a in arrays])
        want = run("reference", graph, given)
        got = run("native", graph, given)
        for name, node in graph.outputs.items():
            assert want[name].shape == bind(node.shape, {"n": rows})
            assert_close(got[name], want[name], record.tol, f"{record.name} {rows}")


@pytest.mark.parametrize(("record", "case"), CASES)
def test_the_gradient_agrees_with_finite_differences(record: Any, case: Any) -> None:
    """First and second order, along random directions, in float64."""
    arrays = draw(case)
    inputs = floats(arrays)
    if not inputs or isinstance(getattr(record, "grad", None), NoGradient):
        return
    weights = np.random.default_rng(5)

    def scalar(x: Mapping[str, Any]) -> Any:
        total = None
        for y in several(apply(record, *x.values(), **attrs_of(case))):
            if not y.spec.floating:
                continue
            w = weights.normal(size=y.shape).astype("float32")
            part = f.sum(y * w)
            total = part if total is None else total + part
        return total

    found: list[Any] = []

    def step(x: Mapping[str, Any]) -> dict[str, Any]:
        value = scalar(x)
        if value is None:
            return {}
        first = gradients(value, [x[f"x{i}"] for i in inputs])
        out = {"value": value}
        again = None
        for i, g in zip(inputs, first, strict=True):
            if g is None:
                continue
            out[f"d{i}"] = g
            w = weights.normal(size=g.shape).astype("float32")
            again = f.sum(g * w) if again is None else again + f.sum(g * w)
        if again is not None:
            out["again"] = again
            for i, g in zip(
                inputs, gradients(again, [x[f"x{i}"] for i in inputs]), strict=True
            ):
                if g is not None:
                    out[f"dd{i}"] = g
        found.extend(out)
        return out

    given = named(arrays)
    graph = trace(
        step, {name: Spec(a.shape, str(a.dtype)) for name, a in given.items()}
    )
    if not found:
        return
    at = wide(given)
    values = dict(zip(found, evaluate(graph, at), strict=True))
    place = {name: i for i, name in enumerate(found)}

    def read(name: str) -> Any:
        return lambda x: float(evaluate(graph, x)[place[name]])

    for order, prefix in (("value", "d"), ("again", "dd")):
        if order not in place:
            continue
        claimed = {
            f"x{i}": values.get(f"{prefix}{i}", np.zeros_like(at[f"x{i}"]))
            for i in inputs
        }
        slopes_agree(read(order), claimed, at, rtol=1e-5)


STOPPED = [
    pytest.param(record, id=name)
    for name, record in sorted(REGISTRY.items())
    if isinstance(record.grad, NoGradient) and record.cases
]


@pytest.mark.parametrize("record", STOPPED)
def test_a_declared_end_of_gradients(record: Any) -> None:
    """`stops` gives no gradient, `unsupported` raises when one is asked for."""
    arrays = draw(record.cases[0])
    inputs = floats(arrays)
    if not inputs:
        return
    assert record.grad.reason

    def step(x: Mapping[str, Any]) -> dict[str, Any]:
        y = apply(record, *x.values(), **attrs_of(record.cases[0]))
        total = f.sum(f.cast(y, "float32"))
        for g in gradients(total, [x[f"x{i}"] for i in inputs]):
            assert g is None
        return {"y": total}

    specs = {f"x{i}": s for i, s in enumerate(specs_of(arrays))}
    if record.grad.zero:
        trace(step, specs)
        return
    with pytest.raises(NumericsError) as caught:
        trace(step, specs)
    assert caught.value.code == "RV303"
    assert record.grad.reason in str(caught.value)


WRONG = [
    pytest.param(record, record.cases[0], id=name)
    for name, record in sorted(REGISTRY.items())
    if record.cases and len(record.cases[0].inputs) > 1
]


@pytest.mark.parametrize(("record", "case"), WRONG)
def test_operands_that_do_not_fit_are_refused(record: Any, case: Any) -> None:
    specs = specs_of(draw(case))
    wrong = Spec((*specs[1].shape[:-1], 97, 89), "float64")
    with pytest.raises(ShapeError) as caught:
        record.infer([specs[0], wrong, *specs[2:]], attrs_of(case))
    assert caught.value.code == "RV108"


FLOAT32 = Spec((3, 4), "float32")
BAD_ATTRS = [
    ("reshape", FLOAT32, {"shape": (5, 2)}),
    ("transpose", FLOAT32, {"perm": (0, 0)}),
    ("broadcast_to", FLOAT32, {"shape": (3, 5)}),
    ("broadcast_to", FLOAT32, {"shape": (2, 3, 4)}),
    ("slice", FLOAT32, {"start": (0,), "stop": (2,), "step": (1,)}),
    ("sum", FLOAT32, {"axes": (2,)}),
    ("sum", FLOAT32, {"axes": (1, 1)}),
    ("reduce_max", FLOAT32, {"axes": (-3,)}),
    ("argmax", FLOAT32, {"axis": 2}),
    ("cumsum", FLOAT32, {"axis": 5}),
    ("argsort", FLOAT32, {"axis": 2}),
    ("pad", FLOAT32, {"low": (0,), "high": (0,), "value": 0.0}),
    ("pad", FLOAT32, {"low": (0, -9), "high": (0, 0), "value": 0.0}),
    ("flip", FLOAT32, {"axes": (2,)}),
    ("random_bits", Spec((3,), "uint32"), {"shape": (2,)}),
    ("logical_not", FLOAT32, {}),
]


@pytest.mark.parametrize(("name", "spec", "attrs"), BAD_ATTRS)
def test_static_arguments_that_do_not_fit_are_refused(
    name: str, spec: Spec, attrs: dict[str, Any]
) -> None:
    with pytest.raises(ShapeError) as caught:
        REGISTRY[name].infer([spec], attrs)
    assert caught.value.code == "RV108"


def test_symbolic_sizes_in_static_arguments() -> None:
    """Shapes, bounds and paddings may be expressions of the rows."""
    n = Dim.symbol("n")

    def step(x: Mapping[str, Any]) -> dict[str, Any]:
        a, w = x["a"], x["w"]
        half = a.shape[0] // 2
        return {
            "reshape": f.reshape(a, (n * 2, -1)),
            "first": a[:half],
            "rest": a[half:],
            "padded": f.pad(a, ((1, n), (0, 2))),
            "spread": f.broadcast_to(f.sum(a, axis=0, keepdims=True), a.shape),
            "product": f.matmul(a, w),
            "gram": f.matmul(f.transpose(a), a),
            "joined": f.concatenate([a, a * 2.0], axis=0),
            "rows": f.iota(n * 2 + 1),
            "count": f.as_tensor(n * n, "float32"),
            "full": f.full((n, 2), 0.5),
            "take": f.take(w, f.iota(n) % 4, axis=0),
        }

    graph = trace(step, {"a": Spec((n, 4), "float32"), "w": Spec((4, 3), "float32")})
    rng = np.random.default_rng(0)
    w = rng.normal(size=(4, 3)).astype("float32")
    for rows in (1, 2, 5, 8):
        a = rng.normal(size=(rows, 4)).astype("float32")
        want = run("reference", graph, {"a": a, "w": w})
        np.testing.assert_array_equal(want["first"], a[: rows // 2])
        np.testing.assert_array_equal(want["rest"], a[rows // 2 :])
        assert want["padded"].shape == (1 + rows + rows, 6)
        assert want["count"] == rows * rows
        got = run("native", graph, {"a": a, "w": w})
        for name in want:
            assert_close(got[name], want[name], 32, name)
