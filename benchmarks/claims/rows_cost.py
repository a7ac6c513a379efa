"""Cost per row from a thousand rows to a million, a million trained each time."""

from __future__ import annotations

import statistics

import networks

from claims._common import build, rows_for, seconds, tell

NETWORK = networks.dense((20, 64, 64, 1))
BATCH = 32
TOTAL = 1_000_000
ROUNDS = 4


def main() -> None:
    """`fit(n rows, epochs = total / n)`, the sizes taking turns."""
    x, y = rows_for(NETWORK, TOTAL, "mse")
    model = build(NETWORK, "mse")
    counts = [1000, 10_000, 100_000, TOTAL]
    times: dict[int, list[float]] = {count: [] for count in counts}
    model.fit(x[:1000], y[:1000], batch_size=BATCH, epochs=2, verbose=0)
    for _ in range(ROUNDS):
        for count in counts:
            times[count].append(
                seconds(
                    lambda n=count: model.fit(
                        x[:n], y[:n], batch_size=BATCH, epochs=TOTAL // n, verbose=0
                    )
                )
            )
    rows = [
        {
            "rows": count,
            "epochs": TOTAL // count,
            "best ns per row": 1e9 * min(times[count]) / TOTAL,
            "median ns per row": 1e9 * statistics.median(times[count]) / TOTAL,
        }
        for count in counts
    ]
    best = [row["best ns per row"] for row in rows]
    tell(rows, max(best) <= 1.15 * min(best))


if __name__ == "__main__":
    main()
