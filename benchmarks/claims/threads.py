"""One thread against two, in turns, on rows of the table."""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Sequence

import workloads
from process import Worker

from claims._common import tell

NAMES = ("tiny-b1", "tiny-b32", "fashion-b1", "fashion-b32", "fashion-b128",
         "fashion-b512", "wide-b64", "other-regress")  # fmt: skip
ROUNDS = 4


def measure(names: Sequence[str], wanted: float) -> None:
    """Two workers that differ in RANVIER_THREADS only; tells of each of `names`."""
    avx2 = os.environ.get("RANVIER_ISA") == "avx2"
    sides = {
        side: Worker(f"ranvier@{side}", sys.executable, sys.stderr, 600, avx2)
        for side in ("1t", "2t")
    }
    rows = []
    try:
        for worker in sides.values():
            worker.ask("hello")
        for name in names:
            w = workloads.find(name)
            times: dict[str, list[float]] = {side: [] for side in sides}
            for worker in sides.values():
                worker.ask("prepare", workload=name, rows=w.rows)
            for _ in range(ROUNDS):
                for side, worker in sides.items():
                    times[side] += [worker.ask("run")["seconds"] for _ in range(2)]
            rows.append(
                {
                    "workload": name,
                    "1 thread best s": min(times["1t"]),
                    "2 threads best s": min(times["2t"]),
                    "1 thread median s": statistics.median(times["1t"]),
                    "2 threads median s": statistics.median(times["2t"]),
                    "speed-up, best": min(times["1t"]) / min(times["2t"]),
                    "wanted": wanted,
                }
            )
    finally:
        for worker in sides.values():
            worker.close()
    tell(rows, all(row["speed-up, best"] >= wanted for row in rows))


def main() -> None:
    """Where ranvier chooses one thread by cost, the two differ by noise only."""
    measure(NAMES, 0.97)


if __name__ == "__main__":
    main()
