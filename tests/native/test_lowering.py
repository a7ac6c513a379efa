"""How graphs become steps: barriers, fusion, windows, and layouts of weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import dense_stack, run

from ranvier.engines import api
from ranvier.engines.native import engine as native
from ranvier.engines.native.draft import (
    Access,
    Draft,
    divide,
    place_buffers,
)
from ranvier.engines.native.storage import Panels
from ranvier.engines.native.values import Buffer
from ranvier.engines.native.waits import place_barriers
from ranvier.graph import Dim, Spec, Variable, trace
from ranvier.graph import composites as c
from ranvier.graph import functions as f
from ranvier.graph.passes.grad import gradients

B = Dim.symbol("batch")


def steps_of(fn: Any, specs: Mapping[str, Spec], rows: int = 32) -> list[Draft]:
    """The steps of a graph for so many rows."""
    executable: Any = api.get("native").compile(trace(fn, specs))
    executable.call(
        {
            name: np.zeros([rows, *s.shape[1:]], s.dtype)  # type: ignore[list-item]
            for name, s in specs.items()
        }
    )
    (compiled,) = executable._plans.values()
    return compiled.steps


def kernels(fn: Any, specs: Mapping[str, Spec], rows: int = 32) -> list[str]:
    return [step.kernel for step in steps_of(fn, specs, rows)]


X = {"x": Spec((B, 20), "float32")}

# --------------------------------------------------------------------------- barriers


def _step(reads: list[Access], writes: list[Access]) -> Draft:
    return Draft("ew_run", reads=reads, writes=writes, units=8, cost=1e6)


def test_workers_wait_for_bytes_of_others() -> None:
    a, b = Buffer("arena", 64, offset=0), Buffer("arena", 64, offset=64)
    rows = ("rows", 8, 1)
    for share, waits in ((rows, 0), (("rows", 8, 2), 1), (None, 1)):
        steps = [
            _step([], [Access(a, 0, 64, rows)]),
            _step([Access(a, 0, 64, share)], [Access(b, 0, 64, share)]),
        ]
        place_barriers(steps, 2)
        # The plan runs again: its first step waits for the last one too.
        assert [s.barrier for s in steps] == [waits, waits]
    apart = [_step([], [Access(a, 0, 64)]), _step([], [Access(b, 0, 64)])]
    place_barriers(apart, 2)
    # Nothing in common; but in the next round another worker may write a again.
    assert [s.barrier for s in apart] == [1, 0]


def test_one_share_of_buffers_that_overlap_is_not_the_same_bytes() -> None:
    """The arena is reused: the same rows of a wider tensor begin elsewhere."""
    narrow, wide = Buffer("arena", 64, offset=0), Buffer("arena", 256, offset=0)
    rows = ("rows", 8, 1)
    steps = [
        _step([Access(narrow, 0, 64, rows)], []),
        _step([], [Access(wide, 0, 256, rows)]),
    ]
    place_barriers(steps, 2)
    assert [s.barrier for s in steps] == [1, 1]


def test_a_wait_anywhere_in_the_round_serves_the_next_round_too() -> None:
    a, b = Buffer("arena", 64, offset=0), Buffer("arena", 64, offset=64)
    steps = [
        _step([], [Access(a, 0, 64)]),
        _step([Access(a, 0, 64)], [Access(b, 0, 64)]),
        _step([Access(b, 0, 64)], []),
    ]
    place_barriers(steps, 2)
    # The third step reads b only; a was last touched before the wait in front of it.
    assert [s.barrier for s in steps] == [0, 1, 1]


def test_one_worker_waits_for_nobody() -> None:
    a = Buffer("arena", 64, offset=0)
    steps = [_step([], [Access(a, 0, 64)]), _step([Access(a, 0, 64)], [])]
    place_barriers(steps, 1)
    assert [s.barrier for s in steps] == [0, 0]


# ----------------------------------------------------------------------------- fusion


def test_elementwise_chains_are_one_step() -> None:
    def chain(i: Mapping[str, Any]) -> dict[str, Any]:
        x = i["x"]
        return {"y": f.where(x > 0, f.tanh(x * 2.0) + 1.0, f.exp(x) / 3.0)}

    assert kernels(chain, X) == ["gather", "ew_run"]


def test_bias_and_activation_run_on_the_tiles_of_the_product() -> None:
    _, forward = dense_stack([20, 80, 10], f.tanh)
    found = kernels(lambda i: {"y": forward(i["x"])}, X)
    assert sum(k.startswith("gemm") for k in found) == 2
    assert "ew_run" not in found


def test_shapes_cost_nothing() -> None:
    def move(i: Mapping[str, Any]) -> dict[str, Any]:
        x = f.reshape(i["x"], (-1, 4, 5))
        return {"y": f.sum(f.transpose(x[:, 1:, ::2], (2, 0, 1)), axis=0)}

    found = kernels(move, X)
    assert found[0] == "gather"
    assert len(found) <= 3


def test_a_training_step_has_few_steps() -> None:
    """A count instead of a time: forward, loss, backward and update of two layers."""
    weights, forward = dense_stack([20, 128, 10], c.relu)
    slots = [
        [Variable(np.zeros(w.shape, "float32"), kind="slot") for _ in range(2)]
        for w in weights
    ]

    def step(i: Mapping[str, Any]) -> dict[str, Any]:
        losses, _ = c.sparse_softmax_cross_entropy(forward(i["x"]), i["y"])
        loss = f.mean(losses)
        for w, g, (m, v) in zip(weights, gradients(loss, weights), slots, strict=True):
            new = c.adam_update(w, m, v, g, *map(f.as_tensor, (0.01, 0.1, 0.001, 1e-7)))
            for variable, value in zip((w, m, v), new, strict=True):
                variable.assign(value)
        return {}

    found = kernels(step, {**X, "y": Spec((B,), "int32")})
    assert len(found) <= 14, found
    assert sum(k.startswith("gemm") for k in found) <= 5


# ---------------------------------------------------------------------------- layouts


# 20 rows of 64 columns are more than a pool takes, of 63 or fewer too narrow.
@pytest.mark.parametrize(
    ("n", "panels"), [(10, False), (63, False), (64, True), (65, True)]
)
def test_wide_weights_lie_in_panels(n: int, panels: bool) -> None:
    value = np.random.default_rng(0).normal(size=(20, n)).astype("float32")
    w = Variable(value, name="w")
    slot = Variable(np.zeros((20, n), "float32"), name="slot", kind="slot")

    def step(i: Mapping[str, Any]) -> dict[str, Any]:
        y = f.matmul(i["x"], w)
        (g,) = gradients(f.sum(f.square(y)), [w])
        slot.assign(slot * 0.9 + g)
        w.assign(w - slot * 0.001)
        return {"y": y}

    kernels(step, X)
    assert isinstance(w.storage, Panels) == panels
    assert isinstance(slot.storage, Panels) == panels
    np.testing.assert_array_equal(w.numpy(), value)
    other = np.ones((20, n), "float32")
    w.assign(other)
    np.testing.assert_array_equal(w.numpy(), other)


REDUCED = {
    "sum of squares": lambda w: f.sum(f.square(w)),
    "sum of sizes": lambda w: f.sum(f.absolute(w)),
    "largest": lambda w: f.max(f.absolute(w)),
    "of rows": lambda w: f.sum(f.square(w), axis=1),
    "of columns": lambda w: f.sum(f.square(w), axis=0),
    "plain": lambda w: f.sum(w, axis=1),
    "beside a row": lambda w: f.sum(w * f.sum(w, axis=0, keepdims=True)),
    "flattened": lambda w: f.sum(f.square(f.reshape(w, (-1,)))),
    "place of the largest": lambda w: f.argmax(f.square(w), axis=1),
    "running": lambda w: f.cumsum(w * 2.0, axis=1),
    "softmax": lambda w: c.softmax(w * 2.0),
    "turned": lambda w: f.transpose(w) * 2.0,
    "part": lambda w: w[1:, ::2] + 1.0,
}


@pytest.mark.parametrize("name", sorted(REDUCED))
@pytest.mark.parametrize("shape", [(5, 70), (64, 128), (70, 130)])
def test_weights_in_panels_are_read_as_tensors(name: str, shape: Any) -> None:
    """Norms and regularizers read weights whose rows are not one piece of memory."""
    value = np.random.default_rng(0).normal(size=shape).astype("float32")
    w = Variable(value, name="w")
    fn = REDUCED[name]
    graph = trace(
        lambda i: {"product": f.matmul(i["x"], w), "found": fn(w)},
        {"x": Spec((B, shape[0]), "float32")},
    )
    x = np.ones((2, shape[0]), "float32")
    want = run("reference", graph, {"x": x})["found"]
    got = run("native", graph, {"x": x})["found"]
    assert isinstance(w.storage, Panels)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rows", [1, 2, 7, 48, 49, 130])
@pytest.mark.parametrize(("k", "n"), [(1, 1), (3, 65), (20, 64), (33, 130), (70, 16)])
def test_products_in_all_orientations(rows: int, k: int, n: int) -> None:
    """Forward, input gradient and weight gradient, for odd sizes."""
    rng = np.random.default_rng(0)
    w = Variable(rng.normal(size=(k, n)).astype("float32"), name="w")

    def step(i: Mapping[str, Any]) -> dict[str, Any]:
        y = f.matmul(i["x"], w)
        loss = f.sum(f.sin(y))
        gx, gw = gradients(loss, [i["x"], w])
        w.assign(w - gw * 0.01)
        return {"y": y, "gx": gx}

    x = rng.normal(size=(rows, k)).astype("float32")
    graph = trace(step, {"x": Spec((B, k), "float32")})
    before, found = w.numpy(), []
    for engine in ("reference", "native"):
        w.assign(before)
        found.append({**run(engine, graph, {"x": x}), "w": w.numpy()})
    for name, want in found[0].items():
        np.testing.assert_allclose(found[1][name], want, rtol=1e-4, atol=1e-4)


def test_plans_are_kept_and_bounded() -> None:
    executable: Any = api.get("native").compile(trace(lambda i: {"y": i["x"] * 2.0}, X))
    for rows in (3, 4, 3, 4):
        executable.call({"x": np.zeros((rows, 20), "float32")})
    assert len(executable._plans) == 2
    for rows in range(1, 60):
        executable.call({"x": np.zeros((rows, 20), "float32")})
    assert len(executable._plans) == native.PLANS


# --------------------------------------------------------------- who runs which step


def _cheap(reads: list[Access], writes: list[Access], units: int = 1) -> Draft:
    return Draft("ew_run", reads=reads, writes=writes, units=units, cost=10.0)


def test_what_is_small_and_read_by_all_is_computed_by_each() -> None:
    a, b = Buffer("arena", 64), Buffer("arena", 6400)
    steps = [
        _cheap([], [Access(a, 0, 64)]),
        _step([Access(a, 0, 64)], [Access(b, 0, 6400, ("rows", 8, 1))]),
    ]
    divide(steps, [b], 2)
    assert [s.single for s in steps] == [2, 0]
    assert (a.space, b.space) == ("own", "arena")
    place_buffers(steps, [b], "arena")
    place_barriers(steps, 2)
    assert [s.barrier for s in steps] == [0, 0]


def test_what_only_one_worker_needs_it_computes_alone() -> None:
    a, b = Buffer("arena", 64), Buffer("arena", 64)
    steps = [
        _cheap([], [Access(a, 0, 64)]),
        _cheap([Access(a, 0, 64)], [Access(b, 0, 64)]),
    ]
    divide(steps, [b], 2)
    assert [s.single for s in steps] == [1, 1]


def test_a_variable_stays_in_the_cache_of_the_worker_that_updates_it() -> None:
    """Reading it everywhere costs more than passing on a small result."""
    weight = Buffer("slot", 4096, 0)
    small, large = Buffer("arena", 64), Buffer("arena", 65536)
    for result, alone in ((small, 1), (large, 2)):
        result.space = "arena"
        size = result.nbytes
        steps = [
            _cheap([Access(weight, 0, 4096)], [Access(result, 0, size)]),
            _step([Access(result, 0, size)], [Access(Buffer("arena", 64), 0, 64)]),
            _cheap([], [Access(weight, 0, 4096)]),
        ]
        divide(steps, [], 2)
        assert steps[0].single == alone


def test_a_wait_stands_where_workers_come_at_about_the_same_time() -> None:
    """Not behind the long step, after which one would wait for the other."""
    a, b = Buffer("arena", 64, offset=0), Buffer("arena", 64, offset=64)
    rows = ("rows", 8, 1)
    steps = [
        _step([Access(a, 0, 64, rows)], []),
        _step([], [Access(b, 0, 64, rows)]),
        _step([], [Access(a, 0, 64, ("columns", 2))]),
    ]
    place_barriers(steps, 2)
    assert sum(s.barrier for s in steps) == 2
    assert steps[2].barrier == 0


@given(data=st.data())
def test_no_step_overtakes_one_it_depends_on(data: st.DataObject) -> None:
    """Any accesses: behind each step that touches the same bytes, workers meet."""
    buffers = [Buffer("arena", 64, offset=32 * i) for i in range(3)]
    shares = [None, ("rows", 8, 1), ("columns", 2)]

    def some_access() -> Access:
        return Access(
            data.draw(st.sampled_from(buffers)),
            0,
            64,
            data.draw(st.sampled_from(shares)),
        )

    steps = []
    for _ in range(data.draw(st.integers(1, 7))):
        step = _step([some_access()], [some_access()])
        step.single = data.draw(st.integers(0, 1))
        step.guard = data.draw(st.integers(0, 5)) == 0
        step.cost = data.draw(st.floats(1, 1e5))
        steps.append(step)
    place_barriers(steps, 3)
    twice = steps * 2
    for j, later in enumerate(twice):
        for i, earlier in enumerate(twice[:j]):
            waits = any(step.barrier for step in twice[i + 1 : j + 1])
            assert waits or not _depend(earlier, later)


def _depend(a: Draft, b: Draft) -> bool:
    for x, x_writes in [(x, False) for x in a.reads] + [(x, True) for x in a.writes]:
        for y, y_writes in [(y, False) for y in b.reads] + [
            (y, True) for y in b.writes
        ]:
            first, second = x.buffer.offset, y.buffer.offset
            if not (x_writes or y_writes) or abs(first - second) >= 64:
                continue
            one_worker = a.single == b.single == 1
            same_parts = not a.single and not b.single and x.share == y.share
            if not one_worker and not (same_parts and x.share and first == second):
                return True
    return False


def test_what_other_steps_read_is_not_computed_in_arrays_of_the_callers() -> None:
    """Kernels read behind the end of an operand: it needs the arena's padding."""
    w = Variable(np.ones((20, 20), "float32"), name="w")

    def step(i: Mapping[str, Any]) -> dict[str, Any]:
        y = f.tanh(f.matmul(i["x"], w))
        return {"y": y, "z": f.matmul(y, w)}

    for draft in steps_of(step, X):
        assert not any(
            isinstance(a.buffer.key, tuple) and a.buffer.key[0] == "output"
            for a in draft.reads
        )
    (last,) = [s for s in steps_of(step, X) if s.kernel == "gemm_nn"][1:]
    assert last.writes[0].buffer.key == ("output", "z"), "nobody reads z: no copy"


@pytest.mark.parametrize("rows", [1, 2, 5, 33])
@pytest.mark.parametrize("sizes", [(3, 2, 3), (8, 2, 8), (16, 4, 16), (5, 3, 64)])
def test_a_program_behind_a_product_with_several_new_axes(
    rows: int, sizes: tuple[int, ...]
) -> None:
    """The columns of the product are two axes; those of the program are the last."""

    def fn(i: Mapping[str, Any]) -> dict[str, Any]:
        y = f.dot_general(i["x"], i["w"], ((1,), (0,)))
        return {"y": f.maximum(y * 0.5 + i["b"], 0.0)}

    specs = {
        "x": Spec((B, sizes[0]), "float32"),
        "w": Spec(sizes, "float32"),
        "b": Spec(sizes[-1:], "float32"),
    }
    rng = np.random.default_rng(0)
    shapes = ((rows, sizes[0]), sizes, sizes[-1:])
    data = {
        name: rng.normal(size=shape).astype("float32")
        for name, shape in zip(specs, shapes, strict=True)
    }
    found = api.get("native").compile(trace(fn, specs)).call(data)["y"]
    product = np.einsum("ac,cde->ade", data["x"], data["w"]).astype("float64")
    wanted = np.maximum(product * 0.5 + data["b"], 0)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
