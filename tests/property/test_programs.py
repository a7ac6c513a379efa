"""Random small graphs: rewriting, engines, workers and batches never change a meaning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from strategies import (
    Program,
    assert_near,
    assert_same_bits,
    evaluate,
    programs,
    run,
    slopes_agree,
    wide,
    workers,
)

from ranvier.engines import api
from ranvier.graph import Dim, Graph, Spec, trace
from ranvier.graph import functions as f
from ranvier.graph.passes.grad import gradients
from ranvier.graph.passes.simplify import simplify

ROWS = Dim.symbol("batch")


@given(programs(ROWS), st.integers(1, 6))
def test_simplify_keeps_every_bit(program: Program, rows: int) -> None:
    graph = program.graph()
    inputs = program.inputs(rows)
    simpler = simplify(graph)
    assert len(simpler.nodes()) <= len(graph.nodes())
    want = run("reference", graph, inputs)
    assert_same_bits(run("reference", simpler, inputs), want)
    twice = simplify(simpler)
    assert len(twice.nodes()) == len(simpler.nodes()), "it is not done after one pass"


@given(programs(ROWS, length=8, smooth=True), st.integers(1, 9))
def test_native_equals_the_reference(program: Program, rows: int) -> None:
    graph = program.graph()
    inputs = program.inputs(rows)
    assert_near(run("native", graph, inputs), run("reference", graph, inputs))


@given(programs(ROWS, length=5), st.integers(0, 2))
def test_native_gives_the_same_bits_on_any_number_of_workers(
    program: Program, size: int
) -> None:
    graph = program.graph()
    inputs = program.inputs((3, 130, 2100)[size])
    first: dict[str, Any] = {}
    for count in (1, 2, 3, 8, 2):
        with workers(count):
            executable = api.get("native").compile(graph)
            got = executable.call(inputs)
            first = first or got
            assert_same_bits(got, first, f"{count} workers")
            assert_same_bits(executable.call(inputs), first, f"{count} workers, again")


@given(programs(ROWS, length=5, smooth=True), st.integers(1, 23), st.integers(1, 9))
def test_batches_cover_all_rows_once(program: Program, rows: int, size: int) -> None:
    """`run` over batches, the last of them partial, is `call` on each."""
    graph = program.graph()
    data = program.inputs(rows)
    parts = [
        run("reference", graph, {k: v[i : i + size] for k, v in data.items()})
        for i in range(0, rows, size)
    ]
    want = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
    for engine in ("reference", "native"):
        executable = api.get(engine).compile(graph)
        record = executable.run(api.Batches(data, size), collect=list(graph.outputs))
        assert (record.steps, record.rows) == (-(-rows // size), rows)
        assert record.fault is None
        assert not record.interrupted
        assert_near(record.collected, want)


@given(st.integers(0, 2**31), st.integers(1, 200), st.integers(1, 200))
def test_shuffled_batches_hold_the_same_rows_on_both_engines(
    seed: int, rows: int, size: int
) -> None:
    graph = trace(lambda x: {"y": x["x"] * 2.0}, {"x": Spec((ROWS, 2), "float32")})
    data = {"x": np.arange(2 * rows, dtype="float32").reshape(rows, 2)}
    batches = api.Batches(data, size, api.Shuffle(seed, 3))
    found = {
        name: api.get(name).compile(graph).run(batches, collect=["y"]).collected["y"]
        for name in ("reference", "native")
    }
    np.testing.assert_array_equal(found["native"], found["reference"])
    np.testing.assert_array_equal(
        found["native"][np.argsort(found["native"][:, 0])], data["x"] * 2
    )


@given(st.data(), st.integers(1, 300), st.sampled_from(["float32", "int32", "float64"]))
def test_sums_of_whole_numbers_do_not_depend_on_order_or_split(
    data: st.DataObject, rows: int, dtype: str
) -> None:
    """Whole numbers below 2**24 add exactly: any other sum is a row lost or doubled."""
    graph = trace(
        lambda x: {"sum": f.sum(x["x"], axis=0), "all": f.sum(x["x"])},
        {"x": Spec((ROWS, 5), dtype)},
    )
    values = np.random.default_rng(rows).integers(-99, 99, (rows, 5)).astype(dtype)
    order = np.asarray(data.draw(st.permutations(range(rows))))
    cut = data.draw(st.integers(0, rows))
    want = values.sum(0)
    executable = api.get("native").compile(graph)
    for whole in (values, values[order]):
        np.testing.assert_array_equal(executable.call({"x": whole})["sum"], want)
        assert executable.call({"x": whole})["all"] == want.sum()
    parts = [values[order][:cut], values[order][cut:]]
    split = sum(executable.call({"x": p})["sum"] for p in parts if len(p))
    np.testing.assert_array_equal(split, want)


@given(programs(ROWS, length=6, smooth=True), st.integers(1, 4))
def test_gradients_agree_with_finite_differences(program: Program, rows: int) -> None:
    """First and second order of a random program, in float64."""

    def step(x: Mapping[str, Any]) -> dict[str, Any]:
        loss = _scalar(program, x)
        first = gradients(loss, list(x.values()))
        known = [g for g in first if g is not None]
        again = None
        for g in known:
            again = f.sum(f.sin(g)) if again is None else again + f.sum(f.sin(g))
        second = gradients(again, list(x.values())) if known else []
        out = {"loss": loss}
        out |= {"again": again} if known else {}
        out |= {f"d{i}": g for i, g in enumerate(first) if g is not None}
        return out | {f"e{i}": g for i, g in enumerate(second) if g is not None}

    graph = trace(step, _specs(program))
    at = wide(program.inputs(rows))
    names = list(graph.outputs)
    values = dict(zip(names, evaluate(graph, at), strict=True))
    for scalar, prefix in (("loss", "d"), ("again", "e")):
        if scalar not in values:
            continue
        claimed = {
            name: values.get(prefix + name[1:], np.zeros_like(at[name])) for name in at
        }
        place = names.index(scalar)
        slopes_agree(
            lambda x, place=place: float(evaluate(graph, x)[place]),  # type: ignore[misc]
            claimed,
            at,
            rtol=2e-5,
        )


def _specs(program: Program) -> dict[str, Spec]:
    return {
        f"x{i}": Spec((program.rows, n), "float32")
        for i, n in enumerate(program.columns)
    }


def _scalar(program: Program, x: Mapping[str, Any]) -> Any:
    total = None
    for y in program(x).values():
        part = f.mean(f.tanh(y))
        total = part if total is None else total + part
    return total


@given(programs(ROWS, length=5, smooth=True), st.integers(1, 70))
def test_native_gradients_equal_the_reference(program: Program, rows: int) -> None:
    def step(x: Mapping[str, Any]) -> dict[str, Any]:
        loss = _scalar(program, x)
        found = gradients(loss, list(x.values()))
        return {"loss": loss} | {
            f"d{i}": g for i, g in enumerate(found) if g is not None
        }

    graph: Graph = trace(step, _specs(program))
    inputs = program.inputs(rows)
    assert_near(run("native", graph, inputs), run("reference", graph, inputs))
