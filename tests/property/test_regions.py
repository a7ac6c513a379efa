"""Random loops: bodies, carries, masks, branches and assignments never change a meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import (
    Program,
    assert_near,
    assert_same_bits,
    evaluate,
    programs,
    slopes_agree,
    wide,
    workers,
)

from ranvier.engines import api
from ranvier.engines.native import regions
from ranvier.graph import Dim, Graph, Spec, Variable, trace
from ranvier.graph import functions as f
from ranvier.graph.control import cond, scan, while_loop
from ranvier.graph.passes.grad import gradients

TIME, ROWS = Dim.symbol("time"), Dim.symbol("rows")


@dataclass
class Loop:
    """A scan with a random body over rows ``x`` and counts ``k``.

    Attributes:
        program: The body.
        options: What else there is in it.
        trail: Bytes up to which carries leave a trail.
        slopes: Whether gradients are wanted: they need all values of what is carried.
    """

    program: Program
    options: frozenset[str]
    trail: int
    slopes: bool

    def specs(self) -> dict[str, Spec]:
        """Of the inputs; the program's first is carried, its last is shared."""
        widths = self.program.columns
        return {
            "h": Spec((ROWS, widths[0]), "float32"),
            "s": Spec((ROWS, widths[-1]), "float32"),
            "k": Spec((TIME,), "int32"),
            **{
                f"x{i}": Spec((TIME, ROWS, n), "float32")
                for i, n in enumerate(widths[1:-1])
            },
        }

    def inputs(self, length: int, rows: int, seed: int) -> dict[str, Any]:
        """Random inputs of so many rounds."""
        rng = np.random.default_rng(seed)
        sizes = {"time": length, "rows": rows}
        found = {}
        for name, spec in self.specs().items():
            shape = [n if isinstance(n, int) else sizes[str(n)] for n in spec.shape]
            found[name] = (
                rng.integers(0, 4, shape).astype("int32")
                if name == "k"
                else rng.uniform(-1, 1, shape).astype("float32")
            )
        return found

    def graph(self) -> Graph:
        """Results, and perhaps gradients of a number made of them."""
        total = Variable(np.float32([0.5]), name="total", kind="metric")
        weight = Variable(np.float32([[0.3]]), name="weight")
        has = self.options.__contains__

        def step(inputs: Mapping[str, Any]) -> dict[str, Any]:
            xs = [v for name, v in inputs.items() if name.startswith("x")]

            def cell(carry: Any, row: Any) -> tuple[Any, Any]:
                h, other = carry
                k, rows = row
                values = dict(enumerate((h, *rows, inputs["s"])))
                found = list(self.program(values).values())  # type: ignore[arg-type]
                push = sum(f.mean(f.tanh(y), axis=1, keepdims=True) for y in found)
                new = h * 0.5 + push * weight
                if has("branch"):
                    new = cond(k > 1, lambda: new, lambda: f.sin(new) * 0.5 + other)
                if has("mask"):
                    new = f.where(k > 0, new, h)
                if has("count"):
                    n = while_loop(
                        lambda n, y: n < k, lambda n, y: (n + 1, y * 0.5), (0, 1.0)
                    )[1]
                    new = new * n
                if has("assign"):
                    total.assign(total * 0.9 + f.mean(new))
                    new = new + f.reshape(total, (1, 1)) * 0.1
                if has("nested"):
                    new, _ = scan(
                        lambda a, b: (a * 0.8 + b * weight, None),
                        new,
                        f.stack([new, other]),
                        reverse=has("reverse"),
                    )
                second = h if has("swap") else other * 0.5 + new * 0.5
                if has("fixed"):
                    second = f.tanh(inputs["h"] * weight)
                carried = (other * 0.5, new) if has("twist") else (new, second)
                ys = found[-1], (h if has("history") else k * 2)
                return carried, ys

            start = (inputs["h"], f.ones_like(inputs["h"]))
            (last, other), ys = scan(
                cell, start, (inputs["k"], xs), reverse=has("reverse")
            )
            loss = f.sum(f.square(last)) + f.sum(other) + f.sum(f.sin(ys[0]))
            out = {"loss": loss, "last": last, "other": other, "y": ys[0], "k": ys[1]}
            if not self.slopes:
                return out
            moved = {n: v for n, v in inputs.items() if n != "k"}
            grads = gradients(loss, [*moved.values(), weight])
            named = dict(zip([*moved, "weight"], grads, strict=True))
            return out | {f"d{n}": g for n, g in named.items() if g is not None}

        return trace(step, self.specs())


OPTIONS = [
    *("reverse", "branch", "mask", "count", "assign", "nested", "swap", "history"),
    *("fixed", "twist"),
]


@st.composite
def loops(draw: Any) -> Loop:
    """Random loops."""
    data = draw(st.data())
    middle = draw(st.lists(st.integers(1, 6), max_size=2))
    columns = [draw(st.integers(1, 6)), *middle, draw(st.integers(1, 6))]
    program = Program(data, ROWS, columns, draw(st.integers(1, 5)), smooth=True)
    # Not from hypothesis: its choices repeat, and there are a thousand mixtures.
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    options = frozenset(option for option in OPTIONS if rng.random() < 0.4)
    return Loop(program, options, int(rng.choice([0, 1 << 18])), rng.random() < 0.5)


@given(loops(), st.integers(0, 5), st.integers(1, 4))
def test_native_loops_equal_the_reference_on_any_number_of_workers(
    loop: Loop, length: int, rows: int
) -> None:
    graph = loop.graph()
    variables = graph.variables()
    start = [v.numpy() for v in variables]
    inputs = loop.inputs(length, rows, seed=length)

    def outcome(engine: str) -> dict[str, Any]:
        for v, value in zip(variables, start, strict=True):
            v.assign(value)
        found = api.get(engine).compile(graph).call(inputs)
        return found | {v.path: v.numpy() for v in variables}

    want = outcome("reference")
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(regions, "TRAIL", loop.trail)
        for count in (1, 2, 3, 8):
            with workers(count):
                found.append(outcome("native"))
    assert_near(found[0], want)
    for count, other in zip((2, 3, 8), found[1:], strict=True):
        assert_same_bits(other, found[0], f"{count} workers")


@given(loops(), st.integers(1, 4))
def test_gradients_of_loops_agree_with_finite_differences(
    loop: Loop, length: int
) -> None:
    loop.slopes = True
    graph = loop.graph()
    at = wide(loop.inputs(length, 2, seed=length))
    names = list(graph.outputs)
    found = dict(zip(names, evaluate(graph, at), strict=False))
    grads = {n: found[f"d{n}"] for n in at if f"d{n}" in found}
    slopes_agree(lambda x: float(evaluate(graph, x)[0]), grads, at, rtol=1e-5)


@given(programs(ROWS, length=5, smooth=True), st.integers(1, 5))
def test_a_loop_of_one_round_is_its_body(program: Program, rows: int) -> None:
    """Bit for bit: the same kernels compute it, though fused with other neighbours."""
    specs = {f"x{i}": Spec((ROWS, n), "float32") for i, n in enumerate(program.columns)}

    def looped(inputs: Mapping[str, Any]) -> dict[str, Any]:
        xs = {name: f.expand_dims(x, 0) for name, x in inputs.items()}
        _, ys = scan(lambda c, row: (c, program(row)), f.as_tensor(0.0), xs)
        return {name: y[0] for name, y in ys.items()}

    inputs = program.inputs(rows)
    engine = api.get("native")
    want = engine.compile(program.graph()).call(inputs)
    got = engine.compile(trace(looped, specs)).call(inputs)
    assert_same_bits(got, want)
