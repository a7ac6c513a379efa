"""Layers that are compositions against real Keras: masks, call arguments, files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from composed_cases import COMPOSED
from layer_cases import inputs
from layer_parts import SPREAD, made, stack

import ranvier

CLOSE = {"rtol": 2e-5, "atol": 2e-6}
RNG = np.random.default_rng(0)
#: Sequences of 4 steps of which some are padding.
X, OTHER = (RNG.normal(size=(5, 4, 3)).astype("float32") for _ in range(2))
SHORT = (np.arange(4) < np.array([4, 3, 2, 1, 4])[:, None])[..., None]
LATE = (np.arange(4) >= np.array([0, 1, 2, 3, 1])[:, None])[..., None]
MERGING = (
    "Add",
    "Average",
    "Concatenate",
    "Maximum",
    "Minimum",
    "Multiply",
    "Subtract",
)


def same_weights(theirs: Any, ours: Any, seed: int = 1) -> None:
    """Random weights, the same in both."""
    rng = np.random.default_rng(seed)
    values = [rng.uniform(-0.7, 0.7, w.shape) for w in theirs.weights]
    theirs.set_weights(values)
    ours.set_weights(values)


def mask_of(tensor: Any) -> Any:
    """The mask that a tensor carries, as an array."""
    found = getattr(tensor, "_keras_mask", None)
    return None if found is None else np.asarray(found)


def close(found: Any, wanted: Any) -> None:
    """Values and masks are those of Keras."""
    np.testing.assert_allclose(np.asarray(found), np.asarray(wanted), **CLOSE)
    mine, other = mask_of(found), mask_of(wanted)
    assert (mine is None) == (other is None)
    if other is not None:
        np.testing.assert_array_equal(mine, other)


# ------------------------------------------------------------------------- masks


@pytest.mark.parametrize("masked", [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("name", MERGING)
def test_masks_of_merged_sequences(
    keras: Any, name: str, masked: tuple[bool, bool]
) -> None:
    found = []
    for library in (ranvier, keras):
        cover = library.layers.Masking()
        one = cover(X * SHORT) if masked[0] else library.ops.convert_to_tensor(X)
        two = cover(OTHER * LATE) if masked[1] else library.ops.convert_to_tensor(OTHER)
        found.append(getattr(library.layers, name)()([one, two]))
    close(*found)


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_masking(keras: Any, value: float) -> None:
    x = np.where(SHORT, X, np.float32(value))
    close(*(lib.layers.Masking(value)(x) for lib in (ranvier, keras)))


def test_embedding_masks_zeros(keras: Any) -> None:
    numbers = np.array([[1, 2, 0, 3], [0, 0, 4, 1]])
    for mask_zero in (True, False):
        theirs = keras.layers.Embedding(5, 2, mask_zero=mask_zero)
        ours = ranvier.layers.Embedding(5, 2, mask_zero=mask_zero)
        theirs.build((None, 4)), ours.build((None, 4))
        same_weights(theirs, ours)
        close(ours(numbers), theirs(numbers))


def test_time_distributed_hands_masks_on(keras: Any) -> None:
    x = np.stack([X, OTHER], axis=1)
    mask = np.stack([SHORT, LATE], axis=1)[..., 0]
    theirs = keras.layers.TimeDistributed(keras.layers.Softmax(axis=-2))
    ours = ranvier.layers.TimeDistributed(ranvier.layers.Softmax(axis=-2))
    wide = np.broadcast_to(mask[..., None], x.shape)
    np.testing.assert_allclose(
        ours(x, mask=wide).numpy(), np.asarray(theirs(x, mask=wide)), **CLOSE
    )


@pytest.mark.parametrize("axis", [-1, (1, 2)])
def test_softmax_of_masked_rows(keras: Any, axis: Any) -> None:
    mask = np.broadcast_to(SHORT & LATE, X.shape)  # nothing is left of some rows
    found, wanted = (
        lib.layers.Softmax(axis=axis)(X, mask=mask) for lib in (ranvier, keras)
    )
    np.testing.assert_allclose(found.numpy(), np.asarray(wanted), **CLOSE)


def test_batch_normalization_leaves_masked_steps_out(keras: Any) -> None:
    theirs = keras.layers.BatchNormalization(momentum=0.5)
    ours = ranvier.layers.BatchNormalization(momentum=0.5)
    mask = SHORT[..., 0]
    found = ours(X, training=True, mask=mask)
    wanted = theirs(X, training=True, mask=mask)
    np.testing.assert_allclose(found.numpy(), np.asarray(wanted), rtol=2e-5, atol=2e-5)
    for mine, other in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(mine.numpy(), np.asarray(other), **CLOSE)


# ---------------------------------------------------------------------- attention

KINDS: list[tuple[str, dict[str, Any]]] = [
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3}),
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3, "sliding_window": 2}),
    (
        "GroupQueryAttention",
        {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2},
    ),
]
SEEN = np.random.default_rng(3).random((5, 4, 4)) > 0.3
CALLS: list[dict[str, Any]] = [
    {},
    {"use_causal_mask": True},
    {"return_attention_scores": True},
    {"use_causal_mask": True, "return_attention_scores": True},
    {"attention_mask": SEEN},
    {"attention_mask": SEEN, "use_causal_mask": True, "return_attention_scores": True},
]


# Keras warns of its own projections inside GroupQueryAttention.
@pytest.mark.filterwarnings("ignore:(?s).*was passed an input with a mask attached")
@pytest.mark.parametrize("covered", [False, True])
@pytest.mark.parametrize("call", CALLS, ids=lambda c: "+".join(c) or "plain")
@pytest.mark.parametrize(("name", "args"), KINDS)
def test_heads_with_masks(
    keras: Any, name: str, args: dict[str, Any], call: dict[str, Any], covered: bool
) -> None:
    found = []
    layers = [getattr(lib.layers, name)(**args) for lib in (keras, ranvier)]
    for layer in layers:
        layer.build((None, 4, 3), (None, 4, 3))
    same_weights(*layers)
    for library, layer in zip((keras, ranvier), layers, strict=True):
        query, value = X * SHORT, OTHER * LATE
        if covered:
            query, value = map(library.layers.Masking(), (query, value))
        given = dict(call)
        if "attention_mask" in given:
            mask = given["attention_mask"]
            given["attention_mask"] = library.ops.convert_to_tensor(mask)
        result = layer(query, value, **given)
        found.append(result if isinstance(result, tuple) else (result,))
    close(found[1][0], found[0][0])
    for wanted, got in zip(found[0][1:], found[1][1:], strict=True):  # the weights
        np.testing.assert_allclose(got.numpy(), np.asarray(wanted), **CLOSE)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("covered", [False, True])
@pytest.mark.parametrize(
    ("name", "args"),
    [("Attention", {}), ("Attention", {"use_scale": True}), ("AdditiveAttention", {})],
)
def test_single_attention_with_masks(
    keras: Any, name: str, args: dict[str, Any], covered: bool, causal: bool
) -> None:
    found = []
    layers = [getattr(lib.layers, name)(**args) for lib in (keras, ranvier)]
    for layer in layers:
        layer.build([(None, 4, 3), (None, 4, 3)])
    same_weights(*layers)
    for library, layer in zip((keras, ranvier), layers, strict=True):
        query, value = X * SHORT, OTHER * LATE
        if covered:
            query, value = map(library.layers.Masking(), (query, value))
        found.append(
            layer([query, value], return_attention_scores=True, use_causal_mask=causal)
        )
    for wanted, got in zip(*found, strict=True):
        np.testing.assert_allclose(np.asarray(got), np.asarray(wanted), **CLOSE)


# ------------------------------------------------------------ spectral normalisation


@pytest.mark.parametrize("rounds", [1, 3])
@pytest.mark.parametrize("zero", [False, True])
def test_spectral_normalization(keras: Any, rounds: int, zero: bool) -> None:
    models = []
    for library in (keras, ranvier):
        inner = library.layers.Dense(4, name="inner")
        layer = library.layers.SpectralNormalization(inner, power_iterations=rounds)
        models.append(library.Sequential([library.Input((3,)), layer]))
    theirs, ours = models
    assert [(w.name, tuple(w.shape), w.trainable) for w in ours.weights] == [
        (w.name, tuple(w.shape), w.trainable) for w in theirs.weights
    ]
    same_weights(theirs, ours)
    if zero:
        for model in models:
            kernel = model.layers[0].layer.kernel
            kernel.assign(np.zeros(kernel.shape, "float32"))
    x = RNG.normal(size=(6, 3)).astype("float32")
    y = RNG.normal(size=(6, 4)).astype("float32")
    for library, model in zip((keras, ranvier), models, strict=True):
        model.compile(library.optimizers.SGD(0.1), "mse")
    for _ in range(3):
        wanted, found = (model.train_on_batch(x, y) for model in models)
        np.testing.assert_allclose(found, wanted, rtol=2e-5)
        for mine, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_allclose(mine, other, **CLOSE)
    np.testing.assert_allclose(
        ours.predict(x, verbose=0), theirs.predict(x, verbose=0), **CLOSE
    )


# -------------------------------------------------------------------------- files

SAVED = [
    (name, args, shape)
    for name, many in COMPOSED.items()
    for args, shape in many[:2]
    if not isinstance(shape, list)
]


@pytest.mark.parametrize(
    ("name", "args", "shape"),
    SAVED,
    ids=[f"{n}-{i}" for i, (n, *_) in enumerate(SAVED)],
)
def test_files_go_both_ways(
    keras: Any, tmp_path: Path, name: str, args: dict[str, Any], shape: Any
) -> None:
    x = inputs(name, shape, 3)
    for writer, reader in ((ranvier, keras), (keras, ranvier)):
        first = stack(writer, name, args, shape)
        rng = np.random.default_rng(2)
        first.set_weights([rng.uniform(0.3, 1.2, w.shape) for w in first.weights])
        first.save(tmp_path / "m.keras")
        second = reader.models.load_model(tmp_path / "m.keras")
        np.testing.assert_allclose(
            np.asarray(second(x)), np.asarray(first(x)), rtol=2e-5, atol=2e-6
        )


SEVERAL = [
    (name, args, shape)
    for name, many in COMPOSED.items()
    for args, shape in many[:2]
    if isinstance(shape, list)
]


def joined(library: Any, name: str, args: dict[str, Any], shapes: list[Any]) -> Any:
    """A functional model of a layer of several inputs."""
    tensors = [library.Input(shape) for shape in shapes]
    layer = made(library, name, args)
    y = layer(*tensors) if name in SPREAD else layer(tensors)
    return library.Model(tensors, y)


@pytest.mark.parametrize(
    ("name", "args", "shapes"),
    SEVERAL,
    ids=[f"{n}-{i}" for i, (n, *_) in enumerate(SEVERAL)],
)
def test_files_of_layers_with_several_inputs_go_both_ways(
    keras: Any, tmp_path: Path, name: str, args: dict[str, Any], shapes: list[Any]
) -> None:
    rng = np.random.default_rng(3)
    x = [rng.normal(size=(3, *shape)).astype("float32") for shape in shapes]
    for writer, reader in ((ranvier, keras), (keras, ranvier)):
        first = joined(writer, name, args, shapes)
        first.set_weights([rng.uniform(0.3, 1.2, w.shape) for w in first.weights])
        first.save(tmp_path / "m.keras")
        second = reader.models.load_model(tmp_path / "m.keras")
        np.testing.assert_allclose(
            np.asarray(second(x)), np.asarray(first(x)), rtol=2e-5, atol=2e-6
        )


def transformer(library: Any) -> Any:
    """Two causal blocks on masked words."""
    layers = library.layers
    words = library.Input((6,), dtype="int32")
    x = layers.Embedding(9, 8, mask_zero=True)(words)
    for _ in range(2):
        seen = layers.MultiHeadAttention(2, 4)(x, x, use_causal_mask=True)
        x = layers.LayerNormalization()(layers.Add()([x, seen]))
        bent = layers.Dense(8)(layers.Dense(16, activation="gelu")(x))
        x = layers.RMSNormalization()(layers.add([x, bent]))
    return library.Model(words, layers.TimeDistributed(layers.Dense(9))(x))


# RMSNormalization knows no masks, here as in Keras: both say that the mask ends there.
@pytest.mark.filterwarnings(
    "ignore:(?s).*mask attached", "ignore:(?s).*mask of its input"
)
def test_a_transformer_trains_as_in_keras(keras: Any) -> None:
    theirs, ours = transformer(keras), transformer(ranvier)
    assert [tuple(w.shape) for w in ours.weights] == [
        tuple(w.shape) for w in theirs.weights
    ]
    same_weights(theirs, ours)
    rng = np.random.default_rng(5)
    words, labels = rng.integers(0, 9, (2, 10, 6)).astype("int32")
    for library, model in ((keras, theirs), (ranvier, ours)):
        loss = library.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(library.optimizers.SGD(0.1), loss)
    for _ in range(3):
        wanted = theirs.train_on_batch(words, labels)
        found = ours.train_on_batch(words, labels)
        np.testing.assert_allclose(found, wanted, rtol=2e-5)
    for mine, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=5e-6)


def doubled(x: Any) -> Any:
    """A function with a name, for a Lambda."""
    return x * 2.0


@pytest.mark.parametrize("direction", ["to keras", "from keras"])
def test_a_named_function_goes_both_ways(
    keras: Any, tmp_path: Path, direction: str
) -> None:
    pair = (ranvier, keras) if direction == "to keras" else (keras, ranvier)
    writer, reader = pair
    layer = writer.layers.Lambda(doubled, name="twice")
    writer.Sequential([writer.Input((3,)), layer]).save(tmp_path / "m.keras")
    again = reader.models.load_model(
        tmp_path / "m.keras", custom_objects={"doubled": doubled}
    )
    assert np.asarray(again(np.ones((1, 3), "float32"))).tolist() == [[2.0, 2.0, 2.0]]
