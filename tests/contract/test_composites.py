"""Composites: a fused operation is its body, in value and gradient, on every engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from strategies import assert_close, draw, graph_of, named, run, specs_of

from ranvier.engines import api
from ranvier.engines.native import engine as native
from ranvier.graph import COMPOSITES, Dim, Spec, trace
from ranvier.graph import composites as c
from ranvier.graph import functions as f
from ranvier.graph.passes.grad import gradients
from ranvier.graph.passes.simplify import simplify

CASES = [
    pytest.param(record, case, id=f"{name}-{i}")
    for name, record in sorted(COMPOSITES.items())
    for i, case in enumerate(record.cases)
]
B = Dim.symbol("batch")


@pytest.mark.parametrize(("record", "case"), CASES)
def test_the_kernel_gives_what_its_body_gives(
    record: Any, case: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Natively, with the kernel and without it."""
    arrays = draw(case)
    graph = graph_of(record, specs_of(arrays), dict(case.attrs))
    fused = run("native", graph, named(arrays))
    monkeypatch.setattr(native, "KERNELS", frozenset())
    unfused = run("native", graph, named(arrays))
    for name in fused:
        assert_close(fused[name], unfused[name], record.tol, record.name)


@pytest.mark.parametrize(("record", "case"), CASES)
def test_the_body_is_inlined_without_a_kernel(record: Any, case: Any) -> None:
    graph = graph_of(record, specs_of(draw(case)), dict(case.attrs))
    assert record.name in [n.op.name for n in simplify(graph, (record.name,)).nodes()]
    simple = simplify(graph)
    assert all(n.op.family != "composite" for n in simple.nodes())
    for name, node in graph.outputs.items():
        assert simple.outputs[name].spec == node.spec


@pytest.mark.parametrize(("record", "case"), CASES)
def test_the_gradient_rule_is_the_gradient_of_the_body(record: Any, case: Any) -> None:
    """A shorter rule may differ from the body's by roundings only."""
    arrays = draw(case)
    floats = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]
    rng = np.random.default_rng(1)
    seeds: list[Any] = []

    def step(x: Mapping[str, Any]) -> dict[str, Any]:
        wrt = [x[f"x{i}"] for i in floats]
        out: dict[str, Any] = {}
        for label, fn in (("rule", record), ("body", record.body)):
            ys = fn(*x.values(), **dict(case.attrs))
            ys = ys if isinstance(ys, tuple) else (ys,)
            if not seeds:
                seeds.extend(rng.normal(size=y.shape).astype("float32") for y in ys)
            given = [f.as_tensor(s) for s in seeds]
            found = gradients(list(ys), wrt, given)
            for i, g in zip(floats, found, strict=True):
                value = f.zeros_like(x[f"x{i}"]) if g is None else g
                out[f"{label}{i}"] = value * 1.0
        return out

    specs = {f"x{i}": s for i, s in enumerate(specs_of(arrays))}
    got = run("reference", trace(step, specs), named(arrays))
    for i in floats:
        np.testing.assert_allclose(
            got[f"rule{i}"], got[f"body{i}"], rtol=2e-4, atol=3e-6, err_msg=record.name
        )


EXTREME = np.float32(
    [[1e4, 0, -1e4], [88, 89, 90], [-200, -201, -202], [0, 0, 0], [3e38, -3e38, 0]]
)


@pytest.mark.parametrize("engine", api.names())
def test_losses_stay_finite_for_extreme_logits(engine: str) -> None:
    def step(x: Mapping[str, Any]) -> dict[str, Any]:
        z, target = x["x"], f.cast(f.expand_dims(x["y"], -1) == f.iota(3), "float32")
        sparse, probs = c.sparse_softmax_cross_entropy(z, x["y"])
        dense, _ = c.softmax_cross_entropy(z, target)
        binary = c.sigmoid_cross_entropy(z, target)
        total = f.sum(f.clip(sparse, 0, 10)) + f.sum(f.clip(binary, 0, 10))
        out = {"sparse": sparse, "dense": dense, "binary": binary, "probs": probs}
        return out | {"log": c.log_softmax(z), "g": gradients(total, [z])[0]}

    specs = {"x": Spec((B, 3), "float32"), "y": Spec((B,), "int32")}
    labels = np.int32([0, 2, 1, 1, 2])
    got = run(engine, trace(step, specs), {"x": EXTREME[:4], "y": labels[:4]})
    for name, value in got.items():
        assert np.isfinite(value).all(), name
    np.testing.assert_allclose(got["probs"].sum(-1), 1, rtol=1e-6)
    np.testing.assert_allclose(got["sparse"], got["dense"], rtol=1e-6)
    assert got["sparse"][0] == 0
    assert got["binary"][0, 0] == 0


@pytest.mark.parametrize("width", [1, 2, 10, 17, 64, 100, 1000])
def test_rows_of_any_width(width: int) -> None:
    """The softmax family, forward and backward, natively against the reference."""
    rng = np.random.default_rng(width)

    def step(x: Mapping[str, Any]) -> dict[str, Any]:
        loss, probs = c.sparse_softmax_cross_entropy(x["x"], x["y"])
        (g,) = gradients(f.mean(loss), [x["x"]])
        soft = c.softmax(x["x"])
        (h,) = gradients(f.sum(f.square(soft)), [x["x"]])
        out = {"loss": loss, "probs": probs, "g": g, "soft": soft, "h": h}
        return out | {"log": c.log_softmax(x["x"])}

    specs = {"x": Spec((B, width), "float32"), "y": Spec((B,), "int64")}
    graph = trace(step, specs)
    for rows in (1, 7, 33):
        given = {
            "x": rng.normal(size=(rows, width)).astype("float32") * 3,
            "y": rng.integers(0, width, rows),
        }
        want = run("reference", graph, given)
        got = run("native", graph, given)
        for name in want:
            assert_close(got[name], want[name], 24, f"{name} {rows}")
