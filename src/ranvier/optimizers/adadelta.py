"""Adadelta (Zeiler, 2012)."""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

from ranvier import ops
from ranvier.optimizers.base import BaseOptions, Hyper, Optimizer, Slots

__all__ = ["Adadelta"]


class Adadelta(Optimizer):
    """Steps as large as recent changes were, relative to recent gradients.

    `a = rho * a + (1 - rho) * g**2`; `d = -sqrt(b + epsilon) / sqrt(a + epsilon) * g`;
    `b = rho * b + (1 - rho) * d**2`; `w += learning_rate * d`.

    Args:
        learning_rate: a number, a schedule or a callable; 1.0 is the paper's.
        rho: memory of both means.
        epsilon: starts the steps and keeps the division finite.
        **base: see `Optimizer`.

    Example:
        ```python
        model.compile(optimizer=Adadelta(1.0), loss="mse")
        ```
    """

    config_names: ClassVar = ("rho", "epsilon")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        **base: Unpack[BaseOptions],
    ) -> None:
        super().__init__(learning_rate, **base)
        self.rho = rho
        self.epsilon = epsilon

    def slot_groups(self) -> tuple[tuple[str, ...], ...]:
        """Mean squares of gradients and of changes."""
        return (("accumulated_grad", "accumulated_delta_var"),)

    def update(
        self, param: Any, grad: Any, slots: Slots, hyper: Hyper
    ) -> tuple[Any, Slots]:
        """Returns the new weight and slots."""
        rho, epsilon = self.rho, self.epsilon
        a = slots["accumulated_grad"] * rho + ops.square(grad) * (1 - rho)
        b = slots["accumulated_delta_var"]
        change = -(ops.sqrt(b + epsilon) * grad / ops.sqrt(a + epsilon))
        b = b * rho + ops.square(change) * (1 - rho)
        param = param + change * hyper["learning_rate"]
        return param, {"accumulated_grad": a, "accumulated_delta_var": b}
