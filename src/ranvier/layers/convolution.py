"""Convolutions of sequences, images and volumes."""

from __future__ import annotations

from ranvier.layers.convolution_base import Conv


class Conv1D(Conv):
    """Windows of a sequence against a kernel; see `Conv2D` for the arguments.

    Input ``(rows, steps, channels)``, output ``(rows, windows, filters)``. ``padding``
    may also be ``"causal"``: output i sees the steps up to i only.

    Example:
        >>> import numpy as np
        >>> Conv1D(4, 3, padding="causal")(np.zeros((2, 10, 5))).shape
        (2, 10, 4)
    """

    rank = 1


class Conv2D(Conv):
    r"""Windows of an image against a kernel, the same for every window.

    :math:`y_{o,j} = a\big(b_j + \sum_{k,c} x_{o s + k d - p, c} \, w_{k,c,j}\big)`.
    Input ``(rows, height, width, channels)``, output ``(rows, windows down, windows
    along, filters)``; weights ``kernel`` ``(*kernel_size, channels / groups, filters)``
    and ``bias`` ``(filters,)``.

    Args:
        filters: number of output channels.
        kernel_size: positions of a window: a number, or one for each axis.
        strides: positions from one window to the next.
        padding: ``"valid"``: windows lie inside; ``"same"``: ``ceil(size / stride)``
            windows, zeros around.
        data_format: ``"channels_last"`` or ``"channels_first"``, where the input has its
            channels in front of its positions; by default that of `ranvier.config`.
        dilation_rate: positions from one tap of the window to the next.
        groups: channels and filters fall into so many groups, each convolved by itself.
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
            or channels than it was built for; RV108 when channels do not fall into the
            groups, or no window fits into the input.

    Example:
        >>> import numpy as np
        >>> Conv2D(8, 3, activation="relu")(np.zeros((2, 28, 28, 1))).shape
        (2, 26, 26, 8)
    """

    rank = 2


class Conv3D(Conv):
    """Windows of a volume against a kernel; see `Conv2D` for the arguments.

    Input ``(rows, depth, height, width, channels)``, output likewise, with filters.

    Example:
        >>> import numpy as np
        >>> Conv3D(4, 3, strides=2, padding="same")(np.zeros((1, 8, 8, 8, 2))).shape
        (1, 4, 4, 4, 4)
    """

    rank = 3
