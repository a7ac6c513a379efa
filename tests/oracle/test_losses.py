"""Every loss against real Keras: values, weights, masks, gradients, configurations."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from ranvier import losses as ours
from ranvier import ops
from ranvier.errors import ShapeError
from ranvier.graph.passes.grad import gradients
from ranvier.losses.base import REDUCTIONS, reduce_weighted

BASES = {"Loss", "LossFunctionWrapper"}
HELPERS = {"get", "serialize", "deserialize", "resolve"}
CLASSES = sorted(n for n in ours.__all__ if n[0].isupper() and n not in BASES)
FUNCTIONS = sorted(n for n in ours.__all__ if n[0].islower() and n not in HELPERS)

ARGUMENTS: dict[str, list[dict[str, Any]]] = {
    "Huber": [{}, {"delta": 0.4}],
    "CosineSimilarity": [{}, {"axis": 0}],
    "BinaryCrossentropy": [
        {},
        {"from_logits": True},
        {"label_smoothing": 0.2},
        {"from_logits": True, "label_smoothing": 0.1, "axis": 0},
    ],
    "BinaryFocalCrossentropy": [
        {},
        {"from_logits": True, "gamma": 1.5},
        {"apply_class_balancing": True, "alpha": 0.4, "label_smoothing": 0.1},
    ],
    "CategoricalCrossentropy": [
        {},
        {"from_logits": True},
        {"label_smoothing": 0.2},
    ],
    "CategoricalFocalCrossentropy": [
        {},
        {"from_logits": True, "gamma": 3.0},
        {"label_smoothing": 0.1, "alpha": 0.5},
    ],
    "SparseCategoricalCrossentropy": [
        {},
        {"from_logits": True},
        {"ignore_class": 1},
        {"from_logits": True, "ignore_class": -1},
    ],
    "CategoricalGeneralizedCrossEntropy": [{}, {"q": 0.8}],
    "Dice": [{}, {"axis": 1}],
    "Tversky": [{}, {"alpha": 0.3, "beta": 0.8, "axis": (1,)}],
    "Circle": [{}, {"gamma": 8.0, "margin": 0.2}, {"remove_diagonal": False}],
}
CASES = [(n, a) for n in CLASSES for a in ARGUMENTS.get(n, [{}])]
LABELS = {
    "SparseCategoricalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "Circle",
    "CTC",
}
PROBABILITIES = {
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "Dice",
    "Tversky",
}
ONE_HOT = {
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalHinge",
    "KLDivergence",
}


def camel(function: str) -> str:
    """The class whose data suit a function."""
    known = {n.lower(): n for n in CLASSES}
    return known.get(function.replace("_", ""), function)


def data(name: str, arguments: dict[str, Any], rows: int = 7, seed: int = 0):
    """Targets and predictions that the loss is meant for."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(rows, 5)).astype("float32")
    logits = arguments.get("from_logits", False)
    if name == "Circle":
        unit = scores / np.linalg.norm(scores, axis=1, keepdims=True)
        return rng.integers(0, 3, rows).astype("int32"), unit
    if name == "CTC":
        # Short rows are filled up with 0; equal neighbours need a blank between.
        y_true = rng.integers(1, 4, (rows, 3)).astype("int32")
        y_true[1::3, 1:], y_true[2::3] = 0, 2
        return y_true, rng.normal(size=(rows, 8, 4)).astype("float32")
    soft = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    labels = rng.integers(0, 5, rows).astype("int32")
    if name in LABELS:
        if arguments.get("ignore_class") == -1:
            labels[::3] = -1
        return labels, scores if logits else soft
    if name in ONE_HOT:
        return np.eye(5, dtype="float32")[labels], scores if logits else soft
    if name in PROBABILITIES:
        y_true = rng.integers(0, 2, (rows, 5)).astype("float32")
        return y_true, scores if logits else 1 / (1 + np.exp(-scores))
    if "Hinge" in name:
        return rng.integers(0, 2, (rows, 5)).astype("float32"), scores
    if name in ("Poisson", "MeanSquaredLogarithmicError"):
        return rng.poisson(2.0, (rows, 5)).astype("float32"), np.exp(scores)
    return rng.normal(size=(rows, 5)).astype("float32"), scores


def close(found: Any, wanted: Any, rtol: float = 2e-6, atol: float = 1e-6) -> None:
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.shape == wanted.shape
    assert found.dtype == wanted.dtype
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=atol)


def weights_for(losses: np.ndarray, seed: int = 9) -> list[Any]:
    rng = np.random.default_rng(seed)
    shape = np.shape(losses)
    if not shape:
        return [None]
    some = rng.uniform(0, 2, shape[0]).astype("float32")
    some[0] = 0
    return [None, some, some[:, None]]


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=str)
def test_values_weights_and_reductions(keras, name, arguments):
    y_true, y_pred = data(name, arguments)
    for reduction in (*REDUCTIONS, None):
        own = getattr(ours, name)(**arguments, reduction=reduction)
        real = getattr(keras.losses, name)(**arguments, reduction=reduction)
        each = getattr(ours, name)(**arguments, reduction=None)(y_true, y_pred)
        for weights in weights_for(each):
            close(own(y_true, y_pred, weights), real(y_true, y_pred, weights))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(keras, name):
    module = getattr(keras.losses, name, None) or getattr(
        __import__("keras.src.losses.losses", fromlist=[name]), name
    )
    extra = {"q": 0.5} if "generalized" in name else {}
    y_true, y_pred = data(camel(name), {})
    close(getattr(ours, name)(y_true, y_pred, **extra), module(y_true, y_pred, **extra))


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=str)
def test_gradients_and_uneven_batches_in_a_trace(keras, traced, name, arguments):
    import jax

    own = getattr(ours, name)(**arguments)
    real = getattr(keras.losses, name)(**arguments)
    y_true, y_pred = data(name, arguments)

    def fn(y_true, y_pred, weights):
        loss = own(y_true, y_pred, weights if weighted else None)
        total = ops.sum(loss)
        return {"loss": loss, "g": gradients(total, [y_pred])[0]}

    each = getattr(ours, name)(**arguments, reduction=None)(y_true, y_pred)
    # Losses summed over the batch axis have one number per column: no weight per row.
    weighted = np.shape(each)[:1] == (7,)
    step = traced(
        fn,
        {"y_true": y_true, "y_pred": y_pred, "weights": np.ones(7, "float32")},
    )
    for rows, seed in ((7, 0), (3, 1), (1, 2)):
        y_true, y_pred = data(name, arguments, rows, seed)
        weights = np.random.default_rng(seed).uniform(0, 2, rows).astype("float32")
        given = weights if weighted else None
        found = step.run(y_true=y_true, y_pred=y_pred, weights=weights)
        close(found["loss"], real(y_true, y_pred, given))

        def total(y_pred, y_true=y_true, given=given):
            return real(y_true, y_pred, given).sum()

        wanted = np.asarray(jax.grad(total)(y_pred))
        if name == "Circle":
            # JAX's logsumexp over no pair at all gives NaN; ours gives 0.
            wanted = np.nan_to_num(wanted)
        np.testing.assert_allclose(found["g"], wanted, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("reduction", [*REDUCTIONS, None])
@pytest.mark.parametrize("shape", [(6,), (6, 4)], ids=str)
def test_masks(keras, reduction, shape):
    from keras.src.losses.loss import reduce_weighted_values

    rng = np.random.default_rng(3)
    values = rng.normal(size=shape).astype("float32")
    for mask in (
        rng.integers(0, 2, shape).astype(bool),
        np.zeros(shape, bool),
        np.ones(shape, bool),
        None,
    ):
        options: list[Any] = [None, rng.uniform(0, 2, shape).astype("float32")]
        if len(shape) == 2:
            options.append(rng.uniform(0, 2, (6, 1)).astype("float32"))
        for weights in options:
            if weights is not None and mask is not None and weights.shape != shape:
                continue
            close(
                reduce_weighted(values, weights, mask, reduction, "float32"),
                reduce_weighted_values(values, weights, mask, reduction, "float32"),
            )


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=str)
def test_configurations_are_those_of_keras(keras, name, arguments):
    own, real = (getattr(m, name)(**arguments) for m in (ours, keras.losses))
    wanted = real.get_config()
    config = own.get_config()
    # Ours may hold an argument that Keras's configuration loses (Huber's delta).
    assert {k: v for k, v in config.items() if k in wanted} == wanted
    assert {k: arguments[k] for k in config if k not in wanted} == {
        k: config[k] for k in config if k not in wanted
    }
    again = type(own).from_config(config)
    assert again.get_config() == config
    assert ours.deserialize(ours.serialize(own)).get_config() == config
    restored = ours.deserialize(keras.losses.serialize(real))
    assert type(restored) is type(own)
    if not set(config) - set(wanted):
        assert ours.serialize(own)["config"] == keras.losses.serialize(real)["config"]
    if name != "CategoricalGeneralizedCrossEntropy":
        # Keras 3.15 exports that one but leaves it out of its own table of names.
        taken = keras.losses.deserialize(ours.serialize(own))
        assert type(taken) is type(real)


@pytest.mark.parametrize("name", CLASSES)
def test_defaults_are_those_of_keras(keras, name):
    def defaults(cls: type) -> dict[str, Any]:
        parameters = inspect.signature(cls.__init__).parameters.items()
        return {k: p.default for k, p in parameters}

    assert defaults(getattr(ours, name)) == defaults(getattr(keras.losses, name))


def test_nothing_is_missing(keras):
    public = {n for n in dir(keras.losses) if not n.startswith("_")}
    assert public <= set(ours.__all__)


def test_aliases(keras):
    from keras.src.losses import ALL_OBJECTS_DICT

    for name in ALL_OBJECTS_DICT:
        if name not in BASES:
            found = ours.get(name)
            wanted = keras.losses.get(name)
            assert getattr(found, "__name__", type(found).__name__) == getattr(
                wanted, "__name__", type(wanted).__name__
            )


@pytest.mark.parametrize("name", CLASSES)
def test_rows_align_with_columns(keras, name):
    """Targets (n,) meet predictions (n, 1), and the other way round."""
    if name in LABELS | ONE_HOT:
        return
    y_true, y_pred = data(name, {})
    y_true, y_pred = y_true[:, 0], y_pred[:, :1]
    own, real = getattr(ours, name)(), getattr(keras.losses, name)()
    close(own(y_true, y_pred), real(y_true, y_pred))
    close(own(y_true[:, None], y_pred[:, 0]), real(y_true[:, None], y_pred[:, 0]))
    if name not in ("Dice", "Tversky", "CosineSimilarity"):
        weights = np.linspace(0, 1, 7).astype("float32")
        close(own(y_true, y_pred, weights), real(y_true, y_pred, weights))


@pytest.mark.parametrize("name", CLASSES)
def test_other_mismatches_are_refused(name):
    y_true, y_pred = data(name, {})
    own = getattr(ours, name)()
    wrong = [y_true[:3]]
    if name in LABELS - {"Circle", "CTC"}:
        wrong += [np.eye(5, dtype="int32")[y_true]]
    elif name == "CTC":
        wrong = [y_true[:3], y_true[:, 0]]
    elif name not in LABELS:
        wrong += [y_true[:, :3], y_true[:, 0], y_true[:, :1]]
    for target in wrong:
        with pytest.raises(ShapeError) as caught:
            own(target, y_pred)
        assert caught.value.code in ("RV101", "RV108")
    if name not in ("Dice", "Tversky"):
        for weights in (np.ones(3), np.ones((7, 4)), np.ones((1, 7))):
            with pytest.raises(ShapeError) as caught:
                own(y_true, y_pred, weights)
            assert caught.value.code == "RV101"


def test_whole_number_labels_keep_their_type(traced):
    """So that the engine can check their range before a step writes anything."""
    loss = ours.SparseCategoricalCrossentropy(from_logits=True)
    example = {"y": np.zeros(4, "int64"), "p": np.zeros((4, 3), "float32")}
    graph = traced(lambda y, p: {"loss": loss(y, p)}, example).graph
    names = [node.op.name for node in graph.nodes()]
    assert "check_range" in names
    assert "cast" not in names


def test_a_loss_of_ones_own(keras, traced):
    class Cubed(ours.Loss):
        def call(self, y_true, y_pred):
            return ops.mean(ops.abs(y_true - y_pred) ** 3, axis=-1)

    rng = np.random.default_rng(0)
    y_true, y_pred = rng.normal(size=(2, 8, 1)).astype("float32")
    wanted = np.mean(np.abs(y_true - y_pred) ** 3)
    np.testing.assert_allclose(Cubed()(y_true, y_pred), wanted, rtol=1e-5)
    # (n,) against (n, 1) is aligned before it can become (n, n).
    np.testing.assert_allclose(Cubed()(y_true[:, 0], y_pred), wanted, rtol=1e-5)
    step = traced(
        lambda a, b: {"loss": Cubed()(a, b)}, {"a": y_true[:, 0], "b": y_pred}
    )
    found = step.run(a=y_true[:, 0], b=y_pred)["loss"]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)

    wrapped = ours.LossFunctionWrapper(ours.huber, name="mine", delta=0.5)
    again = ours.deserialize(ours.serialize(wrapped))
    close(again(y_true, y_pred), wrapped(y_true, y_pred))


def test_resolve(keras):
    from keras.src.trainers.compile_utils import get_loss

    for identifier in ("crossentropy", "ce", "mse", "Huber", ours.huber):
        for true, pred in (
            ((4,), (4, 1)),
            ((4, 1), (4, 1)),
            ((4,), (4, 3)),
            ((4, 1), (4, 3)),
            ((4, 3), (4, 3)),
            ((4, 6), (4, 6, 3)),
        ):
            real = identifier if isinstance(identifier, str) else keras.losses.huber
            wanted = get_loss(real, np.zeros(true), np.zeros(pred))
            found = ours.resolve(identifier, true, pred)
            assert found.name == wanted.name
            assert found.fn.__name__ == wanted.fn.__name__
    assert ours.resolve(None, (4,), (4, 1)) is None


def test_unknown_names_and_bad_arguments():
    with pytest.raises(ShapeError, match="categorical_crossentropy") as caught:
        ours.get("categorial_crossentropy")
    assert caught.value.code == "RV107"
    with pytest.raises(ShapeError, match="sum_over_batch_size") as caught:
        ours.MeanSquaredError(reduction="average")
    assert caught.value.code == "RV100"
    with pytest.raises(ShapeError):
        ours.CategoricalGeneralizedCrossEntropy(q=1.0)
    with pytest.raises(ShapeError):
        ours.categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]], axis=True)
    with pytest.warns(SyntaxWarning, match="binary_crossentropy"):
        ours.categorical_crossentropy([[1.0]], [[1.0]])
