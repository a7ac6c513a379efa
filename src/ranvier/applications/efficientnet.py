"""EfficientNet: depth, width and image size that grow together from B0 to B7.

Example:
    >>> from ranvier import applications
    >>> model = applications.EfficientNetB0(
    ...     weights=None, include_top=False, input_shape=(32, 32, 3))
    >>> model.output_shape
    (None, 1, 1, 1280)
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ranvier import initializers, layers
from ranvier.applications._frame import (
    POOLS,
    Asked,
    axis_of_channels,
    member,
    normalized,
    pad_for_stride,
    rounded,
)
from ranvier.applications._weights import variance_of
from ranvier.applications.imagenet_utils import (
    INSIDE,
    decode_predictions,
    preprocessing,
)
from ranvier.models import Model

__all__ = [
    "EfficientNetB0",
    "EfficientNetB1",
    "EfficientNetB2",
    "EfficientNetB3",
    "EfficientNetB4",
    "EfficientNetB5",
    "EfficientNetB6",
    "EfficientNetB7",
    "decode_predictions",
    "preprocess_input",
]


class _Stage(NamedTuple):
    """Blocks of one kind, in B0."""

    kernel: int
    repeats: int
    filters: int
    expansion: int
    stride: int


_STAGES = (
    _Stage(3, 1, 16, 1, 1),
    _Stage(3, 2, 24, 6, 2),
    _Stage(5, 2, 40, 6, 2),
    _Stage(3, 3, 80, 6, 2),
    _Stage(5, 3, 112, 6, 1),
    _Stage(5, 4, 192, 6, 2),
    _Stage(3, 1, 320, 6, 1),
)
_STEM, _TOP = 32, 1280
_ACTIVATION = "swish"
_SQUEEZE = 0.25
#: The most that is dropped of a block, in the last one.
_DROP = 0.2
#: ImageNet's deviations by channel. The published weights hold them where variances
#: belong, so that the images need another division by their roots.
_DEVIATIONS = (0.229, 0.224, 0.225)


def _kernels() -> Any:
    return initializers.VarianceScaling(2.0, "fan_out", "truncated_normal")


def _conv(x: Any, filters: int, size: int, name: str, **kwargs: Any) -> Any:
    given = {"padding": "same", "use_bias": False, **kwargs}
    kernels = _kernels()
    return layers.Conv2D(filters, size, kernel_initializer=kernels, name=name, **given)(
        x
    )


def _norm(x: Any, name: str, activation: str = "") -> Any:
    layer = layers.Activation(_ACTIVATION, name=activation) if activation else None
    return normalized(x, name, layer)


def _efficientnet(
    asked: Asked, width: float, depth: float, size: int, dropout: float
) -> Model:
    start = x = asked.begin(size)
    x = layers.Rescaling(1.0 / 255.0)(x)
    x = layers.Normalization(axis=axis_of_channels())(x)
    if _published(asked):
        x = layers.Rescaling([1.0 / math.sqrt(each) for each in _DEVIATIONS])(x)
    x = layers.ZeroPadding2D(pad_for_stride(x, 3), name="stem_conv_pad")(x)
    x = _conv(x, rounded(_STEM * width), 3, "stem_conv", strides=2, padding="valid")
    x = _norm(x, "stem_bn", "stem_activation")

    repeats = [math.ceil(depth * stage.repeats) for stage in _STAGES]
    count, done = sum(repeats), 0
    filters = rounded(_STEM * width)
    for i, (stage, times) in enumerate(zip(_STAGES, repeats, strict=True), 1):
        for j in range(times):
            each = stage if j == 0 else stage._replace(stride=1)
            given, filters = filters, rounded(stage.filters * width)
            name = f"block{i}{chr(ord('a') + j)}_"
            x = _block(x, each, given, filters, _DROP * done / count, name)
            done += 1

    x = _conv(x, rounded(_TOP * width), 1, "top_conv")
    x = _norm(x, "top_bn", "top_activation")
    if not asked.include_top:
        return asked.model(start, asked.pooled(x, POOLS))
    x = layers.GlobalAveragePooling2D(name=POOLS["avg"])(x)
    x = layers.Dropout(dropout, name="top_dropout")(x)
    units = initializers.VarianceScaling(1.0 / 3.0, "fan_out", "uniform")
    return asked.model(start, asked.classified(x, kernel_initializer=units))


def _published(asked: Asked) -> bool:
    """Whether the weights are those trained on ImageNet, by what they normalize with."""
    if asked.weights is None:
        return False
    variance = variance_of(asked.weights)
    return variance is not None and bool(
        variance.shape == (3,) and np.allclose(variance, _DEVIATIONS, atol=1e-5)
    )


def _block(
    inputs: Any, stage: _Stage, given: int, filters: int, drop: float, name: str
) -> Any:
    """Wider, by channel, weighed, narrower again; and the input added where it fits."""
    x, wide = inputs, given * stage.expansion
    if stage.expansion != 1:
        x = _conv(x, wide, 1, f"{name}expand_conv")
        x = _norm(x, f"{name}expand_bn", f"{name}expand_activation")
    padding = "same"
    if stage.stride == 2:
        around = pad_for_stride(x, stage.kernel)
        x = layers.ZeroPadding2D(around, name=f"{name}dwconv_pad")(x)
        padding = "valid"
    x = layers.DepthwiseConv2D(
        stage.kernel,
        strides=stage.stride,
        padding=padding,
        use_bias=False,
        depthwise_initializer=_kernels(),
        name=f"{name}dwconv",
    )(x)
    x = _norm(x, f"{name}bn", f"{name}activation")
    x = _weighed(x, max(1, int(given * _SQUEEZE)), wide, name)
    x = _norm(_conv(x, filters, 1, f"{name}project_conv"), f"{name}project_bn")
    if stage.stride != 1 or given != filters:
        return x
    if drop > 0:
        shape = (None, 1, 1, 1)
        x = layers.Dropout(drop, noise_shape=shape, name=f"{name}drop")(x)
    return layers.Add(name=f"{name}add")([x, inputs])


def _weighed(x: Any, few: int, wide: int, name: str) -> Any:
    """The channels, each times a number that follows from all of them."""
    shape = [1, 1, 1]
    shape[axis_of_channels() if axis_of_channels() < 0 else 0] = wide
    weight = layers.GlobalAveragePooling2D(name=f"{name}se_squeeze")(x)
    weight = layers.Reshape(tuple(shape), name=f"{name}se_reshape")(weight)
    for filters, activation, step in (
        (few, _ACTIVATION, "reduce"),
        (wide, "sigmoid", "expand"),
    ):
        weight = _conv(
            weight,
            filters,
            1,
            f"{name}se_{step}",
            activation=activation,
            use_bias=True,
        )
    return layers.Multiply(name=f"{name}se_excite")([x, weight])


def _member(name: str, width: float, depth: float, size: int, dropout: float) -> Any:
    def url(include_top: bool) -> str:
        ending = "" if include_top else "_notop"
        folder = "https://storage.googleapis.com/keras-applications"
        return f"{folder}/{name.lower()}{ending}.h5"

    return member(
        name,
        _efficientnet,
        "Tan, Le: EfficientNet: Rethinking Model Scaling for Convolutional Neural "
        "Networks (ICML 2019),\narXiv:1905.11946. Takes pixels 0 .. 255: the model "
        "scales them itself.",
        settings={"width": width, "depth": depth, "size": size, "dropout": dropout},
        size=f"({size}, {size}, 3)",
        url=url,
    )


EfficientNetB0 = _member("EfficientNetB0", 1.0, 1.0, 224, 0.2)
EfficientNetB1 = _member("EfficientNetB1", 1.0, 1.1, 240, 0.2)
EfficientNetB2 = _member("EfficientNetB2", 1.1, 1.2, 260, 0.3)
EfficientNetB3 = _member("EfficientNetB3", 1.2, 1.4, 300, 0.3)
EfficientNetB4 = _member("EfficientNetB4", 1.4, 1.8, 380, 0.4)
EfficientNetB5 = _member("EfficientNetB5", 1.6, 2.2, 456, 0.4)
EfficientNetB6 = _member("EfficientNetB6", 1.8, 2.6, 528, 0.5)
EfficientNetB7 = _member("EfficientNetB7", 2.0, 3.1, 600, 0.5)
preprocess_input = preprocessing(*INSIDE)
