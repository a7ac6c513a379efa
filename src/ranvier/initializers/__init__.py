"""Initializers: the values that weights start from, called with a shape and a dtype."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ranvier._lookup import Lookup, snake_case
from ranvier._missing import missing
from ranvier.initializers.base import Initializer, compute_fans
from ranvier.initializers.constants import (
    STFT,
    Constant,
    FromArray,
    Identity,
    Ones,
    Zeros,
)
from ranvier.initializers.random_values import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
)

__all__ = [
    "STFT",
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "compute_fans",
    "deserialize",
    "get",
    "serialize",
]

_CLASSES = (
    STFT,
    Constant,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Identity,
    LecunNormal,
    LecunUniform,
    Ones,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
    Zeros,
)
_NAMES = Lookup(
    "initializer",
    "keras.initializers",
    _CLASSES,
    {
        "IdentityInitializer": Identity,
        "OrthogonalInitializer": Orthogonal,
        "STFTInitializer": STFT,
        "normal": RandomNormal,
        "one": Ones,
        "uniform": RandomUniform,
        "zero": Zeros,
    },
    snake_classes=True,
)

# Keras also offers each class under its name in snake case.
globals().update({snake_case(cls.__name__): cls for cls in _CLASSES})
IdentityInitializer = Identity
OrthogonalInitializer = Orthogonal
STFTInitializer = STFT


def serialize(initializer: Any) -> Any:
    """Returns the dictionary that describes an initializer in Keras's files."""
    return None if initializer is None else _NAMES.serialize(initializer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """Builds the initializer that `serialize` described."""
    return _NAMES.deserialize(config, custom_objects)


def get(identifier: Any) -> Any:
    """Resolves a name, a description, a class, an array, or a callable.

    Raises:
        ShapeError: RV107, with the nearest known name.
    """
    if isinstance(identifier, np.ndarray) or hasattr(identifier, "numpy"):
        return FromArray(identifier)
    return _NAMES.get(identifier)


if not TYPE_CHECKING:  # a checker knows the names anyway
    __getattr__ = missing("ranvier.initializers", lambda: __all__)
