"""RV301: a loss that is no number stops a step before anything of it is written."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import ranvier as keras
from ranvier import ops
from ranvier.engines import api
from ranvier.engines.native import engine as native
from ranvier.errors import NumericsError
from ranvier.graph import Dim, Spec, Variable, trace
from ranvier.graph import functions as f
from ranvier.graph.passes.grad import gradients
from ranvier.graph.trace import must_be_finite

#: Engine and number of workers.
ENGINES = [("reference", 1), ("native", 1), ("native", 2), ("native", 3)]
BAD_ROW = 44
SIZE = 8

State = dict[str, np.ndarray[Any, Any]]


@pytest.fixture(params=ENGINES, ids=lambda p: f"{p[0]}-{p[1]}")
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each engine, the native one with several workers even for little work."""
    name, workers = request.param
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "judge", lambda *_: native.Verdict.SEVERAL)
        patch.setattr(native, "config_threads", lambda: workers)
        yield name


def log_squared(target: Any, output: Any) -> Any:
    """Infinite for a target of 0."""
    return ops.mean(ops.square(output - ops.log(target)), axis=-1)


def data(good: bool = False) -> tuple[Any, Any]:
    """Finite rows, one of which makes the loss infinite."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 12)).astype("float32")
    y = rng.uniform(0.5, 2.0, size=(64, 1)).astype("float32")
    if not good:
        y[BAD_ROW] = 0.0
    return x, y


def network(engine: str | None = None, loss: Any = log_squared, **options: Any) -> Any:
    """Wide enough for panels, with what a step may change besides weights."""
    keras.utils.set_random_seed(11)
    model = keras.Sequential(
        [
            keras.Input((12,)),
            keras.layers.Dense(80, activation="relu"),
            keras.layers.Dropout(0.1),
            keras.layers.Dense(16, activation="tanh", kernel_regularizer="l2"),
            keras.layers.Dense(1),
        ]
    )
    options.setdefault("optimizer", keras.optimizers.Adam(0.01, clipnorm=1.0))
    model.compile(loss=loss, metrics=["mae"], engine=engine, **options)
    return model


def state_of(model: Any) -> State:
    """All that training changes, metrics apart."""
    found = {f"weight {i}": w for i, w in enumerate(model.get_weights())}
    for i, variable in enumerate(model.optimizer.variables):
        found[f"slot {i}"] = variable.numpy()
    for at, layer in enumerate(model.layers):  # seeds are no weights
        for i, variable in enumerate(layer.variables):
            found[f"layer {at} {i}"] = variable.numpy()
    return found


def assert_same_bits(got: State, want: State) -> None:
    assert got.keys() == want.keys()
    for name, value in want.items():
        np.testing.assert_array_equal(got[name], value, err_msg=name)


def refused(call: Callable[[], Any]) -> str:
    """The text of RV301."""
    with pytest.raises(NumericsError) as caught:
        call()
    assert caught.value.code == "RV301", caught.value
    return str(caught.value)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop", "adamw"])
def test_the_state_is_that_of_the_last_good_step(engine: str, optimizer: str) -> None:
    x, y = data()
    model = network(engine, optimizer=optimizer)
    text = refused(
        lambda: model.fit(x, y, batch_size=SIZE, shuffle=False, verbose=0, epochs=3)
    )
    assert "epoch 1, batch 6 of 8" in text
    good = network(engine, optimizer=optimizer)
    good.fit(x[:40], y[:40], batch_size=SIZE, shuffle=False, verbose=0)
    assert_same_bits(state_of(model), state_of(good))
    assert int(model.optimizer.iterations.numpy()) == 5
    # And it goes on from there.
    for one in (model, good):
        one.fit(*data(good=True), batch_size=SIZE, verbose=0, epochs=2, initial_epoch=1)
    assert_same_bits(state_of(model), state_of(good))


def test_the_message_names_the_operation_its_line_and_the_row(engine: str) -> None:
    x, y = data()
    line = log_squared.__code__.co_firstlineno + 2
    text = refused(
        lambda: network(engine).fit(x, y, batch_size=SIZE, epochs=2, verbose=0)
    )
    assert f"test_divergence.py:{line}" in text
    assert f"for row {BAD_ROW}: log(0) is -inf" in text
    assert "ops.maximum" in text
    assert "loss became inf in epoch 1, batch " in text


def test_one_batch_at_a_time_and_batches_of_an_iterable(engine: str) -> None:
    x, y = data()
    model, good = network(engine), network(engine)
    for start in (0, 8):
        rows = slice(start, start + 8)
        model.train_on_batch(x[rows], y[rows])
        good.train_on_batch(x[rows], y[rows])
    text = refused(lambda: model.train_on_batch(x[40:48], y[40:48]))
    assert "log(0)" in text
    assert_same_bits(state_of(model), state_of(good))

    def batches() -> Iterator[Any]:
        for start in (16, 40, 24):
            yield x[start : start + 8], y[start : start + 8]

    assert "batch 2" in refused(lambda: model.fit(batches(), verbose=0))
    good.fit(x[16:24], y[16:24], batch_size=8, shuffle=False, verbose=0)
    assert_same_bits(state_of(model), state_of(good))


def test_a_batch_hook_sees_only_good_batches(engine: str) -> None:
    x, y = data()
    seen: list[int] = []
    hook = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(batch)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        refused(
            lambda: network(engine).fit(
                x, y, batch_size=8, shuffle=False, callbacks=[hook], verbose=0
            )
        )
    assert seen == [0, 1, 2, 3, 4]


def test_a_rate_that_is_too_high_is_told_with_the_layer(engine: str) -> None:
    x, y = data(good=True)
    model = network(engine, "mse", optimizer=keras.optimizers.SGD(1e6))
    text = refused(lambda: model.fit(x * 10, y, batch_size=8, epochs=50, verbose=0))
    assert "(now 1e+06)" in text
    assert "grown step by step" in text
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_who_asks_for_it_goes_on(engine: str) -> None:
    x, y = data()
    model = network(engine)
    with np.errstate(all="ignore"):
        history = model.fit(
            x, y, batch_size=8, shuffle=False, verbose=0, allow_nan=True, epochs=2
        ).history
    assert not np.isfinite(history["loss"]).any()
    assert int(model.optimizer.iterations.numpy()) == 16
    assert not all(np.isfinite(w).all() for w in model.get_weights())


def test_terminate_on_nan_stops_as_in_keras(engine: str) -> None:
    x, y = data()
    order: list[Any] = []
    told = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: order.append((batch, logs["loss"])),
        on_epoch_end=lambda epoch, logs: order.append(("epoch", logs["loss"])),
        on_train_end=lambda logs: order.append(("end", logs["loss"])),
    )
    model = network(engine)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        history = model.fit(
            x, y, batch_size=8, shuffle=False, verbose=0, epochs=4,
            callbacks=[[keras.callbacks.TerminateOnNaN()], told],
        ).history  # fmt: skip
    assert model.stop_training
    assert [name for name, _ in order] == [0, 1, 2, 3, 4, 5, "epoch", "end"]
    assert np.isfinite([loss for _, loss in order[:5]]).all()
    assert np.isinf([loss for _, loss in order[5:]]).all()
    assert len(history["loss"]) == 1


def test_evaluation_gives_what_it_finds(engine: str) -> None:
    x, y = data()
    with np.errstate(all="ignore"):
        assert np.isinf(network(engine).evaluate(x, y, verbose=0)[0])


class Pair(keras.Model):
    """Two optimizers in a step of its own; the second loss sees the first update."""

    def __init__(self, own_tracker: bool = False) -> None:
        super().__init__()
        self.first = keras.layers.Dense(70, activation="tanh")
        self.second = keras.layers.Dense(1)
        self.other = keras.optimizers.SGD(0.01)
        self.tracker = keras.metrics.Mean(name="loss") if own_tracker else None

    def call(self, x: Any, training: bool = False) -> Any:
        """Both layers."""
        return self.second(self.first(x))

    def train_step(self, data: Any) -> Any:
        """One update of each layer."""
        x, y = data
        weights = self.first.trainable_variables
        loss = ops.mean(ops.square(self(x) - y))
        self.optimizer.apply(gradients(loss, weights), weights)
        weights = self.second.trainable_variables
        late = ops.mean(log_squared(y, self(x)))
        self.other.apply(gradients(late, weights), weights)
        if self.tracker is not None:
            self.tracker.update_state(late)
            return {"loss": self.tracker.result()}
        return {"first_loss": loss, "second_loss": late}


@pytest.mark.parametrize("tracker", [False, True])
def test_a_step_of_ones_own_that_depends_on_its_first_update(
    engine: str, tracker: bool
) -> None:
    """The second loss is known after the first update, which must not be written."""
    x, y = data()
    states = []
    for rows, fails in ((64, True), (40, False)):
        keras.utils.set_random_seed(4)
        model = Pair(tracker)
        model.compile(optimizer="adam", engine=engine)

        def go(model: Any = model, rows: int = rows) -> Any:
            return model.fit(x[:rows], y[:rows], batch_size=8, shuffle=False, verbose=0)

        if fails:
            text = refused(go)
            name = "loss" if tracker else "second_loss"
            assert f"{name} became inf in epoch 1, batch 6" in text
        else:
            go()
        states.append(state_of(model) | {"other": model.other.iterations.numpy()})
    assert_same_bits(*states)


def test_weights_that_are_bad_already_are_named() -> None:
    x, y = data(good=True)
    model = network(loss="mse")
    weights = model.get_weights()
    weights[2][3, 5] = np.nan
    model.set_weights(weights)
    text = refused(lambda: model.fit(x, y, verbose=0))
    assert "dense_1/kernel" in text.replace(model.layers[2].name, "dense_1")
    assert "not finite already" in text


# -------------------------------------------------------------- the check in the plan

B = Dim.symbol("batch")


def step_graph(loss_of: Callable[[Any], Any], size: int = 4) -> tuple[Any, Variable]:
    """A graph that adds 1 to a variable, with a loss to check."""
    variable = Variable(np.zeros(size, "float32"), name="v")

    def step(i: Any) -> Any:
        must_be_finite("loss", loss_of(i["x"]))
        variable.assign(variable + 1.0)
        return {}

    return trace(step, {"x": Spec((B, 3), "float32")}), variable


@pytest.mark.parametrize(
    ("loss_of", "row"),
    [
        (
            lambda x: f.mean(x),
            [3e38, 3e38, 3e38],
        ),  # the sum overflows, as the mean does
        (lambda x: -f.mean(x), [np.nan, 1, 1]),
        (lambda x: f.sum(x) / 7.0, [np.inf, 1, 1]),
        (lambda x: f.sum(x) * 0.5, [np.inf, -np.inf, 1]),
        (lambda x: f.sum(x) / 1e-30, [1e9, 1, 1]),
        (lambda x: f.sum(x) * 1e30, [1e9, 1, 1]),
        (lambda x: f.sum(x) + f.max(x), [3e38, 0, 0]),
        (lambda x: f.log(f.sum(x) - 6.0), [1, 1, 1]),
    ],
)
def test_a_check_sees_the_value_itself(
    engine: str, loss_of: Callable[[Any], Any], row: list[float]
) -> None:
    """Whatever stands between it and what is looked at."""
    graph, variable = step_graph(loss_of)
    executable = api.get(engine).compile(graph)
    good = np.full((6, 3), 2.0, "float32")
    bad = np.concatenate([good, np.array([row] * 2, "float32")])
    with np.errstate(all="ignore"):
        record = executable.run(api.Batches({"x": bad}, 2, check_finite=["loss"]))
        assert record.fault is not None
        assert (record.fault.code, record.fault.input) == ("RV301", "loss")
        assert record.steps == 3
        np.testing.assert_array_equal(variable.numpy(), 3.0)
        with pytest.raises(NumericsError):
            executable.call({"x": bad[6:]}, ["loss"])
        np.testing.assert_array_equal(variable.numpy(), 3.0)
        # Not asked for, it is not looked at.
        assert executable.run(api.Batches({"x": bad}, 2)).fault is None
        executable.call({"x": bad[6:]})
    np.testing.assert_array_equal(variable.numpy(), 8.0)


def test_a_loss_that_is_a_variable(engine: str) -> None:
    weight = Variable(np.float32(1.0), name="w")

    def step(i: Any) -> Any:
        must_be_finite("loss", weight.value)
        weight.assign(weight * f.sum(i["x"]))
        return {}

    executable = api.get(engine).compile(trace(step, {"x": Spec((B, 3), "float32")}))
    x = np.array([[1, 1, 1], [np.inf, 0, 0], [1, 0, 0]], "float32")
    record = executable.run(api.Batches({"x": x}, 1, check_finite=["loss"]))
    assert record.steps == 2
    assert np.isinf(weight.numpy())


def plans(model: Any) -> list[Any]:
    """The plans of a model's training step."""
    return [
        plan
        for step in model._steps.values()
        if step.kind == "train"
        for plan in step.executable._plans.values()
    ]


@pytest.mark.parametrize("rows", [1, 32])
def test_looking_at_the_loss_costs_at_most_one_small_step(rows: int) -> None:
    """And no wait: it happens at the guard that looks at the labels too. Where the loss
    is a sum over rows, the sum itself looks."""
    x = np.random.default_rng(0).normal(size=(rows, 20)).astype("float32")
    y = np.arange(rows) % 5
    found = []
    for allow in (True, False):
        keras.utils.set_random_seed(1)
        model = keras.Sequential(
            [keras.layers.Dense(32, activation="relu"), keras.layers.Dense(5)]
        )
        model.compile(
            "adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        )
        model.fit(x, y, batch_size=rows, verbose=0, allow_nan=allow)
        (plan,) = plans(model)
        found.append([step.kernel for step in plan.steps])
        guards = [step for step in plan.steps if step.guard]
        assert len(guards) == 1
    without, checked = found
    own_step = ["check_finite"] if rows == 1 else []
    assert sorted(checked) == sorted([*without, *own_step])
