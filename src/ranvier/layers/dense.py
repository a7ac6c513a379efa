"""Layers whose weights multiply: Dense and Embedding."""

from __future__ import annotations

from typing import Any

from ranvier import activations, constraints, initializers, ops, regularizers
from ranvier._check import Interval, check_parameters
from ranvier.layers.base import Layer
from ranvier.layers.input_spec import InputSpec


class Dense(Layer):
    """``activation(x @ kernel + bias)``: every output sees every input.

    Input ``(rows, ..., inputs)``, output ``(rows, ..., units)``; weights ``kernel``
    ``(inputs, units)`` and ``bias`` ``(units,)``: ``units * (inputs + 1)`` parameters.

    Args:
        units: number of outputs.
        activation: a name or a function; none by default.
        use_bias: whether a bias is added.
        kernel_initializer: of the kernel.
        bias_initializer: of the bias.
        kernel_regularizer: penalty on the kernel.
        bias_regularizer: penalty on the bias.
        activity_regularizer: penalty on the output.
        kernel_constraint: applied to the kernel after each update.
        bias_constraint: applied to the bias after each update.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for `units` below 1; RV103 when the input has another width
            than the one it was built for.

    Example:
        >>> import numpy as np
        >>> Dense(2, kernel_initializer="ones")(np.ones((1, 3))).numpy()
        array([[3., 3.]], dtype=float32)
    """

    _parameters = {"units": Interval(int, 1)}

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        # Written by Keras for quantized and low-rank layers, which are not supported.
        kwargs.pop("quantization_config", None), kwargs.pop("lora_rank", None)
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        check_parameters("Dense", self._parameters, {"units": units})
        self.units = int(units)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.input_spec = InputSpec(min_ndim=2)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        """Makes kernel and bias."""
        width = input_shape[-1]
        self.kernel = self.add_weight(
            (width, self.units),
            self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        self.bias = (
            self.add_weight(
                (self.units,),
                self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )
            if self.use_bias
            else None
        )
        self.input_spec = InputSpec(min_ndim=2, axes={-1: width})

    def call(self, inputs: Any, training: Any = None) -> Any:
        """``activation(inputs @ kernel + bias)``."""
        x = ops.matmul(inputs, self.kernel)
        if self.bias is not None:
            x = ops.add(x, self.bias)
        return self.activation(x)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": _optional(regularizers, self.kernel_regularizer),
            "bias_regularizer": _optional(regularizers, self.bias_regularizer),
            "kernel_constraint": _optional(constraints, self.kernel_constraint),
            "bias_constraint": _optional(constraints, self.bias_constraint),
            "quantization_config": None,
        }


def _optional(module: Any, value: Any) -> Any:
    return None if value is None else module.serialize(value)


class Embedding(Layer):
    """A trained vector for each whole number below `input_dim`.

    Input of any shape, integers; output has one more axis, of length `output_dim`.

    Args:
        input_dim: how many different numbers there are.
        output_dim: length of a vector.
        embeddings_initializer: of the table.
        embeddings_regularizer: penalty on the table.
        embeddings_constraint: applied to the table after each update.
        mask_zero: whether 0 stands for a step that does not count: the output carries
            a mask, which the layers behind heed.
        weights: a table to start from.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for sizes below 1.
        DataError: RV105 when a number is not in 0 .. input_dim - 1 (Keras's JAX
            backend would return NaN).

    Example:
        >>> Embedding(4, 2, embeddings_initializer="ones")([[3]]).shape
        (1, 1, 2)
    """

    _parameters = {"input_dim": Interval(int, 1), "output_dim": Interval(int, 1)}

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        **kwargs: Any,
    ) -> None:
        kwargs.pop("quantization_config", None), kwargs.pop("lora_rank", None)
        length = kwargs.pop("input_length", None)
        if length is not None:
            kwargs["input_shape"] = (length,)
        super().__init__(**kwargs)
        check_parameters(
            "Embedding",
            self._parameters,
            {"input_dim": input_dim, "output_dim": output_dim},
        )
        self.input_dim, self.output_dim = int(input_dim), int(output_dim)
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        self.mask_zero = mask_zero
        self.supports_masking = bool(mask_zero)
        self.autocast = False
        #: The dtype in which a model hands its input to a first layer of this kind.
        self._input_dtype = "int32"
        self._given = weights

    def build(self, input_shape: Any = None) -> None:
        """Makes the table."""
        self.embeddings = self.add_weight(
            (self.input_dim, self.output_dim),
            self.embeddings_initializer,
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
            name="embeddings",
        )
        if self._given is not None:
            given = self._given[0] if isinstance(self._given, list) else self._given
            self.embeddings.assign(given)

    def call(self, inputs: Any) -> Any:
        """Rows of the table."""
        inputs = ops.convert_to_tensor(inputs)
        if inputs.dtype not in ("int32", "int64"):
            inputs = ops.cast(inputs, "int32")
        inputs = ops.check_range(inputs, 0, self.input_dim)
        return ops.take(self.embeddings, inputs, axis=0)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Which numbers are not 0, when `mask_zero` is set."""
        return ops.not_equal(inputs, 0) if self.mask_zero else None

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "embeddings_initializer": initializers.serialize(
                self.embeddings_initializer
            ),
            "embeddings_regularizer": _optional(
                regularizers, self.embeddings_regularizer
            ),
            "activity_regularizer": _optional(regularizers, self.activity_regularizer),
            "embeddings_constraint": _optional(constraints, self.embeddings_constraint),
            "mask_zero": self.mask_zero,
            "quantization_config": None,
        }
