"""Lowering the learning rate when nothing improves any more."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ranvier.callbacks.callback import Logs
from ranvier.callbacks.messages import say
from ranvier.callbacks.monitor import (
    MonitorCallback,
    learning_rate_of,
    log_learning_rates,
)
from ranvier.errors import ShapeError

__all__ = ["ReduceLROnPlateau"]


class ReduceLROnPlateau(MonitorCallback):
    """Multiplies the learning rate by `factor` after `patience` epochs on a plateau.

    Args:
        monitor: the name in the logs.
        factor: below 1.
        patience: so many epochs without improvement are allowed.
        verbose: 1 says when the rate falls.
        mode: "min", "max" or "auto".
        min_delta: a smaller change is no improvement.
        cooldown: epochs to wait after a reduction before counting again.
        min_lr: the rate does not fall below it.

    Raises:
        ShapeError: RV100 if `factor` is 1 or more.

    Example:
        ```python
        slower = ReduceLROnPlateau(factor=0.5, patience=3)
        model.fit(x, y, validation_split=0.1, callbacks=[slower])
        ```
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
        **_: Any,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        if factor >= 1.0:
            raise ShapeError(
                "RV100",
                f"ReduceLROnPlateau: factor={factor} must be below 1",
                fix="factor=0.1",
            )
        self.factor = factor
        self.min_lr = min_lr
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self.cooldown_counter = 0
        self.wait = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Forgets an earlier fit."""
        self.best = None
        self.cooldown_counter = 0
        self.wait = 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Decides whether to lower the rate; logs it."""
        self._set_monitor_op()
        logs = {} if logs is None else logs
        log_learning_rates(self.model, logs)
        current = logs.get(self.monitor)
        if current is None:
            warnings.warn(
                f"ReduceLROnPlateau: {self.monitor!r} is not among the logs: "
                f"{', '.join(logs)}",
                stacklevel=2,
            )
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self._is_improvement(current, self.best):
            self.best = current
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience and self._reduce(epoch):
                self.cooldown_counter = self.cooldown
                self.wait = 0

    def _reduce(self, epoch: int) -> bool:
        optimizer = self.model.optimizer
        reduced = False
        for each in getattr(optimizer, "optimizers", [optimizer]):
            old = learning_rate_of(each)
            # The rate is kept in float32: a bound it has reached compares so.
            if old <= np.float32(self.min_lr):
                continue
            new = max(old * self.factor, self.min_lr)
            each.learning_rate = new
            reduced = True
            if self.verbose > 0:
                say(f"epoch {epoch + 1}: learning rate lowered to {new:g}")
        return reduced

    def in_cooldown(self) -> bool:
        """Whether a reduction is so recent that epochs do not count."""
        return self.cooldown_counter > 0
