"""Learning-rate schedules: rates that depend on the number of the step."""

from __future__ import annotations

from typing import Any

from ranvier._lookup import Lookup
from ranvier.optimizers.schedules.base import LearningRateSchedule
from ranvier.optimizers.schedules.cosine import CosineDecay, CosineDecayRestarts
from ranvier.optimizers.schedules.decays import (
    ExponentialDecay,
    InverseTimeDecay,
    PiecewiseConstantDecay,
    PolynomialDecay,
)

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "deserialize",
    "serialize",
]

_NAMES = Lookup(
    "learning-rate schedule",
    "keras.optimizers.schedules",
    (
        CosineDecay,
        CosineDecayRestarts,
        ExponentialDecay,
        InverseTimeDecay,
        PiecewiseConstantDecay,
        PolynomialDecay,
    ),
)


def serialize(learning_rate_schedule: LearningRateSchedule) -> Any:
    """Returns the dictionary that describes a schedule in Keras's files."""
    return _NAMES.serialize(learning_rate_schedule)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """Builds the schedule that `serialize` described."""
    return _NAMES.deserialize(config, custom_objects)
