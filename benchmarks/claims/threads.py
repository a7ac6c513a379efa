"""One thread against two, in turns, on rows of the table."""

from __future__ import annotations

import os
import statistics
import sys

import workloads
from process import Worker

from claims._common import tell

NAMES = ("tiny-b1", "tiny-b32", "fashion-b1", "fashion-b32", "fashion-b128",
         "fashion-b512", "wide-b64", "other-regress")  # fmt: skip
ROUNDS = 4


def main() -> None:
    """Two workers that differ in RANVIER_THREADS only."""
    avx2 = os.environ.get("RANVIER_ISA") == "avx2"
    sides = {
        side: Worker(f"ranvier@{side}", sys.executable, sys.stderr, 600, avx2)
        for side in ("1t", "2t")
    }
    rows = []
    try:
        for worker in sides.values():
            worker.ask("hello")
        for name in NAMES:
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
                }
            )
    finally:
        for worker in sides.values():
            worker.close()
    # Where ranvier chooses one thread by cost, the two differ by noise only.
    tell(rows, all(row["speed-up, best"] >= 0.97 for row in rows))


if __name__ == "__main__":
    main()
