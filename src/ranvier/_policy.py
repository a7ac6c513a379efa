"""Dtype policies: in which dtype weights are kept and in which layers compute."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ranvier import config
from ranvier.errors import ShapeError

_KNOWN = ("float32", "float64")


class DTypePolicy:
    """The dtype of weights and of the computation.

    Args:
        name: ``"float32"`` or ``"float64"``; by default that of
            `keras.config.dtype_policy`.

    Raises:
        ShapeError: RV100 for a dtype that layers do not compute in.

    Example:
        >>> DTypePolicy("float32").compute_dtype
        'float32'
    """

    def __init__(self, name: str | None = None) -> None:
        name = name or config.dtype_policy().name
        if name not in _KNOWN:
            raise ShapeError(
                "RV100",
                f"layers compute in {' or '.join(_KNOWN)}, not in {name!r}",
                fix="dtype='float32'",
            )
        self.name = name

    @property
    def variable_dtype(self) -> str:
        """Dtype of weights."""
        return self.name

    @property
    def compute_dtype(self) -> str:
        """Dtype of the computation."""
        return self.name

    def get_config(self) -> dict[str, Any]:
        """The name."""
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> DTypePolicy:
        """The policy of that name."""
        return cls(config["name"])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DTypePolicy) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self.name}">'


def policy_of(value: Any) -> DTypePolicy:
    """The policy that a name, a configuration or ``None`` stands for."""
    if isinstance(value, DTypePolicy):
        return value
    if isinstance(value, Mapping):
        return DTypePolicy(value["config"]["name"])
    if value is None or isinstance(value, str):
        return DTypePolicy(value)
    return DTypePolicy(getattr(value, "__name__", None) or str(value))


def serialized_policy(policy: DTypePolicy) -> dict[str, Any]:
    """Keras's form of a policy."""
    return {
        "module": "keras",
        "class_name": "DTypePolicy",
        "config": policy.get_config(),
        "registered_name": None,
    }


__all__ = ["DTypePolicy", "policy_of", "serialized_policy"]
