"""Convolution and window kernels: sizes at the borders of blocks, bands and scratch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from strategies import assert_close, run, workers
from window_steps import attrs, builders, normal

from ranvier.engines import api
from ranvier.engines.native import windows
from ranvier.graph import REGISTRY, Dim, Spec, trace
from ranvier.graph import functions as f
from ranvier.graph.passes.grad import gradients
from ranvier.graph.trace import apply

Array = np.ndarray[Any, Any]


def outputs(x: Any, w: Any, a: dict[str, Any]) -> dict[str, Any]:
    """All three sums, and so each in both directions."""
    y = apply(REGISTRY["conv"], x, w, **a)
    g = f.stop_gradient(y)
    dx, dw = gradients(y, [x, w], [g])
    return {"y": y, "dx": dx, "dw": dw}


def graph_of(x: Array, w: Array, a: dict[str, Any]) -> Any:
    specs = {"x": Spec(x.shape, "float32"), "w": Spec(w.shape, "float32")}
    return trace(lambda t: outputs(t["x"], t["w"], a), specs)


SHAPES: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ((2, 50, 3), (3, 3, 16), attrs(1)),  # a line of more than a block
    ((1, 200, 2), (5, 2, 130), attrs(1, 1, 2)),  # three panels
    ((3, 13, 13, 32), (3, 3, 32, 64), attrs(2)),
    ((2, 9, 30, 17), (3, 3, 17, 33), attrs(2, 1, 1)),
    ((1, 8, 8, 100), (3, 3, 100, 100), attrs(2, 1, 1)),  # several passes
    ((1, 20, 20, 8), (3, 3, 8, 24), attrs(2, 3, 1)),
    ((2, 9, 9, 12), (3, 3, 4, 24), attrs(2, 1, 1, 2, 3)),  # groups
    ((2, 12, 11, 70), (3, 3, 1, 70), attrs(2, 2, 1, 1, 70)),  # each channel by itself
    ((2, 10, 10, 20), (3, 3, 1, 60), attrs(2, 1, 1, 1, 20)),  # three for each channel
    ((2, 6, 6, 130), (5, 4, 1, 130), attrs(2, 1, 2, 1, 130)),
    ((1, 5, 6, 7, 4), (2, 3, 2, 4, 9), attrs(3, 2, 1)),
    ((1, 1, 1, 5), (3, 3, 5, 6), attrs(2, 1, 1)),  # most taps meet nothing
    ((2, 1, 9, 1), (1, 9, 1, 4), attrs(2)),
]


@pytest.mark.parametrize(("x", "w", "a"), SHAPES, ids=str)
def test_native_equals_the_reference_for_any_number_of_workers(
    x: Any, w: Any, a: dict[str, Any]
) -> None:
    given = {"x": normal(*x), "w": normal(*w, seed=1)}
    graph = graph_of(*given.values(), a)
    want = run("reference", graph, given)
    found: list[dict[str, Array]] = []
    for count in (1, 2, 3):
        with workers(count):
            found.append(run("native", graph, given))
    for name, array in want.items():
        # Rounding grows with the number of products, against the size of the result.
        scale = float(np.abs(array).max())
        np.testing.assert_allclose(found[0][name], array, rtol=0, atol=2e-6 * scale * 8)
        for other in found[1:]:
            np.testing.assert_array_equal(other[name], found[0][name])


def test_each_element_does_not_depend_on_the_batch_around() -> None:
    """Bands, blocks and shares change with the number of rows, no sum does."""
    x, w = normal(5, 9, 9, 20), normal(3, 3, 20, 40, seed=1)
    a = attrs(2, 1, 1)
    whole = run("native", graph_of(x, w, a), {"x": x, "w": w})
    for i in range(5):
        one = run("native", graph_of(x[i : i + 1], w, a), {"x": x[i : i + 1], "w": w})
        np.testing.assert_array_equal(one["y"], whole["y"][i : i + 1])


@pytest.mark.parametrize("often", [0, 1, 2])
def test_a_line_without_room_in_scratch(often: int) -> None:
    """Not one line of positions fits: the frame is made in memory."""
    channels = 300
    groups = channels if often else 1
    x = normal(1, 2000, channels)
    w = normal(3, 1 if often else channels, channels * often if often else 5, seed=1)
    a = attrs(1, 1, 1, 1, groups)
    graph = graph_of(x, w, a)
    want, got = (run(e, graph, {"x": x, "w": w}) for e in ("reference", "native"))
    assert 4 * 2002 * channels > windows.MOST_BAND
    for name, array in want.items():
        scale = float(np.abs(array).max())
        np.testing.assert_allclose(got[name], array, rtol=0, atol=1e-5 * scale)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_kernel_without_room_in_scratch(stride: int) -> None:
    """The turned kernel of a long sum is made in memory."""
    size, taps, filters = (7, 5, 700) if stride == 1 else (12, 9, 1100)
    assert filters * (taps // stride) ** 2 > windows.MOST_PACKED
    x, w = normal(1, size, size, 3), normal(taps, taps, 3, filters, seed=1)
    a = attrs(2, stride, 2)
    graph = graph_of(x, w, a)
    want, got = (run(e, graph, {"x": x, "w": w}) for e in ("reference", "native"))
    for name, array in want.items():
        scale = float(np.abs(array).max())
        np.testing.assert_allclose(got[name], array, rtol=0, atol=2e-5 * scale)


EPILOGUES = {
    "bias": lambda y, b, s: y + b,
    "bias, relu": lambda y, b, s: f.maximum(y + b, 0.0),
    "residual": lambda y, b, s: y + s,
    "mask": lambda y, b, s: f.where(s > 0, y, 0.0),
    "program": lambda y, b, s: f.tanh(y * 0.1 + b) * s + f.sigmoid(s),
    "rows": lambda y, b, s: y + f.sum(s, axis=(1, 2, 3), keepdims=True),
}


@pytest.mark.parametrize("name", EPILOGUES)
@pytest.mark.parametrize("groups", [1, 2, 20])
@pytest.mark.parametrize("direction", ["conv", "conv_input"])
def test_what_follows_runs_on_the_tiles(name: str, groups: int, direction: str) -> None:
    """The same bits as the operations one by one, which the oracle has checked."""
    x, w = normal(2, 7, 9, 20), normal(3, 3, 20 // groups, 20, seed=1)
    b, s = normal(20, seed=2), normal(2, 7, 9, 20, seed=3)
    a = attrs(2, 1, 1, 1, groups)
    if direction == "conv_input":
        a["size"] = (7, 9)
    given = {"x": x, "w": w, "b": b, "s": s}
    specs = {k: Spec(v.shape, "float32") for k, v in given.items()}

    def together(t: Any) -> dict[str, Any]:
        y = apply(REGISTRY[direction], t["x"], t["w"], **a)
        return {"y": EPILOGUES[name](y, t["b"], t["s"])}

    def apart(t: Any) -> dict[str, Any]:
        y = apply(REGISTRY[direction], t["x"], t["w"], **a)
        return {"y": EPILOGUES[name](y, t["b"], t["s"]), "conv": y}

    results = []
    for step in (together, apart):
        graph = trace(step, specs)
        for count in (1, 3):
            with workers(count):
                results.append(run("native", graph, given)["y"])
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


def test_bias_and_relu_are_one_step() -> None:
    given = {"x": normal(2, 7, 9, 3), "w": normal(3, 3, 3, 20), "b": normal(20)}
    specs = {k: Spec(v.shape, "float32") for k, v in given.items()}

    def step(t: Any) -> dict[str, Any]:
        y = apply(REGISTRY["conv"], t["x"], t["w"], **attrs(2))
        return {"y": f.maximum(y + t["b"], 0.0)}

    (plan,) = builders(
        lambda: api.get("native").compile(trace(step, specs)).call(given)
    )
    kernels = [s.kernel for s in plan.steps if s.kernel != "gather"]
    assert kernels == ["conv"]


def test_symbolic_sizes() -> None:
    """One graph for any number of rows and of steps."""
    n, t = Dim.symbol("n"), Dim.symbol("t")
    w = normal(3, 4, 6)
    graph = trace(
        lambda z: outputs(z["x"], z["w"], attrs(1, 2, 1)),
        {"x": Spec((n, t, 4), "float32"), "w": Spec(w.shape, "float32")},
    )
    for shape in ((1, 3, 4), (3, 8, 4), (2, 9, 4)):
        given = {"x": normal(*shape), "w": w}
        want, got = (run(e, graph, given) for e in ("reference", "native"))
        for name in want:
            assert_close(got[name], want[name], 128.0, name)


# ------------------------------------------------------------------ the largest of windows


def pooled(x: Any, a: dict[str, Any]) -> dict[str, Any]:
    index = apply(REGISTRY["window_argmax"], x, **a)
    y = apply(REGISTRY["window_pick"], x, index, **a)
    (dx,) = gradients(y, [x], [f.cos(f.stop_gradient(y))])
    return {"y": y, "index": index, "dx": dx}


@pytest.mark.parametrize("channels", [1, 7, 16, 37])
@pytest.mark.parametrize(
    ("window", "stride", "pad"), [(2, 2, 0), (3, 2, 1), (3, 1, 2), (2, 3, 1)]
)
def test_the_largest(channels: int, window: int, stride: int, pad: int) -> None:
    """Also with equal numbers, infinities and NaN in a window."""
    rng = np.random.default_rng(channels)
    x = rng.integers(-2, 3, (2, 9, 8, channels)).astype("float32")
    x[rng.random(x.shape) < 0.05] = np.nan
    x[rng.random(x.shape) < 0.2] = -np.inf
    a = {
        "window": (window,) * 2,
        "strides": (stride,) * 2,
        "padding": ((pad, pad),) * 2,
    }
    graph = trace(lambda t: pooled(t["x"], a), {"x": Spec(x.shape, "float32")})
    want = run("reference", graph, {"x": x})
    for count in (1, 2, 3):
        with workers(count):
            got = run("native", graph, {"x": x})
        np.testing.assert_array_equal(got["index"], want["index"])
        np.testing.assert_array_equal(got["y"], want["y"])
        np.testing.assert_allclose(got["dx"], want["dx"], rtol=1e-5, atol=1e-6)


def test_taps_are_kept_only_for_a_gradient() -> None:
    x = normal(2, 6, 6, 5)
    a = {"window": (2, 2), "strides": (2, 2), "padding": ((0, 0), (0, 0))}

    def largest(t: Any) -> dict[str, Any]:
        index = apply(REGISTRY["window_argmax"], t["x"], **a)
        return {"y": apply(REGISTRY["window_pick"], t["x"], index, **a)}

    def step(t: Any) -> dict[str, Any]:
        found = pooled(t["x"], a)
        return {"y": found["y"], "dx": found["dx"]}

    for fn, kernels, written in (
        (largest, {"window_max"}, 1),
        (step, {"window_max", "ew_run", "window_spread"}, 2),
    ):
        graph = trace(fn, {"x": Spec(x.shape, "float32")})

        def call(graph: Any = graph) -> None:
            api.get("native").compile(graph).call({"x": x})

        (plan,) = builders(call)
        steps = [s for s in plan.steps if s.kernel != "gather"]
        assert {s.kernel for s in steps} == kernels
        assert steps[0].kernel == "window_max"
        assert sum(ref.bytes > 0 for ref in steps[0].refs[1:3]) == written
