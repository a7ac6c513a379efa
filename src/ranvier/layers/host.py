"""Layers that compute in Python, on arrays: words are looked up before numbers flow."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ranvier import symbolic
from ranvier.errors import ShapeError
from ranvier.graph import current_trace
from ranvier.layers.base import Layer
from ranvier.symbolic import KerasTensor, Node

Shape = Sequence[int | None]


class HostLayer(Layer):
    """Base of layers that compute in Python, on arrays.

    A step of a model is compiled for numbers. In a `Sequential` or functional model such
    layers stand between the inputs and everything else; they run on the data before the
    step does, as `ranvier.models.host` tells. Called on arrays they give their result at
    once.
    """

    #: What they take, where a model is not told otherwise by `keras.Input`.
    _input_dtype = "string"

    @property
    def rows_apart(self) -> bool:
        """Whether what a row becomes does not depend on the rows beside it."""
        return True

    # -- files beside the weights, as in Keras

    def assets(self) -> dict[str, bytes]:
        """Files that a model file holds for this layer, by name."""
        return {}

    def take_assets(self, files: Mapping[str, bytes]) -> None:
        """Takes what `assets` gave."""

    def save_assets(self, dir_path: str | os.PathLike[str]) -> None:
        """Writes `assets` into a folder."""
        for name, data in self.assets().items():
            Path(dir_path, name).write_bytes(data)

    def load_assets(self, dir_path: str | os.PathLike[str]) -> None:
        """Reads what `save_assets` wrote into a folder."""
        folder = Path(dir_path)
        self.take_assets({p.name: p.read_bytes() for p in folder.iterdir()})

    def compute_output_spec(self, inputs: KerasTensor) -> KerasTensor:
        """Shape and dtype of the result, for a symbolic input."""
        raise NotImplementedError

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """The output's shape for an input shape (``None`` where free)."""
        shape = args[0] if args else next(iter(kwargs.values()))
        return self.compute_output_spec(KerasTensor(shape, self._input_dtype)).shape

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """The layer's result for arrays or lists, or for a symbolic tensor.

        Raises:
            ShapeError: RV113 for a tensor that a step computes.
        """
        if symbolic.any_symbols((inputs,)):
            if not isinstance(inputs, KerasTensor):
                raise ShapeError(
                    "RV100",
                    f"{type(self).__name__} takes one input, got "
                    f"{type(inputs).__name__}",
                    fix="a layer for each input",
                )
            made = self.compute_output_spec(inputs)
            Node(self, (inputs, *args), kwargs, made)
            return made
        if current_trace() is not None:
            raise needs_data(self)
        kwargs.pop("training", None)
        return self.call(inputs, *args, **kwargs)


def needs_data(layer: Layer, what: str = "a tensor that the model computes") -> Any:
    """The error for a layer of Python's that was given what a step computes."""
    return ShapeError(
        "RV113",
        f"layer {layer.name!r} ({type(layer).__name__}) works on data, before the "
        f"compiled step; it was given {what}",
        fix="call it on keras.Input, or on what other such layers gave, in a Sequential "
        "or functional model; or on the arrays before fit and predict",
    )


__all__ = ["HostLayer", "needs_data"]
