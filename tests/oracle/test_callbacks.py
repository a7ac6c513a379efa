"""Callbacks: the same logs through ours and through real Keras's give the same acts."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from ranvier import callbacks as ours

RNG = np.random.default_rng(0)
CURVES = [
    [5.0, 4.0, 3.0, 2.0, 1.0],
    [1.0, 2.0, 3.0, 4.0, 5.0],
    [3.0, 2.0, 2.0, 2.0, 1.0, 1.5, 1.2, 1.1, 1.0, 0.9],
    [1.0, float("nan"), 0.5, 0.6, 0.7, 0.7],
    *[list(RNG.normal(size=12).round(2)) for _ in range(4)],
]
RUNS = [
    ("EarlyStopping", {}),
    ("EarlyStopping", {"patience": 2, "restore_best_weights": True}),
    ("EarlyStopping", {"patience": 1, "mode": "max", "min_delta": 0.3}),
    ("EarlyStopping", {"patience": 2, "baseline": 0.5, "restore_best_weights": True}),
    ("EarlyStopping", {"start_from_epoch": 3, "restore_best_weights": True}),
    ("EarlyStopping", {"monitor": "loss", "patience": 1}),
    ("EarlyStopping", {"monitor": "missing", "mode": "min"}),
    ("ReduceLROnPlateau", {"patience": 1}),
    ("ReduceLROnPlateau", {"patience": 2, "factor": 0.5, "cooldown": 2}),
    ("ReduceLROnPlateau", {"patience": 0, "factor": 0.7, "min_lr": 0.03}),
    ("ReduceLROnPlateau", {"patience": 1, "mode": "max", "min_delta": 0.5}),
    ("ModelCheckpoint", {"filepath": "{epoch:02d}-{val_loss:.2f}.keras"}),
    ("ModelCheckpoint", {"filepath": "a.keras", "save_best_only": True}),
    (
        "ModelCheckpoint",
        {
            "filepath": "{epoch}.weights.h5",
            "save_best_only": True,
            "save_weights_only": True,
            "mode": "max",
            "initial_value_threshold": 0.2,
        },
    ),
    ("ModelCheckpoint", {"filepath": "{epoch}-{batch}.keras", "save_freq": 4}),
    ("LearningRateScheduler", {"schedule": lambda epoch, rate: rate * 0.9}),
    ("LearningRateScheduler", {"schedule": lambda epoch: 0.1 / (epoch + 1)}),
    ("TerminateOnNaN", {}),
]


class FakeOptimizer:
    learning_rate = np.float32(0.1)


class FakeModel:
    def __init__(self):
        self.optimizer = FakeOptimizer()
        self.stop_training = False
        self.metrics = []
        self.weights = 0
        self.acts = []

    def get_weights(self):
        return self.weights

    def set_weights(self, weights):
        self.weights = weights
        self.acts.append(("set_weights", weights))

    def save(self, path, overwrite=True):
        self.acts.append(("save", path))

    def save_weights(self, path, overwrite=True):
        self.acts.append(("save_weights", path))


def drive(module, given, curve):
    """The hooks of a `fit` of 3 batches an epoch; returns all that happened."""
    model = FakeModel()
    hooks = module.CallbackList([given], add_history=True, model=model, verbose=0)
    hooks.on_train_begin()
    for epoch, value in enumerate(curve):
        hooks.on_epoch_begin(epoch)
        for batch in range(3):
            hooks.on_train_batch_begin(batch)
            model.weights += 1
            hooks.on_train_batch_end(batch, {"loss": value})
        hooks.on_epoch_end(epoch, {"val_loss": value, "loss": value / 2})
        model.acts.append(("epoch", epoch, float(model.optimizer.learning_rate)))
        if model.stop_training:
            break
    hooks.on_train_end()
    return model


@pytest.mark.parametrize(
    ("name", "arguments"), RUNS, ids=[f"{name}-{i}" for i, (name, _) in enumerate(RUNS)]
)
def test_same_acts(keras, name, arguments):
    for curve in CURVES:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            real = drive(
                keras.callbacks, getattr(keras.callbacks, name)(**arguments), curve
            )
            own = drive(ours, getattr(ours, name)(**arguments), curve)
        assert own.acts == real.acts
        assert own.stop_training == real.stop_training
        np.testing.assert_equal(own.history.history, real.history.history)
        assert own.history.epoch == real.history.epoch


def test_csv_files_are_equal(keras, tmp_path):
    for curve in CURVES:
        for separator in (",", ";"):
            drive(
                keras.callbacks,
                keras.callbacks.CSVLogger(tmp_path / "real.csv", separator),
                curve,
            )
            drive(ours, ours.CSVLogger(tmp_path / "own.csv", separator), curve)
            own, real = tmp_path / "own.csv", tmp_path / "real.csv"
            assert own.read_text() == real.read_text()


def test_hooks_of_the_base_are_those_of_keras(keras):
    def hooks(cls):
        return {name for name in dir(cls) if name.startswith(("on_", "set_"))}

    assert hooks(ours.Callback) == hooks(keras.callbacks.Callback)


def test_a_callback_of_real_keras_is_taken(keras):
    class Theirs(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.losses = []

        def on_epoch_end(self, epoch, logs=None):
            self.losses.append(logs["loss"])

    given = Theirs()
    hooks = ours.CallbackList([given])
    assert not hooks.needs_batch_hooks
    drive(ours, given, [2.0, 1.0])
    assert given.losses == [1.0, 0.5]


def test_direction_of_metrics_is_that_of_keras(keras):
    """By name alone, as it must be for metrics that do not say it themselves."""
    half, classes = (0.5,), (2, [0])
    arguments = {
        "PrecisionAtRecall": half,
        "RecallAtPrecision": half,
        "SensitivityAtSpecificity": half,
        "SpecificityAtSensitivity": half,
        "IoU": classes,
        "OneHotIoU": classes,
        "MeanIoU": (2,),
        "OneHotMeanIoU": (2,),
        "MeanMetricWrapper": (lambda y_true, y_pred: y_true,),
    }
    directions = set()
    for name, cls in vars(keras.metrics).items():
        if not isinstance(cls, type) or name == "Metric":
            continue
        metric = cls(*arguments.get(name, ()))
        watching = ours.EarlyStopping(f"val_{metric.name}")
        watching.set_model(FakeModel())
        wanted = getattr(metric, "_direction", None)
        assert watching._direction() == wanted, name
        directions.add(wanted)
    assert directions == {"up", "down", None}
