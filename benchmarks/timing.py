"""The clock of a run that is many short calls."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

CALLS, SECONDS = 5000, 1.0


def median_call(call: Callable[[], object]) -> float:
    """Median seconds of a call: of 5,000, or of as many as begin within a second."""
    times: list[float] = []
    end = time.perf_counter() + SECONDS
    while len(times) < CALLS:
        start = time.perf_counter()
        if times and start > end:
            break
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)
