"""Lion (Chen et al., 2023)."""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

from ranvier import ops
from ranvier.errors import ShapeError
from ranvier.optimizers.base import BaseOptions, Hyper, Optimizer, Slots

__all__ = ["Lion"]


class Lion(Optimizer):
    """Steps of equal size for all weights; only their sign is learned.

    `w -= learning_rate * sign(beta_1 * m + (1 - beta_1) * g)`;
    `m = beta_2 * m + (1 - beta_2) * g`.

    Args:
        learning_rate: a number, a schedule or a callable; about a tenth of Adam's.
        beta_1: weight of the memory in the sign.
        beta_2: memory of the mean gradient.
        **base: see `Optimizer`.

    Raises:
        ShapeError: RV100 if `beta_1` is not in (0, 1].

    Example:
        ```python
        model.compile(optimizer=Lion(1e-4), loss="mse")
        ```
    """

    config_names: ClassVar = ("beta_1", "beta_2")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        **base: Unpack[BaseOptions],
    ) -> None:
        super().__init__(learning_rate, **base)
        if not 0 < beta_1 <= 1:
            raise ShapeError(
                "RV100",
                f"Lion: beta_1={beta_1} must be above 0 and at most 1",
                fix="beta_1=0.9",
            )
        self.beta_1 = beta_1
        self.beta_2 = beta_2

    def slot_groups(self) -> tuple[tuple[str, ...], ...]:
        """`momentum`."""
        return (("momentum",),)

    def update(
        self, param: Any, grad: Any, slots: Slots, hyper: Hyper
    ) -> tuple[Any, Slots]:
        """Returns the new weight and momentum."""
        m = slots["momentum"]
        direction = ops.sign(m * self.beta_1 + grad * (1.0 - self.beta_1))
        m = m * self.beta_2 + grad * (1.0 - self.beta_2)
        return param - direction * hyper["learning_rate"], {"momentum": m}
