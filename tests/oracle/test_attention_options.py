"""Every combination of attention's options gives Keras's numbers, fused or not."""

from __future__ import annotations

from itertools import product
from typing import Any

import keras
import numpy as np
import pytest

import ranvier

RNG = np.random.default_rng(0)
QUERY = RNG.normal(size=(3, 7, 12)).astype("float32")
VALUE = RNG.normal(size=(3, 5, 12)).astype("float32")
#: A query, and a row, that see nothing.
MASK = RNG.random((3, 7, 5)) > 0.5
MASK[0, 2], MASK[1] = False, False
LAYERS: dict[str, dict[str, int]] = {
    "MultiHeadAttention": {"num_heads": 2, "key_dim": 4},
    "GroupQueryAttention": {
        "head_dim": 4,
        "num_query_heads": 4,
        "num_key_value_heads": 2,
    },
}


def same(theirs: Any, ours: Any) -> None:
    many = isinstance(theirs, (tuple, list))
    pairs = zip(theirs, ours, strict=True) if many else [(theirs, ours)]
    for their, our in pairs:
        np.testing.assert_allclose(np.asarray(our), np.asarray(their), atol=2e-6)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize(
    ("dropout", "scores", "masked", "causal"),
    list(product((0.0, 0.4), (False, True), (False, True), (False, True))),
)
def test_layers_with_projections(
    name: str, dropout: float, scores: bool, masked: bool, causal: bool
) -> None:
    theirs = getattr(keras.layers, name)(dropout=dropout, **LAYERS[name])
    ours = getattr(ranvier.layers, name)(dropout=dropout, **LAYERS[name])
    for layer in (theirs, ours):
        layer(QUERY, VALUE)
    ours.set_weights([np.asarray(w) for w in theirs.get_weights()])
    options = {
        "attention_mask": MASK if masked else None,
        "return_attention_scores": scores,
        "use_causal_mask": causal,
    }
    same(theirs(QUERY, VALUE, **options), ours(QUERY, VALUE, **options))


@pytest.mark.parametrize(
    ("scaled", "causal", "masked", "scores"),
    list(product((False, True), repeat=4)),
)
def test_attention_without_projections(
    scaled: bool, causal: bool, masked: bool, scores: bool
) -> None:
    theirs = keras.layers.Attention(use_scale=scaled)
    ours = ranvier.layers.Attention(use_scale=scaled)
    for layer in (theirs, ours):
        layer([QUERY, VALUE])
        if scaled:
            layer.set_weights([np.float32(0.7)])
    masks = None
    if masked:
        keys = np.array([[1, 1, 1, 0, 0], [1, 0, 0, 0, 1], [1] * 5], bool)
        masks = [RNG.random((3, 7)) > 0.3, keys]
    options = {
        "mask": masks,
        "use_causal_mask": causal,
        "return_attention_scores": scores,
    }
    same(theirs([QUERY, VALUE], **options), ours([QUERY, VALUE], **options))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("axes", [None, 2, 4])
@pytest.mark.parametrize("biased", [False, True])
def test_the_operation(causal: bool, axes: int | None, biased: bool) -> None:
    query = RNG.normal(size=(2, 6, 4, 8)).astype("float32")
    key = RNG.normal(size=(2, 6, 2, 8)).astype("float32")
    shape = {2: (6, 6), 4: (2, 1, 6, 6)}
    mask = None if axes is None else RNG.random(shape[axes]) > 0.4
    bias = RNG.normal(size=(2, 4, 6, 6)).astype("float32") if biased else None
    wide = None if mask is None else np.broadcast_to(mask, (2, 4, 6, 6))
    options: dict[str, Any] = {"bias": bias, "is_causal": causal}
    same(
        keras.ops.dot_product_attention(query, key, key, mask=wide, **options),
        ranvier.ops.dot_product_attention(query, key, key, mask=mask, **options),
    )
