"""Peak resident memory of a process that trains, against what it was given."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import workloads
from worker import resident

from claims._common import build, tell

#: Case -> (workload, rows, dtype of x).
CASES = {
    "784-128-10, 60,000 float32 rows": ("fashion-b32", 60_000, "float32"),
    "784-128-10, 60,000 uint8 rows": ("fashion-b32", 60_000, "uint8"),
    "512-1024-1024-10, 12,800 float32 rows": ("wide-b64", 12_800, "float32"),
    "3-6-6-1, 100,000 float32 rows": ("tiny-b32", 100_000, "float32"),
}


def case(name: str) -> dict[str, float]:
    """Bytes before and after two epochs, in this process."""
    workload, rows, dtype = CASES[name]
    w = workloads.find(workload)
    rng = np.random.default_rng(0)
    # Made without a temporary, which would raise the peak.
    if dtype == "uint8":
        data = rng.bytes(rows * w.sizes[0])
        x = np.frombuffer(data, np.uint8).reshape(rows, w.sizes[0])
    else:
        x = rng.random((rows, w.sizes[0]), dtype=np.float32)
    if w.loss == "sparse_ce":
        y = rng.integers(0, w.sizes[-1], rows, dtype=np.int32)
    else:
        y = rng.random((rows, 1), dtype=np.float32)
    model = build(w.network, w.loss)
    model.fit(x, y, batch_size=w.batch, epochs=2, verbose=0)
    return {
        "peak": resident(),
        "data": x.nbytes + y.nbytes,
        # Weights and Adam's two slots, in float32.
        "state": 3 * 4 * w.network.parameters,
    }


def main() -> None:
    """A process a case, for a peak never falls."""
    if len(sys.argv) > 1:
        print(json.dumps(case(sys.argv[1])))
        return
    rows = []
    for name in CASES:
        command = [sys.executable, "-m", "claims.memory", name]
        done = subprocess.run(command, check=True, capture_output=True)
        got = json.loads(done.stdout.splitlines()[-1])
        bound = got["data"] + 3 * got["state"] + 80e6
        rows.append(
            {
                "case": name,
                "peak MB": got["peak"] / 1e6,
                "data MB": got["data"] / 1e6,
                "model and slots MB": got["state"] / 1e6,
                "bound MB": bound / 1e6,
            }
        )
    tell(rows, all(row["peak MB"] <= row["bound MB"] for row in rows))


if __name__ == "__main__":
    main()
