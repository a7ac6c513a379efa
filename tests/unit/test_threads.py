"""Several Python threads on one model: building, tracing, training, asking, forking."""

from __future__ import annotations

import multiprocessing
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import ranvier as keras
from ranvier import ops
from ranvier.graph.locks import building


@pytest.fixture(autouse=True)
def _fast_switches() -> Iterator[None]:
    """Python changes threads often, so that races show."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def together(*jobs: Callable[[], None]) -> None:
    """Runs them at once, each in a thread; the first exception is raised here."""
    faults: list[BaseException] = []
    gate = threading.Barrier(len(jobs))

    def go(job: Callable[[], None]) -> None:
        gate.wait()
        try:
            job()
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=go, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]


class Slow(keras.layers.Layer):
    """Makes its weight so slowly that a second thread would begin to as well."""

    def build(self, input_shape: Any) -> None:
        time.sleep(0.02)
        self.w = self.add_weight((input_shape[-1], 3), "glorot_uniform")

    def call(self, x: Any) -> Any:
        return ops.matmul(x, self.w)


class Costly(keras.layers.Layer):
    """Adds to the loss, which it notes on itself while it is traced."""

    def call(self, x: Any) -> Any:
        self.add_loss(0.1 * ops.mean(x * x))
        time.sleep(0.002)
        return x


def data(rows: int = 200) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, 5)).astype("float32"), rng.normal(size=(rows, 1))


@pytest.mark.parametrize("how", ["predict", "call"])
def test_the_first_calls_at_once_build_a_model_once(how: str) -> None:
    x, _ = data(20)
    model = keras.Sequential([Slow(), keras.layers.Dense(2)])
    found: list[Any] = []

    def ask() -> None:
        output = model.predict(x, verbose=0) if how == "predict" else model(x).numpy()
        found.append(output)

    together(*[ask] * 5)
    assert [len(layer.weights) for layer in model.layers] == [1, 2]
    for output in found:
        np.testing.assert_allclose(output, model.predict(x, verbose=0), rtol=1e-6)


@pytest.mark.parametrize("by_run", [False, True], ids=["traced once", "by run"])
def test_training_beside_threads_that_ask(by_run: bool) -> None:
    x, y = data()

    def network() -> Any:
        model = keras.Sequential(
            [
                keras.Input((5,)),
                keras.layers.Dense(7, activation="relu"),
                Costly(),
                keras.layers.Dense(70),
                keras.layers.Dense(1),
            ]
        )
        rng = np.random.default_rng(1)
        model.set_weights([rng.normal(size=w.shape) / 3 for w in model.get_weights()])
        model.compile("sgd", "mse", metrics=["mae"], run_eagerly=by_run)
        return model

    def train(model: Any) -> Any:
        return model.fit(x, y, epochs=6, batch_size=16, shuffle=False, verbose=0)

    alone = network()
    wanted = train(alone).history
    for _ in range(4):
        model = network()
        done = threading.Event()
        history: list[Any] = []

        def fit(model: Any = model, done: Any = done, history: Any = history) -> None:
            try:
                history.append(train(model).history)
            finally:
                done.set()

        def ask(model: Any = model, done: Any = done) -> None:
            while not done.is_set():
                model.predict(x[:7], verbose=0)
                model.predict(x[:50], verbose=0)

        def call(model: Any = model, done: Any = done) -> None:
            while not done.is_set():
                model(x[:3])
                assert len(model.losses) <= 1
                model.get_weights()

        together(fit, ask, call)
        assert history == [wanted]
        for mine, other in zip(model.get_weights(), alone.get_weights(), strict=True):
            np.testing.assert_array_equal(mine, other)


def _child(queue: Any) -> None:
    x, y = data(32)
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(x, y, verbose=0)
    queue.put(model.predict(x, verbose=0).shape)


def test_a_child_forked_while_another_thread_traces_can_trace() -> None:
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    held, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with building:
            held.set()
            leave.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = context.Process(target=_child, args=(queue,))
    child.start()
    try:
        assert queue.get(timeout=60) == (32, 1)
    finally:
        leave.set()
        thread.join()
        child.join(10)
        child.kill()
