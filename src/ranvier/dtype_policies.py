"""Dtype policies by name, and as Keras's files describe them.

Layers compute in float32, or in float64; `keras.config.set_dtype_policy` sets the one
that layers take unless they are given another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ranvier import config
from ranvier._missing import missing
from ranvier._policy import DTypePolicy, serialized_policy
from ranvier.errors import unknown_name

__all__ = ["DTypePolicy", "deserialize", "get", "serialize"]

_CLASSES = {"DTypePolicy": DTypePolicy, "FloatDTypePolicy": DTypePolicy}


def serialize(dtype_policy: DTypePolicy) -> dict[str, Any]:
    """The dictionary that describes a policy in Keras's files.

    Example:
        >>> serialize(DTypePolicy("float32"))["config"]
        {'name': 'float32'}
    """
    return serialized_policy(dtype_policy)


def deserialize(
    config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
) -> Any:
    """The policy that `serialize` described.

    Args:
        config: the dictionary.
        custom_objects: classes of one's own by name.

    Raises:
        ShapeError: RV107 for another class, such as those of quantization.

    Example:
        >>> deserialize(serialize(DTypePolicy("float64"))).compute_dtype
        'float64'
    """
    name = config.get("class_name")
    known = {**_CLASSES, **(custom_objects or {})}
    if name not in known:
        raise unknown_name("dtype policy", name, known)
    return known[name].from_config(config["config"])


def get(identifier: Any) -> Any:
    """The policy of a name, a description, a dtype, or a policy itself.

    Args:
        identifier: ``None`` stands for `keras.config.dtype_policy`.

    Raises:
        ShapeError: RV100 for a dtype that layers do not compute in.

    Example:
        >>> get("float64").variable_dtype, get(None).name
        ('float64', 'float32')
    """
    if identifier is None:
        return config.dtype_policy()
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, Mapping):
        return deserialize(identifier)
    if isinstance(identifier, str):
        return DTypePolicy(identifier)
    from ranvier.utils.tensors import standardize_dtype

    return DTypePolicy(standardize_dtype(identifier))


__getattr__ = missing("ranvier.dtype_policies", lambda: __all__)
