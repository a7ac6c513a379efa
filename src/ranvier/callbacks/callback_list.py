"""The callbacks of one call, called in their order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ranvier.callbacks.callback import BATCH_HOOKS, Callback, Logs, overrides
from ranvier.callbacks.history import History
from ranvier.callbacks.progress import ProgbarLogger
from ranvier.errors import ShapeError

__all__ = ["CallbackList", "plain_logs"]


def plain_logs(logs: Logs | None) -> Logs:
    """Logs as Python numbers, sorted by name; trees of logs become flat."""
    plain: Logs = {}
    for name, value in sorted((logs or {}).items()):
        if isinstance(value, dict):
            plain.update(plain_logs(value))
            continue
        try:
            plain[name] = float(value)
        except (TypeError, ValueError):
            plain[name] = value
    return plain


def _flat(callbacks: Any) -> Iterator[Any]:
    if isinstance(callbacks, (list, tuple)):
        for callback in callbacks:
            yield from _flat(callback)
    elif isinstance(callbacks, type) or (
        callbacks is not None and not hasattr(callbacks, "on_epoch_end")
    ):
        name = callbacks.__name__ if isinstance(callbacks, type) else repr(callbacks)
        raise ShapeError(
            "RV100",
            f"this is no callback: {name[:60]}",
            details="a class, not an object" if isinstance(callbacks, type) else "",
            fix=f"{name}()"
            if isinstance(callbacks, type)
            else "an object of a class derived from keras.callbacks.Callback",
        )
    elif callbacks is not None:
        yield callbacks


class CallbackList(Callback):
    """Passes every hook on to a list of callbacks.

    Args:
        callbacks: a callback, or a (nested) list of them.
        add_history: append a `History` unless there is one.
        add_progbar: append a `ProgbarLogger` unless there is one.
        model: the model.
        **params: `verbose`, `epochs`, `steps`, and `rows` where it is known.

    Example:
        ```python
        callbacks = CallbackList([EarlyStopping()], add_history=True, model=model,
                                 verbose=1, epochs=10, steps=100)
        ```
    """

    def __init__(
        self,
        callbacks: Any = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ) -> None:
        super().__init__()
        self.callbacks: list[Any] = list(_flat(callbacks))
        self._history = self._find(History)
        self._progbar = self._find(ProgbarLogger)
        if self._history is None and add_history:
            self._history = History()
            self.callbacks.append(self._history)
        if self._progbar is None and add_progbar:
            self._progbar = ProgbarLogger()
            self.callbacks.append(self._progbar)
        self.set_model(model)
        self.set_params(params)

    def _find(self, kind: type) -> Any:
        # The last one counts, as in Keras.
        return next((c for c in reversed(self.callbacks) if isinstance(c, kind)), None)

    @property
    def history(self) -> History | None:
        """The `History` among the callbacks."""
        return self._history

    @property
    def progress(self) -> ProgbarLogger | None:
        """The printer among the callbacks."""
        return self._progbar

    def with_batch_hooks(self, loop: str = "train") -> list[Any]:
        """The callbacks that do something between the batches of a loop.

        Args:
            loop: "train", "test" or "predict".
        """
        hooks = BATCH_HOOKS[loop]
        return [c for c in self.callbacks if any(overrides(c, hook) for hook in hooks)]

    @property
    def needs_batch_hooks(self) -> bool:
        """Whether training must return to Python between batches."""
        return bool(self.with_batch_hooks("train"))

    @property
    def needs_test_batch_hooks(self) -> bool:
        """Whether evaluation must return to Python between batches."""
        return bool(self.with_batch_hooks("test"))

    @property
    def needs_predict_batch_hooks(self) -> bool:
        """Whether prediction must return to Python between batches."""
        return bool(self.with_batch_hooks("predict"))

    def set_params(self, params: dict[str, Any]) -> None:
        """Gives the parameters to all callbacks."""
        self.params = params
        if params:
            for callback in self.callbacks:
                callback.set_params(params)

    def set_model(self, model: Any) -> None:
        """Gives the model to all callbacks."""
        if model is None:
            return
        super().set_model(model)
        if self._history is not None:
            model.history = self._history
        for callback in self.callbacks:
            callback.set_model(model)

    def _each(self, hook: str, *args: Any, logs: Logs | None) -> None:
        plain = plain_logs(logs)
        for callback in self.callbacks:
            getattr(callback, hook)(*args, logs=plain)

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Passes the hook on."""
        self._each("on_batch_begin", batch, logs=logs)

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Passes the hook on."""
        self._each("on_batch_end", batch, logs=logs)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Passes the hook on."""
        self._each("on_epoch_begin", epoch, logs=logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Passes the hook on."""
        self._each("on_epoch_end", epoch, logs=logs)

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Passes the hook on."""
        self._each("on_train_batch_begin", batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Passes the hook on."""
        self._each("on_train_batch_end", batch, logs=logs)

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Passes the hook on."""
        self._each("on_test_batch_begin", batch, logs=logs)

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Passes the hook on."""
        self._each("on_test_batch_end", batch, logs=logs)

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Passes the hook on."""
        self._each("on_predict_batch_begin", batch, logs=logs)

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Passes the hook on."""
        self._each("on_predict_batch_end", batch, logs=logs)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Passes the hook on."""
        self._each("on_train_begin", logs=logs)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Passes the hook on."""
        self._each("on_train_end", logs=logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Passes the hook on."""
        self._each("on_test_begin", logs=logs)

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Passes the hook on."""
        self._each("on_test_end", logs=logs)

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Passes the hook on."""
        self._each("on_predict_begin", logs=logs)

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Passes the hook on."""
        self._each("on_predict_end", logs=logs)
