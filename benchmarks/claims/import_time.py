"""Seconds that `import ranvier` adds to a bare interpreter."""

from __future__ import annotations

import statistics
import subprocess
import sys

from claims._common import seconds, tell

ROUNDS = 8
PROGRAMS = {"bare": "pass", "numpy": "import numpy", "ranvier": "import ranvier"}


def main() -> None:
    """Takes turns, so that a slow window of the host falls on all three."""
    times: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for _ in range(ROUNDS):
        for name, program in PROGRAMS.items():
            command = [sys.executable, "-c", program]
            times[name].append(seconds(lambda c=command: subprocess.run(c, check=True)))
    rows = []
    for name in ("numpy", "ranvier"):
        best = min(times[name]) - min(times["bare"])
        middle = statistics.median(times[name]) - statistics.median(times["bare"])
        rows.append({"import": name, "best ms": 1e3 * best, "median ms": 1e3 * middle})
    tell(rows, rows[-1]["best ms"] <= 200)


if __name__ == "__main__":
    main()
