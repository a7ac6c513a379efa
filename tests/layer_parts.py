"""How the layers of the cases are made, by the library that is tried."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Part:
    """A layer among the arguments of another, made by the library that is tried."""

    name: str
    args: dict[str, Any]


def made(library: Any, name: str, args: dict[str, Any]) -> Any:
    """The layer of a case, with the layers among its arguments."""

    def resolved(value: Any) -> Any:
        if isinstance(value, Part):
            return made(library, value.name, value.args)
        if isinstance(value, list):
            return [resolved(v) for v in value]
        return value

    given = {key: resolved(value) for key, value in args.items()}
    return getattr(library.layers, name)(**given)


#: Layers that take their inputs as arguments, not as a list.
SPREAD = {"GroupQueryAttention", "MultiHeadAttention"}


def stack(library: Any, name: str, args: dict[str, Any], shape: Any) -> Any:
    """A model of this one layer.

    Args:
        library: real Keras, or ranvier.
        name: the layer's class.
        args: its arguments.
        shape: of a row; a list of shapes where the layer takes several inputs, which
            are then cut out of one row.
    """
    return model_around(library, made(library, name, args), name, shape)


def model_around(library: Any, layer: Any, name: str, shape: Any) -> Any:
    """A model of a layer that exists already."""
    if isinstance(shape, list):
        width = sum(math.prod(s) for s in shape)
        fed = fed_by_one_row(library, layer, shape, name in SPREAD)
        return library.Sequential([library.Input((width,)), fed])
    whole = name in ("CategoryEncoding", "Embedding")
    dtype = "int32" if whole else "float32"
    return library.Sequential([library.Input(shape, dtype=dtype), layer])


def layer_of(model: Any) -> Any:
    """The layer that `stack` was asked for."""
    return getattr(model.layers[0], "fed", model.layers[0])


def fed_by_one_row(library: Any, layer: Any, shapes: list[Any], spread: bool) -> Any:
    """A layer of one input that cuts it into those of `layer`."""

    class Fed(library.layers.Layer):  # type: ignore[misc]
        """Cuts a row into pieces."""

        def __init__(self) -> None:
            super().__init__()
            self.fed = layer

        def build(self, input_shape: Any) -> None:
            """The inner layer is built when it is called."""

        def call(self, x: Any) -> Any:
            """The inner layer of the pieces."""
            pieces, at = [], 0
            for shape in shapes:
                size = math.prod(shape)
                piece = x[:, at : at + size]
                pieces.append(library.ops.reshape(piece, (-1, *shape)))
                at += size
            return self.fed(*pieces) if spread else self.fed(pieces)

    return Fed()
