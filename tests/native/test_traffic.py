"""How many workers a plan gets: several only where they are faster."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ranvier
from ranvier import layers
from ranvier.engines.native import engine
from ranvier.engines.native.draft import Draft, access
from ranvier.engines.native.traffic import crossing_ns, pays, plan_ns
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
        ((3, 6, 6, 1), 32, 1),
        ((20, 64, 64, 1), 32, 1),  # weights of one panel go from core to core
        ((784, 32, 10), 1, 1),
        ((200, 256, 1), 1, 2),  # small steps, but each worker has its own panels
        ((784, 128, 10), 1, 2),
        ((784, 128, 10), 512, 2),
    ],
    ids=str,
)
def test_several_workers_where_measurements_say_so(
    sizes: tuple[int, ...], batch: int, workers: int, monkeypatch: Any
) -> None:
    """Paired runs on two cores of a server: at least 1.4 times faster, or slower."""
    monkeypatch.setattr(engine, "config_threads", lambda: 2)
    (plan,) = plans_of(sizes, batch)
    assert plan.workers == workers


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
    assert not pays(steps[1:], 2)
    assert pays([step("", "", None)] * 2, 2)
