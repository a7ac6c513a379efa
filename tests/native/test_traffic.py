"""How many workers a plan gets: several only where they are faster."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import ranvier
from ranvier import layers
from ranvier.engines.native import engine, trial
from ranvier.engines.native.draft import Draft, access
from ranvier.engines.native.traffic import Verdict, crossing_ns, judge, plan_ns
from ranvier.engines.native.trial import LONGER, PAUSE, SECONDS, Trial
from ranvier.engines.native.values import Buffer, View


def plans_of(sizes: tuple[int, ...], batch: int) -> list[engine.Compiled]:
    model = ranvier.Sequential([layers.Input((sizes[0],))])
    for units in sizes[1:-1]:
        model.add(layers.Dense(units, "relu"))
    model.add(layers.Dense(sizes[-1]))
    model.compile("adam", "mse")
    x = np.zeros((batch, sizes[0]), "float32")
    model.fit(x, np.zeros((batch, sizes[-1]), "float32"), batch, verbose=0)
    (step,) = model._steps.values()
    return list(step.executable._plans.values())


@pytest.mark.parametrize(
    ("sizes", "batch", "workers"),
    [
        ((3, 6, 6, 1), 32, {1}),
        ((20, 64, 64, 1), 1, {1}),  # weights of one panel go from core to core
        ((784, 32, 10), 1, {1}),
        ((20, 64, 64, 1), 64, {1, 2}),
        ((784, 300, 200, 100, 50, 10), 50, {1, 2}),
        ((200, 256, 1), 1, {2}),  # small steps, but each worker has its own panels
        ((784, 128, 10), 1, {2}),
        ((784, 128, 10), 512, {2}),
    ],
    ids=str,
)
def test_several_workers_where_measurements_say_so(
    sizes: tuple[int, ...], batch: int, workers: set[int], monkeypatch: Any
) -> None:
    """As paired runs on two cores of a server went; both where they went either way."""
    monkeypatch.setattr(engine, "config_threads", lambda: 2)
    (plan,) = plans_of(sizes, batch)
    plans = [plan] if plan.trial is None else plan.trial.plans
    assert {p.workers for p in plans} == workers


def test_the_faster_plan_goes_on_until_another_round_says_otherwise() -> None:
    race = Trial("one", "two", 1e6)
    assert race.batches == 5
    for plan, (batches, seconds) in ((0, (5, 0.03)), (0, (2, 0.02)), (1, (5, 0.04))):
        assert race.trying
        assert race.turn == plan
        assert race.best == "one"
        race.took(plan, batches, seconds)
    assert race.turn == 1
    race.took(1, 2, 0.01)  # by batch: 6 and 10 ms, 8 and 5 ms
    assert not race.trying
    assert (race.best, race.turn) == ("two", 1)
    assert race.batches == math.ceil(PAUSE / 0.005)
    race.took(1, race.batches, 0.75 * PAUSE)
    assert not race.trying
    race.took(1, race.batches, 0.5 * PAUSE)
    # The next round begins with the plan that runs anyway, and knows nothing of the last.
    for plan, batches in ((1, 4), (0, 5)):
        assert race.trying
        assert (race.best, race.turn) == ("two", plan)
        race.took(plan, batches, SECONDS)
    assert (race.best, race.turn) == ("one", 0)
    assert race.batches == math.ceil(LONGER * PAUSE / (SECONDS / 5))
    assert Trial("one", "two", 1e9).batches == 2


def test_a_trial_changes_no_bit(monkeypatch: Any) -> None:
    """Batches go from plan to plan and on to the better one, whichever that is."""
    monkeypatch.setattr(engine, "config_threads", lambda: 2)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 5003, 20)).astype("float32")
    monkeypatch.setattr(trial, "PIECE_NS", 2e5)
    verdict, better = Verdict.ONE, 0
    monkeypatch.setattr(engine, "judge", lambda *_: verdict)
    took = Trial.took
    monkeypatch.setattr(
        Trial,
        "took",
        lambda self, plan, batches, _: took(
            self, plan, batches, (0.3 + (plan != better)) * SECONDS
        ),
    )

    def trained() -> tuple[list[Any], Any]:
        ranvier.utils.set_random_seed(1)
        model = ranvier.Sequential([layers.Input((20,)), layers.Dense(70, "relu")])
        model.add(layers.Dense(20))
        model.compile("adam", "mse")
        model.fit(x, y, batch_size=16, epochs=2, verbose=0)
        history = model.fit(x, y, batch_size=16, epochs=2, verbose=0).history
        (step,) = model._steps.values()
        return [*model.get_weights(), history["loss"]], step.executable

    wanted, _ = trained()
    for verdict in (Verdict.PERHAPS_ONE, Verdict.PERHAPS_SEVERAL, Verdict.SEVERAL):
        for better in (0, 1):
            found, executable = trained()
            for a, b in zip(found, wanted, strict=True):
                np.testing.assert_array_equal(a, b)
            full = next(iter(executable._plans.values()))
            if verdict is Verdict.SEVERAL:
                assert full.trial is None
            else:
                assert not full.trial.trying
                assert full.best is full.trial.plans[better]
                first = 1 if verdict is Verdict.PERHAPS_ONE else 2
                assert full.best.workers == (first if better == 0 else 3 - first)


def test_who_has_its_panel_computes_with_it(monkeypatch: Any) -> None:
    """A step too small to share is shared all the same if it reads a divided weight."""
    monkeypatch.setattr(engine, "config_threads", lambda: 2)
    (plan,) = plans_of((200, 256, 1), 1)
    first = next(s for s in plan.steps if s.kernel == "gemm_nn")
    assert first.cost < 1500
    assert not first.single


def step(read: str, written: str, share: Any, **more: Any) -> Draft:
    draft = Draft("any", units=2, cost=10_000.0, **more)
    for names, into in ((read, draft.reads), (written, draft.writes)):
        into += [access(VIEWS[name], share) for name in names.split()]
    return draft


def view(space: str, size: int) -> View:
    return View(Buffer(space, size), (size // 4,), (1,), "float32")


VIEWS = {"w": view("slot", 4000), "x": view("arena", 800), "own": view("own", 800)}


def test_what_crosses() -> None:
    alone, rows, columns = {"single": 1}, ("rows", 8, 4), ("columns", 2)
    by_one = [step("w x", "x", None, **alone), step("x", "w", None, **alone)]
    assert crossing_ns(by_one, 2) == 0
    kept = [step("w", "x", columns), step("x", "w", columns)]
    assert crossing_ns(kept, 2) == 0
    turned = [step("w", "x", columns), step("", "w", rows)]
    # Half of the bytes: the other's, which come and are given away again.
    assert crossing_ns(turned, 2) == pytest.approx(4000 * (0.12 + 0.6) / 2)
    fetched = [step("", "x", rows), step("x", "", columns)]
    assert crossing_ns(fetched, 2) == pytest.approx(800 * 0.12 / 2)
    each = [step("", "own", None, single=2), step("own", "", None)]
    assert crossing_ns(each, 2) == 0


def test_time_of_a_plan() -> None:
    steps = [step("", "", None), step("", "", None, single=1, barrier=1)]
    assert plan_ns(steps, 2) == pytest.approx(5_000 + 300 + 10_000)
    assert judge(steps, 2) is Verdict.PERHAPS_SEVERAL
    assert judge(steps[1:], 2) is Verdict.PERHAPS_ONE
    assert judge([step("", "", None)] * 2, 2) is Verdict.SEVERAL
    assert judge([step("", "", None)] * 2, 1) is Verdict.ONE
    assert judge([Draft("loop", cost=9e3)], 2) is Verdict.PERHAPS_SEVERAL
