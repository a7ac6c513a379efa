"""What every engine promises: training steps, state, faults, threads, forks, memory."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from strategies import assert_same_bits, dense_stack, run

from ranvier.engines import api
from ranvier.engines.native import engine as native
from ranvier.errors import DataError, RanvierError, ShapeError
from ranvier.graph import Dim, Graph, Spec, Variable, trace
from ranvier.graph import composites as c
from ranvier.graph import functions as f
from ranvier.graph.passes.grad import gradients

ENGINES = api.names()
B = Dim.symbol("batch")
both = pytest.mark.parametrize("engine", ENGINES)

# --------------------------------------------------------------------- training steps

Update = Callable[[Variable, Any, list[Variable]], None]


def sgd(w: Variable, g: Any, slots: list[Variable]) -> None:
    w.assign(w - g * 0.1)


def momentum(w: Variable, g: Any, slots: list[Variable]) -> None:
    slots[0].assign(slots[0] * 0.9 - g * 0.05)
    w.assign(w + slots[0] * 0.9 - g * 0.05)  # Nesterov: reads the new slot


def rmsprop(w: Variable, g: Any, slots: list[Variable]) -> None:
    slots[0].assign(slots[0] * 0.9 + f.square(g) * 0.1)
    w.assign(w - g * 0.01 / (f.sqrt(slots[0]) + 1e-7))


def adam(w: Variable, g: Any, slots: list[Variable]) -> None:
    alpha = f.as_tensor(0.02)
    rates = f.as_tensor(0.1), f.as_tensor(0.01), f.as_tensor(1e-7)
    new, m, v = c.adam_update(w, slots[0], slots[1], g, alpha, *rates)
    slots[0].assign(m)
    slots[1].assign(v)
    w.assign(new)


def adam_with_average(w: Variable, g: Any, slots: list[Variable]) -> None:
    adam(w, g, slots)
    slots[2].assign(slots[2] * 0.9 + w * 0.1)  # an update that feeds another update


UPDATES: dict[str, tuple[Update, int]] = {
    "sgd": (sgd, 0),
    "nesterov": (momentum, 1),
    "rmsprop": (rmsprop, 1),
    "adam": (adam, 2),
    "average": (adam_with_average, 3),
}
ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "relu": c.relu,
    "tanh": f.tanh,
    "sigmoid": f.sigmoid,
    "swish": lambda x: x * f.sigmoid(x),
    "softmax": c.softmax,
    "layer_norm": lambda x: (x - f.mean(x, -1, True)) / (f.std(x, -1, True) + 0.1),
}


def training_step(
    sizes: list[int], activation: str, update: str, clip: bool = False
) -> tuple[Graph, list[Variable], dict[str, Variable]]:
    """A whole step: forward, loss, gradients, optimizer, running metrics."""
    weights, forward = dense_stack(sizes, ACTIVATIONS[activation])
    rule, count = UPDATES[update]
    slots = {
        w.name: [
            Variable(np.zeros(w.shape, "float32"), kind="slot") for _ in range(count)
        ]
        for w in weights
    }
    total = Variable(np.float32(0), name="total", kind="metric")
    right = Variable(np.int64(0), name="right", kind="metric")

    def step(x: Mapping[str, Any]) -> dict[str, Any]:
        logits = forward(x["x"])
        losses, _ = c.sparse_softmax_cross_entropy(
            logits, f.check_range(x["y"], 0, sizes[-1])
        )
        loss = f.mean(losses)
        grads = gradients(loss, weights)
        if clip:
            norm = f.sqrt(sum(f.sum(f.square(g)) for g in grads))
            grads = [g * f.minimum(1.0, 0.5 / norm) for g in grads]
        for w, g in zip(weights, grads, strict=True):
            rule(w, g, slots[w.name])
        total.assign_add(loss)
        hits = f.argmax(logits, axis=-1) == f.cast(x["y"], "int32")
        right.assign_add(f.sum(f.cast(hits, "int64")))
        return {"loss": loss}

    graph = trace(
        step,
        {"x": Spec((B, sizes[0]), "float32"), "y": Spec((B,), "int32")},
    )
    state = {w.name: w for w in weights}
    state |= {f"{n}/{i}": s for n, row in slots.items() for i, s in enumerate(row)}
    return graph, weights, state | {"total": total, "right": right}


def task(rows: int, features: int, classes: int) -> dict[str, Any]:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(rows, features)).astype("float32")
    y = np.argmax(x @ rng.normal(size=(features, classes)), 1).astype("int32")
    return {"x": x, "y": y}


NETWORKS = [
    ([5, 3], "relu", "sgd", False),
    ([7, 70, 4], "relu", "adam", False),
    ([7, 70, 4], "relu", "average", False),
    ([6, 9, 8, 5], "tanh", "nesterov", False),
    ([6, 130, 66, 5], "sigmoid", "rmsprop", False),
    ([9, 17, 10], "swish", "adam", True),
    ([4, 64, 64, 64, 3], "layer_norm", "adam", False),
    ([4, 12, 3], "softmax", "nesterov", True),
]
networks = pytest.mark.parametrize(
    ("sizes", "activation", "update", "clip"),
    NETWORKS,
    ids=["-".join(map(str, n[0])) + f" {n[1]} {n[2]}" for n in NETWORKS],
)


def trained(
    network: tuple[Any, ...], engine: str, rows: int = 140, size: int = 7
) -> tuple[dict[str, Any], Any]:
    graph, _, state = training_step(*network)
    executable = api.get(engine).compile(graph)
    data = task(rows, network[0][0], network[0][-1])
    record = executable.run(api.Batches(data, size), collect=["loss"])
    assert record.fault is None
    return {name: v.numpy() for name, v in state.items()}, record.collected["loss"]


@networks
def test_native_equals_the_reference_after_twenty_steps(
    sizes: list[int], activation: str, update: str, clip: bool
) -> None:
    network = (sizes, activation, update, clip)
    want, losses = trained(network, "reference")
    got, native_losses = trained(network, "native")
    assert len(losses) == 20
    np.testing.assert_allclose(native_losses, losses, rtol=2e-5, atol=2e-6)
    for name in want:
        np.testing.assert_allclose(
            got[name], want[name], rtol=1e-3, atol=3e-5, err_msg=name
        )


@networks
def test_the_same_bits_on_any_number_of_workers(
    sizes: list[int],
    activation: str,
    update: str,
    clip: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(native, "judge", lambda *_: native.Verdict.SEVERAL)
    found = []
    for count in (1, 2, 3, 8, 3):
        monkeypatch.setattr(native, "config_threads", lambda count=count: count)
        state, losses = trained((sizes, activation, update, clip), "native", 150, 32)
        found.append(state | {"loss": losses})
    for other in found[1:]:
        assert_same_bits(other, found[0])


def test_threads_of_the_process_change_no_bit() -> None:
    """The same from outside: RANVIER_THREADS is read when the process starts."""
    program = """
        import hashlib, sys
        sys.path[:0] = %r
        from test_engines import NETWORKS, trained
        state, losses = trained(NETWORKS[4], "native", 150, 32)
        digest = hashlib.sha256(losses.tobytes())
        for name in sorted(state):
            digest.update(state[name].tobytes())
        print(digest.hexdigest())
    """
    here = os.path.dirname(os.path.abspath(__file__))
    paths = [p for p in (here, os.path.dirname(here), *sys.path) if p]
    found = set()
    for threads in ("1", "2", "3", "8"):
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program % (paths,))],
            env={**os.environ, "RANVIER_THREADS": threads},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found.add(done.stdout.strip())
    assert len(found) == 1


def test_one_graph_serves_every_batch_size() -> None:
    """And the state carries over from one run to the next."""
    network = NETWORKS[1]
    want: dict[str, Any] = {}
    for engine in ("reference", "native"):
        graph, _, state = training_step(*network)
        executable = api.get(engine).compile(graph)
        data = task(100, 7, 4)
        for size in (1, 3, 32, 100):
            record = executable.run(api.Batches(data, size))
            assert (record.steps, record.rows) == (-(-100 // size), 100)
        assert state["right"].numpy() > 200
        want = want or {n: v.numpy() for n, v in state.items()}
        for n, v in state.items():
            np.testing.assert_allclose(
                v.numpy(), want[n], rtol=5e-3, atol=5e-3, err_msg=n
            )


@both
def test_parts_of_an_epoch_are_the_epoch(engine: str) -> None:
    whole, _ = trained(NETWORKS[1], engine)
    graph, _, state = training_step(*NETWORKS[1])
    executable = api.get(engine).compile(graph)
    data = task(140, 7, 4)
    for first, count in ((0, 3), (3, 1), (4, None)):
        executable.run(api.Batches(data, 7, first=first, count=count))
    assert_same_bits({n: v.numpy() for n, v in state.items()}, whole)


# ------------------------------------------------------------------------------ state


def make(shape: tuple[int, ...], seed: int, name: str) -> Variable:
    value = np.random.default_rng(seed).normal(size=shape).astype("float32")
    return Variable(value, name=name)


def after(
    engine: str,
    build: Callable[[list[Variable], Any], Any],
    shapes: list[Any],
    steps: int,
) -> list[Any]:
    variables = [make(s, i, f"v{i}") for i, s in enumerate(shapes)]
    graph = trace(
        lambda x: {"y": f.as_tensor(build(variables, x["x"]))},
        {"x": Spec((B, shapes[0][0]), "float32")},
    )
    executable = api.get(engine).compile(graph)
    x = np.random.default_rng(9).normal(size=(6, shapes[0][0])).astype("float32")
    seen = [executable.call({"x": x})["y"] for _ in range(steps)]
    return [v.numpy() for v in variables] + seen


def swap(v: list[Variable], x: Any) -> Any:
    a, b = v[0].value, v[1].value
    v[0].assign(b)
    v[1].assign(a)
    return f.sum(v[0] - v[1])


def swap_scaled(v: list[Variable], x: Any) -> Any:
    a, b = v[0].value, v[1].value
    v[0].assign(b * 0.5)
    v[1].assign(a + 1.0)
    return f.sum(a)


def rotate(v: list[Variable], x: Any) -> Any:
    a, b, d = (i.value for i in v)
    v[0].assign(b)
    v[1].assign(d)
    v[2].assign(a)
    return f.sum(b)


def copied(v: list[Variable], x: Any) -> Any:
    v[1].assign(v[0])
    v[0].assign(v[0] * 0.5)
    return f.sum(v[1])


def twice(v: list[Variable], x: Any) -> Any:
    v[0].assign(v[0] + 1.0)
    v[0].assign(v[0] * 0.5)
    return f.sum(v[0])


def old_and_new(v: list[Variable], x: Any) -> Any:
    before = v[0].value
    v[0].assign(f.tanh(before) * 0.5)
    return f.sum(before * v[0])


def output_is_the_old_value(v: list[Variable], x: Any) -> Any:
    before = v[0].value
    v[0].assign(before * 0.5)
    return before


def output_is_the_new_value(v: list[Variable], x: Any) -> Any:
    v[0].assign(v[0] * 0.5)
    return v[0].value


def output_is_a_window(v: list[Variable], x: Any) -> Any:
    before = v[0].value
    v[0].assign(before * 0.5)
    return f.transpose(before)[1:]


def to_itself(v: list[Variable], x: Any) -> Any:
    v[0].assign(v[0].value)
    v[1].assign(f.transpose(f.transpose(v[1])))
    return f.sum(v[0])


def transposed_into_itself(v: list[Variable], x: Any) -> Any:
    v[0].assign(v[0] * 0.5 + f.transpose(v[0]) * 0.25)
    return f.sum(v[0])


def flipped_into_itself(v: list[Variable], x: Any) -> Any:
    v[0].assign(f.flip(v[0], 0))
    return f.sum(v[0], axis=0)


def shifted_into_itself(v: list[Variable], x: Any) -> Any:
    v[0].assign(f.concatenate([v[0][1:], v[0][:1]], axis=0))
    return f.sum(v[0], axis=0)


def row_of_itself(v: list[Variable], x: Any) -> Any:
    v[0].assign(v[0] - v[0][:1] * 0.5)
    return f.sum(v[0], axis=0)


def normalised(v: list[Variable], x: Any) -> Any:
    v[0].assign(v[0] / (f.sqrt(f.sum(f.square(v[0]), axis=0, keepdims=True)) + 0.1))
    return f.sum(v[0])


def used_transposed_in_the_update(v: list[Variable], x: Any) -> Any:
    w = v[0].value
    y = f.matmul(x, w)
    back = f.matmul(y, f.transpose(w))
    rate = 0.02 / (w.shape[0] * w.shape[1])  # seen, and nothing diverges
    v[0].assign(w - f.matmul(f.transpose(x), back) @ w * rate)
    return f.sum(f.matmul(x, v[0]))


def tied(v: list[Variable], x: Any) -> Any:
    """An autoencoder with one weight: it is multiplied both ways."""
    w = v[0]
    back = f.matmul(f.tanh(f.matmul(x, w)), f.transpose(w))
    loss = f.mean(f.square(back - x))
    (g,) = gradients(loss, [w])
    w.assign(w - g * 0.1)
    return loss


def average_of_the_new(v: list[Variable], x: Any) -> Any:
    loss = f.mean(f.square(f.matmul(x, v[0])))
    (g,) = gradients(loss, [v[0]])
    v[0].assign(v[0] - g * 0.1)
    v[1].assign(v[1] * 0.9 + v[0] * 0.1)
    v[2].assign(v[2] * 0.9 + v[1] * 0.1)
    return loss


def gradient_is_watched(v: list[Variable], x: Any) -> Any:
    loss = f.mean(f.square(f.matmul(x, v[0])))
    (g,) = gradients(loss, [v[0]])
    v[0].assign(v[0] - g * 0.1)
    return g


def two_updates_share_a_gradient(v: list[Variable], x: Any) -> Any:
    loss = f.mean(f.square(f.matmul(x, v[0]) + f.matmul(x, v[1])))
    g, h = gradients(loss, v[:2])
    v[0].assign(v[0] - h * 0.1)
    v[1].assign(v[1] - g * 0.1)
    return loss


def reduced_to_scalar(v: list[Variable], x: Any) -> Any:
    v[0].assign(v[0] * (1.0 - f.sum(v[0]) * 0.001))
    v[1].assign(v[0] + f.max(v[1]))
    return f.sum(v[1])


def loss_of_the_new_weight(v: list[Variable], x: Any) -> Any:
    v[0].assign(v[0] * 0.9)
    y = f.matmul(x, v[0])
    v[0].assign(v[0] - f.matmul(f.transpose(x), y) * 0.01)
    return f.sum(f.matmul(x, v[0]))


SQUARE, TALL, WIDE = [(5, 5)] * 3, [(5, 70)] * 3, [(70, 70)] * 3
PROGRAMS: list[tuple[Any, list[list[Any]]]] = [
    (swap, [SQUARE, TALL]),
    (swap_scaled, [SQUARE, TALL]),
    (rotate, [SQUARE, TALL]),
    (copied, [SQUARE, TALL]),
    (twice, [SQUARE, TALL]),
    (old_and_new, [SQUARE, TALL]),
    (output_is_the_old_value, [SQUARE, TALL]),
    (output_is_the_new_value, [SQUARE, TALL]),
    (output_is_a_window, [SQUARE, TALL]),
    (to_itself, [SQUARE, TALL]),
    (transposed_into_itself, [SQUARE, WIDE]),
    (flipped_into_itself, [SQUARE, TALL]),
    (shifted_into_itself, [SQUARE, TALL]),
    (row_of_itself, [SQUARE, TALL]),
    (normalised, [SQUARE, TALL]),
    (used_transposed_in_the_update, [SQUARE, TALL, WIDE]),
    (tied, [SQUARE, TALL, WIDE]),
    (average_of_the_new, [SQUARE, TALL, WIDE]),
    (gradient_is_watched, [SQUARE, TALL]),
    (two_updates_share_a_gradient, [SQUARE, TALL]),
    (reduced_to_scalar, [SQUARE, TALL]),
    (loss_of_the_new_weight, [SQUARE, TALL, WIDE]),
]


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(
    ("build", "shapes"),
    [
        pytest.param(b, s, id=f"{b.__name__} {'x'.join(map(str, s[0]))}")
        for b, all_shapes in PROGRAMS
        for s in all_shapes
    ],
)
def test_assignments_mean_what_they_say(
    build: Any, shapes: list[Any], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values written in place must not be read too late, whatever reads them."""
    monkeypatch.setattr(native, "judge", lambda *_: native.Verdict.SEVERAL)
    monkeypatch.setattr(native, "config_threads", lambda: count)
    want = after("reference", build, shapes, 4)
    got = after("native", build, shapes, 4)
    for a, b in zip(got, want, strict=True):
        assert np.shape(a) == np.shape(b)
        np.testing.assert_allclose(a, b, rtol=3e-4, atol=3e-5)


@both
def test_swapping_is_exact(engine: str) -> None:
    a, b, *_ = after(engine, swap, TALL, 3)
    np.testing.assert_array_equal(a, make((5, 70), 1, "").numpy())
    np.testing.assert_array_equal(b, make((5, 70), 0, "").numpy())


@both
def test_a_value_set_between_calls_is_seen(engine: str) -> None:
    w = make((3, 70), 0, "w")
    graph = trace(lambda x: {"y": f.matmul(x["x"], w)}, {"x": Spec((B, 3), "float32")})
    executable = api.get(engine).compile(graph)
    x = np.eye(3, dtype="float32")
    np.testing.assert_array_equal(executable.call({"x": x})["y"], w.numpy())
    w.assign(np.ones((3, 70)))
    np.testing.assert_array_equal(executable.call({"x": x})["y"], np.ones((3, 70)))


def test_one_variable_serves_several_graphs_and_engines() -> None:
    """A weight trained natively, then by the reference, then natively again."""
    w = make((3, 70), 0, "w")
    specs = {"x": Spec((B, 3), "float32")}

    def shrink(x: Mapping[str, Any]) -> dict[str, Any]:
        w.assign(w * 0.5)
        return {"y": f.matmul(x["x"], w)}

    plain = api.get("native").compile(
        trace(lambda x: {"y": f.sum(w, axis=0) + f.sum(x["x"])}, specs)
    )
    first = w.numpy()
    x = np.zeros((1, 3), "float32")
    for round_, name in enumerate(("native", "reference", "native")):
        api.get(name).compile(trace(shrink, specs)).call({"x": x})
        np.testing.assert_array_equal(w.numpy(), first * 0.5 ** (round_ + 1))
        np.testing.assert_allclose(
            plain.call({"x": x})["y"], w.numpy().sum(0), rtol=1e-5, atol=1e-6
        )


def test_several_models_do_not_disturb_each_other() -> None:
    """Two networks trained in turns end where each ends alone."""
    alone = [trained(n, "native")[0] for n in (NETWORKS[1], NETWORKS[4])]
    made = [training_step(*n) for n in (NETWORKS[1], NETWORKS[4])]
    runners = [api.get("native").compile(graph) for graph, _, _ in made]
    data = [task(140, n[0][0], n[0][-1]) for n in (NETWORKS[1], NETWORKS[4])]
    for first in range(0, 20, 4):
        for runner, rows in zip(runners, data, strict=True):
            runner.run(api.Batches(rows, 7, first=first, count=4))
    for (_, _, state), want in zip(made, alone, strict=True):
        assert_same_bits({n: v.numpy() for n, v in state.items()}, want)


# ----------------------------------------------------------------------------- faults


@both
def test_a_label_out_of_range_changes_nothing(engine: str) -> None:
    graph, _, state = training_step(*NETWORKS[1])
    executable = api.get(engine).compile(graph)
    data = task(28, 7, 4)
    data["y"][16] = 4
    before = {n: v.numpy() for n, v in state.items()}
    with pytest.raises(DataError) as caught:
        executable.call({k: v[14:21] for k, v in data.items()})
    assert caught.value.code == "RV105"
    assert_same_bits({n: v.numpy() for n, v in state.items()}, before)
    record = executable.run(api.Batches(data, 7))
    assert record.fault is not None
    assert record.fault.code == "RV105"
    assert (record.steps, record.rows) == (2, 14)
    executable.run(api.Batches({k: v[:7] for k, v in data.items()}, 7))


@both
def test_a_value_that_is_not_finite_is_found(engine: str) -> None:
    graph, _, state = training_step(*NETWORKS[1])
    executable = api.get(engine).compile(graph)
    data = task(28, 7, 4)
    data["x"][16, 3] = np.nan
    record = executable.run(api.Batches(data, 7, check_finite=["x"]))
    fault = record.fault
    assert fault is not None
    assert (fault.code, fault.input, fault.row, fault.column) == ("RV204", "x", 16, 3)
    assert record.steps == 2
    assert all(np.isfinite(v.numpy()).all() for v in state.values())


@both
def test_an_index_out_of_range_is_refused(engine: str) -> None:
    table = make((5, 3), 0, "table")
    graph = trace(
        lambda x: {"y": f.take(table, x["i"], axis=0)}, {"i": Spec((B,), "int32")}
    )
    executable = api.get(engine).compile(graph)
    want = table.numpy()[[4, 0]]
    got = executable.call({"i": np.array([4, 0], "int32")})["y"]
    np.testing.assert_array_equal(got, want)
    with pytest.raises(RanvierError) as caught:
        executable.call({"i": np.array([0, 5], "int32")})
    assert caught.value.code == "RV111"


@both
def test_an_input_of_another_shape_is_refused(engine: str) -> None:
    graph = trace(lambda x: {"y": x["x"] * 2.0}, {"x": Spec((B, 3), "float32")})
    executable = api.get(engine).compile(graph)
    for shape in ((2, 4), (3,), (2, 3, 1)):
        with pytest.raises(ShapeError) as caught:
            executable.call({"x": np.zeros(shape, "float32")})
        assert caught.value.code == "RV103"


@both
def test_two_inputs_that_share_a_size_must_agree(engine: str) -> None:
    specs = {"a": Spec((B, 3), "float32"), "b": Spec((B, 3), "float32")}
    graph = trace(lambda x: {"y": x["a"] + x["b"]}, specs)
    with pytest.raises(ShapeError):
        run(
            engine,
            graph,
            {"a": np.zeros((2, 3), "float32"), "b": np.zeros((3, 3), "float32")},
        )


@both
@pytest.mark.parametrize(
    "dtype",
    [
        "uint8",
        "int8",
        "int16",
        "uint16",
        "int32",
        "int64",
        "float16",
        "float64",
        "bool",
    ],
)
def test_inputs_are_converted_on_the_way(engine: str, dtype: str) -> None:
    graph = trace(lambda x: {"y": x["x"] * 0.5}, {"x": Spec((B, 4), "float32")})
    room = np.random.default_rng(0).integers(0, 2, (9, 8, 2)).astype(dtype)
    executable = api.get(engine).compile(graph)
    for x in (room[:, :4, 0], room[::2, ::2, 1], room[::-1, 3::-1, 0]):
        want = x.astype("float32") * np.float32(0.5)
        np.testing.assert_array_equal(executable.call({"x": x})["y"], want)
        record = executable.run(api.Batches({"x": x}, 4), collect=["y"])
        np.testing.assert_array_equal(record.collected["y"], want)
        order = np.random.default_rng(1).permutation(len(x))
        record = executable.run(api.Batches({"x": x}, 4, order), collect=["y"])
        np.testing.assert_array_equal(record.collected["y"], want[order])


@both
def test_no_rows_at_all(engine: str) -> None:
    graph = trace(
        lambda x: {"y": f.matmul(x["x"], np.ones((3, 2), "float32")) + 1.0},
        {"x": Spec((B, 3), "float32")},
    )
    got = run(engine, graph, {"x": np.zeros((0, 3), "float32")})["y"]
    assert got.shape == (0, 2)


# ------------------------------------------------------------- threads, forks, memory


def test_two_threads_call_one_executable() -> None:
    _, forward = dense_stack([9, 70, 5], c.relu)
    graph = trace(lambda x: {"y": forward(x["x"])}, {"x": Spec((B, 9), "float32")})
    executable = api.get("native").compile(graph)
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=(n, 9)).astype("float32") for n in (1, 300, 7, 64)]
    want = [executable.call({"x": x})["y"] for x in inputs]
    wrong: list[str] = []

    def work(offset: int) -> None:
        for i in range(60):
            k = (i + offset) % len(inputs)
            got = executable.call({"x": inputs[k]})["y"]
            if not np.array_equal(got, want[k]):
                wrong.append(f"thread {offset}, call {i}")

    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_two_threads_train_two_models() -> None:
    want = trained(NETWORKS[4], "native")[0]
    found: list[Any] = [None, None]

    def work(i: int) -> None:
        found[i] = trained(NETWORKS[4], "native")[0]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for state in found:
        assert_same_bits(state, want)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_computes_the_same() -> None:
    """The child has none of its parent's threads, yet trains on."""
    program = """
        import os, sys, warnings
        warnings.simplefilter("ignore")
        sys.path[:0] = %r
        from ranvier.engines.native import engine
        engine.judge = lambda *_: engine.Verdict.SEVERAL
        engine.config_threads = lambda: 3
        from strategies import assert_same_bits
        from test_engines import NETWORKS, trained
        want = trained(NETWORKS[4], "native")[0]
        children = []
        for _ in range(2):
            child = os.fork()
            if child == 0:
                try:
                    assert_same_bits(trained(NETWORKS[4], "native")[0], want)
                    os._exit(0)
                except BaseException as error:
                    print(repr(error), file=sys.stderr, flush=True)
                    os._exit(1)
            children.append(child)
        assert_same_bits(trained(NETWORKS[4], "native")[0], want)
        codes = [os.waitpid(child, 0)[1] for child in children]
        assert codes == [0, 0], codes
        print("same")
    """
    here = os.path.dirname(os.path.abspath(__file__))
    paths = [p for p in (here, os.path.dirname(here), *sys.path) if p]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program % (paths,))],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.stdout.strip() == "same", done.stderr


def _resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc")
def test_memory_does_not_grow() -> None:
    """Two thousand short runs and calls of all kinds, after a start."""
    graph, _, _ = training_step(*NETWORKS[1])
    step = api.get("native").compile(graph)
    _, forward = dense_stack([7, 70, 4], c.relu)
    predict = api.get("native").compile(
        trace(lambda x: {"y": forward(x["x"])}, {"x": Spec((B, 7), "float32")})
    )
    data = task(20, 7, 4)

    def go(times: int) -> None:
        for i in range(times):
            step.run(api.Batches(data, 7, api.Shuffle(0, i)), collect=["loss"])
            predict.call({"x": data["x"][: 1 + i % 20]})

    go(300)
    before = _resident()
    go(2000)
    grown = _resident() - before
    assert grown < 2 << 20, f"{grown} bytes more after 2,000 runs"
