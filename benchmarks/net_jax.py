"""Networks in plain JAX: weights as nested lists, one pure function.

Every part has a dictionary of weights and one of moving statistics (most are empty); a
residual has a pair of lists instead. Images are NHWC.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import net_parts as nets
import numpy as np
from jax import lax

Tree = Any

ACTIVATIONS = {
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "gelu": functools.partial(jax.nn.gelu, approximate=False),
    None: lambda x: x,
}


def _draw(rng: np.random.Generator, name: str, shape: nets.Shape) -> jax.Array:
    """Keras's initial weights (the recurrent kernel is Glorot's as well)."""
    if name.endswith(("bias", "beta")):
        return jnp.zeros(shape)
    if name == "gamma":
        return jnp.ones(shape)
    limit = (6 / (np.prod(shape[:-2]) * (shape[-2] + shape[-1]))) ** 0.5
    if name == "embeddings":
        limit = 0.05
    return jnp.asarray(rng.uniform(-limit, limit, shape), jnp.float32)


def begin(
    rng: np.random.Generator, parts: tuple[nets.Part, ...], shape: nets.Shape
) -> tuple[Tree, Tree]:
    """Weights and moving statistics."""
    weights, statistics = [], []
    for part in parts:
        if isinstance(part, nets.Residual):
            pair = [begin(rng, b, shape) for b in (part.body, part.shortcut)]
            own, moving = [p[0] for p in pair], [p[1] for p in pair]
        else:
            shapes = part.weights(shape)
            own = {name: _draw(rng, name, size) for name, size in shapes.items()}
            moving = {}
            if isinstance(part, nets.LSTM):
                own["bias"] = own["bias"].at[part.units : 2 * part.units].set(1)
            if isinstance(part, nets.BatchNorm):
                channels = shape[-1:]
                moving = {"mean": jnp.zeros(channels), "var": jnp.ones(channels)}
        weights.append(own)
        statistics.append(moving)
        shape = part.out(shape)
    return weights, statistics


def count(weights: Tree) -> int:
    """Number of weights."""
    return sum(leaf.size for leaf in jax.tree.leaves(weights))


def _conv(part: nets.Window, kernel: jax.Array, x: jax.Array, groups: int) -> jax.Array:
    _, stride, padding = part.square()
    return lax.conv_general_dilated(
        x,
        kernel.reshape(*kernel.shape[:2], -1, kernel.shape[3] * groups)
        if groups > 1
        else kernel,
        (stride, stride),
        padding.upper(),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


def _batch_norm(
    part: nets.BatchNorm, w: Tree, moving: Tree, x: jax.Array, train: bool
) -> Any:
    if train:
        mean = x.mean((0, 1, 2))
        var = jnp.square(x).mean((0, 1, 2)) - jnp.square(mean)
        new = {"mean": mean, "var": var}
        moving = jax.tree.map(lambda old, n: old + (n - old) * 0.01, moving, new)
    else:
        mean, var = moving["mean"], moving["var"]
    scale = w["gamma"] * lax.rsqrt(var + part.epsilon)
    return x * scale + (w["beta"] - mean * scale), moving


def _layer_norm(part: nets.LayerNorm, w: Tree, x: jax.Array) -> jax.Array:
    mean = x.mean(-1, keepdims=True)
    var = jnp.square(x - mean).mean(-1, keepdims=True)
    return (x - mean) * lax.rsqrt(var + part.epsilon) * w["gamma"] + w["beta"]


def _lstm(part: nets.LSTM, w: Tree, x: jax.Array) -> jax.Array:
    """The products of all inputs before the loop."""
    gates = jnp.swapaxes(x @ w["kernel"] + w["bias"], 0, 1)

    def step(state: Any, gate: jax.Array) -> Any:
        h, c = state
        i, f, g, o = jnp.split(gate + h @ w["recurrent_kernel"], 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

    zero = jnp.zeros((len(x), part.units))
    return lax.scan(step, (zero, zero), gates)[0][0]


def _attention(part: nets.Attention, w: Tree, x: jax.Array) -> jax.Array:
    n, time, features = x.shape

    def heads(name: str) -> jax.Array:
        found = x @ w[f"{name}_kernel"] + w[f"{name}_bias"]
        return found.reshape(n, time, part.heads, -1)

    query = heads("query") * (features / part.heads) ** -0.5
    scores = jnp.einsum("nqhd,nkhd->nhqk", query, heads("key"))
    seen = jnp.tril(jnp.ones((time, time), bool))
    share = jax.nn.softmax(jnp.where(seen, scores, -1e9))
    found = jnp.einsum("nhqk,nkhd->nqhd", share, heads("value"))
    return found.reshape(x.shape) @ w["output_kernel"] + w["output_bias"]


def _part(part: nets.Part, w: Tree, moving: Tree, x: jax.Array, train: bool) -> Any:
    """Output and new statistics of one part."""
    match part:
        case nets.Residual():
            body, one = forward(part.body, w[0], moving[0], x, train)
            shortcut, other = forward(part.shortcut, w[1], moving[1], x, train)
            return ACTIVATIONS[part.activation](body + shortcut), [one, other]
        case nets.BatchNorm():
            return _batch_norm(part, w, moving, x, train)
        case nets.Dense():
            x = ACTIVATIONS[part.activation](x @ w["kernel"] + w["bias"])
        case nets.Conv():
            x = _conv(part, w["kernel"], x, 1)
            x = ACTIVATIONS[part.activation](x + w["bias"] if part.bias else x)
        case nets.Depthwise():
            x = _conv(part, w["kernel"], x, x.shape[-1])
        case nets.MaxPool():
            size, stride, padding = part.square()
            window, steps = (1, size, size, 1), (1, stride, stride, 1)
            x = lax.reduce_window(x, -jnp.inf, lax.max, window, steps, padding.upper())
        case nets.GlobalAverage():
            x = x.mean((1, 2))
        case nets.Flatten():
            x = x.reshape(len(x), -1)
        case nets.Activation():
            x = ACTIVATIONS[part.name](x)
        case nets.LayerNorm():
            x = _layer_norm(part, w, x)
        case nets.Embedding():
            x = w["embeddings"][x]
        case nets.LSTM():
            x = _lstm(part, w, x)
        case nets.Attention():
            x = _attention(part, w, x)
        case _:
            raise TypeError(f"nothing for {part}")
    return x, moving


def forward(
    parts: tuple[nets.Part, ...],
    weights: Tree,
    statistics: Tree,
    x: jax.Array,
    train: bool,
) -> tuple[jax.Array, Tree]:
    """Output of the parts in a row, and the statistics as they are afterwards."""
    new = []
    for part, w, moving in zip(parts, weights, statistics, strict=True):
        x, moving = _part(part, w, moving, x, train)
        new.append(moving)
    return x, new
