"""GFLOP/s of whole training epochs, against the FMA peak measured beside them."""

from __future__ import annotations

import statistics
from typing import Any

import data
import workloads

from claims._common import build, seconds, tell

WANTED = {"fashion-b512": 65, "fashion-b128": 60, "fashion-b32": 50}
ROUNDS = 6


def fma_peak(loads: bool = False) -> float | None:
    """GFLOP/s of the core's own probe with all its threads; None if it has none.

    Args:
        loads: Whether operands come from L1, as those of every product do: beside
            loads some processors lower their clock, so that this is the real bound.
    """
    try:
        from ranvier import _native
    except ImportError:
        return None
    probe = getattr(_native, "fma_peak", None)
    return None if probe is None else float(probe(loads=loads)) / 1e9


class Peaks:
    """Both peaks, each the best of several measurements."""

    def __init__(self) -> None:
        self._found: dict[bool, list[float]] = {False: [], True: []}

    def measure(self) -> None:
        """Once more, for both."""
        for loads, found in self._found.items():
            value = fma_peak(loads)
            if value is not None:
                found.append(value)

    @property
    def fma(self) -> float | None:
        """Of multiply-adds in registers."""
        return max(self._found[False], default=None)

    def columns(self, rate: float) -> dict[str, float | None]:
        """The peaks, and this many GFLOP/s as shares of them."""
        tile = max(self._found[True], default=None)
        return {
            "FMA peak": self.fma,
            "% of peak, best": 100 * rate / self.fma if self.fma else None,
            "with operands from L1": tile,
            "% of that": 100 * rate / tile if tile else None,
        }


def main() -> None:
    """A round is the probe and an epoch of each batch size."""
    models: dict[str, Any] = {}
    for name in WANTED:
        w = workloads.find(name)
        models[name] = build(w.network, w.loss)
    w = workloads.find("fashion-b32")
    x, y, _ = data.make_data(w, w.rows)
    peaks = Peaks()
    times: dict[str, list[float]] = {name: [] for name in WANTED}
    for turn in range(ROUNDS + 1):
        peaks.measure()
        for name, model in models.items():
            batch = workloads.find(name).batch
            spent = seconds(
                lambda m=model, b=batch: m.fit(x, y, batch_size=b, epochs=1, verbose=0)
            )
            if turn:  # the first traces and plans
                times[name].append(spent)
    rows = []
    for name, wanted in WANTED.items():
        w = workloads.find(name)
        work = w.network.train_flops * w.rows / 1e9
        row = {
            "workload": name,
            "GFLOP/s best": work / min(times[name]),
            "GFLOP/s median": work / statistics.median(times[name]),
            **peaks.columns(work / min(times[name])),
            "wanted %": wanted,
        }
        rows.append(row)
    within = None
    if peaks.fma:
        within = all(r["% of peak, best"] >= r["wanted %"] for r in rows)
    tell(rows, within)


if __name__ == "__main__":
    main()
