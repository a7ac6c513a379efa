"""Nadam: Adam with Nesterov momentum (Dozat, 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Unpack

from ranvier import ops
from ranvier.graph import Variable
from ranvier.optimizers.base import BaseOptions, Hyper, Optimizer, Slots

__all__ = ["Nadam"]


class Nadam(Optimizer):
    """Adam that looks one step of momentum ahead.

    The momentum of update `t` is `u(t) = beta_1 * (1 - 0.96**t / 2)`, and `U(t)` is the
    product of all up to `t`. `m` and `v` are those of Adam;
    `m_hat = u(t+1) * m / (1 - U(t+1)) + (1 - u(t)) * g / (1 - U(t))`;
    `w -= learning_rate * m_hat / (sqrt(v / (1 - beta_2**t)) + epsilon)`.

    Args:
        learning_rate: a number, a schedule or a callable.
        beta_1: memory of the mean gradient.
        beta_2: memory of the mean square.
        epsilon: keeps the division finite.
        **base: see `Optimizer`.

    Example:
        ```python
        model.compile(optimizer=Nadam(1e-3), loss="mse")
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
        """`momentum` and `velocity`."""
        return (("momentum", "velocity"),)

    def _build_slots(self, variables: Sequence[Variable]) -> None:
        super()._build_slots(variables)
        # In Keras's files the product comes last.
        self._u_product = self.add_variable((), "ones", name="u_product")

    def hyper(self) -> Hyper:
        """The momenta and the three bias corrections; moves the product on."""
        t = ops.cast(self.iterations + 1, "float32")
        u_now = self.beta_1 * (1.0 - 0.5 * ops.power(0.96, t))
        u_next = self.beta_1 * (1.0 - 0.5 * ops.power(0.96, t + 1))
        product = self._u_product.value * u_now
        self._u_product.assign(product)
        shared = super().hyper()
        # Everything that is alike for all weights is computed here, once a step:
        # sqrt(v / c) + eps = (sqrt(v) + eps * sqrt(c)) / sqrt(c).
        root = ops.sqrt(1 - ops.power(self.beta_2, t))
        size = shared["learning_rate"] * root
        return shared | {
            "mean_factor": u_next / (1 - product * u_next) * size,
            "grad_factor": (1 - u_now) / (1 - product) * size,
            "epsilon": self.epsilon * root,
        }

    def update(
        self, param: Any, grad: Any, slots: Slots, hyper: Hyper
    ) -> tuple[Any, Slots]:
        """Returns the new weight and slots."""
        m, v = slots["momentum"], slots["velocity"]
        m = m + (grad - m) * (1 - self.beta_1)
        v = v + (ops.square(grad) - v) * (1 - self.beta_2)
        step = m * hyper["mean_factor"] + grad * hyper["grad_factor"]
        param = param - step / (ops.sqrt(v) + hyper["epsilon"])
        return param, {"momentum": m, "velocity": v}
