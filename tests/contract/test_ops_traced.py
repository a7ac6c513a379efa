"""Operations inside a trace: both engines give what arrays give, gradients hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ops_cases import CALLS, Call

from ranvier import ops
from ranvier._missing import MissingPart
from ranvier.engines import api
from ranvier.errors import ShapeError
from ranvier.graph import Graph, Spec, Tensor, trace
from ranvier.graph.evaluate import Interpreter
from ranvier.graph.passes.grad import gradients
from ranvier.ops._catalogue import LEFT_OUT, ON_ARRAYS

#: Products of matrices that are not float32, which the native engine declares it lacks.
NOT_FLOAT32 = {"matmul"}
#: These ask for a size or a dtype, not for numbers.
SPECS = {"ndim", "size", "shape", "dtype", "is_tensor", "zeros_like", "ones_like"}
SPECS |= {"full_like", "isreal", "imag"}


def arrays_of(value: Any) -> list[np.ndarray]:
    if isinstance(value, np.ndarray):
        return [value]
    if isinstance(value, dict):
        return [a for v in value.values() for a in arrays_of(v)]
    if isinstance(value, (list, tuple)):
        return [a for v in value for a in arrays_of(v)]
    return []


def with_tensors(value: Any, new: list[Any]) -> Any:
    if isinstance(value, np.ndarray):
        return new.pop(0)
    if isinstance(value, dict):
        return {k: with_tensors(v, new) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(with_tensors(v, new) for v in value)
    return value


def leaves(value: Any) -> list[Any]:
    if isinstance(value, (tuple, list)):
        return [leaf for part in value for leaf in leaves(part)]
    return [value]


def traced(call: Call) -> tuple[Graph, dict[str, np.ndarray]]:
    arrays = arrays_of([call.args, call.kwargs])
    inputs = {f"x{i}": a for i, a in enumerate(arrays)}

    def step(symbols: dict[str, Tensor]) -> dict[str, Any]:
        args, kwargs = with_tensors([call.args, call.kwargs], list(symbols.values()))
        found = leaves(call.of(ops)(*args, **kwargs))
        return {f"y{i}": y for i, y in enumerate(found)}

    specs = {n: Spec(a.shape, str(a.dtype)) for n, a in inputs.items()}
    return trace(step, specs), inputs


TRACED = [
    (call, f"{call.name}-{i}")
    for i, call in enumerate(CALLS)
    if call.name not in ON_ARRAYS
    and call.name not in SPECS
    and arrays_of([call.args, call.kwargs])
    and call.kwargs.get("ord") != "nuc"
    and not (call.name == "norm" and call.kwargs == {"ord": 2})
    and not (call.name == "where" and len(call.args) == 1)
]


@pytest.mark.parametrize("call", [c for c, _ in TRACED], ids=[i for _, i in TRACED])
def test_engines_give_what_arrays_give(call: Call) -> None:
    graph, inputs = traced(call)
    wanted = leaves(call.of(ops)(*call.args, **call.kwargs))
    found = api.get("reference").compile(graph).call(inputs)
    if call.name in NOT_FLOAT32 and inputs["x0"].dtype != np.float32:
        with pytest.raises(api.Unsupported, match="float32"):
            api.get("native").compile(graph)
        native = found
    else:
        native = api.get("native").compile(graph).call(inputs)
    results = [found, native]
    for name in set(api.names()) - {"reference", "native"}:
        results.append(api.get(name).compile(graph).call(inputs))
    for i, value in enumerate(wanted):
        value = np.asarray(value)
        for result in (r[f"y{i}"] for r in results):
            assert result.dtype == value.dtype
            assert result.shape == value.shape
            if value.dtype.kind == "f":
                np.testing.assert_allclose(result, value, call.rtol, call.rtol)
            else:
                np.testing.assert_array_equal(result, value)


SMOOTH = [
    (call, name)
    for call, name in TRACED
    if call.smooth
    and any(a.dtype == np.float32 for a in arrays_of([call.args, call.kwargs]))
    and not any(a.size == 0 for a in arrays_of([call.args, call.kwargs]))
]


@pytest.mark.parametrize("call", [c for c, _ in SMOOTH], ids=[i for _, i in SMOOTH])
def test_gradients_are_slopes(call: Call) -> None:
    """Along a random direction, in float64 on the reference engine."""
    rng = np.random.default_rng(3)
    arrays = arrays_of([call.args, call.kwargs])
    inputs = {f"x{i}": a for i, a in enumerate(arrays)}
    moving = [n for n, a in inputs.items() if a.dtype == np.float32]

    def step(symbols: dict[str, Tensor]) -> dict[str, Any]:
        args, kwargs = with_tensors([call.args, call.kwargs], list(symbols.values()))
        total: Any = ops.zeros(())
        for y in leaves(call.of(ops)(*args, **kwargs)):
            if isinstance(y, Tensor) and y.spec.floating:
                weights = np.cos(np.arange(int(np.prod(y.shape))) + 1.0)
                weights = weights.reshape(y.shape).astype("float32")
                total = total + ops.sum(y * weights)
        out = {"total": total}
        found = gradients(out["total"], [symbols[n] for n in moving])
        for name, g in zip(moving, found, strict=True):
            out[f"d{name}"] = ops.zeros_like(symbols[name]) if g is None else g
        return out

    graph = trace(step, {n: Spec(a.shape, str(a.dtype)) for n, a in inputs.items()})

    def run(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        known = {node: values[name] for name, node in graph.inputs.items()}
        nodes = list(graph.outputs.values())
        found = Interpreter(float64=True).run(nodes, known)
        return dict(zip(graph.outputs, found, strict=True))

    wide = {n: a.astype("float64") if n in moving else a for n, a in inputs.items()}
    way = {n: rng.standard_normal(wide[n].shape) for n in moving}
    step_size = 1e-5
    ends = [
        float(run(wide | {n: wide[n] + s * way[n] for n in moving})["total"])
        for s in (step_size, -step_size)
    ]
    slope = (ends[0] - ends[1]) / (2 * step_size)
    here = run(wide)
    found = sum(float((here[f"d{n}"] * way[n]).sum()) for n in moving)
    assert found == pytest.approx(slope, rel=2e-5, abs=2e-5)


@pytest.mark.parametrize("name", sorted(ON_ARRAYS))
def test_what_needs_numbers_says_so(name: str) -> None:
    call = next(c for c in CALLS if c.name == name) if name != "eigh" else None
    call = call or Call("eigh", (np.eye(2, dtype="float32"),), {})
    with pytest.raises(ShapeError) as caught:
        traced(call)
    assert caught.value.code == "RV112"
    assert name in caught.value.message


@pytest.mark.parametrize("name", sorted(LEFT_OUT))
def test_what_is_left_out_says_why(name: str) -> None:
    with pytest.raises(MissingPart) as caught:
        getattr(ops, name)
    assert caught.value.code == "RV806"
    assert LEFT_OUT[name] in str(caught.value)


def test_eigenvectors() -> None:
    x = np.array([[2.0, 1.0], [1.0, 3.0]], "float32")
    values, vectors = (np.asarray(t) for t in ops.eigh(x))
    np.testing.assert_allclose(x @ vectors, vectors * values, atol=1e-5)
    u, s, v = (np.asarray(t) for t in ops.svd(x))
    np.testing.assert_allclose((u * s) @ v, x, atol=1e-5)


@pytest.mark.parametrize("axis", [0, -1, None])
def test_partition(axis: int | None) -> None:
    x = np.random.default_rng(0).permutation(24).reshape(4, 6)
    order = np.asarray(ops.argpartition(x, 2, axis=axis))
    rows = x.reshape(-1) if axis is None else x
    found = np.take_along_axis(rows, order, axis or 0)
    found = np.moveaxis(found, axis or 0, 0)
    assert (found[:2] <= found[2]).all()
    assert (found[3:] >= found[2]).all()


def test_the_page_is_current() -> None:
    from ranvier.ops._table import render

    page = Path(__file__).parents[2] / "docs" / "reference" / "functions.md"
    assert page.read_text(encoding="utf-8") == render(), (
        "run: python -m ranvier.ops._table docs/reference/functions.md"
    )


@pytest.mark.parametrize("family", list(ops.FAMILIES))
def test_a_family_has_what_the_table_says(family: str) -> None:
    import doctest
    import importlib

    module = importlib.import_module(f"ranvier.ops.{family}")
    assert sorted(module.__all__) == sorted(ops.FAMILIES[family].split())
    for name in module.__all__:
        assert getattr(module, name) is getattr(ops, name)
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("part", ["color", "maps", "scaling", "windows"])
def test_the_namespace_of_images_has_its_files(part: str) -> None:
    import doctest
    import importlib

    module = importlib.import_module(f"ranvier.ops.image_{part}")
    assert set(module.__all__) <= set(ops.image.__all__)
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("call", [c for c, _ in SMOOTH], ids=[i for _, i in SMOOTH])
def test_float64_stays(call: Call) -> None:
    """Given float64 tensors every float result is float64, and close to that in float32."""
    arrays = arrays_of([call.args, call.kwargs])
    wide = [ops.array(a, "float64") if a.dtype == np.float32 else a for a in arrays]
    args, kwargs = with_tensors([call.args, call.kwargs], wide)
    found = leaves(call.of(ops)(*args, **kwargs))
    wanted = leaves(call.of(ops)(*call.args, **call.kwargs))
    for ours, narrow in zip(found, wanted, strict=True):
        ours, narrow = np.asarray(ours), np.asarray(narrow)
        assert ours.dtype == {"float32": "float64"}.get(str(narrow.dtype), narrow.dtype)
        if narrow.dtype.kind == "f":
            np.testing.assert_allclose(ours, narrow, 10 * call.rtol, 10 * call.rtol)
