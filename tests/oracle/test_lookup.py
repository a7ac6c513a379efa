"""Layers of words and whole numbers against real Keras (on TensorFlow's strings)."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import ranvier

WORDS = np.array(
    [["red", "blue", "[UNK]"], ["blue", "", "Ärger"], ["red", "red", "green"]]
)
NUMBERS = np.array([[5, 7, -1], [7, 0, 12], [5, 5, 9]])
TEXTS = [
    "The quick, brown FOX\tjumps",
    "  over the  lazy dog's back - the end. ",
    "ÄÖ Straße the fox",
    "",
]
LOOKUPS: list[dict[str, Any]] = [
    {},
    {"max_tokens": 4},
    {"output_mode": "multi_hot"},
    {"output_mode": "count", "max_tokens": 9, "pad_to_max_tokens": True},
    {"output_mode": "one_hot"},
    {"output_mode": "tf_idf"},
    {"output_mode": "tf_idf", "max_tokens": 8, "pad_to_max_tokens": True},
]


def twins(keras: Any, name: str, args: dict[str, Any]) -> tuple[Any, Any]:
    kinds = (getattr(m.layers, name) for m in (ranvier, keras))
    own, theirs = (kind(**args) for kind in kinds)
    return own, theirs


def same(own: Any, theirs: Any, x: Any) -> None:
    found, wanted = own(x).numpy(), np.asarray(theirs(x))
    assert found.dtype.kind == wanted.dtype.kind
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


@pytest.mark.parametrize("args", LOOKUPS, ids=str)
@pytest.mark.parametrize("batches", [False, True])
@pytest.mark.parametrize("name", ["StringLookup", "IntegerLookup"])
def test_adapted(keras: Any, name: str, args: dict[str, Any], batches: bool) -> None:
    x = WORDS if name == "StringLookup" else NUMBERS
    mask = "" if name == "StringLookup" else 0
    unknown = np.array([["red", "?", ""]] if name == "StringLookup" else [[5, 99, 0]])
    for more in ({}, {"mask_token": mask}):
        own, theirs = twins(keras, name, {**args, **more})
        own.adapt(iter([x[:2], x[2:]]) if batches else x)
        theirs.adapt(iter([x[:2], x[2:]]) if batches else x)
        assert own.get_vocabulary() == [
            v if isinstance(v, str) else int(v) for v in theirs.get_vocabulary()
        ]
        assert own.vocabulary_size() == theirs.vocabulary_size()
        for value in (x, unknown, x[:, :1], x[0]):
            same(own, theirs, value)
        again = pickle.loads(pickle.dumps(own))
        np.testing.assert_array_equal(again(x).numpy(), own(x).numpy())
        mine, other = own.get_config(), theirs.get_config()
        mine.pop("name"), other.pop("name")
        assert mine == other


@pytest.mark.parametrize("oov", [0, 1, 3])
def test_given_vocabularies(keras: Any, oov: int, tmp_path: Any) -> None:
    args = {"vocabulary": [5, 7, 12], "num_oov_indices": oov, "mask_token": 0}
    own, theirs = twins(keras, "IntegerLookup", args)
    x = NUMBERS if oov else np.array([[5, 7], [12, 0]])
    same(own, theirs, x)
    if not oov:
        with pytest.raises(ranvier.RanvierError, match="RV203"):
            own(NUMBERS)
    own, theirs = twins(keras, "IntegerLookup", {**args, "invert": True})
    same(own, theirs, np.array([0, 1, 2, 3, 4, 77]))
    path = tmp_path / "words.txt"
    path.write_text("red\ngreen\n", encoding="utf-8")
    own, theirs = twins(keras, "StringLookup", {"vocabulary": str(path)})
    same(own, theirs, WORDS)
    own, theirs = twins(
        keras,
        "StringLookup",
        {"vocabulary": ["a", "b"], "idf_weights": [0.5, 2], "output_mode": "tf_idf"},
    )
    same(own, theirs, np.array([["a", "b", "b"], ["a", "c", "c"]]))
    back = ranvier.layers.StringLookup(vocabulary=["a", "b"], invert=True)
    assert back([[2, 0], [1, 9]]).tolist() == [["b", "[UNK]"], ["a", "[UNK]"]]


@pytest.mark.parametrize(
    "args",
    [
        *LOOKUPS[:4],
        *LOOKUPS[5:],
        {"standardize": None},
        {"standardize": "lower"},
        {"standardize": "strip_punctuation", "split": "character"},
        {"ngrams": 2},
        {"ngrams": (3, 2), "output_mode": "count"},
        {"output_sequence_length": 3},
        {"output_sequence_length": 12, "max_tokens": 6},
    ],
    ids=str,
)
def test_texts(keras: Any, args: dict[str, Any]) -> None:
    own, theirs = twins(keras, "TextVectorization", args)
    own.adapt(TEXTS)
    theirs.adapt(TEXTS)
    assert own.get_vocabulary() == theirs.get_vocabulary()
    same(own, theirs, TEXTS)
    same(own, theirs, np.array(TEXTS)[:, None])
    same(own, theirs, ["the fox and a cat"])
    mine, other = own.get_config(), theirs.get_config()
    mine.pop("name"), other.pop("name")
    assert mine == other
    again = ranvier.layers.TextVectorization.from_config(theirs.get_config())
    again.set_vocabulary(
        theirs.get_vocabulary(),
        *([theirs._lookup_layer.idf_weights.numpy()[: own.vocabulary_size()]]
          if "tf_idf" in args.values() else []),
    )  # fmt: skip
    np.testing.assert_allclose(again(TEXTS).numpy(), own(TEXTS).numpy())


HASHED: list[dict[str, Any]] = [
    {},
    {"salt": 133},
    {"salt": [133, 137], "mask_value": "red"},
    {"output_mode": "one_hot"},
    {"output_mode": "multi_hot", "mask_value": "red"},
    {"output_mode": "count", "dtype": "int32"},
    {"dtype": "int32"},
]


@pytest.mark.parametrize("args", HASHED, ids=lambda args: "-".join(args) or "plain")
def test_hashing(keras: Any, args: dict[str, Any]) -> None:
    args = {"num_bins": 7, **args}
    own, theirs = twins(keras, "Hashing", args)
    numbers = {**args, "mask_value": 7} if "mask_value" in args else args
    for kinds, x in (
        ((own, theirs), WORDS),
        (twins(keras, "Hashing", numbers), NUMBERS),
    ):
        for value in (x, x[:, :1]):
            same(*kinds, value)
            assert kinds[0](value).dtype == kinds[1].dtype
            spec = kinds[0].compute_output_spec(ranvier.Input(value.shape[1:]))
            assert spec.shape[1:] == kinds[0](value).shape[1:]
    if "mask_value" not in args:
        same(own, theirs, NUMBERS * 1.5)
    mine, other = own.get_config(), theirs.get_config()
    mine.pop("name"), other.pop("name")
    assert keras.saving.serialize_keras_object(other) == mine
    described = keras.saving.serialize_keras_object(theirs)
    again = ranvier.saving.deserialize_keras_object(described)
    np.testing.assert_array_equal(again(WORDS).numpy(), own(WORDS).numpy())


@pytest.mark.parametrize("salt", [None, 5, [133, 137]], ids=["none", "one", "two"])
def test_many_places_for_unknown_words(keras: Any, salt: Any) -> None:
    words = {"vocabulary": ["red"], "num_oov_indices": 5, "salt": salt}
    same(*twins(keras, "StringLookup", words), WORDS)
    same(*twins(keras, "StringLookup", {**words, "mask_token": ""}), WORDS)
    numbers = {**words, "vocabulary": [5], "oov_method": "farmhash"}
    own, theirs = twins(keras, "IntegerLookup", numbers)
    same(own, theirs, NUMBERS)
    mine, other = own.get_config(), theirs.get_config()
    mine.pop("name"), other.pop("name")
    assert mine == other


@pytest.mark.parametrize("mode", ["int", "tf_idf"])
def test_files_with_words(keras: Any, mode: str, tmp_path: Any) -> None:
    """A model's vocabulary goes from one library's file to the other's model."""

    def model(library: Any) -> Any:
        layer = library.layers.TextVectorization(
            output_mode=mode, name="words",
            **({"output_sequence_length": 5} if mode == "int" else {}),
        )  # fmt: skip
        layer.adapt(TEXTS)
        inputs = library.Input((1,), dtype="string")
        return library.Model(inputs, library.layers.Dense(2, name="out")(layer(inputs)))

    own, theirs = model(ranvier), model(keras)
    theirs.save(tmp_path / "theirs.keras")
    own.save(tmp_path / "own.keras")
    read = ranvier.models.load_model(tmp_path / "theirs.keras")
    for one, other in (
        (read, theirs),
        (own, keras.models.load_model(tmp_path / "own.keras")),
    ):
        mine, back = one.get_layer("words"), other.get_layer("words")
        assert mine.get_vocabulary() == back.get_vocabulary()
        np.testing.assert_allclose(
            mine(TEXTS).numpy(), np.asarray(back(TEXTS)), rtol=1e-6
        )
        for a, b in zip(one.layers[-1].get_weights(), other.layers[-1].get_weights(),
                        strict=True):  # fmt: skip
            np.testing.assert_array_equal(a, b)
    words = np.asarray(theirs.get_layer("words")(TEXTS), "float32")
    wanted = np.asarray(theirs.layers[-1](words))
    np.testing.assert_allclose(read.predict(TEXTS, verbose=0), wanted, rtol=1e-5)


def test_functions_of_texts(keras: Any) -> None:
    own = ranvier.layers.TextVectorization(
        standardize=np.char.upper, split=lambda texts: [t.split("-") for t in texts]
    )
    own.adapt(["a-b", "b-c"])
    assert own.get_vocabulary() == ["", "[UNK]", "B", "C", "A"]
    assert own(["a-x-b"]).numpy().tolist() == [[4, 1, 2]]


def test_what_is_refused() -> None:
    layers = ranvier.layers
    with pytest.raises(ranvier.RanvierError, match="RV100"):
        layers.IntegerLookup(num_oov_indices=2, salt=3)
    with pytest.raises(ranvier.RanvierError, match=r"RV103[\s\S]*ravel"):
        layers.TextVectorization()(ranvier.Input((3,), dtype="string"))
    for layer in (layers.StringLookup(), layers.TextVectorization()):
        with pytest.raises(ranvier.RanvierError, match="RV203"):
            layer([1, 2])
    with pytest.raises(ranvier.RanvierError, match="RV203"):
        layers.IntegerLookup()([1.5])
    for bad in (["a", "a"], [], ["a", ""], ["b", "c", "d", "e"]):
        with pytest.raises(ranvier.RanvierError, match="RV100"):
            layers.StringLookup(vocabulary=bad, mask_token="", max_tokens=5)
    fixed = layers.StringLookup(vocabulary=["a"])
    with pytest.raises(ranvier.RanvierError, match="RV100"):
        fixed.adapt(["b"])
    with pytest.raises(ranvier.RanvierError, match="RV106"):
        layers.StringLookup(output_mode="count")(["a"])
    for bad_args in ({"output_mode": "x"}, {"sparse": True}, {"nothing": 1}):
        with pytest.raises(ranvier.RanvierError, match="RV100"):
            layers.StringLookup(**bad_args)
        with pytest.raises(ranvier.RanvierError, match="RV100"):
            layers.TextVectorization(**bad_args)
