"""Functional models, written once for ranvier and for real Keras.

A case gives its model, rows for its inputs, targets, and the arguments of `compile`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

ROWS = 12


def rows(*shape: int, seed: int = 0) -> np.ndarray:
    """Random rows."""
    return np.random.default_rng(seed).normal(size=(ROWS, *shape)).astype("float32")


def numbers(high: int, *shape: int, seed: int = 0) -> np.ndarray:
    """Random whole numbers from 0."""
    found = np.random.default_rng(seed).integers(0, high, (ROWS, *shape))
    return found.astype("int32")


class Case(NamedTuple):
    """A model and what it is trained on."""

    build: Callable[[Any], Any]
    x: Any
    y: Any
    compiled: dict[str, Any]


def shared(lib: Any) -> Any:
    """One layer called twice, arithmetic on symbols, a branch around it."""
    a, b = lib.Input((4,), name="a"), lib.Input((4,), name="b")
    layer = lib.layers.Dense(4, activation="tanh", name="shared")
    both = layer(a) + 2.0 * layer(b)
    joined = lib.ops.concatenate([both, a], axis=-1)
    return lib.Model(
        [a, b], lib.layers.Dense(1, name="out")(joined), name="shared_model"
    )


def operations(lib: Any) -> Any:
    """Functions of `ops` and operators between the layers."""
    x = lib.Input((6,), name="x")
    y = lib.layers.Dense(6, name="first")(x)
    y = lib.ops.reshape(y, (-1, 2, 3))
    y = lib.ops.transpose(y, (0, 2, 1))[:, 1:]
    y = lib.ops.sum(y, axis=1, keepdims=True) - lib.ops.mean(y, axis=1, keepdims=True)
    y = lib.ops.squeeze(y, axis=1)
    y = lib.ops.where(y > 0.0, y, -0.5 * y) ** 2 / (1.0 + lib.ops.abs(y))
    z = lib.activations.relu(y, negative_slope=0.1) + lib.ops.einsum("bi,bj->bi", y, y)
    z = lib.ops.stack([z, lib.ops.maximum(y, 0.1), lib.activations.gelu(-y)], axis=1)
    z = lib.ops.clip(lib.ops.max(z, axis=-1), -3.0, 3.0)
    return lib.Model(x, lib.layers.Dense(1, name="last")(z), name="operations")


def named(lib: Any) -> Any:
    """Dicts of inputs and outputs, a loss and metrics for each."""
    size, kind = (
        lib.Input((3,), name="size"),
        lib.Input((1,), dtype="int32", name="kind"),
    )
    code = lib.layers.Embedding(5, 4, name="codes")(kind)
    code = lib.ops.reshape(code, (-1, 4))
    y = lib.ops.concatenate([lib.layers.Dense(4, name="sizes")(size), code], axis=1)
    outputs = {
        "price": lib.layers.Dense(1, name="price")(y),
        "class": lib.layers.Dense(3, activation="softmax", name="class")(y),
    }
    return lib.Model({"size": size, "kind": kind}, outputs, name="named")


def listed(lib: Any) -> Any:
    """A list of outputs; losses and metrics by the names of their layers."""
    x = lib.Input((5,), name="x")
    y = lib.layers.Dense(8, activation="relu", name="trunk")(x)
    return lib.Model(
        x,
        [
            lib.layers.Dense(2, name="left")(y),
            lib.layers.Dense(1, activation="sigmoid", name="right")(y),
        ],
        name="listed",
    )


def nested(lib: Any) -> Any:
    """A functional model and a Sequential as layers, one of them called twice."""
    i = lib.Input((4,), name="inner_input")
    o = lib.layers.Dense(4, activation="tanh", name="inner_dense")(i)
    inner = lib.Model(i, [o, o + i], name="inner")
    stack = lib.Sequential(
        [lib.Input((4,)), lib.layers.Dense(4, name="d")], name="stack"
    )
    x = lib.Input((4,), name="x")
    first, second = inner(x)
    third, fourth = inner(stack(first))
    y = lib.layers.Dense(2, name="out")(second + third * fourth)
    return lib.Model(x, y, name="nested")


def deep_structures(lib: Any) -> Any:
    """Inputs in a dict of a list, and a layer between that is not of the graph."""
    a, b = lib.Input((2,), name="a"), lib.Input((3,), name="b")
    c = lib.Input((2,), name="single")
    y = lib.layers.Dense(2, name="of_b")(b)
    y = a * y + lib.layers.Dense(2, name="of_c")(c)
    return lib.Model({"pair": [a, b], "single": c}, y, name="deep")


def masked(lib: Any) -> Any:
    """Numbers of words, 0 for none: the mask reaches the loss."""
    x = lib.Input((None,), dtype="int32", name="words")
    y = lib.layers.Embedding(6, 4, mask_zero=True, name="table")(x)
    y = lib.layers.Dense(3, activation="tanh", name="hidden")(y)
    return lib.Model(x, lib.layers.Dense(2, name="out")(y), name="masked")


def residual(lib: Any) -> Any:
    """Blocks with a way around them."""
    x = lib.Input((5,), name="x")
    y = x
    for i in range(3):
        z = lib.layers.Dense(5, activation="relu", name=f"up_{i}")(y)
        y = y + lib.layers.Dense(5, name=f"down_{i}")(z)
    return lib.Model(x, lib.layers.Dense(1, name="out")(y), name="residual")


def taken_out(lib: Any) -> Any:
    """A model of the inner part of another: it begins behind a layer."""
    x = lib.Input((4,), name="x")
    first = lib.layers.Dense(3, activation="tanh", name="first")(x)
    second = lib.layers.Dense(3, activation="tanh", name="second")(first)
    whole = lib.Model(x, lib.layers.Dense(1, name="third")(second))
    inner = lib.Model(first, whole.layers[-1].output, name="inner")
    del whole
    return inner


CASES: dict[str, Case] = {
    "shared": Case(
        shared,
        [rows(4), rows(4, seed=1)],
        rows(1, seed=2),
        {"loss": "mse", "metrics": ["mae"]},
    ),
    "operations": Case(operations, rows(6), rows(1, seed=1), {"loss": "mse"}),
    "named": Case(
        named,
        {"size": rows(3), "kind": numbers(5, 1)},
        {"price": rows(1, seed=1), "class": numbers(3, seed=2)},
        {
            "loss": {"price": "mse", "class": "sparse_categorical_crossentropy"},
            "loss_weights": {"price": 0.3, "class": 2.0},
            "metrics": {"price": ["mae", "mse"], "class": "accuracy"},
            "weighted_metrics": {"class": ["accuracy"]},
        },
    ),
    "listed": Case(
        listed,
        rows(5),
        [rows(2, seed=1), numbers(2, 1, seed=2)],
        {
            "loss": {"left": "mae", "right": "binary_crossentropy"},
            "loss_weights": {"left": 1.0, "right": 0.5},
            "metrics": [["mae"], ["accuracy"]],
        },
    ),
    "nested": Case(nested, rows(4), rows(2, seed=1), {"loss": "mse"}),
    "deep_structures": Case(
        deep_structures,
        {"pair": [rows(2), rows(3, seed=1)], "single": rows(2, seed=2)},
        rows(2, seed=3),
        {"loss": "mse"},
    ),
    "masked": Case(
        masked,
        numbers(6, 7),
        rows(7, 2, seed=1),
        {"loss": "mse", "metrics": ["mae"], "weighted_metrics": ["mse"]},
    ),
    "residual": Case(residual, rows(5), rows(1, seed=1), {"loss": "log_cosh"}),
    "taken_out": Case(taken_out, rows(3), rows(1, seed=1), {"loss": "mse"}),
}
