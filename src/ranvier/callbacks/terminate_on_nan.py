"""Stopping when the loss is no number any more."""

from __future__ import annotations

import math

from ranvier.callbacks.callback import Callback, Logs
from ranvier.callbacks.messages import say
from ranvier.errors import NumericsError

__all__ = ["TerminateOnNaN"]


class _Diverged(NumericsError, RuntimeError):
    """The loss is not finite (Keras: RuntimeError)."""


class TerminateOnNaN(Callback):
    """Stops training when the loss of a batch is NaN or infinite.

    Args:
        raise_error: raise instead of stopping.

    Raises:
        NumericsError: RV301, only with `raise_error`.

    Example:
        ```python
        model.fit(x, y, callbacks=[TerminateOnNaN()])
        ```
    """

    def __init__(self, raise_error: bool = False) -> None:
        super().__init__()
        self.raise_error = raise_error

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Looks at the loss."""
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise _Diverged(
                "RV301",
                f"the loss became {loss} at batch {batch}",
                fix="a lower learning rate, or clipnorm=1.0 in the optimizer",
            )
        say(f"batch {batch}: the loss is {loss}, training stops")
        self.model.stop_training = True
