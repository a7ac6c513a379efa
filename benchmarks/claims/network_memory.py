"""Peak memory of training, above what the import takes, beside PyTorch's."""

from __future__ import annotations

import os
import sys
from typing import Any

import workloads
from process import SideError, Worker, is_ours

from claims._common import tell

SIDES = ("ranvier", "torch", "torch-nhwc")
#: Batches in the data, so that the data themselves hardly count.
STEPS = 2
EPOCHS = 3


def peak(side: str, w: workloads.Workload) -> float | None:
    """MB that building and a few steps add at most, in a process of its own.

    None where the side takes no part, or is not there and not ours.
    """
    if w.only and side not in w.only:
        return None
    python = sys.executable
    if not is_ours(side):
        python = os.environ.get("RANVIER_BENCH_PEERS", python)
    avx2 = os.environ.get("RANVIER_ISA") == "avx2"
    worker = Worker(side, python, sys.stderr, 600, avx2)
    try:
        worker.ask("hello")
        before = worker.ask("memory")["bytes"]
        worker.ask("prepare", workload=w.name, rows=STEPS * w.batch)
        for _ in range(EPOCHS):
            worker.ask("run")
        return (worker.ask("memory")["peak_bytes"] - before) / 1e6
    except SideError:
        if is_ours(side):
            raise
        return None
    finally:
        worker.close()


def main() -> None:
    """Every network that trains."""
    rows: list[dict[str, Any]] = []
    for w in workloads.SUITES["networks"].table:
        if w.trains:
            found = {f"{side} MB": peak(side, w) for side in SIDES}
            rows.append({"workload": w.name, **found})
    pairs = [
        (row["ranvier MB"], least)
        for row in rows
        if (
            least := min(
                (v for k, v in row.items() if "torch" in k and v), default=None
            )
        )
    ]
    tell(rows, all(ours <= least for ours, least in pairs) if pairs else None)


if __name__ == "__main__":
    main()
