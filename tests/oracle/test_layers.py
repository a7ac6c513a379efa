"""Every layer against real Keras: weights, configuration, values, a step of training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from composed_cases import CHANCE
from layer_cases import CASES, FLAT, IDS, OTHERS, inputs
from layer_parts import layer_of, stack
from preprocessing_cases import BY_CHANCE

import ranvier


def test_every_layer_has_a_case() -> None:
    assert set(CASES) == set(ranvier.layers.__all__) - OTHERS


def twins(keras: Any, name: str, args: dict[str, Any], shape: Any) -> tuple[Any, Any]:
    """The same model in both libraries, with the same random weights."""
    theirs = stack(keras, name, args, shape)
    ours = stack(ranvier, name, args, shape)
    rng = np.random.default_rng(1)
    values = [rng.uniform(0.3, 1.2, w.shape) for w in theirs.weights]
    theirs.set_weights(values)
    ours.set_weights(values)
    return theirs, ours


def plain(value: Any) -> Any:
    """Configurations without what differs by design: names, registration."""
    if isinstance(value, dict):
        return {
            k: plain(v)
            for k, v in value.items()
            if k
            not in ("registered_name", "module", "shared_object_id", "build_config")
        }
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return round(float(value), 6) if isinstance(value, (int, float)) else value


@pytest.mark.parametrize(("name", "args", "shape"), FLAT, ids=IDS)
def test_weights_and_configuration(
    keras: Any, name: str, args: dict[str, Any], shape: Any
) -> None:
    theirs, ours = stack(keras, name, args, shape), stack(ranvier, name, args, shape)
    assert [(w.name, tuple(w.shape), w.trainable) for w in ours.weights] == [
        (w.name, tuple(w.shape), w.trainable) for w in theirs.weights
    ]
    assert ours.count_params() == theirs.count_params()
    assert ours.output_shape == theirs.output_shape
    mine, other = layer_of(ours).get_config(), layer_of(theirs).get_config()
    mine.pop("name"), other.pop("name")
    mine, other = plain(mine), plain(other)
    assert mine == other


@pytest.mark.parametrize(("name", "args", "shape"), FLAT, ids=IDS)
def test_values(keras: Any, name: str, args: dict[str, Any], shape: Any) -> None:
    theirs, ours = twins(keras, name, args, shape)
    x = inputs(name, shape, 9)
    for training in (False, True):
        if training and name in BY_CHANCE:
            continue
        if training and any(args.get(k) for k in CHANCE.get(name, ())):
            continue
        found = ours(x, training=training).numpy()
        wanted = np.asarray(theirs(x, training=training))
        assert found.dtype == wanted.dtype
        np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-6)
    np.testing.assert_allclose(
        ours.predict(x, batch_size=4, verbose=0),
        theirs.predict(x, batch_size=4, verbose=0),
        rtol=2e-5,
        atol=2e-6,
    )


@pytest.mark.parametrize(
    ("name", "args", "shape"), [c for c in FLAT if c[0] not in BY_CHANCE]
)
def test_a_step_of_sgd(keras: Any, name: str, args: dict[str, Any], shape: Any) -> None:
    args = {**args, **CHANCE.get(name, {})}  # what chance does is each library's own
    theirs, ours = twins(keras, name, args, shape)
    x = inputs(name, shape, 9)
    y = np.random.default_rng(5).normal(size=(9, *ours.output_shape[1:]))
    y = y.astype("float32")
    for library, model in ((keras, theirs), (ranvier, ours)):
        model.compile(optimizer=library.optimizers.SGD(0.1), loss="mse")
    wanted = theirs.train_on_batch(x, y)
    found = ours.train_on_batch(x, y)
    np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-6)
    for mine, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize("axis", [-1, None, (1, 2)])
def test_normalization_adapts(keras: Any, invert: bool, axis: Any) -> None:
    data = np.random.default_rng(0).normal(3, 5, (50, 4, 3)).astype("float32")
    theirs = keras.layers.Normalization(axis=axis, invert=invert)
    ours = ranvier.layers.Normalization(axis=axis, invert=invert)
    theirs.adapt(data)
    ours.adapt(data)
    np.testing.assert_allclose(
        ours(data).numpy(), np.asarray(theirs(data)), rtol=2e-5, atol=2e-5
    )
    for mine, other in zip(ours.weights, theirs.weights, strict=True):
        assert (mine.name, tuple(mine.shape)) == (other.name, tuple(other.shape))


def test_batch_normalization_follows_the_data_only_in_training(keras: Any) -> None:
    theirs, ours = twins(keras, "BatchNormalization", {"momentum": 0.6}, (4,))
    x = inputs("Dense", (4,), 20)
    for model in (theirs, ours):
        model.compile("sgd", "mse")
        model.fit(x, x, batch_size=8, epochs=2, shuffle=False, verbose=0)
    for mine, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, rtol=2e-5, atol=2e-6)
    before = ours.get_weights()
    ours.predict(x, verbose=0), ours.evaluate(x, x, verbose=0), ours(x)
    for mine, other in zip(ours.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, other)


def test_masked_softmax_and_batch_normalization(keras: Any) -> None:
    x = inputs("Dense", (3, 4), 5)
    mask = np.random.default_rng(2).random((5, 3, 4)) > 0.3
    mask[..., 0] = True
    np.testing.assert_allclose(
        ranvier.layers.Softmax()(x, mask=mask).numpy(),
        np.asarray(keras.layers.Softmax()(x, mask=mask)),
        rtol=2e-5,
        atol=2e-6,
    )
    rows = np.random.default_rng(3).random((5, 3)) > 0.3
    np.testing.assert_allclose(
        ranvier.layers.BatchNormalization()(x, training=True, mask=rows).numpy(),
        np.asarray(keras.layers.BatchNormalization()(x, training=True, mask=rows)),
        rtol=2e-5,
        atol=2e-5,
    )
