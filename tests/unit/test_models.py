"""Models against bad data, odd data, interruptions, threads and copies."""

from __future__ import annotations

import copy
import pickle
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import ranvier as keras
from ranvier import ops
from ranvier.errors import DataError, RanvierError, RanvierWarning, ShapeError


def network(units: int = 3, inputs: int = 4, **kwargs: Any) -> Any:
    """A compiled classifier."""
    model = keras.Sequential(
        [
            keras.Input((inputs,)),
            keras.layers.Dense(8, activation="relu"),
            keras.layers.Dense(units),
        ]
    )
    kwargs.setdefault("optimizer", "adam")
    kwargs.setdefault(
        "loss", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    model.compile(**kwargs)
    return model


def rows(n: int = 20, inputs: int = 4, classes: int = 3) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, inputs)).astype("float32")
    return x, rng.integers(0, classes, n)


def refused(model: Any, code: str, *words: str, **fit: Any) -> RanvierError:
    """`fit` raises this code with these words, and no weight has changed."""
    before = model.get_weights() if model.built else None
    with pytest.raises(RanvierError) as caught:
        model.fit(verbose=0, **fit)
    assert caught.value.code == code, caught.value
    text = str(caught.value)
    for word in words:
        assert word in text, text
    if before is not None:
        for mine, other in zip(model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(mine, other)
    return caught.value


# ---------------------------------------------------------------- labels and losses


def test_one_hot_labels_with_a_sparse_loss() -> None:
    x, y = rows()
    refused(network(), "RV101", "categorical_crossentropy", x=x, y=np.eye(3)[y])


def test_whole_labels_with_a_one_hot_loss() -> None:
    x, y = rows()
    refused(
        network(loss="categorical_crossentropy"),
        "RV101",
        "sparse_categorical_crossentropy",
        x=x,
        y=y,
    )


@pytest.mark.parametrize("label", [3, -1, 99])
@pytest.mark.parametrize("engine", ["native", "reference"])
def test_a_label_out_of_range_is_told_with_its_row(label: int, engine: str) -> None:
    x, y = rows()
    y[13] = label
    refused(
        network(engine=engine), "RV105", f"label {label}", "row 13", "3 units",
        x=x, y=y, batch_size=32, shuffle=False,
    )  # fmt: skip
    model = network(engine=engine)
    before = model.get_weights()
    with pytest.raises(RanvierError, match="RV105"):
        model.train_on_batch(x, y)
    for mine, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, other)
    model.fit(x[:10], y[:10], verbose=0)  # and it goes on


def test_softmax_over_one_unit_is_a_finding() -> None:
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(1, activation="softmax")]
    )
    model.compile("adam", "binary_crossentropy")
    x, y = rows(classes=2)
    with pytest.warns(RanvierWarning, match="RV102"):
        model.fit(x, y, verbose=0)


def test_flat_targets_meet_column_outputs() -> None:
    x, _ = rows()
    y = x[:, 0]
    found = []
    for target in (y, y[:, None]):
        keras.utils.set_random_seed(3)
        model = network(1, loss="mse", metrics=["mae"])
        model.fit(x, target, epochs=2, verbose=0)
        found.append(model.get_weights() + [model.evaluate(x, target, verbose=0)])
    for mine, other in zip(*found, strict=True):
        np.testing.assert_array_equal(mine, other)


def test_a_loss_that_would_broadcast_rows_to_rows_is_refused() -> None:
    x, _ = rows()

    def squares(y_true: Any, y_pred: Any) -> Any:
        return ops.mean(ops.square(y_true - y_pred))

    for loss in (squares, "mse", "huber"):
        model = network(2, loss=loss)
        error = refused(model, "RV101", x=x, y=x[:, 0])
        assert isinstance(error, ShapeError)
    model = network(1, loss=squares)
    model.fit(x, x[:, 0], verbose=0)  # aligned, as Keras does


def test_targets_of_another_width() -> None:
    x, _ = rows()
    refused(network(2, loss="mse"), "RV101", x=x, y=x[:, :3])


# ------------------------------------------------------------------------ inputs


def test_images_of_another_size() -> None:
    model = keras.Sequential(
        [
            keras.layers.Flatten(input_shape=(28, 28)),
            keras.layers.Dense(10),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x = np.zeros((2, 128, 128), "float32")
    told = "128x128 flattens to 16,384 inputs, this network was built for 784 = 28x28"
    refused(model, "RV103", told, x=x, y=np.zeros(2, int))
    for call in (model.predict, model):
        with pytest.raises(ShapeError) as caught:
            call(x)
        assert told in str(caught.value)
    with pytest.raises(ShapeError, match=r"x\[None\]"):
        model.predict(np.zeros((28, 28), "float32"))
    with pytest.raises(ShapeError, match="RV103"):
        model.predict(np.zeros((3, 784), "float32"))


def test_lengths_that_differ() -> None:
    x, y = rows()
    refused(network(), "RV109", "x has 20", "y has 19", x=x, y=y[:-1])
    refused(network(), "RV109", "sample_weight", x=x, y=y, sample_weight=np.ones(3))
    refused(network(), "RV109", x=x, y=y[:-1], validation_split=0.5)


@pytest.mark.parametrize(
    "value",
    [
        np.array([["a", "b", "c", "d"]] * 20),
        np.array([[1, "b", None, 2]] * 20, dtype=object),
        [["a", "b", "c", "d"]] * 20,
        [[1.0], [2.0, 3.0]] * 10,
        np.zeros((20, 4), "datetime64[s]"),
        np.zeros((20, 4), complex),
    ],
    ids=["text", "objects", "list", "ragged", "dates", "complex"],
)
def test_what_is_no_numbers(value: Any) -> None:
    _, y = rows()
    refused(network(), "RV203", x=value, y=y)


def test_labels_that_are_words() -> None:
    x, _ = rows()
    refused(network(), "RV203", "y", "cat", x=x, y=np.array(["cat", "dog"] * 10))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("engine", ["native", "reference"])
def test_values_that_are_not_finite(bad: float, engine: str) -> None:
    x, y = rows()
    x[7, 2] = bad
    refused(
        network(engine=engine), "RV204", "row 7", "column 2",
        x=x, y=y, batch_size=32, shuffle=False,
    )  # fmt: skip
    x, _ = rows()
    target = x[:, :1].copy()
    target[11] = bad
    refused(
        network(1, loss="mse", engine=engine), "RV204", "y has", "row 11",
        x=x, y=target, batch_size=32,
    )  # fmt: skip
    model = network(1, loss="mse", engine=engine)
    with pytest.raises(DataError, match="RV204"):
        model.evaluate(x, target, verbose=0)
    with pytest.raises(DataError, match="RV204"):
        model.train_on_batch(x, target)


def test_nan_is_taken_when_it_is_meant() -> None:
    x, y = rows()
    x[7, 2] = np.nan
    model = network()
    history = model.fit(x, y, verbose=0, allow_nan=True)
    assert np.isnan(history.history["loss"][0])
    model = network()
    history = model.fit(
        x, y, epochs=5, verbose=0, callbacks=[keras.callbacks.TerminateOnNaN()]
    )
    assert len(history.epoch) == 1
    assert np.isnan(model.predict(x, verbose=0)[7]).all()


def test_no_rows() -> None:
    x, y = rows(0)
    refused(network(), "RV207", x=x, y=y)
    refused(network(), "RV207", x=[], y=[])
    refused(network(), "RV207", x=iter([]))
    with pytest.raises(DataError, match="RV207"):
        network().evaluate(x, y, verbose=0)
    with pytest.raises(DataError, match="RV207"):
        network().predict(x, verbose=0)
    x, y = rows(3)
    refused(network(), "RV207", "validation", x=x, y=y, validation_split=0.99)


def test_one_row() -> None:
    x, y = rows(1)
    model = network(metrics=["accuracy"])
    model.fit(x, y, epochs=2, verbose=0)
    assert len(model.evaluate(x, y, verbose=0)) == 2
    assert model.predict(x, verbose=0).shape == (1, 3)


def variants() -> dict[str, Any]:
    """The same small whole numbers as arrays of every kind."""
    x = np.random.default_rng(0).integers(0, 9, (20, 4))
    wide = np.zeros((40, 8))
    wide[::2, ::2] = x
    locked = x.astype("float32")
    locked.flags.writeable = False
    turned = np.asfortranarray(x.astype("float64"))

    class Framed:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            return np.asarray(x, dtype)

    found = {
        name: x.astype(name)
        for name in ("float16", "float64", "uint8", "int8", "int16", "int32", "int64",
                     "uint16", "uint32", ">f4", ">f8", ">i4")
    }  # fmt: skip
    return found | {
        "strided": wide[::2, ::2],
        "reversed": x[::-1][::-1],
        "negative strides": np.ascontiguousarray(x[::-1]).astype("float32")[::-1],
        "locked": locked,
        "fortran": turned,
        "list": x.tolist(),
        "framed": Framed(),
    }


@pytest.mark.parametrize("kind", sorted(variants()))
def test_arrays_of_every_kind(kind: str) -> None:
    _, y = rows()
    found = []
    for x in (variants()["int32"].astype("float32"), variants()[kind]):
        keras.utils.set_random_seed(5)
        model = network(metrics=["accuracy"])
        model.fit(x, y, batch_size=8, epochs=2, verbose=0)
        found.append(
            [
                *model.get_weights(),
                model.predict(x, verbose=0),
                model.predict(x, batch_size=7, verbose=0),
                model.evaluate(x, y, verbose=0),
                model.train_on_batch(x, y),
                model.predict_on_batch(x),
            ]
        )
    for mine, other in zip(*found, strict=True):
        np.testing.assert_array_equal(mine, other)


def test_booleans_and_other_labels() -> None:
    x, _ = rows()
    y = x[:, 0] > 0
    found = []
    for target in (y, y.astype("float64"), y.astype("uint8"), y.tolist()):
        keras.utils.set_random_seed(5)
        model = network(
            1,
            loss=keras.losses.BinaryCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        model.fit(x, target, verbose=0)
        found.append(model.get_weights()[0])
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


def test_data_are_not_copied_or_changed() -> None:
    x, y = rows(1000)
    before = x.copy()
    network().fit(x, y, verbose=0)
    np.testing.assert_array_equal(x, before)


# ---------------------------------------------------------------- names, building


def test_unknown_names_tell_the_nearest() -> None:
    for given, word in (
        ({"optimizer": "adm"}, "adam"),
        ({"loss": "categorial_crossentropy"}, "categorical_crossentropy"),
    ):
        with pytest.raises(ShapeError, match="RV107") as caught:
            network(**given).fit(*rows(), verbose=0)
        assert word in str(caught.value)
    with pytest.raises(ShapeError, match="RV107") as caught:
        network(metrics=["acuracy"]).fit(*rows(), verbose=0)
    assert "accuracy" in str(caught.value)
    with pytest.raises(ShapeError, match="RV107") as caught:
        keras.layers.Dense(3, activation="rely")
    assert "relu" in str(caught.value)
    with pytest.raises(ShapeError, match="RV107"):
        network().get_layer("dens")


def test_what_is_not_built_or_compiled() -> None:
    model = keras.Sequential([keras.layers.Dense(3)])
    with pytest.raises(ShapeError, match="RV106"):
        model.count_params()
    with pytest.raises(ShapeError, match="RV106"):
        model.fit(*rows(), verbose=0)
    with pytest.raises(ShapeError, match="RV106"):
        model.evaluate(*rows(), verbose=0)
    assert model.predict(rows()[0], verbose=0).shape == (20, 3)  # built by its data
    assert model.count_params() == 15
    with pytest.raises(ShapeError, match="RV106"):
        keras.Sequential([]).build()
    model = network(loss=None)
    refused(model, "RV106", "loss", x=rows()[0], y=rows()[1])


def test_arguments_out_of_range() -> None:
    x, y = rows()
    for bad in (0, -3, 2.5, "32", True):
        refused(network(), "RV100", "batch_size", x=x, y=y, batch_size=bad)
    for bad in (1.5, -0.1):
        refused(network(), "RV100", x=x, y=y, validation_split=bad)
    with pytest.raises(ShapeError, match="RV100"):
        keras.Sequential([keras.layers.Dense])
    with pytest.raises(ShapeError, match="RV100"):
        keras.Model(inputs=1, outputs=2)


def test_weights_that_do_not_fit_are_refused() -> None:
    model = network()
    before = model.get_weights()
    with pytest.raises(ShapeError, match="RV108"):
        model.set_weights(before[:-1])
    with pytest.raises(ShapeError, match="RV108"):
        model.set_weights([before[0].T, *before[1:]])
    for mine, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, other)


# ---------------------------------------------------------------- going on, afresh


def test_a_second_fit_continues_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    x, y = rows()
    keras.utils.set_random_seed(1)
    once = network()
    once.fit(x, y, epochs=6, verbose=0)
    keras.utils.set_random_seed(1)
    twice = network()
    twice.fit(x, y, epochs=4, verbose=0)
    assert "RV401" not in capsys.readouterr().err
    twice.fit(x, y, epochs=2, verbose=2)
    told = capsys.readouterr()
    assert "RV401" in told.err + told.out
    assert "4 epochs" in told.err + told.out
    for mine, other in zip(once.get_weights(), twice.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_reset_starts_afresh() -> None:
    x, y = rows()
    found = []
    model = network(metrics=["accuracy"])
    for _ in range(2):
        model.reset(seed=4)
        history = model.fit(x, y, epochs=3, verbose=0)
        found.append((history.history, model.get_weights()))
        assert int(model.optimizer.iterations) == 3
    assert found[0][0] == found[1][0]
    for mine, other in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_array_equal(mine, other)


def test_same_seed_same_bits() -> None:
    x, y = rows(100)
    found = []
    for seed in (7, 7, 8):
        keras.utils.set_random_seed(seed)
        model = keras.Sequential(
            [
                keras.layers.Dense(8, activation="relu"),
                keras.layers.Dropout(0.3),
                keras.layers.Dense(3),
            ]
        )
        model.compile(
            "adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        )
        model.fit(x, y, epochs=3, verbose=0)
        found.append(model.get_weights()[0])
    np.testing.assert_array_equal(found[0], found[1])
    assert (found[0] != found[2]).any()


def test_dropout_changes_from_step_to_step() -> None:
    layer = keras.layers.Dropout(0.5, seed=3)
    x = np.ones((4, 50), "float32")
    first, second = (layer(x, training=True).numpy() for _ in range(2))
    assert (first != second).any()
    again = keras.layers.Dropout(0.5, seed=3)
    np.testing.assert_array_equal(again(x, training=True).numpy(), first)
    assert set(np.unique(first)) == {0.0, 2.0}


# ----------------------------------------------------------------- batches pushed


class Sequence:
    """A data set by index, as PyDataset."""

    def __init__(self, x: Any, y: Any, size: int) -> None:
        self.x, self.y, self.size = x, y, size
        self.epochs = 0

    def __len__(self) -> int:
        return -(-len(self.x) // self.size)

    def __getitem__(self, index: int) -> Any:
        part = slice(index * self.size, (index + 1) * self.size)
        return self.x[part], self.y[part]

    def on_epoch_end(self) -> None:
        self.epochs += 1


def test_batches_from_elsewhere_are_as_arrays() -> None:
    x, y = rows(21)

    def batches() -> Iterator[Any]:
        for start in range(0, 21, 8):
            yield x[start : start + 8], y[start : start + 8]

    def endless() -> Iterator[Any]:
        while True:
            yield from batches()

    class Repeated:
        def __iter__(self) -> Iterator[Any]:
            return batches()

    sequence = Sequence(x, y, 8)
    found = []
    for given in (
        {"x": x, "y": y, "batch_size": 8, "shuffle": False},
        {"x": sequence, "shuffle": False},
        {"x": endless(), "steps_per_epoch": 3},
        {"x": Repeated()},
    ):
        keras.utils.set_random_seed(2)
        model = network(metrics=["accuracy"])
        history = model.fit(**given, epochs=3, verbose=0)
        found.append((history.history, model.get_weights()))
        data = {"x": batches()} if "y" not in given else {**given, "shuffle": 0}
        data.pop("shuffle", None)
        found[-1][0]["test"] = model.evaluate(**data, verbose=0)
        outputs = model.predict(batches(), verbose=0)
        found[-1][1].append(outputs)
    assert sequence.epochs == 3
    for history, weights in found[1:]:
        for name, values in found[0][0].items():
            np.testing.assert_allclose(history[name], values, rtol=1e-6)
        for mine, other in zip(weights, found[0][1], strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-6)


def test_a_generator_that_ends_too_soon() -> None:
    x, y = rows()
    with pytest.warns(RanvierWarning, match="ran out"):
        network().fit(iter([(x, y)]), steps_per_epoch=2, epochs=2, verbose=0)
    refused(network(), "RV100", x=iter([(x, y)]), y=y)


# --------------------------------------------------------- Python in the way, hooks


def test_a_python_metric_works_and_says_so() -> None:
    x, y = rows(21)

    class Hits(keras.metrics.Metric):
        def __init__(self) -> None:
            super().__init__(name="hits")
            self.hits = self.rows = 0

        def update_state(
            self, y_true: Any, y_pred: Any, sample_weight: Any = None
        ) -> None:
            y_true, y_pred = np.asarray(y_true), np.asarray(y_pred)
            self.hits += int((y_pred.argmax(-1) == y_true.reshape(-1)).sum())
            self.rows += len(y_pred)

        def result(self) -> Any:
            return self.hits / max(1, self.rows)

        def reset_state(self) -> None:
            self.hits = self.rows = 0

    model = network(metrics=["accuracy", Hits()])
    with pytest.warns(RanvierWarning, match="RV503"):
        history = model.fit(x, y, batch_size=8, epochs=3, verbose=0).history
    np.testing.assert_allclose(history["hits"], history["accuracy"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RanvierWarning)
        _, accuracy, hits = model.evaluate(x, y, verbose=0)
    assert accuracy == pytest.approx(hits)


def test_run_eagerly_runs_python_on_every_batch() -> None:
    x, y = rows()
    calls = []

    class Noted(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(3)

        def call(self, x: Any) -> Any:
            calls.append(tuple(x.shape))
            return self.dense(x)

    found = []
    for eager in (False, True):
        keras.utils.set_random_seed(6)
        model = Noted()
        model.compile(
            "sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            run_eagerly=eager,
        )  # fmt: skip
        calls.clear()
        model.fit(x, y, batch_size=5, epochs=2, verbose=0)
        found.append((len(calls), model.get_weights()))
    assert found[1][0] >= 8 > found[0][0]
    for mine, other in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-6)


def test_interrupted_training_leaves_a_usable_model() -> None:
    x, y = rows(200)

    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if batch == 2:
                raise KeyboardInterrupt

    model = network()
    with pytest.raises(KeyboardInterrupt), pytest.warns(RanvierWarning, match="RV501"):
        model.fit(x, y, verbose=0, callbacks=[Stop()])
    assert int(model.optimizer.iterations) == 3
    assert np.isfinite(model.evaluate(x, y, verbose=0))
    model.fit(x, y, verbose=0)


def test_ctrl_c_stops_at_a_step(tmp_path: Any) -> None:
    """In a process of its own: a signal in the middle of one native epoch."""
    import signal
    import subprocess
    import sys

    script = tmp_path / "long.py"
    script.write_text(
        "import numpy as np, ranvier as keras\n"
        "m = keras.Sequential([keras.Input((64,)), keras.layers.Dense(256),\n"
        "                      keras.layers.Dense(1)])\n"
        "m.compile('adam', 'mse')\n"
        "x = np.broadcast_to(np.float32(0), (4_000_000, 64))\n"
        "class Told(keras.callbacks.ProgbarLogger):\n"
        "    def update(self, step, rows=None, logs=None):\n"
        "        if step:\n"  # the engine is in the middle of an epoch
        "            print('step', flush=True)\n"
        "try:\n"
        "    m.fit(x, x[:, 0], batch_size=8, epochs=9, callbacks=[Told()])\n"
        "except KeyboardInterrupt:\n"
        "    assert 0 < int(m.optimizer.iterations) < 500_000\n"
        "    m.fit(x[:64], x[:64, 0], verbose=0)\n"
        "    print('stopped', m.predict(x[:2], verbose=0).shape, flush=True)\n"
    )
    child = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "step\n"
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=60)
    assert out.endswith("stopped (2, 1)\n")
    assert child.returncode == 0


# --------------------------------------------------------- several models, threads


def test_several_models_at_a_time() -> None:
    x, y = rows(40)
    models = [network() for _ in range(5)]
    alone = copy_weights = [m.get_weights() for m in models]
    for model in models:
        model.fit(x, y, shuffle=False, verbose=0)
    together = [m.get_weights() for m in models]
    for model, start in zip(models, copy_weights, strict=True):
        model.reset()
        model.set_weights(start)
    for _ in range(2):
        for model in models:
            model.predict(x, verbose=0)
    for model in models:
        model.fit(x, y, shuffle=False, verbose=0)
    for model, wanted in zip(models, together, strict=True):
        for mine, other in zip(model.get_weights(), wanted, strict=True):
            np.testing.assert_array_equal(mine, other)
    assert alone


def test_predict_from_several_threads() -> None:
    x, _ = rows(300)
    model = network()
    wanted = {n: model.predict(x[:n], verbose=0) for n in (1, 7, 32, 33, 300)}
    faults: list[Any] = []

    def ask() -> None:
        try:
            for _ in range(40):
                for n, output in wanted.items():
                    np.testing.assert_array_equal(
                        model.predict(x[:n], verbose=0), output
                    )
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults


@pytest.mark.parametrize("how", ["deepcopy", "pickle"])
def test_copies_of_a_model(how: str) -> None:
    x, y = rows()
    model = network(metrics=["accuracy"])
    model.fit(x, y, epochs=2, verbose=0)
    again = (
        copy.deepcopy(model) if how == "deepcopy" else pickle.loads(pickle.dumps(model))
    )
    wanted = model.predict(x, verbose=0)
    np.testing.assert_array_equal(again.predict(x, verbose=0), wanted)
    again.fit(x, y, epochs=2, verbose=0)
    np.testing.assert_array_equal(model.predict(x, verbose=0), wanted)
    assert int(model.optimizer.iterations) == 2
    assert int(again.optimizer.iterations) == 4
    model.fit(x, y, epochs=2, verbose=0)
    for mine, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)


# ---------------------------------------------------------------------- structure


def test_summary_tells_the_arithmetic() -> None:
    model = keras.Sequential(
        [
            keras.layers.Flatten(input_shape=(28, 28)),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(10),
        ]
    )
    lines: list[str] = []
    model.summary(print_fn=lines.append, explain=True, show_trainable=True)
    assert "128*(784+1) = 100,480" in lines[0]
    assert "128*(784+1) + 10*(128+1) = 101,770" in lines[0]


def test_structure_can_change() -> None:
    x, y = rows()
    model = network()
    model.fit(x, y, verbose=0)
    model.pop()
    model.add(keras.layers.Dense(5))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, verbose=0)
    assert model.predict(x, verbose=0).shape == (20, 5)
    assert [layer.name for layer in model.layers] == [v.name for v in model.layers]
    with pytest.raises(ShapeError, match="RV108"):
        model.add(keras.layers.Dense(2, name=model.layers[0].name))


def test_dtype_policies() -> None:
    layer = keras.layers.Dense(2, dtype="float64")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RanvierWarning)  # RV502, once a process
        assert layer(np.ones((1, 3))).dtype == "float64"
    with pytest.raises(ShapeError, match="RV100"):
        keras.layers.Dense(2, dtype="float17")


def test_training_argument_reaches_the_layers_inside() -> None:
    class Block(keras.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.drop = keras.layers.Dropout(0.5, seed=1)

        def call(self, x: Any) -> Any:
            return self.drop(x)

    x = np.ones((2, 30), "float32")
    model = keras.Sequential([Block()])
    np.testing.assert_array_equal(model(x).numpy(), x)
    np.testing.assert_array_equal(model.predict(x, verbose=0), x)
    assert (model(x, training=True).numpy() == 0).any()


def test_inputs_of_several_arrays() -> None:
    class Two(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(1)

        def call(self, inputs: Any) -> Any:
            return self.dense(inputs["a"]) + inputs["b"]

    x, _ = rows()
    model = Two()
    model.compile("sgd", "mse")
    data = {"a": x, "b": x[:, :1]}
    model.fit(data, x[:, 0], epochs=2, verbose=0, validation_split=0.2)
    assert model.predict(data, verbose=0).shape == (20, 1)
    assert np.isfinite(model.evaluate(data, x[:, 0], verbose=0))


def test_another_model_does_not_make_this_one_trace_again() -> None:
    x, y = rows()
    model = network()
    model.fit(x, y, verbose=0)
    (step,) = model._steps.values()
    network().fit(x, y, verbose=0)
    model.fit(x, y, verbose=0)
    assert list(model._steps.values()) == [step]
    model.layers[0].trainable = False
    model.fit(x, y, verbose=0)
    assert len(model._steps) == 2
    model.layers[0].trainable = True
    model.fit(x, y, verbose=0)
    assert len(model._steps) == 2


def test_a_single_column_may_be_flat() -> None:
    x = np.arange(-1.0, 5.0)
    model = keras.Sequential([keras.layers.Dense(1, input_shape=[1])])
    model.compile("sgd", "mse")
    model.fit(x, 2 * x - 1, epochs=200, verbose=0)
    for given in (np.array([10.0]), [10.0], np.array([[10.0]])):
        assert model.predict(given, verbose=0)[0, 0] == pytest.approx(19, abs=1)
    model = network()
    assert model.predict(rows()[0][..., None], verbose=0).shape == (20, 3)
    assert model.predict({"x": rows()[0]}, verbose=0).shape == (20, 3)
    with pytest.raises(ShapeError, match="RV100"):
        model.predict([rows()[0], rows()[0]], verbose=0)


def test_a_loss_without_targets() -> None:
    refused(network(), "RV106", "targets", x=rows()[0])


def test_a_network_too_large_for_memory() -> None:
    with pytest.raises(RanvierError, match="RV805") as caught:
        keras.Sequential([keras.Input((10**6,)), keras.layers.Dense(10**8)])
    assert "100,000,000,000,000" in str(caught.value)


# ------------------------------------------------------------- calls on arrays, build


def test_losses_of_a_call_on_arrays_can_be_read() -> None:
    class Halved(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            self.add_loss(ops.sum(x) / 2)
            return x

    class Outer(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Halved()

        def call(self, x: Any) -> Any:
            return self.inner(x)

    layer = Outer()
    assert layer.losses == []
    for value in (1.0, 3.0):
        layer(np.full((2, 2), value))
        assert [float(loss) for loss in layer.losses] == [2 * value]
    model = keras.Sequential([keras.Input((2,)), Outer(), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.ones((4, 2)), np.zeros((4, 1))
    model.set_weights([np.zeros((2, 1)), np.zeros(1)])
    model(x * 100)
    # A loss of an earlier call is no part of a later step's.
    assert model.fit(x, y, verbose=0).history["loss"] == [4.0]
    assert model.evaluate(x, y, verbose=0) == pytest.approx(4.0)


def test_build_makes_the_weights_of_a_model_of_ones_own(tmp_path: Any) -> None:
    class Stack(keras.Model):
        def __init__(self, units: Any, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.units = units
            self.parts = [keras.layers.Dense(u) for u in units]

        def call(self, x: Any) -> Any:
            for part in self.parts:
                x = part(x)
            return x

    model = Stack([16, 10])
    model.build((None, 5))
    assert model.count_params() == (5 * 16 + 16) + (16 * 10 + 10)
    x = np.ones((2, 5))
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras", {"Stack": Stack})
    np.testing.assert_array_equal(model(x).numpy(), again(x).numpy())

    class Pair(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = keras.layers.Dense(2), keras.layers.Dense(2)

        def call(self, inputs: Any) -> Any:
            return self.one(inputs[0]) + self.two(inputs[1])

    pair = Pair()
    pair.build([(None, 3), (None, 4)])
    assert pair.count_params() == (3 * 2 + 2) + (4 * 2 + 2)
