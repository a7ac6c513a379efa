"""LossScaleOptimizer against real Keras: 20 steps, some of which overflow."""

from __future__ import annotations

import numpy as np
import pytest

from ranvier import optimizers as ours
from ranvier.graph import Variable

SHAPES = ((5, 3), (3,))
INNER = [
    ("SGD", {"learning_rate": 0.05, "momentum": 0.9}),
    ("Adam", {"learning_rate": 0.05, "clipnorm": 0.5, "weight_decay": 0.1}),
    ("Muon", {"learning_rate": 0.05}),
    ("SGD", {"learning_rate": 0.1, "use_ema": True, "ema_momentum": 0.9}),
]


def data():
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=s).astype("float32") for s in SHAPES]
    grads = [
        [(rng.normal(size=s) * 64).astype("float32") for s in SHAPES] for _ in range(20)
    ]
    grads[4][1][2] = np.inf
    grads[5][0][0, 0] = np.nan
    grads[15][0][4, 2] = -np.inf
    return weights, grads


def kinds(module, name, arguments):
    inner = getattr(module, name)(**arguments, name="inner")
    return module.LossScaleOptimizer(inner, 64.0, 3, name="x")


@pytest.mark.parametrize(("name", "arguments"), INNER, ids=str)
def test_same_numbers_over_20_steps(keras, name, arguments):
    weights, grads = data()
    real, own = kinds(keras.optimizers, name, arguments), kinds(ours, name, arguments)
    theirs = [keras.Variable(w, name=f"w{i}") for i, w in enumerate(weights)]
    mine = [Variable(w, name=f"w{i}") for i, w in enumerate(weights)]
    real.build(theirs)
    own.build(mine)
    scales = set()
    for step in grads:
        # On JAX, Keras's conditions need the form without assignments.
        new, state = real.stateless_apply(
            [v.value for v in real.variables],
            [keras.ops.convert_to_tensor(g) for g in step],
            [v.value for v in theirs],
        )
        for variable, value in zip(
            [*theirs, *real.variables], [*new, *state], strict=True
        ):
            variable.assign(value)
        own.apply(step, mine)
        scale = float(own.dynamic_scale.numpy())
        assert scale == float(real.dynamic_scale)
        assert float(own.scale_loss(3.0)) == 3.0 * scale
        scales.add(scale)
    assert len(scales) == 4
    assert int(own.iterations.numpy()) == int(real.iterations) == 17
    for a, b in zip([*mine, *own.variables], [*theirs, *real.variables], strict=True):
        np.testing.assert_allclose(a.numpy(), np.asarray(b), rtol=2e-5, atol=2e-6)


def test_configuration_is_that_of_keras(keras):
    real = kinds(keras.optimizers, *INNER[1])
    own = kinds(ours, *INNER[1])
    assert ours.serialize(own) == keras.optimizers.serialize(real)
    again = ours.get(keras.optimizers.serialize(real))
    assert again.get_config() == own.get_config()
    old = dict(real.get_config(), weight_decay=None, use_ema=False)
    assert ours.LossScaleOptimizer.from_config(old).initial_scale == 64.0
