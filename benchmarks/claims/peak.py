"""GFLOP/s of whole training epochs, against the FMA peak measured beside them."""

from __future__ import annotations

import statistics
from typing import Any

import data
import workloads

from claims._common import build, seconds, tell

WANTED = {"fashion-b512": 65, "fashion-b128": 60, "fashion-b32": 50}
ROUNDS = 6


def fma_peak() -> float | None:
    """GFLOP/s of the core's own probe with all its threads; None if it has none."""
    try:
        from ranvier import _native
    except ImportError:
        return None
    probe = getattr(_native, "fma_peak", None)
    if probe is None:
        return None
    value = float(probe())
    return value / 1e9 if value > 1e6 else value


def main() -> None:
    """A round is the probe and an epoch of each batch size."""
    models: dict[str, Any] = {}
    for name in WANTED:
        w = workloads.find(name)
        models[name] = build(w.network, w.loss)
    w = workloads.find("fashion-b32")
    x, y, _ = data.make_data(w, w.rows)
    peaks: list[float | None] = []
    times: dict[str, list[float]] = {name: [] for name in WANTED}
    for turn in range(ROUNDS + 1):
        peaks.append(fma_peak())
        for name, model in models.items():
            batch = workloads.find(name).batch
            spent = seconds(
                lambda m=model, b=batch: m.fit(x, y, batch_size=b, epochs=1, verbose=0)
            )
            if turn:  # the first traces and plans
                times[name].append(spent)
    known = [peak for peak in peaks if peak]
    peak = max(known) if known else None
    rows = []
    for name, wanted in WANTED.items():
        w = workloads.find(name)
        work = w.network.train_flops * w.rows / 1e9
        row = {
            "workload": name,
            "GFLOP/s best": work / min(times[name]),
            "GFLOP/s median": work / statistics.median(times[name]),
            "FMA peak": peak,
            "% of peak, best": 100 * work / min(times[name]) / peak if peak else None,
            "wanted %": wanted,
        }
        rows.append(row)
    within = all(r["% of peak, best"] >= r["wanted %"] for r in rows) if peak else None
    tell(rows, within)


if __name__ == "__main__":
    main()
