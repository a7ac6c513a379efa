"""What all convolutional layers share: windows, weights with their rules, bias."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ranvier import activations, constraints, initializers, ops, regularizers
from ranvier._check import Interval, OneOf, check_parameters
from ranvier.errors import ShapeError
from ranvier.layers.base import Layer
from ranvier.layers.input_spec import InputSpec, show
from ranvier.layers.sizes import data_format_of, whole_numbers


class Windowed(Layer):
    """A layer that looks at windows of positions, with weights and perhaps a bias.

    Args:
        kernel_size: positions of a window.
        strides: positions from one window to the next.
        padding: a word for what is added around the input.
        data_format: where the channels stand.
        dilation_rate: positions from one tap to the next.
        activation: a name or a function.
        use_bias: whether a bias is added.
        rules: for each weight its initializer, regularizer and constraint.
        paddings: the words that `padding` may be.
        **kwargs: see `Layer`.
    """

    #: Axes between rows and channels.
    rank = 0

    def __init__(
        self,
        kernel_size: Any,
        strides: Any,
        padding: Any,
        data_format: Any,
        dilation_rate: Any,
        activation: Any,
        use_bias: bool,
        rules: Mapping[str, tuple[Any, Any, Any]],
        paddings: Sequence[str] = ("valid", "same"),
        **kwargs: Any,
    ) -> None:
        # Written by Keras for low-rank layers, which are not supported.
        kwargs.pop("lora_rank", None), kwargs.pop("lora_alpha", None)
        super().__init__(**kwargs)
        owner, rank = type(self).__name__, self.rank
        self.kernel_size = whole_numbers(owner, "kernel_size", kernel_size, rank)
        self.strides = whole_numbers(owner, "strides", strides, rank)
        self.dilation_rate = whole_numbers(owner, "dilation_rate", dilation_rate, rank)
        self.padding = padding.lower() if isinstance(padding, str) else padding
        check_parameters(
            owner, {"padding": OneOf(*paddings)}, {"padding": self.padding}
        )
        self.data_format = data_format_of(owner, data_format)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self._rules = tuple(rules)
        for name, (initializer, regularizer, constraint) in rules.items():
            setattr(self, f"{name}_initializer", initializers.get(initializer))
            setattr(self, f"{name}_regularizer", regularizers.get(regularizer))
            setattr(self, f"{name}_constraint", constraints.get(constraint))
        self.input_spec = InputSpec(ndim=rank + 2)

    def _refuse_strided_dilation(self) -> None:
        """Keras has no convolution with both.

        Raises:
            ShapeError: RV100, when strides and dilation are both above 1.
        """
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ShapeError(
                "RV100",
                f"{type(self).__name__}: strides above 1 do not go with a "
                "dilation_rate above 1",
                details=f"received strides={self.strides}, "
                f"dilation_rate={self.dilation_rate}",
                fix="dilation_rate=1",
            )

    @property
    def _channel_axis(self) -> int:
        return -1 if self.data_format == "channels_last" else 1

    def _channels(self, input_shape: Sequence[Any]) -> int:
        """The number of channels of an input, from now on the only one accepted.

        Raises:
            ShapeError: RV108, when it is not known, or the input has other axes.
        """
        owner = f"layer {self.name!r} ({type(self).__name__})"
        if len(input_shape) != self.rank + 2:
            raise ShapeError(
                "RV103",
                f"{owner} takes inputs with {self.rank + 2} axes, "
                f"got {show(input_shape)}",
                fix="x[..., None] adds an axis of one channel",
            )
        axis = self._channel_axis
        channels = input_shape[axis]
        if not isinstance(channels, int) or channels < 1:
            raise ShapeError(
                "RV108",
                f"{owner} needs to know the number of channels",
                details=f"got inputs of shape {show(input_shape)}, "
                f"data_format={self.data_format!r}",
                fix="give it in keras.Input(shape=(..., channels))",
            )
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={axis: channels})
        return channels

    def _check_windows(self, input_shape: Sequence[Any]) -> None:
        """Refuses an input into which no window fits.

        Raises:
            ShapeError: RV108, naming the axis.
        """
        first = 1 if self.data_format == "channels_last" else 2
        sizes = input_shape[first : first + self.rank]
        for i, size in enumerate(sizes):
            wide = (self.kernel_size[i] - 1) * self.dilation_rate[i] + 1
            if self.padding == "valid" and isinstance(size, int) and size < wide:
                raise ShapeError(
                    "RV108",
                    f"layer {self.name!r} ({type(self).__name__}): a window of {wide} "
                    f"does not fit into {size} positions (axis {first + i})",
                    details=f"kernel_size={self.kernel_size}, "
                    f"dilation_rate={self.dilation_rate}, inputs of shape "
                    f"{show(input_shape)}",
                    fix="padding='same', a smaller kernel_size, or larger inputs",
                )

    def _add(self, name: str, shape: Sequence[int]) -> Any:
        """A weight with its rules; biases have the rules called bias."""
        return self.add_weight(
            tuple(shape),
            getattr(self, f"{name}_initializer"),
            regularizer=getattr(self, f"{name}_regularizer"),
            constraint=getattr(self, f"{name}_constraint"),
            name=name,
        )

    def _moved(self, inputs: Any) -> Any:
        """Inputs with their channels behind."""
        if self.data_format == "channels_last":
            return inputs
        return ops.transpose(inputs, (0, *range(2, self.rank + 2), 1))

    def _finished(self, outputs: Any) -> Any:
        """Bias, the channels where they belong, activation."""
        if self.bias is not None:
            outputs = ops.add(outputs, self.bias)
        if self.data_format == "channels_first":
            outputs = ops.transpose(
                outputs, (0, self.rank + 1, *range(1, self.rank + 1))
            )
        return self.activation(outputs)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config: dict[str, Any] = {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": self.dilation_rate,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "activity_regularizer": _optional(regularizers, self.activity_regularizer),
        }
        for name in self._rules:
            for kind, module in (
                ("initializer", initializers),
                ("regularizer", regularizers),
                ("constraint", constraints),
            ):
                key = f"{name}_{kind}"
                config[key] = _optional(module, getattr(self, key))
        return config


def _optional(module: Any, value: Any) -> Any:
    return None if value is None else module.serialize(value)


class Conv(Windowed):
    """The convolutions of one to three axes; see `Conv2D`."""

    _parameters = {"filters": Interval(int, 1), "groups": Interval(int, 1)}

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        groups: int = 1,
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
        super().__init__(
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            {
                "kernel": (kernel_initializer, kernel_regularizer, kernel_constraint),
                "bias": (bias_initializer, bias_regularizer, bias_constraint),
            },
            ("valid", "same", "causal") if self.rank == 1 else ("valid", "same"),
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        owner = type(self).__name__
        given = {"filters": filters, "groups": groups}
        check_parameters(owner, self._parameters, given)
        self.filters, self.groups = int(filters), int(groups)
        if self.filters % self.groups:
            raise ShapeError(
                "RV100",
                f"{owner}: {self.filters} filters do not fall into {self.groups} "
                "groups of equal size",
                fix=f"filters={math.ceil(self.filters / self.groups) * self.groups}",
            )
        self._refuse_strided_dilation()

    def build(self, input_shape: Any) -> None:
        """Makes kernel and bias, once the number of channels is known."""
        channels = self._channels(input_shape)
        if channels % self.groups:
            raise ShapeError(
                "RV108",
                f"layer {self.name!r} ({type(self).__name__}): {channels} channels do "
                f"not fall into {self.groups} groups of equal size",
                details=f"got inputs of shape {show(input_shape)}",
                fix=f"groups={math.gcd(channels, self.filters)}",
            )
        self._check_windows(input_shape)
        shape = (*self.kernel_size, channels // self.groups, self.filters)
        self.kernel = self._add("kernel", shape)
        self.bias = self._add("bias", (self.filters,)) if self.use_bias else None

    def call(self, inputs: Any) -> Any:
        """``activation(conv(inputs, kernel) + bias)``."""
        outputs = ops.conv(
            self._moved(inputs),
            self.kernel,
            self.strides,
            self.padding,
            "channels_last",
            self.dilation_rate,
        )
        return self._finished(outputs)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "groups": self.groups,
        }
