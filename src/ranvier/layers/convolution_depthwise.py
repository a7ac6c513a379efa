"""Convolutions of every channel by itself, alone or with a mixing of channels behind."""

from __future__ import annotations

from typing import Any

from ranvier import ops
from ranvier._check import Interval, check_parameters
from ranvier.layers.convolution_base import Windowed


class DepthwiseConv(Windowed):
    """The depthwise convolutions of one and two axes; see `DepthwiseConv2D`."""

    _parameters = {"depth_multiplier": Interval(int, 1)}

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
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
                "depthwise": (
                    depthwise_initializer,
                    depthwise_regularizer,
                    depthwise_constraint,
                ),
                "bias": (bias_initializer, bias_regularizer, bias_constraint),
            },
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        given = {"depth_multiplier": depth_multiplier}
        check_parameters(type(self).__name__, self._parameters, given)
        self.depth_multiplier = int(depth_multiplier)

    def build(self, input_shape: Any) -> None:
        """Makes kernel and bias, once the number of channels is known."""
        channels = self._channels(input_shape)
        self._check_windows(input_shape)
        self.kernel = self.add_weight(
            (*self.kernel_size, channels, self.depth_multiplier),
            self.depthwise_initializer,  # type: ignore[attr-defined]
            regularizer=self.depthwise_regularizer,  # type: ignore[attr-defined]
            constraint=self.depthwise_constraint,  # type: ignore[attr-defined]
            name="kernel",
        )
        self.bias = (
            self._add("bias", (channels * self.depth_multiplier,))
            if self.use_bias
            else None
        )

    def call(self, inputs: Any) -> Any:
        """``activation(depthwise_conv(inputs, kernel) + bias)``."""
        outputs = ops.depthwise_conv(
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
        return {**super().get_config(), "depth_multiplier": self.depth_multiplier}


class DepthwiseConv1D(DepthwiseConv):
    """Every channel of a sequence against kernels of its own; see `DepthwiseConv2D`.

    Example:
        >>> import numpy as np
        >>> DepthwiseConv1D(3, depth_multiplier=2)(np.zeros((2, 10, 5))).shape
        (2, 8, 10)
    """

    rank = 1


class DepthwiseConv2D(DepthwiseConv):
    """Every channel of an image against kernels of its own; channels do not mix.

    Input ``(rows, height, width, channels)``, output with ``channels *
    depth_multiplier`` channels: those of a channel side by side. Weights ``kernel``
    ``(*kernel_size, channels, depth_multiplier)`` and ``bias`` ``(channels *
    depth_multiplier,)``.

    Args:
        kernel_size: positions of a window: a number, or one for each axis.
        strides: positions from one window to the next.
        padding: ``"valid"`` or ``"same"``.
        depth_multiplier: outputs for each channel.
        data_format: ``"channels_last"`` or ``"channels_first"``.
        dilation_rate: positions from one tap of the window to the next.
        activation: a name or a function; none by default.
        use_bias: whether a bias is added.
        depthwise_initializer: of the kernel.
        bias_initializer: of the bias.
        depthwise_regularizer: penalty on the kernel.
        bias_regularizer: penalty on the bias.
        activity_regularizer: penalty on the output.
        depthwise_constraint: applied to the kernel after each update.
        bias_constraint: applied to the bias after each update.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for an argument that is none; RV103 for inputs with other axes
            or channels than it was built for; RV108 when no window fits into the input.

    Example:
        >>> import numpy as np
        >>> DepthwiseConv2D(3, padding="same")(np.zeros((2, 8, 8, 5))).shape
        (2, 8, 8, 5)
    """

    rank = 2


class SeparableConv(Windowed):
    """The separable convolutions of one and two axes; see `SeparableConv2D`."""

    _parameters = {
        "filters": Interval(int, 1),
        "depth_multiplier": Interval(int, 1),
    }

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
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
                "depthwise": (
                    depthwise_initializer,
                    depthwise_regularizer,
                    depthwise_constraint,
                ),
                "pointwise": (
                    pointwise_initializer,
                    pointwise_regularizer,
                    pointwise_constraint,
                ),
                "bias": (bias_initializer, bias_regularizer, bias_constraint),
            },
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        given = {"filters": filters, "depth_multiplier": depth_multiplier}
        check_parameters(type(self).__name__, self._parameters, given)
        self.filters, self.depth_multiplier = int(filters), int(depth_multiplier)

    def build(self, input_shape: Any) -> None:
        """Makes both kernels and the bias, once the number of channels is known."""
        channels = self._channels(input_shape)
        self._check_windows(input_shape)
        often = self.depth_multiplier
        for name, shape in (
            ("depthwise", (*self.kernel_size, channels, often)),
            ("pointwise", (*(1,) * self.rank, channels * often, self.filters)),
        ):
            weight = self.add_weight(
                shape,
                getattr(self, f"{name}_initializer"),
                regularizer=getattr(self, f"{name}_regularizer"),
                constraint=getattr(self, f"{name}_constraint"),
                name=f"{name}_kernel",
            )
            setattr(self, f"{name}_kernel", weight)
        self.bias = self._add("bias", (self.filters,)) if self.use_bias else None

    def call(self, inputs: Any) -> Any:
        """``activation(separable_conv(inputs, kernels) + bias)``."""
        outputs = ops.separable_conv(
            self._moved(inputs),
            self.depthwise_kernel,  # type: ignore[attr-defined]
            self.pointwise_kernel,  # type: ignore[attr-defined]
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
            "depth_multiplier": self.depth_multiplier,
        }


class SeparableConv1D(SeparableConv):
    """A depthwise convolution of sequences, then one that mixes channels.

    See `SeparableConv2D` for the arguments.

    Example:
        >>> import numpy as np
        >>> SeparableConv1D(4, 3)(np.zeros((2, 10, 5))).shape
        (2, 8, 4)
    """

    rank = 1


class SeparableConv2D(SeparableConv):
    """A depthwise convolution, then one of single positions that mixes channels.

    Input ``(rows, height, width, channels)``, output with `filters` channels. Weights
    ``depthwise_kernel`` ``(*kernel_size, channels, depth_multiplier)``,
    ``pointwise_kernel`` ``(1, 1, channels * depth_multiplier, filters)``, ``bias``
    ``(filters,)``.

    Args:
        filters: number of output channels.
        kernel_size: positions of a window: a number, or one for each axis.
        strides: positions from one window to the next.
        padding: ``"valid"`` or ``"same"``.
        data_format: ``"channels_last"`` or ``"channels_first"``.
        dilation_rate: positions from one tap of the window to the next.
        depth_multiplier: outputs of the first convolution for each channel.
        activation: a name or a function; none by default.
        use_bias: whether a bias is added.
        depthwise_initializer: of the first kernel.
        pointwise_initializer: of the second kernel.
        bias_initializer: of the bias.
        depthwise_regularizer: penalty on the first kernel.
        pointwise_regularizer: penalty on the second kernel.
        bias_regularizer: penalty on the bias.
        activity_regularizer: penalty on the output.
        depthwise_constraint: applied to the first kernel after each update.
        pointwise_constraint: applied to the second kernel after each update.
        bias_constraint: applied to the bias after each update.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for an argument that is none; RV103 for inputs with other axes
            or channels than it was built for; RV108 when no window fits into the input.

    Example:
        >>> import numpy as np
        >>> SeparableConv2D(6, 3, padding="same")(np.zeros((2, 8, 8, 3))).shape
        (2, 8, 8, 6)
    """

    rank = 2
