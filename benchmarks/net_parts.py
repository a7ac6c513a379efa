"""What networks are made of, whatever library builds them.

A part knows its output shape (without the batch), its weights and the FLOPs of its
products; `net_keras.py`, `net_torch.py` and `net_jax.py` know how it is built. Images
are height, width, channels; sequences are time, features.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

Shape = tuple[int, ...]
Weights = dict[str, Shape]


@dataclass(frozen=True)
class Part:
    """Keeps the shape, has no weights and multiplies nothing, if not said otherwise."""

    def out(self, shape: Shape) -> Shape:
        """Shape of the output for inputs of `shape`."""
        return shape

    def weights(self, shape: Shape) -> Weights:
        """Shapes of the trainable weights, in Keras's order and layout."""
        return {}

    def flops(self, shape: Shape) -> int:
        """FLOPs of the forward products of one row."""
        return 0


@dataclass(frozen=True)
class Dense(Part):
    """`activation(x W + b)` on the last axis."""

    units: int
    activation: str | None = None

    def out(self, shape: Shape) -> Shape:
        return (*shape[:-1], self.units)

    def weights(self, shape: Shape) -> Weights:
        return {"kernel": (shape[-1], self.units), "bias": (self.units,)}

    def flops(self, shape: Shape) -> int:
        return 2 * math.prod(shape) * self.units


@dataclass(frozen=True)
class Window(Part):
    """What convolutions and pooling share: a square that moves over an image."""

    def square(self) -> tuple[int, int, str]:
        """Size, stride and padding ("same" or "valid")."""
        raise NotImplementedError

    def out(self, shape: Shape) -> Shape:
        size, stride, padding = self.square()
        lost = 0 if padding == "same" else size - 1
        height, width = (-(-(side - lost) // stride) for side in shape[:2])
        return (height, width, shape[2])


@dataclass(frozen=True)
class Conv(Window):
    """A convolution over images."""

    filters: int
    kernel: int
    stride: int = 1
    padding: str = "same"
    activation: str | None = None
    bias: bool = True

    def square(self) -> tuple[int, int, str]:
        return self.kernel, self.stride, self.padding

    def out(self, shape: Shape) -> Shape:
        return (*super().out(shape)[:2], self.filters)

    def weights(self, shape: Shape) -> Weights:
        kernel = {"kernel": (self.kernel, self.kernel, shape[2], self.filters)}
        return kernel | ({"bias": (self.filters,)} if self.bias else {})

    def flops(self, shape: Shape) -> int:
        return 2 * math.prod(self.out(shape)) * self.kernel**2 * shape[2]


@dataclass(frozen=True)
class Depthwise(Window):
    """A convolution of every channel by itself, without a bias."""

    kernel: int
    stride: int = 1
    padding: str = "same"

    def square(self) -> tuple[int, int, str]:
        return self.kernel, self.stride, self.padding

    def weights(self, shape: Shape) -> Weights:
        return {"kernel": (self.kernel, self.kernel, shape[2], 1)}

    def flops(self, shape: Shape) -> int:
        return 2 * math.prod(self.out(shape)) * self.kernel**2


@dataclass(frozen=True)
class MaxPool(Window):
    """The largest of each square; `stride` 0 means `size`."""

    size: int
    stride: int = 0
    padding: str = "valid"

    def square(self) -> tuple[int, int, str]:
        return self.size, self.stride or self.size, self.padding


@dataclass(frozen=True)
class GlobalAverage(Part):
    """The mean over height and width."""

    def out(self, shape: Shape) -> Shape:
        return shape[-1:]


@dataclass(frozen=True)
class Flatten(Part):
    """One axis."""

    def out(self, shape: Shape) -> Shape:
        return (math.prod(shape),)


@dataclass(frozen=True)
class Activation(Part):
    """An activation by itself."""

    name: str


@dataclass(frozen=True)
class BatchNorm(Part):
    """Keras's numbers on all sides: momentum 0.99 and this `epsilon`."""

    epsilon: float = 1e-3

    def weights(self, shape: Shape) -> Weights:
        return {"gamma": shape[-1:], "beta": shape[-1:]}


@dataclass(frozen=True)
class LayerNorm(Part):
    """Over the last axis, Keras's epsilon."""

    epsilon: float = 1e-3

    def weights(self, shape: Shape) -> Weights:
        return {"gamma": shape[-1:], "beta": shape[-1:]}


@dataclass(frozen=True)
class Embedding(Part):
    """A row of a table for every token."""

    words: int
    features: int

    def out(self, shape: Shape) -> Shape:
        return (*shape, self.features)

    def weights(self, shape: Shape) -> Weights:
        return {"embeddings": (self.words, self.features)}


@dataclass(frozen=True)
class LSTM(Part):
    """The last output of an LSTM; one bias (PyTorch's second one is not counted)."""

    units: int

    def out(self, shape: Shape) -> Shape:
        return (self.units,)

    def weights(self, shape: Shape) -> Weights:
        wide = 4 * self.units
        kernels = {"kernel": (shape[1], wide), "recurrent_kernel": (self.units, wide)}
        return kernels | {"bias": (wide,)}

    def flops(self, shape: Shape) -> int:
        return 8 * shape[0] * self.units * (shape[1] + self.units)


@dataclass(frozen=True)
class Attention(Part):
    """Causal self-attention: four products with a bias, the heads share the features.

    Its FLOPs count the whole square of scores, as if there were no mask.
    """

    heads: int

    def weights(self, shape: Shape) -> Weights:
        d = shape[-1]
        names = ("query", "key", "value", "output")
        return {
            f"{n}_{w}": s
            for n in names
            for w, s in (("kernel", (d, d)), ("bias", (d,)))
        }

    def flops(self, shape: Shape) -> int:
        time, d = shape
        return 8 * time * d * d + 4 * time * time * d


@dataclass(frozen=True)
class Residual(Part):
    """`activation(body(x) + shortcut(x))`; an empty shortcut is `x` itself."""

    body: tuple[Part, ...]
    shortcut: tuple[Part, ...] = ()
    activation: str | None = None

    def out(self, shape: Shape) -> Shape:
        return walk(self.body, shape)[-1][1]


def walk(parts: Iterable[Part], shape: Shape) -> list[tuple[Part, Shape]]:
    """Every part (those inside of residuals too) with the shape of its input.

    The last pair is `Part()` with the shape of the output.
    """
    found: list[tuple[Part, Shape]] = []
    for part in parts:
        if isinstance(part, Residual):
            for branch in (part.body, part.shortcut):
                found += walk(branch, shape)[:-1]
        else:
            found.append((part, shape))
        shape = part.out(shape)
    return [*found, (Part(), shape)]
