"""VGG: convolutions 3x3 in five groups, and three dense layers."""

from __future__ import annotations

from typing import Any

from ranvier import layers
from ranvier.applications._frame import Asked, member
from ranvier.applications._weights import keras_file
from ranvier.models import Model

__all__ = ["vgg"]

_FILTERS = (64, 128, 256, 512, 512)


def _vgg(asked: Asked, depths: tuple[int, ...]) -> Model:
    start = x = asked.begin(224)
    for i, (filters, count) in enumerate(zip(_FILTERS, depths, strict=True), 1):
        for j in range(1, count + 1):
            name = f"block{i}_conv{j}"
            x = layers.Conv2D(filters, 3, activation="relu", padding="same", name=name)(
                x
            )
        x = layers.MaxPooling2D(2, strides=2, name=f"block{i}_pool")(x)
    if not asked.include_top:
        return asked.model(start, asked.pooled(x))
    x = layers.Flatten(name="flatten")(x)
    for name in ("fc1", "fc2"):
        x = layers.Dense(4096, activation="relu", name=name)(x)
    return asked.model(start, asked.classified(x))


def vgg(name: str, *depths: int) -> Any:
    """A member of the family.

    Args:
        name: its name.
        *depths: convolutions of each group.
    """
    folder = name.lower()
    return member(
        name,
        _vgg,
        "Simonyan, Zisserman: Very Deep Convolutional Networks for Large-Scale Image "
        "Recognition (ICLR 2015), arXiv:1409.1556.",
        settings={"depths": depths},
        url=lambda top: keras_file(folder, folder, top),
    )
