"""Going on after an interruption."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from ranvier.callbacks.callback import Callback, Logs, used_when
from ranvier.callbacks.messages import say
from ranvier.errors import FileError, ShapeError
from ranvier.layers import tracking
from ranvier.random import SeedGenerator

__all__ = ["BackupAndRestore"]

#: What the weights are called in Keras's own backups, which can be gone on from too.
_KERAS_WEIGHTS = "latest.weights.h5"


class BackupAndRestore(Callback):
    """Saves the state of training; a later `fit` of the same script goes on from it.

    Weights, optimizer state, the number of the epoch, the order of the rows and the
    random streams of the layers are kept: with ``save_freq="epoch"`` the run becomes,
    bit for bit, what it would have become without the interruption. The state is
    written beside the last one and named by a second file that is replaced in one step,
    so an interruption at any moment leaves a whole state. When training ends the files
    are removed.

    Args:
        backup_dir: a folder of its own for this run.
        save_freq: "epoch", or a number of batches. What was done of an epoch is done
            again after an interruption within it.
        double_checkpoint: keep the state before the last one too, and go on from it
            when the last one cannot be read.
        delete_checkpoint: remove the files when training ends.

    Raises:
        ShapeError: RV100 for an argument that cannot be; RV106 if the model is not
            built.
        FileError: RV603 if a file cannot be written, RV605 if one cannot be read.

    Example:
        ```python
        model.fit(x, y, epochs=100, callbacks=[BackupAndRestore("backup")])
        ```
    """

    def __init__(
        self,
        backup_dir: Any,
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        super().__init__()
        if not backup_dir:
            raise ShapeError(
                "RV100",
                f"BackupAndRestore: backup_dir={backup_dir!r} names no folder",
                fix="backup_dir='backup'",
            )
        number = isinstance(save_freq, int) and not isinstance(save_freq, bool)
        if save_freq != "epoch" and not (number and int(save_freq) > 0):
            raise ShapeError(
                "RV100",
                f"BackupAndRestore: save_freq={save_freq!r}",
                fix="'epoch', or a number of batches",
            )
        self.backup_dir = os.fspath(backup_dir)
        self.save_freq = save_freq
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self._folder = Path(self.backup_dir)
        self._state = self._folder / "training_metadata.json"
        self._previous = self._folder / "training_metadata.json.bkp"
        self._epoch = 0
        self._batch = 0
        self._since = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Takes up the state of an interrupted run, if there is one."""
        if not self.model.built:
            raise ShapeError(
                "RV106",
                "BackupAndRestore: the model is not built",
                fix="keras.Input(shape) as the first layer, or model.build(shape)",
            )
        self._epoch = self._batch = self._since = 0
        try:
            found = self._load(self._state)
        except (FileError, OSError, ValueError):
            if not self._previous.exists():
                raise
            say(f"{self._state} cannot be used: going on from the state before it")
            found = self._load(self._previous)
        if found is not None:
            self._epoch = found
            self.model.__dict__["_initial_epoch"] = found

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Saves after the epoch."""
        self._epoch, self._batch = epoch + 1, 0
        if self.save_freq == "epoch":
            self._save()

    @used_when(lambda self: self.save_freq != "epoch")
    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Saves every `save_freq` batches."""
        if self.save_freq == "epoch":
            return
        self._batch = batch + 1
        self._since += 1
        if self._since >= int(self.save_freq):
            self._since = 0
            self._save()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Removes the files, and the folder unless something else lies there."""
        if not self.delete_checkpoint:
            return
        kept = [self._weights(path) for path in (self._state, self._previous)]
        for path in (self._state, self._previous, *kept):
            if path is not None:
                path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._folder.rmdir()

    def _read(self, path: Path) -> dict[str, Any] | None:
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as fault:
            raise self._unreadable(path, str(fault)) from fault
        epoch = found.get("epoch") if isinstance(found, dict) else None
        name = found.get("weights", _KERAS_WEIGHTS) if epoch is not None else None
        if not isinstance(epoch, int) or epoch < 0 or not isinstance(name, str):
            raise self._unreadable(path, "it does not say which epoch")
        if os.path.basename(name) != name:
            raise self._unreadable(path, f"its weights {name!r} lie elsewhere")
        return dict(found, weights=name)

    def _unreadable(self, path: Path, why: str) -> FileError:
        return FileError(
            "RV605",
            f"BackupAndRestore: {path} cannot be used",
            details=why,
            fix=f"rm -r {self.backup_dir}    (training starts afresh)",
        )

    def _weights(self, path: Path) -> Path | None:
        with contextlib.suppress(FileError):
            if (found := self._read(path)) is not None:
                return self._folder / found["weights"]
        return None

    def _load(self, path: Path) -> int | None:
        found = self._read(path)
        if found is None:
            return None
        model = self.model
        if model.optimizer is not None and not model.optimizer.built:
            # Its state must exist before it can be filled.
            model.optimizer.build(model.trainable_variables)
        model.load_weights(self._folder / found["weights"])
        if isinstance(found.get("order"), int):
            model.__dict__["_shuffle_seed"] = found["order"]
        streams, states = self._streams(), found.get("random", [])
        if isinstance(states, list) and len(states) == len(streams):
            for stream, state in zip(streams, states, strict=True):
                value = np.asarray(state, stream.state.dtype)
                stream.state.assign(value.reshape(stream.state.shape))
        return int(found["epoch"])

    def _streams(self) -> list[SeedGenerator]:
        """The random streams of the layers, each once."""
        found = {}
        for layer in self.model._flatten_layers():
            for each in tracking.attributes(layer, SeedGenerator, frozenset()):
                found[id(each)] = each
        return list(found.values())

    def _save(self) -> None:
        from ranvier.utils.files import atomic_write

        old = self._weights(self._state)
        name = f"epoch-{self._epoch}-batch-{self._batch}.weights.h5"
        state = {
            "epoch": self._epoch,
            "batch": self._batch,
            "weights": name,
            "order": self.model._shuffle_seed,
            "random": [each.state.numpy().tolist() for each in self._streams()],
        }
        kept = {name}
        if self.double_checkpoint and old is not None:
            kept.add(old.name)
        past = {old, self._weights(self._previous)}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self.model.save_weights(self._folder / name, overwrite=True)
            if self.double_checkpoint and old is not None:
                with atomic_write(self._previous) as file:
                    file.write(self._state.read_bytes())
            with atomic_write(self._state) as file:
                file.write(json.dumps(state).encode())
            # Only now, with the new state named, the older ones may go.
            for path in past:
                if path is not None and path.name not in kept:
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise FileError(
                "RV603",
                f"BackupAndRestore: {self.backup_dir} cannot be written",
                details=str(error),
                fix="a folder that can be written, with free space",
            ) from error
