"""What `fit` and its kin are given, before anything is trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ranvier as keras
from ranvier.errors import RanvierError

X = np.random.default_rng(0).normal(size=(40, 6)).astype("float32")
Y = np.random.default_rng(1).integers(0, 3, 40)


def network(loss: Any = None) -> Any:
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])
    logits = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss or logits)
    return model


def refused(
    code: str, *words: str, method: str = "fit", model: Any = None, **given: Any
) -> None:
    """The call raises this code with these words and changes no weight."""
    model = model or network()
    before = model.get_weights()
    arguments: dict[str, Any] = {"x": X, "y": Y, "verbose": 0, **given}
    if method == "predict":
        arguments.pop("y")
    with pytest.raises(RanvierError) as caught:
        getattr(model, method)(**arguments)
    assert caught.value.code == code, caught.value
    for word in words:
        assert word in str(caught.value)
    for mine, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 2.5),
        ("epochs", "3"),
        ("epochs", -1),
        ("epochs", None),
        ("initial_epoch", "a"),
        ("initial_epoch", -1),
        ("batch_size", 0),
        ("batch_size", 2.5),
        ("batch_size", True),
        ("steps_per_epoch", 0),
        ("steps_per_epoch", -1),
        ("steps_per_epoch", "a"),
        ("validation_steps", 0),
        ("validation_batch_size", 0),
        ("verbose", "loud"),
        ("verbose", None),
        ("validation_freq", 0),
        ("validation_freq", "a"),
        ("validation_freq", [0, 1]),
        ("validation_data", X),
        ("callbacks", "EarlyStopping"),
        ("callbacks", keras.callbacks.EarlyStopping),
        ("callbacks", [3]),
    ],
)
def test_fit_refuses(name: str, value: Any) -> None:
    refused("RV100", **{"validation_data": (X, Y), name: value})


@pytest.mark.parametrize("method", ["evaluate", "predict"])
@pytest.mark.parametrize("value", [0, "a", 1.5])
def test_steps_and_sizes_are_counts(method: str, value: Any) -> None:
    refused("RV100", "steps", method=method, steps=value)
    refused("RV100", "batch_size", method=method, batch_size=value)


def test_usual_numbers_of_any_integer_type_are_taken() -> None:
    history = network().fit(
        X,
        Y,
        epochs=np.int64(3),
        batch_size=np.int32(7),
        initial_epoch=np.int64(1),
        validation_data=(X, Y),
        validation_freq=np.int64(2),
        verbose=0,
    )
    assert history.epoch == [1, 2]
    assert network().fit(X, Y, epochs=0, verbose=0).history == {}


@pytest.mark.parametrize(
    ("validation", "code"),
    [((X[:, :3], Y), "RV103"), ((X, np.eye(3)[Y]), "RV101"), ((X,), "RV106")],
)
@pytest.mark.parametrize("built", [True, False])
def test_validation_data_that_do_not_fit_are_told_before_training(
    validation: Any, code: str, built: bool
) -> None:
    layers = [keras.layers.Dense(3)]
    model = keras.Sequential([keras.Input((6,)), *layers] if built else layers)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    seen: list[int] = []
    told = keras.callbacks.LambdaCallback(on_epoch_begin=lambda e, logs: seen.append(e))
    with pytest.raises(RanvierError) as caught:
        model.fit(X, Y, validation_data=validation, callbacks=[told], verbose=0)
    assert caught.value.code == code
    assert not seen
    assert model.layers[0].kernel.shape == (6, 3)


def test_what_is_no_data() -> None:
    refused("RV207", "x is None", x=None)
    refused("RV203", "'data.csv'", "np.loadtxt", x="data.csv")
    with pytest.raises(RanvierError, match="RV203"):
        network()("abc")


def test_a_loss_that_forgets_to_return() -> None:
    def forgetful(y: Any, p: Any) -> Any:
        keras.ops.mean(p)

    refused("RV106", "'forgetful' returned None", model=network(forgetful))


@pytest.mark.parametrize(
    ("module", "name", "near"),
    [
        ("layers", "Dens", "'Dense'"),
        ("optimizers", "Adm", "'Adam'"),
        ("ops", "softmx", "'softmax'"),
        ("utils", "to_categorial", "'to_categorical'"),
        ("callbacks", "EarlyStoping", "'EarlyStopping'"),
    ],
)
def test_a_part_that_is_not_there_names_the_nearest(
    module: str, name: str, near: str
) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(getattr(keras, module), name)
    assert isinstance(caught.value, RanvierError)
    assert caught.value.code == "RV806"
    assert caught.value.fix == near
    assert not hasattr(getattr(keras, module), name)


def test_training_without_an_optimizer() -> None:
    model = network()
    model.compile(None, "mse")
    refused("RV106", "without an optimizer", model=model, y=np.ones((40, 3)))
    assert model.evaluate(X, np.ones((40, 3)), verbose=0) > 0


def test_tensors_of_others_that_must_be_detached_first() -> None:
    class Tracked:
        """As PyTorch's tensors with gradients: no array before `detach`."""

        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            raise RuntimeError("use detach()")

        def detach(self) -> Any:
            return self

        def cpu(self) -> Any:
            return X

    model = network()
    wanted = model.predict(X, verbose=0)
    np.testing.assert_array_equal(model.predict(Tracked(), verbose=0), wanted)
    np.testing.assert_allclose(model(Tracked()).numpy(), wanted, rtol=1e-6)


@pytest.mark.parametrize(
    ("labels", "fix"),
    [
        ([0, 5], "num_classes=6"),
        ([1, 3], "num_classes=4, or subtract 1"),
        ([-1, 2], "labels from 0 on"),
    ],
)
def test_to_categorical_says_what_would_fit(labels: list[int], fix: str) -> None:
    with pytest.raises(RanvierError) as caught:
        keras.utils.to_categorical(labels, num_classes=3)
    assert caught.value.fix == fix
