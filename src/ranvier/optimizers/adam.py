"""Adam (Kingma and Ba, 2014), with the AMSGrad variant (Reddi et al., 2018)."""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

from ranvier import ops
from ranvier.optimizers.base import BaseOptions, Hyper, Optimizer, Slots

__all__ = ["Adam"]


class Adam(Optimizer):
    """Running means of the gradient and of its square set the size of each step.

    `m += (g - m) * (1 - beta_1)`; `v += (g**2 - v) * (1 - beta_2)`;
    `alpha = learning_rate * sqrt(1 - beta_2**t) / (1 - beta_1**t)` in update `t`;
    `w -= m * alpha / (sqrt(v) + epsilon)`. With `amsgrad`, the largest `v` so far
    takes the place of `v`.

    Args:
        learning_rate: a number, a schedule or a callable.
        beta_1: memory of the mean gradient.
        beta_2: memory of the mean square.
        epsilon: keeps the division finite.
        amsgrad: divide by the largest mean square so far.
        **base: see `Optimizer`.

    Example:
        ```python
        model.compile(optimizer=Adam(1e-3), loss="mse")
        ```
    """

    config_names: ClassVar = ("beta_1", "beta_2", "epsilon", "amsgrad")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **base: Unpack[BaseOptions],
    ) -> None:
        super().__init__(learning_rate, **base)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.amsgrad = amsgrad

    def slot_groups(self) -> tuple[tuple[str, ...], ...]:
        """`momentum` and `velocity`, and `velocity_hat` for AMSGrad."""
        pair = (("momentum", "velocity"),)
        return (*pair, ("velocity_hat",)) if self.amsgrad else pair

    def hyper(self) -> Hyper:
        """The step size `alpha`, the same for all variables."""
        shared = super().hyper()
        t = ops.cast(self.iterations + 1, "float32")
        grown_1 = 1 - ops.power(self.beta_1, t)
        grown_2 = 1 - ops.power(self.beta_2, t)
        alpha = shared["learning_rate"] * ops.sqrt(grown_2) / grown_1
        return shared | {"alpha": alpha}

    def update(
        self, param: Any, grad: Any, slots: Slots, hyper: Hyper
    ) -> tuple[Any, Slots]:
        """Returns the new weight and slots."""
        m, v = slots["momentum"], slots["velocity"]
        rates = (1 - self.beta_1, 1 - self.beta_2)
        if not self.amsgrad:
            # One named subgraph, so that an engine may run it as one pass.
            param, m, v = ops.adam_update(
                param, m, v, grad, hyper["alpha"], *rates, self.epsilon
            )
            return param, {"momentum": m, "velocity": v}
        m = m + (grad - m) * rates[0]
        v = v + (ops.square(grad) - v) * rates[1]
        largest = ops.maximum(slots["velocity_hat"], v)
        param = param - m * hyper["alpha"] / (ops.sqrt(largest) + self.epsilon)
        return param, {"momentum": m, "velocity": v, "velocity_hat": largest}
