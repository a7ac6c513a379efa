"""Residual networks: blocks that learn what to add to their input.

Example:
    >>> from ranvier import applications
    >>> model = applications.ResNet18(input_shape=(32, 32, 3), classes=10)
    >>> model.output_shape
    (None, 10)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ranvier import layers
from ranvier.applications._frame import Asked, member, normalized
from ranvier.applications._weights import keras_file
from ranvier.applications.imagenet_utils import (
    CAFFE,
    decode_predictions,
    preprocessing,
)
from ranvier.models import Model

__all__ = [
    "ResNet18",
    "ResNet34",
    "ResNet50",
    "ResNet101",
    "ResNet152",
    "decode_predictions",
    "preprocess_input",
]

#: Filters of the four stacks of blocks.
FILTERS = (64, 128, 256, 512)
_EPSILON = 1.001e-5

#: Blocks of one stack: the input, filters, how many, the stride, a name.
Stack = Callable[[Any, int, int, int, str], Any]


def conv(x: Any, filters: int, size: int, name: str, **kwargs: Any) -> Any:
    """A convolution."""
    return layers.Conv2D(filters, size, name=name, **kwargs)(x)


def norm(x: Any, name: str, relu: str = "") -> Any:
    """Batch normalization, and a ReLU of that name behind it."""
    activation = layers.Activation("relu", name=relu) if relu else None
    return normalized(x, name, activation, epsilon=_EPSILON)


def stem(asked: Asked, *, activated: bool, use_bias: bool) -> tuple[Any, Any]:
    """The input, and the features behind the first convolution and pooling."""
    start = asked.begin(224)
    x = layers.ZeroPadding2D(3, name="conv1_pad")(start)
    x = conv(x, 64, 7, "conv1_conv", strides=2, use_bias=use_bias)
    if activated:
        x = norm(x, "conv1_bn", "conv1_relu")
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
    return start, layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)


def residual(
    asked: Asked, depths: Sequence[int], stack: Stack, use_bias: bool = True
) -> Model:
    """A network of four stacks of blocks; all but the first halve height and width."""
    start, x = stem(asked, activated=True, use_bias=use_bias)
    for i, (filters, blocks) in enumerate(zip(FILTERS, depths, strict=True)):
        x = stack(x, filters, blocks, 1 if i == 0 else 2, f"conv{i + 2}")
    return asked.model(start, asked.usual_top(x))


def _bottlenecks(x: Any, filters: int, blocks: int, stride: int, name: str) -> Any:
    """Convolutions 1x1, 3x3 and 1x1 a block; the first has one on its way around."""
    for i in range(1, blocks + 1):
        block, around = f"{name}_block{i}", x
        strides = stride if i == 1 else 1
        if i == 1:
            around = conv(x, 4 * filters, 1, f"{block}_0_conv", strides=strides)
            around = norm(around, f"{block}_0_bn")
        x = conv(x, filters, 1, f"{block}_1_conv", strides=strides)
        x = norm(x, f"{block}_1_bn", f"{block}_1_relu")
        x = conv(x, filters, 3, f"{block}_2_conv", padding="same")
        x = norm(x, f"{block}_2_bn", f"{block}_2_relu")
        x = norm(conv(x, 4 * filters, 1, f"{block}_3_conv"), f"{block}_3_bn")
        x = layers.Add(name=f"{block}_add")([around, x])
        x = layers.Activation("relu", name=f"{block}_out")(x)
    return x


def _pairs(x: Any, filters: int, blocks: int, stride: int, name: str) -> Any:
    """Two convolutions 3x3 a block; one 1x1 on the way around where sizes change."""
    for i in range(1, blocks + 1):
        block, around = f"{name}_block{i}", x
        strides = stride if i == 1 else 1
        if strides > 1:
            kept = {"strides": strides, "use_bias": False}
            around = conv(x, filters, 1, f"{block}_0_conv", **kept)
            around = norm(around, f"{block}_0_bn")
            x = layers.ZeroPadding2D(1, name=f"{block}_1_pad")(x)
        x = conv(
            x,
            filters,
            3,
            f"{block}_1_conv",
            strides=strides,
            padding="same" if strides == 1 else "valid",
            use_bias=False,
        )
        x = norm(x, f"{block}_1_bn", f"{block}_1_relu")
        x = conv(x, filters, 3, f"{block}_2_conv", padding="same", use_bias=False)
        x = norm(x, f"{block}_2_bn")
        x = layers.Add(name=f"{block}_add")([around, x])
        x = layers.Activation("relu", name=f"{block}_out")(x)
    return x


_PAPER = "He, Zhang, Ren, Sun: Deep Residual Learning (CVPR 2016), arXiv:1512.03385."
_SMALL = f"""{_PAPER}
    The smaller ones of the paper, which Keras does not have: blocks of two convolutions,
    none with a bias; layers are named as those of `ResNet50`."""


def _deep(name: str, *depths: int) -> Any:
    return member(
        name,
        residual,
        _PAPER,
        settings={"depths": depths, "stack": _bottlenecks},
        url=lambda top: keras_file("resnet", name.lower(), top),
    )


def _shallow(name: str, *depths: int) -> Any:
    return member(
        name,
        residual,
        _SMALL,
        settings={"depths": depths, "stack": _pairs, "use_bias": False},
        weights=None,
    )


ResNet18 = _shallow("ResNet18", 2, 2, 2, 2)
ResNet34 = _shallow("ResNet34", 3, 4, 6, 3)
ResNet50 = _deep("ResNet50", 3, 4, 6, 3)
ResNet101 = _deep("ResNet101", 3, 4, 23, 3)
ResNet152 = _deep("ResNet152", 3, 8, 36, 3)
preprocess_input = preprocessing(*CAFFE)
