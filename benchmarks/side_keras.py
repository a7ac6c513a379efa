"""ranvier, Keras on JAX and Keras on TensorFlow: one program, one line different."""

from __future__ import annotations

import importlib
import math
import os
import sys
import time
from types import ModuleType
from typing import Any

import net_keras
import numpy as np
from timing import median_call
from workloads import Workload


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

    def __init__(self, library: str, settings: dict[str, Any]) -> None:
        self.library, self.settings = library, settings
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
        self.model = net_keras.build(keras, w.network, application=True)
        net_keras.compile_model(keras, self.model, w.loss, **self.settings)

    def parameters(self) -> int:
        """Trainable weights."""
        return sum(math.prod(v.shape) for v in self.model.trainable_variables)

    def run(self) -> float:
        """One epoch, or the median call of `predict` with one batch."""
        if self.w.kind == "predict":
            batch = self.x[: self.w.batch]
            return median_call(lambda: self.model.predict(batch, verbose=0))
        start = time.perf_counter()
        self.model.fit(
            self.x, self.y, batch_size=self.w.batch, epochs=1, verbose=0, shuffle=True
        )
        return time.perf_counter() - start

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Logits or values."""
        return np.asarray(self.model.predict(x, verbose=0))


def make(argument: str) -> KerasSide:
    """The side for "ranvier", "keras" or "keras nojit" (no XLA)."""
    library, _, nojit = argument.partition(" ")
    return KerasSide(library, {"jit_compile": False} if nojit else {})
