"""Tracing, differentiating, fusing and planning a step of networks with convolutions."""

from __future__ import annotations

import statistics

import networks

from claims._common import tell
from claims.compile_time import first_minus_later

#: Network -> rounds, and the milliseconds it may take.
CASES = {"lenet": (6, 100), "resnet50": (2, 2000)}


def main() -> None:
    """LeNet's first one is thrown away: it pays for modules loaded when needed."""
    first_minus_later(networks.find("lenet"), 2, 2)
    rows = []
    for name, (rounds, bound) in CASES.items():
        network = networks.find(name)
        times = [1e3 * first_minus_later(network, 2, 2) for _ in range(rounds)]
        rows.append(
            {
                "network": name,
                "best ms": min(times),
                "median ms": statistics.median(times),
                "wanted ms": bound,
            }
        )
    tell(rows, all(row["best ms"] <= row["wanted ms"] for row in rows))


if __name__ == "__main__":
    main()
