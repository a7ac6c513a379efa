"""Saving the model during training."""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np

from ranvier.callbacks.callback import Logs, used_when
from ranvier.callbacks.messages import say
from ranvier.callbacks.monitor import MonitorCallback
from ranvier.errors import FileError, ShapeError

__all__ = ["ModelCheckpoint"]


class _NoSuchLog(ShapeError, KeyError):
    """A placeholder of the path is not in the logs (Keras: KeyError)."""

    __str__ = ValueError.__str__


class ModelCheckpoint(MonitorCallback):
    """Saves the model, or its weights, after every epoch or every so many batches.

    Args:
        filepath: where to; may hold `{epoch:02d}`, `{batch}` and names of the logs,
            as in `"{epoch:02d}-{val_loss:.2f}.keras"`. Ends in `.keras`, or in
            `.weights.h5` with `save_weights_only`.
        monitor: the name in the logs that decides what is best.
        verbose: 1 says what is saved.
        save_best_only: save only when `monitor` improved.
        save_weights_only: save the weights only.
        mode: "min", "max" or "auto".
        save_freq: "epoch", or a number of batches.
        initial_value_threshold: a first value to beat.

    Raises:
        ShapeError: RV100 for an argument that cannot be.
        FileError: RV603 if the file cannot be written.

    Example:
        ```python
        keep = ModelCheckpoint("best.keras", save_best_only=True)
        model.fit(x, y, validation_split=0.1, callbacks=[keep])
        ```
    """

    def __init__(
        self,
        filepath: Any,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode, initial_value_threshold)
        self.filepath = os.fspath(filepath)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = save_freq
        self._batches_since_save = 0
        self._last_batch: int | None = None
        self._epoch = 0
        if save_freq != "epoch" and not isinstance(save_freq, int):
            raise ShapeError(
                "RV100",
                f"ModelCheckpoint: save_freq={save_freq!r}",
                fix="'epoch', or a number of batches",
            )
        endings = (".weights.h5",) if save_weights_only else (".keras", ".h5")
        if not self.filepath.endswith(endings):
            raise ShapeError(
                "RV100",
                f"ModelCheckpoint: the path {self.filepath!r} does not end in "
                f"{endings[0]!r}",
                fix=f"{os.path.splitext(self.filepath)[0]}{endings[0]}",
            )

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Notes the epoch."""
        self._epoch = epoch

    @used_when(lambda self: self.save_freq != "epoch")
    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Saves every `save_freq` batches."""
        if self._due(batch):
            self._save(self._epoch, batch, logs or {})

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Saves after the epoch."""
        self._set_monitor_op_if_needed()
        if self.save_freq == "epoch":
            self._save(epoch, None, logs or {})

    def _set_monitor_op_if_needed(self) -> None:
        # Without save_best_only nothing is compared: any name is then allowed.
        if self.save_best_only:
            self._set_monitor_op()

    def _due(self, batch: int) -> bool:
        if self.save_freq == "epoch":
            return False
        # Batches start again from 0 in each epoch, and some may have been skipped.
        last = self._last_batch
        new = batch + 1 if last is None or batch <= last else batch - last
        self._batches_since_save += new
        self._last_batch = batch
        if self._batches_since_save < int(self.save_freq):
            return False
        self._batches_since_save = 0
        return True

    def _wanted(self, epoch: int, logs: Logs, path: str) -> bool:
        say_it = say if self.verbose > 0 else lambda text: None
        if not self.save_best_only:
            say_it(f"epoch {epoch + 1}: saving to {path}")
            return True
        current = logs.get(self.monitor)
        if current is None:
            warnings.warn(
                f"ModelCheckpoint: {self.monitor!r} is not among the logs "
                f"({', '.join(logs)}), so every epoch is saved",
                stacklevel=2,
            )
            return True
        if np.ndim(current) > 0:
            warnings.warn(
                f"ModelCheckpoint: {self.monitor!r} is not one number, "
                "so every epoch is saved",
                stacklevel=2,
            )
            return True
        self._set_monitor_op()
        best = "nothing" if self.best is None else f"{self.best:.5f}"
        if not self._is_improvement(current, self.best):
            say_it(f"epoch {epoch + 1}: {self.monitor} did not improve from {best}")
            return False
        say_it(
            f"epoch {epoch + 1}: {self.monitor} improved from {best} to "
            f"{current:.5f}, saving to {path}"
        )
        self.best = current
        return True

    def _save(self, epoch: int, batch: int | None, logs: Logs) -> None:
        path = self._path(epoch, batch, logs)
        if not self._wanted(epoch, logs, path):
            return
        try:
            folder = os.path.dirname(path)
            if folder:
                os.makedirs(folder, exist_ok=True)
            if os.path.isdir(path):
                raise IsADirectoryError(f"{path} is a folder")
            if self.save_weights_only:
                self.model.save_weights(path, overwrite=True)
            else:
                self.model.save(path, overwrite=True)
        except OSError as error:
            raise FileError(
                "RV603",
                f"ModelCheckpoint: {path} cannot be written",
                details=str(error),
                fix="a path in a folder that can be written",
            ) from error

    def _path(self, epoch: int, batch: int | None, logs: Logs) -> str:
        names: dict[str, Any] = {"epoch": epoch + 1}
        if batch is not None:
            names["batch"] = batch + 1
        try:
            return self.filepath.format(**names | logs)
        except KeyError as error:
            raise _NoSuchLog(
                "RV100",
                f"ModelCheckpoint: {self.filepath!r} asks for {error}, which is not "
                "in the logs",
                details=f"there are: {', '.join([*names, *logs])}",
                fix="a name from that list",
            ) from error
