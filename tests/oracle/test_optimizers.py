"""Every optimizer and schedule against real Keras, over 20 random steps."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from ranvier import optimizers as ours
from ranvier.constraints import MaxNorm
from ranvier.graph import Spec, Variable, trace
from ranvier.graph.evaluate import Interpreter
from ranvier.graph.ir import walk
from ranvier.optimizers import schedules

STEPS = 20
SHAPES = ((5, 3), (3,), (2, 3, 4))
CLASSES = sorted(
    name
    for name in ours.__all__
    if isinstance(getattr(ours, name), type)
    # One that wraps another is tried in test_loss_scale.py.
    and name not in ("Optimizer", "LossScaleOptimizer")
)
OWN_ARGUMENTS = {
    "SGD": [{"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}],
    "RMSprop": [
        {"momentum": 0.8},
        {"centered": True, "rho": 0.8},
        {"centered": True, "momentum": 0.7, "epsilon": 1e-3},
    ],
    "Adam": [{"amsgrad": True}, {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-4}],
    "AdamW": [{"weight_decay": 0.1, "amsgrad": True}],
    "Nadam": [{"beta_1": 0.8, "beta_2": 0.99}],
    "Adagrad": [{"initial_accumulator_value": 0.5}],
    "Adamax": [{"beta_1": 0.8}],
    "Adadelta": [{"learning_rate": 1.0, "rho": 0.9}],
    "Lion": [{"beta_1": 0.8, "beta_2": 0.9}],
    "Lamb": [{"beta_1": 0.8}],
    "Muon": [
        {"weight_decay": 0.1, "adam_weight_decay": 0.3, "adam_lr_ratio": 0.5},
        {"nesterov": False, "rms_rate": None, "ns_steps": 3, "muon_a": 2.0},
        {"exclude_layers": ["w0"], "weight_decay": None, "momentum": 0.5},
    ],
    "ScheduleFreeAdamW": [
        {"warmup_steps": 7, "weight_decay": 0.1},
        {"beta_1": 0.6, "beta_2": 0.9, "epsilon": 1e-3},
        {"gradient_accumulation_steps": 3, "global_clipnorm": 0.5},
    ],
    "Adafactor": [{"relative_step": False, "clip_threshold": 0.5}],
    "Ftrl": [
        {
            "l1_regularization_strength": 0.05,
            "l2_regularization_strength": 0.1,
            "l2_shrinkage_regularization_strength": 0.2,
            "learning_rate_power": -0.4,
            "beta": 0.3,
        }
    ],
}
COMMON = [
    {},
    {"clipnorm": 0.5},
    {"clipvalue": 0.3},
    {"global_clipnorm": 0.7},
    {"weight_decay": 0.05},
    {"loss_scale_factor": 4.0},
    {"use_ema": True, "ema_momentum": 0.9},
    {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 3},
    {"gradient_accumulation_steps": 4},
    {
        "gradient_accumulation_steps": 3,
        "use_ema": True,
        "ema_overwrite_frequency": 2,
        "weight_decay": 0.01,
        "global_clipnorm": 1.0,
    },
]
# The common arguments do not depend on the update: two optimizers take all of them.
# Nadam has state of its own outside the slots, so it accumulates gradients as well.
CHOSEN = {"SGD": COMMON, "Adam": COMMON, "Nadam": COMMON[0::9]}
RUNS = [
    (name, {"learning_rate": 0.05} | arguments)
    for name in CLASSES
    for arguments in CHOSEN.get(name, COMMON[0:5:4]) + OWN_ARGUMENTS[name]
]


def data(seed=0):
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=s).astype("float32") for s in SHAPES]
    grads = [
        [rng.normal(size=s).astype("float32") for s in SHAPES] for _ in range(STEPS)
    ]
    return weights, grads


def run_keras(keras, optimizer, weights, grads, constraint=None):
    variables = [keras.Variable(w, name=f"w{i}") for i, w in enumerate(weights)]
    if constraint is not None:
        variables[0].constraint = constraint
    optimizer.build(variables)
    for step in grads:
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in step], variables)
    return (
        [np.asarray(v) for v in variables],
        [np.asarray(v) for v in optimizer.variables],
    )


def run_ours(optimizer, weights, grads, constraint=None):
    variables = [Variable(w, name=f"w{i}") for i, w in enumerate(weights)]
    if constraint is not None:
        variables[0].constraint = constraint
    optimizer.build(variables)
    for step in grads:
        optimizer.apply(step, variables)
    return [v.numpy() for v in variables], [v.numpy() for v in optimizer.variables]


def run_traced(optimizer, weights, grads):
    variables = [Variable(w, name=f"w{i}") for i, w in enumerate(weights)]
    optimizer.build(variables)

    def step(inputs):
        optimizer.apply([inputs[f"g{i}"] for i in range(len(SHAPES))], variables)
        return {}

    inputs = {f"g{i}": Spec(s, "float32") for i, s in enumerate(SHAPES)}
    graph = trace(step, inputs)
    for values in grads:
        evaluate(graph, {f"g{i}": g for i, g in enumerate(values)})
    return [v.numpy() for v in variables], [v.numpy() for v in optimizer.variables]


def evaluate(graph, inputs):
    """Runs a traced step once: the definition, without any engine."""
    nodes = list(graph.updates.values())
    known = {graph.inputs[name]: value for name, value in inputs.items()}
    for node in walk(nodes):
        if node.op.name == "variable":
            known[node] = node.attrs["variable"].numpy()
    for variable, value in zip(
        graph.updates, Interpreter().run(nodes, known), strict=True
    ):
        variable.assign(value)


def assert_equal(found, wanted):
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(("name", "arguments"), RUNS, ids=str)
def test_same_numbers_over_20_steps(keras, name, arguments):
    weights, grads = data()
    real = run_keras(
        keras, getattr(keras.optimizers, name)(**arguments), weights, grads
    )
    own = run_ours(getattr(ours, name)(**arguments), weights, grads)
    assert_equal(own[0], real[0])
    assert_equal(own[1], real[1])


@pytest.mark.parametrize(("name", "arguments"), RUNS, ids=str)
def test_traced_step_equals_eager(name, arguments):
    weights, grads = data()
    eager = run_ours(getattr(ours, name)(**arguments), weights, grads)
    traced = run_traced(getattr(ours, name)(**arguments), weights, grads)
    for a, b in zip(eager[0] + eager[1], traced[0] + traced[1], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", CLASSES)
def test_defaults_and_config_are_those_of_keras(keras, name):
    real, own = getattr(keras.optimizers, name)(), getattr(ours, name)()
    wanted = real.get_config()
    wanted["name"] = own.name
    assert real.name.startswith(own.name)
    assert own.get_config() == wanted
    assert type(own).from_config(wanted).get_config() == wanted


@pytest.mark.parametrize("name", CLASSES)
def test_serialized_form_goes_both_ways(keras, name):
    arguments = {"learning_rate": 0.25} | OWN_ARGUMENTS[name][-1] | {"name": "x"}
    real = getattr(keras.optimizers, name)(**arguments)
    own = getattr(ours, name)(**arguments)
    if name == "Lamb":
        # Keras 3.15 exports Lamb but leaves it out of its own table of names.
        assert ours.get(ours.serialize(own)).get_config() == real.get_config()
        return
    assert ours.serialize(own) == keras.optimizers.serialize(real)
    assert ours.get(keras.optimizers.serialize(real)).get_config() == real.get_config()
    assert keras.optimizers.get(ours.serialize(own)).get_config() == real.get_config()
    assert ours.get(name.lower()).get_config()["learning_rate"] > 0


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_constraint_is_applied_after_the_step(keras, name):
    weights, grads = data(3)
    real = run_keras(
        keras,
        getattr(keras.optimizers, name)(0.1),
        weights,
        grads,
        keras.constraints.MaxNorm(1.0),
    )
    own = run_ours(getattr(ours, name)(0.1), weights, grads, MaxNorm(1.0))
    assert_equal(own[0], real[0])


def test_variables_without_gradient_stay(keras):
    weights, grads = data(4)
    real_w = [keras.Variable(w) for w in weights]
    own_w = [Variable(w) for w in weights]
    real, own = keras.optimizers.Adam(0.1), ours.Adam(0.1)
    for step in grads:
        with pytest.warns(UserWarning, match="[Gg]radient"):
            real.apply([step[0], None, step[2]], real_w)
        with pytest.warns(UserWarning, match="no gradient"):
            own.apply([step[0], None, step[2]], own_w)
    assert_equal([v.numpy() for v in own_w], [np.asarray(v) for v in real_w])


def test_learning_rate_changed_between_steps(keras):
    weights, grads = data(5)
    real_w = [keras.Variable(w) for w in weights]
    own_w = [Variable(w) for w in weights]
    real, own = keras.optimizers.Adam(0.1), ours.Adam(0.1)
    for i, step in enumerate(grads):
        real.learning_rate = own.learning_rate = 0.1 / (i + 1)
        real.apply(step, real_w)
        own.apply(step, own_w)
    assert float(own.learning_rate.numpy()) == float(real.learning_rate)
    assert_equal([v.numpy() for v in own_w], [np.asarray(v) for v in real_w])


def test_exclude_from_weight_decay(keras):
    weights, grads = data(6)
    real = keras.optimizers.AdamW(0.1, weight_decay=0.3)
    own = ours.AdamW(0.1, weight_decay=0.3)
    real.exclude_from_weight_decay(var_names=["w1"])
    own.exclude_from_weight_decay(var_names=["w1"])
    assert_equal(
        run_ours(own, weights, grads)[0], run_keras(keras, real, weights, grads)[0]
    )


SCHEDULES = [
    (
        "ExponentialDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.9},
    ),
    (
        "ExponentialDecay",
        {
            "initial_learning_rate": 0.1,
            "decay_steps": 7,
            "decay_rate": 0.9,
            "staircase": True,
        },
    ),
    (
        "InverseTimeDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.5},
    ),
    (
        "InverseTimeDecay",
        {
            "initial_learning_rate": 0.1,
            "decay_steps": 7,
            "decay_rate": 0.5,
            "staircase": True,
        },
    ),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 20}),
    (
        "PolynomialDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 9, "power": 2.5, "cycle": True},
    ),
    (
        "PiecewiseConstantDecay",
        {"boundaries": [5, 11, 30], "values": [0.5, 0.2, 0.1, 0.05]},
    ),
    ("PiecewiseConstantDecay", {"boundaries": [4.7], "values": [0.5, 0.2]}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 25, "alpha": 0.1}),
    (
        "CosineDecay",
        {
            "initial_learning_rate": 0.01,
            "decay_steps": 25,
            "warmup_target": 0.2,
            "warmup_steps": 6,
        },
    ),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 5}),
    (
        "CosineDecayRestarts",
        {
            "initial_learning_rate": 0.1,
            "first_decay_steps": 5,
            "t_mul": 1.0,
            "m_mul": 0.8,
            "alpha": 0.1,
        },
    ),
    (
        "CosineDecayRestarts",
        {
            "initial_learning_rate": 0.1,
            "first_decay_steps": 6,
            "t_mul": 1.5,
            "m_mul": 0.9,
        },
    ),
]


def test_every_schedule_is_tested():
    classes = {n for n in schedules.__all__ if n[0].isupper()}
    assert classes - {"LearningRateSchedule"} == {name for name, _ in SCHEDULES}


@pytest.mark.parametrize(("name", "arguments"), SCHEDULES, ids=str)
def test_schedule(keras, name, arguments):
    real = getattr(keras.optimizers.schedules, name)(**arguments)
    own = getattr(schedules, name)(**arguments)
    for step in [*range(40), 1000]:
        wanted = float(real(np.int32(step)))
        np.testing.assert_allclose(float(own(step)), wanted, rtol=1e-5, atol=1e-9)
    assert own.get_config() == real.get_config()
    assert schedules.serialize(own) == keras.optimizers.schedules.serialize(real)
    again = schedules.deserialize(keras.optimizers.schedules.serialize(real))
    assert type(again) is type(own)


@pytest.mark.parametrize(("name", "arguments"), dict(SCHEDULES).items(), ids=str)
def test_schedule_inside_an_optimizer(keras, name, arguments):
    weights, grads = data(7)
    real_rate = getattr(keras.optimizers.schedules, name)(**arguments)
    own_rate = getattr(schedules, name)(**arguments)
    real = run_keras(keras, keras.optimizers.Adam(real_rate), weights, grads)
    own = run_traced(ours.Adam(own_rate), weights, grads)
    assert_equal(own[0], real[0])
    assert_equal(own[1], real[1])
    serialized = keras.optimizers.serialize(keras.optimizers.Adam(real_rate, name="a"))
    assert ours.serialize(ours.Adam(own_rate, name="a")) == serialized
    with pytest.raises(TypeError):
        ours.Adam(own_rate).learning_rate = 0.1


def test_keras_style_subclass(keras):
    """An optimizer written with build() and update_step(), as Keras's docs show."""

    def make(base, ops):
        class Momentum(base):
            def __init__(self, **kwargs):
                super().__init__(learning_rate=0.1, **kwargs)

            def build(self, variables):
                super().build(variables)
                self.momentums = [
                    self.add_variable_from_reference(v, name="momentum")
                    for v in variables
                ]

            def update_step(self, gradient, variable, learning_rate):
                learning_rate = ops.cast(learning_rate, variable.dtype)
                m = self.momentums[self._get_variable_index(variable)]
                self.assign(m, ops.subtract(ops.multiply(m, 0.9), gradient))
                self.assign_add(variable, ops.multiply(m, learning_rate))

        return Momentum

    from ranvier import ops

    weights, grads = data(8)
    for arguments in ({}, {"weight_decay": 0.1, "gradient_accumulation_steps": 2}):
        real = make(keras.optimizers.Optimizer, keras.ops)(**arguments)
        own = make(ours.Optimizer, ops)(**arguments)
        real_w, _ = run_keras(keras, real, weights, grads)
        assert_equal(run_traced(own, weights, grads)[0], real_w)


def test_state_goes_both_ways(keras):
    weights, grads = data(9)
    for name in CLASSES:
        own, real = getattr(ours, name)(0.1), getattr(keras.optimizers, name)(0.1)
        run_ours(own, weights, grads)
        run_keras(keras, real, weights, grads)
        store = {}
        own.save_own_variables(store)
        assert store["0"].dtype == "int32"
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            real.load_own_variables(store)
        back = {}
        real.save_own_variables(back)
        fresh = getattr(ours, name)(0.1)
        fresh.build([Variable(w) for w in weights])
        fresh.load_own_variables(back)
        for a, b in zip(fresh.variables, own.variables, strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())
