"""Plans of many models, proven free of races; and races put there on purpose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layer_cases import FLAT, IDS, inputs
from layer_parts import stack
from plan_models import MODELS, dense, trained
from plan_proofs import Made, prove, recorded, replay
from strategies import programs, run

import ranvier as keras
from ranvier.engines.native import engine, races, waits
from ranvier.engines.native.draft import Draft
from ranvier.engines.native.plan import PlanBuilder, Ref
from ranvier.errors import InternalError
from ranvier.graph import Dim

layers = keras.layers
Array = np.ndarray[Any, Any]


BATCHES = [1, 2, 7, 32, 63, 129, 700]


@pytest.mark.parametrize("threads", [2, 3, 8])
@pytest.mark.parametrize("name", sorted(MODELS))
def test_workers_never_meet(name: str, threads: int) -> None:
    proofs = 0
    for batch in BATCHES:
        with recorded(threads, share_all=batch != 32) as made:
            trained(name, batch)
        proofs += prove(made)
    assert proofs >= 2 * len(BATCHES)


OPTIMIZERS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("Adam", {"amsgrad": True, "global_clipnorm": 0.5}),
    ("AdamW", {"clipnorm": 0.1}),
    ("Nadam", {"clipvalue": 0.05, "use_ema": True, "ema_overwrite_frequency": 3}),
    ("RMSprop", {"momentum": 0.5, "centered": True}),
    ("Adagrad", {"gradient_accumulation_steps": 2}),
    ("Lamb", {}),
    ("Ftrl", {}),
]


@pytest.mark.parametrize(("name", "given_"), OPTIMIZERS, ids=str)
def test_workers_never_meet_in_an_update(name: str, given_: dict[str, Any]) -> None:
    for threads in (2, 3, 8):
        with recorded(threads, share_all=True) as made:
            trained("narrow", 40, getattr(keras.optimizers, name)(**given_))
        assert prove(made)


@pytest.mark.parametrize(("name", "args", "shape"), FLAT, ids=IDS)
def test_workers_never_meet_in_a_layer(
    name: str, args: dict[str, Any], shape: Any
) -> None:
    x = inputs(name, shape, 13)
    for threads in (2, 3, 8):
        with recorded(threads, share_all=True) as made:
            model = stack(keras, name, args, shape)
            y = np.ones((13, *model.output_shape[1:]), "float32")
            model.compile("sgd", "mse")
            model.fit(x, y, batch_size=5, verbose=0)
        assert prove(made)


@given(st.data())
def test_workers_never_meet_in_random_programs(data: Any) -> None:
    program = data.draw(programs(Dim.symbol("batch"), length=8))
    rows = data.draw(st.sampled_from([1, 3, 64, 129]))
    threads = data.draw(st.sampled_from([2, 3, 8]))
    with recorded(threads, share_all=True) as made:
        run("native", program.graph(), program.inputs(rows))
    prove(made)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_steps_of_plans_touch_what_their_rules_say(name: str) -> None:
    """The rules against the kernels, with the views and programs of real plans."""
    for batch in (1, 37):
        with recorded(3, share_all=True) as made:
            data = trained(name, batch, rows=batch)
        assert len(made) == 2
        for plan in made:
            keys = [b.key for b in plan.slots if isinstance(b.key, str)]
            replay(plan, {key: _input(data, key) for key in keys}, batch)


def _input(data: Mapping[str, Array], key: str) -> Array:
    return data["y" if key.startswith("y") else "x"]


# --------------------------------------------------------------- races put on purpose


def races_of(made: list[Made]) -> list[races.Race]:
    return [r for plan in made for r in races.find(plan.builder, plan.workers)]


def test_equal_shares_of_buffers_that_overlap_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The arena is reused: the same rows of a wider tensor are other bytes."""

    def shares_only(own: Any, others: Any) -> bool:
        return any(
            (w1 or w2) and s1 == s2 and low1 < high2 and low2 < high1 and k1 != k2
            for s1, low1, high1, k1, w1 in own
            for s2, low2, high2, k2, w2 in others
        )

    def plans() -> list[Made]:
        with recorded(3, share_all=True) as made:
            for batch in (7, 63, 700):
                trained("narrow", batch)
        return made

    assert not races_of(plans())
    monkeypatch.setattr(waits, "_clash", shares_only)
    assert races_of(plans())


def test_the_end_of_a_batch_against_the_next_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def once(steps: Any, workers: int) -> None:
        # Behind a wait at the end, the first steps find nothing left over.
        waits.place_barriers([*steps, Draft("fill", guard=True)], workers)

    monkeypatch.setattr(engine, "place_barriers", once)
    with recorded(3, share_all=True) as made:
        for batch in (7, 64, 700):
            trained("wide", batch)
    assert any("touches them" in race.text for race in races_of(made))


def test_a_missing_wait_is_found() -> None:
    """Nearly every wait of a plan is needed; the proof fails without it."""
    with recorded(3) as made:
        trained("images", 64, rows=64)
    train = made[0]
    waits = [s for s in train.builder.steps if s.barrier]
    assert len(waits) > 3
    needed = 0
    for step in waits:
        before, step.barrier = step.barrier, 0
        needed += bool(races_of([train]))
        step.barrier = before
    assert needed > len(waits) / 2
    assert not races_of([train])


def test_a_race_is_an_error_of_ranvier() -> None:
    b = PlanBuilder()
    to = b.external(4000, writable=True)
    b.step("fill", [to], [1000, 0], [1.0], units=8)
    b.step("fill", [to], [500, 0], [1.0], units=8)
    races.check(b, 1)
    with pytest.raises(InternalError, match=r"RV903.*worker 0 writes them.*fill"):
        races.check(b, 2)


def test_a_plan_runs_on_no_more_workers_than_it_is_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A last batch so small that one worker does it has no waits in its plan."""
    seen: list[tuple[int, ...]] = []
    real = engine.run_epoch
    plans: dict[int, int] = {}
    compiled = engine.Compiled

    def made(plan: Any, outputs: Any, workers: int, *rest: Any) -> Any:
        plans[id(plan)] = workers
        return compiled(plan, outputs, workers, *rest)

    def watched(full: Any, tail: Any, *args: Any, workers: int, **more: Any) -> Any:
        seen.append((workers, *(plans[id(p)] for p in (full, tail) if p is not None)))
        return real(full, tail, *args, workers=1, **more)

    monkeypatch.setattr(engine, "Compiled", made)
    monkeypatch.setattr(engine, "run_epoch", watched)
    monkeypatch.setattr(engine, "config_threads", lambda: 3)
    model = keras.Sequential(dense(500, 128, 1))
    model.compile("sgd", "mse")
    x = np.ones((129, 500), "float32")
    model.predict(x, batch_size=64, verbose=0)
    model.evaluate(x, x[:, :1], batch_size=64, verbose=0)
    assert {1, 3} <= {n for _, *each in seen for n in each}
    assert all(workers <= min(each) for workers, *each in seen)


# --------------------------------------------------------------------------- the flow


def halves(b: PlanBuilder, to: Ref, first: int, barrier: int = 0) -> None:
    """A step in which each of two workers writes one of 100 floats, from `first` on."""
    b.step("fill", [to.at(4 * first, 800)], [200, 0], [0.0], units=2, barrier=barrier)


def found(b: PlanBuilder) -> int:
    return len(list(races.find(b, 2)))


def test_rounds_of_a_loop_follow_each_other() -> None:
    for barrier, meet in ((0, True), (1, False)):
        b = PlanBuilder()
        to = b.external(8000, writable=True)
        b.loop(
            1, 3, [(0, 0, 400)], barrier=1
        )  # the second half of a round is the next's first
        halves(b, to, 0, barrier)
        assert bool(found(b)) == meet


def test_a_loop_that_moves_by_a_whole_share_needs_no_wait() -> None:
    b = PlanBuilder()
    b.loop(1, 3, [(0, 0, 800)], barrier=1)
    halves(b, b.external(8000, writable=True), 0)
    assert not found(b)


def test_a_wait_in_a_branch_may_not_happen() -> None:
    for inside, after, meet in ((1, 0, True), (1, 1, False), (0, 0, True)):
        b = PlanBuilder()
        to, flag = b.external(8000, writable=True), b.external(1, writable=True)
        halves(b, to, 0, 1)
        b.loop(1, 1, flag=flag)
        halves(b, to, 300, inside)
        halves(b, to, 50, after)
        assert bool(found(b)) == meet, (inside, after)


def test_a_flag_is_read_by_all_workers_before_every_round() -> None:
    for head, after, meet in ((1, 1, False), (0, 1, True), (1, 0, True)):
        b = PlanBuilder()
        flag = b.external(1, writable=True)
        b.step("fill", [flag], [1, 4], [1.0], single=True, barrier=after)
        b.loop(1, -1, flag=flag, barrier=head)
        b.step("fill", [flag], [1, 4], [0.0], single=True, barrier=after)
        assert bool(found(b)) == meet, (head, after)
