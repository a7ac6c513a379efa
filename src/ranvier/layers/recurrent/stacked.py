"""Several cells as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ranvier import ops
from ranvier.errors import ShapeError
from ranvier.layers import tracking
from ranvier.layers.base import Layer
from ranvier.layers.recurrent.rnn import as_list, check_cell


class StackedRNNCells(Layer):
    """A stack of cells that acts as one: each reads the output of the one below.

    Args:
        cells: the cells, lowest first.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for no cells, or one without `call` or `state_size`.

    Example:
        >>> import numpy as np
        >>> from ranvier import layers
        >>> cells = layers.StackedRNNCells([layers.LSTMCell(8), layers.LSTMCell(4)])
        >>> layers.RNN(cells)(np.ones((2, 5, 3))).shape
        (2, 4)
    """

    def __init__(self, cells: Sequence[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(cells, (list, tuple)) or not cells:
            raise ShapeError(
                "RV100",
                f"StackedRNNCells takes a list of cells, got {cells!r}"[:120],
                fix="StackedRNNCells([layers.LSTMCell(8), layers.LSTMCell(8)])",
            )
        for cell in cells:
            check_cell("StackedRNNCells", cell)
        self.cells = list(cells)

    @property
    def state_size(self) -> list[Any]:
        """The state size of each cell."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> int:
        """That of the top cell."""
        return _output_size(self.cells[-1])

    def build(self, input_shape: Any) -> None:
        """Makes the weights of all cells."""
        shape = tuple(input_shape)
        for cell in self.cells:
            if isinstance(cell, Layer) and not cell.built:
                with tracking.calling(cell, None):
                    cell.build(shape)
            shape = (shape[0], _output_size(cell))

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """The states of all cells before the first step."""
        found = []
        for cell in self.cells:
            own = getattr(cell, "get_initial_state", None)
            if own is not None:
                found.append(own(batch_size=batch_size))
                continue
            zeros = [
                ops.zeros((batch_size, n), dtype=self.compute_dtype)
                for n in as_list(cell.state_size)
            ]
            nested = isinstance(cell.state_size, (list, tuple))
            found.append(zeros if nested else zeros[0])
        return found

    def call(
        self, inputs: Any, states: Sequence[Any], training: Any = False, **kwargs: Any
    ) -> tuple[Any, Any]:
        """The output of the top cell, and the new states of all."""
        found = []
        for cell, state in zip(self.cells, states, strict=True):
            nested = isinstance(state, (list, tuple))
            further = dict(kwargs)
            if "training" in getattr(cell, "_call_parameters", ()):
                further["training"] = training
            step = cell if callable(cell) else cell.call
            inputs, new = step(inputs, as_list(state), **further)
            new = as_list(new)
            found.append(new if nested else new[0])
        return inputs, found

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        from ranvier.layers import serialize

        return {
            **super().get_config(),
            "cells": [serialize(cell) for cell in self.cells],
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> Any:
        """The stack that `get_config` described, without its weights."""
        from ranvier.layers import deserialize

        config = dict(config)
        cells = [deserialize(c, custom_objects) for c in config.pop("cells")]
        return super().from_config({"cells": cells, **config})


def _output_size(cell: Any) -> int:
    size = getattr(cell, "output_size", None)
    return size if size is not None else as_list(cell.state_size)[0]


__all__ = ["StackedRNNCells"]
