"""Limits for dry runs, from the program and from the environment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import ranvier as keras
from ranvier import config
from ranvier.errors import RanvierError, RanvierWarning

X = np.arange(40, dtype="float32").reshape(20, 2) / 40


@pytest.fixture(autouse=True)
def _no_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "_limits", {})


def model() -> keras.Model:
    made = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    made.compile("sgd", "mse")
    return made


def test_the_environment_sets_them_and_the_program_over_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RANVIER_MAX_EPOCHS", "3")
    monkeypatch.setenv("RANVIER_MAX_STEPS_PER_EPOCH", "2")
    assert (config.max_epochs(), config.max_steps_per_epoch()) == (3, 2)
    keras.config.set_max_epochs(1)
    keras.config.set_max_steps_per_epoch(None)
    assert (config.max_epochs(), config.max_steps_per_epoch()) == (1, None)


def test_they_are_told_and_hold_for_all_loops() -> None:
    keras.config.set_max_epochs(2)
    keras.config.set_max_steps_per_epoch(2)
    one = model()
    with pytest.warns(RanvierWarning, match="RV406") as told:
        history = one.fit(X, X[:, :1], batch_size=5, epochs=9, verbose=0)
    assert len(told) == 2
    assert history.epoch == [0, 1]
    assert int(one.optimizer.iterations) == 4
    with pytest.warns(RanvierWarning, match="steps_per_epoch is limited to 2"):
        limited = one.evaluate(X, X[:, :1], batch_size=5, verbose=0)
    keras.config.set_max_steps_per_epoch(None)
    whole = one.evaluate(X[:10], X[:10, :1], batch_size=5, verbose=0)
    assert limited == whole


def test_a_limit_that_is_not_reached_changes_nothing() -> None:
    keras.config.set_max_epochs(5)
    keras.config.set_max_steps_per_epoch(4)
    history = model().fit(X, X[:, :1], batch_size=5, epochs=5, verbose=0)
    assert len(history.epoch) == 5


@pytest.mark.parametrize("count", [True, False])
def test_iterables_are_cut_too(count: bool) -> None:
    class Batches:
        def __iter__(self) -> Iterator[Any]:
            for i in range(0, 20, 5):
                yield X[i : i + 5], X[i : i + 5, :1]

    class Counted(Batches):
        def __len__(self) -> int:
            return 4

    one = model()
    keras.config.set_max_steps_per_epoch(3)
    with pytest.warns(RanvierWarning, match="RV406"):
        one.fit(Counted() if count else Batches(), epochs=2, verbose=0)
    assert int(one.optimizer.iterations) == 6  # each epoch begins anew
    keras.config.set_max_steps_per_epoch(9)  # more than there are
    if count:
        one.fit(Counted(), epochs=1, verbose=0)
    else:
        with pytest.warns(RanvierWarning, match="RV406"):
            one.fit(Batches(), epochs=1, verbose=0)


@pytest.mark.parametrize("value", [0, -1, 2.5, "3", True])
def test_what_is_no_limit(value: Any) -> None:
    for set_limit in (
        keras.config.set_max_epochs,
        keras.config.set_max_steps_per_epoch,
    ):
        with pytest.raises(RanvierError, match="RV100"):
            set_limit(value)
