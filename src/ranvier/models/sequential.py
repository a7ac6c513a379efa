"""A stack of layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ranvier import ops
from ranvier.errors import ShapeError
from ranvier.graph import tree
from ranvier.layers.base import Layer
from ranvier.layers.input_spec import KerasTensor, dims_of, wrong_input
from ranvier.layers.reshaping import InputLayer
from ranvier.models.model import Model


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

    def __init__(
        self,
        layers: Sequence[Any] | None = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(trainable=trainable, name=name)
        self._layers: list[Layer] = []
        for layer in layers or ():
            self._append(layer)
        self._maybe_build()

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Puts a layer on top."""
        self._append(layer)
        if rebuild:
            self._maybe_build()

    def pop(self, rebuild: bool = True) -> Layer:
        """Takes the top layer off and returns it."""
        layer = self._layers.pop()
        self._forget_steps()
        return layer

    def _append(self, layer: Any) -> None:
        if isinstance(layer, KerasTensor):
            layer = InputLayer(
                batch_shape=layer.shape, dtype=layer.dtype, name=layer.name
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
        elif inner and isinstance(inner[0], Sequential) and inner[0].built:
            shape = inner[0].input_shape
            if shape is not None:
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
        self._built_shape = tuple(input_shape)
        self._build_by_tracing(tuple(input_shape), self._dtype_of_input())

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """The layers in turn."""
        value = self._adjusted(inputs)
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
                    fix="one array; a subclass of keras.Model takes several",
                )
            inputs = parts[0]
        want, got = self.input_shape, dims_of(inputs)
        if want is None or got is None:
            return inputs
        if len(got) == len(want) + 1 and got[-1] == 1:
            inputs = ops.squeeze(inputs, -1)
        elif len(got) == len(want) - 1 and want[-1] == 1:
            inputs = ops.expand_dims(inputs, -1)
        adjusted = dims_of(inputs)
        fits = len(want) == len(adjusted) and all(
            w is None or g is None or w == g
            for w, g in zip(want[1:], adjusted[1:], strict=True)
        )
        if not fits:
            raise wrong_input(got, want)
        return inputs

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
