"""The base of all callbacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["BATCH_HOOKS", "Callback", "overrides", "used_when"]

Logs = dict[str, Any]

#: the hooks of each loop that run between batches
BATCH_HOOKS = {
    "train": (
        "on_batch_begin",
        "on_batch_end",
        "on_train_batch_begin",
        "on_train_batch_end",
    ),
    "test": ("on_test_batch_begin", "on_test_batch_end"),
    "predict": ("on_predict_batch_begin", "on_predict_batch_end"),
}


class Callback:
    """Base class: override the hooks that you need.

    The order within `fit` is `on_train_begin`; for each epoch `on_epoch_begin`, for
    each batch `on_train_batch_begin` and `on_train_batch_end`, then for validation
    `on_test_begin`, its batches and `on_test_end`, and `on_epoch_end`; at last
    `on_train_end`. `logs` maps names to numbers.

    Epochs otherwise run without returning to Python: a hook between batches takes that
    away, so override one only where it is needed.

    Attributes:
        model: the model, set before the first hook.
        params: `verbose`, `epochs` and `steps` of the call.

    Example:
        ```python
        class Report(Callback):
            def on_epoch_end(self, epoch, logs=None):
                print(epoch, logs["loss"])
        ```
    """

    def __init__(self) -> None:
        self.params: dict[str, Any] | None = None
        self._model: Any = None

    def set_params(self, params: dict[str, Any]) -> None:
        """Called once before training."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Called once before training."""
        self._model = model

    @property
    def model(self) -> Any:
        """The model that is trained."""
        return self._model

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Older name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Older name of `on_train_batch_end`."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before an epoch; epochs count from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After an epoch and its validation, whose names start with `val_`."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a training batch."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a training batch; `logs` are means since the epoch began."""
        self.on_batch_end(batch, logs=logs)

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of `evaluate` or of validation."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of `evaluate` or of validation."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of `predict`."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of `predict`; `logs["outputs"]` holds its result."""

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before training."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After training."""

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Before `evaluate` or validation."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """After `evaluate` or validation."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Before `predict`."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """After `predict`."""


def used_when(condition: Callable[[Any], bool]) -> Callable[[Any], Any]:
    """Marks a hook that does something only when `condition(callback)` holds."""

    def mark(hook: Any) -> Any:
        hook.used_when = condition
        return hook

    return mark


def overrides(callback: Any, hook: str) -> bool:
    """Whether a callback does something in this hook."""
    method = getattr(callback, hook, None)
    if method is None:
        return False
    function = getattr(method, "__func__", method)
    # Keras marks the empty hooks of its own base class so.
    if function is getattr(Callback, hook) or getattr(function, "_is_default", False):
        return False
    condition = getattr(function, "used_when", None)
    return condition is None or bool(condition(callback))
