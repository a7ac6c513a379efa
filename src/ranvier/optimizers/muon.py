"""Muon (Jordan, 2024), with the step length of Moonlight (Liu et al., 2025)."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, ClassVar, Unpack

from ranvier import ops
from ranvier.errors import ShapeError
from ranvier.graph import Variable
from ranvier.optimizers.base import BaseOptions, Hyper, Optimizer, Slots

__all__ = ["Muon"]


class Muon(Optimizer):
    """Matrices take orthogonal steps, everything else those of AdamW.

    For a matrix of `n` by `k`: `m = momentum * m + g`; `u` is `m` (Nesterov:
    `g + momentum * m`) over its Frobenius norm, made nearly orthogonal by `ns_steps`
    rounds of `a = u u^T`, `u = muon_a * u + (muon_b * a + muon_c * a a) u`;
    `w -= learning_rate * sqrt(max(n, k)) * rms_rate * u`. What has not two axes,
    embeddings, and what `exclude_layers` names are updated by AdamW with the rate
    `learning_rate * adam_lr_ratio`.

    Args:
        learning_rate: a number, a schedule or a callable.
        adam_beta_1: AdamW's memory of the mean gradient.
        adam_beta_2: AdamW's memory of its square.
        adam_weight_decay: weight decay where AdamW works.
        epsilon: keeps AdamW's division finite.
        exclude_layers: regular expressions; a variable in whose path one is found is
            AdamW's.
        exclude_embeddings: leave variables with "embedding" in their path to AdamW.
        muon_a: factor of the round's first power.
        muon_b: factor of its third power.
        muon_c: factor of its fifth power.
        adam_lr_ratio: AdamW's learning rate, relative to `learning_rate`.
        momentum: memory of the matrices' gradient.
        ns_steps: rounds towards an orthogonal matrix.
        nesterov: use Nesterov's variant of the momentum.
        rms_rate: root mean square of a step; `None` leaves its length alone.
        **base: see `Optimizer`; `weight_decay`, 0.004 here, is the matrices'.

    Raises:
        ShapeError: RV100 if `ns_steps` is no whole number from 0 on.

    Example:
        ```python
        model.compile(optimizer=Muon(1e-3, exclude_layers=["head"]), loss="mse")
        ```
    """

    config_names: ClassVar = (
        "adam_beta_1",
        "adam_beta_2",
        "epsilon",
        "exclude_layers",
        "muon_a",
        "muon_b",
        "muon_c",
        "adam_lr_ratio",
        "momentum",
        "ns_steps",
        "nesterov",
        "exclude_embeddings",
        "adam_weight_decay",
        "rms_rate",
    )

    def __init__(
        self,
        learning_rate: Any = 0.001,
        adam_beta_1: float = 0.9,
        adam_beta_2: float = 0.999,
        adam_weight_decay: float | None = 0.004,
        epsilon: float = 1e-7,
        *,
        exclude_layers: Sequence[str] | None = None,
        exclude_embeddings: bool = True,
        muon_a: float = 3.4445,
        muon_b: float = -4.7750,
        muon_c: float = 2.0315,
        adam_lr_ratio: float = 1,
        momentum: float = 0.95,
        ns_steps: int = 5,
        nesterov: bool = True,
        rms_rate: float | None = 0.2,
        **base: Unpack[BaseOptions],
    ) -> None:
        base.setdefault("weight_decay", 0.004)
        super().__init__(learning_rate, **base)
        if not isinstance(ns_steps, int) or ns_steps < 0:
            raise ShapeError(
                "RV100",
                f"Muon: ns_steps={ns_steps!r} must be a whole number from 0 on",
                fix="ns_steps=5",
            )
        self.adam_beta_1 = adam_beta_1
        self.adam_beta_2 = adam_beta_2
        self.adam_weight_decay = adam_weight_decay
        self.epsilon = epsilon
        self.exclude_layers = list(exclude_layers or ())
        self.exclude_embeddings = exclude_embeddings
        self.muon_a = muon_a
        self.muon_b = muon_b
        self.muon_c = muon_c
        self.adam_lr_ratio = adam_lr_ratio
        self.momentum = momentum
        self.ns_steps = ns_steps
        self.nesterov = nesterov
        self.rms_rate = rms_rate

    def _is_adams(self, variable: Variable) -> bool:
        """Whether AdamW updates the variable."""
        if len(variable.shape) != 2:
            return True
        path = getattr(variable, "path", variable.name)
        if self.exclude_embeddings and "embedding" in path.lower():
            return True
        return any(re.search(pattern, path) for pattern in self.exclude_layers)

    def _build_slots(self, variables: Sequence[Variable]) -> None:
        for variable, slots in zip(variables, self._slots, strict=True):
            names = ["momentum"] + ["velocity"] * self._is_adams(variable)
            for name in names:
                slots[name] = self.add_variable_from_reference(variable, name)

    def _decay(self, variable: Variable) -> float | None:
        if self._excludes(variable):
            return None
        adams = self._is_adams(variable)
        return self.adam_weight_decay if adams else self.weight_decay

    def hyper(self) -> Hyper:
        """AdamW's step size `alpha` besides the learning rate."""
        shared = super().hyper()
        t = ops.cast(self.iterations + 1, "float32")
        grown_1 = 1 - ops.power(self.adam_beta_1, t)
        grown_2 = 1 - ops.power(self.adam_beta_2, t)
        rate = shared["learning_rate"] * self.adam_lr_ratio
        return shared | {"alpha": rate * ops.sqrt(grown_2) / grown_1}

    def update(
        self, param: Any, grad: Any, slots: Slots, hyper: Hyper
    ) -> tuple[Any, Slots]:
        """Returns the new weight and slots."""
        m = slots["momentum"]
        if "velocity" in slots:
            rates = (1 - self.adam_beta_1, 1 - self.adam_beta_2)
            param, m, v = ops.adam_update(
                param, m, slots["velocity"], grad, hyper["alpha"], *rates, self.epsilon
            )
            return param, {"momentum": m, "velocity": v}
        m = m + (grad + m * (self.momentum - 1))
        step = self._orthogonal(grad + self.momentum * m if self.nesterov else m)
        step = hyper["learning_rate"] * step
        if self.rms_rate is not None:
            step = step * (math.sqrt(max(param.shape)) * self.rms_rate)
        return param - step, {"momentum": m}

    def _orthogonal(self, x: Any) -> Any:
        """A matrix with singular values near 1 and the singular vectors of `x`."""
        # The product with itself is taken on the shorter side.
        high = x.shape[0] > x.shape[1]
        x = ops.transpose(x) if high else x
        x = x / (ops.sqrt(ops.sum(ops.square(x))) + 1e-7)
        for _ in range(self.ns_steps):
            square = ops.matmul(x, ops.transpose(x))
            mixed = self.muon_b * square + self.muon_c * ops.matmul(square, square)
            x = self.muon_a * x + ops.matmul(mixed, x)
        return ops.transpose(x) if high else x
