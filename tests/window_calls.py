"""Calls of convolutions and pooling, as `ops_cases` has those of all operations."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

RNG = np.random.default_rng(11)
SIZES = (7, 6, 5)


def real(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype("float32")


def _inputs(rank: int, channels: int, data_format: str) -> np.ndarray:
    sizes = SIZES[:rank]
    last = data_format == "channels_last"
    return real(2, *sizes, channels) if last else real(2, channels, *sizes)


def _calls() -> list[tuple[str, tuple[Any, ...], dict[str, Any]]]:
    found: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
    settings = ((3, 1, 1), (2, 3, 1), (3, 1, 2), (1, 2, 1))
    ways = (
        ("valid", "channels_last"),
        ("same", "channels_last"),
        ("same", "channels_first"),
    )
    for rank, (padding, where) in product((1, 2, 3), ways):
        common = {"padding": padding, "data_format": where}
        x = _inputs(rank, 4, where)
        few = where == "channels_first"
        own = settings[1:2] if few else settings[:2] if rank == 3 else settings
        for taps, strides, dilation in own:
            kernel = (taps,) * rank
            told = {**common, "strides": strides, "dilation_rate": dilation}
            found.append(("conv", (x, real(*kernel, 4, 3)), told))
            found.append(("conv", (x, real(*kernel, 2, 6)), told))  # two groups
            found.append(("conv_transpose", (x, real(*kernel, 3, 4)), told))
            if strides > 1:
                more = {**told, "output_padding": 1}
                found.append(("conv_transpose", (x, real(*kernel, 3, 4)), more))
            if rank < 3:
                deep = real(*kernel, 4, 2)
                found.append(("depthwise_conv", (x, deep), told))
                point = real(*(1,) * rank, 8, 3)
                found.append(("separable_conv", (x, deep, point), told))
        for size, stride in ((2, 2), (3, 2), (2, 1)):
            for name in ("max_pool", "average_pool"):
                found.append((name, (x, size, stride), common))
        if padding == "same":
            for name in ("adaptive_average_pool", "adaptive_max_pool"):
                for size in ((2,) * rank, (3, 5, 4)[:rank]):
                    found.append((name, (x, size), {"data_format": where}))
    return found


CALLS = _calls()
