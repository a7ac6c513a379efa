"""Data for which each loss and metric is meant, by the name of its class."""

from __future__ import annotations

from typing import Any

import numpy as np

LABELS = {
    "CategoricalGeneralizedCrossEntropy",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
}
ONE_HOT = {
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalHinge",
    "F1Score",
    "FBetaScore",
    "KLDivergence",
    "OneHotIoU",
    "OneHotMeanIoU",
    "TopKCategoricalAccuracy",
}
BINARY = {
    "AUC",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "BinaryIoU",
    "Dice",
    "FalseNegatives",
    "FalsePositives",
    "Precision",
    "PrecisionAtRecall",
    "Recall",
    "RecallAtPrecision",
    "SensitivityAtSpecificity",
    "SpecificityAtSensitivity",
    "TrueNegatives",
    "TruePositives",
    "Tversky",
}
#: Arguments without which a metric cannot be made.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "IoU": {"num_classes": 4, "target_class_ids": [0, 2]},
    "MeanIoU": {"num_classes": 4},
    "OneHotIoU": {"num_classes": 4, "target_class_ids": [0, 2]},
    "OneHotMeanIoU": {"num_classes": 4},
    "PrecisionAtRecall": {"recall": 0.5},
    "RecallAtPrecision": {"precision": 0.5},
    "SensitivityAtSpecificity": {"specificity": 0.5},
    "SpecificityAtSensitivity": {"sensitivity": 0.5},
    "SparseTopKCategoricalAccuracy": {"k": 2},
    "TopKCategoricalAccuracy": {"k": 2},
}


def targets(name: str, rows: int) -> tuple[str | None, np.ndarray]:
    """The last activation of a network of 4 units, and targets for it."""
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 4, rows)
    if name in LABELS:
        return "softmax", labels
    if name in ONE_HOT:
        return "softmax", np.eye(4, dtype="float32")[labels]
    if name in BINARY:
        return "sigmoid", rng.integers(0, 2, (rows, 4)).astype("float32")
    if name in ("IoU", "MeanIoU", "Accuracy"):
        return "relu", rng.integers(0, 4, (rows, 4)).astype("float32")
    if "Hinge" in name:
        return "tanh", rng.choice([-1.0, 1.0], (rows, 4)).astype("float32")
    if name in ("Poisson", "MeanSquaredLogarithmicError"):
        return "softplus", rng.poisson(2.0, (rows, 4)).astype("float32")
    return None, rng.normal(size=(rows, 4)).astype("float32")
