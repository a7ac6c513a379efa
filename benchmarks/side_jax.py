"""Jitted JAX: a whole epoch is one `lax.scan` over batches; Adam written out.

The fastest way we know to train a small network with a peer on a CPU: no Python between
the steps, rows gathered inside the loop, state donated. Convolutions are many times
slower inside of XLA's loops than outside; networks that have them are trained by a
Python loop over the same step, jitted.
"""

from __future__ import annotations

import functools
import os
import time
from typing import Any

import jax
import jax.numpy as jnp
import net_jax
import net_parts as nets
import numpy as np
from jax import lax
from timing import median_call
from workloads import Workload


class JaxSide:
    """The state is weights, moving statistics, Adam's two slots and its count."""

    def info(self) -> dict[str, Any]:
        """Versions and threads."""
        return {"version": jax.__version__, "threads": os.cpu_count()}

    def prepare(self, w: Workload, x: np.ndarray, y: np.ndarray) -> None:
        """Weights, zero slots, and the jitted epoch."""
        self.w = w
        self.rng = np.random.default_rng(0)
        parts = w.network.parts
        params, moving = net_jax.begin(self.rng, parts, w.network.input)
        # Zeros made twice: donated buffers may not be shared.
        first, second = (jax.tree.map(jnp.zeros_like, params) for _ in range(2))
        self.state = (params, moving, first, second, jnp.zeros((), jnp.float32))
        self.x, self.y = jnp.asarray(x), jnp.asarray(y)

        def loss_of(params: Any, moving: Any, x: jax.Array, y: jax.Array) -> Any:
            out, moving = net_jax.forward(parts, params, moving, x, True)
            if w.loss == "mse":
                return jnp.mean((out - y) ** 2), moving
            log_p = jax.nn.log_softmax(out)
            return -jnp.mean(jnp.take_along_axis(log_p, y[..., None], -1)), moving

        def step(state: Any, rows: jax.Array, x: jax.Array, y: jax.Array) -> Any:
            params, moving, m, v, t = state
            at = {"mode": "promise_in_bounds"}
            (loss, moving), grads = jax.value_and_grad(loss_of, has_aux=True)(
                params, moving, x.at[rows].get(**at), y.at[rows].get(**at)
            )
            t = t + 1
            rate = 1e-3 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
            m = jax.tree.map(lambda m, g: m + (g - m) * 0.1, m, grads)
            v = jax.tree.map(lambda v, g: v + (g * g - v) * 0.001, v, grads)
            params = jax.tree.map(
                lambda p, m, v: p - rate * m / (jnp.sqrt(v) + 1e-7), params, m, v
            )
            return (params, moving, m, v, t), loss

        one = jax.jit(step, donate_argnums=0)

        def steps(state: Any, order: np.ndarray, x: jax.Array, y: jax.Array) -> Any:
            for i in range(0, len(order), w.batch):
                state, loss = one(state, order[i : i + w.batch], x, y)
            return state, loss

        @functools.partial(jax.jit, donate_argnums=0)
        def epoch(state: Any, order: jax.Array, x: jax.Array, y: jax.Array) -> Any:
            full = len(x) // w.batch * w.batch
            state, losses = lax.scan(
                lambda state, rows: step(state, rows, x, y),
                state,
                order[:full].reshape(-1, w.batch),
            )
            total = losses.sum() * w.batch
            if full < len(x):
                state, last = step(state, order[full:], x, y)
                total = total + last * (len(x) - full)
            return state, total / len(x)

        self.epoch = steps if w.network.has(nets.Window) else epoch
        self.forward = jax.jit(
            lambda params, moving, x: net_jax.forward(parts, params, moving, x, False)[
                0
            ]
        )

    def parameters(self) -> int:
        """Trainable weights."""
        return net_jax.count(self.state[0])

    def run(self) -> float:
        """One epoch, or the median call of the jitted network on one batch."""
        if self.w.kind == "predict":
            one = np.asarray(self.x[: self.w.batch])
            return median_call(lambda: self.predict(one))
        start = time.perf_counter()
        order = self.rng.permutation(len(self.x)).astype(np.int32)
        self.state, loss = self.epoch(self.state, order, self.x, self.y)
        jax.block_until_ready((self.state, loss))
        return time.perf_counter() - start

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Logits or values."""
        return np.asarray(self.forward(*self.state[:2], x))


def make(_: str) -> JaxSide:
    """The side."""
    return JaxSide()
