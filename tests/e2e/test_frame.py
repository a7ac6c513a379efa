"""The proof of the frame: what must be possible from public records alone.

Each part is a step written in `ranvier.ops` and `ranvier.graph`, without layers: it
trains (the loss falls), its gradients agree with finite differences in float64, and it
runs on the reference engine and, where kernels exist, natively with the same losses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from strategies import dense_stack, evaluate, slopes_agree, wide, workers

from ranvier import ops
from ranvier.engines import api
from ranvier.graph import Dim, Graph, Spec, Variable, current_trace, trace
from ranvier.graph.autodiff import grad, value_and_grad
from ranvier.graph.trace import tap

B, T = Dim.symbol("batch"), Dim.symbol("time")
Inputs = Mapping[str, Any]
Loss = Callable[[Inputs], Any]


class Adam:
    """An optimizer written by a user: slots are variables, a step is assignments."""

    def __init__(self, variables: list[Variable], rate: float = 0.02) -> None:
        self.variables = variables
        self.rate = Variable(np.float32(rate), name="rate", kind="hyper")
        self.slots = [
            [Variable(np.zeros(v.shape, "float32"), kind="slot") for _ in "mv"]
            for v in variables
        ]

    def apply(self, grads: list[Any]) -> None:
        """One step; without bias correction."""
        for w, g, (m, v) in zip(self.variables, grads, self.slots, strict=True):
            m.assign(m * 0.9 + g * 0.1)
            v.assign(v * 0.99 + ops.square(g) * 0.01)
            w.assign(w - self.rate * m / (ops.sqrt(v) + 1e-4))


def crossentropy(labels: Any, logits: Any) -> Any:
    return ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)


def weight(*shape: int, seed: int = 0, name: str = "w") -> Variable:
    scale = 1 / np.sqrt(max(shape[0], 1))
    value = np.random.default_rng(seed).normal(size=shape) * scale
    return Variable(value.astype("float32"), name=name)


def training(loss: Loss, variables: list[Variable], specs: Mapping[str, Spec]) -> Graph:
    """A graph of one training step."""
    optimizer = Adam(variables)

    def step(inputs: Inputs) -> dict[str, Any]:
        value, grads = value_and_grad(loss, variables=variables)(inputs)
        optimizer.apply(grads)
        return {"loss": value}

    return trace(step, specs)


def fit(
    graph: Graph, data: Mapping[str, Any], engine: str, size: int, epochs: int
) -> np.ndarray[Any, Any]:
    """Losses of all batches, an epoch a row. Variables start from what they are."""
    executable = api.get(engine).compile(graph)
    found = []
    for epoch in range(epochs):
        record = executable.run(
            api.Batches(data, size, api.Shuffle(7, epoch)), collect=["loss"]
        )
        assert record.fault is None
        found.append(record.collected["loss"])
    return np.stack(found)


def trains(
    graph: Graph,
    data: Mapping[str, Any],
    size: int = 16,
    epochs: int = 12,
    factor: float = 0.5,
    engines: tuple[str, ...] = ("reference", "native"),
) -> None:
    """The loss falls, and every engine sees the same losses at first."""
    start = [(v, v.numpy()) for v in graph.variables()]
    found = []
    for engine in engines:
        for v, value in start:
            v.assign(value)
        losses = fit(graph, data, engine, size, epochs)
        assert losses[-1].mean() < factor * losses[0].mean(), engine
        found.append(losses[0])
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], rtol=1e-3, atol=1e-5)


def gradients_agree(
    loss: Loss,
    variables: list[Variable],
    specs: Mapping[str, Spec],
    data: Mapping[str, Any],
) -> None:
    """The gradient for every variable, against finite differences in float64."""
    names = [f"v{i}" for i in range(len(variables))]

    def step(inputs: Inputs) -> dict[str, Any]:
        trace_ = current_trace()
        assert trace_ is not None
        for name, v in zip(names, variables, strict=True):
            # Inputs stand for the variables, so that they can be moved in float64.
            trace_.bindings[v] = trace_.initial[v] = inputs[name].node
        value, grads = value_and_grad(loss, variables=variables)(inputs)
        return {"loss": value, **dict(zip(names, grads, strict=True))}

    moved = {n: v.spec for n, v in zip(names, variables, strict=True)}
    graph = trace(step, {**specs, **moved})
    at = wide({**data, **{n: v.numpy() for n, v in zip(names, variables, strict=True)}})
    outputs = list(graph.outputs)
    found = dict(zip(outputs, evaluate(graph, at), strict=False))
    slopes_agree(
        lambda x: float(evaluate(graph, x)[0]),
        {n: found[n] for n in names},
        at,
        rtol=2e-6,
    )


def rows(data: Mapping[str, Any], count: int) -> dict[str, Any]:
    return {name: a[:count] for name, a in data.items()}


# ------------------------------------------------------- an embedding: scatter gradient


def test_an_embedding() -> None:
    table = weight(30, 8, name="table")
    out = weight(8, 3, seed=1, name="out")
    specs = {"words": Spec((B, 6), "int32"), "y": Spec((B,), "int32")}

    def loss(x: Inputs) -> Any:
        mean = ops.mean(ops.take(table, x["words"], axis=0), axis=1)
        logits = ops.matmul(mean, out)
        return ops.mean(crossentropy(x["y"], logits))

    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 160)
    words = rng.integers(0, 10, (160, 6)) + 10 * y[:, None]
    data = {"words": words.astype("int32"), "y": y.astype("int32")}
    gradients_agree(loss, [table, out], specs, rows(data, 5))
    trains(training(loss, [table, out], specs), data)


# -------------------------------------- a normalisation layer: state in the forward pass


class BatchNorm:
    """Moving statistics are assigned in the forward pass, nothing else is special."""

    def __init__(self, n: int) -> None:
        self.gamma = Variable(np.ones(n, "float32"), name="gamma")
        self.beta = Variable(np.zeros(n, "float32"), name="beta")
        self.mean = Variable(np.zeros(n, "float32"), name="mean", trainable=False)
        self.var = Variable(np.ones(n, "float32"), name="var", trainable=False)

    def __call__(self, x: Any, training: bool) -> Any:
        if training:
            mean, var = ops.mean(x, axis=0), ops.var(x, axis=0)
            self.mean.assign(self.mean * 0.9 + mean * 0.1)
            self.var.assign(self.var * 0.9 + var * 0.1)
        else:
            mean, var = self.mean.value, self.var.value
        return (x - mean) / ops.sqrt(var + 1e-3) * self.gamma + self.beta


@pytest.mark.parametrize("engine", ["reference", "native"])
def test_a_normalisation_layer(engine: str) -> None:
    first, norm, last = weight(5, 12), BatchNorm(12), weight(12, 1, seed=1)
    specs = {"x": Spec((B, 5), "float32"), "y": Spec((B, 1), "float32")}
    trainable = [first, last, norm.gamma, norm.beta]

    def network(x: Any, training: bool) -> Any:
        return ops.matmul(ops.tanh(norm(ops.matmul(x, first), training)), last)

    def loss(x: Inputs) -> Any:
        return ops.mean(ops.square(network(x["x"], True) - x["y"]))

    rng = np.random.default_rng(1)
    x = (rng.normal(size=(160, 5)) * 3 + 2).astype("float32")
    data = {"x": x, "y": np.tanh(x[:, :1] - x[:, 1:2])}
    gradients_agree(loss, trainable, specs, rows(data, 6))
    trains(training(loss, trainable, specs), data, epochs=30, engines=(engine,))
    hidden = x @ first.numpy()
    np.testing.assert_allclose(norm.mean.numpy(), hidden.mean(0), rtol=0.5, atol=1.5)
    predict = trace(lambda i: {"y": network(i["x"], False)}, {"x": specs["x"]})
    assert not predict.updates, "predicting changes nothing"
    one_by_one = api.get(engine).compile(predict)
    together = one_by_one.call({"x": x})["y"]
    np.testing.assert_allclose(
        one_by_one.call({"x": x[3:4]})["y"], together[3:4], rtol=1e-4, atol=1e-5
    )


# ---------------------------------------- a masked recurrent scan of changing length


def test_a_masked_recurrent_scan_of_changing_length() -> None:
    """Batches of other lengths run the same graph: Python traces once."""
    hidden = 8
    w_x, w_h = weight(3, hidden), weight(hidden, hidden, seed=1)
    out = weight(hidden, 1, seed=2)
    specs = {
        "x": Spec((B, T, 3), "float32"),
        "length": Spec((B,), "int32"),
        "y": Spec((B, 1), "float32"),
    }
    traced = 0

    def loss(i: Inputs) -> Any:
        nonlocal traced
        traced += 1
        steps = ops.transpose(i["x"], (1, 0, 2))
        live = ops.expand_dims(ops.iota(i["x"].shape[1]), 1) < i["length"]

        def cell(h: Any, row: Any) -> tuple[Any, Any]:
            x, mask = row
            new = ops.tanh(ops.matmul(x, w_x) + ops.matmul(h, w_h))
            return ops.where(ops.expand_dims(mask, -1), new, h), None

        start = ops.zeros((i["x"].shape[0], hidden))
        h, _ = ops.scan(cell, start, (steps, live))
        return ops.mean(ops.square(ops.matmul(h, out) - i["y"]))

    def batch(length: int, seed: int) -> dict[str, Any]:
        rng = np.random.default_rng(seed)
        lengths = rng.integers(1, length + 1, 12).astype("int32")
        x = rng.normal(size=(12, length, 3)).astype("float32")
        live = np.arange(length) < lengths[:, None]
        last = x[np.arange(12), lengths - 1]
        y = np.tanh(last[:, :1] - 0.5 * last[:, 1:2]).astype("float32")
        x[~live] = 1e9  # beyond the end of a sequence: must not be seen
        return {"x": x, "length": lengths, "y": y}

    variables = [w_x, w_h, out]
    small = batch(4, 0)
    small["x"][small["x"] > 1e8] = 3.0
    gradients_agree(loss, variables, specs, small)
    traced = 0
    graph = training(loss, variables, specs)
    start = [(v, v.numpy()) for v in graph.variables()]

    def losses(engine: str, steps: int) -> list[float]:
        for v, value in start:
            v.assign(value)
        run = api.get(engine).compile(graph).call
        return [float(run(batch(2 + i % 5, i))["loss"]) for i in range(steps)]

    want = losses("reference", 150)
    got = losses("native", 150)
    ends = [v.numpy() for v in variables]
    assert traced == 1
    for found in (want, got):
        assert np.mean(found[-30:]) < 0.5 * np.mean(found[:30])
    np.testing.assert_allclose(got[:20], want[:20], rtol=1e-3, atol=1e-5)
    for count in (2, 3, 8):
        with workers(count):
            assert losses("native", 150) == got
        for v, end in zip(variables, ends, strict=True):
            np.testing.assert_array_equal(v.numpy(), end)


# ------------------------------------------------- two outputs, with a loss each


def test_two_outputs_with_a_loss_each() -> None:
    shared, a, b = weight(6, 70), weight(70, 3, seed=1), weight(70, 1, seed=2)
    specs = {
        "x": Spec((B, 6), "float32"),
        "kind": Spec((B,), "int32"),
        "size": Spec((B, 1), "float32"),
    }

    def losses(i: Inputs) -> tuple[Any, Any]:
        h = ops.relu(ops.matmul(i["x"], shared))
        kind = crossentropy(i["kind"], ops.matmul(h, a))
        size = ops.square(ops.matmul(h, b) - i["size"])
        return ops.mean(kind), ops.mean(size)

    def loss(i: Inputs) -> Any:
        kind, size = losses(i)
        return kind + 0.5 * size

    rng = np.random.default_rng(2)
    x = rng.normal(size=(160, 6)).astype("float32")
    data = {
        "x": x,
        "kind": np.argmax(x[:, :3], axis=1).astype("int32"),
        "size": x[:, 3:4] * x[:, 4:5],
    }
    variables = [shared, a, b]
    gradients_agree(loss, variables, specs, rows(data, 6))
    trains(training(loss, variables, specs), data)
    parts = trace(lambda i: dict(zip(("kind", "size"), losses(i), strict=True)), specs)
    for engine in ("reference", "native"):
        record = (
            api.get(engine)
            .compile(parts)
            .run(api.Batches(data, 16), collect=["kind", "size"])
        )
        assert all(record.collected[name].mean() < 0.6 for name in ("kind", "size"))


# -------------------------------------------------------- a Python metric fed by a tap


@pytest.mark.parametrize("engine", ["reference", "native"])
def test_a_python_metric_fed_by_a_tap(engine: str) -> None:
    """Rank correlation needs a sort over the epoch: NumPy does it on tapped rows."""
    weights, forward = dense_stack([4, 16, 1], ops.tanh)
    specs = {"x": Spec((B, 4), "float32"), "y": Spec((B, 1), "float32")}

    def loss(i: Inputs) -> Any:
        y = tap("predictions", forward(i["x"]))
        return ops.mean(ops.square(y - i["y"]))

    rng = np.random.default_rng(3)
    x = rng.normal(size=(150, 4)).astype("float32")
    data = {"x": x, "y": (x[:, :1] + 0.5 * x[:, 1:2]).astype("float32")}
    executable = api.get(engine).compile(training(loss, weights, specs))

    def rank_correlation() -> float:
        record = executable.run(
            api.Batches(data, 32), collect=["loss", "tap:predictions"]
        )
        predictions = record.collected["tap:predictions"]
        assert predictions.shape == (150, 1)
        ranks = [np.argsort(np.argsort(v[:, 0])) for v in (predictions, data["y"])]
        return float(np.corrcoef(*ranks)[0, 1])

    first = rank_correlation()
    for _ in range(20):
        last = rank_correlation()
    assert last > max(first, 0.95)


# ----------------------------------------------- two optimizers in one step: a GAN


@pytest.mark.parametrize("engine", ["reference", "native"])
def test_two_optimizers_in_one_step(engine: str) -> None:
    """A generator learns to shift noise onto data; the discriminator learns beside it."""
    makers, generate = dense_stack([2, 16, 2], ops.tanh, seed=0)
    judges, judge = dense_stack([2, 24, 1], ops.relu, seed=1)
    maker, critic = Adam(makers, 0.01), Adam(judges, 0.01)
    specs = {"real": Spec((B, 2), "float32"), "noise": Spec((B, 2), "float32")}

    def critic_loss(i: Inputs) -> Any:
        fake = ops.stop_gradient(generate(i["noise"]))
        real = ops.binary_crossentropy(
            ops.ones((B, 1)), judge(i["real"]), from_logits=True
        )
        return ops.mean(real) + ops.mean(
            ops.binary_crossentropy(ops.zeros((B, 1)), judge(fake), from_logits=True)
        )

    def maker_loss(i: Inputs) -> Any:
        return ops.mean(
            ops.binary_crossentropy(
                ops.ones((B, 1)), judge(generate(i["noise"])), from_logits=True
            )
        )

    def step(i: Inputs) -> dict[str, Any]:
        c_loss, c_grads = value_and_grad(critic_loss, variables=judges)(i)
        m_loss, m_grads = value_and_grad(maker_loss, variables=makers)(i)
        critic.apply(c_grads)
        maker.apply(m_grads)
        return {"critic": c_loss, "maker": m_loss, "fake": generate(i["noise"])}

    graph = trace(step, specs)
    assert {v.name for v in graph.updates} >= {v.name for v in (*makers, *judges)}
    rng = np.random.default_rng(4)
    data = {
        "real": (rng.normal(size=(256, 2)) * 0.3 + [2.0, -1.0]).astype("float32"),
        "noise": rng.normal(size=(256, 2)).astype("float32"),
    }
    gradients_agree(critic_loss, judges, specs, rows(data, 5))
    gradients_agree(maker_loss, makers, specs, rows(data, 5))
    executable = api.get(engine).compile(graph)

    def distance() -> float:
        record = executable.run(api.Batches(data, 32), collect=["fake"])
        fake = record.collected["fake"]
        return float(np.abs(fake.mean(0) - data["real"].mean(0)).sum())

    first = distance()
    for _ in range(60):
        last = distance()
    assert last < 0.4 * first


# --------------------------------------------------------- gradients of gradients


def test_a_physics_informed_network() -> None:
    """u'' = -u, u(0) = 0, u'(0) = 1: the loss holds a second derivative."""
    weights, u = dense_stack([1, 20, 20, 1], ops.tanh, seed=5)
    specs = {"t": Spec((B, 1), "float32")}
    start = np.zeros((1, 1), "float32")

    def slope(t: Any) -> Any:
        return grad(lambda t: ops.sum(u(t)))(t)

    def loss(i: Inputs) -> Any:
        t = i["t"]
        bend = grad(lambda t: ops.sum(slope(t)))(t)
        at_start = ops.square(u(start)) + ops.square(slope(start) - 1.0)
        return ops.mean(ops.square(bend + u(t))) + ops.sum(at_start)

    t = np.linspace(0, 3, 64, dtype="float32")[:, None]
    gradients_agree(loss, weights, specs, {"t": t[::9]})
    graph = training(loss, weights, specs)
    trains(graph, {"t": t}, size=64, epochs=250, factor=0.05)
    got = api.get("native").compile(trace(lambda i: {"u": u(i["t"])}, specs))
    np.testing.assert_allclose(got.call({"t": t})["u"], np.sin(t), atol=0.25)


def test_a_gradient_penalty() -> None:
    """The slope of a critic with respect to its input is held near one."""
    weights, critic = dense_stack([3, 24, 1], ops.tanh, seed=6)
    specs = {"x": Spec((B, 3), "float32"), "side": Spec((B, 1), "float32")}

    def norms(x: Any) -> Any:
        g = grad(lambda x: ops.sum(critic(x)))(x)
        return ops.sqrt(ops.sum(ops.square(g), axis=1) + 1e-9)

    def loss(i: Inputs) -> Any:
        penalty = ops.mean(ops.square(norms(i["x"]) - 1.0))
        return 10.0 * penalty - 0.1 * ops.mean(critic(i["x"]) * i["side"])

    rng = np.random.default_rng(6)
    x = rng.normal(size=(128, 3)).astype("float32")
    data = {"x": x, "side": np.sign(x[:, :1]) * np.float32(1)}
    gradients_agree(loss, weights, specs, rows(data, 6))
    trains(training(loss, weights, specs), data, factor=0.3, epochs=20)
    measured = api.get("native").compile(trace(lambda i: {"n": norms(i["x"])}, specs))
    assert abs(measured.call(data)["n"].mean() - 1) < 0.2
