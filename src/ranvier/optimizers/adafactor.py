"""Adafactor (Shazeer and Stern, 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Unpack

from ranvier import ops
from ranvier.graph import Variable
from ranvier.optimizers.base import BaseOptions, Hyper, Optimizer, Slots

__all__ = ["Adafactor"]


class Adafactor(Optimizer):
    """Adam's mean square kept as one row and one column; steps relative to the weights.

    For a variable of two or more axes, `r` and `c` are running means of
    `s = g**2 + epsilon_1` over the last and the last but one axis, with memory
    `1 - t**beta_2_decay`, and `v = r * c / mean(r)`; for others `v` is a running mean
    of `s` itself. `u = g / sqrt(v)`, scaled down to a root mean square of at most
    `clip_threshold`; `w -= max(epsilon_2, rms(w)) * min(rate, 1 / sqrt(t)) * u`.

    Args:
        learning_rate: a number, a schedule or a callable.
        beta_2_decay: exponent of the memory.
        epsilon_1: keeps the mean square above 0.
        epsilon_2: the least size of a weight for the length of its step.
        clip_threshold: largest root mean square of `u`.
        relative_step: bound a fixed rate by `1 / sqrt(t)`.
        **base: see `Optimizer`.

    Example:
        ```python
        model.compile(optimizer=Adafactor(1e-2), loss="mse")
        ```
    """

    config_names: ClassVar = (
        "beta_2_decay",
        "epsilon_1",
        "epsilon_2",
        "clip_threshold",
        "relative_step",
    )

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3,
        clip_threshold: float = 1.0,
        relative_step: bool = True,
        **base: Unpack[BaseOptions],
    ) -> None:
        super().__init__(learning_rate, **base)
        self.beta_2_decay = beta_2_decay
        self.epsilon_1 = epsilon_1
        self.epsilon_2 = epsilon_2
        self.clip_threshold = clip_threshold
        self.relative_step = relative_step

    def _build_slots(self, variables: Sequence[Variable]) -> None:
        for variable, slots in zip(variables, self._slots, strict=True):
            shape = tuple(variable.shape)
            factored = len(shape) >= 2
            # Keras's files have two whole numbers in place of the factors of a vector.
            row = shape[:-1] if factored else ()
            column = (*shape[:-2], shape[-1]) if factored else ()
            kept = {
                name: self.add_variable(
                    size,
                    dtype=variable.dtype if factored else "int32",
                    name=f"{variable.name}_{name}",
                )
                for name, size in (("row", row), ("column", column))
            }
            velocity = self.add_variable_from_reference(variable, "velocity")
            slots.update(kept if factored else {}, velocity=velocity)

    def hyper(self) -> Hyper:
        """The bounded rate and the memory of this update."""
        shared = super().hyper()
        t = ops.cast(self.iterations + 1, "float32")
        # A schedule is bounded as well, here: the bound of `relative_step`, which
        # Keras applies to fixed rates only, is the same and changes nothing more.
        rate = ops.minimum(shared["learning_rate"], 1 / ops.sqrt(t))
        memory = 1 - ops.power(t, float(self.beta_2_decay))
        return shared | {"rate": rate, "memory": memory}

    def update(
        self, param: Any, grad: Any, slots: Slots, hyper: Hyper
    ) -> tuple[Any, Slots]:
        """Returns the new weight and slots."""
        keep = hyper["memory"]
        square = ops.square(grad) + self.epsilon_1
        if "row" in slots:
            row = slots["row"] * keep + ops.mean(square, axis=-1) * (1 - keep)
            column = slots["column"] * keep + ops.mean(square, axis=-2) * (1 - keep)
            share = row / ops.mean(row, axis=-1, keepdims=True)
            v = ops.expand_dims(share, -1) * ops.expand_dims(column, -2)
            new = {"row": row, "column": column, "velocity": v}
        else:
            v = slots["velocity"] * keep + square * (1 - keep)
            new = {"velocity": v}
        u = grad / ops.sqrt(v)
        u = u / ops.maximum(_rms(u) / self.clip_threshold, 1.0)
        length = ops.maximum(_rms(param), self.epsilon_2) * hyper["rate"]
        return param - u * length, new


def _rms(x: Any) -> Any:
    return ops.sqrt(ops.mean(ops.square(x)))
