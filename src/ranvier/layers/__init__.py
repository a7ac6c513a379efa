"""Layers, with Keras's names, arguments and numbers. A family of them is a file."""

from typing import TYPE_CHECKING, Any

from ranvier._missing import missing
from ranvier.layers.activation import (
    ELU,
    Activation,
    LeakyReLU,
    PReLU,
    ReLU,
    Softmax,
)
from ranvier.layers.base import Layer
from ranvier.layers.dense import Dense, Embedding
from ranvier.layers.dropout import Dropout
from ranvier.layers.input_spec import InputSpec
from ranvier.layers.normalization import BatchNormalization, LayerNormalization
from ranvier.layers.preprocessing import Normalization, Rescaling
from ranvier.layers.reshaping import Flatten, Identity, Input, InputLayer, Reshape


def serialize(layer: Layer) -> dict[str, Any]:
    """A layer as plain data in Keras's form.

    Example:
        >>> serialize(Dense(3))["config"]["units"]
        3
    """
    from ranvier.models.registry import serialize_layer

    return serialize_layer(layer)


def deserialize(config: Any, custom_objects: Any = None) -> Layer:
    """The layer that `serialize` described, without its weights.

    Args:
        config: what `serialize` gave.
        custom_objects: classes and functions of one's own, by name.

    Raises:
        FileError: RV601 when it names something unknown, or is no layer.
    """
    from ranvier.models.registry import deserialize_layer

    return deserialize_layer(config, custom_objects)


__all__ = [
    "ELU",
    "Activation",
    "BatchNormalization",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "Identity",
    "Input",
    "InputLayer",
    "InputSpec",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "Normalization",
    "PReLU",
    "ReLU",
    "Rescaling",
    "Reshape",
    "Softmax",
    "deserialize",
    "serialize",
]

if not TYPE_CHECKING:  # a checker knows the names anyway
    __getattr__ = missing("ranvier.layers", lambda: __all__)
