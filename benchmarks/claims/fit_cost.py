"""What one call of `fit` costs whatever it trains: one row, again and again."""

from __future__ import annotations

import statistics

import networks

from claims._common import build, rows_for, seconds, tell

NETWORKS = {
    "3-6-6-1": (3, 6, 6, 1),
    "20-64-64-1": (20, 64, 64, 1),
    "784-128-10": (784, 128, 10),
}
CALLS = 500


def main() -> None:
    """Best and median of many calls."""
    rows = []
    for name, sizes in NETWORKS.items():
        network = networks.dense(sizes)
        model = build(network, "mse")
        x, y = rows_for(network, 1, "mse")

        def fit(model=model, x=x, y=y) -> None:
            model.fit(x, y, batch_size=1, epochs=1, verbose=0)

        for _ in range(5):
            fit()
        times = [1e6 * seconds(fit) for _ in range(CALLS)]
        rows.append(
            {"network": name, "best µs": min(times),
             "median µs": statistics.median(times)}
        )  # fmt: skip
    tell(rows, all(row["best µs"] <= 250 for row in rows))


if __name__ == "__main__":
    main()
