"""Convolutions and windows in JAX.

`conv` is XLA's; its two relatives are its transposes in one operand each, taken by JAX
itself, so that the three cannot disagree on which tap meets which position.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ranvier.graph.ops.window import tap_dtype


def conv(x: Any, w: Any, strides: Any, padding: Any, dilation: Any, groups: int) -> Any:
    """``[rows, *sizes, channels]`` with ``[*taps, inner, outputs]``."""
    letters = "DHW"[-(x.ndim - 2) :]
    layout = (f"N{letters}C", f"{letters}IO", f"N{letters}C")
    return lax.conv_general_dilated(
        x,
        w,
        tuple(strides),
        tuple(padding),
        rhs_dilation=tuple(dilation),
        dimension_numbers=layout,
        feature_group_count=groups,
        precision=lax.Precision.HIGHEST,
    )


def conv_input(g: Any, w: Any, size: Any, **attrs: Any) -> Any:
    """What `conv` does to its input, transposed."""
    channels = w.shape[-2] * attrs["groups"]
    shape = (g.shape[0], *size, channels)
    return _transposed(lambda x: conv(x, w, **attrs), shape, g)


def conv_kernel(x: Any, g: Any, kernel: Any, **attrs: Any) -> Any:
    """What `conv` does to its kernel, transposed."""
    shape = (*kernel, x.shape[-1] // attrs["groups"], g.shape[-1])
    return _transposed(lambda w: conv(x, w, **attrs), shape, g)


def _transposed(linear: Callable[[Any], Any], shape: Sequence[int], g: Any) -> Any:
    spec = jax.ShapeDtypeStruct(tuple(shape), g.dtype)
    return jax.linear_transpose(linear, spec)(g)[0]


def _taps(x: Any, window: Any, strides: Any, padding: Any, fill: Any) -> Any:
    """``[taps, rows, *windows, channels]``; ``fill`` where there is only padding."""
    widths = ((0, 0), *padding, (0, 0))
    wide = jnp.pad(x, widths, constant_values=fill)
    rank = len(window)
    for i, (taps, stride) in enumerate(zip(window, strides, strict=True)):
        axis = 1 + 2 * i  # those before have become two: windows and taps
        count = (wide.shape[axis] - taps) // stride + 1
        places = np.arange(count)[:, None] * stride + np.arange(taps)[None]
        wide = jnp.take(wide, places, axis=axis, mode="clip")
    taps_axes = [2 + 2 * i for i in range(rank)]
    others = [i for i in range(wide.ndim) if i not in taps_axes]
    wide = wide.transpose(*taps_axes, *others)
    return wide.reshape(math.prod(window), *wide.shape[rank:])


def window_argmax(x: Any, window: Any, strides: Any, padding: Any) -> Any:
    """The tap of the first largest; the first inside where all are -inf."""
    values = _taps(x, window, strides, padding, -jnp.inf)
    there = jnp.ones((1, *x.shape[1:-1], 1), bool)
    inside = _taps(there, window, strides, padding, False)
    found = jnp.argmax(values, axis=0)
    shown = jnp.broadcast_to(inside, values.shape)
    ok = jnp.take_along_axis(shown, found[None], axis=0)[0]
    first = jnp.argmax(inside, axis=0)
    return jnp.where(ok, found, first).astype(tap_dtype(window))


def window_pick(x: Any, index: Any, window: Any, strides: Any, padding: Any) -> Any:
    """The value at the tap of this number; 0 where that is padding."""
    values = _taps(x, window, strides, padding, 0)
    return jnp.take_along_axis(values, index[None].astype("int32"), axis=0)[0]


def window_spread(g: Any, index: Any, size: Any, **attrs: Any) -> Any:
    """`window_pick`, transposed: adds to where it reads."""
    shape = (g.shape[0], *size, g.shape[-1])
    return _transposed(lambda x: window_pick(x, index, **attrs), shape, g)
