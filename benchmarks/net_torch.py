"""Networks in PyTorch, by hand, with Keras's beginnings.

Convolutions that keep their size pad both sides alike, as PyTorch does; Keras pads one
more at the end where a stride leaves an odd number. The work is the same.
"""

from __future__ import annotations

from functools import singledispatch

import net_parts as nets
import torch
from networks import Network
from torch import nn
from torch.nn import functional as F


def _relu() -> nn.Module:
    return nn.ReLU(inplace=True)


ACTIVATIONS = {"relu": _relu, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "gelu": nn.GELU}


def _with(module: nn.Module, activation: str | None) -> list[nn.Module]:
    return [module, ACTIVATIONS[activation]()] if activation else [module]


def _padding(part: nets.Window) -> int:
    size, _, padding = part.square()
    if padding == "same" and size % 2 == 0:
        raise ValueError(f"an even square cannot be padded alike on both sides: {part}")
    return size // 2 if padding == "same" else 0


class Residual(nn.Module):
    """`activation(body(x) + shortcut(x))`."""

    def __init__(self, part: nets.Residual, shape: nets.Shape) -> None:
        super().__init__()
        self.body, self.shortcut = row(part.body, shape), row(part.shortcut, shape)
        self.activation = ACTIVATIONS[part.activation]() if part.activation else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        total = self.body(x) + self.shortcut(x)
        return self.activation(total) if self.activation else total


class Attention(nn.Module):
    """One product for query, key and value, and PyTorch's fused causal attention."""

    def __init__(self, features: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.entry = nn.Linear(features, 3 * features)
        self.exit = nn.Linear(features, features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, time, features = x.shape
        split = self.entry(x).view(n, time, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        found = F.scaled_dot_product_attention(*split.unbind(), is_causal=True)
        return self.exit(found.transpose(1, 2).reshape(n, time, features))


class LastOutput(nn.Module):
    """The last output of an LSTM."""

    def __init__(self, features: int, units: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(features, units, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.lstm(x)[1][0][0]


class Mean(nn.Module):
    """The mean over height and width."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3))


@singledispatch
def modules(part: nets.Part, shape: nets.Shape) -> list[nn.Module]:
    """The modules that are this part for inputs of `shape` (in Keras's order)."""
    raise TypeError(f"no module for {part}")


@modules.register
def _(part: nets.Dense, shape: nets.Shape) -> list[nn.Module]:
    return _with(nn.Linear(shape[-1], part.units), part.activation)


@modules.register
def _(part: nets.Conv, shape: nets.Shape) -> list[nn.Module]:
    made = nn.Conv2d(
        shape[2], part.filters, part.kernel, part.stride, _padding(part), bias=part.bias
    )
    return _with(made, part.activation)


@modules.register
def _(part: nets.Depthwise, shape: nets.Shape) -> list[nn.Module]:
    c = shape[2]
    pad = _padding(part)
    return [nn.Conv2d(c, c, part.kernel, part.stride, pad, groups=c, bias=False)]


@modules.register
def _(part: nets.MaxPool, shape: nets.Shape) -> list[nn.Module]:
    size, stride, _ = part.square()
    return [nn.MaxPool2d(size, stride, _padding(part))]


@modules.register
def _(part: nets.GlobalAverage, shape: nets.Shape) -> list[nn.Module]:
    return [Mean()]


@modules.register
def _(part: nets.Flatten, shape: nets.Shape) -> list[nn.Module]:
    return [nn.Flatten()]


@modules.register
def _(part: nets.Activation, shape: nets.Shape) -> list[nn.Module]:
    return [ACTIVATIONS[part.name]()]


@modules.register
def _(part: nets.BatchNorm, shape: nets.Shape) -> list[nn.Module]:
    return [nn.BatchNorm2d(shape[2], part.epsilon, momentum=0.01)]


@modules.register
def _(part: nets.LayerNorm, shape: nets.Shape) -> list[nn.Module]:
    return [nn.LayerNorm(shape[-1], part.epsilon)]


@modules.register
def _(part: nets.Embedding, shape: nets.Shape) -> list[nn.Module]:
    return [nn.Embedding(part.words, part.features)]


@modules.register
def _(part: nets.LSTM, shape: nets.Shape) -> list[nn.Module]:
    return [LastOutput(shape[-1], part.units)]


@modules.register
def _(part: nets.Attention, shape: nets.Shape) -> list[nn.Module]:
    return [Attention(shape[-1], part.heads)]


@modules.register
def _(part: nets.Residual, shape: nets.Shape) -> list[nn.Module]:
    return [Residual(part, shape)]


def row(parts: tuple[nets.Part, ...], shape: nets.Shape) -> nn.Sequential:
    """The parts one after another."""
    made: list[nn.Module] = []
    for part in parts:
        made += modules(part, shape)
        shape = part.out(shape)
    return nn.Sequential(*made)


@torch.no_grad()
def begin_as_keras(net: nn.Module) -> None:
    """Keras's initial weights: Glorot's, zeros for biases, a forget gate that is open.

    (Keras draws recurrent kernels orthogonal and those of Q, K and V one by one.)
    """
    for module in net.modules():
        if isinstance(module, nn.Embedding):
            nn.init.uniform_(module.weight, -0.05, 0.05)
        elif not isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
            for name, weight in module.named_parameters(recurse=False):
                if name.startswith("bias"):
                    weight.zero_()
                else:
                    nn.init.xavier_uniform_(weight)
        if isinstance(module, nn.LSTM):
            module.bias_ih_l0[module.hidden_size : 2 * module.hidden_size] = 1


def count(net: nn.Module) -> int:
    """Trainable weights, without the second bias that PyTorch's LSTM has."""
    total = sum(p.numel() for p in net.parameters())
    lstms = [m for m in net.modules() if isinstance(m, nn.LSTM)]
    return total - sum(m.bias_hh_l0.numel() for m in lstms)


def build(network: Network) -> nn.Module:
    """The module; images are expected as channels, height, width."""
    net = row(network.parts, network.input)
    begin_as_keras(net)
    return net
