"""Tracing, differentiating, fusing and planning: a first `fit` less a later one."""

from __future__ import annotations

import statistics
from typing import Any

import networks
import workloads

from claims._common import build, rows_for, seconds, tell

NAMES = ("fashion-b32", "wide-b64", "tiny-b32", "predict-1")
ROUNDS = 6


def first_minus_later(
    network: networks.Network, batch: int, rows: int, loss: str = "sparse_ce"
) -> float:
    """Seconds the first `fit` of a new model spends on getting ready.

    Weights are made before the clock starts (`Input` builds the model).
    """
    x, y = rows_for(network, rows, loss)
    model: Any = build(network, loss)

    def fit() -> None:
        model.fit(x, y, batch_size=batch, epochs=1, verbose=0)

    first = seconds(fit)
    return first - min(seconds(fit) for _ in range(5))


def of_row(w: workloads.Workload) -> float:
    """The same of a row of the table.

    The rows make one full batch and one of a single row, so that both programs are
    planned.
    """
    batch = max(w.batch, 2)
    return first_minus_later(w.network, batch, batch + 1, w.loss)


def main() -> None:
    """A first network, thrown away, pays for modules that are loaded when needed."""
    rows = [
        {
            "network": "the first in a process",
            "best ms": 1e3 * of_row(workloads.find("other-odd")),
            "median ms": None,
        }
    ]
    for name in NAMES:
        w = workloads.find(name)
        times = [1e3 * of_row(w) for _ in range(ROUNDS)]
        rows.append(
            {
                "network": "-".join(map(str, w.sizes)),
                "best ms": min(times),
                "median ms": statistics.median(times),
            }
        )
    tell(rows, all(row["best ms"] <= 30 for row in rows[1:]))


if __name__ == "__main__":
    main()
