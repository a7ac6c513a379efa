"""Losses that are no numbers, and losses in Python, against real Keras."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import ranvier
from ranvier.errors import RanvierWarning

ROWS, SIZE = 53, 8


def network(library: Any) -> Any:
    return library.Sequential(
        [
            library.Input((6,)),
            library.layers.Dense(16, activation="tanh"),
            library.layers.Dense(1),
        ]
    )


def data() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, 6)).astype("float32")
    return x, rng.uniform(0.5, 2.0, size=(ROWS, 1)).astype("float32")


@pytest.mark.parametrize("engine", ["native", "reference"])
@pytest.mark.parametrize("row", [3, 28, 52])
def test_terminate_on_nan(keras: Any, row: int, engine: str) -> None:
    """The hooks that run, in their order, what they are told, and the weights left."""
    x, y = data()
    y[row] = 0.0
    theirs, ours = network(keras), network(ranvier)
    ours.set_weights(theirs.get_weights())
    heard: list[list[Any]] = []
    for library, model, more in (
        (ranvier, ours, {"engine": engine}),
        (keras, theirs, {}),
    ):
        calls: list[Any] = []

        def note(name: str, calls: list[Any] = calls) -> Any:
            def hook(*args: Any, logs: Any = None) -> None:
                given = (
                    args[-1] if logs is None and isinstance(args[-1], dict) else logs
                )
                numbers = [a for a in args if isinstance(a, int)]
                calls.append((name, *numbers, (given or {}).get("loss")))

            return hook

        def loss(target: Any, output: Any, ops: Any = library.ops) -> Any:
            return ops.mean(ops.square(output - ops.log(target)), axis=-1)

        listener = library.callbacks.LambdaCallback(
            on_epoch_begin=note("epoch"), on_epoch_end=note("epoch end"),
            on_train_begin=note("begin"), on_train_end=note("end"),
            on_train_batch_begin=note("batch"), on_train_batch_end=note("batch end"),
        )  # fmt: skip
        model.compile(library.optimizers.SGD(0.01), loss)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            model.fit(
                x, y, batch_size=SIZE, epochs=3, shuffle=False, verbose=0,
                callbacks=[library.callbacks.TerminateOnNaN(), listener], **more,
            )  # fmt: skip
        assert model.stop_training
        heard.append(calls)
    mine, other = heard
    assert [call[:-1] for call in mine] == [call[:-1] for call in other]
    for got, want in zip(mine, other, strict=True):
        if got[-1] is None or want[-1] is None:
            assert got[-1] is want[-1]
        else:
            np.testing.assert_allclose(got[-1], want[-1], rtol=1e-4)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        # NaN or infinity depends on the order of additions; where, does not.
        fine = np.isfinite(b)
        np.testing.assert_array_equal(np.isfinite(a), fine)
        np.testing.assert_allclose(a[fine], b[fine], rtol=1e-4, atol=1e-6)


def test_a_loss_in_python_trains_as_keras_trains_it_traced(keras: Any) -> None:
    x, y = data()
    weights = np.linspace(0.1, 2.0, ROWS).astype("float32")

    def python(target: Any, output: Any) -> Any:
        if float(ranvier.ops.mean(output)) > 0:
            return ranvier.ops.mean(ranvier.ops.square(target - output), axis=-1)
        return ranvier.ops.mean(ranvier.ops.abs(target - output), axis=-1)

    def traced(target: Any, output: Any) -> Any:
        return keras.ops.where(
            keras.ops.mean(output) > 0,
            keras.ops.mean(keras.ops.square(target - output), axis=-1),
            keras.ops.mean(keras.ops.abs(target - output), axis=-1),
        )

    theirs, ours = network(keras), network(ranvier)
    ours.set_weights(theirs.get_weights())
    runs = []
    for library, model, loss in ((ranvier, ours, python), (keras, theirs, traced)):
        model.compile(
            library.optimizers.Adam(0.01), loss,
            metrics=["mae"], weighted_metrics=["mse"],
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RanvierWarning)
            history = model.fit(
                x, y, batch_size=SIZE, epochs=3, shuffle=False, verbose=0,
                sample_weight=weights, validation_data=(x[:20], y[:20]),
            ).history  # fmt: skip
            runs.append((history, model.evaluate(x, y, verbose=0)))
    (mine, score), (other, wanted) = runs
    assert list(mine) == list(other)
    for name, values in other.items():
        np.testing.assert_allclose(mine[name], values, rtol=1e-4, err_msg=name)
    np.testing.assert_allclose(score, wanted, rtol=1e-4)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
