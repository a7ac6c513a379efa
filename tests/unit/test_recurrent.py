"""Recurrent layers: what they refuse, state between batches, cells of one's own."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import ranvier as keras
from ranvier import layers, ops
from ranvier.errors import ShapeError
from ranvier.graph import Variable

RNG = np.random.default_rng


def data(rows: int = 4, time: int = 6, width: int = 3, seed: int = 0) -> Any:
    return RNG(seed).normal(size=(rows, time, width)).astype("float32")


class Leaky(layers.Layer):
    """A cell of a user's own."""

    state_size = 5

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.traced = 0

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight((input_shape[-1], 5), name="kernel")

    def call(self, inputs: Any, states: Any) -> Any:
        self.traced += 1
        h = states[0] * 0.9 + ops.matmul(inputs, self.kernel)
        return ops.tanh(h), [h]


# ------------------------------------------------------------------------ bad arguments


@pytest.mark.parametrize("cls", ["SimpleRNN", "LSTM", "GRU"])
@pytest.mark.parametrize("cell", [False, True], ids=["layer", "cell"])
@pytest.mark.parametrize(
    "bad",
    [
        {"units": 0},
        {"units": 2.5},
        {"units": 3, "dropout": 1.5},
        {"units": 3, "recurrent_dropout": -0.1},
        {"units": 3, "no_such_argument": 1},
        {"units": 3, "activation": "no_such_function"},
    ],
    ids=str,
)
def test_arguments_are_refused(cls: str, cell: bool, bad: dict[str, Any]) -> None:
    with pytest.raises(keras.RanvierError, match="RV"):
        getattr(layers, cls + ("Cell" if cell else ""))(**bad)


@pytest.mark.parametrize("cls", ["LSTM", "GRU"])
def test_use_cudnn_and_implementation_are_checked(cls: str) -> None:
    for bad in ({"use_cudnn": "yes"}, {"implementation": 3}):
        with pytest.raises(ShapeError, match="RV100"):
            getattr(layers, cls)(3, **bad)


def test_what_is_no_cell_is_refused() -> None:
    for bad in (layers.Dense(3), "lstm", [], [layers.LSTMCell(2), layers.Dense(1)]):
        with pytest.raises(ShapeError, match="RV100"):
            layers.RNN(bad)
    with pytest.raises(ShapeError, match="RV100"):
        layers.StackedRNNCells([])


def test_inputs_without_time_are_refused() -> None:
    with pytest.raises(ShapeError, match="RV103"):
        layers.LSTM(3)(np.ones((2, 3), "float32"))


def test_bidirectional_refuses() -> None:
    forwards, backwards = layers.LSTM(2), layers.LSTM(2, go_backwards=True)
    with pytest.raises(ShapeError, match="RV100"):
        layers.Bidirectional(layers.Dense(2))
    with pytest.raises(ShapeError, match="same direction"):
        layers.Bidirectional(forwards, backward_layer=layers.LSTM(2))
    with pytest.raises(ShapeError, match="return_sequences"):
        layers.Bidirectional(
            layers.LSTM(2, return_sequences=True), backward_layer=backwards
        )
    with pytest.raises(ShapeError, match="merge_mode"):
        layers.Bidirectional(forwards, merge_mode="median")
    with pytest.raises(ShapeError, match="keeps no states"):
        layers.Bidirectional(forwards).reset_state()


# ----------------------------------------------------------------------------- cells


@pytest.mark.parametrize("sequences", [False, True])
def test_a_cell_of_ones_own(sequences: bool) -> None:
    """Its output is no state: the last one is found all the same."""
    layer = layers.RNN(Leaky(), return_sequences=sequences, return_state=True)
    x = data()
    found, state = layer(x)
    h, outputs = np.zeros((4, 5), "float32"), []
    for t in range(6):
        h = h * 0.9 + x[:, t] @ layer.cell.kernel.numpy()
        outputs.append(np.tanh(h))
    want = np.stack(outputs, 1) if sequences else outputs[-1]
    np.testing.assert_allclose(found.numpy(), want, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(state.numpy(), h, rtol=1e-5, atol=1e-6)


def test_other_lengths_are_not_traced_again() -> None:
    cell = Leaky()
    model = keras.Sequential(
        [keras.Input((None, 3)), layers.RNN(cell), layers.Dense(1)]
    )
    model.compile("sgd", "mse")

    def batches() -> Any:
        for i in range(12):
            x = data(time=2 + i % 5, seed=i)
            yield x, x[:, -1, :1]

    model.fit(batches(), epochs=1, verbose=0)
    traced = cell.traced
    model.fit(batches(), epochs=1, verbose=0)
    assert cell.traced == traced


def test_a_layer_called_on_arrays_serves_any_number_of_rows() -> None:
    layer = layers.GRU(3)
    whole = layer(data(7)).numpy()
    np.testing.assert_allclose(layer(data(7)[:2]).numpy(), whole[:2], rtol=1e-5)


# ----------------------------------------------------------------------------- state


def stateful(cls: Any = layers.GRU) -> Any:
    model = keras.Sequential(
        [keras.Input(batch_shape=(4, 6, 3)), cls(5, stateful=True), layers.Dense(1)]
    )
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


@pytest.mark.parametrize("cls", [layers.SimpleRNN, layers.LSTM, layers.GRU])
def test_state_goes_on_from_batch_to_batch(cls: Any) -> None:
    """Two batches of six steps are one of twelve; `reset_state` starts again."""
    model = stateful(cls)
    layer = model.layers[0]
    whole = layers.deserialize(layers.serialize(layer))
    x = data(4, 12)
    once = cls(5)
    once.build((None, 12, 3))
    once.set_weights(layer.get_weights())
    want = model.layers[1](once(x)).numpy()
    model.predict(x[:, :6], batch_size=4, verbose=0)
    got = model.predict(x[:, 6:], batch_size=4, verbose=0)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    assert whole.stateful
    layer.reset_state()
    assert all((s.numpy() == 0).all() for s in layer.states)
    assert all(isinstance(s, Variable) and s.kind == "carry" for s in layer.states)
    assert not set(layer.states) & set(model.weights), "Keras's files have none"


def test_training_moves_the_state_on_the_same_on_both_engines() -> None:
    found = []
    x, y = data(12), RNG(1).normal(size=(12, 1)).astype("float32")
    weights: Any = None
    for engine in ("reference", "native"):
        model = stateful(layers.LSTM)
        if weights is None:
            weights = model.get_weights()
        model.set_weights(weights)
        model.compile(keras.optimizers.SGD(0.1), "mse", engine=engine)
        losses = model.fit(
            x, y, batch_size=4, epochs=2, shuffle=False, verbose=0
        ).history["loss"]
        states = [s.numpy() for s in model.layers[0].states]
        found.append([losses, *states, *model.get_weights()])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


def test_another_number_of_rows_is_refused() -> None:
    model = stateful()
    with pytest.raises(keras.RanvierError):
        model.predict(data(3), verbose=0)
    with pytest.raises(ShapeError, match="RV103"):
        model.layers[0](data(3))
    with pytest.raises(ShapeError, match="RV106"):
        keras.Sequential([keras.Input((6, 3)), layers.GRU(5, stateful=True)])


def test_copies_have_states_of_their_own() -> None:
    model = stateful()
    model.predict(data(4), verbose=0)
    layer = model.layers[0]
    for again in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        before = layer.states[0].numpy()
        np.testing.assert_array_equal(again.states[0].numpy(), before)
        again.reset_state()
        np.testing.assert_array_equal(layer.states[0].numpy(), before)


# ----------------------------------------------------------------------------- dropout


def test_dropout_is_the_same_in_all_steps_and_new_in_every_batch() -> None:
    """A cell that adds up what it is given shows which inputs were dropped."""

    layer = layers.SimpleRNN(
        3,
        activation="linear",
        use_bias=False,
        kernel_initializer="identity",
        recurrent_initializer="zeros",
        return_sequences=True,
        dropout=0.5,
        seed=3,
    )
    x = np.ones((8, 6, 3), "float32")
    first, second = layer(x, training=True).numpy(), layer(x, training=True).numpy()
    assert set(np.unique(first)) == {0.0, 2.0}
    assert (first == first[:, :1]).all(), "one mask for all steps"
    assert (first != second).any(), "another one for another batch"
    np.testing.assert_array_equal(layer(x).numpy(), x)
