"""FTRL-Proximal (McMahan et al., 2013)."""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

from ranvier import ops
from ranvier.errors import ShapeError
from ranvier.optimizers.base import BaseOptions, Hyper, Optimizer, Slots

__all__ = ["Ftrl"]


class Ftrl(Optimizer):
    """Follow the regularized leader: sparse weights for wide linear models.

    With `p = -learning_rate_power`: `n = a + g**2`;
    `z += g + 2 * shrinkage * w - (n**p - a**p) / learning_rate * w`;
    `w = (clip(z, -l1, l1) - z) / (n**p / learning_rate + 2 * l2')`, where
    `l2' = l2 + beta / (2 * learning_rate)`; `a = n`.

    Args:
        learning_rate: a number, a schedule or a callable.
        learning_rate_power: at most 0; 0 keeps the rate fixed.
        initial_accumulator_value: what `a` starts from, at least 0.
        l1_regularization_strength: at least 0; makes weights exactly 0.
        l2_regularization_strength: at least 0.
        l2_shrinkage_regularization_strength: at least 0; acts through the gradient.
        beta: the paper's `beta`.
        **base: see `Optimizer`.

    Raises:
        ShapeError: RV100 if an argument is outside its range.

    Example:
        ```python
        model.compile(optimizer=Ftrl(0.05, l1_regularization_strength=0.01), loss="mse")
        ```
    """

    config_names: ClassVar = (
        "learning_rate_power",
        "initial_accumulator_value",
        "l1_regularization_strength",
        "l2_regularization_strength",
        "l2_shrinkage_regularization_strength",
        "beta",
    )

    def __init__(
        self,
        learning_rate: Any = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
        **base: Unpack[BaseOptions],
    ) -> None:
        super().__init__(learning_rate, **base)
        self.learning_rate_power = learning_rate_power
        self.initial_accumulator_value = initial_accumulator_value
        self.l1_regularization_strength = l1_regularization_strength
        self.l2_regularization_strength = l2_regularization_strength
        self.l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength
        self.beta = beta
        for name in self.config_names[1:5]:
            if getattr(self, name) < 0:
                raise ShapeError(
                    "RV100",
                    f"Ftrl: {name}={getattr(self, name)} must be at least 0",
                    fix=f"{name}=0.0",
                )
        if learning_rate_power > 0:
            raise ShapeError(
                "RV100",
                f"Ftrl: learning_rate_power={learning_rate_power} must be at most 0",
                fix="learning_rate_power=-0.5",
            )

    def slot_groups(self) -> tuple[tuple[str, ...], ...]:
        """`accumulator` and `linear`."""
        return (("accumulator", "linear"),)

    def slot_initial(self, name: str) -> float:
        """The accumulator starts above 0."""
        return self.initial_accumulator_value if name == "accumulator" else 0.0

    def update(
        self, param: Any, grad: Any, slots: Slots, hyper: Hyper
    ) -> tuple[Any, Slots]:
        """Returns the new weight and slots."""
        lr = hyper["learning_rate"]
        p = -float(self.learning_rate_power)
        l1 = self.l1_regularization_strength
        l2 = self.l2_regularization_strength + self.beta / (2.0 * lr)
        old = slots["accumulator"]
        new = old + ops.square(grad)
        new_power = ops.power(new, p)
        pull = grad + param * (2 * self.l2_shrinkage_regularization_strength)
        z = slots["linear"] + (pull - (new_power - ops.power(old, p)) / lr * param)
        param = (ops.clip(z, -l1, l1) - z) / (new_power / lr + 2 * l2)
        return param, {"accumulator": new, "linear": z}
