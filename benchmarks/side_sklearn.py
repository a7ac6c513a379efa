"""scikit-learn's MLPClassifier and MLPRegressor, without their L2 penalty."""

from __future__ import annotations

import os
import time
import warnings
from typing import Any

import numpy as np
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from timing import median_call
from workloads import SKLEARN_ACTIVATIONS, Workload


class SklearnSide:
    """One `fit` of one epoch; `warm_start` continues from the one before."""

    def info(self) -> dict[str, Any]:
        """Versions and threads."""
        return {"version": sklearn.__version__, "threads": os.cpu_count()}

    def prepare(self, w: Workload, x: np.ndarray, y: np.ndarray) -> None:
        """Builds the estimator."""
        if w.net:
            raise ValueError("scikit-learn has dense networks only")
        if w.activation not in SKLEARN_ACTIVATIONS:
            raise ValueError(f"scikit-learn's MLP has no {w.activation}")
        warnings.simplefilter("ignore", ConvergenceWarning)
        self.w, self.x = w, x
        self.y = y if w.loss == "sparse_ce" else y[:, 0]
        kind = MLPClassifier if w.loss == "sparse_ce" else MLPRegressor
        self.model = kind(
            hidden_layer_sizes=w.sizes[1:-1],
            activation=SKLEARN_ACTIVATIONS[w.activation],
            alpha=0.0,
            batch_size=w.batch,
            max_iter=1,
            shuffle=True,
            warm_start=True,
            random_state=0,
        )
        if w.kind == "predict":
            # One row cannot train much, but it makes the weights.
            self.model.fit(self.x, self.y)

    def run(self) -> float:
        """One epoch, or the median call of `predict` on one row."""
        if self.w.kind == "predict":
            one = self.x[: self.w.batch]
            return median_call(lambda: self.model.predict(one))
        start = time.perf_counter()
        self.model.fit(self.x, self.y)
        return time.perf_counter() - start

    def parameters(self) -> int:
        """Weights and biases."""
        return sum(a.size for a in self.model.coefs_ + self.model.intercepts_)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Log-probabilities (as good as logits) or values."""
        if self.w.loss == "sparse_ce":
            return self.model.predict_log_proba(x)
        return self.model.predict(x)


def make(_: str) -> SklearnSide:
    """The side."""
    return SklearnSide()
