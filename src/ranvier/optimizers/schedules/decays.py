"""Schedules that decay once: exponential, inverse time, polynomial, piecewise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ranvier import ops
from ranvier.errors import ShapeError
from ranvier.optimizers.schedules.base import (
    LearningRateSchedule,
    as_float,
    check_steps,
)

__all__ = [
    "ExponentialDecay",
    "InverseTimeDecay",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
]


class ExponentialDecay(LearningRateSchedule):
    """`initial_learning_rate * decay_rate ** (step / decay_steps)`.

    Args:
        initial_learning_rate: the rate of step 0.
        decay_steps: after so many steps the rate is `decay_rate` times the first.
        decay_rate: the factor.
        staircase: round `step / decay_steps` down, so that the rate falls in jumps.
        name: a name.

    Raises:
        ShapeError: RV100 if `decay_steps` is not positive.

    Example:
        ```python
        optimizer = SGD(schedules.ExponentialDecay(0.1, 1000, 0.96))
        ```
    """

    config_names: ClassVar = (
        "initial_learning_rate",
        "decay_steps",
        "decay_rate",
        "staircase",
        "name",
    )

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        check_steps(self, "decay_steps", decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def __call__(self, step: Any) -> Any:
        """Returns the learning rate of step `step`."""
        p = as_float(step) / self.decay_steps
        if self.staircase:
            p = ops.floor(p)
        return self.initial_learning_rate * ops.power(float(self.decay_rate), p)


class InverseTimeDecay(LearningRateSchedule):
    """`initial_learning_rate / (1 + decay_rate * step / decay_steps)`.

    Args:
        initial_learning_rate: the rate of step 0.
        decay_steps: the unit of time, in steps.
        decay_rate: how much the denominator grows in one unit of time.
        staircase: round `step / decay_steps` down.
        name: a name.

    Raises:
        ShapeError: RV100 if `decay_steps` is not positive.

    Example:
        ```python
        optimizer = SGD(schedules.InverseTimeDecay(0.1, 1000, 0.5))
        ```
    """

    config_names: ClassVar = ExponentialDecay.config_names

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        check_steps(self, "decay_steps", decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def __call__(self, step: Any) -> Any:
        """Returns the learning rate of step `step`."""
        p = as_float(step) / self.decay_steps
        if self.staircase:
            p = ops.floor(p)
        return self.initial_learning_rate / (1.0 + p * self.decay_rate)


class PolynomialDecay(LearningRateSchedule):
    """`(initial - end) * (1 - step / decay_steps) ** power + end`.

    Args:
        initial_learning_rate: the rate of step 0.
        decay_steps: the step at which `end_learning_rate` is reached.
        end_learning_rate: the rate from there on.
        power: 1 is a straight line.
        cycle: begin again with a longer decay each time the end is reached.
        name: a name.

    Raises:
        ShapeError: RV100 if `decay_steps` is not positive.

    Example:
        ```python
        optimizer = SGD(schedules.PolynomialDecay(0.1, 10_000, 0.001))
        ```
    """

    config_names: ClassVar = (
        "initial_learning_rate",
        "decay_steps",
        "end_learning_rate",
        "power",
        "cycle",
        "name",
    )

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        check_steps(self, "decay_steps", decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = cycle
        self.name = name

    def __call__(self, step: Any) -> Any:
        """Returns the learning rate of step `step`."""
        step = as_float(step)
        if self.cycle:
            # The first multiple of decay_steps that is not below the step.
            periods = ops.maximum(ops.ceil(step / self.decay_steps), 1.0)
            p = step / (periods * self.decay_steps)
        else:
            p = ops.minimum(step, float(self.decay_steps)) / self.decay_steps
        span = self.initial_learning_rate - self.end_learning_rate
        return span * ops.power(1.0 - p, float(self.power)) + self.end_learning_rate


class PiecewiseConstantDecay(LearningRateSchedule):
    """`values[i]`, where `i` is the number of boundaries below the step.

    Args:
        boundaries: increasing steps; a boundary itself still has the earlier value.
        values: one more number than there are boundaries.
        name: a name.

    Raises:
        ShapeError: RV100 if the lengths do not fit.

    Example:
        ```python
        rate = schedules.PiecewiseConstantDecay([1000, 2000], [0.1, 0.05, 0.01])
        ```
    """

    config_names: ClassVar = ("boundaries", "values", "name")

    def __init__(
        self,
        boundaries: Sequence[float],
        values: Sequence[float],
        name: str = "PiecewiseConstant",
    ) -> None:
        if len(boundaries) != len(values) - 1:
            raise ShapeError(
                "RV100",
                "PiecewiseConstantDecay: values must be one longer than boundaries",
                details=f"{len(boundaries)} boundaries, {len(values)} values",
                fix="one value before each boundary and one after the last",
            )
        self.boundaries = boundaries
        self.values = values
        self.name = name

    def __call__(self, step: Any) -> Any:
        """Returns the learning rate of step `step`."""
        rate = ops.cast(self.values[0], "float32")
        for boundary, value in zip(self.boundaries, self.values[1:], strict=True):
            # Steps are whole numbers: above 2.5 is above 2, as in Keras's integers.
            rate = ops.where(step > int(boundary), value, rate)
        return rate
