"""What each operation is in JAX: one row an operation.

A row takes the operands and the static arguments of the record's ``ref``. Operations
that need more than operands (regions, and those that find bad data) are in `walk`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax
from jax.scipy import special

from ranvier.engines.jax import windows

Row = Callable[..., Any]


def _wide(fn: Row) -> Row:
    """Computed in float64, since XLA's float32 version is not good enough."""
    return lambda x: fn(x.astype("float64")).astype(x.dtype)


def _whole(fn: Row) -> Row:
    """Division: integers divided by zero give zero, as in NumPy."""

    def row(a: Any, b: Any) -> Any:
        if jnp.issubdtype(a.dtype, jnp.floating):
            return fn(a, b)
        none = b == 0
        return jnp.where(none, jnp.zeros_like(a), fn(a, jnp.where(none, 1, b)))

    return row


def _dot_general(a: Any, b: Any, contract: Any, batch: Any) -> Any:
    return lax.dot_general(a, b, (contract, batch), precision=lax.Precision.HIGHEST)


def _slice(x: Any, start: Any, stop: Any, step: Any) -> Any:
    return x[tuple(slice(a, b, s) for a, b, s in zip(start, stop, step, strict=True))]


def _pad(x: Any, low: Any, high: Any, value: Any) -> Any:
    widths = tuple(zip(low, high, strict=True))
    return jnp.pad(x, widths, constant_values=value)


def _take(x: Any, indices: Any, axis: int) -> Any:
    return jnp.take(x, indices, axis=axis, mode="clip")


def _scatter_add(x: Any, indices: Any, updates: Any, axis: int) -> Any:
    return x.at[(slice(None),) * axis + (indices,)].add(updates)


def _along(x: Any, indices: Any, axis: int) -> tuple[Any, ...]:
    grid = list(jnp.indices(indices.shape, sparse=True))
    grid[axis] = indices
    return tuple(grid)


def _take_along_axis(x: Any, indices: Any, axis: int) -> Any:
    return x[_along(x, indices, axis)]


def _add_along_axis(x: Any, indices: Any, updates: Any, axis: int) -> Any:
    return x.at[_along(x, indices, axis)].add(updates)


_M0, _M1 = 0xD2511F53, 0xCD9E8D57
_W0, _W1 = 0x9E3779B9, 0xBB67AE85


def _random_bits(key: Any, shape: Sequence[int]) -> Any:
    """Philox4x32-10, as in `ranvier.graph.ops.random`."""
    n = 1
    for size in shape:
        n *= size
    word = lambda x: jnp.asarray(x, "uint64")  # noqa: E731
    low, half = word(0xFFFFFFFF), word(32)
    key = key.astype("uint64")
    block = jnp.arange((n + 3) // 4, dtype="uint64")
    c0, c1 = block & low, block >> half
    c2, c3 = jnp.full_like(block, key[2]), jnp.full_like(block, key[3])
    k0, k1 = key[0], key[1]
    for _ in range(10):
        p0, p1 = word(_M0) * c0, word(_M1) * c2
        c0, c1, c2, c3 = (
            (p1 >> half) ^ c1 ^ k0,
            p1 & low,
            (p0 >> half) ^ c3 ^ k1,
            p0 & low,
        )
        k0, k1 = (k0 + word(_W0)) & low, (k1 + word(_W1)) & low
    words = jnp.stack([c0, c1, c2, c3], axis=1).reshape(-1)[:n]
    return words.astype("uint32").reshape(tuple(shape))


ROWS: dict[str, Row] = {
    # elementwise
    "neg": jnp.negative,
    "abs": jnp.abs,
    "sign": jnp.sign,
    "exp": jnp.exp,
    "expm1": jnp.expm1,
    "log": jnp.log,
    "log1p": jnp.log1p,
    "sqrt": jnp.sqrt,
    "rsqrt": lambda x: 1 / jnp.sqrt(x),
    "sin": jnp.sin,
    "cos": jnp.cos,
    "tan": jnp.tan,
    "asin": jnp.arcsin,
    "acos": jnp.arccos,
    "atan": jnp.arctan,
    "sinh": _wide(jnp.sinh),
    "cosh": _wide(jnp.cosh),
    "tanh": jnp.tanh,
    "asinh": jnp.arcsinh,
    "acosh": jnp.arccosh,
    "atanh": jnp.arctanh,
    "sigmoid": lambda x: 1 / (1 + jnp.exp(-x)),
    "erf": lax.erf,
    "lgamma": _wide(special.gammaln),
    "floor": jnp.floor,
    "ceil": jnp.ceil,
    "round": jnp.rint,
    "trunc": jnp.trunc,
    "isnan": jnp.isnan,
    "isinf": jnp.isinf,
    "isfinite": jnp.isfinite,
    "logical_not": jnp.logical_not,
    "logical_and": jnp.logical_and,
    "logical_or": jnp.logical_or,
    "logical_xor": jnp.logical_xor,
    "add": jnp.add,
    "sub": jnp.subtract,
    "mul": jnp.multiply,
    "div": jnp.divide,
    "pow": jnp.power,
    "max": jnp.maximum,
    "min": jnp.minimum,
    "mod": _whole(jnp.mod),
    "floordiv": _whole(jnp.floor_divide),
    "atan2": jnp.arctan2,
    "eq": jnp.equal,
    "ne": jnp.not_equal,
    "lt": jnp.less,
    "le": jnp.less_equal,
    "gt": jnp.greater,
    "ge": jnp.greater_equal,
    "bitwise_and": jnp.bitwise_and,
    "bitwise_or": jnp.bitwise_or,
    "bitwise_xor": jnp.bitwise_xor,
    "shift_left": jnp.left_shift,
    "shift_right": jnp.right_shift,
    "where": jnp.where,
    "cast": lambda x, dtype: x.astype(dtype),
    "stop_gradient": lax.stop_gradient,
    # movement
    "reshape": lambda x, shape: jnp.reshape(x, shape),
    "transpose": lambda x, perm: jnp.transpose(x, perm),
    "broadcast_to": lambda x, shape: jnp.broadcast_to(x, shape),
    "slice": _slice,
    "pad": _pad,
    "concat": lambda *xs, axis: jnp.concatenate(xs, axis=axis),
    "flip": lambda x, axes: jnp.flip(x, axes),
    "iota": lambda size, dtype: jnp.arange(size, dtype=dtype),
    "full": lambda shape, value, dtype: jnp.full(shape, value, dtype),
    "dim": lambda size, dtype: jnp.asarray(size, dtype),
    # reductions
    "sum": lambda x, axes: jnp.sum(x, axis=axes, dtype=x.dtype),
    "prod": lambda x, axes: jnp.prod(x, axis=axes, dtype=x.dtype),
    "reduce_max": lambda x, axes: jnp.max(x, axis=axes),
    "reduce_min": lambda x, axes: jnp.min(x, axis=axes),
    "any": lambda x, axes: jnp.any(x, axis=axes),
    "all": lambda x, axes: jnp.all(x, axis=axes),
    "argmax": lambda x, axis: jnp.argmax(x, axis=axis).astype("int32"),
    "argmin": lambda x, axis: jnp.argmin(x, axis=axis).astype("int32"),
    "cumsum": lambda x, axis: jnp.cumsum(x, axis=axis, dtype=x.dtype),
    "cumprod": lambda x, axis: jnp.cumprod(x, axis=axis, dtype=x.dtype),
    "argsort": lambda x, axis: jnp.argsort(x, axis=axis, stable=True).astype("int32"),
    # products, convolutions, windows
    "dot_general": _dot_general,
    "conv": windows.conv,
    "conv_input": windows.conv_input,
    "conv_kernel": windows.conv_kernel,
    "window_argmax": windows.window_argmax,
    "window_pick": windows.window_pick,
    "window_spread": windows.window_spread,
    # indices; `walk` looks whether they are in range
    "take": _take,
    "scatter_add": _scatter_add,
    "take_along_axis": _take_along_axis,
    "add_along_axis": _add_along_axis,
    # random
    "random_bits": _random_bits,
}
