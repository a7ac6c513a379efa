"""Callbacks on a model that only notes what they do to it."""

from __future__ import annotations

import csv
import io
import itertools

import numpy as np
import pytest

from ranvier import callbacks
from ranvier.callbacks import progress
from ranvier.errors import FileError, NumericsError, ShapeError


class FakeOptimizer:
    def __init__(self, learning_rate=0.1):
        self.learning_rate = np.float32(learning_rate)


class FakeModel:
    """Has weights that change every epoch, and remembers calls."""

    def __init__(self):
        self.optimizer = FakeOptimizer()
        self.stop_training = False
        self.weights = 0
        self.saved = []
        self.metrics = []

    def get_weights(self):
        return self.weights

    def set_weights(self, weights):
        self.weights = weights

    def save(self, path, overwrite=True):
        self.saved.append(("model", path))

    def save_weights(self, path, overwrite=True):
        self.saved.append(("weights", path))


def drive(given, logs, batches=3, verbose=0):
    """The hooks of a `fit` with validation, in order."""
    model = FakeModel()
    hooks = callbacks.CallbackList(
        given,
        add_history=True,
        model=model,
        verbose=verbose,
        epochs=len(logs),
        steps=batches,
    )
    hooks.on_train_begin()
    for epoch, epoch_logs in enumerate(logs):
        hooks.on_epoch_begin(epoch)
        for batch in range(batches):
            hooks.on_train_batch_begin(batch)
            model.weights += 1
            hooks.on_train_batch_end(batch, {"loss": epoch_logs["loss"]})
        hooks.on_test_begin()
        hooks.on_test_batch_begin(0)
        hooks.on_test_batch_end(0, {})
        hooks.on_test_end({})
        hooks.on_epoch_end(epoch, dict(epoch_logs))
        if model.stop_training:
            break
    hooks.on_train_end()
    return model


def losses(*values):
    return [{"loss": v, "val_loss": v} for v in values]


class Recorder(callbacks.Callback):
    def __init__(self, seen):
        super().__init__()
        self.seen = seen

    def __getattribute__(self, name):
        if name.startswith("on_"):
            seen = object.__getattribute__(self, "seen")
            return lambda *args, logs=None: seen.append((name, *args))
        return object.__getattribute__(self, name)


def test_order_of_hooks():
    seen = []
    drive([Recorder(seen)], losses(1.0), batches=1)
    assert [name for name, *_ in seen] == [
        "on_train_begin",
        "on_epoch_begin",
        "on_train_batch_begin",
        "on_train_batch_end",
        "on_test_begin",
        "on_test_batch_begin",
        "on_test_batch_end",
        "on_test_end",
        "on_epoch_end",
        "on_train_end",
    ]


def test_history_sorts_flattens_and_converts():
    model = drive([], [{"loss": np.float32(1.5), "b": {"z": 1}, "a": "text"}])
    history = model.history
    assert list(history.history) == ["a", "z", "loss"]
    assert history.history == {"a": ["text"], "z": [1.0], "loss": [1.5]}
    assert type(history.history["loss"][0]) is float
    assert history.epoch == [0]


def test_nested_lists_and_given_history_are_taken():
    mine = callbacks.History()
    hooks = callbacks.CallbackList([[mine], callbacks.Callback()], add_history=True)
    assert hooks.history is mine
    assert len(hooks.callbacks) == 2


def test_needs_batch_hooks_only_where_something_happens():
    def needs(*given):
        return callbacks.CallbackList(list(given)).needs_batch_hooks

    assert not needs()
    assert not needs(
        callbacks.EarlyStopping(),
        callbacks.ReduceLROnPlateau(),
        callbacks.ModelCheckpoint("a.keras"),
        callbacks.CSVLogger("a.csv"),
        callbacks.LearningRateScheduler(lambda epoch: 0.1),
        callbacks.LambdaCallback(on_epoch_end=print),
        callbacks.ProgbarLogger(),
    )
    assert needs(callbacks.TerminateOnNaN())
    assert needs(callbacks.ModelCheckpoint("a.keras", save_freq=3))
    assert needs(callbacks.LambdaCallback(on_train_batch_end=print))
    assert needs(callbacks.LambdaCallback(on_batch_end=print))

    class Older(callbacks.Callback):
        def on_batch_end(self, batch, logs=None):
            pass

    class Testing(callbacks.Callback):
        def on_test_batch_end(self, batch, logs=None):
            pass

    assert needs(Older())
    assert not needs(Testing())
    assert callbacks.CallbackList([Testing()]).needs_test_batch_hooks
    assert not callbacks.CallbackList([Testing()]).needs_predict_batch_hooks


def test_early_stopping_restores_the_best_weights(capsys):
    stop = callbacks.EarlyStopping(patience=2, restore_best_weights=True, verbose=1)
    model = drive([stop], losses(3.0, 1.0, 2.0, 2.0, 0.5))
    assert (stop.best_epoch, stop.stopped_epoch) == (1, 3)
    assert model.weights == 6  # after epoch 1: two epochs of three batches
    assert model.history.epoch == [0, 1, 2, 3]
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "epoch 4: stopped early" in captured.err


def test_early_stopping_without_its_number_warns():
    with pytest.warns(UserWarning, match="'val_loss' is not among the logs: loss"):
        drive([callbacks.EarlyStopping()], [{"loss": 1.0}])


def test_unknown_direction_is_refused_and_known_ones_are_found():
    with pytest.raises(ShapeError, match="RV100"):
        drive([callbacks.EarlyStopping("strange")], [{"loss": 1.0, "strange": 1.0}])
    for name, better in (("val_accuracy", 1.0), ("val_mae", 0.1), ("auc", 0.9)):
        stop = callbacks.EarlyStopping(name)
        stop.set_model(FakeModel())
        stop.on_train_begin()
        stop.on_epoch_end(0, {name: 0.5})
        stop.on_epoch_end(1, {name: better})
        assert stop.best == better


def test_model_checkpoint_paths(tmp_path):
    path = str(tmp_path / "deep" / "{epoch:02d}-{val_loss:.2f}.keras")
    model = drive([callbacks.ModelCheckpoint(path)], losses(1.0, 0.5))
    folder = str(tmp_path / "deep")
    assert model.saved == [
        ("model", f"{folder}/01-1.00.keras"),
        ("model", f"{folder}/02-0.50.keras"),
    ]


def test_model_checkpoint_best_only_and_weights_only(tmp_path):
    keep = callbacks.ModelCheckpoint(
        tmp_path / "b.weights.h5",
        save_best_only=True,
        save_weights_only=True,
        initial_value_threshold=0.8,
    )
    model = drive([keep], losses(1.0, 0.7, 0.9, 0.6))
    assert model.saved == [("weights", str(tmp_path / "b.weights.h5"))] * 2
    assert keep.best == 0.6


def test_model_checkpoint_every_few_batches(tmp_path):
    keep = callbacks.ModelCheckpoint(
        str(tmp_path / "{epoch}-{batch}.keras"), save_freq=2
    )
    model = drive([keep], losses(1.0, 0.7), batches=3)
    names = [path.rsplit("/", 1)[1] for _, path in model.saved]
    assert names == ["1-2.keras", "2-1.keras", "2-3.keras"]


def test_model_checkpoint_refuses(tmp_path):
    with pytest.raises(ShapeError, match=r"\.keras"):
        callbacks.ModelCheckpoint("model.txt")
    with pytest.raises(ShapeError, match=r"weights\.h5"):
        callbacks.ModelCheckpoint("model.keras", save_weights_only=True)
    with pytest.raises(ShapeError, match="save_freq"):
        callbacks.ModelCheckpoint("model.keras", save_freq=1.5)
    with pytest.raises(KeyError, match="RV100"):
        drive([callbacks.ModelCheckpoint("{nothing}.keras")], losses(1.0))
    (tmp_path / "folder.keras").mkdir()
    with pytest.raises(FileError, match="RV603"):
        drive([callbacks.ModelCheckpoint(tmp_path / "folder.keras")], losses(1.0))


def test_reduce_lr_on_plateau_logs_the_rate():
    reduce = callbacks.ReduceLROnPlateau(patience=1, factor=0.5, min_lr=0.03)
    model = drive([reduce], losses(1.0, 1.0, 1.0, 1.0, 1.0))
    assert float(model.optimizer.learning_rate) == pytest.approx(0.03)
    rates = model.history.history["learning_rate"]
    assert rates == pytest.approx([0.1, 0.1, 0.05, 0.03, 0.03])
    with pytest.raises(ShapeError, match="factor"):
        callbacks.ReduceLROnPlateau(factor=1.0)


def test_learning_rate_scheduler_both_signatures():
    one = callbacks.LearningRateScheduler(lambda epoch: 1.0 / (epoch + 1))
    two = callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5)
    assert drive([one], losses(1, 1)).optimizer.learning_rate == pytest.approx(0.5)
    assert drive([two], losses(1, 1)).optimizer.learning_rate == pytest.approx(0.025)
    with pytest.raises(ShapeError, match="must return a float"):
        drive([callbacks.LearningRateScheduler(lambda epoch: "x")], losses(1))

    def broken(epoch, rate):
        raise TypeError("inside")

    with pytest.raises(TypeError, match="inside"):
        drive([callbacks.LearningRateScheduler(broken)], losses(1))


def test_csv_logger_appends_and_keeps_columns(tmp_path):
    path = tmp_path / "log.csv"
    drive([callbacks.CSVLogger(path)], losses(1.0, 0.5))
    drive([callbacks.CSVLogger(path, append=True)], losses(0.25))
    with open(path) as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["epoch", "loss", "val_loss"],
        ["0", "1.0", "1.0"],
        ["1", "0.5", "0.5"],
        ["0", "0.25", "0.25"],
    ]
    with pytest.raises(FileError, match="RV603"):
        drive([callbacks.CSVLogger(tmp_path / "none" / "log.csv")], losses(1.0))


def test_csv_logger_without_validation_at_first(tmp_path):
    path = tmp_path / "log.csv"
    drive(
        [callbacks.CSVLogger(path, separator=";")],
        [{"loss": 1.0}, {"loss": 0.5, "val_loss": 2.0}],
    )
    assert path.read_text().splitlines() == [
        "epoch;loss;val_loss",
        "0;1.0;NA",
        "1;0.5;2.0",
    ]


def test_lambda_callback():
    seen = []
    drive(
        [
            callbacks.LambdaCallback(
                on_epoch_end=lambda epoch, logs: seen.append((epoch, logs["loss"])),
                on_train_batch_end=lambda batch, logs: seen.append(batch),
                on_test_end=lambda logs: seen.append("test"),
            )
        ],
        losses(1.0),
        batches=2,
    )
    assert seen == [0, 1, "test", (0, 1.0)]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_terminate_on_nan(value):
    model = drive([callbacks.TerminateOnNaN()], losses(1.0, value, 1.0))
    assert model.stop_training
    assert model.history.epoch == [0, 1]
    with pytest.raises(NumericsError, match="RV301"):
        drive([callbacks.TerminateOnNaN(raise_error=True)], losses(value))
    with pytest.raises(RuntimeError):
        drive([callbacks.TerminateOnNaN(raise_error=True)], losses(value))


class Terminal(io.StringIO):
    def isatty(self):
        return True


def fit_with_progress(stream, verbose, clock, monkeypatch):
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    monkeypatch.delenv("TERM", raising=False)
    bar = callbacks.ProgbarLogger(stream)
    hooks = callbacks.CallbackList(
        [bar], model=FakeModel(), verbose=verbose, epochs=2, steps=4
    )
    hooks.on_train_begin()
    for epoch in range(2):
        hooks.on_epoch_begin(epoch)
        for step in range(1, 5):
            bar.update(step, rows=32 * step, logs={"loss": 1 / step})
        hooks.on_test_begin()
        hooks.on_test_end({"loss": 5.0})
        hooks.on_epoch_end(epoch, {"loss": 0.25, "val_loss": 0.5})
    hooks.on_train_end()
    return stream.getvalue()


def test_progress_in_a_log_is_one_complete_line_an_epoch(monkeypatch):
    for verbose in (1, 2, "auto"):
        text = fit_with_progress(
            io.StringIO(), verbose, itertools.count(0, 0.5), monkeypatch
        )
        lines = text.splitlines()
        assert len(lines) == 2
        assert not set(text) & {"\r", "\b", "\x1b"}
        fields = dict(field.split("=") for field in lines[1].split()[1:])
        assert fields["epoch"] == "2/2"
        assert fields["updates"] == "4/4"
        assert fields["rows"] == "128"
        assert (fields["loss"], fields["val_loss"]) == ("0.25", "0.5")
        assert "secs" in fields


def test_progress_on_a_terminal_is_redrawn(monkeypatch):
    text = fit_with_progress(Terminal(), 1, itertools.count(0, 0.5), monkeypatch)
    assert text.count("\n") == 2
    assert text.count("\r") == 2 * (4 + 1)
    assert "epoch 1/2" in text
    assert "━" in text
    assert "val_loss 0.5" in text


def test_progress_is_drawn_at_most_ten_times_a_second(monkeypatch):
    text = fit_with_progress(Terminal(), 1, itertools.count(0, 0.001), monkeypatch)
    assert text.count("\r") == 2


def test_progress_quiet_and_terse(monkeypatch):
    clock = itertools.count(0, 0.5)
    assert fit_with_progress(Terminal(), 0, clock, monkeypatch) == ""
    assert fit_with_progress(Terminal(), 2, clock, monkeypatch).count("\r") == 2


def test_progress_watches_counters():
    bar = callbacks.ProgbarLogger(Terminal())
    bar.set_params({"verbose": 1, "epochs": 1, "steps": 10})
    bar.on_epoch_begin(0)
    with bar.watch(lambda: (10, 320)):
        pass
    bar.on_epoch_end(0, {"loss": 1.0})
    assert "10/10 updates" in bar.stream.getvalue()
    assert "rows/s" in bar.stream.getvalue()


def test_progress_of_evaluate_and_predict():
    bar = callbacks.ProgbarLogger(io.StringIO())
    bar.set_params({"verbose": 1, "steps": 3, "rows": 90})
    bar.on_test_begin()
    bar.on_test_end({"accuracy": 0.75, "loss": 0.5})
    bar.on_predict_begin()
    bar.on_predict_end({"outputs": np.zeros(3)})
    first, second = bar.stream.getvalue().splitlines()
    assert "batches=3/3 rows=90 accuracy=0.75 loss=0.5" in first
    assert "outputs" not in second
