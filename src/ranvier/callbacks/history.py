"""The record of a `fit`."""

from __future__ import annotations

from typing import Any

from ranvier.callbacks.callback import Callback, Logs

__all__ = ["History"]


class History(Callback):
    """Keeps the logs of every epoch; `fit` returns it.

    Attributes:
        history: for each name the list of its values.
        epoch: the numbers of the epochs.

    Example:
        ```python
        history = model.fit(x, y, epochs=3)
        history.history["loss"]
        ```
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Starts a new list of epochs."""
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Appends the logs of an epoch."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        # Another fit may have put its own record there meanwhile.
        self.model.history = self

    def _repr_html_(self) -> str:
        """What a notebook shows: a row and a curve for each number."""
        from ranvier.callbacks.curves import history_html

        return history_html(self.history, self.epoch)
