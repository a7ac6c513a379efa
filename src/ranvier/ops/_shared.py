"""What the families of operations share: operands made alike, axes, refusals."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from ranvier.errors import ShapeError
from ranvier.graph import functions as f
from ranvier.graph.functions import as_tensor, cast
from ranvier.graph.trace import Tensor, users_line


def floating(x: Any) -> Tensor:
    """As a tensor of floats: integers and truth values become float32."""
    x = as_tensor(x)
    return x if x.spec.floating else cast(x, "float32")


def numbers(x: Any) -> Tensor:
    """As a tensor of numbers: truth values become int32."""
    x = as_tensor(x)
    return cast(x, "int32") if x.dtype == "bool" else x


def together(*xs: Any) -> list[Tensor]:
    """Operands as tensors of their common dtype; Python numbers are weak."""
    return f._common(*xs)


def axes_of(name: str, axis: Any, rank: int) -> tuple[int, ...]:
    """Axes as non-negative numbers in order; all of them for ``None``."""
    if axis is None:
        return tuple(builtins.range(rank))
    one = isinstance(axis, (int, np.integer))
    return f.normal_axes(name, (int(axis),) if one else tuple(axis), rank)


def known(name: str, size: Any) -> int:
    """A size that must be an integer by now.

    Raises:
        ShapeError: RV112, where it is known only when the step runs.
    """
    if isinstance(size, int):
        return size
    raise ShapeError(
        "RV112",
        f"ops.{name} needs a size that is known while the step is traced",
        details=f"got {size} at {users_line()}",
        fix="a fixed size on that axis",
    )


def eager(name: str, *xs: Any) -> list[np.ndarray[Any, Any]]:
    """The numbers of arguments of an operation that cannot be traced.

    Raises:
        ShapeError: RV112, where one is a symbol of a step that is traced.
    """
    found = []
    for x in xs:
        tensor = as_tensor(x)
        if tensor.node is not None:
            raise ShapeError(
                "RV112",
                f"ops.{name} runs on arrays only, not inside a traced step",
                details=f"got {tensor!r} at {users_line()}",
                fix="compute it before the step, or from arrays in a callback",
            )
        found.append(tensor.numpy())
    return found


def of_package(module: str, name: str) -> Any:
    """What `ranvier.ops` has under a name that one of its namespaces was asked for."""
    if name.startswith("_"):
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    from ranvier import ops

    return getattr(ops, name)


def dtype_named(dtype: Any) -> str:
    """A dtype's name.

    Raises:
        ShapeError: RV100, for one that is not there, such as bfloat16.
    """
    try:
        name = dtype if isinstance(dtype, str) else np.dtype(dtype).name
        name = {"int": "int32", "float": "float32"}.get(name, name)
        kind: str = np.dtype(name).kind
    except TypeError:
        name, kind = str(dtype), "none"
    if kind not in "biuf":
        raise ShapeError(
            "RV100",
            f"dtype {name!r} is not supported",
            fix="float32, float64, an integer dtype or bool",
        )
    return name
