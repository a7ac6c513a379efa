"""Optimizers on their own: traces, dtypes, refusals, state."""

from __future__ import annotations

import numpy as np
import pytest

from ranvier import initializers, ops, optimizers, random
from ranvier.errors import ShapeError
from ranvier.graph import Dim, Spec, Variable, trace
from ranvier.graph.evaluate import Interpreter
from ranvier.graph.ir import walk

CLASSES = sorted(
    name
    for name in optimizers.__all__
    if isinstance(getattr(optimizers, name), type)
    # One that wraps another is tried in test_loss_scale.py.
    and name not in ("Optimizer", "LossScaleOptimizer")
)


def run(graph, inputs, sizes=None):
    results = [*graph.outputs.values(), *graph.updates.values()]
    known = {graph.inputs[name]: np.asarray(v) for name, v in inputs.items()}
    for node in walk(results):
        if node.op.name == "variable":
            known[node] = node.attrs["variable"].numpy()
    found = Interpreter(sizes).run(results, known)
    for variable, value in zip(graph.updates, found[len(graph.outputs) :], strict=True):
        variable.assign(value)
    return found[: len(graph.outputs)]


def traced_step(optimizer, weight):
    def step(inputs):
        optimizer.apply([inputs["g"]], [weight])
        return {}

    optimizer.build([weight])
    return trace(step, {"g": Spec(tuple(weight.shape), "float32")})


@pytest.mark.parametrize("name", CLASSES)
def test_learning_rate_is_read_every_step(name):
    """A rate changed between steps counts, without tracing again."""
    optimizer, weight = getattr(optimizers, name)(0.1), Variable([1.0, 2.0])
    graph = traced_step(optimizer, weight)
    assert optimizer._learning_rate not in graph.updates
    run(graph, {"g": [1.0, 1.0]})
    optimizer.learning_rate = 0.0
    before = weight.numpy()
    if name != "Ftrl":  # which divides by the rate
        run(graph, {"g": [1.0, 1.0]})
        np.testing.assert_array_equal(weight.numpy(), before)
    assert optimizer.get_config()["learning_rate"] == 0.0


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_other_dtypes_keep_theirs(name, dtype):
    weight = Variable(np.ones((3, 2)), dtype=dtype)
    optimizer = getattr(optimizers, name)(1.0 if name == "Adadelta" else 0.01)
    if dtype == "float16":
        # Keras's defaults, 1e-7 and 1e-30, are next to nothing or 0 in float16.
        optimizer.epsilon = optimizer.epsilon_1 = 1e-3
    for _ in range(3):
        optimizer.apply([np.full((3, 2), 0.5, dtype)], [weight])
    assert weight.dtype == dtype
    assert np.isfinite(weight.numpy()).all()
    assert (weight.numpy() != 1).all()


def test_adam_is_one_named_subgraph_per_variable():
    graph = traced_step(optimizers.Adam(), Variable([[1.0, 2.0]]))
    names = [node.op.name for node in walk(graph.updates.values())]
    assert names.count("adam_update") == 1


def test_scalars_are_computed_once_a_step():
    weights = [Variable([1.0]), Variable([2.0])]
    optimizer = optimizers.Adam()

    def step(inputs):
        optimizer.apply([inputs["g"], inputs["g"]], weights)
        return {}

    optimizer.build(weights)
    graph = trace(step, {"g": Spec((1,), "float32")})
    names = [node.op.name for node in walk(graph.updates.values())]
    assert names.count("pow") == 2
    assert names.count("sqrt") <= 3  # one for the step size, at most one a variable


def test_origins_name_the_update_and_the_layer():
    weight = Variable([1.0])
    weight.path = "dense_1/kernel"
    graph = traced_step(optimizers.SGD(), weight)
    origin = graph.updates[weight].origins[0]
    assert (origin.layer, origin.role) == ("dense_1", "update")


def test_order_of_variables_is_that_of_keras_files():
    optimizer = optimizers.Adam(amsgrad=True, use_ema=True)
    optimizer.build([Variable([1.0], name="k"), Variable([1.0], name="b")])
    assert [v.path for v in optimizer.variables] == [
        "adam/iteration",
        "adam/learning_rate",
        "adam/k_average",
        "adam/b_average",
        "adam/k_momentum",
        "adam/k_velocity",
        "adam/b_momentum",
        "adam/b_velocity",
        "adam/k_velocity_hat",
        "adam/b_velocity_hat",
    ]
    kinds = {v.kind for v in optimizer.variables[2:]}
    assert kinds == {"slot"}
    assert [v.kind for v in optimizer.variables[:2]] == ["counter", "hyper"]
    assert not any(v.trainable for v in optimizer.variables)


def test_own_optimizer_as_the_docstring_shows():
    class SignSGD(optimizers.Optimizer):
        config_names = ("beta",)

        def __init__(self, learning_rate=0.001, beta=0.9, **base):
            super().__init__(learning_rate, **base)
            self.beta = beta

        def slot_groups(self):
            return (("momentum",),)

        def update(self, param, grad, slots, hyper):
            m = slots["momentum"] * self.beta + grad * (1 - self.beta)
            step = hyper["learning_rate"] * ops.sign(m)
            return param - step, {"momentum": m}

    weight = Variable([1.0, -1.0])
    SignSGD(0.25).apply([np.array([3.0, -3.0], "float32")], [weight])
    np.testing.assert_array_equal(weight.numpy(), [0.75, -0.75])
    config = SignSGD(0.25, name="own").get_config()
    assert config["beta"] == 0.9
    assert SignSGD.from_config(config).get_config() == config
    known = {"SignSGD": SignSGD}
    described = optimizers.serialize(SignSGD(0.25, beta=0.5))
    assert optimizers.deserialize(described, known).beta == 0.5
    with pytest.raises(ShapeError, match="RV107"):
        optimizers.deserialize(described)


def test_callable_rate():
    weight, rates = Variable([1.0]), iter([0.5, 0.25])
    optimizer = optimizers.SGD(lambda: next(rates))
    for _ in range(2):
        optimizer.apply([np.ones(1, "float32")], [weight])
    np.testing.assert_array_equal(weight.numpy(), [0.25])


def test_names():
    assert isinstance(optimizers.get("ADAM"), optimizers.Adam)
    assert isinstance(optimizers.get(optimizers.SGD), optimizers.SGD)
    kept = optimizers.SGD()
    assert optimizers.get(kept) is kept
    with pytest.raises(ShapeError, match=r"'[aA]dam'"):
        optimizers.get("adm")
    with pytest.raises(ShapeError, match="RV107"):
        optimizers.get(3)


@pytest.mark.parametrize(
    "bad",
    [
        lambda: optimizers.SGD(momentum=1.5),
        lambda: optimizers.SGD("fast"),
        lambda: optimizers.SGD(clipnorm=1.0, clipvalue=1.0),
        lambda: optimizers.SGD(gradient_accumulation_steps=1),
        lambda: optimizers.SGD(use_ema=True, ema_momentum=2.0),
        lambda: optimizers.SGD(use_ema=True, ema_overwrite_frequency=0.5),
        lambda: optimizers.SGD(lr=0.1),
        lambda: optimizers.AdamW(weight_decay=None),
        lambda: optimizers.Lion(beta_1=0.0),
        lambda: optimizers.Ftrl(learning_rate_power=0.5),
        lambda: optimizers.Ftrl(l1_regularization_strength=-1.0),
        lambda: optimizers.schedules.ExponentialDecay(0.1, 0, 0.9),
        lambda: optimizers.schedules.PiecewiseConstantDecay([1], [0.1]),
    ],
)
def test_bad_arguments_are_refused(bad):
    with pytest.raises(ShapeError, match="RV100"):
        bad()


def test_gradients_that_do_not_fit_are_refused():
    weight, other = Variable([1.0]), Variable([1.0])
    gradient = np.ones(1, "float32")
    with pytest.raises(ShapeError, match="RV108"):
        optimizers.SGD().apply([gradient])
    optimizer = optimizers.SGD()
    optimizer.apply([gradient], [weight])
    for grads, variables in (
        ([gradient], [other]),
        ([gradient, gradient], [weight]),
        ([None], [weight]),
    ):
        with pytest.raises(ShapeError, match="RV108"):
            optimizer.apply(grads, variables)
    with pytest.raises(ShapeError, match="RV108"):
        optimizer.apply([np.ones(3, "float32")], [weight])
    assert weight.numpy() == pytest.approx([0.99])


def test_state_is_set_and_refused():
    weight = Variable([1.0, 2.0])
    optimizer = optimizers.Adam()
    with pytest.raises(ShapeError, match="RV100"):
        optimizer.set_weights([])
    optimizer.apply([np.ones(2, "float32")], [weight])
    values = [v.numpy() for v in optimizer.variables]
    fresh = optimizers.Adam()
    fresh.build([weight])
    fresh.set_weights(values)
    assert int(fresh.iterations.numpy()) == 1
    with pytest.raises(ShapeError, match="RV100"):
        fresh.set_weights(values[:-1])
    with pytest.raises(ShapeError, match="RV100"):
        fresh.set_weights([*values[:-1], np.zeros(3)])
    with pytest.raises(ShapeError, match="RV108"):
        fresh.load_own_variables({"0": 1})


def test_average_takes_the_weights_place_at_the_end():
    weight = Variable([1.0])
    optimizer = optimizers.SGD(0.5, use_ema=True, ema_momentum=0.5)
    for _ in range(2):
        optimizer.apply([np.ones(1, "float32")], [weight])
    optimizer.finalize_variable_values([weight])
    np.testing.assert_allclose(weight.numpy(), [0.25])  # the mean of 0.5 and 0


def test_random_draws_follow_a_symbolic_size():
    seed = random.SeedGenerator(1)
    batch = Dim.symbol("batch")
    graph = trace(
        lambda inputs: {
            "kept": random.dropout(inputs["x"], 0.5, seed=seed),
            "noise": random.normal(inputs["x"].shape, seed=7),
        },
        {"x": Spec((batch, 3), "float32")},
    )
    first = run(graph, {"x": np.ones((5, 3), "float32")}, {"batch": 5})
    second = run(graph, {"x": np.ones((5, 3), "float32")}, {"batch": 5})
    third = run(graph, {"x": np.ones((2, 3), "float32")}, {"batch": 2})
    assert (first[0] != second[0]).any()
    assert third[0].shape == third[1].shape == (2, 3)
    np.testing.assert_array_equal(first[1], second[1])
    np.testing.assert_array_equal(first[1], random.normal((5, 3), seed=7).numpy())


def test_initializers_have_keras_names_in_both_spellings():
    assert initializers.glorot_uniform is initializers.GlorotUniform
    assert initializers.stft is initializers.STFT
    assert initializers.compute_fans((3, 3, 16, 32)) == (144, 288)
