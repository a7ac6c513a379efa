"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

from ranvier.errors import ShapeError
from ranvier.optimizers.base import BaseOptions, Hyper, Optimizer, Slots

__all__ = ["SGD"]


class SGD(Optimizer):
    """Gradient descent, with momentum and Nesterov's variant of it.

    `w -= learning_rate * g`, or with momentum `m = momentum * m - learning_rate * g`
    and then `w += m`; Nesterov: `w += momentum * m - learning_rate * g`.

    Args:
        learning_rate: a number, a schedule or a callable.
        momentum: from 0 to 1; 0 keeps no slot.
        nesterov: use Nesterov's variant.
        **base: see `Optimizer`.

    Raises:
        ShapeError: RV100 if `momentum` is not from 0 to 1.

    Example:
        ```python
        model.compile(optimizer=SGD(0.01, momentum=0.9, nesterov=True), loss="mse")
        ```
    """

    config_names: ClassVar = ("momentum", "nesterov")

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **base: Unpack[BaseOptions],
    ) -> None:
        super().__init__(learning_rate, **base)
        if isinstance(momentum, str) or not 0 <= momentum <= 1:
            raise ShapeError(
                "RV100",
                f"SGD: momentum={momentum!r} must be a number from 0 to 1",
                fix="momentum=0.9",
            )
        self.momentum = float(momentum)
        self.nesterov = nesterov

    def slot_groups(self) -> tuple[tuple[str, ...], ...]:
        """`momentum`, unless it is 0."""
        return (("momentum",),) if self.momentum != 0 else ()

    def update(
        self, param: Any, grad: Any, slots: Slots, hyper: Hyper
    ) -> tuple[Any, Slots]:
        """Returns the new weight and momentum."""
        change = grad * hyper["learning_rate"]
        if self.momentum == 0:
            return param - change, {}
        m = slots["momentum"] * self.momentum - change
        if self.nesterov:
            return param + (m * self.momentum - change), {"momentum": m}
        return param + m, {"momentum": m}
