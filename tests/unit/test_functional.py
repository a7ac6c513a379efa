"""Functional models: what they are made of, called on, copied as, and refuse."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from functional_cases import CASES, rows

import ranvier as keras
from ranvier import activations, config, ops
from ranvier.errors import FileError, RanvierError, RanvierWarning, ShapeError
from ranvier.graph import tree


def line(name: str | None = None) -> Any:
    """A small functional model."""
    x = keras.Input((4,))
    y = keras.layers.Dense(3, activation="tanh", name="hidden")(x)
    return keras.Model(x, keras.layers.Dense(1, name="top")(y), name=name)


def same(one: Any, other: Any) -> None:
    for a, b in zip(tree.flatten(one), tree.flatten(other), strict=True):
        np.testing.assert_array_equal(a, b)


def refused(code: str, *words: str) -> Any:
    return pytest.raises(RanvierError, match=".*".join([code, *words]))


# -- symbols -------------------------------------------------------------------------


def test_symbols_tell_shape_and_dtype_and_have_no_numbers() -> None:
    x = keras.Input((4, None), dtype="int32", name="x")
    assert (x.shape, x.dtype, x.name, x.ndim) == ((None, 4, None), "int32", "x", 3)
    y = keras.layers.Dense(3)(keras.Input((4,)))
    assert ops.shape(y) == (None, 3)
    assert (1.0 - y[:, :2]).shape == (None, 2)
    assert (y @ np.ones((3, 5), "float32")).shape == (None, 5)
    assert (np.ones(3, "float32") * y).shape == (None, 3)
    assert ops.reshape(y, (-1, 3, 1)).shape == (None, 3, 1)
    assert (y > 0.0).dtype == "bool"
    for ask in (bool, float, int, iter, np.asarray):
        with refused("RV110", "no numbers"):
            ask(y)


@pytest.mark.parametrize("name", sorted(set(activations.__all__) - {"threshold"}))
def test_activations_take_symbols(name: str) -> None:
    if name in ("get", "serialize", "deserialize"):
        return
    x = keras.Input((4,))
    function = getattr(activations, name)
    model = keras.Model(x, function(x) + 0.0)
    given = rows(4)
    np.testing.assert_allclose(
        model.predict(given, verbose=0),
        np.asarray(function(given)),
        rtol=2e-6,
        atol=1e-6,
    )


def test_the_same_function_on_arrays_records_nothing() -> None:
    keras.Input((4,))
    assert float(ops.sum(np.ones(3))) == 3.0
    assert ops.add.__doc__ == ops.add.__wrapped__.__doc__


def test_input_and_output_of_a_layer() -> None:
    model = line()
    hidden = model.get_layer("hidden")
    assert hidden.input is model.input
    assert hidden.output.shape == (None, 3)
    features = keras.Model(model.inputs, hidden.output)
    x = rows(4)
    same(features.predict(x, verbose=0), hidden(x).numpy())
    with refused("RV106", "not called"):
        _ = keras.layers.Dense(2).output
    assert not hasattr(keras.layers.Dense(2), "output")


def test_a_sequential_can_be_extended() -> None:
    base = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="a")])
    base.add(keras.layers.Dense(2, name="b"))
    assert base.output_shape == (None, 2)
    more = keras.Model(base.inputs, keras.layers.Dense(1)(base.output))
    inner = keras.Model(base.inputs, base.get_layer("a").output)
    x = rows(4)
    assert more.predict(x, verbose=0).shape == (12, 1)
    same(inner.predict(x, verbose=0), base.get_layer("a")(x).numpy())
    base.pop()
    assert base.output_shape == (None, 3)
    same(base.predict(x, verbose=0), inner.predict(x, verbose=0))


# -- calling -------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_copies(name: str) -> None:
    case = CASES[name]
    model = case.build(keras)
    wanted = model.predict(case.x, verbose=0)
    for again in (
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        keras.models.clone_model(model),
        type(model).from_config(model.get_config()),
    ):
        assert again.get_config() == model.get_config()
        again.set_weights(model.get_weights())
        same(again.predict(case.x, verbose=0), wanted)


@pytest.mark.parametrize("name", CASES)
def test_engines_agree_and_bits_do_not_depend_on_threads(name: str) -> None:
    case = CASES[name]
    found = []
    first = case.build(keras)
    for engine, threads in (("native", 1), ("native", 3), ("reference", 1)):
        model = keras.models.clone_model(first)
        model.set_weights(first.get_weights())
        model.compile(
            keras.optimizers.SGD(0.1), **copy.deepcopy(case.compiled), engine=engine
        )
        with config.at_most_threads(threads):
            model.fit(case.x, case.y, batch_size=5, epochs=2, shuffle=False, verbose=0)
        found.append(model.get_weights())
    same(found[0], found[1])
    for a, b in zip(found[0], found[2], strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


def test_a_deep_model_is_copied() -> None:
    x = keras.Input((2,))
    y = x
    for _ in range(400):
        y = y + 0.5
    model = keras.Model(x, y)
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        same(again.predict(rows(2), verbose=0), model.predict(rows(2), verbose=0))


def test_structures_of_inputs() -> None:
    a, b = keras.Input((2,), name="a"), keras.Input((2,), name="b")
    model = keras.Model([a, b], a - 2.0 * b)
    x, y = rows(2), rows(2, seed=1)
    wanted = model.predict([x, y], verbose=0)
    same(model.predict((x, y), verbose=0), wanted)
    same(model.predict({"b": y, "a": x}, verbose=0), wanted)
    same(model([x, y]).numpy(), wanted)
    with refused("RV100", "'b' is missing"):
        model.predict({"a": x}, verbose=0)
    with refused("RV100", "2 inputs", "got 1"):
        model.predict(x, verbose=0)
    with refused("RV103"):
        model.predict([x, rows(3)], verbose=0)
    named = keras.Model({"a": a, "b": b}, a - 2.0 * b)
    same(named.predict({"a": x, "b": y}, verbose=0), wanted)
    with refused("RV100", "no input 'c'"):
        named.predict({"a": x, "b": y, "c": y}, verbose=0)


def test_lengths_that_differ_between_inputs_and_batches() -> None:
    a = keras.Input((None, 2), name="a")
    b = keras.Input((None, 2), name="b")
    total = ops.sum(a, axis=1) + ops.sum(b, axis=1)
    model = keras.Model([a, b], [total, a * 2.0])
    model.compile("sgd", ["mse", "mse"])
    for n, m in ((3, 3), (3, 5), (6, 5), (4, 4)):
        x = [rows(n, 2), rows(m, 2, seed=1)]
        found = model.predict(x, verbose=0)
        np.testing.assert_allclose(found[0], x[0].sum(1) + x[1].sum(1), rtol=1e-5)
        model.evaluate(x, [rows(2), rows(n, 2)], verbose=0)
    assert len(model._steps) == 4  # one for equal lengths, one for others; two kinds


def test_training_is_handed_down() -> None:
    x = keras.Input((200,))
    model = keras.Model(x, keras.layers.Dropout(0.5)(x))
    ones = np.ones((2, 200), "float32")
    assert (np.asarray(model(ones, training=True)) == 0).any()
    assert not (np.asarray(model(ones)) == 0).any()
    told = keras.Model(x, keras.layers.Dropout(0.5)(x, training=True))
    assert (np.asarray(told(ones)) == 0).any()
    assert not (told.predict(ones, verbose=0) == 0).any()  # as in Keras


def test_a_mask_given_to_a_model_reaches_its_layers() -> None:
    class Count(keras.layers.Layer):
        def call(self, x: Any, mask: Any = None) -> Any:
            return ops.sum(x if mask is None else x * ops.cast(mask, x.dtype), axis=1)

    x = keras.Input((3,))
    model = keras.Model(x, Count()(x))
    ones = np.ones((2, 3), "float32")
    mask = np.array([[True, True, False], [True, False, False]])
    np.testing.assert_array_equal(model(ones, mask=mask), [2.0, 1.0])
    stack = keras.Sequential([keras.Input((3,)), Count()])
    np.testing.assert_array_equal(stack(ones, mask=mask), [2.0, 1.0])


def test_a_mask_that_ends_is_told_once() -> None:
    class Stop(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x * 2.0

    words = np.array([[1, 2, 0]])
    table = keras.layers.Embedding(4, 2, mask_zero=True)
    with pytest.warns(RanvierWarning, match="RV405"):
        assert getattr(Stop()(table(words)), "_keras_mask", None) is None


# -- training ------------------------------------------------------------------------


def test_frozen_parts() -> None:
    inner = line("inner")
    x = keras.Input((4,))
    outer = keras.Model(x, keras.layers.Dense(1, name="head")(inner(x)))
    inner.trainable = False
    assert [v.path for v in outer.trainable_weights] == ["head/kernel", "head/bias"]
    lines: list[str] = []
    outer.summary(print_fn=lines.append)
    assert "Trainable params: 2 " in lines[0]
    assert "Non-trainable params: 19 " in lines[0]
    before = inner.get_weights()
    outer.compile("sgd", "mse")
    outer.fit(rows(4), rows(1), verbose=0)
    same(inner.get_weights(), before)


def test_a_train_step_of_ones_own_on_a_graph(tmp_path: Path) -> None:
    class Own(keras.Model):
        def train_step(self, data: Any) -> Any:
            x, y = data
            error = ops.mean(ops.square(y - self(x, training=True)))
            self.optimizer.apply(
                keras.gradients(error, self.trainable_variables),
                self.trainable_variables,
            )
            return {"error": error}

    x = keras.Input((4,))
    model = Own(x, keras.layers.Dense(1)(x))
    assert isinstance(model, Own)
    model.compile("sgd")
    history = model.fit(rows(4), rows(1), epochs=5, verbose=0).history["error"]
    assert history[-1] < history[0]
    model.save(tmp_path / "own.keras")
    again = keras.models.load_model(tmp_path / "own.keras", custom_objects={"Own": Own})
    assert type(again) is Own
    same(again.predict(rows(4), verbose=0), model.predict(rows(4), verbose=0))


def test_a_subclass_that_makes_its_own_graph(tmp_path: Path) -> None:
    class Small(keras.Model):
        def __init__(self, units: int, **kwargs: Any) -> None:
            x = keras.Input((4,))
            super().__init__(x, keras.layers.Dense(units)(x), **kwargs)
            self.units = units

        def get_config(self) -> dict[str, Any]:
            return {"units": self.units, "name": self.name}

    model = Small(3)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(
        tmp_path / "m.keras", custom_objects={"Small": Small}
    )
    same(again.predict(rows(4), verbose=0), model.predict(rows(4), verbose=0))


def test_losses_from_layers_and_from_compute_loss() -> None:
    class Cost(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            self.add_loss(0.5 * ops.mean(ops.square(x)))
            return x

    x = keras.Input((4,))
    model = keras.Model(x, Cost()(keras.layers.Dense(2)(x)))
    model.compile("sgd", "mse")
    given, target = rows(4), rows(2)
    out = model.predict(given, verbose=0)
    wanted = np.mean((out - target) ** 2) + 0.5 * np.mean(out**2)
    np.testing.assert_allclose(
        model.evaluate(given, target, verbose=0), wanted, rtol=1e-5
    )

    class Doubled(keras.Model):
        def compute_loss(self, **kwargs: Any) -> Any:
            return 2.0 * super().compute_loss(**kwargs)

    double = Doubled(model.inputs, model.output)
    double.compile("sgd", "mse")
    np.testing.assert_allclose(
        double.evaluate(given, target, verbose=0), 2 * wanted, rtol=1e-5
    )


def test_several_inputs_of_a_subclass() -> None:
    class Two(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = keras.layers.Dense(2), keras.layers.Dense(2)

        def call(self, inputs: Any) -> Any:
            return {"sum": self.one(inputs["a"]) + self.two(inputs["b"])}

    model = Two()
    model.compile("sgd", {"sum": "mse"}, metrics={"sum": ["mae"]})
    data = {"a": rows(3), "b": rows(4)}
    history = model.fit(data, {"sum": rows(2)}, verbose=0).history
    assert sorted(history) == ["loss", "mae"]
    assert model.predict(data, verbose=0)["sum"].shape == (12, 2)


# -- refusals ------------------------------------------------------------------------


def test_graphs_that_cannot_be() -> None:
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    layer = keras.layers.Dense(2, name="layer")
    with refused("RV112", "'b'"):
        keras.Model(a, layer(a) + layer(b))
    with refused("RV112", "'b'"):
        keras.Model(a, b)
    with refused("RV100", "symbolic"):
        keras.Model(np.ones((2, 4)), layer(a))
    with refused("RV100", "symbolic"):
        keras.Model(a, np.ones((2, 4)))
    with refused("RV100", "inputs and outputs"):
        keras.Model(a)
    with refused("RV108", "'same'"):
        keras.Model(
            a,
            keras.layers.Dense(2, name="same")(keras.layers.Dense(2, name="same")(a)),
        )
    with refused("RV103"):  # where the layer is called, not when the model trains
        keras.layers.Reshape((5,))(layer(a))
    with refused("RV108"):
        layer(a) + a


def test_a_symbolic_loss_is_refused() -> None:
    model = line()
    with refused("RV100", "symbolic"):
        model.add_loss(ops.mean(model.output))


def test_a_sequential_is_built_for_one_shape() -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    with refused("RV103"):
        model.build((None, 5))
    open_ended = keras.Sequential([keras.layers.Dense(2)])
    open_ended.build((None, 4))
    with refused("RV103"):
        open_ended.build((None, 5))


def test_arguments_for_outputs_that_are_not_there() -> None:
    case = CASES["listed"]
    for arguments, code in (
        ({"loss": {"left": "mse", "rigth": "mse"}}, "RV100"),
        ({"loss": ["mse", "mse", "mse"]}, "RV100"),
        ({"loss": "mse", "metrics": ["mae"]}, "RV100"),
        ({"loss": "mse", "loss_weights": [1.0]}, "RV100"),
    ):
        model = case.build(keras)
        model.compile("sgd", **arguments)
        with refused(code):
            model.fit(case.x, case.y, verbose=0)
    model = case.build(keras)
    model.compile("sgd", ["mse", "mse"])
    with refused("RV101", "2 outputs"):
        model.fit(case.x, case.y[0], verbose=0)
    with refused("RV100", "class_weight"):
        model.fit(case.x, case.y, class_weight={0: 1.0, 1: 2.0}, verbose=0)


def test_configurations_that_cannot_be() -> None:
    model = line()
    described = model.get_config()
    described["layers"][1]["inbound_nodes"][0]["args"][0]["config"]["keras_history"] = [
        "top", 0, 0,
    ]  # fmt: skip
    with pytest.raises(FileError, match="wait for each other"):
        type(model).from_config(described)
    described = model.get_config()
    described["output_layers"] = ["nothing", 0, 0]
    with pytest.raises(FileError, match="RV601"):
        type(model).from_config(described)


def test_clone_with_functions() -> None:
    model = line()
    seen: list[str] = []

    def wider(layer: Any) -> Any:
        seen.append(layer.name)
        return type(layer).from_config(layer.get_config())

    other = keras.models.clone_model(model, clone_function=wider)
    assert seen == ["hidden", "top"]
    tensor = keras.Input((4,), name="mine")
    again = keras.models.clone_model(model, input_tensors=tensor)
    assert again.input is tensor
    assert other.count_params() == again.count_params() == model.count_params()
    with pytest.raises(ShapeError, match="RV100"):
        keras.models.clone_model(
            keras.Sequential([keras.layers.Dense(1)]), input_tensors=tensor
        )


# -- stateless calls -----------------------------------------------------------------


def test_a_call_with_values_of_ones_own_keeps_nothing() -> None:
    x = keras.Input((3,))
    y = keras.layers.BatchNormalization(momentum=0.5)(keras.layers.Dense(2)(x))
    model = keras.Model(x, y)
    before = model.get_weights()
    values = [v.numpy() * 2.0 + 1.0 for v in model.trainable_variables]
    others = [v.numpy() for v in model.non_trainable_variables]
    given = rows(3)
    out, after = model.stateless_call(values, others, given, training=True)
    same(model.get_weights(), before)
    dense = given @ values[0] + values[1]
    np.testing.assert_allclose(after[0], 0.5 * dense.mean(0), rtol=1e-4, atol=1e-5)
    again, _, losses = model.stateless_call(values, others, given, return_losses=True)
    assert losses == []
    for variable, value in zip(model.trainable_variables, values, strict=True):
        variable.assign(value)
    np.testing.assert_allclose(again, model(given), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(out, model(given, training=True), rtol=1e-4, atol=1e-5)
    with refused("RV108", "4 trainable"):
        model.stateless_call(values[:-1], others, given)
    with refused("RV108", "shape"):
        model.stateless_call([values[0].T, *values[1:]], others, given)
    with refused("RV106"):
        keras.layers.Dense(2).stateless_call([], [], given)


def test_a_stateless_call_is_differentiated() -> None:
    dense = keras.layers.Dense(1, use_bias=False)
    dense.build((None, 3))
    x = rows(3)

    def total(kernel: Any) -> Any:
        return ops.sum(dense.stateless_call([kernel], [], x)[0])

    found = keras.grad(total)(np.ones((3, 1), "float32"))
    np.testing.assert_allclose(np.asarray(found)[:, 0], x.sum(0), rtol=1e-5)


# -- parts together ------------------------------------------------------------------


def test_tensors_by_name_and_layers_of_several_arguments() -> None:
    class Mix(keras.layers.Layer):
        def build(self, left_shape: Any, right_shape: Any) -> None:
            self.kernel = self.add_weight((left_shape[-1], right_shape[-1]), "ones")

        def call(self, left: Any, right: Any, factor: float = 1.0) -> Any:
            return factor * (ops.matmul(left, self.kernel) + right)

    a, b = keras.Input((2,), name="a"), keras.Input((3,), name="b")
    model = keras.Model([a, b], Mix(name="mix")(left=a, right=b, factor=2.0))
    x, y = rows(2), rows(3, seed=1)
    wanted = 2.0 * (x.sum(1, keepdims=True) + y)
    np.testing.assert_allclose(model.predict([x, y], verbose=0), wanted, rtol=1e-5)
    again = keras.models.clone_model(model)
    np.testing.assert_allclose(again.predict([x, y], verbose=0), wanted, rtol=1e-5)


def test_masks_pass_through_models_inside_models() -> None:
    def encoder() -> Any:
        words = keras.Input((None,), dtype="int32")
        table = keras.layers.Embedding(5, 2, mask_zero=True)
        return keras.Model(words, keras.layers.Dense(2)(table(words)))

    inner = encoder()
    stack = keras.Sequential([inner, keras.layers.Dense(2)])
    x = keras.Input((None,), dtype="int32")
    whole = keras.Model(x, keras.layers.Activation("tanh")(stack(x)))
    words = np.array([[1, 2, 0, 0], [3, 0, 0, 0], [1, 1, 1, 0]], "int32")
    y = np.random.default_rng(0).normal(size=(3, 4, 2)).astype("float32")
    whole.compile("sgd", "mse", metrics=["mae"])
    found = whole.evaluate(words, y, verbose=0, return_dict=True)
    error, valid = whole.predict(words, verbose=0) - y, words != 0
    for key, each in (("loss", error**2), ("mae", np.abs(error))):
        wanted = each.mean(-1)[valid].mean()
        np.testing.assert_allclose(found[key], wanted, rtol=1e-5)


def test_batches_that_are_dicts() -> None:
    case = CASES["named"]
    model = case.build(keras)
    model.compile("sgd", **copy.deepcopy(case.compiled))

    class Batches(keras.utils.PyDataset):
        def __len__(self) -> int:
            return 3

        def __getitem__(self, i: int) -> Any:
            at = slice(4 * i, 4 * i + 4)
            return tuple(
                {k: v[at] for k, v in part.items()} for part in (case.x, case.y)
            )

    history = model.fit(Batches(), verbose=0, shuffle=False).history
    assert {"price_loss", "class_loss", "price_mae", "class_accuracy"} <= set(history)
    assert sorted(model.predict(case.x, verbose=0)) == ["class", "price"]
    logs = model.train_on_batch(case.x, case.y, return_dict=True)
    assert set(logs) == set(history)
