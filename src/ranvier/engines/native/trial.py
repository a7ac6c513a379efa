"""Which of two plans is faster, found out while training with both."""

from __future__ import annotations

import math
from typing import Generic, TypeVar

P = TypeVar("P")

#: Seconds that each plan runs in a round. A core that was idle needs some to reach its
#: full speed, on virtual machines more than others.
SECONDS = 0.05
#: Nanoseconds of a piece of that, about. The fastest piece counts: another may meet a
#: busy machine.
PIECE_NS = 5e6
#: Seconds from the first round to the next, and how many times longer each later pause
#: is. The first round may be misled: threads of NumPy's BLAS, for one, keep a core busy
#: for 0.2 s after they were last needed, which is often just before a training begins.
PAUSE, LONGER = 0.3, 4.0


class Trial(Generic[P]):
    """Plans of the same results run for a while each, and the faster one goes on.

    Now and then, ever more seldom, there is another round.

    All plans of a graph give the same bits, for one worker or several, so that a choice
    by the clock changes nothing but the time.

    Args:
        first: The plan that estimates prefer.
        second: The other one.
        estimate: Nanoseconds that a batch takes, roughly.
    """

    def __init__(self, first: P, second: P, estimate: float) -> None:
        self.plans = first, second
        #: Number of the plan that goes on, as far as is known.
        self.ahead = 0
        self._piece = max(2, round(PIECE_NS / max(estimate, 1.0)))
        self._pause = PAUSE
        self._begin()

    def _begin(self) -> None:
        self._spent = [0.0, 0.0]
        self._best = [math.inf, math.inf]
        self._rest = self._pause

    @property
    def trying(self) -> bool:
        """Whether a round is on."""
        return min(self._spent) < SECONDS

    @property
    def turn(self) -> int:
        """Number of the plan that runs now."""
        other = 1 - self.ahead
        return (
            other if self.trying and self._spent[self.ahead] >= SECONDS else self.ahead
        )

    @property
    def batches(self) -> int:
        """How many batches that plan should run before the next is asked for."""
        if self.trying:
            return self._piece
        return max(self._piece, math.ceil(self._rest / self._best[self.ahead]))

    def took(self, plan: int, batches: int, seconds: float) -> None:
        """Takes down how long a plan took for so many batches."""
        if not self.trying:
            self._rest -= seconds
            if self._rest <= 0:
                self._pause *= LONGER
                self._begin()
            return
        self._spent[plan] += seconds
        self._best[plan] = min(self._best[plan], seconds / batches)
        if not self.trying and self._best[1 - self.ahead] < self._best[self.ahead]:
            self.ahead = 1 - self.ahead

    @property
    def best(self) -> P:
        """The plan to go on with."""
        return self.plans[self.ahead]
