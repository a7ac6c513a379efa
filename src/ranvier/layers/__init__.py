"""Layers, with Keras's names, arguments and numbers. A family of them is a file."""

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
]
