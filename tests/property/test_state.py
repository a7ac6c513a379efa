"""Random steps that read and assign variables in any order: nothing is read too late.

The native engine writes updates into the variables' own memory, inside whatever kernel
computes them; a read of an old value must come before, on every worker.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranvier.engines import api
from ranvier.engines.native import engine as native
from ranvier.graph import Dim, Graph, Spec, Variable, trace
from ranvier.graph import functions as f
from ranvier.graph.passes.grad import gradients

ROWS = Dim.symbol("batch")


def _rows(w: Any, x: Any) -> Any:
    return f.matmul(f.transpose(x), f.tanh(f.matmul(x, w))) * 0.05


def _gradient(w: Any, x: Any) -> Any:
    (g,) = gradients(f.mean(f.square(f.tanh(f.matmul(x, w)))), [w])
    return w - g * 0.3


def _shrunk(w: Any, x: Any) -> Any:
    loss = f.mean(f.square(f.matmul(x, w))) + f.sum(f.square(w)) * 0.01
    (g,) = gradients(loss, [w])
    return w - g * 0.3


#: What one tensor of the variables' shape can become, given the batch.
STEPS = [
    lambda w, x: w * 0.5 + 0.1,
    lambda w, x: f.tanh(w),
    lambda w, x: f.flip(w, 0),
    lambda w, x: f.flip(w, 1) * 0.5,
    lambda w, x: w - w[:1] * 0.3,
    lambda w, x: f.concatenate([w[1:], w[:1]], axis=0),
    lambda w, x: w / (f.sqrt(f.sum(f.square(w), axis=0, keepdims=True)) + 1.0),
    lambda w, x: w - f.mean(w) * 0.5,
    lambda w, x: w * 0.9 + f.sum(f.matmul(x, w), axis=0) * 0.01,
    lambda w, x: f.cumsum(w, axis=0) * 0.2,
    lambda w, x: f.where(w > 0, w, w * 0.1),
    _rows,
    _gradient,
    _shrunk,
    lambda w, x: w / (f.sum(f.absolute(w), axis=1, keepdims=True) + 1.0),
    lambda w, x: w * f.minimum(1.0, 1.0 / f.sqrt(f.sum(f.square(w)) + 1e-3)),
]
PAIRS = [
    lambda a, b: a * 0.5 + b * 0.5,
    lambda a, b: f.maximum(a, b),
    lambda a, b: a - f.tanh(b) * 0.2,
    lambda a, b: a * f.sum(b, axis=0, keepdims=True) * 0.1,
]
#: Only for square weights.
TURNS = [
    lambda w: f.transpose(w),
    lambda w: w * 0.5 + f.transpose(w) * 0.3,
    lambda w: f.matmul(w, f.transpose(w)) * 0.05,
]


def build(data: st.DataObject, shape: tuple[int, int]) -> tuple[Graph, list[Variable]]:
    """A random step over three variables of one shape."""
    rng = np.random.default_rng(0)
    variables = [
        Variable((rng.normal(size=shape) * 0.5).astype("float32"), name=f"v{i}")
        for i in range(3)
    ]
    code = data.draw(
        st.lists(
            st.tuples(
                st.sampled_from(["step", "pair", "turn", "read", "assign", "assign"]),
                st.integers(0, len(STEPS) - 1),
                st.integers(0, 9),
                st.integers(0, 9),
            ),
            min_size=3,
            max_size=10,
        )
    )
    seen = data.draw(st.integers(0, 3))

    def step(inputs: Any) -> dict[str, Any]:
        x = inputs["x"]
        values: list[Any] = [v.value for v in variables]
        for kind, which, a, b in code:
            one, other = values[a % len(values)], values[b % len(values)]
            if kind == "assign":
                variables[which % 3].assign(one)
            elif kind == "read":
                values.append(variables[which % 3].value)
            elif kind == "pair":
                values.append(PAIRS[which % len(PAIRS)](one, other))
            elif kind == "turn" and shape[0] == shape[1]:
                values.append(TURNS[which % len(TURNS)](one))
            else:
                values.append(STEPS[which % len(STEPS)](one, x))
        out = {"sum": f.sum(values[-1])}
        return out | {f"y{i}": values[-1 - i] for i in range(seen)}

    return trace(step, {"x": Spec((ROWS, shape[0]), "float32")}), variables


@given(
    st.data(),
    st.sampled_from([(4, 4), (3, 70), (70, 70), (33, 5), (66, 130)]),
    st.sampled_from([1, 2, 3, 8]),
)
def test_native_state_equals_the_reference(
    data: st.DataObject, shape: tuple[int, int], count: int
) -> None:
    graph, variables = build(data, shape)
    start = [v.numpy() for v in variables]
    rng = np.random.default_rng(1)
    batches = [rng.normal(size=(n, shape[0])).astype("float32") for n in (5, 5, 2)]
    found: list[list[Any]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "config_threads", lambda: count)
        patch.setattr(native, "judge", lambda *_: native.Verdict.SEVERAL)
        for engine in ("reference", "native"):
            for v, value in zip(variables, start, strict=True):
                v.assign(value)
            executable = api.get(engine).compile(graph)
            results: list[Any] = []
            for x in batches:
                results += executable.call({"x": x}).values()
                results += [v.numpy() for v in variables]
            found.append(results)
    for want, got in zip(*found, strict=True):
        scale = max(1.0, float(np.abs(want).max(initial=0)))
        np.testing.assert_allclose(got, want, rtol=2e-3, atol=2e-4 * scale)


@given(st.data(), st.sampled_from([(4, 4), (3, 70), (70, 70)]))
def test_the_state_has_the_same_bits_on_any_number_of_workers(
    data: st.DataObject, shape: tuple[int, int]
) -> None:
    graph, variables = build(data, shape)
    start = [v.numpy() for v in variables]
    x = np.random.default_rng(1).normal(size=(37, shape[0])).astype("float32")
    first: list[bytes] = []
    for count in (1, 2, 3, 8):
        for v, value in zip(variables, start, strict=True):
            v.assign(value)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(native, "config_threads", lambda count=count: count)
            patch.setattr(native, "judge", lambda *_: native.Verdict.SEVERAL)
            executable = api.get("native").compile(graph)
            executable.run(api.Batches({"x": x}, 5))
        bits = [v.numpy().tobytes() for v in variables]
        first = first or bits
        assert bits == first, f"{count} workers"
