"""Stopping when nothing improves any more."""

from __future__ import annotations

import warnings
from typing import Any

from ranvier.callbacks.callback import Logs
from ranvier.callbacks.messages import say
from ranvier.callbacks.monitor import MonitorCallback

__all__ = ["EarlyStopping"]


class EarlyStopping(MonitorCallback):
    """Stops training when `monitor` has not improved for `patience` epochs.

    Args:
        monitor: the name in the logs.
        min_delta: a smaller change is no improvement.
        patience: so many epochs without improvement are allowed.
        verbose: 1 says when it stops.
        mode: "min", "max" or "auto".
        baseline: epochs that do not beat it count as without improvement.
        restore_best_weights: at the end take the weights of the best epoch.
        start_from_epoch: earlier epochs do not count.

    Example:
        ```python
        model.fit(x, y, validation_split=0.1, callbacks=[EarlyStopping(patience=3)])
        ```
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        self.patience = patience
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self._reset()

    def _reset(self) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best = None
        self.best_weights: Any = None
        self.best_epoch = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Forgets an earlier fit."""
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Decides whether to stop."""
        self._set_monitor_op()
        current = self.get_monitor_value(logs)
        if current is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self._remember(epoch)
        self.wait += 1
        if self._is_improvement(current, self.best):
            self.best = current
            self.best_epoch = epoch
            if self.restore_best_weights:
                self._remember(epoch)
            if self.baseline is None or self._is_improvement(current, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def _remember(self, epoch: int) -> None:
        self.best_weights = self.model.get_weights()
        self.best_epoch = epoch

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Restores the best weights, if asked to."""
        if self.stopped_epoch > 0 and self.verbose > 0:
            say(f"epoch {self.stopped_epoch + 1}: stopped early")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose > 0:
                say(f"weights of epoch {self.best_epoch + 1}, the best, are restored")
            self.model.set_weights(self.best_weights)

    def get_monitor_value(self, logs: Logs | None) -> Any:
        """The watched number, or `None` with a warning if it is missing."""
        logs = logs or {}
        value = logs.get(self.monitor)
        if value is None:
            warnings.warn(
                f"EarlyStopping: {self.monitor!r} is not among the logs: "
                f"{', '.join(logs)}",
                stacklevel=2,
            )
        return value
