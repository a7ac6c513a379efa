"""Gradients and values of operations against JAX, an implementation of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from strategies import draw, named, run, specs_of

from ranvier.graph import COMPOSITES, Spec, trace
from ranvier.graph import composites as _  # noqa: F401  (fills the registry)
from ranvier.graph import functions as f
from ranvier.graph.attention import MASKED
from ranvier.graph.control import scan
from ranvier.graph.ops.random import random_bits_reference
from ranvier.graph.passes.grad import gradients

jax.config.update("jax_platforms", "cpu")


def _sparse(x: Any, y: Any) -> Any:
    logp = jax.nn.log_softmax(x)
    return -jnp.take_along_axis(logp, y[:, None], axis=-1)[:, 0], jax.nn.softmax(x)


def _dense(x: Any, t: Any) -> Any:
    return -jnp.sum(t * jax.nn.log_softmax(x), axis=-1), jax.nn.softmax(x)


def _adam(
    w: Any, m: Any, v: Any, g: Any, alpha: Any, rm: Any, rv: Any, eps: Any
) -> Any:
    m = m + (g - m) * rm
    v = v + (g * g - v) * rv
    return w - m * alpha / (jnp.sqrt(v) + eps), m, v


def _attention(
    q: Any,
    k: Any,
    v: Any,
    *rest: Any,
    scale: float,
    rate: float = 0.0,
    empty_is_zero: bool = False,
) -> Any:
    mask = rest[1:] if rate else rest
    scores = jnp.einsum("bihd,bjhd->bhij", q, k) * scale
    if mask:
        scores = jnp.where(mask[0], scores, MASKED)
    weights = jax.nn.softmax(scores)
    if mask and empty_is_zero:
        weights = jnp.where(mask[0], weights, 0.0)
    kept = weights
    if rate:
        unit = (random_bits_reference(rest[0], weights.shape) >> 8) * 2.0**-24
        keep = unit >= np.float32(rate)
        kept = jnp.where(keep, weights / (1 - rate), 0.0)
        weights = jnp.where(keep, weights, -weights)
    return jnp.einsum("bhij,bjhe->bihe", kept, v), weights


def _attention_grad(
    w: Any,
    g: Any,
    q: Any,
    k: Any,
    v: Any,
    *mask: Any,
    scale: float,
    rate: float = 0.0,
) -> Any:
    """By the chain rule of a softmax that has given these weights."""
    share = jnp.where(w > 0, 1 / (1 - rate), 0.0) if rate else 1.0
    w, kept = jnp.abs(w), jnp.abs(w) * share
    by_weights = jnp.einsum("bihe,bjhe->bhij", g, v) * share
    slopes = w * (by_weights - jnp.sum(by_weights * w, axis=-1, keepdims=True))
    slopes = jnp.where(mask[0], slopes, 0.0) if mask else slopes
    return (
        jnp.einsum("bhij,bjhd->bihd", slopes, k) * scale,
        jnp.einsum("bhij,bihd->bjhd", slopes, q) * scale,
        jnp.einsum("bhij,bihe->bjhe", kept, g),
    )


def _layer_norm(x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
    factor = 1 / jnp.sqrt(jnp.var(x, axis=-1, keepdims=True) + epsilon)
    normal = (x - jnp.mean(x, axis=-1, keepdims=True)) * factor
    return normal * gamma + beta, normal, factor


def _layer_norm_grad(normal: Any, factor: Any, gamma: Any, g: Any) -> Any:
    e, axes = g * gamma, tuple(range(g.ndim - 1))
    inner = jnp.mean(e * normal, axis=-1, keepdims=True)
    d_x = factor * (e - jnp.mean(e, axis=-1, keepdims=True) - normal * inner)
    return d_x, jnp.sum(normal * g, axis=axes), jnp.sum(g, axis=axes)


def _channels(x: Any) -> tuple[int, ...]:
    return tuple(range(x.ndim - 1))


def _exact_gelu(x: Any) -> Any:
    return jax.nn.gelu(x, approximate=False)


THEIRS: dict[str, Callable[..., Any]] = {
    "attention": _attention,
    "attention_grad": _attention_grad,
    "capped_relu": lambda x, cap: jnp.clip(x, 0, cap),
    "channel_moments": lambda x: (
        jnp.mean(x, axis=_channels(x)),
        jnp.var(x, axis=_channels(x)),
    ),
    "channel_sums": lambda g, x: (
        jnp.sum(g, axis=_channels(x)),
        jnp.sum(g * x, axis=_channels(x)),
    ),
    "gelu": _exact_gelu,
    "gelu_grad": lambda x, g: jax.vjp(_exact_gelu, x)[1](g)[0],
    "layer_norm": _layer_norm,
    "layer_norm_grad": _layer_norm_grad,
    "scale_shift": lambda x, factor, shift: x * factor + shift,
    "relu": jax.nn.relu,
    "softmax": jax.nn.softmax,
    "log_softmax": jax.nn.log_softmax,
    "sparse_softmax_cross_entropy": _sparse,
    "softmax_cross_entropy": _dense,
    "sparse_softmax_cross_entropy_grad": lambda p, y, g: (
        (p - jax.nn.one_hot(y, p.shape[-1])) * g[:, None]
    ),
    "sigmoid_cross_entropy": lambda x, z: (
        jnp.maximum(x, 0) - x * z + jnp.log1p(jnp.exp(-jnp.abs(x)))
    ),
    "adam_update": _adam,
    "random_keep": lambda key, shape, least: (
        random_bits_reference(key, shape) >> 8 >= least
    ),
}
CASES = [
    pytest.param(record, case, id=f"{name}-{i}")
    for name, record in sorted(COMPOSITES.items())
    for i, case in enumerate(record.cases)
]


def several(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def test_every_composite_has_a_counterpart() -> None:
    assert set(THEIRS) == set(COMPOSITES)


@pytest.mark.parametrize("engine", ["reference", "native"])
@pytest.mark.parametrize(("record", "case"), CASES)
def test_composites(record: Any, case: Any, engine: str) -> None:
    """Values, and gradients for a random weighting of the results."""
    arrays = draw(case)
    floats = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]
    theirs = several(THEIRS[record.name](*arrays, **dict(case.attrs)))
    rng = np.random.default_rng(0)
    weights = [np.float32(rng.normal(size=t.shape)) for t in theirs]

    def step(x: Mapping[str, Any]) -> dict[str, Any]:
        ys = several(record(*x.values(), **dict(case.attrs)))
        out = {f"y{i}": y for i, y in enumerate(ys)}
        if not floats:
            return out
        total = sum(f.sum(y * w) for y, w in zip(ys, weights, strict=True))
        found = gradients(total, [x[f"x{i}"] for i in floats])
        return out | {
            f"d{i}": f.zeros_like(x[f"x{i}"]) if g is None else g
            for i, g in zip(floats, found, strict=True)
        }

    def scalar(*xs: Any) -> Any:
        ys = several(THEIRS[record.name](*xs, **dict(case.attrs)))
        return sum(jnp.sum(y * w) for y, w in zip(ys, weights, strict=True))

    specs = {f"x{i}": s for i, s in enumerate(specs_of(arrays))}
    got = run(engine, trace(step, specs), named(arrays))
    for i, y in enumerate(theirs):
        np.testing.assert_allclose(got[f"y{i}"], y, rtol=1e-5, atol=1e-6)
    grads = jax.grad(scalar, argnums=tuple(floats))(*arrays) if floats else ()
    for i, g in zip(floats, grads, strict=True):
        np.testing.assert_allclose(got[f"d{i}"], g, rtol=2e-4, atol=2e-5)


PAIRS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "prod": (lambda x: f.prod(x, axis=1), lambda x: jnp.prod(x, axis=1)),
    "cumprod": (lambda x: f.cumprod(x, axis=0), lambda x: jnp.cumprod(x, axis=0)),
    "sort": (lambda x: f.sort(x, axis=1), lambda x: jnp.sort(x, axis=1)),
    "max": (lambda x: f.max(x, axis=1), lambda x: jnp.max(x, axis=1)),
    "slices": (lambda x: x[::2, 1:-1][:, ::-1], lambda x: x[::2, 1:-1][:, ::-1]),
    "pad": (lambda x: f.pad(x, ((1, 0), (0, 2))) ** 2.0,
            lambda x: jnp.pad(x, ((1, 0), (0, 2))) ** 2.0),
    "gather": (lambda x: f.take(x, [2, 0, 2], axis=0), lambda x: x[jnp.array([2, 0, 2])]),
    "outer": (lambda x: f.expand_dims(x, 1) * f.expand_dims(x, 2),
              lambda x: x[:, None] * x[:, :, None]),
    "batched matmul": (
        lambda x: f.matmul(f.reshape(x, (2, 2, 5)), f.reshape(x, (2, 5, 2))),
        lambda x: jnp.matmul(x.reshape(2, 2, 5), x.reshape(2, 5, 2)),
    ),
    "variance": (lambda x: f.var(x, axis=0), lambda x: jnp.var(x, axis=0)),
    "atan2": (lambda x: f.arctan2(x, f.flip(x)), lambda x: jnp.arctan2(x, x[::-1, ::-1])),
    "power": (lambda x: f.power(f.absolute(x), x), lambda x: jnp.abs(x) ** x),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(PAIRS))
def test_second_derivatives(name: str) -> None:
    """The gradient of a nonlinear function of the gradient."""
    ours, theirs = PAIRS[name]
    x = np.random.default_rng(3).uniform(0.3, 2, (4, 5)).astype("float32")

    def step(i: Mapping[str, Any]) -> dict[str, Any]:
        (g,) = gradients(f.sum(f.sin(ours(i["x"]))), [i["x"]])
        (h,) = gradients(f.sum(f.square(g)), [i["x"]])
        return {"g": g, "h": h}

    def first(x: Any) -> Any:
        return jax.grad(lambda x: jnp.sum(jnp.sin(theirs(x))))(x)

    g, h = first(x), jax.grad(lambda x: jnp.sum(first(x) ** 2))(x)
    graph = trace(step, {"x": Spec(x.shape, "float32")})
    for engine in ("reference", "native"):
        got = run(engine, graph, {"x": x})
        np.testing.assert_allclose(got["g"], g, rtol=2e-4, atol=2e-5)
        np.testing.assert_allclose(got["h"], h, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("engine", ["reference", "native"])
def test_a_recurrent_scan(engine: str) -> None:
    """Backwards through time, first and second order."""
    rng = np.random.default_rng(4)
    x, w = (np.float32(rng.normal(size=s)) for s in ((6, 2, 3), (3, 3)))

    def step(i: Mapping[str, Any]) -> dict[str, Any]:
        def cell(h: Any, row: Any) -> Any:
            h = f.tanh(f.matmul(h, i["w"]) + row)
            return h, f.sum(h)

        last, ys = scan(cell, f.zeros((2, 3)), i["x"], reverse=True)
        gx, gw = gradients(f.sum(f.square(last)) + f.sum(f.sin(ys)), [i["x"], i["w"]])
        (h,) = gradients(f.sum(f.square(gx)) + f.sum(f.square(gw)), [i["w"]])
        return {"gx": gx, "gw": gw, "h": h}

    def loss(x: Any, w: Any) -> Any:
        def cell(h: Any, row: Any) -> Any:
            h = jnp.tanh(h @ w + row)
            return h, jnp.sum(h)

        last, ys = jax.lax.scan(cell, jnp.zeros((2, 3)), x, reverse=True)
        return jnp.sum(last**2) + jnp.sum(jnp.sin(ys))

    def again(w: Any) -> Any:
        gx, gw = jax.grad(loss, argnums=(0, 1))(x, w)
        return jnp.sum(gx**2) + jnp.sum(gw**2)

    specs = {"x": Spec(x.shape, "float32"), "w": Spec(w.shape, "float32")}
    got = run(engine, trace(step, specs), {"x": x, "w": w})
    gx, gw = jax.grad(loss, argnums=(0, 1))(x, w)
    for name, want in (("gx", gx), ("gw", gw), ("h", jax.grad(again)(w))):
        np.testing.assert_allclose(got[name], want, rtol=2e-3, atol=2e-4)
