"""What the parameters of the estimators may be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ranvier._check import (
    Constraint,
    InstanceOf,
    Interval,
    OneOf,
    Optional,
    check_parameters,
)
from ranvier.errors import ShapeError

__all__ = ["ACTIVATIONS", "COMMON", "hidden_sizes", "verify"]

#: scikit-learn's four, and others of Keras's.
ACTIVATIONS = (
    "identity", "logistic", "tanh", "relu",
    "elu", "gelu", "leaky_relu", "mish", "selu", "silu", "softplus", "softsign", "swish",
)  # fmt: skip


@dataclass(frozen=True)
class Either:
    """What one of several constraints allows."""

    choices: tuple[Constraint, ...]

    def accepts(self, value: object) -> bool:
        """Whether any allows it."""
        return any(choice.accepts(value) for choice in self.choices)

    def describe(self) -> str:
        """The words of all."""
        return ", or ".join(choice.describe() for choice in self.choices)

    def bad_values(self) -> Sequence[object]:
        """What all refuse."""
        values = [v for choice in self.choices for v in choice.bad_values()]
        return [v for v in values if not self.accepts(v)]


_COUNT = Interval(int, 1)
_FLAG = InstanceOf(bool, np.bool_)

COMMON: dict[str, Constraint] = {
    "activation": OneOf(*ACTIVATIONS),
    "solver": OneOf("adam", "sgd", "lbfgs"),
    "alpha": Interval(float, 0),
    "batch_size": Either((OneOf("auto"), _COUNT)),
    "learning_rate": OneOf("constant", "invscaling", "adaptive"),
    "learning_rate_init": Interval(float, 0, closed="right"),
    "power_t": Interval(float, 0),
    "max_iter": _COUNT,
    "shuffle": _FLAG,
    "tol": Interval(float, 0),
    "verbose": Either((_FLAG, Interval(int, 0))),
    "warm_start": _FLAG,
    "momentum": Interval(float, 0, 1),
    "nesterovs_momentum": _FLAG,
    "early_stopping": _FLAG,
    "validation_fraction": Interval(float, 0, 1, closed="left"),
    "beta_1": Interval(float, 0, 1, closed="left"),
    "beta_2": Interval(float, 0, 1, closed="left"),
    "epsilon": Interval(float, 0, closed="right"),
    "max_fun": _COUNT,
    "n_iter_no_change": Either((OneOf(np.inf), _COUNT)),
    "threads": Optional(_COUNT),
}


def verify(owner: Any, table: Mapping[str, Constraint]) -> None:
    """Checks the parameters of an estimator that stand in a table.

    Raises:
        ShapeError: RV100 for a value that is not allowed.
    """
    given = {name: getattr(owner, name) for name in table}
    check_parameters(type(owner).__name__, table, given)


def hidden_sizes(value: Any) -> tuple[int, ...]:
    """Widths of the hidden layers; a single number is one layer.

    Raises:
        ShapeError: RV100 for what are no whole numbers of at least 1.
    """
    many = list(value) if isinstance(value, Iterable) else [value]
    if isinstance(value, str) or not all(_COUNT.accepts(size) for size in many):
        raise ShapeError(
            "RV100",
            f"hidden_layer_sizes must be > 0, got {value!r}",
            details="one whole number for each hidden layer",
            fix="hidden_layer_sizes=(100,)",
        )
    return tuple(int(size) for size in many)
