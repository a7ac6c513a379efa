"""Models whose plans are proven and kept as texts."""

from __future__ import annotations

from typing import Any

import numpy as np
from layer_cases import inputs

import ranvier as keras

layers = keras.layers
Array = np.ndarray[Any, Any]


def dense(*sizes: int, activation: str = "relu") -> Any:
    """Layers of so many units; the first size is that of a row."""
    inner = [layers.Dense(n, activation=activation) for n in sizes[1:-1]]
    return [keras.Input((sizes[0],)), *inner, layers.Dense(sizes[-1])]


def rich() -> list[Any]:
    return [
        keras.Input((33,)),
        layers.Dense(70, activation="gelu", kernel_regularizer="l2"),
        layers.BatchNormalization(),
        layers.Dropout(0.3, seed=1),
        layers.Dense(130, activation="tanh", kernel_constraint="max_norm"),
        layers.LayerNormalization(),
        layers.PReLU(),
        layers.Dense(10, activation="softmax"),
    ]


def dropped() -> list[Any]:
    """What is dropped comes to lie in panels where rows of a product have been."""
    return [
        keras.Input((200,)),
        layers.Dense(256, activation="gelu"),
        layers.Dropout(0.3, seed=1),
        layers.Dense(256, activation="relu"),
        layers.Dropout(0.3, seed=2),
        layers.Dense(10),
    ]


MODELS: dict[str, Any] = {
    "images": lambda: dense(784, 128, 10),
    "wide": lambda: dense(300, 260, 200, 10),
    "tiny": lambda: dense(3, 6, 6, 1),
    "narrow": lambda: dense(5, 63, 65, 64, 10, activation="tanh"),
    "rich": rich,
    "dropped": dropped,
    "words": lambda: [
        keras.Input((9,), dtype="int32"),
        layers.Embedding(7, 20),
        layers.Flatten(),
        *dense(180, 90, 10)[1:],
    ],
}


def trained(
    name: str, batch: int, optimizer: Any = "adam", rows: int = 0
) -> dict[str, Array]:
    """Plans a model: training in whole batches and a last one, and predicting."""
    model = keras.Sequential(MODELS[name]())
    x = inputs("Embedding" if name == "words" else name, model.input_shape[1:],
               rows or batch + max(1, batch // 3))  # fmt: skip
    classes = model.output_shape[-1]
    rng = np.random.default_rng(0)
    if classes == 1:
        y, loss = rng.normal(size=(len(x), 1)).astype("float32"), "mse"
    else:
        y = rng.integers(0, classes, len(x))
        logits = model.layers[-1].activation is not keras.activations.softmax
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=logits)
    model.compile(optimizer, loss, metrics=["accuracy"] if classes > 1 else ["mae"])
    model.fit(x, y, batch_size=batch, verbose=0, shuffle=False)
    model.predict(x, batch_size=batch, verbose=0)
    return {"x": x, "y": y}
