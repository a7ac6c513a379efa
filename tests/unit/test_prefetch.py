"""Batches that are made while steps compute: the same ones, in order, and no more."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import ranvier as keras
from ranvier import config
from ranvier.data import ahead

X = np.random.default_rng(0).normal(size=(80, 5)).astype("float32")
Y = X.sum(axis=1)


@pytest.fixture(params=["beside", "between", "off"])
def pace(request: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whether a thread pays from the fifth batch on, never does, or is not allowed."""
    monkeypatch.setattr(ahead, "WORTH", -1.0 if request.param == "beside" else 1e9)
    monkeypatch.setenv("RANVIER_PREFETCH", "0" if request.param == "off" else "1")
    kind: str = request.param
    return kind


def model() -> keras.Sequential:
    keras.utils.set_random_seed(3)
    made = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)])
    made.compile(keras.optimizers.SGD(0.1), "mse")
    return made


def batches(count: int = 10) -> Iterator[Any]:
    for i in range(count):
        rows = slice(i % 10 * 8, i % 10 * 8 + 8)
        yield X[rows], Y[rows]


class Numbered(keras.utils.PyDataset):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.seen: list[tuple[int, str, int]] = []

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> Any:
        time.sleep(0.001 * (index % 3))  # so that threads end in another order
        self.seen.append((index, threading.current_thread().name, os.getpid()))
        return X[index * 8 : index * 8 + 8], Y[index * 8 : index * 8 + 8]


def no_thread_is_left() -> bool:
    return not [t for t in threading.enumerate() if "ranvier-ahead" in t.name]


def test_the_same_training(pace: str) -> None:
    whole, pieces = model(), model()
    whole.fit(X, Y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    pieces.fit(batches(20), steps_per_epoch=10, epochs=2, verbose=0)
    for one, other in zip(whole.get_weights(), pieces.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    assert no_thread_is_left()


def test_no_batch_more_than_the_epochs_take(pace: str) -> None:
    source = iter(range(30))
    taken: list[int] = []

    def generator() -> Iterator[Any]:
        for i in source:
            taken.append(i)
            yield X[:8], Y[:8]

    given = generator()
    model().fit(given, steps_per_epoch=7, epochs=2, verbose=0)
    assert taken == list(range(14))
    next(given)
    assert taken[-1] == 14


@pytest.mark.parametrize(
    "options",
    [
        {"workers": 0},
        {},
        {"workers": 3, "max_queue_size": 2},
        {"workers": 2, "use_multiprocessing": True},
    ],
    ids=["here", "one", "three", "processes"],
)
def test_numbered_batches(options: dict[str, Any]) -> None:
    whole, pieces, data = model(), model(), Numbered(**options)
    whole.fit(X, Y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    pieces.fit(data, epochs=2, shuffle=False, verbose=0)
    for one, other in zip(whole.get_weights(), pieces.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    assert no_thread_is_left()
    places = {(name, pid) for _, name, pid in data.seen[1:]}
    if options.get("use_multiprocessing"):
        assert len(data.seen) <= 2  # but for the first of an epoch, noted in theirs
    elif options.get("workers") == 0:
        assert places == {("MainThread", os.getpid())}
        assert [index for index, *_ in data.seen] == [*range(10)] * 2
    elif options.get("workers", 1) > 1:
        assert len(places - {("MainThread", os.getpid())}) > 1


def test_a_fault_of_the_generator_comes_through(pace: str) -> None:
    def generator() -> Iterator[Any]:
        yield from batches(8)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        model().fit(generator(), verbose=0)
    assert no_thread_is_left()


def test_a_fault_of_a_step_ends_the_thread(pace: str) -> None:
    def generator() -> Iterator[Any]:
        yield from batches(8)
        yield X[:8, :4], Y[:8]
        yield from batches(8)

    with pytest.raises(keras.errors.ShapeError):
        model().fit(generator(), verbose=0)
    assert no_thread_is_left()


@pytest.mark.filterwarnings("ignore:.*RV501")
def test_stopping_early_ends_the_thread(pace: str) -> None:
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if batch == 6:
                self.model.stop_training = True

    found = model().fit(batches(1000), callbacks=[Stop()], verbose=0)
    assert len(found.epoch) == 1
    assert no_thread_is_left()


def test_a_thread_knows_the_limits_around() -> None:
    found: list[Any] = []

    def task() -> None:
        found.append(config.thread_limit())

    with config.at_most_threads(1), ahead.Ahead(iter([task])) as results:
        list(results)
    assert found == [1]


def test_waiting_pays_and_computing_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the clocks' own numbers: a wait is not computed time."""
    monkeypatch.setattr(ahead, "_core_to_spare", lambda: False)
    ticks = {"perf_counter": 0.0, "thread_time": 0.0}
    for name in ticks:
        monkeypatch.setattr(ahead, name, lambda name=name: ticks[name])

    def task(waits: float, computes: float) -> Any:
        def run() -> None:
            ticks["perf_counter"] += waits + computes
            ticks["thread_time"] += computes

        return run

    for waits, computes, expected in [(0.01, 0.0, True), (0.0, 0.01, False)]:
        pace = ahead.Pace()
        list(pace.taken(iter([task(waits, computes)] * 9), 2))
        assert pace.ahead is expected
