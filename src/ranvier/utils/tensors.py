"""Helpers about tensors: their dtype's name, and where symbolic ones come from."""

from __future__ import annotations

from typing import Any

from ranvier import config
from ranvier.errors import ShapeError, nearest

__all__ = ["get_source_inputs", "standardize_dtype"]

#: Names that Keras knows; which of them are computed in is for each layer to say.
_DTYPES = (
    "float16", "float32", "float64", "bfloat16", "float8_e4m3fn", "float8_e5m2",
    "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64",
    "bool", "string", "complex64", "complex128",
)  # fmt: skip
_PYTHON = {
    bool: "bool",
    int: "int32",
    float: "float32",
    str: "string",
    "int": "int32",
    complex: "complex64",
}


def standardize_dtype(dtype: Any) -> str:
    """The name of a dtype.

    Args:
        dtype: a name, a Python or NumPy type, a dtype of NumPy, PyTorch or JAX, or
            ``None`` for `keras.config.floatx`.

    Raises:
        ShapeError: RV100 for anything else.

    Example:
        >>> standardize_dtype(float), standardize_dtype(None), standardize_dtype("int")
        ('float32', 'float32', 'int32')
    """
    if dtype is None:
        return config.floatx()
    if isinstance(dtype, (str, type)):
        dtype = _PYTHON.get(dtype, dtype)
    name = getattr(dtype, "name", None) or getattr(dtype, "__name__", None)
    if name is None:
        name = str(dtype).rpartition(".")[2] if "torch" in str(dtype) else dtype
    if name not in _DTYPES:
        close = nearest(name, _DTYPES)
        raise ShapeError(
            "RV100",
            f"{dtype!r} is no dtype",
            details="known: " + ", ".join(_DTYPES),
            fix=close or "'float32'",
        )
    return str(name)


def get_source_inputs(tensor: Any) -> Any:
    """The symbolic inputs that a symbolic tensor is computed from.

    Args:
        tensor: what a layer gave for a `keras.Input`.

    Returns:
        A list of `keras.KerasTensor`, each once, in the order in which they are met;
        anything else than a symbolic tensor comes back as it is.

    Example:
        >>> import ranvier as keras
        >>> a, b = keras.Input((2,), name="a"), keras.Input((2,), name="b")
        >>> [t.name for t in get_source_inputs(keras.layers.Dense(3)(a + b))]
        ['a', 'b']
    """
    if not hasattr(tensor, "_keras_history"):
        return tensor
    found: list[Any] = []
    seen: set[int] = set()
    waiting = [tensor]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        node = one.node
        if node is None:
            found.append(one)
        elif node.is_input:
            found += [t for t in node.output_tensors if all(t is not f for f in found)]
        else:
            waiting += reversed(node.input_tensors)
    return found
