"""Steps of convolutions and windows as lowering makes them, to be run by themselves."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from strategies import draw, graph_of, named, specs_of

from ranvier import ops
from ranvier.engines import api
from ranvier.engines.native import draft, engine
from ranvier.engines.native.plan import CONSTANT, NONE, PlanBuilder
from ranvier.graph import REGISTRY, Spec, trace
from ranvier.graph import functions as f
from ranvier.graph.composites import relu
from ranvier.graph.passes.grad import gradients
from ranvier.graph.trace import apply

Array = np.ndarray[Any, Any]
#: Buffers, integers, scalars, units, program.
Case = tuple[list[Array | None], list[int], list[float], int, Any]
#: Positions of a window in `through_windows`.
WINDOW = (3, 2)


def normal(*shape: int, seed: int = 0) -> Array:
    """Numbers of a normal distribution."""
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def attrs(
    rank: int, stride: int = 1, pad: int = 0, dilation: int = 1, groups: int = 1
) -> dict[str, Any]:
    """Arguments of a convolution, alike along all axes."""
    return {
        "strides": (stride,) * rank,
        "padding": ((pad, pad),) * rank,
        "dilation": (dilation,) * rank,
        "groups": groups,
    }


def builders(run: Callable[[], Any]) -> list[PlanBuilder]:
    """The plans that are made meanwhile, for one worker."""
    made: list[PlanBuilder] = []

    def emit(*args: Any) -> PlanBuilder:
        made.append(draft.emit(*args))
        return made[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "emit", emit)
        patch.setattr(engine, "config_threads", lambda: 1)
        run()
    return made


def cases(builder: PlanBuilder, kernel: str) -> Iterator[Case]:
    """The steps of a plan that run a kernel, on memory of their own."""
    rng = np.random.default_rng(3)
    constants = np.frombuffer(bytes(builder.constants), np.uint8)
    for step in builder.steps:
        if step.kernel != kernel:
            continue
        known: dict[Any, Array] = {}
        bufs: list[Array | None] = []
        for ref in step.refs:
            if ref.space == NONE:
                bufs.append(None)
                continue
            key = (ref.space, ref.slot, ref.offset)
            if key not in known and ref.space == CONSTANT:
                told = constants[ref.offset : ref.offset + ref.bytes]
                known[key] = told.copy()
            elif key not in known:
                size = -(-ref.bytes // 4)
                known[key] = rng.normal(size=size).astype("float32")
            bufs.append(known[key])
        if kernel.endswith("_windows"):  # what was kept are positions of a window
            kept = bufs[6]
            assert kept is not None
            bufs[6] = rng.integers(0, math.prod(WINDOW), kept.nbytes).astype("uint8")
        yield bufs, list(step.dims), list(step.scalars), step.units, step.program


def steps(kernel: str, *records: str) -> Callable[[], Iterator[Case]]:
    """The steps of a kernel that the cases of these operations become."""

    def found() -> Iterator[Case]:
        for name in records:
            record = REGISTRY[name]
            for case in record.cases:
                arrays = draw(case)
                graph = graph_of(record, specs_of(arrays), dict(case.attrs))

                def run(graph: Any = graph, arrays: Any = arrays) -> None:
                    api.get("native").compile(graph).call(named(arrays))

                for builder in builders(run):
                    yield from cases(builder, kernel)
        if kernel == "conv":
            yield from with_epilogues()
        if kernel.startswith("conv"):
            yield from through_windows(kernel)

    return found


def with_epilogues() -> Iterator[Case]:
    """Bias and relu, a residual, a mask, and a program."""
    rng = np.random.default_rng(1)
    x, w = (rng.normal(size=s).astype("float32") for s in ((2, 5, 6, 3), (3, 2, 3, 70)))
    b, side = (rng.normal(size=s).astype("float32") for s in ((70,), (2, 5, 6, 70)))
    a: dict[str, Any] = {
        "strides": (1, 1),
        "padding": ((1, 1), (1, 0)),
        "dilation": (1, 1),
        "groups": 1,
    }
    for finish in (
        lambda y, b, side: f.maximum(y + b, 0.0),
        lambda y, b, side: y + side,
        lambda y, b, side: f.where(side > 0, y, 0.0),
        lambda y, b, side: f.tanh(y + b) * side,
    ):
        given = {"x0": x, "x1": w, "x2": b, "x3": side}

        def step(t: Any, finish: Any = finish) -> dict[str, Any]:
            y = apply(REGISTRY["conv"], t["x0"], t["x1"], **a)
            return {"y": finish(y, t["x2"], t["x3"])}

        graph = trace(step, {k: Spec(v.shape, "float32") for k, v in given.items()})

        def run(graph: Any = graph, given: Any = given) -> None:
            api.get("native").compile(graph).call(given)

        for builder in builders(run):
            yield from cases(builder, "conv")


def through_windows(kernel: str) -> Iterator[Case]:
    """The largest of windows only, and gradients that are read from windows."""
    shapes = [
        ((3, 7, 9, 3), (3, 3, 3, 70), attrs(2, 1, 1)),
        ((2, 9, 8, 6), (2, 3, 1, 6), attrs(2, 1, 1, 1, 6)),
        ((2, 9, 8, 48), (5, 3, 48, 20), attrs(2, 1, 1)),
        ((3, 14, 9, 32), (2, 1, 32, 40), attrs(2, 2)),
    ]
    for x, w, a in shapes:
        given = {"x0": normal(*x), "x1": normal(*w, seed=1), "x2": normal(w[-1])}

        def step(t: Any, a: Any = a) -> dict[str, Any]:
            y = relu(apply(REGISTRY["conv"], t["x0"], t["x1"], **a) + t["x2"])
            z = ops.max_pool(y, WINDOW)
            dx, dw = gradients(f.sum(z), [t["x0"], t["x1"]])
            return {"z": z, "dx": dx, "dw": dw}

        graph = trace(step, {k: Spec(v.shape, "float32") for k, v in given.items()})

        def run(graph: Any = graph, given: Any = given) -> None:
            api.get("native").compile(graph).call(given)

        for builder in builders(run):
            yield from cases(builder, kernel)


CASES = {
    "conv": steps("conv", "conv", "conv_input"),
    "conv_kernel": steps("conv_kernel", "conv_kernel"),
    "conv_input_windows": steps("conv_input_windows"),
    "conv_kernel_windows": steps("conv_kernel_windows"),
    "window_max": steps("window_max", "window_argmax"),
    "window_pick": steps("window_pick", "window_pick"),
    "window_spread": steps("window_spread", "window_spread"),
}
