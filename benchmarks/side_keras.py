"""ranvier, Keras on JAX and Keras on TensorFlow: one program, one line different."""

from __future__ import annotations

import importlib
import os
import sys
import time
from types import ModuleType
from typing import Any

import numpy as np
from workloads import Workload

#: Calls in one run of "predict", by side; Keras's `predict` takes tens of milliseconds.
CALLS = {"ranvier": 5000, "keras": 40}


def native_facts() -> dict[str, Any]:
    """What ranvier's core tells of itself, as far as it offers it."""
    facts: dict[str, Any] = {}
    native = sys.modules.get("ranvier._native")
    if native is None:
        try:
            native = importlib.import_module("ranvier._native")
        except ImportError:
            return facts
    for name in ("isa", "threads", "fma_peak"):
        thing = getattr(native, name, None)
        try:
            value = thing() if callable(thing) else thing
        except Exception:  # a probe must not end the benchmark
            continue
        if isinstance(value, int | float | str):
            facts[name] = value
    return facts


class KerasSide:
    """Uses Keras's public API only."""

    def __init__(self, library: str) -> None:
        self.library = library
        self.keras: ModuleType = importlib.import_module(library)
        # Keras loads its parts at import; let a lazy library do so before the clock.
        for part in ("Sequential", "layers", "losses", "optimizers", "utils"):
            getattr(self.keras, part)

    def info(self) -> dict[str, Any]:
        """Versions and threads."""
        facts: dict[str, Any] = {
            "version": getattr(self.keras, "__version__", "unknown")
        }
        if self.library == "ranvier":
            return facts | native_facts()
        backend = self.keras.backend.backend()
        facts["backend"] = f"{backend} {importlib.import_module(backend).__version__}"
        facts["threads"] = os.cpu_count()
        return facts

    def prepare(self, w: Workload, x: np.ndarray, y: np.ndarray) -> None:
        """Builds and compiles; Keras's defaults everywhere else."""
        keras = self.keras
        if hasattr(keras.utils, "clear_session"):
            keras.utils.clear_session()
        keras.utils.set_random_seed(0)
        self.w, self.x, self.y = w, x, y
        hidden = [keras.layers.Dense(n, activation=w.activation) for n in w.sizes[1:-1]]
        self.model = keras.Sequential(
            [keras.Input((w.sizes[0],)), *hidden, keras.layers.Dense(w.sizes[-1])]
        )
        if w.loss == "mse":
            loss = "mean_squared_error"
        else:
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.model.compile(optimizer="adam", loss=loss)

    def run(self) -> float:
        """One epoch, or the median call of `predict` with one row."""
        if self.w.kind == "predict":
            one = self.x[:1]
            times = []
            for _ in range(CALLS[self.library]):
                start = time.perf_counter()
                self.model.predict(one, verbose=0)
                times.append(time.perf_counter() - start)
            return float(np.median(times))
        start = time.perf_counter()
        self.model.fit(
            self.x, self.y, batch_size=self.w.batch, epochs=1, verbose=0, shuffle=True
        )
        return time.perf_counter() - start

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Logits or values."""
        return np.asarray(self.model.predict(x, verbose=0))


def make(library: str) -> KerasSide:
    """The side for `library`, "ranvier" or "keras"."""
    return KerasSide(library)
