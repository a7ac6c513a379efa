"""Named state: weights, optimizer slots, metric sums, counters, seeds."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ranvier.errors import ShapeError
from ranvier.graph.ir import Spec
from ranvier.graph.locks import building
from ranvier.graph.storage import RowMajor, Storage
from ranvier.graph.trace import Operators, Tensor, constant_array, current_trace

if TYPE_CHECKING:
    from ranvier.graph.dims import Shape


class Scopes(threading.local):
    """The names that this thread puts in front of the paths of new variables."""

    def __init__(self) -> None:
        self.path: tuple[str, ...] = ()
        #: Who opened each, by what name.
        self.callers: tuple[tuple[Any, str], ...] = ()


scopes = Scopes()


class Variable(Operators):
    """A tensor that a step may change.

    Inside a trace, reading the variable gives its current symbol and `assign` rebinds
    it: the last binding is the new state. Outside, it holds a value.

    Args:
        initializer: Initial value, or a function ``(shape, dtype) → array``.
        shape: Needed when ``initializer`` is a function.
        dtype: Dtype; that of the value by default (float64 becomes float32).
        trainable: Whether an optimizer may change it.
        name: Its last name; the owner may prefix it (`path`).
        kind: One of ``trainable non_trainable slot metric hyper seed counter carry``.

    Example:
        >>> from ranvier.graph import Variable
        >>> v = Variable([1.0, 2.0], name="v")
        >>> v.assign_add([1.0, 1.0]).numpy()
        array([2., 3.], dtype=float32)
    """

    __array_priority__ = 100

    def __init__(
        self,
        initializer: Any = None,
        shape: Sequence[int] | None = None,
        dtype: str | None = None,
        trainable: bool | None = None,
        name: str | None = None,
        kind: str | None = None,
        regularizer: Any = None,
        constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        if "initial_value" in kwargs:
            initializer = kwargs.pop("initial_value")
        kwargs.pop("autocast", None), kwargs.pop("aggregation", None)
        if kwargs:
            raise TypeError(f"Variable got unknown arguments {sorted(kwargs)}")
        if isinstance(initializer, Callable) and not hasattr(initializer, "__array__"):  # type: ignore[arg-type]
            dtype = dtype or "float32"
            initializer = initializer(tuple(shape or ()), dtype=dtype)
        value = constant_array(initializer, dtype)
        if shape is not None and tuple(shape) != value.shape:
            raise ShapeError(
                "RV108",
                f"variable {name!r} is given a value of another shape",
                details=f"shape is {tuple(shape)}, the value has shape {value.shape}",
            )
        if kind is None:
            kind = "non_trainable" if trainable is False else "trainable"
        self.name = name or "variable"
        self.path = "/".join((*scopes.path, self.name)) if scopes.path else self.name
        self.kind = kind
        self._trainable = kind == "trainable" if trainable is None else trainable
        self.spec = Spec(tuple(value.shape), str(value.dtype))
        self.storage: Storage = RowMajor(np.array(value, order="C"))
        self.regularizer = regularizer
        self.constraint = constraint
        #: Counts writes from outside an engine, so that caches can notice.
        self.version = 0

    @property
    def trainable(self) -> bool:
        """Whether an optimizer may change it."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)

    @property
    def shape(self) -> Shape:
        """Shape."""
        return self.spec.shape

    @property
    def dtype(self) -> str:
        """Dtype."""
        return self.spec.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.spec.shape)

    @property
    def value(self) -> Tensor:
        """The current symbol in a trace, the current value outside."""
        trace = current_trace()
        if trace is None:
            return Tensor(value=self.storage.read())
        return Tensor(node=trace.read(self))

    def numpy(self) -> np.ndarray[Any, Any]:
        """A copy of the value as a logical, row-major array."""
        return self.storage.read()

    def __array__(
        self, dtype: Any = None, copy: bool | None = None
    ) -> np.ndarray[Any, Any]:
        array = self.storage.read()  # a copy
        return array if dtype is None else array.astype(dtype, copy=False)

    def item(self) -> Any:
        """The only element as a Python number."""
        return self.value.item()

    def __float__(self) -> float:
        return float(self.value)

    def __int__(self) -> int:
        return int(self.value)

    def __bool__(self) -> bool:
        return bool(self.value)

    def assign(self, value: Any) -> Variable:
        """Give it a new value of the same shape.

        Raises:
            ShapeError: RV108, when the shape differs (nothing is broadcast).
        """
        from ranvier.graph.functions import as_tensor, cast

        trace = current_trace()
        if (
            trace is None
            and type(value) is np.ndarray
            and value.shape == self.spec.shape
            and value.dtype == self.spec.dtype
        ):  # the common case: weights that are set from arrays that fit
            return self._write(value)
        tensor = as_tensor(value, dtype=None, like=self)
        if tuple(tensor.shape) != tuple(self.shape):
            raise ShapeError(
                "RV108",
                f"variable {self.path!r} is assigned a value of another shape",
                details=f"it has shape {self.shape}, the value {tuple(tensor.shape)}",
            )
        tensor = cast(tensor, self.dtype)
        if trace is not None:
            trace.assign(self, trace.lift(tensor))
            return self
        return self._write(tensor.numpy())

    def _write(self, value: np.ndarray[Any, Any]) -> Variable:
        with building:  # another thread may be moving it to other memory
            self.storage.write(value)
        self.version += 1
        return self

    def assign_add(self, value: Any) -> Variable:
        """Add to it."""
        return self.assign(self.value + value)

    def assign_sub(self, value: Any) -> Variable:
        """Subtract from it."""
        return self.assign(self.value - value)

    def __repr__(self) -> str:
        return f"<Variable {self.path} {self.spec} {self.kind}>"

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> Any:
        if other is self:
            return True
        if other is None or isinstance(other, (str, weakref.ref)):
            return False
        return NotImplemented if isinstance(other, Variable) else self.value == other
