"""Residual networks, second form: normalized in front of each convolution.

Example:
    >>> from ranvier import applications
    >>> model = applications.ResNet50V2(
    ...     weights=None, include_top=False, input_shape=(32, 32, 3))
    >>> model.output_shape
    (None, 1, 1, 2048)
"""

from __future__ import annotations

from typing import Any

from ranvier import layers
from ranvier.applications._frame import Asked, member
from ranvier.applications._weights import keras_file
from ranvier.applications.imagenet_utils import TF, decode_predictions, preprocessing
from ranvier.applications.resnet import FILTERS, conv, norm, stem
from ranvier.models import Model

__all__ = [
    "ResNet50V2",
    "ResNet101V2",
    "ResNet152V2",
    "decode_predictions",
    "preprocess_input",
]


def _resnet_v2(asked: Asked, depths: tuple[int, ...]) -> Model:
    start, x = stem(asked, activated=False, use_bias=True)
    for i, (filters, blocks) in enumerate(zip(FILTERS, depths, strict=True)):
        # The last block of a stack makes the image smaller, not the first.
        last = 1 if i == len(FILTERS) - 1 else 2
        for j in range(1, blocks + 1):
            name = f"conv{i + 2}_block{j}"
            x = _block(x, filters, last if j == blocks else 1, j == 1, name)
    return asked.model(start, asked.usual_top(norm(x, "post_bn", "post_relu")))


def _block(x: Any, filters: int, stride: int, first: bool, name: str) -> Any:
    ready = norm(x, f"{name}_preact_bn", f"{name}_preact_relu")
    around = x
    if first:
        around = conv(ready, 4 * filters, 1, f"{name}_0_conv", strides=stride)
    elif stride > 1:
        around = layers.MaxPooling2D(1, strides=stride)(x)
    x = conv(ready, filters, 1, f"{name}_1_conv", use_bias=False)
    x = norm(x, f"{name}_1_bn", f"{name}_1_relu")
    x = layers.ZeroPadding2D(1, name=f"{name}_2_pad")(x)
    x = conv(x, filters, 3, f"{name}_2_conv", strides=stride, use_bias=False)
    x = norm(x, f"{name}_2_bn", f"{name}_2_relu")
    x = conv(x, 4 * filters, 1, f"{name}_3_conv")
    return layers.Add(name=f"{name}_out")([around, x])


def _member(name: str, *depths: int) -> Any:
    return member(
        name,
        _resnet_v2,
        "He, Zhang, Ren, Sun: Identity Mappings in Deep Residual Networks (ECCV 2016), "
        "arXiv:1603.05027.",
        settings={"depths": depths},
        url=lambda top: keras_file("resnet", name.lower(), top),
    )


ResNet50V2 = _member("ResNet50V2", 3, 4, 6, 3)
ResNet101V2 = _member("ResNet101V2", 3, 4, 23, 3)
ResNet152V2 = _member("ResNet152V2", 3, 8, 36, 3)
preprocess_input = preprocessing(*TF)
