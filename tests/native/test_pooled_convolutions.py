"""Convolutions that keep the largest of windows only, and gradients read from windows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from strategies import run, workers
from window_steps import attrs, builders, normal

from ranvier import ops
from ranvier.engines import api
from ranvier.graph import REGISTRY, Spec, trace
from ranvier.graph import functions as f
from ranvier.graph.composites import relu
from ranvier.graph.passes.grad import gradients
from ranvier.graph.trace import apply

Array = np.ndarray[Any, Any]

#: Input, kernel, arguments of the convolution, window.
CASES: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any], Any]] = [
    ((3, 28, 28, 1), (3, 3, 1, 32), attrs(2), 2),
    ((3, 13, 13, 32), (3, 3, 32, 64), attrs(2), 2),  # a line and a column in no window
    ((2, 12, 11, 5), (3, 3, 5, 70), attrs(2, 1, 1), 3),  # two panels
    ((2, 9, 170, 3), (2, 2, 3, 9), attrs(2), (2, 5)),  # lines longer than a block
    ((1, 40, 8, 100), (3, 3, 100, 33), attrs(2, 1, 1), (4, 1)),  # several passes
    ((2, 21, 20, 6), (3, 3, 6, 24), attrs(2, 2, 1), 2),  # a step for each residue
    ((2, 10, 10, 12), (1, 1, 12, 20), attrs(2), 2),
    ((2, 10, 10, 12), (3, 3, 4, 24), attrs(2, 1, 1, 1, 3), 2),  # groups
    (
        (2, 10, 10, 20),
        (3, 3, 1, 20),
        attrs(2, 1, 1, 1, 20),
        2,
    ),  # each channel by itself
    ((2, 50, 7), (5, 7, 16), attrs(1, 1, 2, 2), 4),
    ((2, 6, 600, 90), (3, 3, 90, 4), attrs(2, 1, 1), 2),  # bands of a few lines
]


def graph_of(
    given: dict[str, Array], a: dict[str, Any], pool: Any, apart: bool, act: Any = relu
) -> Any:
    """Convolution, bias, relu, windows and the gradients.

    Args:
        given: Input, kernel, bias and what comes back to the windows.
        a: Arguments of the convolution.
        pool: Window.
        apart: Ask for what lies between, so that nothing can be left out.
        act: The activation.
    """

    def step(t: dict[str, Any]) -> dict[str, Any]:
        x, w, b, g = (t[k] for k in ("x", "w", "b", "g"))
        y = apply(REGISTRY["conv"], x, w, **a) + b
        positions = act(y)
        z = ops.max_pool(positions, pool)
        dx, dw, db, dy = gradients(z, [x, w, b, y], [g])
        found = {"z": z, "dx": dx, "dw": dw, "db": db}
        return {**found, "positions": positions, "dy": dy} if apart else found

    return trace(step, {k: Spec(v.shape, "float32") for k, v in given.items()})


def arrays(x: Any, w: Any, a: dict[str, Any], pool: Any) -> dict[str, Array]:
    given = {"x": normal(*x), "w": normal(*w, seed=1), "b": normal(w[-1], seed=2)}
    y = np.asarray(apply(REGISTRY["conv"], given["x"], given["w"], **a))
    z = np.asarray(ops.max_pool(y, pool))
    return {**given, "g": normal(*z.shape, seed=3)}


def kernels(graph: Any, given: dict[str, Array]) -> list[str]:
    """The steps of the plan, by name."""
    (builder,) = builders(lambda: api.get("native").compile(graph).call(given))
    return [step.kernel for step in builder.steps]


@pytest.mark.parametrize(("x", "w", "a", "pool"), CASES, ids=str)
def test_fused_are_the_bits_of_each_by_itself_and_the_reference(
    x: Any, w: Any, a: dict[str, Any], pool: Any
) -> None:
    given = arrays(x, w, a, pool)
    graph = graph_of(given, a, pool, apart=False)
    whole = run("native", graph_of(given, a, pool, apart=True), given)
    want = run("reference", graph, given)
    for count in (1, 2, 3):
        with workers(count):
            found = run("native", graph, given)
        for name in ("z", "dx", "dw", "db"):
            np.testing.assert_array_equal(found[name], whole[name], err_msg=name)
    for name, array in want.items():
        scale = float(np.abs(array).max())
        np.testing.assert_allclose(found[name], array, rtol=0, atol=2e-5 * scale)


@pytest.mark.parametrize(("x", "w", "a", "pool"), CASES, ids=str)
def test_positions_lie_nowhere(x: Any, w: Any, a: dict[str, Any], pool: Any) -> None:
    given = arrays(x, w, a, pool)
    steps = kernels(graph_of(given, a, pool, apart=False), given)
    assert "window_max" not in steps
    # The gradient of a group's input reads positions that lie somewhere.
    assert ("window_spread" in steps) == (a["groups"] > 1)
    assert "window_max" in kernels(graph_of(given, a, pool, apart=True), given)


@pytest.mark.parametrize("act", [lambda y: y, f.tanh, lambda y: relu(y) * 2.0])
def test_other_activations(act: Any) -> None:
    x, w, a, pool = CASES[1]
    given = arrays(x, w, a, pool)
    graph = graph_of(given, a, pool, apart=False, act=act)
    got = run("native", graph, given)
    for name, array in run("reference", graph, given).items():
        scale = float(np.abs(array).max())
        np.testing.assert_allclose(got[name], array, rtol=0, atol=2e-5 * scale)


def test_ties_and_what_is_no_number() -> None:
    """The first of equals, and NaN before all: as where the positions are kept."""
    x, w, a, pool = CASES[1]
    given = arrays(x, w, a, pool)
    given["x"] = np.round(given["x"])
    given["w"] = np.round(given["w"])
    given["b"] = np.full_like(given["b"], -30.0)  # most positions are 0 after relu
    given["x"][0, 3, 4, 5] = np.nan
    found, whole = (
        run("native", graph_of(given, a, pool, apart), given) for apart in (False, True)
    )
    assert np.isnan(found["z"]).any()
    assert (found["z"] == 0).any()
    for name in ("z", "db"):
        np.testing.assert_array_equal(found[name], whole[name])


def test_windows_with_gaps_overlaps_and_padding_are_kept_apart() -> None:
    x, w, a, _ = CASES[2]
    given = arrays(x, w, a, 2)
    for strides, padding in ((3, "valid"), (1, "valid"), (2, "same")):

        def step(t: Any, strides: int = strides, padding: str = padding) -> Any:
            y = relu(apply(REGISTRY["conv"], t["x"], t["w"], **a))
            z = ops.max_pool(y, 2, strides, padding)
            dx, dw = gradients(f.sum(f.square(z)), [t["x"], t["w"]])
            return {"z": z, "dx": dx, "dw": dw}

        graph = trace(step, {k: Spec(v.shape, "float32") for k, v in given.items()})
        got = run("native", graph, given)
        for name, array in run("reference", graph, given).items():
            scale = float(np.abs(array).max())
            np.testing.assert_allclose(got[name], array, rtol=0, atol=2e-5 * scale)
