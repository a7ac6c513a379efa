"""`RanvierClassifier` and `MLPClassifier`: one program, one class different."""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from workloads import SKLEARN_ACTIVATIONS, Workload


class EstimatorSide:
    """`fit` with scikit-learn's defaults, its L2 penalty included.

    Epochs beyond the first go on from the weights there are (`warm_start`), where the
    workload is one epoch; several epochs are one `fit` from the beginning.
    """

    def __init__(self, kind: type) -> None:
        self.kind = kind

    def info(self) -> dict[str, Any]:
        """Nothing beyond what the side itself has told."""
        return {}

    def prepare(self, w: Workload, x: np.ndarray, y: np.ndarray) -> None:
        """Makes the estimator."""
        warnings.simplefilter("ignore", ConvergenceWarning)
        self.x, self.y = x, y
        self.model = self.kind(
            hidden_layer_sizes=w.sizes[1:-1],
            activation=SKLEARN_ACTIVATIONS[w.activation],
            batch_size=w.batch,
            max_iter=w.epochs,
            n_iter_no_change=w.epochs,  # all of them
            warm_start=w.epochs == 1,
            random_state=0,
        )

    def run(self) -> float:
        """One `fit`."""
        start = time.perf_counter()
        self.model.fit(self.x, self.y)
        return time.perf_counter() - start

    def parameters(self) -> int:
        """Weights and biases."""
        return sum(a.size for a in self.model.coefs_ + self.model.intercepts_)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Log-probabilities, as good as logits."""
        return self.model.predict_log_proba(x)


def make(side: str) -> EstimatorSide:
    """The side for "ranvier" or "sklearn"."""
    if side == "ranvier":
        from ranvier.sklearn import RanvierClassifier

        return EstimatorSide(RanvierClassifier)
    from sklearn.neural_network import MLPClassifier

    return EstimatorSide(MLPClassifier)
