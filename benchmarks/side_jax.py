"""Jitted JAX: a whole epoch is one `lax.scan` over batches; Adam written out.

The fastest way we know to train a small network with a peer on a CPU: no Python between
the steps, rows gathered inside the loop, state donated.
"""

from __future__ import annotations

import functools
import os
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from workloads import Workload

CALLS = 5000
ACTIVATIONS = {
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "gelu": functools.partial(jax.nn.gelu, approximate=False),
}


def forward(params: list[Any], x: jax.Array, activation: Any) -> jax.Array:
    """The network's output."""
    for weight, bias in params[:-1]:
        x = activation(x @ weight + bias)
    weight, bias = params[-1]
    return x @ weight + bias


class JaxSide:
    """Weights as a list of pairs."""

    def info(self) -> dict[str, Any]:
        """Versions and threads."""
        return {"version": jax.__version__, "threads": os.cpu_count()}

    def prepare(self, w: Workload, x: np.ndarray, y: np.ndarray) -> None:
        """Glorot weights, zero slots, and the jitted epoch."""
        self.w = w
        self.rng = np.random.default_rng(0)
        activation = ACTIVATIONS[w.activation]
        params = []
        for fan_in, fan_out in zip(w.sizes, w.sizes[1:], strict=False):
            limit = (6 / (fan_in + fan_out)) ** 0.5
            weight = self.rng.uniform(-limit, limit, (fan_in, fan_out))
            params.append(
                (jnp.asarray(weight, jnp.float32), jnp.zeros(fan_out, jnp.float32))
            )
        # Zeros made twice: donated buffers may not be shared.
        first, second = (jax.tree.map(jnp.zeros_like, params) for _ in range(2))
        self.state = (params, first, second, jnp.zeros((), jnp.float32))
        self.x, self.y = jnp.asarray(x), jnp.asarray(y)

        def loss_of(params: list[Any], x: jax.Array, y: jax.Array) -> jax.Array:
            out = forward(params, x, activation)
            if w.loss == "mse":
                return jnp.mean((out - y) ** 2)
            log_p = jax.nn.log_softmax(out)
            return -jnp.mean(jnp.take_along_axis(log_p, y[:, None], 1))

        def step(state: Any, rows: jax.Array, x: jax.Array, y: jax.Array) -> Any:
            params, m, v, t = state
            at = {"mode": "promise_in_bounds"}
            loss, grads = jax.value_and_grad(loss_of)(
                params, x.at[rows].get(**at), y.at[rows].get(**at)
            )
            t = t + 1
            rate = 1e-3 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
            m = jax.tree.map(lambda m, g: m + (g - m) * 0.1, m, grads)
            v = jax.tree.map(lambda v, g: v + (g * g - v) * 0.001, v, grads)
            params = jax.tree.map(
                lambda p, m, v: p - rate * m / (jnp.sqrt(v) + 1e-7), params, m, v
            )
            return (params, m, v, t), loss

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

        self.epoch = epoch
        self.forward = jax.jit(lambda params, x: forward(params, x, activation))

    def run(self) -> float:
        """One epoch, or the median call of the jitted network on one row."""
        if self.w.kind == "predict":
            return self._calls()
        start = time.perf_counter()
        order = self.rng.permutation(len(self.x)).astype(np.int32)
        self.state, loss = self.epoch(self.state, order, self.x, self.y)
        jax.block_until_ready((self.state, loss))
        return time.perf_counter() - start

    def _calls(self) -> float:
        one, times = np.asarray(self.x[:1]), []
        for _ in range(CALLS):
            start = time.perf_counter()
            np.asarray(self.forward(self.state[0], one))
            times.append(time.perf_counter() - start)
        return float(np.median(times))

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Logits or values."""
        return np.asarray(self.forward(self.state[0], x))


def make(_: str) -> JaxSide:
    """The side."""
    return JaxSide()
