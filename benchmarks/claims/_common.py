"""What the scripts share: building a network with the public API, and timing it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def build(
    sizes: Sequence[int],
    loss: str = "mse",
    activation: str = "relu",
    optimizer: str = "adam",
) -> Any:
    """A compiled dense network; `loss` is "mse" or "sparse_ce" (from logits)."""
    import ranvier as keras

    hidden = [keras.layers.Dense(n, activation=activation) for n in sizes[1:-1]]
    model = keras.Sequential(
        [keras.Input((sizes[0],)), *hidden, keras.layers.Dense(sizes[-1])]
    )
    if loss == "sparse_ce":
        chosen = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    else:
        chosen = "mean_squared_error" if loss == "mse" else loss
    model.compile(optimizer=optimizer, loss=chosen)
    return model


def rows_for(
    sizes: Sequence[int], rows: int, loss: str = "mse"
) -> tuple[np.ndarray, np.ndarray]:
    """Random float32 rows and labels."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((rows, sizes[0]), dtype=np.float32)
    if loss == "sparse_ce":
        return x, rng.integers(0, sizes[-1], rows, dtype=np.int32)
    return x, np.tanh(x[:, :1]) * np.ones(sizes[-1], np.float32)


def seconds(call: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def tell(rows: list[dict[str, Any]], within: bool | None = None) -> None:
    """Prints the result."""
    print(json.dumps({"rows": rows, "within": within}))
