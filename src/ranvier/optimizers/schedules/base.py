"""The base of learning-rate schedules."""

from __future__ import annotations

from typing import Any, ClassVar

from ranvier import ops
from ranvier.errors import ShapeError

__all__ = ["LearningRateSchedule"]


class LearningRateSchedule:
    """A learning rate as a function of the step: define `__call__(step)`.

    The step is an optimizer's counter; inside a training step it is a symbol, so write
    the formula in `ranvier.ops`.

    ```python
    class Halving(LearningRateSchedule):
        config_names = ("start", "every")

        def __init__(self, start, every):
            self.start, self.every = start, every

        def __call__(self, step):
            halvings = ops.floor(ops.cast(step, "float32") / self.every)
            return self.start * ops.power(0.5, halvings)
    ```
    """

    #: names of the attributes that `get_config` writes
    config_names: ClassVar[tuple[str, ...]] = ()

    def __call__(self, step: Any) -> Any:
        """Returns the learning rate of step `step` (counted from 0)."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(step)")

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor arguments as plain data, with Keras's keys."""
        if not self.config_names:
            raise NotImplementedError(
                f"{type(self).__name__} must define get_config() or config_names"
            )
        return {name: getattr(self, name) for name in self.config_names}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LearningRateSchedule:
        """Builds the schedule that `get_config` described."""
        return cls(**config)


def check_steps(schedule: LearningRateSchedule, name: str, value: float) -> None:
    """Refuses a schedule whose length is not positive (RV100)."""
    if value <= 0:
        raise ShapeError(
            "RV100",
            f"{type(schedule).__name__}: {name}={value} must be > 0",
            fix=f"{name} = number of updates, for example epochs * rows / batch",
        )


def as_float(step: Any) -> Any:
    """The step as a float32 scalar, the type in which Keras computes schedules."""
    return ops.cast(step, "float32")
