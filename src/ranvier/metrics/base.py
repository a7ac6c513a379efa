"""The base of all metrics: state in variables, `update_state`, `result`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ranvier import ops
from ranvier._lookup import auto_name
from ranvier.graph import Variable
from ranvier.losses.base import standardize_dtype


class Metric:
    """Base class of metrics, which gather evidence batch by batch.

    Sums are kept in float64 and counts in float64 or int64, whatever the metric's own
    dtype, so that they neither saturate nor drift over millions of rows; `result`
    gives the metric's dtype. Everything is written in `ranvier.ops`, so that a metric
    runs inside the traced step.

    Args:
        dtype: dtype of results; float32 by default.
        name: a name; made from the class's by default.

    Example:
        >>> from ranvier import ops
        >>> class Largest(Metric):
        ...     def __init__(self):
        ...         super().__init__(name="largest")
        ...         self.value = self.add_weight(name="value")
        ...     def update_state(self, y_true, y_pred, sample_weight=None):
        ...         self.value.assign(ops.maximum(self.value, ops.max(y_pred)))
        ...     def result(self):
        ...         return self.value.value
        >>> metric = Largest()
        >>> metric.update_state(None, [1.0, 5.0])
        >>> float(metric.result())
        5.0
    """

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        self.name = name or auto_name(type(self).__name__)
        self._dtype = standardize_dtype(dtype)
        self._variables: list[Variable] = []
        self._metrics: list[Metric] = []

    @property
    def dtype(self) -> str:
        """Dtype of results."""
        return self._dtype

    @property
    def variables(self) -> list[Variable]:
        """The state, that of metrics held as attributes included."""
        found = list(self._variables)
        for metric in self._metrics:
            found += metric.variables
        return found

    def __setattr__(self, name: str, value: Any) -> None:
        if "_metrics" in self.__dict__ and name not in ("_metrics", "_variables"):
            held = value.values() if isinstance(value, Mapping) else value
            held = held if isinstance(value, (list, tuple, Mapping)) else [value]
            for item in held:
                self._track(item)
        super().__setattr__(name, value)

    def _track(self, item: Any) -> None:
        """Remembers a metric or variable held as an attribute, or in a list or dict."""
        if isinstance(item, Metric):
            owned: list[Any] = self._metrics
        elif isinstance(item, Variable):
            owned = self._variables
        else:
            return
        if all(item is not known for known in owned):
            owned.append(item)

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any = "zeros",
        dtype: Any = None,
        aggregation: str = "sum",
        name: str | None = None,
    ) -> Variable:
        """Makes a variable that belongs to this metric.

        Args:
            shape: its shape.
            initializer: a name, a function of shape and dtype, or `None` for zeros.
            dtype: its dtype; floating ones are widened to float64, integers to int64.
            aggregation: how copies on several devices would be joined; kept for
                Keras's signature.
            name: its name.
        """
        wide = _widen(standardize_dtype(dtype))
        shape = tuple(int(size) for size in shape)
        variable = Variable(
            _initial(initializer, shape, wide),
            dtype=wide,
            name=name or f"variable_{len(self._variables)}",
            kind="metric",
        )
        variable.path = f"{self.name.replace('/', '>')}/{variable.name}"
        self._variables.append(variable)
        return variable

    def add_weight(
        self,
        shape: Sequence[int] = (),
        initializer: Any = None,
        dtype: Any = None,
        name: str | None = None,
    ) -> Variable:
        """Makes a variable; as `add_variable` with a scalar shape by default."""
        return self.add_variable(shape, initializer, dtype=dtype, name=name)

    def reset_state(self) -> None:
        """Sets every variable to zero, as before the first batch."""
        for variable in self.variables:
            variable.assign(np.zeros(variable.shape, variable.dtype))

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Takes in a batch; to be written by a subclass."""
        raise NotImplementedError(f"{type(self).__name__} must define update_state")

    def result(self) -> Any:
        """The metric of all that was seen since `reset_state`; for subclasses."""
        raise NotImplementedError(f"{type(self).__name__} must define result")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Takes in a batch and gives the result so far."""
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        """The arguments that rebuild this metric."""
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Metric:
        """The metric of that configuration."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


def _widen(dtype: str) -> str:
    if dtype.startswith(("float", "bfloat")):
        return "float64"
    return "int64" if dtype.startswith(("int", "uint")) else dtype


def _initial(initializer: Any, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    if initializer is None or initializer == "zeros":
        return np.zeros(shape, dtype)
    if initializer == "ones":
        return np.ones(shape, dtype)
    if isinstance(initializer, (str, Mapping)):
        from ranvier import initializers

        initializer = initializers.get(initializer)
    if callable(initializer):
        initializer = initializer(shape, dtype=dtype)
    return np.broadcast_to(np.asarray(initializer, dtype), shape).copy()


def wide_sum(x: Any, axis: Any = None) -> Any:
    """The sum of `x` in float64 (integers: int64), as metric variables hold it."""
    return ops.sum(ops.cast(x, _widen(str(x.dtype))), axis=axis)


def divide_no_nan(a: Any, b: Any) -> Any:
    """`a / b`, and 0 where `b` is 0."""
    zero = ops.equal(b, 0)
    return ops.where(zero, 0.0, a / ops.where(zero, 1.0, b))
