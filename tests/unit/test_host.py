"""Layers of words inside models: they run on the data, before the compiled step."""

from __future__ import annotations

import copy
import pickle
import zipfile
from typing import Any

import numpy as np
import pytest

import ranvier as keras
from ranvier import RanvierError, layers
from ranvier.models import host_source

RNG = np.random.default_rng(7)
WORDS = ("fine", "dull", "a", "film", "plot", "with", "actors", "of")
LABELS = RNG.integers(0, 2, 150)
TEXTS = np.array([
    " ".join([*RNG.choice(WORDS[2:], RNG.integers(2, 6)), WORDS[1 - label]])
    for label in LABELS
])  # fmt: skip


def vectorizer(**arguments: Any) -> Any:
    layer = layers.TextVectorization(max_tokens=20, name="words", **arguments)
    layer.adapt(TEXTS)
    return layer


def classifier(first: list[Any], **compiled: Any) -> Any:
    keras.utils.set_random_seed(1)
    model = keras.Sequential([
        *first,
        layers.Embedding(20, 8, name="embedding"),
        layers.GlobalAveragePooling1D(name="mean"),
        layers.Dense(1, activation="sigmoid", name="out"),
    ])  # fmt: skip
    optimizer = keras.optimizers.Adam(0.02)
    model.compile(optimizer, "binary_crossentropy", metrics=["accuracy"], **compiled)
    return model


def same(one: Any, other: Any) -> None:
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("declared", [True, False])
def test_a_classifier_of_texts_is_that_of_their_words(declared: bool) -> None:
    layer = vectorizer(output_sequence_length=7)
    first = [keras.Input((1,), dtype="string"), layer] if declared else [layer]
    words = layer(TEXTS).numpy()
    own, plain = classifier(first), classifier([keras.Input((7,), dtype="int64")])
    arguments = {"epochs": 12, "verbose": 0, "validation_split": 0.2}
    found = own.fit(TEXTS, LABELS, **arguments).history
    assert found == plain.fit(words, LABELS, **arguments).history
    assert found["val_accuracy"][-1] == 1.0
    same(own.get_weights(), plain.get_weights())
    assert own.evaluate(TEXTS, LABELS, verbose=0) == plain.evaluate(
        words, LABELS, verbose=0
    )
    wanted = plain.predict(words, verbose=0)
    for x in (TEXTS, list(TEXTS), TEXTS[:, None], TEXTS.astype("S"), TEXTS.astype("O")):
        same(own.predict(x, verbose=0), wanted)
    same(own(TEXTS).numpy(), plain(words).numpy())
    same(own.predict_on_batch(TEXTS[:9]), plain.predict_on_batch(words[:9]))
    for name in ("train_on_batch", "test_on_batch"):
        mine, other = (getattr(model, name) for model in (own, plain))
        assert mine(TEXTS[:40], LABELS[:40]) == other(words[:40], LABELS[:40])
    batches = [(TEXTS[i : i + 32], LABELS[i : i + 32]) for i in range(0, 150, 32)]
    other = [(words[i : i + 32], LABELS[i : i + 32]) for i in range(0, 150, 32)]
    for data, numbers in ((iter(batches), iter(other)), (iter(batches), iter(other))):
        logs = own.fit(data, epochs=1, verbose=0).history
        assert logs == plain.fit(numbers, epochs=1, verbose=0).history
    same(own.get_weights(), plain.get_weights())


@pytest.mark.parametrize("compiled", [{"run_eagerly": True}, {"engine": "reference"}])
def test_other_ways_of_running(compiled: dict[str, Any]) -> None:
    own = classifier([vectorizer(output_sequence_length=7)], **compiled)
    native = classifier([vectorizer(output_sequence_length=7)])
    losses = [
        model.fit(TEXTS[:40], LABELS[:40], verbose=0).history["loss"]
        for model in (own, native)
    ]
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_texts_are_filled_up_to_the_longest_of_their_batch() -> None:
    """As in Keras; and in the order that arrays would have."""
    layer = vectorizer()
    own = classifier([keras.Input((1,), dtype="string"), layer])
    plain = classifier([keras.Input((None,), dtype="int64")])
    own.fit(TEXTS, LABELS, batch_size=40, shuffle=False, verbose=0)
    for start in range(0, 150, 40):
        rows = slice(start, start + 40)
        plain.train_on_batch(layer(TEXTS[rows]).numpy(), LABELS[rows])
    same(own.get_weights(), plain.get_weights())
    few = [own.predict(TEXTS[i : i + 32], verbose=0) for i in range(0, 150, 32)]
    same(own.predict(TEXTS, verbose=0), np.concatenate(few))
    source = host_source.source_of_raw(
        own._function.host, own._function.host.raw(TEXTS, "own"), LABELS, None, 50,
        None, True,
    )  # fmt: skip
    assert isinstance(source, host_source.RawSource)
    assert source.steps == 3


def table(seed: int = 3) -> tuple[Any, dict[str, Any], Any]:
    """A model of words and numbers, its columns and targets."""
    rng = np.random.default_rng(seed)
    columns = {
        "color": rng.choice(["red", "green", "blue"], 200),
        "area": rng.integers(100, 110, 200),
        "size": rng.normal(size=(200, 3)).astype("float32"),
    }
    targets = 2.0 * (columns["color"] == "red") + columns["size"][:, 0]
    color = layers.StringLookup(output_mode="one_hot", name="colors")
    color.adapt(columns["color"])
    area = layers.IntegerLookup(name="areas")
    area.adapt(columns["area"])
    keras.utils.set_random_seed(seed)
    inputs = {
        "color": keras.Input((1,), dtype="string", name="color"),
        "area": keras.Input((1,), dtype="int64", name="area"),
        "size": keras.Input((3,), name="size"),
    }
    places = layers.Embedding(12, 4)(area(inputs["area"]))
    parts = [color(inputs["color"]), layers.Flatten()(places), inputs["size"]]
    hidden = layers.Dense(16, activation="relu")(layers.Concatenate()(parts))
    model = keras.Model(inputs, layers.Dense(1)(hidden))
    model.compile(keras.optimizers.Adam(0.01), "mse")
    return model, columns, targets


def test_a_table_of_words_and_numbers(monkeypatch: Any) -> None:
    model, columns, targets = table()
    arguments = {"epochs": 12, "verbose": 0, "validation_split": 0.1}
    found = model.fit(columns, targets, **arguments).history
    assert found["val_loss"][-1] < 0.5 * np.var(targets)
    few = {name: column[:5] for name, column in columns.items()}
    same(model(few).numpy(), model.predict(few, verbose=0))
    with_tails = {**few, "color": few["color"][:, None], "area": few["area"][:, None]}
    same(model(with_tails).numpy(), model(few).numpy())
    # What takes much memory is made numbers batch by batch: the same bits.
    monkeypatch.setattr(host_source, "LIMIT", 0)
    again, _, _ = table()
    assert again.fit(columns, targets, **arguments).history == found
    same(again.get_weights(), model.get_weights())
    steps = again.fit(columns, targets, batch_size=32, steps_per_epoch=2, verbose=0)
    assert len(steps.history["loss"]) == 1


def test_files_and_copies(tmp_path: Any) -> None:
    model, columns, _ = table()
    text = classifier([vectorizer(output_sequence_length=7)])
    text.fit(TEXTS, LABELS, verbose=0)
    weighted = layers.TextVectorization(output_mode="tf_idf", name="weighted")
    weighted.adapt(TEXTS)
    inputs = keras.Input((1,), dtype="string")
    third = keras.Model(inputs, layers.Dense(2)(weighted(inputs)))
    for one, x in ((model, columns), (text, TEXTS), (third, TEXTS)):
        path = tmp_path / "model.keras"
        one.save(path)
        again = keras.models.load_model(path)
        wanted = one.predict(x, verbose=0)
        for other in (again, copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
            same(other.predict(x, verbose=0), wanted)
    names = zipfile.ZipFile(path).namelist()
    assert "assets/layers/text_vectorization/vocabulary.txt" in names
    assert weighted.get_vocabulary() == again.get_layer("weighted").get_vocabulary()


@pytest.mark.parametrize(
    "word", ["two\nlines", "re\rturn", "par\u2028agraph", "", " blank "]
)
def test_strange_words_survive_in_files(word: str, tmp_path: Any) -> None:
    layer = layers.StringLookup(name="words")
    layer.adapt([["plain", word, word, "other\x0bone"]])
    inputs = keras.Input((2,), dtype="string")
    keras.Model(inputs, layer(inputs)).save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras").get_layer("words")
    assert again.get_vocabulary() == layer.get_vocabulary()


def test_a_file_may_not_name_other_files(tmp_path: Any) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("one\ntwo\n", encoding="utf-8")
    layer = vectorizer(output_sequence_length=7)
    model = classifier([keras.Input((1,), dtype="string"), layer])
    path, bad = tmp_path / "model.keras", tmp_path / "bad.keras"
    model.save(path)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(bad, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "config.json":
                named = f'"vocabulary": "{secret}"'.encode()
                assert data.count(b'"vocabulary": null') == 1
                data = data.replace(b'"vocabulary": null', named)
            new.writestr(name, data)
    with pytest.raises(RanvierError, match=r"RV601[\s\S]*another file"):
        keras.models.load_model(bad)
    with zipfile.ZipFile(path, "a") as more:
        more.writestr("assets/../../escaped.txt", b"x")
    with pytest.raises(RanvierError, match=r"RV601[\s\S]*proper name"):
        keras.models.load_model(path)


class Noting(layers.Layer):
    """A layer of a user's own with a file of its own."""

    note = ""

    def call(self, x: Any) -> Any:
        return x

    def save_assets(self, dir_path: str) -> None:
        with open(f"{dir_path}/note.txt", "w") as file:
            file.write(self.note)

    def load_assets(self, dir_path: str) -> None:
        with open(f"{dir_path}/note.txt") as file:
            self.note = file.read()


def test_files_of_a_users_layer(tmp_path: Any) -> None:
    layer = Noting(name="noting")
    layer.note = "kept"
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1), layer])
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(
        tmp_path / "model.keras", custom_objects={"Noting": Noting}
    )
    assert again.get_layer("noting").note == "kept"


def test_models_in_models() -> None:
    keras.utils.set_random_seed(2)
    layer = vectorizer(output_sequence_length=7)
    trained = keras.Sequential([
        keras.Input((None,), dtype="int64"),
        layers.Embedding(20, 4),
        layers.GlobalAveragePooling1D(),
        layers.Dense(1),
    ])  # fmt: skip
    wanted = trained.predict(layer(TEXTS).numpy(), verbose=0)
    inputs = keras.Input((1,), dtype="string")
    only = keras.Model(inputs, layer(inputs))
    same(only(TEXTS).numpy(), layer(TEXTS).numpy())
    same(only.predict(TEXTS, verbose=0), layer(TEXTS).numpy())
    whole = keras.Input((1,), dtype="string")
    for model in (
        keras.Sequential([layer, trained]),
        keras.Sequential([only, trained]),
        keras.Model(whole, trained(only(whole))),
        keras.Model(inputs, trained(layer(inputs))),
    ):
        same(model.predict(TEXTS, verbose=0), wanted)
        same(keras.Model(model.inputs, model.output)(TEXTS).numpy(), wanted)


def test_a_model_with_both_parts_inside_another() -> None:
    lookup = layers.StringLookup(output_mode="multi_hot", vocabulary=["u", "v"])
    word, number = keras.Input((2,), dtype="string"), keras.Input((2,))
    joined = layers.Concatenate()([lookup(word), number])
    inner = keras.Model([word, number], layers.Dense(2, name="inner")(joined))
    words, numbers = keras.Input((2,), dtype="string"), keras.Input((3,))
    shared = layers.Dense(2)(numbers)
    outer = keras.Model([words, numbers], layers.Dense(1)(inner([words, shared])))
    outer.compile("sgd", "mse")
    x = [np.array([["u", "v"], ["v", "v"], ["w", "u"]]), np.ones((3, 3), "float32")]
    before = inner.get_layer("inner").get_weights()
    outer.fit(x, np.ones(3), verbose=0)
    assert not np.array_equal(before[0], inner.get_layer("inner").get_weights()[0])
    step = keras.Model(numbers, shared)(x[1]).numpy()
    wanted = outer.layers[-1](inner([x[0], step]).numpy()).numpy()
    np.testing.assert_allclose(outer.predict(x, verbose=0), wanted, rtol=1e-6)


def test_decoding() -> None:
    back = layers.StringLookup(vocabulary=["u", "v"], invert=True)
    inputs = keras.Input((1,), dtype="int64")
    model = keras.Model(inputs, back(inputs))
    assert model(np.array([[2], [0]])).tolist() == [["v"], ["[UNK]"]]
    with pytest.raises(RanvierError, match=r"RV113[\s\S]*model\(x\)"):
        model.predict(np.array([[1]]), verbose=0)


class Subclass(keras.Model):
    """Words looked up in a `call`, which is traced."""

    def __init__(self) -> None:
        super().__init__()
        self.words = vectorizer()

    def call(self, x: Any) -> Any:
        return self.words(x)


def test_what_is_refused() -> None:
    text = keras.Input((1,), dtype="string", name="text")
    numbers = keras.Input((3,))
    lookup = layers.IntegerLookup(vocabulary=[1, 2])
    with pytest.raises(RanvierError, match=r"RV113[\s\S]*TextVectorization"):
        layers.Dense(2)(text)
    with pytest.raises(RanvierError, match=r"RV113[\s\S]*'between'"):
        keras.Model(numbers, lookup(layers.ReLU(name="between")(numbers)))
    with pytest.raises(RanvierError, match="RV113"):
        Subclass()(np.ones((2, 1), "float32"))
    with pytest.raises(RanvierError, match="RV113"):
        back = layers.StringLookup(vocabulary=["u"], invert=True)
        index = keras.Input((1,), dtype="int64")
        keras.Model([index, numbers], [back(index), layers.Dense(1)(numbers)])
    with pytest.raises(RanvierError, match=r"RV203[\s\S]*first in a Sequential"):
        Subclass().predict(TEXTS, verbose=0)
    model, columns, targets = table()
    with pytest.raises(RanvierError, match=r"RV100[\s\S]*'area'"):
        model.predict({"color": columns["color"]}, verbose=0)
    with pytest.raises(RanvierError, match=r"RV203[\s\S]*'size'"):
        model.predict({**columns, "size": columns["color"]}, verbose=0)
    with pytest.raises(RanvierError, match=r"RV109[\s\S]*199"):
        model.fit(columns, targets[1:], verbose=0)
    with pytest.raises(RanvierError, match="RV203"):
        model.predict({**columns, "color": columns["size"][:, 0]}, verbose=0)
    color = model.get_layer("colors")
    color.adapt(np.array(["red", "green", "blue", "black"]))
    with pytest.raises(RanvierError, match=r"RV103[\s\S]*vocabulary has changed"):
        model.predict(columns, verbose=0)
    with pytest.raises(RanvierError, match=r"RV103[\s\S]*several tokens"):
        layers.StringLookup(vocabulary=["a"], output_mode="count")(
            keras.Input((), dtype="string")
        )
    with pytest.raises(RanvierError, match="RV106"):
        layers.StringLookup(output_mode="one_hot")(text)
