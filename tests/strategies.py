"""What the tests of graphs share: drawing inputs, running graphs, random graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from ranvier.engines import api
from ranvier.engines.native import draft
from ranvier.engines.native import engine as native
from ranvier.graph import Graph, Spec, Variable, trace
from ranvier.graph import functions as f
from ranvier.graph.dims import unify
from ranvier.graph.evaluate import Interpreter
from ranvier.graph.op import Case, Composite, Op
from ranvier.graph.trace import apply

Array = np.ndarray[Any, Any]
UNIT = 2.0**-23


@contextmanager
def workers(count: int) -> Iterator[None]:
    """Plans made inside are shared by so many workers, and so is every step of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "config_threads", lambda: count)
        patch.setattr(native, "judge", lambda *_: native.Verdict.SEVERAL)
        patch.setattr(draft, "SHARE_NS", 0.0)
        yield


# ------------------------------------------------------------------ single operations


def draw(case: Case, seed: int = 0) -> list[Array]:
    """Random inputs as the case asks for."""
    rng = np.random.default_rng(seed)
    found = []
    for shape, low, high, *kind in case.inputs:
        dtype = kind[0] if kind else "float32"
        if dtype.startswith("float"):
            found.append(np.asarray(rng.uniform(low, high, shape), dtype))
        else:
            found.append(np.asarray(rng.integers(low, high, shape), dtype))
    return found


def named(arrays: Sequence[Array]) -> dict[str, Array]:
    """Arrays by the names that `graph_of` gives its inputs."""
    return {f"x{i}": array for i, array in enumerate(arrays)}


def graph_of(
    op: Op | Composite,
    specs: Sequence[Spec],
    attrs: Mapping[str, Any],
    before: Callable[[int, Any], Any] = lambda i, x: x,
) -> Graph:
    """A graph of one operation: inputs x0, x1, …, outputs y0, y1, …

    Args:
        op: Its record.
        specs: Of the inputs.
        attrs: Static arguments.
        before: Applied to every input first.
    """

    def step(x: Mapping[str, Any]) -> dict[str, Any]:
        operands = [before(i, value) for i, value in enumerate(x.values())]
        found = apply(op, *operands, **attrs)
        found = found if isinstance(found, tuple) else (found,)
        return {f"y{i}": y for i, y in enumerate(found)}

    return trace(step, {f"x{i}": s for i, s in enumerate(specs)})


def specs_of(arrays: Sequence[Array]) -> list[Spec]:
    """Specs of arrays."""
    return [Spec(a.shape, str(a.dtype)) for a in arrays]


def run(engine: str, graph: Graph, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Outputs of one call."""
    return api.get(engine).compile(graph).call(inputs)


def evaluate(graph: Graph, inputs: Mapping[str, Array]) -> list[Array]:
    """All results in float64, from float64 inputs taken as they are.

    The reference engine rounds inputs to their dtype first; finite differences need
    the digits.
    """
    sizes: dict[str, int] = {}
    known = {}
    for name, node in graph.inputs.items():
        assert unify(node.shape, inputs[name].shape, sizes)
        known[node] = inputs[name]
    for node in graph.nodes():
        if node.op.name == "variable":
            value = node.attrs["variable"].numpy()
            known[node] = value.astype("float64") if value.dtype.kind == "f" else value
    return Interpreter(sizes, float64=True).run(graph.results(), known)


def wide(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Float arrays in double precision."""
    return {
        name: a.astype("float64") if a.dtype.kind == "f" else a
        for name, a in arrays.items()
    }


def assert_close(got: Array, want: Array, tol: float, what: str = "") -> None:
    """Equal within ``tol`` units of 2**-23 of ``max(1, |want|)``; others exactly."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape, f"{what}: {got.shape} is not {want.shape}"
    assert got.dtype == want.dtype, f"{what}: {got.dtype} is not {want.dtype}"
    if want.dtype.kind != "f":
        np.testing.assert_array_equal(got, want, err_msg=what)
        return
    finite = np.isfinite(want)
    np.testing.assert_array_equal(got[~finite], want[~finite], err_msg=what)
    a, b = got[finite].astype("float64"), want[finite].astype("float64")
    error = np.abs(a - b) / (np.maximum(1, np.abs(b)) * UNIT)
    worst = float(error.max(initial=0.0))
    assert worst <= tol, f"{what}: {worst:.1f} units of 2**-23, allowed are {tol}"


def assert_same_bits(
    got: Mapping[str, Array], want: Mapping[str, Array], what: str = ""
) -> None:
    """Equal to the last bit (every NaN is equal to every other)."""
    assert list(got) == list(want)
    for name in want:
        a, b = np.asarray(got[name]), np.asarray(want[name])
        assert (a.shape, a.dtype) == (b.shape, b.dtype), f"{what} {name}"
        np.testing.assert_array_equal(a, b, err_msg=f"{what} {name}")
        both = ~np.isnan(b) if b.dtype.kind == "f" else np.ones(b.shape, bool)
        assert np.array_equal(
            np.signbit(a[both]) if b.dtype.kind == "f" else a,
            np.signbit(b[both]) if b.dtype.kind == "f" else b,
        ), f"{what} {name}: a zero has another sign"


def assert_near(got: Mapping[str, Any], want: Mapping[str, Any]) -> None:
    """Equal but for a few roundings of the largest value in each result."""
    for name in want:
        a, b = np.asarray(got[name], "float64"), np.asarray(want[name], "float64")
        assert a.shape == b.shape
        assert np.isfinite(b).all()
        np.testing.assert_allclose(
            a,
            b,
            rtol=2e-4,
            atol=2e-5 * max(1.0, np.abs(b).max(initial=0)),
            err_msg=name,
        )


# ---------------------------------------------------------------- finite differences


def slopes_agree(
    scalar: Callable[[Mapping[str, Array]], float],
    gradient: Mapping[str, Array],
    at: Mapping[str, Array],
    seed: int = 0,
    rtol: float = 1e-6,
) -> None:
    """The gradient along a random direction equals central differences in float64.

    Args:
        scalar: The function; takes float64 arrays.
        gradient: Its claimed gradient at ``at``, one entry for each float input.
        at: Float64 arrays.
        seed: Of the direction.
        rtol: Allowed error relative to the sum of the absolute terms.
    """
    rng = np.random.default_rng(seed)
    direction = {name: rng.normal(size=at[name].shape) for name in gradient}
    h = 1e-6

    def moved(by: float) -> dict[str, Array]:
        return {
            k: v + by * direction[k] if k in direction else v for k, v in at.items()
        }

    slope = (scalar(moved(h)) - scalar(moved(-h))) / (2 * h)
    claimed = sum(float(np.sum(gradient[k] * direction[k])) for k in gradient)
    scale = 1 + sum(float(np.sum(np.abs(gradient[k] * direction[k]))) for k in gradient)
    assert abs(slope - claimed) <= rtol * scale, f"slope {slope}, gradient {claimed}"


# -------------------------------------------------------------------- random programs

_SMOOTH_UNARY = [
    *(f.negative, f.tanh, f.sigmoid, f.sin, f.cos, f.erf, lambda x: x * 1.0),
    *(lambda x: f.exp(x * 0.25), lambda x: x / 1.0, lambda x: x + 0.5),
    *(lambda x: f.log1p(x * x), lambda x: f.sqrt(x * x + 1.0)),
]
_UNARY = [
    *_SMOOTH_UNARY,
    *(f.absolute, f.exp, f.square, f.sign, f.floor, f.stop_gradient),
    *(lambda x: f.sqrt(f.absolute(x)), lambda x: f.cast(x > 0, x.dtype)),
    lambda x: f.clip(x, -1.0, 1.0),
]
_SMOOTH_BINARY = [
    *(f.add, f.subtract),
    lambda a, b: a * f.tanh(b),
    lambda a, b: a / (1.0 + b * b),
]
_BINARY = [
    *_SMOOTH_BINARY,
    *(f.multiply, f.maximum, f.minimum, f.arctan2),
    lambda a, b: a / (1.0 + f.absolute(b)),
    lambda a, b: f.where(a > b, a, b * 0.5),
]
_REDUCE = [f.sum, f.mean, f.max, f.min]


class Program:
    """A random program over tensors of two axes, the first of which may be symbolic.

    Args:
        data: Hypothesis's source of choices.
        rows: Size of the first axis; a symbol for a symbolic one.
        columns: Sizes of the second axis of the inputs.
        length: Number of instructions.
        smooth: Only operations without kinks and steps, so that small errors stay small.
    """

    def __init__(
        self,
        data: st.DataObject,
        rows: Any,
        columns: Sequence[int],
        length: int,
        smooth: bool = False,
    ) -> None:
        self.rows, self.columns = rows, list(columns)
        self.unary = _SMOOTH_UNARY if smooth else _UNARY
        self.binary = _SMOOTH_BINARY if smooth else _BINARY
        self.reduce = _REDUCE[:2] if smooth else _REDUCE
        self.code: list[tuple[Any, ...]] = []
        widths = list(columns)
        for _ in range(length):
            kind = data.draw(
                st.sampled_from(["unary", "binary", "reduce", "move", "product"])
            )
            a = data.draw(st.integers(0, len(widths) - 1))
            b = data.draw(st.integers(0, len(widths) - 1))
            if kind == "unary":
                self.code.append(
                    (kind, data.draw(st.integers(0, len(self.unary) - 1)), a)
                )
                widths.append(widths[a])
            elif kind == "binary":
                which = data.draw(st.integers(0, len(self.binary) - 1))
                if widths[a] != widths[b] and 1 not in (widths[a], widths[b]):
                    b = a
                self.code.append((kind, which, a, b))
                widths.append(max(widths[a], widths[b]))
            elif kind == "reduce":
                which = data.draw(st.integers(0, len(self.reduce) - 1))
                axis = data.draw(st.sampled_from([0, 1]))
                self.code.append((kind, which, a, axis))
                widths.append(widths[a] if axis == 0 else 1)
            elif kind == "move":
                which = data.draw(st.sampled_from(["twice", "flip", "slice", "concat"]))
                self.code.append((kind, which, a, b))
                widths.append(
                    {
                        "twice": widths[a],
                        "flip": widths[a],
                        "slice": max(1, widths[a] - 1),
                        "concat": widths[a] + widths[b],
                    }[which]
                )
            else:
                width = data.draw(st.integers(1, 70))
                self.code.append((kind, width, a, widths[a]))
                widths.append(width)
        self.widths = widths

    def __call__(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The last results of the program."""
        values = list(inputs.values())
        for kind, which, a, *more in self.code:
            x = values[a]
            if kind == "unary":
                y = self.unary[which](x)
            elif kind == "binary":
                y = self.binary[which](x, values[more[0]])
            elif kind == "reduce":
                # The result keeps its rows, so that every value fits every other.
                y = self.reduce[which](x, axis=more[0], keepdims=True)
                y = f.broadcast_to(y, x.shape) if more[0] == 0 else y
            elif kind == "move":
                y = self._move(which, x, values[more[0]])
            else:
                weight = np.random.default_rng(which).normal(size=(more[0], which))
                y = f.matmul(x, f.as_tensor((weight / more[0]).astype("float32")))
            values.append(y)
        tail = values[-3:]
        return {f"y{i}": value for i, value in enumerate(tail)}

    @staticmethod
    def _move(which: str, x: Any, other: Any) -> Any:
        if which == "twice":
            return f.transpose(f.transpose(x, (1, 0)) * 2.0, (1, 0))
        if which == "flip":
            return f.flip(x, 1)
        if which == "slice":
            return x[:, 1:] if x.shape[1] > 1 else x
        return f.concatenate([x, other], axis=1)

    def graph(self) -> Graph:
        """The program as a graph."""
        return trace(
            self,
            {
                f"x{i}": Spec((self.rows, n), "float32")
                for i, n in enumerate(self.columns)
            },
        )

    def inputs(self, rows: int, seed: int = 0) -> dict[str, Array]:
        """Random inputs of so many rows."""
        rng = np.random.default_rng(seed)
        return {
            f"x{i}": rng.uniform(-2, 2, (rows, n)).astype("float32")
            for i, n in enumerate(self.columns)
        }


@st.composite
def programs(draw_: Any, rows: Any, length: int = 6, smooth: bool = False) -> Program:
    """Random programs."""
    data = draw_(st.data())
    columns = draw_(st.lists(st.integers(1, 9), min_size=1, max_size=3))
    return Program(data, rows, columns, draw_(st.integers(1, length)), smooth)


def dense_stack(
    sizes: Sequence[int], activation: Callable[[Any], Any], seed: int = 0
) -> tuple[list[Variable], Callable[[Any], Any]]:
    """Weights and the function of a small dense network."""
    rng = np.random.default_rng(seed)
    weights = []
    for i, (n, m) in enumerate(pairwise(sizes)):
        kernel = rng.normal(size=(n, m)).astype("float32") / np.float32(np.sqrt(n))
        weights += [
            Variable(kernel, name=f"kernel{i}"),
            Variable(np.zeros(m, "float32"), name=f"bias{i}"),
        ]

    def forward(x: Any) -> Any:
        for i in range(0, len(weights), 2):
            x = f.matmul(x, weights[i]) + weights[i + 1]
            x = activation(x) if i + 2 < len(weights) else x
        return x

    return weights, forward
