"""Setting the learning rate at the start of every epoch."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from ranvier.callbacks.callback import Callback, Logs
from ranvier.callbacks.messages import say
from ranvier.callbacks.monitor import learning_rate_of, log_learning_rates
from ranvier.errors import ShapeError

__all__ = ["LearningRateScheduler"]


class LearningRateScheduler(Callback):
    """The learning rate of each epoch is `schedule(epoch, learning_rate)`.

    Args:
        schedule: a function of the epoch (from 0) and the present rate, or of the epoch
            alone; returns a float.
        verbose: 1 says what it sets.

    Raises:
        ShapeError: RV100 if the function does not return a float.

    Example:
        ```python
        halve = LearningRateScheduler(lambda epoch, rate: rate * 0.5 if epoch else rate)
        model.fit(x, y, epochs=5, callbacks=[halve])
        ```
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        self.schedule = schedule
        self.verbose = verbose

    def _next_rate(self, epoch: int, optimizer: Any) -> float:
        # A TypeError raised inside the function must not be taken for a function of
        # the epoch alone, so its parameters are counted instead.
        try:
            inspect.signature(self.schedule).bind(epoch, 0.0)
        except TypeError:
            rate = self.schedule(epoch)
        except ValueError:  # a builtin without a signature
            rate = self.schedule(epoch, learning_rate_of(optimizer))
        else:
            rate = self.schedule(epoch, learning_rate_of(optimizer))
        if not isinstance(rate, (float, np.floating)):
            raise ShapeError(
                "RV100",
                "LearningRateScheduler: the function must return a float",
                details=f"received: {rate!r}",
                fix="return float(rate)",
            )
        return float(rate)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Sets the rate of the epoch."""
        optimizer = self.model.optimizer
        for each in getattr(optimizer, "optimizers", [optimizer]):
            rate = self._next_rate(epoch, each)
            each.learning_rate = rate
            if self.verbose > 0:
                say(f"epoch {epoch + 1}: learning rate set to {rate:g}")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Logs the rate."""
        log_learning_rates(self.model, {} if logs is None else logs)
