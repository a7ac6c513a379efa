"""The logs as files that TensorBoard shows."""

from __future__ import annotations

import os
import time
from typing import Any

from ranvier.callbacks.callback import Callback, Logs, used_when
from ranvier.callbacks.monitor import log_learning_rates
from ranvier.errors import EnvironmentFault, ShapeError

__all__ = ["TensorBoard"]


class TensorBoard(Callback):
    """Writes losses, metrics and weights for TensorBoard, under Keras's names.

    Into the folder ``train`` of `log_dir`: ``epoch_NAME`` for each log of an epoch and
    for the learning rate; into ``validation``: the same of validation, and
    ``evaluation_NAME_vs_iterations``. Needs the package tensorboardX.

    Args:
        log_dir: the folder.
        histogram_freq: every so many epochs, ``WEIGHT/histogram`` of each weight; 0
            for none.
        write_graph: kept for Keras's signature: graphs are not written.
        write_images: must be False.
        write_steps_per_second: log ``epoch_steps_per_second``, too.
        update_freq: "epoch"; or a number of batches, after each of which
            ``batch_NAME`` is written, too ("batch" for 1).
        profile_batch: must be 0.
        embeddings_freq: must be 0.
        embeddings_metadata: must be None.

    Raises:
        EnvironmentFault: RV801 when tensorboardX is not installed.
        ShapeError: RV100 for what is not written.

    Example:
        ```python
        model.fit(x, y, epochs=10, callbacks=[TensorBoard("logs")])
        ```
    """

    def __init__(
        self,
        log_dir: Any = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: str | int = "epoch",
        profile_batch: Any = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
    ) -> None:
        super().__init__()
        refused = {
            "write_images": write_images,
            "profile_batch": profile_batch,
            "embeddings_freq": embeddings_freq,
            "embeddings_metadata": embeddings_metadata,
        }
        for name, value in refused.items():
            if value:
                raise ShapeError(
                    "RV100",
                    f"TensorBoard: {name}={value!r}: that is not written here",
                    fix=f"without {name}",
                )
        every = 1 if update_freq == "batch" else update_freq
        if every != "epoch" and (not isinstance(every, int) or every < 1):
            raise ShapeError(
                "RV100",
                f"TensorBoard: update_freq={update_freq!r}",
                fix="'epoch', 'batch', or a number of batches",
            )
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq = histogram_freq
        self.write_graph = write_graph
        self.write_images = write_images
        self.write_steps_per_second = write_steps_per_second
        self.update_freq = every
        self._kind = _writer_class()
        self._writers: dict[str, Any] = {}
        self._batches = 0
        self._training = False
        self._began = 0.0
        self._iterations = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Counts batches from 0 again."""
        self._batches = 0
        self._training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Closes the files."""
        self._training = False
        self._close()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Starts the clock."""
        self._began = time.perf_counter()
        self._iterations = self._steps_done()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Writes the logs of the epoch, and the weights when it is time."""
        train, validation = {}, {}
        for name, value in (logs or {}).items():
            if name.startswith("val_"):
                validation[name.removeprefix("val_")] = value
            else:
                train[name] = value
        log_learning_rates(self.model, train)
        if self.write_steps_per_second:
            seconds = max(time.perf_counter() - self._began, 1e-9)
            done = self._steps_done() - self._iterations
            train["steps_per_second"] = done / seconds
        self._write("train", "epoch_{}", train, epoch)
        self._write("validation", "epoch_{}", validation, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            writer = self._writer("train")
            for variable in self.model.weights:
                path = variable.path.replace(":", "_")
                writer.add_histogram(f"{path}/histogram", variable.numpy(), epoch)
        for writer in self._writers.values():
            writer.flush()

    @used_when(lambda self: self.update_freq != "epoch")
    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Writes the logs so far every `update_freq` batches."""
        self._batches += 1
        if self.update_freq != "epoch" and self._batches % int(self.update_freq) == 0:
            self._write("train", "batch_{}", logs or {}, self._batches)

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Writes the results beside the number of updates done so far."""
        name = "evaluation_{}_vs_iterations"
        self._write("validation", name, logs or {}, self._steps_done())
        if not self._training:
            self._close()

    def _steps_done(self) -> int:
        optimizer = self.model.optimizer
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        return int(optimizer._iterations.numpy()) if optimizer is not None else 0

    def _writer(self, name: str) -> Any:
        if name not in self._writers:
            self._writers[name] = self._kind(os.path.join(self.log_dir, name))
        return self._writers[name]

    def _write(self, folder: str, pattern: str, values: Logs, step: int) -> None:
        for name, value in values.items():
            self._writer(folder).add_scalar(pattern.format(name), float(value), step)

    def _close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()


def _writer_class() -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        raise EnvironmentFault(
            "RV801",
            "TensorBoard needs the package tensorboardX",
            details="CSVLogger writes the same numbers without it",
            fix="pip install 'ranvier[tensorboard]'",
        ) from None
    return SummaryWriter
