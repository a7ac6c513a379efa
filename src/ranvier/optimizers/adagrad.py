"""Adagrad (Duchi, Hazan and Singer, 2011)."""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

from ranvier import ops
from ranvier.optimizers.base import BaseOptions, Hyper, Optimizer, Slots

__all__ = ["Adagrad"]


class Adagrad(Optimizer):
    """The more a weight has been moved, the smaller its steps.

    `a += g**2`; `w -= learning_rate * g / sqrt(a + epsilon)`.

    Args:
        learning_rate: a number, a schedule or a callable.
        initial_accumulator_value: what `a` starts from.
        epsilon: keeps the division finite.
        **base: see `Optimizer`.

    Example:
        ```python
        model.compile(optimizer=Adagrad(0.01), loss="mse")
        ```
    """

    config_names: ClassVar = ("initial_accumulator_value", "epsilon")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **base: Unpack[BaseOptions],
    ) -> None:
        super().__init__(learning_rate, **base)
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = epsilon

    def slot_groups(self) -> tuple[tuple[str, ...], ...]:
        """`accumulator`."""
        return (("accumulator",),)

    def slot_initial(self, name: str) -> float:
        """The accumulator starts above 0, so that first steps are not too long."""
        return self.initial_accumulator_value

    def update(
        self, param: Any, grad: Any, slots: Slots, hyper: Hyper
    ) -> tuple[Any, Slots]:
        """Returns the new weight and accumulator."""
        a = slots["accumulator"] + ops.square(grad)
        param = param - grad * hyper["learning_rate"] / ops.sqrt(a + self.epsilon)
        return param, {"accumulator": a}
