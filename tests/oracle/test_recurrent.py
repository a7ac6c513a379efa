"""Recurrent layers against real Keras: masks, states, dropout, wrappers, files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from layer_parts import Part, made

import ranvier
from ranvier.graph import tree

ROWS, TIME, WIDTH = 4, 6, 3
RNG = np.random.default_rng

LAYERS: dict[str, tuple[str, dict[str, Any]]] = {
    "simple": ("SimpleRNN", {"units": 5}),
    "lstm": ("LSTM", {"units": 5}),
    "gru": ("GRU", {"units": 5}),
    "gru-before": ("GRU", {"units": 5, "reset_after": False}),
    "stack": (
        "RNN",
        {"cell": [Part("LSTMCell", {"units": 4}), Part("GRUCell", {"units": 5})]},
    ),
}


def data(seed: int = 0) -> Any:
    return RNG(seed).normal(size=(ROWS, TIME, WIDTH)).astype("float32")


def mask(seed: int = 0) -> Any:
    """Holes anywhere, one row left out whole, one from its start on."""
    found = RNG(seed).random((ROWS, TIME)) > 0.4
    found[1] = False
    found[2, 0] = False
    return found


def twins(keras: Any, name: str, args: dict[str, Any]) -> tuple[Any, Any]:
    """The same layer in both libraries, with the same random weights."""
    theirs, ours = made(keras, name, args), made(ranvier, name, args)
    for layer in (theirs, ours):
        layer.build((None, TIME, WIDTH))
    values = [RNG(1).uniform(-0.6, 0.6, w.shape) for w in theirs.weights]
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights]
    theirs.set_weights(values)
    ours.set_weights(values)
    return theirs, ours


def same(ours: Any, theirs: Any) -> None:
    mine, other = tree.flatten(ours), tree.flatten(theirs)
    assert len(mine) == len(other)
    for a, b in zip(mine, other, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("state", [False, True])
@pytest.mark.parametrize("kind", LAYERS)
def test_what_is_returned(
    keras: Any, kind: str, state: bool, sequences: bool, backwards: bool
) -> None:
    name, args = LAYERS[kind]
    args = {
        **args,
        "return_state": state,
        "return_sequences": sequences,
        "go_backwards": backwards,
    }
    theirs, ours = twins(keras, name, args)
    same(ours(data()), theirs(data()))
    for zero in (False, True):
        theirs.zero_output_for_mask = ours.zero_output_for_mask = zero
        ours._eager.clear()
        same(ours(data(), mask=mask()), theirs(data(), mask=mask()))


@pytest.mark.parametrize("kind", LAYERS)
def test_an_initial_state(keras: Any, kind: str) -> None:
    name, args = LAYERS[kind]
    args = {**args, "return_state": True, "return_sequences": True}
    theirs, ours = twins(keras, name, args)
    zeros = ours.get_initial_state(ROWS)
    start = tree.map_leaves(
        lambda z: RNG(3).normal(size=z.shape).astype("float32"), zeros
    )
    same(ours(data(), initial_state=start), theirs(data(), initial_state=start))
    same(
        ours(data(), initial_state=start, mask=mask()),
        theirs(data(), initial_state=start, mask=mask()),
    )


@pytest.mark.parametrize("kind", LAYERS)
def test_a_stateful_layer(keras: Any, kind: str) -> None:
    name, args = LAYERS[kind]
    args = {**args, "stateful": True, "return_sequences": True}
    theirs, ours = made(keras, name, args), made(ranvier, name, args)
    for layer in (theirs, ours):
        layer.build((ROWS, TIME, WIDTH))
    values = [RNG(1).uniform(-0.6, 0.6, w.shape) for w in theirs.weights]
    theirs.set_weights(values)
    ours.set_weights(values)
    for seed in range(3):
        same(ours(data(seed)), theirs(data(seed)))
        same(ours.states, theirs.states)
    for state in tree.flatten(theirs.states):  # Keras's own fails for stacked cells
        state.assign(np.zeros(state.shape))
    ours.reset_state()
    same(ours(data(), mask=mask()), theirs(data(), mask=mask()))


def test_a_stateful_model_trains_as_in_keras(keras: Any) -> None:
    """Over batches the state goes on; gradients end at the batch."""
    found = []
    x = RNG(0).normal(size=(3 * ROWS, TIME, WIDTH)).astype("float32")
    y = RNG(1).normal(size=(3 * ROWS, 5)).astype("float32")
    values: Any = None
    for library in (keras, ranvier):
        layer = library.layers.GRU(5, stateful=True)
        model = library.Sequential(
            [library.Input(batch_shape=(ROWS, TIME, WIDTH)), layer]
        )
        if values is None:
            values = [RNG(1).uniform(-0.6, 0.6, w.shape) for w in model.weights]
        model.set_weights(values)
        losses = []
        if library is ranvier:
            model.compile(library.optimizers.SGD(0.3), "mse")
            for i in range(3):
                part = slice(i * ROWS, (i + 1) * ROWS)
                losses.append(float(model.train_on_batch(x[part], y[part])))
        else:
            losses = _by_hand(model, layer, x, y, values)
        found.append([*losses, *layer.states[0:1], *model.get_weights()])
    same(found[1], found[0])


def _by_hand(model: Any, layer: Any, x: Any, y: Any, values: Any) -> list[float]:
    """The same steps of SGD on JAX (Keras's own loop drops the state there)."""
    import jax

    losses = []
    weights = [np.asarray(v, "float32") for v in values]
    state = np.zeros((ROWS, 5), "float32")
    for i in range(3):
        part = slice(i * ROWS, (i + 1) * ROWS)

        def loss(w: Any, state: Any, part: slice = part) -> Any:
            from keras import StatelessScope

            pairs = [*zip(model.weights, w, strict=True), (layer.states[0], state)]
            with StatelessScope(state_mapping=pairs) as scope:
                out = layer(x[part])
            new = scope.get_current_value(layer.states[0])
            return ((out - y[part]) ** 2).mean(), new

        (value, state), grads = jax.value_and_grad(loss, has_aux=True)(weights, state)
        weights = [w - 0.3 * g for w, g in zip(weights, grads, strict=True)]
        losses.append(float(value))
    model.set_weights(weights)
    layer.states[0].assign(state)
    return losses


@pytest.mark.parametrize("recurrent", [0.0, 0.4])
@pytest.mark.parametrize("kind", ["simple", "lstm", "gru", "gru-before"])
@pytest.mark.parametrize("implementation", [1, 2])
def test_dropout_with_masks_that_are_given(
    keras: Any,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    recurrent: float,
    implementation: int,
) -> None:
    """Random numbers are each library's own: both are given the same ones."""
    name, args = LAYERS[kind]
    args = {**args, "dropout": 0.3, "recurrent_dropout": recurrent, "seed": 1}
    if kind != "simple":
        args["implementation"] = implementation
        args["use_cudnn"] = False  # Keras's other way fails for a mask of each gate
    args["return_sequences"] = True
    theirs, ours = twins(keras, name, args)
    drawn: dict[Any, Any] = {}

    def drop(shape: Any, rate: float, at: int) -> Any:
        key = tuple(map(int, shape)), rate, at
        if key not in drawn:
            kept = RNG(len(drawn)).random(key[0]) >= rate
            drawn[key] = (kept / (1 - rate)).astype("float32")
        return drawn[key]

    def mine(rate: float, batch: Any, width: Any) -> Any:
        cell = ours.cell
        count = cell.gates if cell.implementation == 1 else 1
        shape = (1, width)  # the rows of a batch are a symbol here
        return [drop(shape, rate, i) for i in range(count)] if rate else None

    def other(step_input: Any, dropout_rate: float) -> Any:
        count = getattr(theirs.cell, "dropout_mask_count", None)
        shape = (1, step_input.shape[-1])
        found = [drop(shape, dropout_rate, i) for i in range(count or 1)]
        return found if count else found[0]

    monkeypatch.setattr(ours.cell, "_mask", mine)
    monkeypatch.setattr(theirs.cell, "_create_dropout_mask", other)
    same(ours(data(), training=True), theirs(data(), training=True))
    same(ours(data()), theirs(data()))


MERGES = ["concat", "sum", "mul", "ave", None]


@pytest.mark.parametrize("merge", MERGES, ids=str)
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("state", [False, True])
def test_both_directions(keras: Any, merge: Any, sequences: bool, state: bool) -> None:
    inner = Part(
        "LSTM", {"units": 4, "return_sequences": sequences, "return_state": state}
    )
    theirs, ours = twins(keras, "Bidirectional", {"layer": inner, "merge_mode": merge})
    same(ours(data()), theirs(data()))
    same(ours(data(), mask=mask()), theirs(data(), mask=mask()))
    start = [RNG(i).normal(size=(ROWS, 4)).astype("float32") for i in range(4)]
    same(ours(data(), initial_state=start), theirs(data(), initial_state=start))


def test_both_directions_keep_their_states(keras: Any) -> None:
    inner = Part("GRU", {"units": 4, "stateful": True, "return_sequences": True})
    theirs = made(keras, "Bidirectional", {"layer": inner})
    ours = made(ranvier, "Bidirectional", {"layer": inner})
    for layer in (theirs, ours):
        layer.build((ROWS, TIME, WIDTH))
    values = [RNG(1).uniform(-0.6, 0.6, w.shape) for w in theirs.weights]
    theirs.set_weights(values)
    ours.set_weights(values)
    for seed in range(2):
        same(ours(data(seed)), theirs(data(seed)))
    assert len(ours.states) == len(theirs.states) == 2
    theirs.reset_state()
    ours.reset_state()
    same(ours(data(7)), theirs(data(7)))


def _masked(library: Any, name: str, args: dict[str, Any]) -> Any:
    return library.Sequential(
        [
            library.Input((TIME,), dtype="int32"),
            library.layers.Embedding(9, WIDTH, mask_zero=True),
            made(library, name, {**args, "return_sequences": True}),
            made(library, name, args),
            library.layers.Dense(2),
        ]
    )


@pytest.mark.parametrize("kind", ["lstm", "gru", "simple"])
def test_masked_models_train_alike(keras: Any, kind: str) -> None:
    """The mask of an embedding goes through one recurrent layer into the next."""
    name, args = LAYERS[kind]
    theirs, ours = _masked(keras, name, args), _masked(ranvier, name, args)
    values = [RNG(1).uniform(-0.6, 0.6, w.shape) for w in theirs.weights]
    words = RNG(2).integers(0, 9, (ROWS, TIME)).astype("int32")
    words[:, 3:] = 0
    words[0, 1] = 0
    y = RNG(3).normal(size=(ROWS, 2)).astype("float32")
    losses = []
    for library, model in ((keras, theirs), (ranvier, ours)):
        model.set_weights(values)
        model.compile(library.optimizers.SGD(0.2), "mse")
        losses.append([float(model.train_on_batch(words, y)) for _ in range(3)])
    same(losses[1], losses[0])
    same(ours.get_weights(), theirs.get_weights())


FILED: list[tuple[str, dict[str, Any]]] = [
    ("LSTM", {"units": 3, "dropout": 0.2, "seed": 4, "return_sequences": True}),
    ("GRU", {"units": 3, "recurrent_dropout": 0.2}),
    ("SimpleRNN", {"units": 3}),
    ("Bidirectional", {"layer": Part("GRU", {"units": 3, "dropout": 0.1})}),
    LAYERS["stack"],
]


@pytest.mark.parametrize(("name", "args"), FILED, ids=[n for n, _ in FILED])
def test_files_go_both_ways(
    keras: Any, tmp_path: Path, name: str, args: dict[str, Any]
) -> None:
    for source, target in ((keras, ranvier), (ranvier, keras)):
        model = source.Sequential(
            [source.Input((TIME, WIDTH)), made(source, name, args)]
        )
        path = tmp_path / f"{name}.keras"
        model.save(path)
        load = getattr(target, "saving", target.models)
        again = load.load_model(path)
        same(again.get_weights(), model.get_weights())
        same(again.predict(data(), verbose=0), model.predict(data(), verbose=0))
