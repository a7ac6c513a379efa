"""Cosine schedules: one half wave, optionally after a warm-up, or with restarts.

The formulas are those of SGDR (Loshchilov and Hutter, 2017).
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from ranvier import ops
from ranvier.optimizers.schedules.base import (
    LearningRateSchedule,
    as_float,
    check_steps,
)

__all__ = ["CosineDecay", "CosineDecayRestarts"]


class CosineDecay(LearningRateSchedule):
    """Warms up in a straight line, then falls along half a cosine wave.

    `rate(s) = top * ((1 - alpha) * (1 + cos(pi * s / decay_steps)) / 2 + alpha)`,
    where `s` counts from the end of the warm-up and `top` is `warmup_target`, or
    `initial_learning_rate` without a warm-up.

    Args:
        initial_learning_rate: the rate of step 0.
        decay_steps: length of the fall.
        alpha: the last rate as a fraction of the highest.
        name: a name.
        warmup_target: the rate at the end of the warm-up; `None`: no warm-up.
        warmup_steps: length of the warm-up.

    Raises:
        ShapeError: RV100 if `decay_steps` is not positive.

    Example:
        ```python
        rate = schedules.CosineDecay(0.0, 10_000, warmup_target=1e-3, warmup_steps=500)
        ```
    """

    config_names: ClassVar = (
        "initial_learning_rate",
        "decay_steps",
        "alpha",
        "name",
        "warmup_target",
        "warmup_steps",
    )

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: float = 0,
    ) -> None:
        check_steps(self, "decay_steps", decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.alpha = alpha
        self.name = name
        self.warmup_target = warmup_target
        self.warmup_steps = warmup_steps

    def __call__(self, step: Any) -> Any:
        """Returns the learning rate of step `step`."""
        step = as_float(step)
        if self.warmup_target is None:
            return self._fall(step, self.initial_learning_rate)
        fall = self._fall(step - self.warmup_steps, self.warmup_target)
        if not self.warmup_steps:
            return fall
        rise = self.warmup_target - self.initial_learning_rate
        warm = rise * (step / self.warmup_steps) + self.initial_learning_rate
        return ops.where(step < self.warmup_steps, warm, fall)

    def _fall(self, step: Any, top: float) -> Any:
        done = ops.minimum(step, float(self.decay_steps)) / self.decay_steps
        wave = 0.5 * (1.0 + ops.cos(math.pi * done))
        return top * ((1 - self.alpha) * wave + self.alpha)


class CosineDecayRestarts(LearningRateSchedule):
    """Cosine falls, one after the other, each `t_mul` times as long as the last.

    `rate = initial * ((1 - alpha) * m_mul**i * (1 + cos(pi * f)) / 2 + alpha)` in the
    `i`-th period, of which the fraction `f` is over.

    Args:
        initial_learning_rate: the rate of step 0.
        first_decay_steps: length of the first period.
        t_mul: each period is so many times as long as the one before.
        m_mul: each period starts at so many times the rate of the one before.
        alpha: the lowest rate as a fraction of the first.
        name: a name.

    Raises:
        ShapeError: RV100 if `first_decay_steps` is not positive.

    Example:
        ```python
        optimizer = SGD(schedules.CosineDecayRestarts(0.1, 1000))
        ```
    """

    config_names: ClassVar = (
        "initial_learning_rate",
        "first_decay_steps",
        "t_mul",
        "m_mul",
        "alpha",
        "name",
    )

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        check_steps(self, "first_decay_steps", first_decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = first_decay_steps
        self.t_mul = t_mul
        self.m_mul = m_mul
        self.alpha = alpha
        self.name = name

    def __call__(self, step: Any) -> Any:
        """Returns the learning rate of step `step`."""
        done = as_float(step) / self.first_decay_steps
        if self.t_mul == 1.0:
            period = ops.floor(done)
            done = done - period
        else:
            # Lengths are a geometric series: 1 + t + … + t^(i-1) = (1 - t^i) / (1 - t).
            t = float(self.t_mul)
            period = ops.floor(ops.log(1.0 - done * (1.0 - t)) / math.log(t))
            length = ops.power(t, period)
            done = (done - (1.0 - length) / (1.0 - t)) / length
        height = ops.power(float(self.m_mul), period)
        wave = 0.5 * height * (1.0 + ops.cos(math.pi * done))
        return self.initial_learning_rate * ((1 - self.alpha) * wave + self.alpha)
