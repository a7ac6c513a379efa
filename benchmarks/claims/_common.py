"""What the scripts share: building a network with the public API, and timing it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import net_keras
import networks
import numpy as np


def build(
    network: networks.Network, loss: str = "sparse_ce", optimizer: str = "adam"
) -> Any:
    """A compiled network; `loss` is "mse" or "sparse_ce" (from logits)."""
    import ranvier as keras

    model = net_keras.build(keras, network)
    net_keras.compile_model(keras, model, loss, optimizer=optimizer)
    return model


def rows_for(
    network: networks.Network, rows: int, loss: str = "sparse_ce"
) -> tuple[np.ndarray, np.ndarray]:
    """Random float32 rows and labels."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((rows, *network.input), dtype=np.float32)
    classes = network.output[-1]
    if loss == "sparse_ce":
        return x, rng.integers(0, classes, rows, dtype=np.int32)
    return x, np.tanh(x[:, :1]) * np.ones(classes, np.float32)


def seconds(call: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def tell(rows: list[dict[str, Any]], within: bool | None = None) -> None:
    """Prints the result."""
    print(json.dumps({"rows": rows, "within": within}))
