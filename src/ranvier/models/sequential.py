"""A stack of layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ranvier.errors import ShapeError
from ranvier.graph import tree
from ranvier.graph.trace import outside, scope
from ranvier.layers import tracking
from ranvier.layers.base import Layer
from ranvier.layers.input_spec import wrong_input
from ranvier.layers.masks import mask_of, masked
from ranvier.layers.reshaping import Input, InputLayer
from ranvier.models.function import Function, fitted, run_function
from ranvier.models.host import Prepared, needs_data_first
from ranvier.models.model import Model
from ranvier.symbolic import KerasTensor


class Sequential(Model):
    """Layers one after the other.

    Args:
        layers: layers, models, or `keras.Input` first to declare the input's shape;
            without it the model is built by the first data it sees.
        trainable: whether the weights are trained.
        name: a name.

    Raises:
        ShapeError: RV100 for what is no layer; RV108 for two layers of one name.

    Example:
        >>> import ranvier as keras
        >>> model = keras.Sequential([
        ...     keras.Input((3,)),
        ...     keras.layers.Dense(6, activation="relu"),
        ...     keras.layers.Dense(6, activation="relu"),
        ...     keras.layers.Dense(1),
        ... ])
        >>> model.count_params()
        73
    """

    #: What each layer gave for the symbolic input, which comes first.
    _symbols: list[Any]

    def __init__(
        self,
        layers: Sequence[Any] | None = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self._layers: list[Layer] = []
        self.__dict__["_symbols"] = []
        for layer in layers or ():
            self._append(layer)
        self._maybe_build()
        if not trainable:
            self.trainable = False

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Puts a layer on top."""
        self._append(layer)
        if rebuild:
            self._maybe_build()

    def pop(self, rebuild: bool = True) -> Layer:
        """Takes the top layer off and returns it.

        Raises:
            ShapeError: RV100 when there is none.
        """
        if not self.layers:
            raise ShapeError("RV100", f"{self.name} has no layer to take off")
        layer = self._layers.pop()
        self._layers = list(self._layers)
        del self._symbols[len(self.layers) + 1 :]
        self.__dict__["_function"] = None
        self._forget_steps()
        if rebuild:
            self._maybe_build()
        return layer

    def _append(self, layer: Any) -> None:
        if isinstance(layer, KerasTensor):
            made = layer.node
            layer = (
                made.operation
                if made is not None and made.is_input
                else InputLayer(
                    batch_shape=layer.shape, dtype=layer.dtype, name=layer.name
                )
            )
        if not isinstance(layer, Layer):
            raise ShapeError(
                "RV100",
                f"Sequential takes layers, got {type(layer).__name__}",
                details=f"{layer!r}"[:80],
                fix="keras.layers.Dense(...), without forgetting the parentheses",
            )
        if not self._layers and not isinstance(layer, InputLayer):
            shape = getattr(layer, "_input_shape_arg", None)
            if shape is not None:
                dtype = getattr(layer, "_input_dtype", None) or layer.compute_dtype
                first = InputLayer(batch_shape=(None, *shape), dtype=dtype)
                self._layers.append(first)
        if any(known.name == layer.name for known in self._layers):
            raise ShapeError(
                "RV108",
                f"two layers are named {layer.name!r}",
                fix="give each a name of its own",
            )
        self._layers.append(layer)
        # Assigned anew, so that caches of structure notice.
        self._layers = list(self._layers)
        self.__dict__["_function"] = None
        self._forget_steps()

    @property
    def layers(self) -> list[Layer]:
        """The layers, without the input."""
        return [layer for layer in self._layers if not isinstance(layer, InputLayer)]

    @property
    def _input_layer(self) -> InputLayer | None:
        first = self._layers[0] if self._layers else None
        return first if isinstance(first, InputLayer) else None

    @property
    def input_shape(self) -> tuple[int | None, ...] | None:
        """Shape of the input with ``None`` for the batch, once it is known."""
        declared = self._input_layer
        if declared is not None:
            return tuple(declared.batch_shape)
        return self._built_shape

    @property
    def output_shape(self) -> Any:
        """Shape of the output with ``None`` for the batch."""
        if self._function is not None:
            return super().output_shape
        shape = self.input_shape
        return None if shape is None else self.compute_output_shape(shape)

    def _dtype_of_input(self) -> str:
        for layer in self._layers:
            if isinstance(layer, Sequential):
                return layer._dtype_of_input()
            found = getattr(layer, "_input_dtype", None)
            return found or layer.compute_dtype
        return self.compute_dtype

    def _maybe_build(self) -> None:
        declared = self._input_layer
        inner = self.layers
        if declared is not None and inner:
            self.built = False
            self.build(tuple(declared.batch_shape))
        elif inner and isinstance(inner[0], Model) and inner[0].built:
            shape = getattr(inner[0], "input_shape", None)
            if isinstance(shape, tuple):
                self.built = False
                self.build(shape)

    def build(self, input_shape: Any = None) -> None:
        """Makes the weights of all layers for this input shape (batch first)."""
        if input_shape is None or not self._layers:
            raise ShapeError(
                "RV106",
                f"{self.name} cannot be built: "
                + ("it has no layers" if not self._layers else "no input shape"),
                fix="model.build((None, 784)), or keras.Input((784,)) first",
            )
        declared = self._input_layer
        if declared is not None and not _agree(declared.batch_shape, input_shape):
            raise wrong_input(tuple(input_shape), declared.batch_shape)
        if self._symbols and not _agree(self._symbols[0].shape, input_shape):
            self._symbols.clear()
        self._built_shape = tuple(input_shape)
        dtype = self._dtype_of_input()
        if self.run_eagerly and not needs_data_first(self):
            self._build_by_tracing(self._built_shape, dtype)
            return
        self.built = True
        if not self._symbols:
            self._symbols.append(
                Input(batch_shape=self._built_shape, dtype=dtype)
                if declared is None
                else declared.output
            )
        with outside(), scope(layer=self.name), tracking.calling(self, False):
            for layer in self.layers[len(self._symbols) - 1 :]:
                self._symbols.append(layer(self._symbols[-1]))
        self.__dict__["_function"] = Function(self._symbols[0], self._symbols[-1])
        self._clear_losses()

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """The layers in turn."""
        if isinstance(inputs, Prepared) and self._function is not None:
            return run_function(self._function, self.name, inputs, training, mask)
        value = self._adjusted(inputs)
        if mask is not None and mask is not mask_of(value):
            value = masked(value, mask)
        for layer in self.layers:
            value = layer(value, training=training)
        return value

    def _adjusted(self, inputs: Any) -> Any:
        """The one input, with Keras's leniency: a last axis of one may be left out.

        Raises:
            ShapeError: RV100 for several inputs, RV103 for rows of another shape.
        """
        if isinstance(inputs, (list, tuple, Mapping)):
            parts = tree.flatten(inputs)
            if len(parts) != 1:
                raise ShapeError(
                    "RV100",
                    f"{self.name} takes one input, got {len(parts)}",
                    fix="one array; keras.Model(inputs, outputs) takes several",
                )
            inputs = parts[0]
        want = self.input_shape
        return inputs if want is None else fitted(inputs, want, None)

    def get_config(self) -> dict[str, Any]:
        """Name and layers, as Keras writes them."""
        from ranvier.models.registry import serialize_layer

        config: dict[str, Any] = {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": super().get_config()["dtype"],
            "layers": [serialize_layer(layer) for layer in self._layers],
        }
        if self.input_shape is not None:
            config["build_input_shape"] = self.input_shape
        return config

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Any:
        """The model that `get_config` described, without its weights."""
        from ranvier.models.registry import deserialize_layer

        model = cls(name=config.get("name"))
        for entry in config["layers"]:
            model.add(deserialize_layer(entry, custom_objects), rebuild=False)
        model._maybe_build()
        shape = config.get("build_input_shape")
        if not model.built and shape:
            model.build(tuple(shape))
        return model

    def get_build_config(self) -> dict[str, Any] | None:
        """The shape it was built for."""
        return None if self.input_shape is None else {"input_shape": self.input_shape}


def _agree(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Whether two shapes are those of the same rows."""
    return len(one) == len(other) and all(
        a is None or b is None or a == b
        for a, b in zip(one[1:], other[1:], strict=True)
    )
