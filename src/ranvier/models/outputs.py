"""What belongs to which output of a model: losses, metrics, targets, weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ranvier.errors import ShapeError, nearest
from ranvier.graph import tree


def is_nested(value: Any) -> bool:
    """Whether outputs or targets are a structure rather than one tensor."""
    return isinstance(value, (list, tuple, Mapping))


class Outputs:
    """The outputs of a model, flat, and what they are called.

    Args:
        y_pred: the outputs in their structure.
        names: names of the layers that give them, of a functional model.

    Attributes:
        count: how many there are.
        names: the name of each: its key in a dict, else that of its layer, else ``None``.
    """

    def __init__(self, y_pred: Any, names: Sequence[str] | None = None) -> None:
        self.count = len(tree.flatten(y_pred))
        self.names: list[str | None] = [None] * self.count
        if names is not None and len(names) == self.count:
            self.names = list(names)
        self.keyed = isinstance(y_pred, Mapping) and len(y_pred) == self.count
        if self.keyed and not (names and set(names) == set(y_pred)):
            self.names = sorted(y_pred)
        elif self.keyed:
            self.names = [str(key) for key in sorted(y_pred)]

    def spread(self, value: Any, what: str) -> list[Any]:
        """An entry for each output out of an argument of `compile`.

        Raises:
            ShapeError: RV100 for an unknown name, or another number of entries.
        """
        if value is None or not is_nested(value):
            return [value] * self.count
        if isinstance(value, Mapping):
            known = [name for name in self.names if name is not None]
            for name in value:
                if name not in known:
                    raise ShapeError(
                        "RV100",
                        f"{what} names {name!r}, which is no output of the model",
                        details=f"outputs: {', '.join(known) or 'without names'}",
                        fix=nearest(name, known),
                    )
            return [value.get(name) for name in self.names]
        if len(value) != self.count:
            raise ShapeError(
                "RV100",
                f"{what} has {len(value)} entries, the model {self.count} outputs",
                fix="give one for each output; None where there is none",
            )
        return list(value)

    def leaves(self, y_pred: Any) -> list[Any]:
        """The outputs, flat."""
        return tree.flatten(y_pred)

    def targets(self, y_true: Any, wanted: Sequence[bool]) -> list[Any]:
        """The targets of each output; ``None`` where an output has none.

        Args:
            y_true: one array, or a list or dict of them.
            wanted: for each output whether it needs targets.

        Raises:
            ShapeError: RV101 when one is missing, or they are another number.
        """
        if self.count == 1:
            leaves = tree.flatten(y_true)
            return [leaves[0] if leaves else y_true]
        if isinstance(y_true, Mapping):
            found = [y_true.get(name) for name in self.names]
            for name, target, need in zip(self.names, found, wanted, strict=True):
                if need and target is None:
                    raise ShapeError(
                        "RV101",
                        f"there are no targets for output {name!r}",
                        details="targets: " + ", ".join(map(str, y_true)),
                        fix="y with one entry for each output, under the outputs' names",
                    )
            return found
        parts = list(y_true) if isinstance(y_true, (list, tuple)) else [y_true]
        if len(parts) != self.count:
            flat = tree.flatten(y_true)
            parts = flat if len(flat) == self.count else parts
        if len(parts) == self.count:
            return parts
        if len(parts) == sum(wanted):
            given = iter(parts)
            return [next(given) if need else None for need in wanted]
        raise ShapeError(
            "RV101",
            f"the model has {self.count} outputs, y has {len(parts)} "
            + ("entry" if len(parts) == 1 else "entries"),
            fix="y with one entry for each output: a list in their order, or a dict "
            "under their names",
        )

    def weights(self, sample_weight: Any) -> list[Any]:
        """The sample weights of each output; one array is for all of them.

        Raises:
            ShapeError: RV101 when there are others than outputs.
        """
        if sample_weight is None or not is_nested(sample_weight):
            return [sample_weight] * self.count
        if self.count == 1:
            return tree.flatten(sample_weight)[:1] or [None]
        if isinstance(sample_weight, Mapping):
            return [sample_weight.get(name) for name in self.names]
        if len(sample_weight) == 1:
            return [sample_weight[0]] * self.count
        return self.targets(sample_weight, [True] * self.count)


__all__ = ["Outputs", "is_nested"]
