"""RMSprop (Hinton's lecture 6e, 2012)."""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

from ranvier import ops
from ranvier.optimizers.base import BaseOptions, Hyper, Optimizer, Slots

__all__ = ["RMSprop"]


class RMSprop(Optimizer):
    """Divides the gradient by a running root mean square of itself.

    `v = rho * v + (1 - rho) * g**2`; `w -= learning_rate * g / sqrt(v + epsilon)`.
    With `centered`, `v` is less the square of the running mean gradient, which makes it
    a variance; with `momentum`, changes are accumulated.

    Args:
        learning_rate: a number, a schedule or a callable.
        rho: memory of the running mean.
        momentum: memory of the accumulated change; 0 keeps no slot.
        epsilon: keeps the division finite.
        centered: divide by the standard deviation.
        **base: see `Optimizer`.

    Example:
        ```python
        model.compile(optimizer=RMSprop(1e-3, momentum=0.9), loss="mse")
        ```
    """

    config_names: ClassVar = ("rho", "momentum", "epsilon", "centered")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **base: Unpack[BaseOptions],
    ) -> None:
        super().__init__(learning_rate, **base)
        self.rho = rho
        self.momentum = momentum
        self.epsilon = epsilon
        self.centered = centered

    def slot_groups(self) -> tuple[tuple[str, ...], ...]:
        """`velocity`, then what the arguments ask for."""
        groups: list[tuple[str, ...]] = [("velocity",)]
        if self.momentum > 0:
            groups.append(("momentum",))
        if self.centered:
            groups.append(("average_gradient",))
        return tuple(groups)

    def update(
        self, param: Any, grad: Any, slots: Slots, hyper: Hyper
    ) -> tuple[Any, Slots]:
        """Returns the new weight and slots."""
        rho = self.rho
        v = slots["velocity"] * rho + ops.square(grad) * (1 - rho)
        new = {"velocity": v}
        spread = v + self.epsilon
        if self.centered:
            mean = slots["average_gradient"] * rho + grad * (1 - rho)
            new["average_gradient"] = mean
            spread = v - ops.square(mean) + self.epsilon
        change = grad * hyper["learning_rate"] / ops.sqrt(spread)
        if self.momentum > 0:
            change = slots["momentum"] * self.momentum + change
            new["momentum"] = change
        return param - change, new
