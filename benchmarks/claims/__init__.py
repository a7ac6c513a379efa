"""ranvier's own figures, a script each; every one prints JSON on its last line.

Run one by hand from the folder `benchmarks`: `python -m claims.fit_cost`.
A result is a dictionary with `rows`, the lines of its table (a list of dictionaries
with the same keys), and `within` (whether the wanted bound holds), or with `error`.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

#: Name of the module -> what the figure is and the bound that is wanted.
CLAIMS = {
    "import_time": "`import ranvier` on top of a bare interpreter: at most 0.2 s",
    "peak": "share of the FMA peak: 65 % at batch 512, 60 % at 128, 50 % at 32",
    "threads": "two threads are not slower than one",
    "fit_cost": "fixed cost of a `fit` call once traced: at most 250 µs",
    "compile_time": "trace, gradient, fusion and plan of a network: at most 30 ms",
    "rows_cost": "cost per row from 1e3 to 1e6 rows, same total: flat within 15 %",
    "memory": "peak memory: at most the data + 3 × (model and slots) + 80 MB",
    "shapes": "cost per FLOP of networks off the table: within 1.4 × the nearest row",
    "conv_peak": "share of the FMA peak in training: 60 % from 32 channels, 40 % with 16",
    "network_threads": "two threads on rows that compute: at least 1.6 × as fast as one",
    "network_memory": "peak memory of training above the import: at most PyTorch's",
    "network_compile": "trace to plan of a step: LeNet at most 100 ms, ResNet-50 2 s",
}


def measure(
    names: Sequence[str], isa: str, timeout: float, say: Callable[[str], None]
) -> dict[str, Any]:
    """Runs the chosen scripts, one after another, each in a process of its own."""
    from process import SideError, run_json

    extra = {"RANVIER_ISA": isa} if isa != "native" else {}
    results: dict[str, Any] = {}
    for name in names:
        say(f"claim {name}: {CLAIMS[name]}")
        try:
            results[name] = run_json(f"claims.{name}", extra, timeout)
        except (SideError, subprocess.TimeoutExpired, json.JSONDecodeError) as error:
            results[name] = {"error": str(error)}
            say(f"  {error}")
    return results
