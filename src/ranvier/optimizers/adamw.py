"""AdamW: Adam with decoupled weight decay (Loshchilov and Hutter, 2019)."""

from __future__ import annotations

from typing import Any

from ranvier.errors import ShapeError
from ranvier.optimizers.adam import Adam

__all__ = ["AdamW"]


class AdamW(Adam):
    """Adam whose weights first shrink: `w -= weight_decay * learning_rate * w`.

    Args:
        learning_rate: a number, a schedule or a callable.
        weight_decay: strength of the shrinking.
        beta_1: memory of the mean gradient.
        beta_2: memory of the mean square.
        epsilon: keeps the division finite.
        amsgrad: divide by the largest mean square so far.
        **base: see `Optimizer`.

    Raises:
        ShapeError: RV100 if `weight_decay` is `None`.

    Example:
        ```python
        model.compile(optimizer=AdamW(1e-3, weight_decay=0.01), loss="mse")
        ```
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **base: Any,
    ) -> None:
        if weight_decay is None:
            raise ShapeError(
                "RV100", "AdamW: weight_decay=None", fix="a number, or Adam"
            )
        super().__init__(
            learning_rate,
            beta_1,
            beta_2,
            epsilon,
            amsgrad,
            weight_decay=weight_decay,
            **base,
        )
