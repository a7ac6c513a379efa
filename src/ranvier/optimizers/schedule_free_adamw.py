"""AdamW without a schedule (Defazio et al., 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Unpack

from ranvier import ops
from ranvier.errors import ShapeError
from ranvier.graph import Variable
from ranvier.optimizers.base import BaseOptions, Hyper, Optimizer, Slots

__all__ = ["ScheduleFreeAdamW"]


class ScheduleFreeAdamW(Optimizer):
    """Steps are averaged, so that the learning rate need not fall towards the end.

    The steps are taken on `z`, `x` is their mean, and the model's weights `w` stand
    between them, where the gradient is taken. In update `t`:
    `v += (g**2 - v) * (1 - beta_2)`;
    `x = (w - (1 - beta_1) * z) / beta_1`, the mean so far;
    `z -= learning_rate * min(t / warmup_steps, 1) * g / (sqrt(v / (1 - beta_2**t)) +
    epsilon)`; `x += (z - x) / t`; `w = (1 - beta_1) * z + beta_1 * x`.

    As in Keras, `evaluate` and `predict` use `w`, and `z` starts from the weights that
    the optimizer is built with: weights loaded later need a new `compile`.

    Args:
        learning_rate: a number, a schedule or a callable.
        beta_1: how near `w` is to the mean.
        beta_2: memory of the mean square.
        epsilon: keeps the division finite.
        warmup_steps: over so many updates the learning rate rises from zero.
        **base: see `Optimizer`.

    Raises:
        ShapeError: RV100 unless `0 < beta_1 <= 1`, which the mean is divided by.

    Example:
        ```python
        model.compile(optimizer=ScheduleFreeAdamW(2.5e-3), loss="mse")
        ```
    """

    config_names: ClassVar = ("beta_1", "beta_2", "epsilon", "warmup_steps")

    def __init__(
        self,
        learning_rate: Any = 0.0025,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        warmup_steps: int = 0,
        **base: Unpack[BaseOptions],
    ) -> None:
        super().__init__(learning_rate, **base)
        if not 0 < beta_1 <= 1:
            raise ShapeError(
                "RV100",
                f"ScheduleFreeAdamW: beta_1={beta_1!r} must be above 0, and at most 1",
                fix="beta_1=0.9",
            )
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.warmup_steps = warmup_steps

    def _build_slots(self, variables: Sequence[Variable]) -> None:
        for variable, slots in zip(variables, self._slots, strict=True):
            # Keras calls `z` the momentum.
            for name, fill in (("momentum", variable.numpy()), ("velocity", "zeros")):
                slots[name] = self.add_variable_from_reference(variable, name, fill)

    def hyper(self) -> Hyper:
        """The step's length after the warmup, the weight of `z` in the mean."""
        shared = super().hyper()
        t = ops.cast(self.iterations + 1, "float32")
        rate = shared["learning_rate"]
        if self.warmup_steps > 0:
            rate = rate * ops.minimum(t / self.warmup_steps, 1.0)
        grown_2 = 1 - ops.power(self.beta_2, t)
        return shared | {"rate": rate, "weight": 1.0 / t, "grown_2": grown_2}

    def update(
        self, param: Any, grad: Any, slots: Slots, hyper: Hyper
    ) -> tuple[Any, Slots]:
        """Returns the new weight and slots."""
        z, v = slots["momentum"], slots["velocity"]
        # Rounded as in Keras, for the mean is found back by dividing, step after step.
        beta_1, beta_2 = (ops.cast(b, param.dtype) for b in (self.beta_1, self.beta_2))
        far = 1 - beta_1
        v = v + (ops.square(grad) - v) * (1 - beta_2)
        mean = (param - far * z) / beta_1
        size = ops.sqrt(v / hyper["grown_2"]) + self.epsilon
        z = z - hyper["rate"] * grad / size
        mean = (1 - hyper["weight"]) * mean + hyper["weight"] * z
        return far * z + beta_1 * mean, {"momentum": z, "velocity": v}
