"""Losses that need numbers run in Python on every batch, and give what ops would give."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import ranvier as keras
from ranvier import ops
from ranvier.errors import NumericsError, RanvierError, RanvierWarning
from ranvier.graph import Dim, Spec, trace

# ---------------------------------------------- losses, in Python and written with ops


def _branch(target: Any, output: Any) -> Any:
    if ops.mean(output) > 0:
        return ops.mean(ops.square(target - output), axis=-1)
    return ops.mean(ops.abs(target - output), axis=-1) * 2


def _branch_of_ops(target: Any, output: Any) -> Any:
    return ops.where(
        ops.mean(output) > 0,
        ops.mean(ops.square(target - output), axis=-1),
        ops.mean(ops.abs(target - output), axis=-1) * 2,
    )


def _rows(target: Any, output: Any) -> Any:
    total = 0.0
    for i in range(len(output)):
        miss = ops.sum(target[i] - output[i])
        total = total + (miss * miss if float(miss) > 0 else -3 * miss)
    return total / output.shape[0]


def _rows_of_ops(target: Any, output: Any) -> Any:
    miss = ops.sum(target - output, axis=-1)
    return ops.mean(ops.where(miss > 0, miss * miss, -3 * miss))


def _scaled(target: Any, output: Any) -> Any:
    scale = np.abs(np.asarray(target)).max()  # of the targets: no gradient is lost
    return ops.mean(ops.square(target / scale - output), axis=-1)


def _scaled_by_ops(target: Any, output: Any) -> Any:
    scale = ops.max(ops.abs(target))
    return ops.mean(ops.square(target / scale - output), axis=-1)


PAIRS = [(_branch, _branch_of_ops), (_rows, _rows_of_ops), (_scaled, _scaled_by_ops)]
pairs = pytest.mark.parametrize(
    ("python", "traced"), PAIRS, ids=[a.__name__ for a, _ in PAIRS]
)


def data(n: int = 61) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(n, 5)).astype("float32")
    return x, rng.normal(size=(n, 1)).astype("float32"), rng.random(n).astype("float32")


def network(loss: Any, **options: Any) -> Any:
    keras.utils.set_random_seed(5)
    model = keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(16, activation="tanh"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(1),
        ]
    )
    options.setdefault("metrics", ["mae"])
    options.setdefault("weighted_metrics", ["mse"])
    model.compile(keras.optimizers.Adam(0.02), loss, **options)
    return model


def quietly(call: Callable[[], Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RanvierWarning)
        return call()


def assert_alike(got: Any, want: Any) -> None:
    np.testing.assert_allclose(got, want, rtol=2e-4, atol=2e-6)


@pytest.mark.parametrize("eagerly", [False, True])
@pairs
def test_it_trains_as_the_same_loss_of_ops_does(
    python: Any, traced: Any, eagerly: bool
) -> None:
    """Weights, logs, metrics, sample weights, validation, batches of uneven size."""
    x, y, w = data()
    found = []
    for loss in (python, traced):
        python_runs = loss is python and eagerly
        model = network(loss, run_eagerly=python_runs)
        weight = None if loss in PAIRS[1] else w
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            history = model.fit(
                x, y, batch_size=15, epochs=3, verbose=0, sample_weight=weight,
                validation_data=(x[:20], y[:20]),
            ).history  # fmt: skip
        codes = [
            w.message.finding.code
            for w in seen
            if isinstance(w.message, RanvierWarning) and w.message.finding
        ]
        assert codes == (["RV503"] if loss is python and not eagerly else [])
        logs = [
            model.evaluate(x, y, sample_weight=weight, batch_size=7, verbose=0),
            model.train_on_batch(x[:9], y[:9]),
            model.test_on_batch(x, y),
        ]
        found.append((history, logs, model.get_weights(), model.predict(x, verbose=0)))
    (history, *rest), (wanted, *others) = found
    assert history.keys() == wanted.keys()
    for name in wanted:
        assert_alike(history[name], wanted[name])
    for some, other in zip(rest, others, strict=True):
        for a, b in zip(some, other, strict=True):
            assert_alike(a, b)


def test_the_finding_names_the_loss_and_the_line() -> None:
    x, y, _ = data()
    line = _branch.__code__.co_firstlineno + 1
    model = network(_branch)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        model.fit(x, y, verbose=0)
        model.fit(x, y, verbose=0, epochs=2, initial_epoch=1)
        model.evaluate(x, y, verbose=0)
    (finding,) = [w.message.finding for w in seen if w.message.finding]
    assert finding.code == "RV503"
    assert "'_branch'" in finding.message
    assert f"test_python_losses.py:{line}" in finding.details
    assert "ops.cond" in finding.fix


def test_it_is_called_on_every_batch_and_sees_its_rows() -> None:
    x, y, _ = data(20)
    seen: list[Any] = []

    def noted(target: Any, output: Any) -> Any:
        seen.append((target.numpy().ravel().tolist(), float(ops.mean(output))))
        return ops.mean(ops.square(target - output), axis=-1)

    model = network(noted, metrics=None, weighted_metrics=None)
    quietly(lambda: model.fit(x, y, batch_size=8, shuffle=False, epochs=2, verbose=0))
    assert [rows for rows, _ in seen[:3]] == [
        y[:8].ravel().tolist(),
        y[8:16].ravel().tolist(),
        y[16:].ravel().tolist(),
    ]
    assert len(seen) == 6
    assert len({value for _, value in seen}) == 6
    # The order of a shuffled epoch is that of any other run.
    seen.clear()
    quietly(lambda: network(noted).fit(x, y, batch_size=8, verbose=0))
    orders = [rows for rows, _ in seen]

    class Order(keras.metrics.Metric):
        def __init__(self) -> None:
            super().__init__()
            self.rows: list[Any] = []

        def update_state(self, y_true: Any, y_pred: Any, **_: Any) -> None:
            self.rows.append(np.asarray(y_true).ravel().tolist())

        def result(self) -> Any:
            return 0.0

        def reset_state(self) -> None:
            self.rows.clear()

    metric = Order()
    quietly(lambda: network("mse", metrics=[metric]).fit(x, y, batch_size=8, verbose=0))
    assert metric.rows == orders


def _numpy_only(target: Any, output: Any) -> Any:
    target, output = np.asarray(target), np.asarray(output)
    return np.mean((target - output) ** 2, axis=-1)


def test_a_loss_of_numpy_evaluates_but_cannot_train() -> None:
    x, y, w = data()
    model, other = network(_numpy_only), network("mse")
    for call in (
        lambda m: m.evaluate(x, y, sample_weight=w, batch_size=8, verbose=0),
        lambda m: m.test_on_batch(x, y),
    ):
        assert_alike(quietly(lambda call=call: call(model)), call(other))
    before = model.get_weights()
    line = _numpy_only.__code__.co_firstlineno + 1
    for train in (
        lambda: model.fit(x, y, verbose=0),
        lambda: model.train_on_batch(x, y),
    ):
        with pytest.raises(NumericsError) as caught:
            quietly(train)
        assert caught.value.code == "RV303"
        text = str(caught.value)
        assert f"test_python_losses.py:{line}" in text
        assert "'_numpy_only'" in text
        assert "ranvier.ops" in text
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    # Compiled with another loss it trains, natively.
    model.compile("sgd", "mse")
    model.fit(x, y, verbose=0)
    (step,) = model._steps.values()
    assert not step.by_run


def test_numpys_functions_on_symbols_are_operations() -> None:
    x, y, _ = data()

    def with_numpy(target: Any, output: Any) -> Any:
        return np.log(np.cosh(np.subtract(target, output))) + np.float64(0.5)

    def with_ops(target: Any, output: Any) -> Any:
        return ops.log(ops.cosh(target - output)) + 0.5

    found = []
    for loss in (with_numpy, with_ops):
        model = network(loss)
        model.fit(x, y, verbose=0)
        assert not model._python_loss
        found.append(model.get_weights())
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_one_of_two_losses_needs_numbers() -> None:
    x, y, _ = data(40)

    class Two(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = keras.layers.Dense(1), keras.layers.Dense(1)

        def call(self, x: Any) -> Any:
            return {"a": self.a(x), "b": self.b(x)}

    found = []
    for loss in PAIRS[0]:
        keras.utils.set_random_seed(0)
        model = Two()
        model.compile("sgd", {"a": loss, "b": "mae"}, loss_weights={"a": 0.3, "b": 2.0})
        fit = lambda model=model: model.fit(  # noqa: E731
            x, {"a": y, "b": -y}, batch_size=16, epochs=2, verbose=0
        )
        history = quietly(fit).history
        found.append((history, model.get_weights()))
    assert found[0][0].keys() == found[1][0].keys() >= {"a_loss", "b_loss"}
    for name, values in found[1][0].items():
        assert_alike(found[0][0][name], values)
    for a, b in zip(found[0][1], found[1][1], strict=True):
        assert_alike(a, b)
    model.compile("sgd", {"a": _numpy_only, "b": "mae"})
    with pytest.raises(NumericsError, match="'_numpy_only'"):
        quietly(lambda: model.fit(x, {"a": y, "b": y}, verbose=0))


def test_a_compute_loss_of_ones_own_may_need_numbers() -> None:
    x, y, _ = data()

    class Own(keras.Sequential):
        def compute_loss(
            self, x: Any = None, y: Any = None, y_pred: Any = None, **_: Any
        ) -> Any:
            return ops.mean(_branch(y, y_pred))

    model = Own([keras.layers.Dense(1)])
    model.compile("sgd")
    with pytest.warns(RanvierWarning, match="compute_loss"):
        model.fit(x, y, verbose=0, epochs=2)


def test_bad_data_and_bad_losses_are_told_as_ever() -> None:
    x, y, _ = data(40)
    x[22, 3] = np.nan
    with pytest.raises(RanvierError, match=r"RV204.*x .*row 22, column 3"):
        quietly(lambda: network(_branch).fit(x, y, batch_size=8, verbose=0))

    def infinite(target: Any, output: Any) -> Any:
        assert float(ops.mean(output)) < 1e9
        return ops.mean(ops.square(output - ops.log(target)), axis=-1)

    x, y, _ = data(40)
    y = np.abs(y) + 1
    states = []
    for rows in (40, 16):
        model = network(infinite)
        targets = y.copy()
        targets[19] = 0.0

        def train(model: Any = model, targets: Any = targets, rows: int = rows) -> Any:
            return model.fit(
                x[:rows], targets[:rows], batch_size=8, shuffle=False, verbose=0
            )

        if rows == 40:
            with pytest.raises(NumericsError) as caught:
                quietly(train)
            assert "epoch 1, batch 3 of 5" in str(caught.value)
            assert "for row 19: log(0)" in str(caught.value)
        else:
            quietly(train)
        states.append([*model.get_weights(), model.optimizer.iterations.numpy()])
    for a, b in zip(*states, strict=True):
        np.testing.assert_array_equal(a, b)


# --------------------------------------------------------------------- run_eagerly


def test_a_layer_that_needs_numbers_runs_eagerly_only() -> None:
    x, y, _ = data(20)

    class Gate(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x if float(ops.max(x)) > 0 else -x

    def gated(**options: Any) -> Any:
        model = keras.Sequential([Gate(), keras.layers.Dense(1)])
        model.compile("sgd", "mse", **options)
        return model

    with pytest.raises(RanvierError, match="run_eagerly=True"):
        gated().fit(x, y, verbose=0)
    model = gated(run_eagerly=True)
    model.fit(x, y, verbose=0, batch_size=6)
    assert model.predict(x, verbose=0).shape == (20, 1)
    assert model.layers[1].kernel.shape == (5, 1)


B = Dim.symbol("batch")


def test_symbols_have_numbers_in_a_trace_with_values() -> None:
    array = np.arange(6, dtype="float32").reshape(3, 2)
    seen: dict[str, Any] = {}

    def step(inputs: Any) -> Any:
        x = inputs["x"]
        y = ops.sum(x * x, axis=-1)
        seen.update(
            float=float(y[1]), int=int(y[2]), bool=bool(y[0] > 1), numpy=y.numpy(),
            array=np.asarray(x), text=f"{ops.sum(y):.1f}", mean=np.mean(y),
            item=ops.max(y).item(), shown=repr(y),
        )  # fmt: skip
        return {"y": y * float(y[1])}

    graph = trace(step, {"x": Spec((B, 2), "float32")}, {"x": array})
    want = (array * array).sum(-1)
    assert seen["float"] == want[1]
    assert seen["int"] == int(want[2])
    assert seen["bool"] is False
    np.testing.assert_array_equal(seen["numpy"], want)
    np.testing.assert_array_equal(seen["array"], array)
    assert seen["text"] == f"{want.sum():.1f}"
    assert seen["mean"] == want.mean()
    assert seen["item"] == want.max()
    assert "13" in seen["shown"]
    assert next(n.op.name for n in graph.nodes()) == "input"
    with pytest.raises(RanvierError, match="RV110"):
        trace(step, {"x": Spec((B, 2), "float32")})


def test_inside_a_loop_or_branch_symbols_have_none() -> None:
    def step(inputs: Any) -> Any:
        def body(total: Any) -> Any:
            return total * 2 if float(total) > 0 else total

        x = ops.sum(inputs["x"])
        return {"y": ops.cond(x > 0, lambda: body(x), lambda: x)}

    array = np.ones((3, 2), "float32")
    # What the branch takes from outside has numbers; what the loop carries has none.
    graph = trace(step, {"x": Spec((3, 2), "float32")}, {"x": array})
    assert "y" in graph.outputs

    def loop(inputs: Any) -> Any:
        return {
            "y": ops.fori_loop(
                0, 3, lambda i, c: c * 2 if float(c) > 0 else c, ops.sum(inputs["x"])
            )
        }

    with pytest.raises(RanvierError, match="RV110"):
        trace(loop, {"x": Spec((3, 2), "float32")}, {"x": array})


def test_numpy_and_tensors_mix_from_both_sides() -> None:
    array = np.array([1.0, -2.0, 4.0], "float32")
    tensor = ops.convert_to_tensor(array)
    for made, want in (
        (array + tensor, array + array),
        (np.exp(tensor), np.exp(array)),
        (np.float64(2) * tensor, 2 * array),
        (np.maximum(tensor, 0), np.maximum(array, 0)),
        (array > tensor, array > array),
    ):
        assert type(made) is type(tensor)
        np.testing.assert_allclose(np.asarray(made), want, rtol=1e-6)
    total = np.zeros(3, "float32")
    total += tensor
    assert type(total) is type(tensor)
    into = np.zeros(3, "float32")
    np.add(array, tensor, out=into)
    np.testing.assert_array_equal(into, 2 * array)
    assert np.hypot(tensor, array)[0] == np.hypot(array, array)[0]
    assert np.add.reduce(tensor) == 3.0
