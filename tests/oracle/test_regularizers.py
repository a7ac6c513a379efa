"""Regularizers and constraints against real Keras."""

from __future__ import annotations

import numpy as np
import pytest

from ranvier import constraints, regularizers
from ranvier.errors import ShapeError
from ranvier.graph import Variable

PENALTIES = {
    "L1": [{}, {"l1": 0.3}],
    "L2": [{}, {"l2": 0.3}],
    "L1L2": [{}, {"l1": 0.2}, {"l2": 0.3}, {"l1": 0.2, "l2": 0.3}],
    "OrthogonalRegularizer": [{}, {"factor": 0.2, "mode": "columns"}],
}
LIMITS = {
    "MaxNorm": [{}, {"max_value": 0.5}, {"max_value": 1.0, "axis": [0, 1]}],
    "MinMaxNorm": [{}, {"min_value": 2.0, "max_value": 3.0, "rate": 0.4, "axis": 1}],
    "NonNeg": [{}],
    "UnitNorm": [{}, {"axis": 1}],
}


def runs(table):
    return [(name, arguments) for name, all_ in table.items() for arguments in all_]


def weight(seed=0):
    w = np.random.default_rng(seed).normal(size=(6, 4)).astype("float32")
    w[:, 0] = 0
    return w


def test_every_class_is_tested():
    for module, table, base in (
        (regularizers, PENALTIES, "Regularizer"),
        (constraints, LIMITS, "Constraint"),
    ):
        classes = {n for n in module.__all__ if isinstance(getattr(module, n), type)}
        assert classes - {base} == set(table)


@pytest.mark.parametrize(("name", "arguments"), runs(PENALTIES), ids=str)
def test_penalty(keras, name, arguments):
    real = getattr(keras.regularizers, name)(**arguments)
    own = getattr(regularizers, name)(**arguments)
    for w in (weight(), weight()[:, 1:]):
        wanted = float(real(keras.ops.convert_to_tensor(w)))
        np.testing.assert_allclose(float(own(Variable(w)).numpy()), wanted, rtol=2e-6)
    assert own.get_config() == pytest.approx(real.get_config())
    again = regularizers.deserialize(keras.regularizers.serialize(real))
    assert again.get_config() == pytest.approx(own.get_config())
    mine, theirs = regularizers.serialize(own), keras.regularizers.serialize(real)
    assert mine.pop("config") == pytest.approx(theirs.pop("config"))
    assert mine == theirs


@pytest.mark.parametrize(("name", "arguments"), runs(LIMITS), ids=str)
def test_limit(keras, name, arguments):
    real = getattr(keras.constraints, name)(**arguments)
    own = getattr(constraints, name)(**arguments)
    w = weight(1)
    wanted = np.asarray(real(keras.ops.convert_to_tensor(w)))
    np.testing.assert_allclose(own(w).numpy(), wanted, rtol=2e-6, atol=1e-7)
    assert constraints.serialize(own) == keras.constraints.serialize(real)
    again = constraints.deserialize(keras.constraints.serialize(real))
    assert again.get_config() == own.get_config()


def test_names():
    assert isinstance(regularizers.get("l2"), regularizers.L2)
    assert isinstance(regularizers.get("L1L2"), regularizers.L1L2)
    assert isinstance(regularizers.get("l1_l2"), regularizers.L1L2)
    assert isinstance(constraints.get("max_norm"), constraints.MaxNorm)
    assert isinstance(constraints.get("NonNeg"), constraints.NonNeg)
    assert regularizers.get(None) is None
    assert constraints.serialize(None) is None
    function = abs
    assert constraints.get(function) is function
    for module, bad in ((regularizers, "l3"), (constraints, "maxnrom")):
        with pytest.raises(ShapeError, match="RV107"):
            module.get(bad)


def test_bad_arguments():
    for bad in (
        lambda: regularizers.L1(-1.0),
        lambda: regularizers.L2(float("nan")),
        lambda: regularizers.L1L2(l1="x"),
        lambda: regularizers.OrthogonalRegularizer(mode="diagonal"),
    ):
        with pytest.raises(ShapeError, match="RV100"):
            bad()
    with pytest.raises(ShapeError, match="RV108"):
        regularizers.OrthogonalRegularizer()(np.zeros(3, "float32"))
