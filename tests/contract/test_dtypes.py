"""Every operation on every dtype: computed right, or refused before anything runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from strategies import assert_close, draw, graph_of, named, run, specs_of

from ranvier.engines import api, choice
from ranvier.engines.choice import compile_graph
from ranvier.errors import RanvierError, RanvierWarning, ShapeError
from ranvier.graph import COMPOSITES, REGISTRY, Dim, Spec, trace
from ranvier.graph import composites as c
from ranvier.graph import functions as f
from ranvier.graph.op import Case
from ranvier.graph.passes.grad import gradients

FLOATS = ["float64", "float16"]
INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
DTYPES = [*FLOATS, *INTEGERS, "bool"]
#: What an element of this dtype may be off by, relative to the largest value.
ERROR = {"float64": 1e-13, "float16": 2e-3}
RECORDS = {**REGISTRY, **COMPOSITES}
CASES = [
    pytest.param(record, record.cases[0], dtype, id=f"{name}-{dtype}")
    for name, record in sorted(RECORDS.items())
    if record.cases and record.cases[0].inputs and record.family != "random"
    for dtype in (FLOATS if record.family == "composite" else DTYPES)
    if not (name == "pow" and dtype in INTEGERS)  # whole negative exponents: no value
]


def inputs_of(case: Case, dtype: str) -> list[Any]:
    """As the case says, but what has no dtype of its own gets this one."""
    rng = np.random.default_rng(0)
    found = []
    for spec in case.inputs:
        shape, low, high = spec[:3]
        if len(spec) > 3:
            found.append(draw(Case((spec,)))[0])
        elif dtype in FLOATS:
            found.append(rng.uniform(low, high, shape).astype(dtype))
        elif dtype == "bool":
            found.append(rng.integers(0, 2, shape).astype(bool))
        else:
            # Never 0: the whole part of 1/0 is nothing to agree on.
            signs = rng.choice([1] if dtype[0] == "u" else [-1, 1], shape)
            found.append((rng.integers(1, 6, shape) * signs).astype(dtype))
    return found


@pytest.mark.parametrize(("record", "case", "dtype"), CASES)
def test_computed_right_or_refused(record: Any, case: Case, dtype: str) -> None:
    arrays = inputs_of(case, dtype)
    try:
        graph = graph_of(record, specs_of(arrays), dict(case.attrs))
    except ShapeError as error:
        assert error.code == "RV108"
        assert dtype not in FLOATS, "an operation of floats takes all floats"
        return
    want = run("reference", graph, named(arrays))
    for name, node in graph.outputs.items():
        assert str(want[name].dtype) == node.dtype
    try:
        executable = api.get("native").compile(graph)
    except api.Unsupported as error:
        assert error.code == "RV502"
        assert error.fix
        return
    got = executable.call(named(arrays))
    for name, value in want.items():
        assert got[name].dtype == value.dtype
        if value.dtype.kind == "f":
            scale = max(1.0, float(np.abs(value).max(initial=0)))
            error = np.abs(got[name].astype("float64") - value.astype("float64"))
            assert error.max(initial=0) <= ERROR.get(str(value.dtype), 2e-6) * scale
        else:
            np.testing.assert_array_equal(got[name], value)


@pytest.mark.parametrize("source", [*DTYPES, "float32"])
def test_casts_between_all_dtypes(source: str) -> None:
    values = np.array([0, 1, 2, 7, 100, 127], "float64")
    if source == "bool":
        values = np.array([0, 1], "float64")
    elif source[0] != "u":
        values = np.concatenate([values, -values])
    x = values.astype(source)
    kinds = [*DTYPES, "float32"]
    graph = trace(
        lambda i: {d: f.cast(i["x"], d) for d in kinds},
        {"x": Spec((Dim.symbol("n"),), source)},
    )
    got = run("native", graph, {"x": x})
    for d in kinds:
        fits = x >= 0 if d.startswith("u") else np.ones(x.shape, bool)
        np.testing.assert_array_equal(got[d][fits], x[fits].astype(d), err_msg=d)


def test_what_the_native_engine_refuses_runs_on_the_reference_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The engine is chosen when a graph is compiled, not when data come."""
    monkeypatch.setattr(choice, "_said", set())  # it is said once a process
    graph = trace(
        lambda i: {"y": f.matmul(i["x"], f.transpose(i["x"]))},
        {"x": Spec((3, 4), "float64")},
    )
    x = np.arange(12.0).reshape(3, 4)
    with pytest.warns(RanvierWarning, match="RV502"):
        executable = compile_graph(graph, "native")
    np.testing.assert_array_equal(executable.call({"x": x})["y"], x @ x.T)


def test_arithmetic_of_truth_values() -> None:
    a, b = np.array([True, True, False]), np.array([True, False, False])
    np.testing.assert_array_equal(f.add(a, b), a | b)
    np.testing.assert_array_equal(f.multiply(a, b), a & b)
    np.testing.assert_array_equal(f.absolute(a), a)
    np.testing.assert_array_equal(f.add(a, 1), [2, 2, 1])
    np.testing.assert_array_equal(f.sum(a), 2)
    for fn in (f.subtract, f.mod, f.floor_divide):
        with pytest.raises(RanvierError) as caught:
            fn(a, b)
        assert "cast" in str(caught.value)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_indices_and_labels_of_any_integer_dtype(dtype: str) -> None:
    n = Dim.symbol("n")

    def step(i: Any) -> dict[str, Any]:
        losses, probs = c.sparse_softmax_cross_entropy(i["x"], i["y"])
        (g,) = gradients(f.mean(losses), [i["x"]])
        table = f.transpose(i["x"])
        out = {"losses": losses, "probs": probs, "g": g}
        out["take"] = f.take(table, i["y"], axis=0)
        out["along"] = f.take_along_axis(i["x"], f.expand_dims(i["y"], -1), axis=1)
        out["scatter"] = f.scatter_add(f.zeros_like(table), i["y"], out["take"], 0)
        return out | {"checked": f.check_range(i["y"], 0, 5)}

    graph = trace(step, {"x": Spec((n, 5), "float32"), "y": Spec((n,), dtype)})
    rng = np.random.default_rng(0)
    given = {
        "x": rng.normal(size=(9, 5)).astype("float32"),
        "y": rng.integers(0, 5, 9).astype(dtype),
    }
    want = run("reference", graph, given)
    got = run("native", graph, given)
    for name in want:
        assert_close(got[name], want[name], 16, name)
