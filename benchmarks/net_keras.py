"""Networks in ranvier and in Keras: the same public API."""

from __future__ import annotations

from functools import reduce, singledispatch
from types import ModuleType
from typing import Any

import net_parts as nets
from networks import Network


@singledispatch
def layer(part: nets.Part, keras: ModuleType) -> Any:
    """The layer that is this part."""
    raise TypeError(f"no layer for {part}")


@layer.register
def _(part: nets.Dense, keras: ModuleType) -> Any:
    return keras.layers.Dense(part.units, activation=part.activation)


@layer.register
def _(part: nets.Conv, keras: ModuleType) -> Any:
    return keras.layers.Conv2D(
        part.filters,
        part.kernel,
        part.stride,
        part.padding,
        activation=part.activation,
        use_bias=part.bias,
    )


@layer.register
def _(part: nets.Depthwise, keras: ModuleType) -> Any:
    return keras.layers.DepthwiseConv2D(
        part.kernel, part.stride, part.padding, use_bias=False
    )


@layer.register
def _(part: nets.MaxPool, keras: ModuleType) -> Any:
    size, stride, padding = part.square()
    return keras.layers.MaxPooling2D(size, stride, padding)


@layer.register
def _(part: nets.GlobalAverage, keras: ModuleType) -> Any:
    return keras.layers.GlobalAveragePooling2D()


@layer.register
def _(part: nets.Flatten, keras: ModuleType) -> Any:
    return keras.layers.Flatten()


@layer.register
def _(part: nets.Activation, keras: ModuleType) -> Any:
    return keras.layers.Activation(part.name)


@layer.register
def _(part: nets.BatchNorm, keras: ModuleType) -> Any:
    return keras.layers.BatchNormalization(momentum=0.99, epsilon=part.epsilon)


@layer.register
def _(part: nets.LayerNorm, keras: ModuleType) -> Any:
    return keras.layers.LayerNormalization(epsilon=part.epsilon)


@layer.register
def _(part: nets.Embedding, keras: ModuleType) -> Any:
    return keras.layers.Embedding(part.words, part.features)


@layer.register
def _(part: nets.LSTM, keras: ModuleType) -> Any:
    return keras.layers.LSTM(part.units)


def apply(keras: ModuleType, part: nets.Part, x: Any) -> Any:
    """The part, called on the symbolic tensor `x`."""

    def through(parts: tuple[nets.Part, ...]) -> Any:
        return reduce(lambda x, part: apply(keras, part, x), parts, x)

    if isinstance(part, nets.Residual):
        total = keras.layers.Add()([through(part.body), through(part.shortcut)])
        if part.activation:
            total = keras.layers.Activation(part.activation)(total)
        return total
    if isinstance(part, nets.Attention):
        made = keras.layers.MultiHeadAttention(part.heads, x.shape[-1] // part.heads)
        return made(x, x, use_causal_mask=True)
    return layer(part, keras)(x)


def build(keras: ModuleType, network: Network, application: bool = False) -> Any:
    """The model, not compiled: `Sequential` where the parts are simply in a row.

    With `application` it is made by `keras.applications` where the network names one.
    """
    if application and network.application:
        make = getattr(keras.applications, network.application)
        return make(weights=None, input_shape=network.input, classifier_activation=None)
    entry = keras.Input(network.input, dtype="int32" if network.tokens else "float32")
    if not any(isinstance(p, nets.Residual | nets.Attention) for p in network.parts):
        return keras.Sequential([entry, *(layer(p, keras) for p in network.parts)])
    x = reduce(lambda x, part: apply(keras, part, x), network.parts, entry)
    return keras.Model(entry, x)


def compile_model(keras: ModuleType, model: Any, loss: str, **settings: Any) -> None:
    """`compile` with Adam (if not said otherwise); "sparse_ce" is from logits."""
    chosen: Any = {"mse": "mean_squared_error"}.get(loss, loss)
    if loss == "sparse_ce":
        chosen = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(**{"optimizer": "adam", "loss": chosen, **settings})
