"""scikit-learn's way to work, with ranvier's engine behind it.

    pip install 'ranvier[sklearn]'
    python examples/estimators.py

`RanvierClassifier` takes `MLPClassifier`'s place: the same parameters, attributes and
formulas, in pipelines, searches and `partial_fit`. Handwritten digits, 8 x 8 pixels.
"""

from __future__ import annotations

import time
import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ranvier.sklearn import RanvierClassifier


def compare(train: np.ndarray, labels: np.ndarray) -> None:
    """One line of a program differs, and the time."""
    for kind in (MLPClassifier, RanvierClassifier):
        network = kind(batch_size=32, max_iter=20, shuffle=False, random_state=0)
        start = time.perf_counter()
        network.fit(train / 16, labels)
        seconds = time.perf_counter() - start
        print(f"{kind.__name__:18} loss {network.loss_:.5f} after {seconds:.2f} s")


def search(train: np.ndarray, labels: np.ndarray) -> GridSearchCV:
    """Which penalty and rate? Networks are compiled once for all 18 fits."""
    network = RanvierClassifier((64,), max_iter=15, random_state=0)
    name = "ranvierclassifier__"
    grid = {
        f"{name}alpha": [1e-4, 1e-1, 10.0],
        f"{name}learning_rate_init": [1e-3, 1e-2],
    }
    pipeline = make_pipeline(StandardScaler(), network)
    return GridSearchCV(pipeline, grid, cv=3).fit(train, labels)


def stream(train: np.ndarray, labels: np.ndarray) -> RanvierClassifier:
    """Rows come in parts; Adam's state goes on from part to part."""
    network = RanvierClassifier((64,), batch_size=32, random_state=0)
    for _ in range(20):
        for part in np.array_split(np.arange(len(train)), 5):
            network.partial_fit(train[part] / 16, labels[part], classes=range(10))
    return network


def main() -> None:
    """Compares, searches, streams."""
    warnings.simplefilter("ignore", ConvergenceWarning)  # few epochs are enough here
    train, test, labels, wanted = train_test_split(
        *load_digits(return_X_y=True), random_state=0
    )
    compare(train, labels)
    found = search(train, labels)
    best = {
        name.partition("__")[2]: value for name, value in found.best_params_.items()
    }
    print(f"best of the grid: {best}")
    print(f"search, accuracy on new digits {found.score(test, wanted):.3f}")
    streamed = stream(train, labels)
    print(f"stream, accuracy on new digits {streamed.score(test / 16, wanted):.3f}")


if __name__ == "__main__":
    main()
