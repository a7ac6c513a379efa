"""Adamax: Adam with the infinity norm (Kingma and Ba, 2014, section 7)."""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

from ranvier import ops
from ranvier.optimizers.base import BaseOptions, Hyper, Optimizer, Slots

__all__ = ["Adamax"]


class Adamax(Optimizer):
    """Adam that divides by a decaying maximum of the gradient's size.

    `m += (g - m) * (1 - beta_1)`; `u = max(beta_2 * u, |g|)`;
    `w -= learning_rate * m / ((1 - beta_1**t) * (u + epsilon))` in update `t`.

    Args:
        learning_rate: a number, a schedule or a callable.
        beta_1: memory of the mean gradient.
        beta_2: decay of the maximum.
        epsilon: keeps the division finite.
        **base: see `Optimizer`.

    Example:
        ```python
        model.compile(optimizer=Adamax(2e-3), loss="mse")
        ```
    """

    config_names: ClassVar = ("beta_1", "beta_2", "epsilon")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **base: Unpack[BaseOptions],
    ) -> None:
        super().__init__(learning_rate, **base)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def slot_groups(self) -> tuple[tuple[str, ...], ...]:
        """`momentum` and `norm`."""
        return (("momentum", "norm"),)

    def hyper(self) -> Hyper:
        """The bias-corrected step size."""
        shared = super().hyper()
        t = ops.cast(self.iterations + 1, "float32")
        grown = 1 - ops.power(self.beta_1, t)
        return shared | {"alpha": shared["learning_rate"] / grown}

    def update(
        self, param: Any, grad: Any, slots: Slots, hyper: Hyper
    ) -> tuple[Any, Slots]:
        """Returns the new weight and slots."""
        m = slots["momentum"]
        m = m + (grad - m) * (1 - self.beta_1)
        u = ops.maximum(slots["norm"] * self.beta_2, ops.abs(grad))
        param = param - m * hyper["alpha"] / (u + self.epsilon)
        return param, {"momentum": m, "norm": u}
