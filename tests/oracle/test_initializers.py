"""Initializers and random functions: ranges, moments and shapes, as real Keras's.

The random bits are our own, so random values are compared by their distribution.
"""

from __future__ import annotations

import numpy as np
import pytest

from ranvier import _seed, initializers, random
from ranvier.errors import ShapeError
from ranvier.graph import Spec, trace
from ranvier.graph.evaluate import Interpreter
from ranvier.graph.ir import walk

CLASSES = sorted(
    name
    for name in initializers.__all__
    if isinstance(getattr(initializers, name), type) and name != "Initializer"
)
ARGUMENTS = {
    "Constant": [{"value": 0.5}, {"value": [1.0, 2.0, 3.0]}],
    "Identity": [{"gain": 2.0}],
    "STFT": [
        {"side": "imag"},
        {"scaling": "spectrum"},
        {"scaling": None, "periodic": True},
        {"window": None},
    ],
    "RandomNormal": [{"mean": 1.0, "stddev": 2.0, "seed": 3}],
    "TruncatedNormal": [{"mean": 1.0, "stddev": 2.0, "seed": 3}],
    "RandomUniform": [{"minval": -1.0, "maxval": 3.0, "seed": 3}],
    "VarianceScaling": [
        {"scale": 2.0, "mode": mode, "distribution": kind, "seed": 3}
        for mode in ("fan_in", "fan_out", "fan_avg")
        for kind in ("normal", "truncated_normal", "untruncated_normal", "uniform")
    ],
    "Orthogonal": [{"gain": 2.0, "seed": 3}],
}
EXACT = {"Zeros", "Ones", "Constant", "Identity", "STFT"}
RUNS = [
    (name, arguments)
    for name in CLASSES
    for arguments in [{}, *ARGUMENTS.get(name, [])]
]


def ids(value):
    return str(value)


@pytest.mark.parametrize(("name", "arguments"), RUNS, ids=ids)
def test_config_goes_both_ways(keras, name, arguments):
    if name == "STFT" and isinstance(arguments.get("window", "hann"), str):
        pytest.importorskip("scipy")
    real = getattr(keras.initializers, name)(**arguments)
    own = getattr(initializers, name)(**arguments)
    # Keras 3.15 leaves the gain out of Identity's configuration; it reads it, though.
    extra = {"gain": own.gain} if name == "Identity" else {}
    theirs = keras.initializers.serialize(real)
    theirs["config"] |= extra
    assert own.get_config() == real.get_config() | extra
    assert initializers.serialize(own) == theirs
    assert initializers.deserialize(theirs).get_config() == own.get_config()
    back = keras.initializers.deserialize(initializers.serialize(own))
    assert back.get_config() == real.get_config()
    assert own.clone().get_config() == own.get_config()


@pytest.mark.parametrize(
    ("name", "arguments"), [run for run in RUNS if run[0] in EXACT], ids=ids
)
def test_same_values(keras, name, arguments):
    shape = (64, 1, 33) if name == "STFT" else (3, 3)
    real = np.asarray(getattr(keras.initializers, name)(**arguments)(shape))
    own = np.asarray(getattr(initializers, name)(**arguments)(shape))
    assert own.shape == real.shape
    assert own.dtype == real.dtype
    # Keras computes the angles of STFT in float32, up to 200 here; ours are float64.
    np.testing.assert_allclose(own, real, rtol=1e-6, atol=2e-5 * (name == "STFT"))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [run for run in RUNS if run[0] not in EXACT | {"Orthogonal"}],
    ids=ids,
)
@pytest.mark.parametrize("shape", [(300, 200), (3, 5, 40, 100), (60_000,)], ids=str)
def test_same_distribution(keras, name, arguments, shape):
    arguments = {"seed": 5} | arguments
    real = np.asarray(getattr(keras.initializers, name)(**arguments)(shape))
    own = np.asarray(getattr(initializers, name)(**arguments)(shape))
    assert own.shape == real.shape
    assert own.dtype == real.dtype
    spread = real.std()
    # 60,000 values: means are within 0.004 of a standard deviation, five sigma 0.02.
    assert abs(own.mean() - real.mean()) < 0.03 * spread
    assert abs(own.std() / spread - 1) < 0.02
    levels = np.linspace(0.01, 0.99, 15)
    gap = np.quantile(own, levels) - np.quantile(real, levels)
    assert np.abs(gap).max() < 0.08 * spread
    if "normal" not in str(arguments) + name.lower():
        assert own.min() >= real.min() - 0.01 * spread
        assert own.max() <= real.max() + 0.01 * spread


def test_truncated_normal_stays_within_two_deviations():
    values = np.asarray(random.truncated_normal((100_000,), 1.0, 0.5, seed=1))
    assert values.min() >= 0.0
    assert values.max() <= 2.0


@pytest.mark.parametrize("shape", [(7, 4), (4, 7), (3, 3, 2, 9)], ids=str)
def test_orthogonal(shape):
    matrix = np.asarray(initializers.Orthogonal(2.0, seed=1)(shape), "float64")
    matrix = matrix.reshape(-1, shape[-1])
    rows, columns = matrix.shape
    product = matrix.T @ matrix if rows >= columns else matrix @ matrix.T
    np.testing.assert_allclose(product, 4 * np.eye(min(rows, columns)), atol=1e-5)
    with pytest.raises(ShapeError, match="RV108"):
        initializers.Orthogonal()((3,))


@pytest.mark.parametrize(
    "name",
    [
        "glorot_uniform",
        "GlorotUniform",
        "he_normal",
        "lecun_uniform",
        "zeros",
        "zero",
        "one",
        "normal",
        "uniform",
        "random_normal",
        "orthogonal",
        "OrthogonalInitializer",
        "identity",
        "IdentityInitializer",
        "truncated_normal",
        "variance_scaling",
    ],
)
def test_names_resolve_as_in_keras(keras, name):
    assert type(initializers.get(name)).__name__ == (
        type(keras.initializers.get(name)).__name__
    )


def test_other_identifiers():
    assert initializers.get(None) is None
    assert isinstance(initializers.get(initializers.Ones), initializers.Ones)
    with pytest.raises(ShapeError, match=r"glorot_uniform|GlorotUniform"):
        initializers.get("glorot_unifrom")
    given = initializers.get(np.arange(3.0))
    np.testing.assert_array_equal(given((3,), "float32"), [0, 1, 2])
    with pytest.raises(ShapeError, match="RV108"):
        given((4,), "float32")


def test_seeds():
    first = np.asarray(initializers.GlorotUniform(seed=1)((8, 8)))
    assert (first == np.asarray(initializers.GlorotUniform(seed=1)((8, 8)))).all()
    assert (first != np.asarray(initializers.GlorotUniform(seed=2)((8, 8)))).any()
    generator = random.SeedGenerator(1)
    twice = initializers.GlorotUniform(seed=generator)
    assert (np.asarray(twice((8, 8))) != np.asarray(twice((8, 8)))).any()

    def two_layers():
        return [np.asarray(initializers.HeNormal()((8, 8))) for _ in range(2)]

    _seed.set_seed(7)
    a, b = two_layers()
    _seed.set_seed(7)
    c, d = two_layers()
    assert (a != b).any()
    np.testing.assert_array_equal([a, b], [c, d])
    with pytest.raises(ShapeError, match="RV100"):
        initializers.HeNormal(seed="x")


def test_draws_in_a_trace_use_and_change_the_state():
    eager, traced = random.SeedGenerator(3), random.SeedGenerator(3)
    wanted = [np.asarray(random.normal((4, 5), seed=eager)) for _ in range(3)]
    graph = trace(
        lambda inputs: {"z": random.normal((4, 5), seed=traced) + inputs["x"]},
        {"x": Spec((4, 5), "float32")},
    )
    results = [*graph.outputs.values(), *graph.updates.values()]
    for values in wanted:
        known = {graph.inputs["x"]: np.zeros((4, 5), "float32")}
        for node in walk(results):
            if node.op.name == "variable":
                known[node] = node.attrs["variable"].numpy()
        found, state = Interpreter().run(results, known)
        traced.state.assign(state)
        np.testing.assert_array_equal(found, values)


def test_random_functions():
    bits = np.asarray(random.randint((60_000,), 2, 8, seed=1))
    assert bits.dtype == "int32"
    assert set(bits) == set(range(2, 8))
    assert np.abs(np.bincount(bits)[2:] / 10_000 - 1).max() < 0.05
    order = np.asarray(random.shuffle(np.arange(50), seed=1))
    assert sorted(order) == list(range(50))
    assert (order != np.arange(50)).any()
    x = np.ones((200, 300), "float32")
    dropped = np.asarray(random.dropout(x, 0.25, seed=1))
    assert set(np.unique(dropped)) == {0.0, np.float32(1 / 0.75)}
    assert abs((dropped == 0).mean() - 0.25) < 0.01
    columns = np.asarray(random.dropout(x, 0.5, noise_shape=(1, None), seed=1))
    assert (columns == columns[0]).all()
    share = np.log(np.array([[0.1, 0.2, 0.7]], "float32"))
    drawn = np.asarray(random.categorical(share, 30_000, seed=1))
    assert drawn.shape == (1, 30_000)
    np.testing.assert_allclose(
        np.bincount(drawn[0]) / 30_000, [0.1, 0.2, 0.7], atol=0.02
    )
    for bad in (
        lambda: random.uniform((2,), dtype="int32"),
        lambda: random.randint((2,), 3, 3),
        lambda: random.normal((2,), seed="x"),
        lambda: random.SeedGenerator("x"),
    ):
        with pytest.raises(ShapeError, match="RV100"):
            bad()
