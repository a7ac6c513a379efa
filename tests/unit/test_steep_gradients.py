"""RV301 for a gradient that is no number although the loss is one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import ranvier as keras
from ranvier import ops
from ranvier.data.arrays import Arrays
from ranvier.engines.native import engine as native
from ranvier.errors import NumericsError
from ranvier.models.loops import step_of

ENGINES = [("reference", 1), ("native", 1), ("native", 2), ("native", 3)]
BAD_ROW = 20


@pytest.fixture(params=ENGINES, ids=lambda p: f"{p[0]}-{p[1]}")
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    name, workers = request.param
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "judge", lambda *_: native.Verdict.SEVERAL)
        patch.setattr(native, "config_threads", lambda: workers)
        yield name


def root(t: Any, p: Any) -> Any:
    """Finite everywhere, and infinitely steep where a target is 0."""
    return ops.mean(ops.sqrt(ops.square(p) * t), axis=-1)


def data(bad: bool = True, rows: int = 32) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 4)).astype("float32")
    y = rng.uniform(0.5, 1.0, size=(rows, 2)).astype("float32")
    if bad:
        y[BAD_ROW, 1] = 0
    return x, y


def network(
    engine: str | None = None, loss: Any = root, optimizer: Any = "adam", **options: Any
) -> Any:
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(80, "relu"),
            keras.layers.Dense(70, "tanh", kernel_regularizer="l2"),
            keras.layers.Dense(2),
        ]
    )
    model.compile(optimizer, loss, engine=engine, **options)
    return model


def state_of(model: Any) -> list[Any]:
    return [v.numpy() for v in (*model.variables, *model.optimizer.variables)]


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: "sgd",
        lambda: "adam",
        lambda: keras.optimizers.Adam(clipnorm=1.0),
        lambda: keras.optimizers.SGD(gradient_accumulation_steps=2),
    ],
    ids=["sgd", "adam", "clipnorm", "accumulated"],
)
def test_nothing_of_the_step_is_written(engine: str, optimizer: Any) -> None:
    x, y = data()
    model, good = (network(engine, optimizer=optimizer()) for _ in range(2))
    with pytest.raises(NumericsError) as caught:
        model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
    assert caught.value.code == "RV301"
    text = str(caught.value)
    assert "the gradient of " in text
    assert "epoch 1, batch 3 of 4" in text
    assert f"for row {BAD_ROW}" in text
    assert "test_steep_gradients.py" in text
    good.fit(x[:16], y[:16], batch_size=8, shuffle=False, verbose=0)
    for mine, wanted in zip(state_of(model), state_of(good), strict=True):
        np.testing.assert_array_equal(mine, wanted)
    # And both go on from there.
    for one in (model, good):
        one.fit(*data(bad=False), batch_size=8, initial_epoch=1, epochs=2, verbose=0)
    for mine, wanted in zip(state_of(model), state_of(good), strict=True):
        np.testing.assert_array_equal(mine, wanted)


def test_a_step_that_python_runs_stops_too() -> None:
    model = network(run_eagerly=True)
    with pytest.raises(NumericsError, match="the gradient of"):
        model.fit(*data(), batch_size=8, shuffle=False, verbose=0)
    assert int(model.optimizer.iterations.numpy()) == 2


def test_who_asks_for_it_goes_on(engine: str) -> None:
    model = network(engine)
    with np.errstate(all="ignore"):
        model.fit(*data(), batch_size=8, shuffle=False, verbose=0, allow_nan=True)
    assert not all(np.isfinite(w).all() for w in model.get_weights())


def test_a_layer_that_is_steep(engine: str) -> None:
    """Inside the network, and only rows that are alive bring it down to the weights."""

    class Norm(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return ops.sqrt(ops.sum(ops.square(x), axis=-1, keepdims=True))

    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(70, "relu"), Norm()]
    )
    model.compile("sgd", "mse", engine=engine)
    x, y = data(bad=False)
    model.fit(x, y[:, :1], batch_size=8, verbose=0)
    before = model.get_weights()
    x[:] = 0  # with a bias below 0 no unit is alive: the norm of zeros
    model.set_weights([before[0], -np.ones_like(before[1])])
    # NaN reaches the units, whose slope is 0 there: what is written stays finite.
    model.fit(x, y[:, :1], batch_size=8, verbose=0)
    assert all(np.isfinite(w).all() for w in model.get_weights())


def checks(model: Any, x: Any, y: Any) -> list[str]:
    found = step_of(model, "train", Arrays(x, y)).graph.checks
    return [name for name in found if name != "loss"]


@pytest.mark.parametrize(
    ("loss", "last"),
    [
        ("mse", None),
        ("mae", None),
        ("huber", None),
        ("log_cosh", None),
        ("cosine_similarity", None),
        ("categorical_hinge", None),
        ("binary_crossentropy", "sigmoid"),
        ("categorical_crossentropy", "softmax"),
        ("categorical_focal_crossentropy", "softmax"),
        ("kl_divergence", "softmax"),
        ("sparse_categorical_crossentropy", "softmax"),
    ],
)
def test_ordinary_steps_are_not_slowed(loss: str, last: str | None) -> None:
    x, y = data()
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(5, "gelu"),
            keras.layers.Dense(2, last),
        ]
    )
    model.compile("adam", loss, metrics=["accuracy"])
    y = np.zeros((32, 1), "int32") if loss.startswith("sparse") else y
    assert checks(model, x, y) == []


SAFE: dict[str, Callable[[Any, Any], Any]] = {
    "epsilon": lambda t, p: ops.sqrt(ops.square(p - t) + 1e-6),
    "a largest denominator": lambda t, p: ops.square(t) / ops.maximum(p, 1e-3),
    "chosen": lambda t, p: t / ops.where(p > 0.0, p, ops.ones_like(p)),
    "log-sum-exp": lambda t, p: ops.logsumexp(p, axis=-1) + 0.0 * ops.mean(t),
}


@pytest.mark.parametrize("name", SAFE)
def test_what_cannot_be_divided_by_zero_is_not_looked_at(name: str) -> None:
    assert checks(network(loss=SAFE[name]), *data()) == []


STEEP: dict[str, Callable[[Any, Any], Any]] = {
    "sqrt": root,
    "norm": lambda t, p: ops.norm(p - t, axis=-1),
    "divided": lambda t, p: ops.square(t) / p,
    "log": lambda t, p: ops.log(ops.square(p)) + t,
    "chosen too late": lambda t, p: ops.where(p > 0.0, ops.log(p), 0.0 * t),
    "power": lambda t, p: ops.power(ops.abs(p), 0.5) + t,
    "rsqrt": lambda t, p: ops.rsqrt(ops.abs(p)) + t,
}


@pytest.mark.parametrize("name", STEEP)
def test_what_may_be_divided_by_zero_is_looked_at(name: str) -> None:
    assert checks(network(loss=STEEP[name]), *data())


def test_a_deep_graph_is_asked_once_a_node() -> None:
    def doubled(t: Any, p: Any) -> Any:
        x = ops.square(p) + 1.0
        for _ in range(40):  # two ways through each: 2**40 in all
            x = 0.5 * (x + x)
        return ops.square(t) / x

    assert isinstance(checks(network(loss=doubled), *data()), list)
