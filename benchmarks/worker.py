"""A side of the benchmark: one process, started once, told on stdin what to run.

    python worker.py SIDE

Each line on stdin is a JSON object with `do`; each gets one JSON line on stdout:

* `hello`: imports the library; answers versions and the seconds the import took.
* `prepare` (`workload`, `rows`): makes data and model and runs once, untimed work
  (tracing, compiling, warming up) included; answers the seconds of that first run.
* `run`: one timed run; answers `seconds`.
* `loss`: the loss on the first 2,048 rows as NumPy computes it from the predictions, so
  that every side's training can be seen to have worked.
* `memory`: the resident size now, and its peak since the last data were made.

Whatever a library prints goes to stderr.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time
import traceback
from typing import Any, Protocol

import data
import numpy as np
import workloads

#: Side -> (module, argument of its `make`).
SIDES = {
    "ranvier": ("side_keras", "ranvier"),
    "keras-tf": ("side_keras", "keras"),
    "keras-tf-nojit": ("side_keras", "keras nojit"),
    "keras-jax": ("side_keras", "keras"),
    "torch": ("side_torch", ""),
    "torch-nhwc": ("side_torch", "nhwc"),
    "jax": ("side_jax", ""),
    "sklearn": ("side_sklearn", ""),
}


class Side(Protocol):
    """What a side module's `make(argument)` returns."""

    def info(self) -> dict[str, Any]:
        """Versions, threads, whatever is worth printing."""

    def prepare(self, w: workloads.Workload, x: np.ndarray, y: np.ndarray) -> None:
        """Builds the model and keeps the data."""

    def parameters(self) -> int:
        """Number of trainable weights, asked after the first run."""

    def run(self) -> float:
        """One run; the seconds it took."""

    def predict(self, x: np.ndarray) -> np.ndarray:
        """What the network gives for `x` (logits, probabilities or values)."""


def resident(key: str = "VmHWM") -> int:
    """Resident bytes of this process: their peak, or now (`VmRSS`)."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith(f"{key}:"):
                return int(line.split()[1]) * 1024
    return 0


def forget_peak() -> None:
    """Begins a new peak: reading the files of a data set takes more than a batch."""
    with open("/proc/self/clear_refs", "w") as clear:
        clear.write("5")


def mean_loss(kind: str, y: np.ndarray, out: np.ndarray) -> float:
    """Mean loss in float64 of predictions `out` (sparse_ce: logits) against `y`."""
    out = np.asarray(out, np.float64)
    if kind == "mse":
        return float(np.mean((out.reshape(y.shape) - y) ** 2))
    out = out - out.max(-1, keepdims=True)
    picked = np.take_along_axis(out, y.astype(np.int64)[..., None], -1)[..., 0]
    return float(np.mean(np.log(np.exp(out).sum(-1)) - picked))


class Worker:
    """Answers commands for one side."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.side: Side | None = None
        #: What runs the workload: the side, or its estimator.
        self.running: Any = None
        self.workload: workloads.Workload | None = None
        self.x = np.zeros(0, np.float32)
        self.y = np.zeros(0, np.float32)

    def answer(self, command: dict[str, Any]) -> dict[str, Any]:
        """Does one command."""
        do = command["do"]
        if do == "hello":
            # The base name: "ranvier@avx2" is the ranvier side under other variables.
            module, argument = SIDES[self.name.partition("@")[0]]
            start = time.perf_counter()
            self.side = importlib.import_module(module).make(argument)
            seconds = time.perf_counter() - start
            return {"import_s": seconds, **self.side.info()}
        if self.side is None:
            raise RuntimeError("say hello first")
        if do == "prepare":
            self.workload = workloads.find(command["workload"])
            self.running = self.side
            if self.workload.kind == "estimator":
                estimators = importlib.import_module("estimators")
                self.running = estimators.make(self.name.partition("@")[0])
            self.x, self.y, what = data.make_data(self.workload, command["rows"])
            gc.collect()
            forget_peak()
            start = time.perf_counter()
            self.running.prepare(self.workload, self.x, self.y)
            built = time.perf_counter() - start
            self.running.run()
            first = time.perf_counter() - start
            count, wanted = self.running.parameters(), self.workload.network.parameters
            if count != wanted:
                raise ValueError(f"{count} weights, but the row is about {wanted}")
            return {"build_s": built, "first_s": first, "data": what}
        if do == "run":
            gc.collect()
            return {"seconds": self.running.run()}
        if do == "loss":
            return {"loss": self.loss()}
        if do == "memory":
            return {"bytes": resident("VmRSS"), "peak_bytes": resident()}
        raise ValueError(f"unknown command {do!r}")

    def loss(self) -> float:
        """The mean loss of the first 2,048 rows, a part at a time."""
        assert self.workload is not None
        x, y, total = self.x[:2048], self.y[:2048], 0.0
        for i in range(0, len(x), 256):
            rows = slice(i, i + 256)
            out = self.running.predict(x[rows])
            total += mean_loss(self.workload.loss, y[rows], out) * len(y[rows])
        return total / len(x)


def main() -> None:
    """Reads commands until stdin ends."""
    # Libraries print on fd 1 (and C++ ones do so behind Python's back): keep a private
    # copy of it for answers and let everything else go to stderr.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker = Worker(sys.argv[1])
    for line in sys.stdin:
        try:
            reply = worker.answer(json.loads(line))
        except Exception as error:  # told to the harness, which goes on without us
            traceback.print_exc()
            reply = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:300]}
        print(json.dumps(reply), file=answers, flush=True)


if __name__ == "__main__":
    main()
