"""Evaluating with the averages of the weights."""

from __future__ import annotations

from typing import Any

from ranvier.callbacks.callback import Callback, Logs
from ranvier.errors import ShapeError

__all__ = ["SwapEMAWeights"]


class SwapEMAWeights(Callback):
    """Puts the optimizer's averages into the model while it is evaluated.

    Needs an optimizer with ``use_ema=True``. Before validation, `evaluate` and
    `predict` weights and averages change places, afterwards back. (Keras forgets the
    way back after `predict`.)

    Args:
        swap_on_epoch: have the averages in the model at the end of each epoch too, so
            that callbacks after this one, such as `ModelCheckpoint`, save them.

    Raises:
        ShapeError: RV100 when no optimizer of the model keeps averages.

    Example:
        ```python
        model.compile(keras.optimizers.Adam(use_ema=True), "mse")
        model.fit(x, y, validation_split=0.1, callbacks=[SwapEMAWeights()])
        ```
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        super().__init__()
        self.swap_on_epoch = swap_on_epoch
        self._averaged = False

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Refuses an optimizer without averages before anything is trained."""
        self._optimizers()
        self._averaged = False

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Training goes on with the weights."""
        self._show(False)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """With `swap_on_epoch`, shows the averages."""
        if not self.swap_on_epoch:
            return
        self._show(True)
        last = epoch == (self.params or {}).get("epochs", 0) - 1
        if last or self.model.stop_training:
            # At the end of fit the weights become what stands for the averages.
            for optimizer in self._optimizers():
                for variable, average in self._pairs(optimizer):
                    average.assign(variable.numpy())

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Shows the averages."""
        self._show(True)

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Shows the weights again."""
        self._show(False)

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Shows the averages."""
        self._show(True)

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Shows the weights again."""
        self._show(False)

    def _optimizers(self) -> list[Any]:
        optimizer = self.model.optimizer
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        every = getattr(optimizer, "optimizers", [optimizer])
        found = [each for each in every if getattr(each, "use_ema", False)]
        if not found:
            raise ShapeError(
                "RV100",
                "SwapEMAWeights: the optimizer keeps no averages",
                fix="model.compile(keras.optimizers.Adam(use_ema=True), ...)",
            )
        return found

    def _pairs(self, optimizer: Any) -> list[tuple[Any, Any]]:
        # Before the first step there is nothing to average.
        if not optimizer.built or not int(optimizer._iterations.numpy()):
            return []
        variables, averages = optimizer._trainable_variables, optimizer._averages
        return list(zip(variables, averages, strict=True))

    def _show(self, averaged: bool) -> None:
        if averaged == self._averaged:
            return
        for optimizer in self._optimizers():
            for variable, average in self._pairs(optimizer):
                value = variable.numpy().copy()
                variable.assign(average.numpy())
                average.assign(value)
        self._averaged = averaged
