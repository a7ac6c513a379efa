"""``ranvier train``: trains a network on Fashion-MNIST, or continues a run."""

from __future__ import annotations

import itertools
import math
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ranvier as keras
from ranvier.cli.images_data import Data, load
from ranvier.cli.output import Output, number
from ranvier.cli.runs import Run
from ranvier.errors import NumericsError, RanvierError, ResumeError, ShapeError

__all__ = ["main"]

OK, ERROR, USAGE, DIVERGED, INTERRUPTED = 0, 1, 2, 3, 130
#: Seconds of training after which the model is saved at the end of an epoch.
SAVE_EVERY = 10.0
#: A loss from which nobody comes back.
DIVERGED_LOSS = 1e6


def main(
    *,
    dataset: str | None,
    layers: tuple[int, ...],
    activation: str,
    optimizer: str,
    learning_rate: float | None,
    epochs: int | None,
    batch_size: int,
    validation_split: float,
    seed: int,
    threads: int | None,
    out: Path | None,
    resume: Path | None,
    sample: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Does what the command line asked and returns the exit code."""
    output = Output(as_json=as_json, quiet=quiet)
    output.catch_findings()
    if resume is not None:
        return _resume(resume, epochs, output)
    config: dict[str, Any] = {
        "name": "fashion-mnist",
        "layers": list(layers),
        "activation": activation,
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "epochs": epochs or 10,
        "batch_size": batch_size,
        "validation_split": validation_split,
        "seed": seed,
        "sample": sample,
    }
    keras.utils.set_random_seed(seed)
    try:
        model = _build(config)
    except ShapeError as fault:
        # A name that nobody knows, or a value out of range, came from the options.
        output.error(fault)
        return USAGE
    data = load(output, sample=sample)
    config["sample"] = data.sample
    rows = _training_rows(len(data.x_train), config)
    run = Run.create(
        "fashion-mnist",
        out,
        {
            **config,
            "class_names": list(keras.datasets.fashion_mnist.class_names),
            "data": {
                "source": data.source,
                "train_rows": len(data.x_train),
                "test_rows": len(data.x_test),
                "checksum": data.checksum(),
            },
            "started": output.now(),
            "command": ["ranvier", *sys.argv[1:]],
            "machine": _machine(),
        },
    )
    return _Training(model, data, config, run, output, rows).go(first_epoch=0)


def _machine() -> dict[str, Any]:
    return {
        "ranvier": keras.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
    }


def _build(config: dict[str, Any]) -> Any:
    """784 pixels, the hidden layers, ten classes; logits out."""
    layers = [
        keras.Input(shape=(28, 28)),
        # Inside the model, so that predict and evaluate scale in the same way.
        keras.layers.Rescaling(1 / 255),
        keras.layers.Flatten(),
        *(
            keras.layers.Dense(units, activation=config["activation"])
            for units in config["layers"]
        ),
        keras.layers.Dense(10),
    ]
    model = keras.Sequential(layers, name="fashion_mnist")
    optimizer = keras.optimizers.get(config["optimizer"])
    if config["learning_rate"] is not None:
        optimizer.learning_rate = config["learning_rate"]
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def _training_rows(rows: int, config: dict[str, Any]) -> int:
    """Rows left to train on; Keras cuts the validation rows off the end."""
    kept = math.floor(rows * (1 - config["validation_split"]))
    if kept < 1:
        raise ShapeError(
            "RV100",
            f"--validation-split {config['validation_split']} leaves no training rows",
            fix="--validation-split 0.1",
        )
    return kept


def _resume(folder: Path, epochs: int | None, output: Output) -> int:
    run = Run.open(folder)
    config = run.config
    if epochs is not None:
        config["epochs"] = epochs
    keras.utils.set_random_seed(config["seed"])
    model = keras.models.load_model(run.model_path)
    data = load(output, sample=config["sample"])
    if data.checksum() != config["data"]["checksum"]:
        raise ResumeError(
            "RV701",
            "the data are not those the run was started with",
            details=f"then {config['data']['checksum']} from "
            f"{config['data']['source']}\n"
            f"now  {data.checksum()} from {data.source}",
            fix="bring the same data back, or start a new run",
        )
    rows = _training_rows(len(data.x_train), config)
    # The optimizer's count of updates lies in the model file: it cannot disagree with
    # the weights, whenever the process died.
    updates = int(model.optimizer.iterations.numpy())
    done = updates // math.ceil(rows / config["batch_size"])
    if done >= config["epochs"]:
        raise ResumeError(
            "RV701",
            f"the run has already done {done} of {config['epochs']} epochs",
            fix=f"ranvier train --resume {folder} --epochs {done + 10}",
        )
    run.event("note", text=f"resumed after epoch {done}")
    output.field("resume", f"{folder} after epoch {done}: weights and optimizer state")
    return _Training(model, data, config, run, output, rows).go(first_epoch=done)


class _Training:
    """One call of fit with what surrounds it: the plan, the lines, the saving.

    What is saved is always the state at the end of an epoch: a run that was broken off
    in the middle of one trains that epoch again, from where it began, and ends with the
    bits of a run that was never interrupted.
    """

    def __init__(
        self,
        model: Any,
        data: Data,
        config: dict[str, Any],
        run: Run,
        output: Output,
        rows: int,
    ) -> None:
        self.model, self.data, self.config = model, data, config
        self.run, self.output, self.rows = run, output, rows
        self.updates = math.ceil(rows / config["batch_size"])
        self.epochs = config["epochs"]
        self.saved_epoch = -1
        self.last_save = time.monotonic()
        #: Whole epochs, and the state at the end of the last one.
        self._kept: tuple[int, list[tuple[Any, Any]]] = (0, [])
        self.logs: dict[str, float] = {}
        self.signals = _Signals()

    @property
    def done(self) -> int:
        """Whole epochs behind the state that would be saved now."""
        return self._kept[0]

    def _keep(self, epochs: int) -> None:
        """Notes the state as that after so many epochs, at once."""
        variables = [*self.model.variables, *self.model.optimizer.variables]
        self._kept = epochs, [(v, v.numpy()) for v in variables]

    def go(self, first_epoch: int) -> int:
        """Trains, evaluates, saves; returns the exit code."""
        self.model.optimizer.build(self.model.trainable_variables)
        self._keep(first_epoch)
        self._header(first_epoch)
        self.run.event("start", epoch=first_epoch, epochs=self.epochs)
        with self.signals:
            return self._guarded(first_epoch)

    def _guarded(self, first_epoch: int) -> int:
        try:
            self._fit(first_epoch)
            loss, accuracy = self.model.evaluate(
                self.data.x_test,
                self.data.y_test,
                batch_size=max(256, self.config["batch_size"]),
                verbose=0,
            )
        except KeyboardInterrupt:
            return self._interrupted()
        except NumericsError as fault:
            return self._diverged(fault)
        except RanvierError as fault:
            self.run.event("end", status="error", code=fault.code)
            self.run.close()
            raise
        except OSError:
            # Nobody reads the lines any more, or the disk they go to is full: the
            # training that was done must not be lost for that.
            self._save()
            self.run.event("end", status="interrupted", epoch=self.done)
            self.run.close()
            raise
        finally:
            self.output.clear()
        if self.saved_epoch != self.done:
            self._save()
        self._end(float(loss), float(accuracy))
        return OK

    def _header(self, first_epoch: int) -> None:
        output, config, data = self.output, self.config, self.data
        source = data.source
        held = len(data.x_train) - self.rows
        widths = [784, *config["layers"], 10]
        hidden = [f"{units} {config['activation']}" for units in config["layers"]]
        arithmetic = " + ".join(
            f"{units}*({inputs}+1)" for inputs, units in itertools.pairwise(widths)
        )
        parameters = self.model.count_params()
        size = config["batch_size"]
        rest = self.rows % size
        last = f", the last of {rest} rows" if rest else ""
        left = self.epochs - first_epoch
        output.field(
            "data",
            f"fashion-mnist   {len(data.x_train):,} images for training "
            f"({held:,} of them for validation), {len(data.x_test):,} for the test   "
            f"from {source}",
        )
        output.field(
            "model",
            f"{' -> '.join(['28x28 = 784', *hidden, '10'])}   "
            f"parameters {arithmetic} = {parameters:,}",
        )
        output.field(
            "plan",
            f"{self.rows:,} rows / {size} = {self.updates:,} updates per epoch{last}; "
            f"x {left} epoch{'s' * (left != 1)} = "
            f"{self.updates * left:,}   "
            f"{config['optimizer']}   seed {config['seed']}",
        )
        if output.as_json:
            output.json(
                {
                    "k": "start",
                    "run": str(self.run.folder),
                    "data": {"source": source, "sample": data.sample},
                    "parameters": parameters,
                    "rows": self.rows,
                    "updates_per_epoch": self.updates,
                    "last_batch": rest or size,
                    "epochs": self.epochs,
                    "first_epoch": first_epoch,
                    "seed": config["seed"],
                }
            )

    def _fit(self, first_epoch: int) -> None:
        self.model.fit(
            self.data.x_train,
            self.data.y_train,
            batch_size=self.config["batch_size"],
            epochs=self.epochs,
            initial_epoch=first_epoch,
            validation_split=self.config["validation_split"],
            verbose=1 if self.output.live else 0,
            callbacks=[_progress(self)],
        )

    def bar(self, epoch: int, step: int, seconds: float) -> str:
        """The live line: how far the epoch is, how fast, and how long it will take."""
        width = len(str(self.epochs))
        filled = min(20, 20 * step // self.updates)
        parts = [
            f"epoch {epoch + 1:>{width}}/{self.epochs}",
            "━" * filled + "─" * (20 - filled),
            f"{step:,}/{self.updates:,} updates",
        ]
        if step and seconds > 0:
            left = seconds / step * (self.updates - step)
            left += seconds / step * self.updates * (self.epochs - epoch - 1)
            speed = step * self.config["batch_size"] / seconds
            minutes, rest = divmod(round(left), 60)
            parts += [f"{_speed(speed)} rows/s", f"eta {minutes}:{rest:02d}"]
        return "   ".join(parts)

    def epoch_ended(self, epoch: int, logs: dict[str, Any], seconds: float) -> None:
        """Tells and records one epoch; saves when it is time."""
        with self.signals.held():  # an epoch counts with its event, or not at all
            self._record(epoch, logs, seconds)
            if time.monotonic() - self.last_save > SAVE_EVERY:
                self._save()

    def _record(self, epoch: int, logs: dict[str, Any], seconds: float) -> None:
        self.logs = {name: float(value) for name, value in logs.items()}
        # A cross-entropy of chance is ln(10) = 2.3; not finite compares as false.
        if not self.logs.get("loss", 0.0) < DIVERGED_LOSS:
            raise NumericsError(
                "RV302",
                f"the loss became {self.logs['loss']:.4g} in epoch {epoch + 1}",
                fix="--learning-rate a tenth of what it was",
            )
        self._keep(epoch + 1)
        speed = self.rows / seconds if seconds > 0 else 0.0
        fields = {
            "epoch": self.done,
            "epochs": self.epochs,
            **self.logs,
            "secs": round(seconds, 4),
            "rows_per_s": round(speed),
        }
        self.run.event("epoch", updates=self.updates * self.done, **fields)
        order = ["accuracy", "loss", "val_accuracy", "val_loss"]
        order += [name for name in self.logs if name not in order]
        shown = {name: self.logs[name] for name in order if name in self.logs}
        if self.output.as_json:
            self.output.json({"k": "epoch", **fields})
        elif self.output.terminal:
            width = len(str(self.epochs))
            self.output.talk(
                f"epoch {self.done:>{width}}/{self.epochs}   "
                + "   ".join(f"{name} {value:.4f}" for name, value in shown.items())
                + f"   {seconds:.2f} s   {_speed(speed)} rows/s"
            )
        else:
            self.output.talk(
                f"{self.output.now()} epoch={self.done}/{self.epochs} "
                + " ".join(f"{name}={number(value)}" for name, value in shown.items())
                + f" secs={seconds:.3f} rows_per_s={speed:.0f}"
            )

    def _save(self) -> None:
        """Writes the model as it was at the end of the last whole epoch."""
        done, state = self._kept
        for variable, value in state:
            variable.assign(value)
        self.model.save(self.run.model_path)
        self.saved_epoch = done
        self.last_save = time.monotonic()
        updates = int(self.model.optimizer.iterations.numpy())
        self.run.event("checkpoint", epoch=done, updates=updates)

    def _end(self, loss: float, accuracy: float) -> None:
        path = self.run.model_path
        self.run.event("end", status="done", test_loss=loss, test_accuracy=accuracy)
        self.run.close()
        following = f"ranvier predict {path} IMAGE"
        if self.output.as_json:
            self.output.json(
                {
                    "k": "end",
                    "status": "done",
                    "test_accuracy": accuracy,
                    "test_loss": loss,
                    "model": str(path),
                    "run": str(self.run.folder),
                    "sample": self.data.sample,
                }
            )
        which = (
            "1,000 sample images"
            if self.data.sample
            else (f"{len(self.data.x_test):,} images never trained on")
        )
        self.output.line(
            f"test    accuracy {accuracy:.4f}   loss {number(loss)}   on {which}"
        )
        self.output.line(f"saved   {path}")
        self.output.talk(f"next    {following}")

    def _interrupted(self) -> int:
        self.signals.saving = True
        self.output.clear()
        if self.saved_epoch != self.done:
            self._save()
        self.run.event("end", status="interrupted", epoch=self.done)
        self.run.close()
        if self.output.as_json:
            self.output.json(
                {
                    "k": "end",
                    "status": "interrupted",
                    "epoch": self.done,
                    "model": str(self.run.model_path),
                }
            )
        told = f"stopped after epoch {self.done}"
        if self.done < self.epochs:
            told += f"; epoch {self.done + 1} will be trained from its beginning"
        self.output.line(
            f"{told}\n"
            f"saved   {self.run.model_path}\n"
            f"next    ranvier train --resume {self.run.folder}"
        )
        return INTERRUPTED

    def _diverged(self, fault: NumericsError) -> int:
        self.output.error(fault)
        self.run.event("end", status="diverged", code=fault.code, epoch=self.done)
        self.run.close()
        if self.run.model_path.exists():
            self.output.line(
                f"kept    {self.run.model_path}   of epoch {self.saved_epoch}"
            )
        return DIVERGED


class _Signals:
    """Makes Ctrl-C and SIGTERM stop the training, and lets the saving finish.

    `timeout` sends its signal twice at once; the second must not end the saving that the
    first began. What is raised in a finalizer gets lost: the end of the epoch asks again.
    """

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._first = -1.0
        self.saving = False
        self._holding = self._asked = False

    def __enter__(self) -> _Signals:
        # Python allows handlers in the main thread only.
        if threading.current_thread() is threading.main_thread():
            for which in (signal.SIGINT, signal.SIGTERM):
                self._before[which] = signal.signal(which, self._stop)
        return self

    def _stop(self, *_: Any) -> None:
        again = time.monotonic() - self._first < 1.0
        if self.saving or again:
            return
        self._first = time.monotonic()
        self._asked = True
        if not self._holding:
            raise KeyboardInterrupt

    @contextmanager
    def held(self) -> Iterator[None]:
        """What is done inside is done whole; a signal counts after it."""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
        if self._asked:
            raise KeyboardInterrupt

    def __exit__(self, *_: object) -> None:
        for which, handler in self._before.items():
            signal.signal(which, handler)


def _speed(value: float) -> str:
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.0f}"


def _progress(training: _Training) -> Any:
    """The printer that fit uses instead of its own.

    It has epoch hooks only, for per-batch hooks would leave the fast path; between them
    fit shows it the engine's counters, at most ten times a second.
    """

    class Progress(keras.callbacks.ProgbarLogger):  # type: ignore[misc]
        began = 0.0

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            super().on_epoch_begin(epoch, logs)
            self.began = time.perf_counter()
            self.update(0)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            seconds = time.perf_counter() - self.began
            training.epoch_ended(epoch, dict(logs or {}), seconds)

        def on_train_end(self, logs: Any = None) -> None:
            training.output.clear()

        def update(self, step: int, rows: int | None = None, logs: Any = None) -> None:
            if training.output.live:
                seconds = time.perf_counter() - self.began
                training.output.bar(training.bar(self._epoch or 0, step, seconds))

    return Progress()
