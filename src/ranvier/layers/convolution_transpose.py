"""Transposed convolutions: from few positions to many."""

from __future__ import annotations

from typing import Any

from ranvier import ops
from ranvier._check import Interval, check_parameters
from ranvier.errors import ShapeError
from ranvier.layers.convolution_base import Windowed
from ranvier.layers.sizes import whole_numbers


class ConvTranspose(Windowed):
    """The transposed convolutions of one to three axes; see `Conv2DTranspose`."""

    _parameters = {"filters": Interval(int, 1)}

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = 1,
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
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        owner = type(self).__name__
        check_parameters(owner, self._parameters, {"filters": filters})
        self.filters = int(filters)
        self.output_padding: tuple[int, ...] | None = None
        if output_padding is not None:
            self.output_padding = whole_numbers(
                owner, "output_padding", output_padding, self.rank, 0
            )
            pairs = zip(self.output_padding, self.strides, strict=True)
            if any(extra >= stride for extra, stride in pairs):
                raise ShapeError(
                    "RV100",
                    f"{owner}: output_padding must be below strides on every axis",
                    details=f"received output_padding={self.output_padding}, "
                    f"strides={self.strides}",
                )
        self._refuse_strided_dilation()

    def build(self, input_shape: Any) -> None:
        """Makes kernel and bias, once the number of channels is known."""
        channels = self._channels(input_shape)
        self.kernel = self._add("kernel", (*self.kernel_size, self.filters, channels))
        self.bias = self._add("bias", (self.filters,)) if self.use_bias else None

    def call(self, inputs: Any) -> Any:
        """``activation(conv_transpose(inputs, kernel) + bias)``."""
        outputs = ops.conv_transpose(
            self._moved(inputs),
            self.kernel,
            self.strides,
            self.padding,
            self.output_padding,
            "channels_last",
            self.dilation_rate,
        )
        return self._finished(outputs)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "output_padding": self.output_padding,
        }


class Conv1DTranspose(ConvTranspose):
    """The transpose of a convolution of sequences; see `Conv2DTranspose`.

    Input ``(rows, steps, channels)``, output ``(rows, steps * strides, filters)`` with
    ``padding="same"``.

    Example:
        >>> import numpy as np
        >>> Conv1DTranspose(4, 3, strides=2, padding="same")(np.zeros((2, 5, 3))).shape
        (2, 10, 4)
    """

    rank = 1


class Conv2DTranspose(ConvTranspose):
    """The transpose of a convolution: every position spreads a window of results.

    What `Conv2D` with the same kernel does to its gradient. Input ``(rows, height,
    width, channels)``; along an axis of n positions the output has ``(n - 1) * stride +
    max(window, stride)`` (``padding="valid"``) or ``n * stride`` (``"same"``). Weights
    ``kernel`` ``(*kernel_size, filters, channels)`` and ``bias`` ``(filters,)``.

    Args:
        filters: number of output channels.
        kernel_size: positions of a window: a number, or one for each axis.
        strides: positions of the output for one of the input.
        padding: ``"valid"`` or ``"same"``.
        output_padding: positions added behind, below `strides`; by default so many that
            the output has the size above.
        data_format: ``"channels_last"`` or ``"channels_first"``.
        dilation_rate: positions from one tap of the window to the next.
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
        ShapeError: RV100 for an argument that is none; RV103 for inputs with other axes
            or channels than it was built for.

    Example:
        >>> import numpy as np
        >>> Conv2DTranspose(8, 2, strides=2)(np.zeros((2, 7, 7, 4))).shape
        (2, 14, 14, 8)
    """

    rank = 2


class Conv3DTranspose(ConvTranspose):
    """The transpose of a convolution of volumes; see `Conv2DTranspose`.

    Input ``(rows, depth, height, width, channels)``.

    Example:
        >>> import numpy as np
        >>> Conv3DTranspose(4, 2, strides=2)(np.zeros((1, 3, 3, 3, 2))).shape
        (1, 6, 6, 6, 4)
    """

    rank = 3

    # Keras has `data_format` in front of `output_padding` here, and only here.
    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        output_padding: Any = None,
        dilation_rate: Any = 1,
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
            filters,
            kernel_size,
            strides,
            padding,
            output_padding,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            kernel_initializer,
            bias_initializer,
            kernel_regularizer,
            bias_regularizer,
            activity_regularizer,
            kernel_constraint,
            bias_constraint,
            **kwargs,
        )
