"""What callbacks that watch one number share."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Iterator
from typing import Any

from ranvier.callbacks.callback import Callback, Logs
from ranvier.errors import ShapeError

__all__ = ["MonitorCallback", "learning_rate_of", "log_learning_rates"]


# Parts of names that tell which way is better, where a metric does not say it itself.
_UP = (
    "acc",
    "auc",
    "precision",
    "recall",
    "f1",
    "fbeta",
    "r2",
    "iou",
    "io_u",
    "similarity",
    "correlation",
    "sensitivity",
    "specificity",
)
_DOWN = (
    "loss",
    "error",
    "entropy",
    "hinge",
    "logcosh",
    "log_cosh",
    "divergence",
    "poisson",
    "mse",
    "mae",
    "mape",
    "msle",
)


class MonitorCallback(Callback):
    """Base of the callbacks that watch `logs[monitor]`.

    Args:
        monitor: the name in the logs.
        mode: "min" or "max": which way is better; "auto" asks the metric.
        baseline: the best value so far, to start from.
        min_delta: a smaller change is no improvement.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        mode: str = "auto",
        baseline: float | None = None,
        min_delta: float = 0,
    ) -> None:
        super().__init__()
        if mode not in ("auto", "min", "max"):
            warnings.warn(
                f"{type(self).__name__}: mode {mode!r} is not 'auto', 'min' or 'max'; "
                "'auto' is used",
                stacklevel=3,
            )
            mode = "auto"
        self.monitor = monitor
        self.mode = mode
        self.best: Any = baseline
        self.min_delta = abs(min_delta)
        self.monitor_op: Any = None

    def _set_monitor_op(self) -> None:
        """Finds out which way is better, once the metrics exist."""
        if self.monitor_op is not None:
            return
        direction = {"min": "down", "max": "up"}.get(self.mode)
        direction = direction or self._direction()
        if direction is None:
            raise ShapeError(
                "RV100",
                f"{type(self).__name__}: it is not known whether a larger "
                f"{self.monitor!r} is better or worse",
                fix="mode='max' or mode='min'",
            )
        self.monitor_op = operator.gt if direction == "up" else operator.lt
        if direction == "down":
            self.min_delta = -self.min_delta

    def _direction(self) -> str | None:
        name = self.monitor.removeprefix("val_")
        if name == "loss":
            return "down"
        for metric in _flat_metrics(getattr(self.model, "metrics", ())):
            if metric.name == name and getattr(metric, "_direction", None):
                return "up" if metric._direction == "up" else "down"
        if any(part in name for part in _DOWN):
            return "down"
        return "up" if any(part in name for part in _UP) else None

    def _is_improvement(self, value: Any, reference: Any) -> bool:
        if reference is None:
            return True
        return bool(self.monitor_op(value - self.min_delta, reference))


def _flat_metrics(metrics: Any) -> Iterator[Any]:
    for metric in metrics:
        inner = getattr(metric, "metrics", None)
        if inner:
            yield from _flat_metrics(inner)
        elif hasattr(metric, "name"):
            yield metric


def learning_rate_of(optimizer: Any) -> float:
    """The learning rate of the next step as a number."""
    rate = optimizer.learning_rate
    return float(rate.numpy() if hasattr(rate, "numpy") else rate)


def log_learning_rates(model: Any, logs: Logs) -> None:
    """Adds the learning rate to the logs; later callbacks see it."""
    optimizer = model.optimizer
    if hasattr(optimizer, "optimizers"):
        for each in optimizer.optimizers:
            logs[f"learning_rate_{each.name}"] = learning_rate_of(each)
    else:
        logs["learning_rate"] = learning_rate_of(optimizer)
