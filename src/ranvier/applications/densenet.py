"""Densely connected networks: each layer reads what all before it in its block made.

Example:
    >>> from ranvier import applications
    >>> model = applications.DenseNet121(
    ...     weights=None, include_top=False, input_shape=(32, 32, 3))
    >>> model.output_shape
    (None, 1, 1, 1024)
"""

from __future__ import annotations

from typing import Any

from ranvier import layers
from ranvier.applications._frame import Asked, axis_of_channels, member
from ranvier.applications._weights import keras_file
from ranvier.applications.imagenet_utils import (
    TORCH,
    decode_predictions,
    preprocessing,
)
from ranvier.applications.resnet import conv, norm
from ranvier.models import Model

__all__ = [
    "DenseNet121",
    "DenseNet169",
    "DenseNet201",
    "decode_predictions",
    "preprocess_input",
]

#: Channels that each layer of a block adds.
_GROWTH = 32


def _densenet(asked: Asked, depths: tuple[int, ...]) -> Model:
    axis = axis_of_channels()
    start = asked.begin(224)
    x = layers.ZeroPadding2D(3)(start)
    x = conv(x, 64, 7, "conv1_conv", strides=2, use_bias=False)
    x = norm(x, "conv1_bn", "conv1_relu")
    x = layers.ZeroPadding2D(1)(x)
    x = layers.MaxPooling2D(3, strides=2, name="pool1")(x)
    for i, depth in enumerate(depths, 2):
        if i > 2:
            x = _transition(x, f"pool{i - 1}")
        for j in range(1, depth + 1):
            name = f"conv{i}_block{j}"
            more = norm(x, f"{name}_0_bn", f"{name}_0_relu")
            more = conv(more, 4 * _GROWTH, 1, f"{name}_1_conv", use_bias=False)
            more = norm(more, f"{name}_1_bn", f"{name}_1_relu")
            more = conv(
                more, _GROWTH, 3, f"{name}_2_conv", padding="same", use_bias=False
            )
            x = layers.Concatenate(axis=axis, name=f"{name}_concat")([x, more])
    return asked.model(start, asked.usual_top(norm(x, "bn", "relu")))


def _transition(x: Any, name: str) -> Any:
    """Half the channels, half the height and width."""
    x = norm(x, f"{name}_bn", f"{name}_relu")
    half = x.shape[axis_of_channels()] // 2
    x = conv(x, half, 1, f"{name}_conv", use_bias=False)
    return layers.AveragePooling2D(2, strides=2, name=f"{name}_pool")(x)


def _member(name: str, *depths: int) -> Any:
    return member(
        name,
        _densenet,
        "Huang, Liu, van der Maaten, Weinberger: Densely Connected Convolutional "
        "Networks (CVPR 2017),\narXiv:1608.06993.",
        settings={"depths": depths},
        url=lambda top: keras_file("densenet", name.lower(), top),
    )


DenseNet121 = _member("DenseNet121", 6, 12, 24, 16)
DenseNet169 = _member("DenseNet169", 6, 12, 32, 32)
DenseNet201 = _member("DenseNet201", 6, 12, 48, 32)
preprocess_input = preprocessing(*TORCH)
