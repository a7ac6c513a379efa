"""Plans as they are made for models, and steps run alone to see what they touch."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from ranvier import random
from ranvier.engines.native import draft, engine, races
from ranvier.engines.native.accesses import EVERYWHERE, touched
from ranvier.engines.native.plan import (
    ARENA,
    CONSTANT,
    EXTERNAL,
    OWN,
    Plan,
    PlanBuilder,
    Step,
)
from ranvier.engines.native.values import Buffer
from ranvier.graph.variable import Variable

Array = np.ndarray[Any, Any]
WORKERS = (1, 2, 3, 8)


@dataclasses.dataclass
class Made:
    """A plan that the engine has made.

    Attributes:
        builder: The plan.
        slots: What its slots are.
        workers: For how many workers it is.
    """

    builder: PlanBuilder
    slots: Sequence[Buffer]
    workers: int = 0


@contextmanager
def recorded(threads: int, share_all: bool = False) -> Iterator[list[Made]]:
    """Plans made meanwhile, as if the machine had so many threads and all paid.

    They run on one worker, which gives the same bits, and plans are not proven: tests
    do that themselves.

    Args:
        threads: How many.
        share_all: Divide every step, however small.
    """
    made: list[Made] = []

    def emit(steps: Any, slots: Sequence[Buffer], constants: Any) -> PlanBuilder:
        made.append(Made(draft.emit(steps, slots, constants), slots))
        return made[-1].builder

    def check(builder: PlanBuilder, workers: int) -> None:
        assert made[-1].builder is builder
        made[-1].workers = workers

    def compiled(plan: Any, outputs: Any, workers: int, *rest: Any) -> Any:
        return real(plan, outputs, 1, *rest)

    real = engine.Compiled

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(random, "MANY", 1 << 62)  # first weights make no plans
        patch.setenv("RANVIER_VERIFY", "1")
        patch.setattr(engine, "config_threads", lambda: threads)
        patch.setattr(engine, "emit", emit)
        patch.setattr(engine, "Compiled", compiled)
        patch.setattr(races, "check", check)
        patch.setattr(engine, "judge", lambda *_: engine.Verdict.SEVERAL)
        if share_all:
            patch.setattr(draft, "SHARE_NS", 0.0)
        yield made


def prove(made: Sequence[Made]) -> int:
    """Asserts that plans are free of races for as many workers as they may have.

    Returns:
        How many proofs that were.
    """
    proofs = 0
    for plan in made:
        for workers in WORKERS:
            if 1 < workers <= plan.workers:
                found = [r.text for r in races.find(plan.builder, workers)]
                assert not found, f"{workers} of {plan.workers} workers: {found}"
                proofs += 1
    return proofs


def replay(made: Made, inputs: Mapping[str, Array], n_rows: int) -> None:
    """Runs a plan step by step and asserts that every step obeys its rule."""
    slots = []
    for buffer in made.slots:
        if isinstance(buffer.key, Variable):
            storage: Any = buffer.key.storage
            slots.append(storage.flat)
        elif isinstance(buffer.key, str):
            slots.append(inputs[buffer.key])
        else:
            slots.append(np.zeros(buffer.nbytes, np.uint8))
    memory = Memory(made.builder, slots)
    for step in made.builder.steps:
        for workers in {2, made.workers}:
            obeys(memory, step, workers, n_rows=n_rows)
        plan = memory.plan_of(step)
        plan.native.call_share(memory.arrays, 0, 1, n_rows=n_rows)


class Memory:
    """All that a plan touches: its slots, the arena, the constants.

    Args:
        builder: The plan.
        slots: An array for each slot.
    """

    def __init__(self, builder: PlanBuilder, slots: Sequence[Array]) -> None:
        self.builder = builder
        self.strided = [strided for _, _, strided in builder.slots]
        room = np.zeros(builder.arena_bytes + 256, np.uint8)
        constants = np.frombuffer(bytes(builder.constants) + bytes(256), np.uint8)
        flat = [
            # Kernels may read a little behind the last element.
            a if strided else np.frombuffer(a.tobytes() + bytes(256), np.uint8).copy()
            for a, strided in zip(slots, self.strided, strict=True)
        ]
        own = np.zeros(builder.own_bytes + 256, np.uint8)
        self.arrays = [*flat, own, room, constants.copy()]
        self.strided += [False] * 3

    def plan_of(self, step: Step) -> Plan:
        """One step as a plan; arena and constants become slots, places stay."""
        last = len(self.arrays) - 1
        slot = {OWN: last - 2, ARENA: last - 1, CONSTANT: last}
        one = PlanBuilder()
        for (_, _, strided), array in zip(
            [*self.builder.slots, *[(0, 0, False)] * 3],
            self.arrays,
            strict=True,
        ):
            one.external(0 if strided else array.nbytes, writable=not strided,
                         strided=strided)  # fmt: skip
        refs = [
            r._replace(space=EXTERNAL, slot=slot[r.space]) if r.space in slot else r
            for r in step.refs
        ]
        one.steps.append(dataclasses.replace(step, refs=refs, barrier=0))
        return one.build()

    def index(self, place: tuple[int, int]) -> int:
        """The number of the array behind a place."""
        last = len(self.arrays) - 1
        places = {OWN: last - 2, ARENA: last - 1, CONSTANT: last}
        return places.get(place[0], place[1])

    def mask(self, pieces: Sequence[tuple[tuple[int, int], Array]]) -> list[Array]:
        """For each array, which bytes lie in these stretches."""
        found = [np.zeros(a.nbytes, bool) for a in self.arrays]
        for place, spans in pieces:
            at = self.index(place)
            for low, high in spans:
                if high == EVERYWHERE:  # a data set is read
                    high = self.arrays[at].nbytes
                assert 0 <= low <= high <= self.arrays[at].nbytes, (place, low, high)
                found[at][low:high] = True
        return found


def copies(arrays: Sequence[Array], strided: Sequence[bool]) -> list[Array]:
    """Arrays to be changed; rows of a data set, which nobody writes, stay."""
    return [a if s else a.copy() for a, s in zip(arrays, strided, strict=True)]


def obeys(memory: Memory, step: Step, workers: int, seed: int = 0, **run: Any) -> None:
    """Asserts that every worker touches what the rule of the kernel says, and no more.

    Its share is run twice: once on the memory as it is, and once with every byte changed
    that the rule does not call read. Bytes outside of what the rule calls written must
    stay in both runs, and what is written must come out alike.
    """
    plan = memory.plan_of(step)
    rng = np.random.default_rng(seed)
    for worker in range(workers):
        part = touched(step, worker, workers)
        reads, writes = memory.mask(part.reads), memory.mask(part.writes)
        changed = []
        for array, read, strided in zip(
            memory.arrays, reads, memory.strided, strict=True
        ):
            noise = array if strided else rng.integers(1, 256, array.size, np.uint8)
            changed.append(array if strided else np.where(read, array, array ^ noise))
        got = []
        for start in (memory.arrays, changed):
            arrays = copies(start, memory.strided)
            plan.native.call_share(arrays, worker, workers, **run)
            got.append(arrays)
        where = f"{step.kernel}, worker {worker} of {workers}"
        for i, written in enumerate(writes):
            if memory.strided[i]:
                continue
            for start, end in ((memory.arrays[i], got[0][i]), (changed[i], got[1][i])):
                wrong = np.flatnonzero((start != end) & ~written)
                assert not len(wrong), f"{where}: writes byte {wrong[0]} of buffer {i}"
            untouched = (got[0][i] == memory.arrays[i]) & (got[1][i] == changed[i])
            wrong = np.flatnonzero((got[0][i] != got[1][i]) & written & ~untouched)
            assert not len(wrong), (
                f"{where}: byte {wrong[0]} of buffer {i} depends on more than it reads"
            )
