"""Layers around a function or around another layer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ranvier import ops
from ranvier.errors import ShapeError
from ranvier.graph import Tensor
from ranvier.layers.base import Layer
from ranvier.layers.input_spec import InputSpec, show


class Lambda(Layer):
    """A function of tensors as a layer.

    The function is traced like a layer's `call`: written with `ranvier.ops` it runs in
    the compiled step. Its weights, if it uses any, are not those of the layer: a
    subclass of `Layer` holds weights.

    A model with a function that has a name is saved by that name, and loaded with
    ``custom_objects={"name": function}``. A ``lambda`` has none and cannot be saved:
    files hold no code, and code in a file is never run, whatever `safe_mode` says.

    Args:
        function: takes the inputs, and `mask` or `training` if it names them.
        output_shape: shape of a row of the result, or a function of the input's shape,
            for `compute_output_shape`; by default found by tracing.
        mask: the mask of the result, or a function of inputs and their mask.
        arguments: further arguments of the function, by name.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for what is no function.
        FileError: RV603 when a model with a ``lambda`` is saved; RV601 when one is
            loaded.

    Example:
        >>> from ranvier import ops
        >>> Lambda(lambda x: ops.square(x) + 1)([[1.0, 2.0]]).numpy()
        array([[2., 5.]], dtype=float32)
    """

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        mask: Any = None,
        arguments: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not callable(function):
            raise ShapeError(
                "RV100",
                f"Lambda takes a function, got {type(function).__name__}",
                fix="Lambda(lambda x: ops.square(x))",
            )
        self.function = function
        self.arguments = dict(arguments or {})
        self.mask = mask
        self.supports_masking = mask is not None
        self._output_shape = output_shape
        names = _parameters_of(function)
        self._takes_mask = "mask" in names
        self._takes_training = "training" in names

    def call(self, inputs: Any, mask: Any = None, training: Any = None) -> Any:
        """``function(inputs, **arguments)``."""
        further = dict(self.arguments)
        if self._takes_mask:
            further["mask"] = mask
        if self._takes_training:
            further["training"] = training
        return self.function(inputs, **further)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """What was given as `mask`."""
        return self.mask(inputs, previous_mask) if callable(self.mask) else self.mask

    def compute_output_shape(self, input_shape: Any) -> Any:
        """What was given as `output_shape`, else the shape found by tracing."""
        if self._output_shape is None:
            return super().compute_output_shape(input_shape)
        if callable(self._output_shape):
            return self._output_shape(input_shape)
        return (input_shape[0], *self._output_shape)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; a function without a name as it is."""
        config = {**super().get_config(), "function": _described(self.function)}
        if self._output_shape is not None:
            config["output_shape"] = _described(self._output_shape)
        if self.mask is not None:
            config["mask"] = _described(self.mask)
        config["arguments"] = _described(self.arguments)
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> Any:
        """The layer that `get_config` described.

        Raises:
            FileError: RV601 for an unknown function, or for code.
        """
        from ranvier.models.registry import deserialize_keras_object

        made = {
            key: deserialize_keras_object(value, custom_objects)
            if key in ("function", "output_shape", "mask", "arguments")
            else value
            for key, value in config.items()
        }
        shape = made.get("output_shape")
        if isinstance(shape, list):
            made["output_shape"] = tuple(shape)
        return super().from_config(made)


def _parameters_of(function: Callable[..., Any]) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # some functions written in C do not tell
        return ()


def _described(value: Any) -> Any:
    """Plain data; a lambda stays one, for writing it must be refused, copying not."""
    from ranvier.models.registry import serialize_keras_object

    if inspect.isfunction(value) and value.__name__ == "<lambda>":
        return value
    return serialize_keras_object(value)


class Wrapper(Layer):
    """Base of layers around another layer, which is their attribute `layer`.

    A subclass defines `call`.

    Args:
        layer: the layer inside.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for what is no layer.

    Example:
        >>> from ranvier import layers
        >>> class Twice(Wrapper):
        ...     def call(self, inputs):
        ...         return self.layer(self.layer(inputs))
        >>> Twice(layers.Rescaling(3.0))([[1.0]]).numpy()
        array([[9.]], dtype=float32)
    """

    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        if not isinstance(layer, Layer):
            raise ShapeError(
                "RV100",
                f"{type(self).__name__} takes a layer, got {type(layer).__name__}",
                fix=f"{type(self).__name__}(keras.layers.Dense(3))",
            )
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape: Any = None) -> None:
        """Builds the layer inside for the same shape."""
        if not self.layer.built:
            self.layer.build(input_shape)
            self.layer.built = True

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        from ranvier.models.registry import serialize_layer

        return {**super().get_config(), "layer": serialize_layer(self.layer)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> Any:
        """The layer that `get_config` described, without its weights."""
        from ranvier.models.registry import deserialize_layer

        inner = config["layer"]
        if not isinstance(inner, Layer):  # a file's reader has made it already
            inner = deserialize_layer(inner, custom_objects)
        return super().from_config({**config, "layer": inner})


#: Layers that treat each row by itself and keep nothing, in training as otherwise: all
#: steps may be rows of one batch. A layer that is missing here is only slower.
_BY_ROW = frozenset(
    (
        *("Activation", "ELU", "LeakyReLU", "PReLU", "ReLU", "Softmax"),
        *("Dense", "EinsumDense", "Embedding", "Identity", "Rescaling"),
        *("Flatten", "Permute", "RepeatVector", "Reshape", "Sequential"),
        *("Cropping1D", "Cropping2D", "Cropping3D"),
        *("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D"),
        *("UpSampling1D", "UpSampling2D", "UpSampling3D"),
        *("Conv1D", "Conv2D", "Conv3D", "DepthwiseConv1D", "DepthwiseConv2D"),
        *("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"),
        *("SeparableConv1D", "SeparableConv2D"),
        *(
            f"{kind}{size}D"
            for kind in (
                *("MaxPooling", "AveragePooling"),
                *("GlobalMaxPooling", "GlobalAveragePooling"),
                *("AdaptiveMaxPooling", "AdaptiveAveragePooling"),
            )
            for size in (1, 2, 3)
        ),
        *("LayerNormalization", "GroupNormalization", "RMSNormalization"),
        *("UnitNormalization", "Normalization"),
    )
)


def _treats_rows_alone(layer: Layer) -> bool:
    """Whether every layer inside is known to, and adds no loss."""
    return all(
        type(part).__name__ in _BY_ROW
        and type(part).__module__.startswith(("ranvier.layers.", "ranvier.models."))
        and part.activity_regularizer is None
        for part in layer._flatten_layers()
    )


class TimeDistributed(Wrapper):
    """Applies a layer to each step of a sequence: `(rows, steps, ...)`.

    The same weights serve all steps. Layers that treat every row by itself see all
    steps as rows of one batch; others (with moving statistics, chance or losses, and
    one's own) see one step after the other, as in Keras.

    Args:
        layer: takes `(rows, ...)`.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for what is no layer, or for a layer with an activity
            regularizer, which Keras would not heed here; RV103 for inputs of fewer than
            three axes, or a mask that does not fit.

    Example:
        >>> import numpy as np
        >>> from ranvier import layers
        >>> TimeDistributed(layers.Dense(5))(np.zeros((2, 10, 3))).shape
        (2, 10, 5)
    """

    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        if layer.activity_regularizer is not None:
            raise ShapeError(
                "RV100",
                "TimeDistributed: the layer inside has an activity_regularizer, which "
                "Keras does not apply to single steps",
                fix="TimeDistributed(layer, activity_regularizer='l2')",
            )
        self.supports_masking = True
        self.input_spec = InputSpec(min_ndim=3)

    def build(self, input_shape: Any = None) -> None:
        """Builds the layer inside for one step."""
        if len(input_shape) < 3:
            raise ShapeError(
                "RV103",
                f"TimeDistributed takes (rows, steps, ...), got {show(input_shape)}",
                fix="an input of at least three axes",
            )
        super().build((input_shape[0], *input_shape[2:]))

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """The layer's outputs for each step, `(rows, steps, ...)`."""
        if mask is not None and tuple(mask.shape[:2]) != tuple(inputs.shape[:2]):
            raise ShapeError(
                "RV103",
                f"TimeDistributed: a mask of shape {show(mask.shape)} for inputs of "
                f"shape {show(inputs.shape)}",
                fix="a mask (rows, steps), or with further axes",
            )
        inner = self.layer._call_parameters
        options = {"training": training} if "training" in inner else {}
        masks = mask if "mask" in inner else None
        if _treats_rows_alone(self.layer):
            return self._all_at_once(inputs, masks, options)
        return self._one_by_one(inputs, masks, options)

    def _all_at_once(self, inputs: Any, mask: Any, options: dict[str, Any]) -> Any:
        rows, steps = inputs.shape[:2]
        if mask is not None:
            mask = ops.reshape(mask, (rows * steps, *mask.shape[2:]))
            options = {**options, "mask": mask}
        flat = ops.reshape(inputs, (rows * steps, *inputs.shape[2:]))
        found = self.layer(flat, **options)
        return ops.reshape(found, (rows, steps, *found.shape[1:]))

    def _one_by_one(self, inputs: Any, mask: Any, options: dict[str, Any]) -> Any:
        parts = self.layer._flatten_layers()

        def step(carry: Any, row: Any) -> tuple[Any, Any]:
            x, own = row if mask is not None else (row, None)
            known = [len(part._call_losses) for part in parts]
            further = options if own is None else {**options, "mask": own}
            found = self.layer(x, **further)
            losses: list[Any] = []
            for part, count in zip(parts, known, strict=True):
                # They belong to the loop: their sums are added outside.
                losses += part._call_losses[count:]
                del part._call_losses[count:]
            return carry, (found, losses)

        rows = _steps_first(inputs)
        xs = rows if mask is None else (rows, _steps_first(mask))
        _, (found, losses) = ops.scan(step, (), xs)
        for loss in losses:
            self.add_loss(ops.sum(loss))
        return _steps_first(found)


def _steps_first(x: Tensor) -> Tensor:
    """The first two axes exchanged."""
    return ops.transpose(x, (1, 0, *range(2, x.ndim)))


__all__ = ["Lambda", "TimeDistributed", "Wrapper"]
