"""Training against real Keras: histories, weights, evaluation, prediction."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ranvier

ROWS = 53  # batches of 16 leave a last one of 5


def table(classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows of 6 numbers and a label that follows from them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(ROWS, 6)).astype("float32")
    y = (x @ rng.normal(size=(6, classes))).argmax(1)
    return x, y.astype("int64")


def same_history(ours: Any, theirs: Any, rtol: float = 1e-4) -> None:
    """The same names in the same order, the same numbers."""
    mine, other = ours.history, theirs.history
    assert list(mine) == list(other)
    for name, values in other.items():
        np.testing.assert_allclose(
            mine[name], values, rtol=rtol, atol=1e-5, err_msg=name
        )


def same_weights(ours: Any, theirs: Any, atol: float = 1e-5) -> None:
    for mine, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=atol)


def networks(keras: Any, make: Any) -> tuple[Any, Any]:
    """`make(library)` in both, with Keras's weights in both."""
    theirs, ours = make(keras), make(ranvier)
    ours.set_weights(theirs.get_weights())
    return ours, theirs


def classifier(library: Any, units: int = 3, activation: Any = None) -> Any:
    return library.Sequential(
        [
            library.Input((6,)),
            library.layers.Dense(16, activation="relu"),
            library.layers.Dense(12, activation="tanh"),
            library.layers.Dense(units, activation=activation),
        ]
    )


OPTIMIZERS: dict[str, dict[str, Any]] = {
    "SGD": {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True},
    "RMSprop": {"centered": True},
    "Adam": {"learning_rate": 0.01, "amsgrad": True},
    "AdamW": {"weight_decay": 0.02, "clipnorm": 0.5},
    "Nadam": {"learning_rate": 0.01, "global_clipnorm": 1.0},
    "Adagrad": {"learning_rate": 0.1, "use_ema": True, "ema_momentum": 0.9},
    "Lion": {"clipvalue": 0.5},
}


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_fit(keras: Any, name: str) -> None:
    x, y = table()
    ours, theirs = networks(keras, classifier)
    runs = []
    for library, model in ((ranvier, ours), (keras, theirs)):
        model.compile(
            optimizer=getattr(library.optimizers, name)(**OPTIMIZERS[name]),
            loss=library.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy", library.metrics.SparseTopKCategoricalAccuracy(2)],
        )
        runs.append(
            model.fit(
                x, y, batch_size=16, epochs=3, shuffle=False, verbose=0,
                validation_split=0.2,
            )
        )  # fmt: skip
    same_history(*runs)
    same_weights(ours, theirs)
    np.testing.assert_allclose(
        ours.evaluate(x, y, batch_size=20, verbose=0),
        theirs.evaluate(x, y, batch_size=20, verbose=0),
        rtol=1e-4,
        atol=1e-5,
    )
    np.testing.assert_allclose(
        ours.predict(x, verbose=0), theirs.predict(x, verbose=0), rtol=1e-3, atol=1e-4
    )
    assert ours.optimizer.iterations.numpy() == np.asarray(theirs.optimizer.iterations)


def test_second_fit_continues(keras: Any) -> None:
    x, y = table()
    ours, theirs = networks(keras, classifier)
    for library, model in ((ranvier, ours), (keras, theirs)):
        model.compile(
            library.optimizers.Adam(0.01),
            library.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        model.fit(x, y, epochs=2, shuffle=False, verbose=0)
    runs = [
        m.fit(x, y, epochs=4, initial_epoch=2, shuffle=False, verbose=0)
        for m in (ours, theirs)
    ]
    assert runs[0].epoch == runs[1].epoch
    same_history(*runs)


@pytest.mark.parametrize(
    "case", ["sample_weight", "class_weight", "both", "validation"]
)
def test_weights_of_rows(keras: Any, case: str) -> None:
    x, y = table(2)
    w = np.random.default_rng(3).random(ROWS)
    given: dict[str, Any] = {}
    if case in ("sample_weight", "both"):
        given["sample_weight"] = w
    if case in ("class_weight", "both"):
        given["class_weight"] = {0: 0.3, 1: 2.5}
    if case == "validation":
        given["validation_data"] = (x[:20], y[:20], w[:20])
    if case == "both":
        # Keras refuses the pair for arrays of its own kind; ours multiplies them.
        del given["class_weight"]
        given["sample_weight"] = w * np.where(y == 1, 2.5, 0.3)
    ours, theirs = networks(keras, lambda k: classifier(k, 1, "sigmoid"))
    runs = []
    for library, model in ((ranvier, ours), (keras, theirs)):
        model.compile(
            optimizer="adam",
            loss="binary_crossentropy",
            metrics=["accuracy"],
            weighted_metrics=["accuracy", library.metrics.AUC(name="auc")],
        )
        runs.append(
            model.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0, **given)
        )
    same_history(*runs)
    found = ours.evaluate(x, y, sample_weight=w, verbose=0, return_dict=True)
    wanted = theirs.evaluate(x, y, sample_weight=w, verbose=0, return_dict=True)
    assert list(found) == list(wanted)
    np.testing.assert_allclose(
        list(found.values()), list(wanted.values()), rtol=1e-4, atol=1e-5
    )


def test_metrics_of_two_classes(keras: Any) -> None:
    x, y = table(2)
    ours, theirs = networks(keras, lambda k: classifier(k, 1, "sigmoid"))
    runs = []
    for library, model in ((ranvier, ours), (keras, theirs)):
        metrics = library.metrics
        model.compile(
            optimizer="sgd",
            loss="binary_crossentropy",
            metrics=[
                "accuracy", "mse", metrics.AUC(name="auc"),
                metrics.Precision(name="precision"), metrics.Recall(name="recall"),
                metrics.F1Score(name="f1", threshold=0.5),
            ],
        )  # fmt: skip
        runs.append(
            model.fit(
                x, y[:, None], batch_size=16, epochs=3, shuffle=False, verbose=0,
                validation_split=0.3,
            )
        )  # fmt: skip
    mine, other = ({k: np.ravel(v) for k, v in run.history.items()} for run in runs)
    assert list(mine) == list(other)
    for name, values in other.items():
        np.testing.assert_allclose(mine[name], values, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("loss", ["mse", "mae", "huber", "log_cosh", "msle"])
def test_regression_with_flat_targets(keras: Any, loss: str) -> None:
    x, _ = table()
    y = np.abs(x[:, 0] * x[:, 1])
    ours, theirs = networks(keras, lambda k: classifier(k, 1, "softplus"))
    runs = []
    for library, model in ((ranvier, ours), (keras, theirs)):
        model.compile(
            library.optimizers.RMSprop(0.005),
            loss,
            metrics=["mae", library.metrics.R2Score()],
        )
        target = y if model is ours else y[:, None]
        runs.append(
            model.fit(
                x, target, epochs=3, batch_size=16, shuffle=False, verbose=0,
                validation_data=(x[:9], target[:9]), validation_batch_size=4,
            )
        )  # fmt: skip
    same_history(*runs)


def test_one_batch_at_a_time(keras: Any) -> None:
    x, y = table()
    ours, theirs = networks(keras, lambda k: classifier(k, 3, "softmax"))
    for model in (ours, theirs):
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    for start in (0, 20, 40):
        part = slice(start, start + 20)
        for given in (
            {},
            {"sample_weight": np.linspace(0, 1, len(x[part]))},
            {"class_weight": {0: 2.0, 2: 0.5}},
        ):
            np.testing.assert_allclose(
                ours.train_on_batch(x[part], y[part], **given),
                theirs.train_on_batch(x[part], y[part], **given),
                rtol=1e-4,
                atol=1e-5,
            )
    found = ours.test_on_batch(x, y, return_dict=True)
    wanted = theirs.test_on_batch(x, y, return_dict=True)
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        ours.predict_on_batch(x), theirs.predict_on_batch(x), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("rows", [7, 10, 31, 53])
@pytest.mark.parametrize("share", [0.1, 0.25, 0.29, 0.5])
def test_validation_split(keras: Any, rows: int, share: float) -> None:
    from keras.src.trainers.data_adapters import array_slicing

    from ranvier.data import train_validation_split

    x = np.arange(rows)
    (mine, _, _), (held, _, _) = train_validation_split((x, None, None), share)
    (other,), (wanted,) = array_slicing.train_validation_split((x,), share)
    np.testing.assert_array_equal(mine, other)
    np.testing.assert_array_equal(held, wanted)


def two_headed(library: Any, outputs: str) -> Any:
    """A subclass with two outputs, as a list or a dict."""

    class TwoHeads(library.Model):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.body = library.layers.Dense(8, activation="relu")
            self.kind = library.layers.Dense(3)
            self.size = library.layers.Dense(1)

        def call(self, x: Any) -> Any:
            h = self.body(x)
            if outputs == "dict":
                return {"kind": self.kind(h), "size": self.size(h)}
            return [self.kind(h), self.size(h)]

    model = TwoHeads()
    model(np.zeros((1, 6), "float32"))
    return model


@pytest.mark.parametrize("outputs", ["dict", "list"])
@pytest.mark.parametrize("weighted", [False, True])
def test_two_outputs(keras: Any, outputs: str, weighted: bool) -> None:
    x, kind = table()
    size = x[:, :1] * 2
    ours, theirs = networks(keras, lambda k: two_headed(k, outputs))
    runs = []
    for library, model in ((ranvier, ours), (keras, theirs)):
        crossentropy = library.losses.SparseCategoricalCrossentropy(from_logits=True)
        if outputs == "dict":
            given: dict[str, Any] = {
                "loss": {"kind": crossentropy, "size": "mse"},
                "metrics": {"kind": ["accuracy"], "size": ["mae", "mse"]},
            }
            weights: Any = {"kind": 0.3, "size": 2.0}
            y: Any = {"kind": kind, "size": size}
        else:
            given = {
                "loss": [crossentropy, "mse"],
                "metrics": [["accuracy"], ["mae"]],
            }
            weights, y = [0.3, 2.0], [kind, size]
        if weighted:
            given["loss_weights"] = weights
        model.compile(optimizer="adam", **given)
        runs.append(
            model.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0,
                      validation_data=(x[:20], _head(y, 20)))
        )  # fmt: skip
    same_history(*runs)
    found, wanted = ours.predict(x, verbose=0), theirs.predict(x, verbose=0)
    assert type(found) is type(wanted)
    keys = wanted if outputs == "dict" else range(2)
    for key in keys:
        np.testing.assert_allclose(found[key], wanted[key], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(
        ours.evaluate(x, y, verbose=0), theirs.evaluate(x, y, verbose=0), rtol=1e-4
    )


def _head(y: Any, rows: int) -> Any:
    if isinstance(y, dict):
        return {k: v[:rows] for k, v in y.items()}
    return [v[:rows] for v in y]


def test_own_layer_loss_and_metric(keras: Any) -> None:
    x, _ = table()
    y = x[:, :2] ** 2

    def make(library: Any) -> Any:
        ops = library.ops

        class Gated(library.layers.Layer):  # type: ignore[misc,name-defined]
            def __init__(self, units: int) -> None:
                super().__init__()
                self.inner = library.layers.Dense(units)
                self.units = units

            def build(self, input_shape: Any) -> None:
                self.inner.build(input_shape)
                self.gate = self.add_weight(
                    shape=(self.units,), initializer="ones", regularizer="l2"
                )
                self.built = True

            def call(self, x: Any) -> Any:
                h = self.inner(x)
                self.add_loss(0.01 * ops.mean(ops.square(h)))
                return ops.sigmoid(self.gate * h) * h

        return library.Sequential(
            [library.Input((6,)), Gated(9), library.layers.Dense(2)]
        )

    ours, theirs = networks(keras, make)
    runs = []
    for library, model in ((ranvier, ours), (keras, theirs)):
        ops = library.ops

        def quartic(y_true: Any, y_pred: Any, ops: Any = ops) -> Any:
            return ops.mean(ops.square(ops.square(y_true - y_pred)), axis=-1)

        def worst(y_true: Any, y_pred: Any, ops: Any = ops) -> Any:
            return ops.max(ops.abs(y_true - y_pred), axis=-1)

        class Above(library.metrics.Metric):  # type: ignore[misc,name-defined]
            def __init__(self, name: str = "above") -> None:
                super().__init__(name=name)
                self.seen = self.add_variable(
                    shape=(), initializer="zeros", name="seen"
                )

            def update_state(
                self, y_true: Any, y_pred: Any, sample_weight: Any = None,
                ops: Any = ops,
            ) -> None:  # fmt: skip
                self.seen.assign_add(ops.sum(ops.cast(y_pred > y_true, "float32")))

            def result(self) -> Any:
                return self.seen.value

        model.compile(
            library.optimizers.SGD(1e-4, momentum=0.9),
            quartic,
            metrics=[worst, Above()],
        )
        runs.append(model.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0))
    # A run that diverges would compare rounding errors, not libraries.
    losses = runs[0].history["loss"]
    assert losses[-1] < losses[0]
    same_history(*runs)
    same_weights(ours, theirs)


def test_regularizers_activity_and_constraints(keras: Any) -> None:
    x, y = table()

    def make(library: Any) -> Any:
        return library.Sequential(
            [
                library.Input((6,)),
                library.layers.Dense(
                    8, activation="relu", kernel_regularizer=library.regularizers.L1L2(0.01, 0.02),
                    bias_regularizer="l2", activity_regularizer="l1",
                    kernel_constraint=library.constraints.MaxNorm(0.5),
                ),
                library.layers.Dense(3, kernel_constraint="non_neg"),
            ]
        )  # fmt: skip

    ours, theirs = networks(keras, make)
    runs = []
    for library, model in ((ranvier, ours), (keras, theirs)):
        model.compile(
            library.optimizers.SGD(0.1),
            library.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        runs.append(
            model.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0,
                      validation_split=0.2)
        )  # fmt: skip
    same_history(*runs)
    same_weights(ours, theirs)


def test_frozen_layers_stay(keras: Any) -> None:
    x, y = table()
    ours, theirs = networks(keras, classifier)
    runs = []
    for library, model in ((ranvier, ours), (keras, theirs)):
        model.layers[0].trainable = False
        model.compile(
            "adam", library.losses.SparseCategoricalCrossentropy(from_logits=True)
        )
        runs.append(model.fit(x, y, epochs=2, shuffle=False, verbose=0))
        assert len(model.trainable_weights) == 4
    same_history(*runs)
    same_weights(ours, theirs)


def test_nested_models(keras: Any) -> None:
    x, y = table()

    def make(library: Any) -> Any:
        body = library.Sequential(
            [library.Input((6,)), library.layers.Dense(5, activation="elu")]
        )
        return library.Sequential([body, library.layers.Dense(3)])

    ours, theirs = networks(keras, make)
    runs = []
    for library, model in ((ranvier, ours), (keras, theirs)):
        model.compile(
            "rmsprop", library.losses.SparseCategoricalCrossentropy(from_logits=True)
        )
        runs.append(model.fit(x, y, epochs=3, shuffle=False, verbose=0))
    same_history(*runs)
    assert ours.output_shape == theirs.output_shape


def test_schedule_and_accumulation(keras: Any) -> None:
    x, y = table()
    ours, theirs = networks(keras, classifier)
    runs = []
    for library, model in ((ranvier, ours), (keras, theirs)):
        schedule = library.optimizers.schedules.ExponentialDecay(0.1, 3, 0.7)
        model.compile(
            library.optimizers.SGD(schedule, gradient_accumulation_steps=2),
            library.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        runs.append(model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0))
    same_history(*runs)
    same_weights(ours, theirs)


@pytest.mark.parametrize("more", [{}, {"validation_batch_size": 16}])
@pytest.mark.parametrize("steps", [None, 2])
def test_generators_and_steps(keras: Any, steps: int | None, more: Any) -> None:
    x, y = table()
    ours, theirs = networks(keras, classifier)

    def batches() -> Any:
        while True:
            for start in range(0, ROWS, 16):
                yield x[start : start + 16], y[start : start + 16]

    runs = []
    for library, model in ((ranvier, ours), (keras, theirs)):
        model.compile(
            "adam", library.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )  # fmt: skip
        if steps:
            run = model.fit(
                batches(), steps_per_epoch=steps, epochs=3, verbose=0, shuffle=False,
                validation_data=(x, y), validation_steps=2, **more,
            )  # fmt: skip
        else:
            run = model.fit(
                x, y, batch_size=16, steps_per_epoch=2, epochs=3, shuffle=False,
                verbose=0, validation_data=(x, y), validation_freq=2, **more,
            )  # fmt: skip
        runs.append(run)
    same_history(*runs)


def test_overridden_train_step(keras: Any) -> None:
    """The same program, but for the three lines that differ between backends."""
    x, _ = table()
    y = x[:, :1] * 3

    class Ours(ranvier.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = ranvier.layers.Dense(1)
            self.error = ranvier.metrics.MeanAbsoluteError(name="mae")

        def call(self, x: Any) -> Any:
            return self.dense(x)

        def train_step(self, data: Any) -> Any:
            x, y = data
            y_pred = self(x, training=True)
            loss = 2 * ranvier.ops.mean(ranvier.ops.square(y - y_pred))
            slopes = ranvier.gradients(loss, self.trainable_variables)
            self.optimizer.apply(slopes, self.trainable_variables)
            self.error.update_state(y, y_pred)
            return {"loss": loss, "mae": self.error.result()}

    ours = Ours()
    ours(x[:1])
    theirs = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)])
    theirs.set_weights(ours.get_weights())
    ours.compile(ranvier.optimizers.SGD(0.05))
    theirs.compile(keras.optimizers.SGD(0.05), "mse", loss_weights=2.0, metrics=["mae"])
    mine = ours.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0)
    other = theirs.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0)
    same_weights(ours, theirs)
    np.testing.assert_allclose(mine.history["mae"], other.history["mae"], rtol=1e-4)
    assert list(mine.history) == ["loss", "mae"]


def test_float64_integers_and_one_hot(keras: Any) -> None:
    x, y = table()
    one_hot = np.eye(3)[y]
    pixels = (np.abs(x) * 50).astype("uint8")
    ours, theirs = networks(keras, lambda k: classifier(k, 3, "softmax"))
    runs = []
    for model in (ours, theirs):
        model.compile("sgd", "categorical_crossentropy", metrics=["accuracy", "auc"])
        run = model.fit(
            pixels.astype("float64") / 255, one_hot, epochs=2, shuffle=False, verbose=0
        )
        runs.append(run)
    same_history(*runs)
    for model in (ours, theirs):
        runs.append(model.fit(pixels, one_hot, epochs=1, shuffle=False, verbose=0))
    same_history(*runs[2:], rtol=1e-3)
