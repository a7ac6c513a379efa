"""LAMB (You et al., 2019)."""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

from ranvier import ops
from ranvier.optimizers.base import BaseOptions, Hyper, Optimizer, Slots

__all__ = ["Lamb"]


class Lamb(Optimizer):
    """Adam whose step in each variable is as long as the variable times the rate.

    `d = (m / (1 - beta_1**t)) / (sqrt(v / (1 - beta_2**t)) + epsilon)` with Adam's `m`
    and `v`; `w -= learning_rate * d * norm(w) / norm(d)`. Where a norm is 0 their
    ratio is taken as 1.

    Args:
        learning_rate: a number, a schedule or a callable.
        beta_1: memory of the mean gradient.
        beta_2: memory of the mean square.
        epsilon: keeps the division finite.
        **base: see `Optimizer`.

    Example:
        ```python
        model.compile(optimizer=Lamb(1e-3), loss="mse")
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

    def hyper(self) -> Hyper:
        """The bias corrections."""
        t = ops.cast(self.iterations + 1, "float32")
        return super().hyper() | {
            "grown_1": 1 - ops.power(self.beta_1, t),
            "grown_2": 1 - ops.power(self.beta_2, t),
        }

    def update(
        self, param: Any, grad: Any, slots: Slots, hyper: Hyper
    ) -> tuple[Any, Slots]:
        """Returns the new weight and slots."""
        m, v = slots["momentum"], slots["velocity"]
        m = m + (grad - m) * (1 - self.beta_1)
        v = v + (ops.square(grad) - v) * (1 - self.beta_2)
        size = ops.sqrt(v / hyper["grown_2"]) + self.epsilon
        change = m / hyper["grown_1"] / size
        w_norm = ops.sqrt(ops.sum(ops.square(param)))
        d_norm = ops.sqrt(ops.sum(ops.square(change)))
        both = ops.logical_and(ops.greater(w_norm, 0), ops.greater(d_norm, 0))
        ratio = ops.where(both, w_norm / ops.where(both, d_norm, 1.0), 1.0)
        param = param - change * (ratio * hyper["learning_rate"])
        return param, {"momentum": m, "velocity": v}
