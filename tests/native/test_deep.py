"""Graphs of hundreds of steps in a row: lowering them does not recurse through them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import ranvier
from ranvier import layers, ops
from ranvier.engines.native import chains

ROUNDS = 400
Array = np.ndarray[Any, Any]


def normed(x: Any, w: Any) -> Any:
    """A product and a norm."""
    x = ops.matmul(x, w)
    x = x - ops.mean(x, axis=-1, keepdims=True)
    return x / ops.sqrt(ops.mean(ops.square(x), axis=-1, keepdims=True) + 1e-3)


def residual(x: Any, w: Any) -> Any:
    """A sum that goes on for ever: every product could host it."""
    return x + 0.01 * ops.tanh(ops.matmul(x, w))


def centred(x: Any, w: Any) -> Any:
    """Nothing but sums and elementwise operations."""
    return (x - 0.5 * ops.mean(x, axis=-1, keepdims=True)) * w[0]


def joined(x: Any, w: Any) -> Any:
    """Pieces put together again."""
    return ops.concatenate([x[:, 4:] * w[0, 4:], ops.tanh(x[:, :4])], axis=-1)


KINDS: dict[str, Callable[[Any, Any], Any]] = {
    "normed": normed,
    "residual": residual,
    "centred": centred,
    "joined": joined,
}


class Deep(layers.Layer):
    """Many rounds with one weight."""

    def __init__(self, kind: str, rounds: int) -> None:
        super().__init__()
        self.kind, self.rounds = kind, rounds

    def build(self, input_shape: Any) -> None:
        """An orthogonal matrix."""
        n = input_shape[-1]
        self.w = self.add_weight(shape=(n, n), initializer="orthogonal", name="w")
        super().build(input_shape)

    def call(self, x: Any) -> Any:
        """All rounds."""
        for _ in range(self.rounds):
            x = KINDS[self.kind](x, self.w)
        return x


def trained(kind: str, rounds: int, engine: str) -> list[Array]:
    """The weights after a step of training, the loss, and predictions."""
    ranvier.utils.set_random_seed(3)
    model = ranvier.Sequential(
        [layers.Input((8,)), Deep(kind, rounds), layers.Dense(1)]
    )
    model.compile(ranvier.optimizers.SGD(1e-3), "mse", engine=engine)
    x = np.random.default_rng(0).normal(size=(16, 8)).astype("float32")
    history = model.fit(x, x[:, :1], batch_size=16, verbose=0)
    loss = np.asarray(history.history["loss"])
    return [*model.get_weights(), loss, model.predict(x, verbose=0)]


@pytest.mark.parametrize("kind", KINDS)
def test_hundreds_of_rounds(kind: str) -> None:
    native = trained(kind, ROUNDS, "native")
    assert all(np.isfinite(a).all() for a in native)
    for a, b in zip(native, trained(kind, ROUNDS, "reference"), strict=True):
        # An error of the first round goes through all others.
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_stopovers_do_not_change_numbers(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = trained(kind, 6, "native")
    monkeypatch.setattr(chains, "FAR", 3)
    stops: list[int] = []
    unknown = chains._unknown

    def watched(low: Any, roots: Any) -> Any:
        stops.append(len(roots))
        return unknown(low, roots)

    monkeypatch.setattr(chains, "_unknown", watched)
    for a, b in zip(whole, trained(kind, 6, "native"), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    assert stops


def test_a_deep_graph_needs_a_part_of_the_stack() -> None:
    before = sys.getrecursionlimit()
    frame, depth = sys._getframe(), 0
    while frame is not None:
        depth, frame = depth + 1, frame.f_back  # type: ignore[assignment]
    sys.setrecursionlimit(depth + 600)
    try:
        trained("normed", 150, "native")
    finally:
        sys.setrecursionlimit(before)
