"""Operations of networks: activations, encodings, normalization, attention.

The activations are those of `ranvier.activations`; they stand in the package's table.
"""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from ranvier.errors import ShapeError
from ranvier.graph import composites as _c
from ranvier.graph import functions as f
from ranvier.graph.attention import attention
from ranvier.graph.functions import as_tensor, cast, normal_axis, reshape, transpose
from ranvier.graph.trace import Tensor
from ranvier.operation import record_calls
from ranvier.ops._shared import axes_of, floating, known, of_package, together
from ranvier.ops.numpy_joining import repeat
from ranvier.ops.numpy_products import einsum
from ranvier.ops.numpy_shapes import moveaxis, swapaxes

EPSILON = 1e-7


def relu(x: Any) -> Tensor:
    """Elementwise ``max(x, 0)``; the gradient at 0 is 0.

    Example:
        >>> relu([-1.0, 2.0]).numpy().tolist()
        [0.0, 2.0]
    """
    found: Tensor = _c.relu(x)
    return found


def sigmoid(x: Any) -> Tensor:
    """Elementwise ``1 / (1 + e^-x)``.

    Example:
        >>> sigmoid([0.0]).numpy().tolist()
        [0.5]
    """
    return f.sigmoid(x)


def softmax(x: Any, axis: Any = -1) -> Tensor:
    """``e^x / sum(e^x)`` along an axis (or all axes of a tuple together).

    Example:
        >>> softmax([1.0, 1.0]).numpy().tolist()
        [0.5, 0.5]
    """
    return _last_axis(_c.softmax, x, axis)


def log_softmax(x: Any, axis: Any = -1) -> Tensor:
    """``log softmax(x)`` along an axis.

    Example:
        >>> log_softmax([5.0]).numpy().tolist()
        [0.0]
    """
    return _last_axis(_c.log_softmax, x, axis)


def _last_axis(fn: Any, x: Any, axis: Any) -> Tensor:
    x = floating(x)
    if axis is None:
        axis = tuple(range(x.ndim))
    if isinstance(axis, (tuple, list)):
        axes = [normal_axis("softmax", a, x.ndim) for a in axis]
        rest = [i for i in range(x.ndim) if i not in axes]
        perm = rest + axes
        moved = transpose(x, perm)
        flat = reshape(moved, (*[x.shape[i] for i in rest], -1))
        return transpose(
            reshape(fn(flat), moved.shape), [int(i) for i in np.argsort(perm)]
        )
    axis = normal_axis("softmax", axis, x.ndim)
    if axis == x.ndim - 1:
        return fn(x)
    return swapaxes(fn(swapaxes(x, axis, -1)), axis, -1)


# ---------------------------------------------------------------------- encodings


def one_hot(
    x: Any,
    num_classes: int,
    axis: int = -1,
    dtype: str | None = None,
    sparse: bool = False,
) -> Tensor:
    """1 at the index of each element along a new axis, 0 elsewhere (and for -1).

    Raises:
        ShapeError: RV100, when a sparse tensor is asked for.

    Example:
        >>> one_hot([1, 0], 2).numpy().tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """
    if sparse:
        raise ShapeError("RV100", "one_hot: there are no sparse tensors")
    x = as_tensor(x)
    wide = f.expand_dims(x, -1)
    hot = cast(wide == f.iota(num_classes, x.dtype), dtype or "float32")
    return hot if axis in (-1, x.ndim) else moveaxis(hot, -1, axis)


def multi_hot(
    inputs: Any,
    num_classes: int | None = None,
    axis: int = -1,
    dtype: str | None = None,
    sparse: bool = False,
    **kwargs: Any,
) -> Tensor:
    """1 at every index that a row names, 0 elsewhere.

    Args:
        inputs: Indices ``(n, m)``, or one row of them.
        num_classes: How many columns.
        axis: Where the columns are while one row's indices are joined.
        dtype: Of the result.
        sparse: Only False: there are no sparse tensors.
        kwargs: ``num_tokens``, an old name of ``num_classes``.

    Raises:
        ShapeError: RV100, without a number of classes, or for a sparse one.

    Example:
        >>> multi_hot([[0, 2]], 3).numpy().tolist()
        [[1.0, 0.0, 1.0]]
    """
    num_classes = kwargs.pop("num_tokens", num_classes)
    if num_classes is None or sparse or kwargs:
        raise ShapeError(
            "RV100",
            "multi_hot needs num_classes, and gives dense tensors only",
            fix="ops.multi_hot(x, 10)",
        )
    inputs = as_tensor(inputs)
    hot = one_hot(cast(inputs, "int32"), num_classes, axis, dtype)
    return f.max(hot, axis=1 if inputs.ndim > 1 else 0)


# ------------------------------------------------------------------ normalization


def normalize(x: Any, axis: Any = -1, order: int = 2, epsilon: Any = None) -> Tensor:
    """``x / max(norm(x), epsilon)`` along an axis.

    Raises:
        ShapeError: RV100, when ``order`` is not a whole number from 1 on.

    Example:
        >>> normalize([0.0, 4.0]).numpy().tolist()
        [0.0, 1.0]
    """
    if not isinstance(order, int) or order < 1:
        raise ShapeError("RV100", f"normalize: order={order!r} must be 1, 2, …")
    x = floating(x)
    x = f.expand_dims(x, 0) if x.ndim == 0 else x
    epsilon = EPSILON if epsilon is None else epsilon
    if order == 2:
        inverse = f.rsqrt(f.sum(f.square(x), axis, keepdims=True))
        return x * f.minimum(inverse, 1.0 / epsilon)
    from ranvier.ops.linalg_values import norm

    return x / f.maximum(norm(x, order, axis, keepdims=True), epsilon)


def moments(
    x: Any, axes: Any, keepdims: bool = False, synchronized: bool = False
) -> tuple[Tensor, Tensor]:
    """Mean and variance over axes.

    Raises:
        ShapeError: RV100, when they are to be those of several machines.

    Example:
        >>> [m.item() for m in moments([1.0, 3.0], 0)]
        [2.0, 1.0]
    """
    if synchronized:
        raise ShapeError("RV100", "moments: there is one machine to synchronize")
    x = floating(x)
    return f.mean(x, axes, keepdims), f.var(x, axes, keepdims)


def batch_normalization(
    x: Any,
    mean: Any,
    variance: Any,
    axis: int,
    offset: Any = None,
    scale: Any = None,
    epsilon: float = 1e-3,
) -> Tensor:
    """``(x - mean) / sqrt(variance + epsilon) * scale + offset`` along an axis.

    Args:
        x: A tensor.
        mean: One number for each element of the axis, as the three others.
        variance: Variances.
        axis: The axis.
        offset: Added at the end, or ``None``.
        scale: Factors, or ``None``.
        epsilon: Keeps the root from 0.

    Example:
        >>> batch_normalization([[3.0]], [1.0], [4.0], 1, epsilon=0.0).numpy().tolist()
        [[1.0]]
    """
    x = floating(x)
    place = normal_axis("batch_normalization", axis, x.ndim)
    own = tuple(-1 if i == place else 1 for i in range(x.ndim))
    mean, variance = (reshape(t, own) for t in (mean, variance))
    inverse = f.rsqrt(variance + epsilon)
    if scale is not None:
        inverse = inverse * reshape(scale, own)
    rest = f.negative(mean) * inverse
    if offset is not None:
        rest = rest + reshape(offset, own)
    return x * inverse + rest


def layer_normalization(
    x: Any,
    gamma: Any = None,
    beta: Any = None,
    axis: Any = -1,
    epsilon: float | None = None,
    **kwargs: Any,
) -> Tensor:
    """``(x - mean) / sqrt(variance + epsilon) * gamma + beta``, over the axes of each row.

    Args:
        x: A tensor.
        gamma: Factors in the shape of the axes, or ``None``.
        beta: Added at the end, or ``None``.
        axis: One axis or several.
        epsilon: Keeps the root from 0; 1e-7 by default.
        kwargs: Only ``rms_scaling=False``; `rms_normalization` is that operation.

    Raises:
        ShapeError: RV100, for ``rms_scaling``.

    Example:
        >>> layer_normalization([1.0, 3.0]).numpy().round(3).tolist()
        [-1.0, 1.0]
    """
    if kwargs.pop("rms_scaling", False) or kwargs:
        raise ShapeError(
            "RV100",
            "layer_normalization takes no rms_scaling",
            fix="ops.rms_normalization",
        )
    x = floating(x)
    axes = axes_of("layer_normalization", axis, x.ndim)
    own = tuple(s if i in axes else 1 for i, s in enumerate(x.shape))
    mean, variance = moments(x, axes, keepdims=True)
    inverse = f.rsqrt(variance + (EPSILON if epsilon is None else epsilon))
    if gamma is not None:
        inverse = inverse * reshape(cast(gamma, x.dtype), own)
    rest = f.negative(mean) * inverse
    if beta is not None:
        rest = rest + reshape(cast(beta, x.dtype), own)
    return x * inverse + rest


def rms_normalization(
    x: Any, scale: Any = None, axis: Any = -1, epsilon: float | None = None
) -> Tensor:
    """``x / sqrt(mean(x²) + epsilon) * scale`` along axes (Zhang & Sennrich, 2019).

    Example:
        >>> rms_normalization([2.0, 2.0]).numpy().round(3).tolist()
        [1.0, 1.0]
    """
    x = floating(x)
    x = f.expand_dims(x, 0) if x.ndim == 0 else x
    epsilon = EPSILON if epsilon is None else epsilon
    found = x * f.rsqrt(f.mean(f.square(x), axis, keepdims=True) + epsilon)
    return found if scale is None else found * cast(scale, x.dtype)


def psnr(x1: Any, x2: Any, max_val: float) -> Tensor:
    """Peak signal-to-noise ratio: ``20 log10(max_val) - 10 log10(mean((x1 - x2)²))``.

    Raises:
        ShapeError: RV108, when the shapes differ.

    Example:
        >>> psnr([0.0], [1.0], 1.0).item()
        0.0
    """
    a, b = (floating(t) for t in together(x1, x2))
    if tuple(a.shape) != tuple(b.shape):
        raise ShapeError(
            "RV108", "psnr: the shapes differ", details=f"{a.spec}, {b.spec}"
        )
    error = f.log(f.mean(f.square(a - b))) * (10.0 / math.log(10.0))
    return 20.0 * math.log10(max_val) - error


# ---------------------------------------------------------------------- attention


def dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    scale: float | None = None,
    is_causal: bool = False,
    flash_attention: bool | None = None,
    attn_logits_soft_cap: float | None = None,
) -> Tensor:
    """``softmax(query keyᵀ · scale + bias) value``, for each head.

    Args:
        query: ``(batch, time, heads, size)``.
        key: ``(batch, steps, key heads, size)``; the heads may be a divisor of those of
            the query, which then share them.
        value: As ``key``.
        bias: Added to the products, broadcast to ``(batch, heads, time, steps)``.
        mask: Where it is False nothing is looked at; broadcast likewise.
        scale: ``1 / sqrt(size)`` by default.
        is_causal: Whether a time looks at earlier steps only.
        flash_attention: Only ``None`` or False: that kernel is not there.
        attn_logits_soft_cap: Not supported, as by Keras on a CPU.

    Raises:
        ShapeError: RV108, for other shapes; RV100, for what is not supported.

    Example:
        >>> one = np.ones((1, 2, 1, 4), "float32")
        >>> dot_product_attention(one, one, one).shape
        (1, 2, 1, 4)
    """
    if flash_attention or attn_logits_soft_cap is not None:
        raise ShapeError(
            "RV100",
            "dot_product_attention: flash_attention and attn_logits_soft_cap are not "
            "supported",
        )
    query, key, value = (floating(t) for t in together(query, key, value))
    if any(t.ndim != 4 for t in (query, key, value)):
        raise ShapeError(
            "RV108",
            "dot_product_attention needs (batch, time, heads, size)",
            details=f"got {query.spec}, {key.spec}, {value.spec}",
        )
    heads, shared = (known("attention", t.shape[2]) for t in (query, key))
    if heads % shared:
        raise ShapeError(
            "RV108", f"attention: {heads} heads share {shared} of the keys"
        )
    key, value = (repeat(t, heads // shared, axis=2) for t in (key, value))
    size = known("attention", query.shape[-1])
    scale = 1.0 / math.sqrt(size) if scale is None else scale
    keep = None if mask is None else as_tensor(mask)
    if is_causal:
        rows = f.expand_dims(f.iota(query.shape[1]), 1)
        earlier = f.iota(key.shape[1]) <= rows
        keep = earlier if keep is None else f.logical_and(keep, earlier)
    if bias is None and query.dtype == "float32":
        masks = [] if keep is None else [_four_axes(keep)]
        return attention(query, key, value, *masks, scale=scale)[0]
    products = einsum("BTNH,BSNH->BNTS", query, key) * scale
    if bias is not None:
        products = products + bias
    if keep is not None:
        never = -0.7 * builtins.float(np.finfo(products.dtype).max)
        products = f.where(keep, products, never)
    return einsum("BNTS,BSNH->BTNH", softmax(products), value)


def _four_axes(mask: Any) -> Any:
    mask = f.cast(mask, "bool")
    return f.expand_dims(mask, tuple(range(4 - mask.ndim))) if mask.ndim < 4 else mask


__all__ = [
    "batch_normalization",
    "dot_product_attention",
    "layer_normalization",
    "log_softmax",
    "moments",
    "multi_hot",
    "normalize",
    "one_hot",
    "psnr",
    "relu",
    "rms_normalization",
    "sigmoid",
    "softmax",
]

record_calls(globals(), __all__)


def __getattr__(name: str) -> Any:
    """Names of Keras's namespace that stand in another file."""
    return of_package(__name__, name)
