"""The networks of the tables, as lists of parts that every side builds for itself.

So all sides train the same network, and the worker compares their numbers of weights
with those given here. Both interpreters import this file: standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from net_parts import (
    LSTM,
    Activation,
    Attention,
    BatchNorm,
    Conv,
    Dense,
    Depthwise,
    Embedding,
    Flatten,
    GlobalAverage,
    LayerNorm,
    MaxPool,
    Part,
    Residual,
    Shape,
    walk,
)


@dataclass(frozen=True)
class Network:
    """Parts in a row. `application` names the function of `keras.applications` that
    makes the same network, where there is one."""

    input: Shape
    parts: tuple[Part, ...]
    application: str | None = None

    @property
    def tokens(self) -> int:
        """Number of words where the input is tokens, else 0."""
        return self.parts[0].words if isinstance(self.parts[0], Embedding) else 0

    def has(self, kind: type[Part]) -> bool:
        """Whether there is such a part anywhere."""
        return any(isinstance(p, kind) for p, _ in walk(self.parts, self.input))

    @property
    def output(self) -> Shape:
        """Shape of the output."""
        return walk(self.parts, self.input)[-1][1]

    @property
    def parameters(self) -> int:
        """Number of trainable weights."""
        pairs = walk(self.parts, self.input)
        return sum(math.prod(w) for p, s in pairs for w in p.weights(s).values())

    @property
    def forward_flops(self) -> int:
        """FLOPs of the products of one row, forward."""
        return sum(p.flops(s) for p, s in walk(self.parts, self.input))

    @property
    def train_flops(self) -> int:
        """FLOPs of the products of one training row.

        As many as forward, again for the gradients of the weights, and again for those
        of the inputs (save where the first weights are, for nobody asks for them).
        """
        pairs = walk(self.parts, self.input)
        first = next(p.flops(s) for p, s in pairs if p.weights(s))
        return 3 * self.forward_flops - first


def dense(sizes: Shape, activation: str = "relu") -> Network:
    """A network of dense layers, the last one linear."""
    hidden = (Dense(units, activation) for units in sizes[1:-1])
    return Network(sizes[:1], (*hidden, Dense(sizes[-1])))


def convnet(
    filters: Shape = (32, 64),
    kernel: int = 3,
    image: Shape = (28, 28, 1),
    classes: int = 10,
) -> Network:
    """Convolutions, each with a pool behind it, and a dense layer: keras.io's."""
    parts: list[Part] = []
    for count in filters:
        parts += [Conv(count, kernel, 1, "valid", "relu"), MaxPool(2)]
    return Network(image, (*parts, Flatten(), Dense(classes)))


def lenet() -> Network:
    """LeNet-5 with today's activation and pool."""
    parts = (
        Conv(6, 5, 1, "same", "relu"), MaxPool(2), Conv(16, 5, 1, "valid", "relu"),
        MaxPool(2), Flatten(), Dense(120, "relu"), Dense(84, "relu"), Dense(10),
    )  # fmt: skip
    return Network((28, 28, 1), parts)


def _normed(conv: Part, relu: bool = True, epsilon: float = 1e-3) -> tuple[Part, ...]:
    return (conv, BatchNorm(epsilon), *([Activation("relu")] if relu else []))


def residual(channels: Shape, blocks: int, image: Shape, classes: int = 10) -> Network:
    """He et al.'s network for small images: stages of blocks of two convolutions."""

    def conv(count: int, size: int = 3, stride: int = 1) -> Conv:
        return Conv(count, size, stride, bias=False)

    parts = [*_normed(conv(channels[0]))]
    for stage, count in enumerate(channels):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            body = _normed(conv(count, stride=stride)) + _normed(conv(count), False)
            shortcut = _normed(conv(count, 1, stride), False) if stride == 2 else ()
            parts.append(Residual(body, shortcut, "relu"))
    return Network(image, (*parts, GlobalAverage(), Dense(classes)))


def separable(width: float, image: Shape, classes: int = 10) -> Network:
    """MobileNet (the first): 13 times a depthwise and a 1x1 convolution."""
    rows = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)]
    rows += [(512, 1)] * 5 + [(1024, 2), (1024, 1)]
    parts = [*_normed(Conv(int(32 * width), 3, 2, bias=False))]
    for filters, stride in rows:
        parts += _normed(Depthwise(3, stride))
        parts += _normed(Conv(int(filters * width), 1, bias=False))
    return Network(image, (*parts, GlobalAverage(), Dense(classes)))


def recurrent(time: int, features: int, units: int, classes: int = 10) -> Network:
    """An LSTM and a dense layer on its last output."""
    return Network((time, features), (LSTM(units), Dense(classes)))


def transformer(time: int, d: int, heads: int, blocks: int, words: int) -> Network:
    """A causal language model: normalisation first, no positions, a word per token."""
    block: tuple[Part, ...] = (
        Residual((LayerNorm(), Attention(heads))),
        Residual((LayerNorm(), Dense(4 * d, "relu"), Dense(d))),
    )
    parts = (Embedding(words, d), *(block * blocks), LayerNorm(), Dense(words))
    return Network((time,), parts)


def resnet50(size: int = 224) -> Network:
    """ResNet-50 as `keras.applications` has it: the first 1x1 convolution strides."""

    def conv(filters: int, kernel: int, stride: int = 1, relu: bool = True) -> tuple:
        return _normed(Conv(filters, kernel, stride), relu, 1.001e-5)

    parts = [*conv(64, 7, 2), MaxPool(3, 2, "same")]
    for stage, blocks in enumerate((3, 4, 6, 3)):
        count = 64 << stage
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            body = (
                conv(count, 1, stride) + conv(count, 3) + conv(4 * count, 1, 1, False)
            )
            shortcut = () if block else conv(4 * count, 1, stride, False)
            parts.append(Residual(body, shortcut, "relu"))
    parts += [GlobalAverage(), Dense(1000)]
    return Network((size, size, 3), tuple(parts), "ResNet50")


#: What rows of the table name.
NETWORKS: dict[str, Callable[[], Network]] = {
    "convnet": convnet,
    "lenet": lenet,
    "residual": lambda: residual((16, 32, 64), 2, (32, 32, 3)),
    "separable": lambda: separable(0.25, (64, 64, 3)),
    "lstm": lambda: recurrent(64, 32, 64),
    "transformer": lambda: transformer(64, 64, 4, 2, 256),
    "resnet50": resnet50,
    "other-convnet": lambda: convnet((24, 48), 5, (32, 32, 3), 7),
    "other-residual": lambda: residual((20, 48), 1, (27, 27, 3)),
    "other-separable": lambda: separable(0.375, (48, 48, 3)),
    "other-lstm": lambda: recurrent(37, 20, 100),
    "other-transformer": lambda: transformer(100, 96, 6, 1, 100),
}


@cache
def find(name: str) -> Network:
    """The network called `name`."""
    return NETWORKS[name]()
