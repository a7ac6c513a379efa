"""A functional graph without the rest of a model."""

from __future__ import annotations

from typing import Any

from ranvier._operation_base import Operation
from ranvier.errors import FileError
from ranvier.graph import tree
from ranvier.models import function
from ranvier.symbolic import KerasTensor, evaluate

__all__ = ["Function"]


class Function(Operation):
    """What leads from symbolic inputs to symbolic outputs, to be called again.

    It has no training, no weights of its own and no file: `keras.Model` has these. Its
    layers are those of the graph, not copies.

    Args:
        inputs: symbolic tensors (`keras.Input`) in a structure.
        outputs: symbolic tensors in a structure.
        name: a name.

    Raises:
        ShapeError: RV100 for what is no symbolic tensor; RV112 when the inputs do not
            lead to the outputs.

    Example:
        >>> import ranvier as keras
        >>> x = keras.Input((2,))
        >>> double = keras.Function(x, {"twice": x * 2.0, "sum": keras.ops.sum(x, 1)})
        >>> double(keras.ops.array([[1.0, 2.0]]))["sum"].numpy()
        array([3.], dtype=float32)
    """

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None) -> None:
        super().__init__(name)
        self._graph = function.Function(inputs, outputs)

    @property
    def inputs(self) -> list[KerasTensor]:
        """The symbolic inputs, flat."""
        return list(self._graph.inputs)

    @property
    def outputs(self) -> list[KerasTensor]:
        """The symbolic outputs, flat."""
        return list(self._graph.outputs)

    @property
    def operations(self) -> list[Any]:
        """The layers and operations that are called, in Keras's order."""
        return list(self._graph.operations)

    def call(self, inputs: Any) -> Any:
        """The outputs for tensors in the structure of the inputs."""
        return self._graph.run(self._graph.adjusted(inputs, self.name))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Shapes of the outputs for a shape of each input, in their structures."""
        shapes = tree.flatten(_as_leaves(input_shape))
        symbols = [
            KerasTensor(shape.sizes, tensor.dtype)
            for shape, tensor in zip(shapes, self.inputs, strict=True)
        ]
        found = evaluate(
            self.call, (tree.rebuild(self._graph.inputs_struct, symbols),), {}
        )
        return tree.map_leaves(lambda t: t.shape, found)

    def get_config(self) -> dict[str, Any]:
        """Refused: a graph is written as a model.

        Raises:
            FileError: RV603 always.
        """
        raise FileError(
            "RV603",
            f"function {self.name!r} cannot be written to a file",
            fix="keras.Model(inputs, outputs) can",
        )

    def __repr__(self) -> str:
        return f"<Function name={self.name}>"


class _Sizes:
    """A shape as one leaf of a structure."""

    def __init__(self, sizes: Any) -> None:
        self.sizes = tuple(sizes)


def _as_leaves(shape: Any) -> Any:
    if isinstance(shape, dict):
        return {name: _as_leaves(part) for name, part in shape.items()}
    if all(part is None or isinstance(part, int) for part in shape):
        return _Sizes(shape)
    return [_as_leaves(part) for part in shape]
