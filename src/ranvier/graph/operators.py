"""Arithmetic on tensors and variables, with Python's operators and NumPy's functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ranvier.graph.trace import Tensor

#: NumPy's elementwise functions that are ours too, under the same name.
# fmt: off
_SAME = (
    "absolute", "add", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2",
    "arctanh", "ceil", "cos", "cosh", "divide", "equal", "exp", "expm1", "floor",
    "floor_divide", "greater", "greater_equal", "isfinite", "isinf", "isnan", "less",
    "less_equal", "log", "log1p", "logical_and", "logical_not", "logical_or",
    "logical_xor", "matmul", "maximum", "minimum", "multiply", "negative", "not_equal",
    "power", "reciprocal", "rint", "sign", "sin", "sinh", "sqrt", "square", "subtract",
    "tan", "tanh", "trunc",
)
# fmt: on
#: NumPy's elementwise functions by name, and ours of the same meaning.
_UFUNCS = dict(zip(_SAME, _SAME, strict=True)) | {
    "bitwise_and": "logical_and",  # as & does
    "bitwise_or": "logical_or",
    "bitwise_xor": "logical_xor",
    "invert": "logical_not",
    "remainder": "mod",
}


def functions() -> Any:
    """`ranvier.graph.functions`, which itself needs tensors."""
    from ranvier.graph import functions as module

    return module


class Operators:
    """Arithmetic on tensors and variables, through `ranvier.graph.functions`."""

    __slots__ = ()

    def __array_ufunc__(
        self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any
    ) -> Any:
        """NumPy's elementwise functions: ``np.exp(t)`` and ``array + t`` are ours.

        Where there is no such operation, and with arguments such as ``where=``, the
        numbers are computed with; a symbol has none.
        """
        name = _UFUNCS.get(ufunc.__name__)
        out = kwargs.get("out", (None,))
        # ``array += t`` binds the name anew, as it does for any two tensors.
        if out[0] is None or out[0] is inputs[0]:
            kwargs.pop("out", None)
        if method == "__call__" and name is not None and not kwargs:
            return getattr(functions(), name)(*inputs)
        arrays = [np.asarray(x) if isinstance(x, Operators) else x for x in inputs]
        return getattr(ufunc, method)(*arrays, **kwargs)

    def __add__(self, other: Any) -> Tensor:
        return functions().add(self, other)

    def __radd__(self, other: Any) -> Tensor:
        return functions().add(other, self)

    def __sub__(self, other: Any) -> Tensor:
        return functions().subtract(self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return functions().subtract(other, self)

    def __mul__(self, other: Any) -> Tensor:
        return functions().multiply(self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return functions().multiply(other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return functions().divide(self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return functions().divide(other, self)

    def __floordiv__(self, other: Any) -> Tensor:
        return functions().floor_divide(self, other)

    def __rfloordiv__(self, other: Any) -> Tensor:
        return functions().floor_divide(other, self)

    def __mod__(self, other: Any) -> Tensor:
        return functions().mod(self, other)

    def __rmod__(self, other: Any) -> Tensor:
        return functions().mod(other, self)

    def __pow__(self, other: Any) -> Tensor:
        return functions().power(self, other)

    def __rpow__(self, other: Any) -> Tensor:
        return functions().power(other, self)

    def __matmul__(self, other: Any) -> Tensor:
        return functions().matmul(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return functions().matmul(other, self)

    def __neg__(self) -> Tensor:
        return functions().negative(self)

    def __abs__(self) -> Tensor:
        return functions().absolute(self)

    def __invert__(self) -> Tensor:
        return functions().logical_not(self)

    def __and__(self, other: Any) -> Tensor:
        return functions().logical_and(self, other)

    def __or__(self, other: Any) -> Tensor:
        return functions().logical_or(self, other)

    def __xor__(self, other: Any) -> Tensor:
        return functions().logical_xor(self, other)

    def __lt__(self, other: Any) -> Tensor:
        return functions().less(self, other)

    def __le__(self, other: Any) -> Tensor:
        return functions().less_equal(self, other)

    def __gt__(self, other: Any) -> Tensor:
        return functions().greater(self, other)

    def __ge__(self, other: Any) -> Tensor:
        return functions().greater_equal(self, other)

    def __eq__(self, other: object) -> Any:
        return functions().equal(self, other)

    def __ne__(self, other: object) -> Any:
        return functions().not_equal(self, other)

    def __getitem__(self, key: Any) -> Tensor:
        return functions().getitem(self, key)

    __hash__ = object.__hash__
