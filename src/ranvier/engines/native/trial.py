"""Which of two plans is faster, found out while training with both."""

from __future__ import annotations

import math
from typing import Generic, TypeVar

P = TypeVar("P")

#: Seconds that each plan runs. A core that was idle needs some to reach its full speed,
#: on virtual machines more than others.
SECONDS = 0.05
#: Nanoseconds of a piece of that, about. The fastest piece counts: another may meet a
#: busy machine.
PIECE_NS = 5e6


class Trial(Generic[P]):
    """Plans of the same results run for a while each, and the faster one goes on.

    All plans of a graph give the same bits, for one worker or several, so that a choice
    by the clock changes nothing but the time.

    Args:
        first: The plan that estimates prefer.
        second: The other one.
        estimate: Nanoseconds that a batch takes, roughly.
    """

    def __init__(self, first: P, second: P, estimate: float) -> None:
        self.plans = first, second
        #: Batches of a piece.
        self.batches = max(2, round(PIECE_NS / max(estimate, 1.0)))
        self._spent = [0.0, 0.0]
        self._best = [math.inf, math.inf]

    @property
    def turn(self) -> int | None:
        """Number of the plan that runs now; ``None`` when both have."""
        return next((i for i in (0, 1) if self._spent[i] < SECONDS), None)

    def took(self, plan: int, batches: int, seconds: float) -> None:
        """Takes down how long a plan took for so many batches."""
        self._spent[plan] += seconds
        self._best[plan] = min(self._best[plan], seconds / batches)

    @property
    def best(self) -> P:
        """The plan to go on with: the first one as long as nothing is decided."""
        late = self.turn is None and self._best[1] < self._best[0]
        return self.plans[int(late)]
