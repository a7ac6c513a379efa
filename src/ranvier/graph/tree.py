"""Nested tuples, lists and dicts of leaves: flatten, rebuild, map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


def flatten(tree: Any) -> list[Any]:
    """Leaves in order; dict keys sorted; ``None`` is an empty tree."""
    if tree is None:
        return []
    if isinstance(tree, (tuple, list)):
        return [leaf for branch in tree for leaf in flatten(branch)]
    if isinstance(tree, dict):
        return [leaf for key in sorted(tree) for leaf in flatten(tree[key])]
    return [tree]


def rebuild(tree: Any, leaves: Sequence[Any]) -> Any:
    """The structure of ``tree`` with other leaves."""
    source = iter(leaves)

    def build(node: Any) -> Any:
        if node is None:
            return None
        if isinstance(node, tuple) and hasattr(node, "_fields"):
            return type(node)(*(build(branch) for branch in node))
        if isinstance(node, (tuple, list)):
            return type(node)(build(branch) for branch in node)
        if isinstance(node, dict):
            built = {key: build(node[key]) for key in sorted(node)}
            return {key: built[key] for key in node}
        return next(source)

    return build(tree)


def map_leaves(fn: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """Apply ``fn`` to matching leaves of trees of one structure."""
    columns = [flatten(tree), *(flatten(other) for other in others)]
    return rebuild(tree, [fn(*row) for row in zip(*columns, strict=True)])
