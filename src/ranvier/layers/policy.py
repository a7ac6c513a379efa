"""Dtype policies, where layers look for them."""

from __future__ import annotations

from ranvier._policy import DTypePolicy, policy_of, serialized_policy

__all__ = ["DTypePolicy", "policy_of", "serialized_policy"]
