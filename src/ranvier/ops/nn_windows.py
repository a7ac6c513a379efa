"""Operations of networks on windows: convolution and pooling, padding by word.

Everything here works on rows of positions by channels; ``"channels_first"`` moves the
channels there and back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ranvier import config
from ranvier.errors import ShapeError
from ranvier.graph import functions as f
from ranvier.graph.dims import Dim, Size
from ranvier.graph.ops import conv as _conv
from ranvier.graph.ops import window as _window
from ranvier.graph.ops.conv import positions, reach
from ranvier.graph.trace import Tensor, apply
from ranvier.operation import record_calls

Pairs = tuple[tuple[Size, Size], ...]


# ---------------------------------------------------------------------------- arguments


def each(name: str, value: Any, rank: int) -> tuple[int, ...]:
    """A number for every axis.

    Raises:
        ShapeError: RV100, for another number of them, or one below 1.
    """
    found = (value,) * rank if isinstance(value, int) else tuple(value)
    if len(found) != rank or any(
        isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1
        for n in found
    ):
        raise ShapeError(
            "RV100",
            f"{name} must be a whole number >= 1, or {rank} of them",
            details=f"received {name}={value!r}",
        )
    return tuple(int(n) for n in found)


def _word(name: str, value: Any, allowed: Sequence[str]) -> str:
    found = value.lower() if isinstance(value, str) else value
    if found not in allowed:
        raise ShapeError(
            "RV100",
            f"{name} must be one of {', '.join(map(repr, allowed))}",
            details=f"received {name}={value!r}",
        )
    return str(found)


def _format(value: Any) -> str:
    return _word(
        "data_format",
        config.image_data_format() if value is None else value,
        ("channels_last", "channels_first"),
    )


def _same(size: Size, taps: int, stride: int, dilation: int) -> tuple[Size, Size]:
    """Padding with which there are ``ceil(size / stride)`` windows."""
    wide: Any = reach(taps, dilation)
    if isinstance(size, int):
        total: Any = max((-(-size // stride) - 1) * stride + wide - size, 0)
    elif wide >= stride:
        total = ((size + (stride - 1)) // stride - 1) * stride + wide - size
    else:
        # The last window meets `left` positions, 1 … stride: max(wide - left, 0) is how
        # many of 1 … wide - 1 are at least `left`.
        left: Any = size - ((size + (stride - 1)) // stride - 1) * stride
        total = 0
        for at in range(1, wide):
            total = total + 1 - (left + (stride - 1 - at)) // stride
    return total // 2, total - total // 2


def _pairs(
    padding: str,
    sizes: Sequence[Size],
    taps: Sequence[int],
    strides: Sequence[int],
    dilation: Sequence[int],
) -> Pairs:
    axes = list(zip(sizes, taps, strides, dilation, strict=True))
    if padding == "same":
        return tuple(_same(*axis) for axis in axes)
    if padding == "causal":
        return tuple((reach(k, d) - 1, 0) for _, k, _, d in axes)
    return tuple((0, 0) for _ in axes)


def _last(x: Tensor, data_format: str) -> Tensor:
    """Channels behind the positions."""
    if data_format == "channels_last":
        return x
    return f.transpose(x, (0, *range(2, x.ndim), 1))


def _back(x: Tensor, data_format: str) -> Tensor:
    if data_format == "channels_last":
        return x
    return f.transpose(x, (0, x.ndim - 1, *range(1, x.ndim - 1)))


def _operands(name: str, inputs: Any, kernel: Any, data_format: Any) -> Any:
    x, w = f.as_tensor(inputs), f.as_tensor(kernel)
    data_format = _format(data_format)
    if not 3 <= x.ndim <= 5 or w.ndim != x.ndim:
        raise ShapeError(
            "RV108",
            f"{name} needs inputs with one to three axes between rows and channels, "
            "and a kernel with as many axes as they",
            details=f"got {x.spec} and {w.spec}",
        )
    if not w.spec.floating:
        w = f.cast(w, "float32")
    return _last(f.cast(x, w.dtype), data_format), w, x.ndim - 2, data_format


# -------------------------------------------------------------------------- convolution


def convolve(
    x: Tensor,
    w: Tensor,
    strides: Sequence[int],
    padding: Pairs,
    dilation: Sequence[int],
    groups: int,
) -> Tensor:
    """`conv` on rows of positions by channels; a product where a window is one position."""
    plain = all(n == 1 for n in (*w.shape[:-2], *strides, groups))
    if plain and all(pair == (0, 0) for pair in padding):
        flat = f.reshape(w, tuple(w.shape[-2:]))
        return f.dot_general(x, flat, ((x.ndim - 1,), (0,)), ((), ()))
    return apply(
        _conv.conv,
        x,
        w,
        strides=tuple(strides),
        padding=padding,
        dilation=tuple(dilation),
        groups=groups,
    )


def conv(
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    r"""Convolution: :math:`y_o = \sum_{k,c} x_{o s + k d - p, c} \, w_{k, c}`.

    Args:
        inputs: ``(rows, *positions, channels)``, one to three axes of positions.
        kernel: ``(*taps, channels of a group, filters)``; as many groups as its channels
            fit into those of the inputs.
        strides: Positions from one window to the next.
        padding: ``"valid"``, ``"same"`` (``ceil(positions / stride)`` windows) or
            ``"causal"`` (all before).
        data_format: ``"channels_last"`` or ``"channels_first"``.
        dilation_rate: Positions from one tap to the next.

    Raises:
        ShapeError: RV100 for an argument that is none, RV108 for shapes that do not fit.

    Example:
        >>> conv([[[1.0], [2.0], [4.0]]], [[[1.0]], [[-1.0]]]).numpy().ravel().tolist()
        [-1.0, -2.0]
    """
    x, w, rank, data_format = _operands("conv", inputs, kernel, data_format)
    strides, dilation = (
        each("strides", strides, rank),
        each("dilation_rate", dilation_rate, rank),
    )
    padding = _word("padding", padding, ("valid", "same", "causal"))
    pairs = _pairs(padding, x.shape[1:-1], w.shape[:-2], strides, dilation)
    channels, inner = x.shape[-1], w.shape[-2]
    if not isinstance(channels, int) or not inner or channels % inner:
        raise ShapeError(
            "RV108",
            f"a kernel for {inner} channels does not divide inputs of {channels}",
            details=f"got {x.spec} and {w.spec}",
        )
    return _back(
        convolve(x, w, strides, pairs, dilation, channels // inner), data_format
    )


def depthwise_conv(
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    """Convolution of every channel by itself.

    Args:
        inputs: ``(rows, *positions, channels)``.
        kernel: ``(*taps, channels, multiplier)``: so many results for each channel.
        strides: See `conv`.
        padding: See `conv`.
        data_format: See `conv`.
        dilation_rate: See `conv`.

    Raises:
        ShapeError: As `conv`.

    Example:
        >>> import numpy as np
        >>> depthwise_conv(np.ones((1, 5, 5, 3)), np.ones((2, 2, 3, 2))).shape
        (1, 4, 4, 6)
    """
    x, w, rank, data_format = _operands("depthwise_conv", inputs, kernel, data_format)
    strides, dilation = (
        each("strides", strides, rank),
        each("dilation_rate", dilation_rate, rank),
    )
    padding = _word("padding", padding, ("valid", "same", "causal"))
    pairs = _pairs(padding, x.shape[1:-1], w.shape[:-2], strides, dilation)
    channels, often = w.shape[-2:]
    if x.shape[-1] != channels:
        raise ShapeError(
            "RV108",
            f"a kernel for {channels} channels, inputs of {x.shape[-1]}",
            details=f"got {x.spec} and {w.spec}",
        )
    w = f.reshape(w, (*w.shape[:-2], 1, channels * often))
    return _back(convolve(x, w, strides, pairs, dilation, channels), data_format)


def separable_conv(
    inputs: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    """`depthwise_conv`, then a convolution whose windows are one position.

    Args:
        inputs: ``(rows, *positions, channels)``.
        depthwise_kernel: ``(*taps, channels, multiplier)``.
        pointwise_kernel: ``(1, …, channels * multiplier, filters)``.
        strides: See `conv`.
        padding: See `conv`.
        data_format: See `conv`.
        dilation_rate: See `conv`.

    Raises:
        ShapeError: As `conv`.

    Example:
        >>> import numpy as np
        >>> x, w, v = np.ones((1, 5, 3)), np.ones((2, 3, 2)), np.ones((1, 6, 4))
        >>> separable_conv(x, w, v).shape
        (1, 4, 4)
    """
    x = depthwise_conv(
        inputs, depthwise_kernel, strides, padding, data_format, dilation_rate
    )
    return conv(x, pointwise_kernel, 1, "valid", data_format, 1)


def transpose_padding(
    taps: int, stride: int, dilation: int, padding: str, extra: int | None
) -> tuple[int, int]:
    """What of the widest result Keras cuts off before and behind (negative: adds).

    The widest result has ``(positions - 1) * stride + reach`` positions.
    """
    wide: Any = reach(taps, dilation)
    if padding == "valid":
        more = max(wide, stride) - wide if extra is None else extra
        return 0, -more
    total = stride + wide - 2 if extra is None else wide + wide % 2 - 2 + extra
    left = min(total // 2 + total % 2, wide - 1)
    return wide - 1 - left, wide - 1 - (total - left)


def conv_transpose(
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    output_padding: Any = None,
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    """The transpose of a convolution: its gradient by its input.

    Args:
        inputs: ``(rows, *positions, channels)``.
        kernel: ``(*taps, filters, channels)``.
        strides: Positions of the result for one of the input.
        padding: ``"valid"`` or ``"same"`` (``positions * stride`` results).
        output_padding: Positions added behind, below the stride; by default as many as
            `padding` says.
        data_format: See `conv`.
        dilation_rate: Positions from one tap to the next.

    Raises:
        ShapeError: As `conv`.

    Example:
        >>> conv_transpose([[[1.0], [2.0]]], [[[1.0]], [[3.0]]], 2).numpy().ravel().tolist()
        [1.0, 3.0, 2.0, 6.0]
    """
    x, w, rank, data_format = _operands("conv_transpose", inputs, kernel, data_format)
    strides, dilation = (
        each("strides", strides, rank),
        each("dilation_rate", dilation_rate, rank),
    )
    padding = _word("padding", padding, ("valid", "same"))
    if isinstance(output_padding, (int, np.integer)) or output_padding is None:
        extras = (output_padding,) * rank
    else:
        extras = tuple(output_padding)
    if x.shape[-1] != w.shape[-1]:
        raise ShapeError(
            "RV108",
            f"a kernel for {w.shape[-1]} channels, inputs of {x.shape[-1]}",
            details=f"got {x.spec} and {w.spec}",
        )
    pairs: list[tuple[Size, Size]] = []
    sizes: list[Size] = []
    axes = (x.shape[1:-1], w.shape[:-2], strides, dilation, extras)
    for n, k, s, d, extra in zip(*axes, strict=True):
        low, high = transpose_padding(k, s, d, padding, extra)
        sizes.append((n - 1) * s + reach(k, d) - low - high)
        pairs.append((low, high))
    found = apply(
        _conv.conv_input,
        x,
        w,
        strides=strides,
        padding=tuple(pairs),
        dilation=dilation,
        groups=1,
        size=tuple(sizes),
    )
    return _back(found, data_format)


# ------------------------------------------------------------------------------ pooling


def _pooling(
    name: str, inputs: Any, window: Any, strides: Any, padding: Any, data_format: Any
) -> Any:
    x = f.as_tensor(inputs)
    data_format = _format(data_format)
    if not 3 <= x.ndim <= 5:
        raise ShapeError(
            "RV108",
            f"{name} needs inputs with one to three axes between rows and channels",
            details=f"got {x.spec}",
        )
    rank = x.ndim - 2
    window = each("pool_size", window, rank)
    strides = window if strides is None else each("strides", strides, rank)
    padding = _word("padding", padding, ("valid", "same"))
    x = _last(x, data_format)
    pairs = _pairs(padding, x.shape[1:-1], window, strides, (1,) * rank)
    return x, window, strides, pairs, data_format


def _max_windows(x: Tensor, window: Any, strides: Any, pairs: Any) -> Tensor:
    a = {"window": window, "strides": strides, "padding": pairs}
    return apply(_window.window_pick, x, apply(_window.window_argmax, x, **a), **a)


def max_pool(
    inputs: Any,
    pool_size: Any,
    strides: Any = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """The largest of each window; its gradient goes to the first of equals.

    Args:
        inputs: ``(rows, *positions, channels)``, floats.
        pool_size: Positions of a window.
        strides: Positions from one window to the next; `pool_size` by default.
        padding: ``"valid"`` or ``"same"``; what is padded is never the largest.
        data_format: ``"channels_last"`` or ``"channels_first"``.

    Raises:
        ShapeError: RV100 for an argument that is none, RV108 for shapes that do not fit.

    Example:
        >>> max_pool([[[1.0], [3.0], [2.0], [0.0]]], 2).numpy().ravel().tolist()
        [3.0, 2.0]
    """
    x, window, strides, pairs, data_format = _pooling(
        "max_pool", inputs, pool_size, strides, padding, data_format
    )
    return _back(_max_windows(x, window, strides, pairs), data_format)


def _sums(x: Tensor, window: Any, strides: Any, pairs: Any) -> Tensor:
    """Sums of windows: every channel by itself against a kernel of ones."""
    channels = x.shape[-1]
    assert isinstance(channels, int)
    ones = f.full((*window, 1, channels), 1.0, x.dtype)
    return convolve(x, ones, strides, pairs, (1,) * len(window), channels)


def _counts(size: Size, window: int, stride: int, pair: tuple[Size, Size]) -> Any:
    """How many positions each window of an axis has."""
    low, _ = pair
    count = positions(size, window, stride, 1, pair)
    if isinstance(count, int) and isinstance(size, int) and isinstance(low, int):
        first = np.arange(count) * stride - low
        return np.minimum(first + window, size) - np.maximum(first, 0)
    at = f.iota(count) * stride - _number(low)
    return f.minimum(at + window, _number(size)) - f.maximum(at, 0)


def _number(size: Size) -> Any:
    return f.as_tensor(size) if isinstance(size, Dim) else size


def average_pool(
    inputs: Any,
    pool_size: Any,
    strides: Any = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """The mean of each window; what is padded does not count.

    Args:
        inputs: ``(rows, *positions, channels)``, floats.
        pool_size: Positions of a window.
        strides: Positions from one window to the next; `pool_size` by default.
        padding: ``"valid"`` or ``"same"``.
        data_format: ``"channels_last"`` or ``"channels_first"``.

    Raises:
        ShapeError: RV100 for an argument that is none, RV108 for shapes that do not fit.

    Example:
        >>> average_pool([[[1.0], [3.0], [2.0], [0.0]]], 2).numpy().ravel().tolist()
        [2.0, 1.0]
    """
    x, window, strides, pairs, data_format = _pooling(
        "average_pool", inputs, pool_size, strides, padding, data_format
    )
    total = _sums(x, window, strides, pairs)
    if all(pair == (0, 0) for pair in pairs):
        return _back(f.divide(total, float(math.prod(window))), data_format)
    counts: Any = 1.0
    axes = zip(x.shape[1:-1], window, strides, pairs, strict=True)
    for axis, told in enumerate(axes, 1):
        own = _counts(*told)
        shape = tuple(-1 if i == axis else 1 for i in range(x.ndim))
        if isinstance(own, np.ndarray) and isinstance(counts, (float, np.ndarray)):
            counts = counts * own.reshape(shape).astype("float32")
        else:
            counts = f.multiply(counts, f.reshape(f.cast(own, "float32"), shape))
    return _back(f.divide(total, f.cast(counts, x.dtype)), data_format)


def _adaptive(name: str, inputs: Any, output_size: Any, data_format: Any) -> Any:
    x = f.as_tensor(inputs)
    data_format = _format(data_format)
    if not 3 <= x.ndim <= 5:
        raise ShapeError(
            "RV108",
            f"{name} needs inputs with one to three axes between rows and channels",
            details=f"got {x.spec}",
        )
    target = each("output_size", output_size, x.ndim - 2)
    x = _last(x, data_format)
    for size in x.shape[1:-1]:
        if not isinstance(size, int):
            raise ShapeError(
                "RV108",
                f"{name} needs to know how many positions there are",
                details=f"got {x.spec}",
                fix="give the size in the input's shape",
            )
    return x, target, data_format


def _starts(size: int, count: int) -> tuple[list[int], list[int]]:
    """Begin and end of the windows that share an axis."""
    return (
        [i * size // count for i in range(count)],
        [-(-(i + 1) * size // count) for i in range(count)],
    )


def adaptive_average_pool(
    inputs: Any, output_size: Any, data_format: str | None = None
) -> Tensor:
    """Means of so many windows that share each axis evenly.

    Window i of n has the positions from ``floor(i * size / n)`` to
    ``ceil((i + 1) * size / n)``.

    Args:
        inputs: ``(rows, *positions, channels)``, sizes known.
        output_size: Number of windows along each axis.
        data_format: ``"channels_last"`` or ``"channels_first"``.

    Raises:
        ShapeError: RV100 for an argument that is none, RV108 for sizes that are not known.

    Example:
        >>> adaptive_average_pool([[[1.0], [2.0], [3.0]]], 2).numpy().ravel().tolist()
        [1.5, 2.5]
    """
    x, target, data_format = _adaptive(
        "adaptive_average_pool", inputs, output_size, data_format
    )
    for axis, count in enumerate(target, 1):
        size = x.shape[axis]
        share = np.zeros((size, count), x.dtype)
        for i, (a, b) in enumerate(zip(*_starts(size, count), strict=True)):
            share[a:b, i] = 1 / (b - a)
        # The new axis stands last: it goes where the old one was.
        x = f.dot_general(x, f.as_tensor(share), ((axis,), (0,)), ((), ()))
        last = x.ndim - 1
        x = f.transpose(x, (*range(axis), last, *range(axis, last)))
    return _back(x, data_format)


def adaptive_max_pool(
    inputs: Any, output_size: Any, data_format: str | None = None
) -> Tensor:
    """The largest of so many windows that share each axis evenly.

    Args:
        inputs: ``(rows, *positions, channels)``, sizes known.
        output_size: Number of windows along each axis; see `adaptive_average_pool`.
        data_format: ``"channels_last"`` or ``"channels_first"``.

    Raises:
        ShapeError: RV100 for an argument that is none, RV108 for sizes that are not known.

    Example:
        >>> adaptive_max_pool([[[1.0], [3.0], [2.0]]], 2).numpy().ravel().tolist()
        [3.0, 3.0]
    """
    x, target, data_format = _adaptive(
        "adaptive_max_pool", inputs, output_size, data_format
    )
    rank = len(target)
    for axis, count in enumerate(target, 1):
        size = x.shape[axis]
        starts, ends = _starts(size, count)
        wide = max(b - a for a, b in zip(starts, ends, strict=True))
        if size != wide * count:
            # Windows side by side; a shorter one has its last position twice.
            numbers = [
                min(a + k, b - 1)
                for a, b in zip(starts, ends, strict=True)
                for k in range(wide)
            ]
            x = f.take(x, np.asarray(numbers, "int32"), axis=axis)
        window = tuple(wide if i == axis - 1 else 1 for i in range(rank))
        x = _max_windows(x, window, window, ((0, 0),) * rank)
    return _back(x, data_format)


__all__ = [
    "adaptive_average_pool",
    "adaptive_max_pool",
    "average_pool",
    "conv",
    "conv_transpose",
    "depthwise_conv",
    "max_pool",
    "separable_conv",
]

record_calls(globals(), __all__)
