"""Random numbers whose distribution needs as many draws as it takes to accept one.

Every round draws for all elements with a key of its own (its last word counts the
rounds), and those that were accepted before keep what they have: a seed and a shape
decide every bit. The loops have no gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ranvier.errors import ShapeError
from ranvier.graph import functions as f
from ranvier.graph.control import while_loop
from ranvier.graph.trace import Tensor

#: Half of the distance between two uniform numbers: none is 0.
_HALF = 2.0**-25
#: Rounds after which what is left is taken as it is; the chance is below 1e-60.
_ROUNDS = 10_000


def _uniform(key: Any, turn: Any, shape: Sequence[Any]) -> Tensor:
    """Numbers in (0, 1), of this round."""
    own = f.cast(turn, "uint32") * np.array([0, 0, 0, 1], "uint32")
    bits = f.random_bits(f.add(key, own), tuple(shape))
    whole = f.right_shift(bits, Tensor(value=np.uint32(8)))
    return f.cast(whole, "float32") * 2.0**-24 + _HALF


def _accepted(
    key: Any,
    shape: Sequence[Any],
    draws: int,
    propose: Callable[..., tuple[Tensor, Tensor]],
) -> Tensor:
    """Proposals, drawn again until each is accepted."""

    def step(turn: Tensor, done: Tensor, found: Tensor) -> tuple[Tensor, ...]:
        u = _uniform(key, turn + 1, (draws, *shape))
        value, good = propose(*(u[i] for i in range(draws)))
        new = f.logical_and(f.logical_not(done), good)
        return turn + 1, f.logical_or(done, good), f.where(new, value, found)

    def going(turn: Tensor, done: Tensor, found: Tensor) -> Tensor:
        return f.logical_and(turn < _ROUNDS, f.logical_not(f.all(done)))

    start = (
        f.cast(0, "int32"),
        f.full(tuple(shape), False, "bool"),
        f.full(tuple(shape), 0.0, "float32"),
    )
    found: Tensor = while_loop(going, step, start)[2]
    return found


def _spread(x: Any, shape: Sequence[Any]) -> Tensor:
    return f.broadcast_to(f.cast(x, "float32"), tuple(shape))


def _log_gamma(shape: Sequence[Any], alpha: Any, key: Any) -> Tensor:
    """Logarithms of gamma variates (Marsaglia and Tsang, 2000)."""
    from ranvier.random import _quantile

    alpha = _spread(alpha, shape)
    small = alpha < 1.0
    # A variate of alpha + 1 times U^(1 / alpha) is one of alpha.
    d = f.where(small, alpha + 1.0, alpha) - 1.0 / 3.0
    c = f.rsqrt(d * 9.0)

    def propose(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        x = _quantile(first - _HALF)
        v = x * c + 1.0
        inside = v > 0.0
        cube = f.where(inside, v, 1.0)
        log_v = f.log(cube) * 3.0
        bound = f.square(x) * 0.5 + d * (1.0 - cube * cube * cube + log_v)
        good = f.logical_and(inside, f.log(second) < bound)
        return f.log(d) + log_v, good

    found = _accepted(key, shape, 2, propose)
    less = f.log(_uniform(key, 0, shape)) / f.where(small, alpha, 1.0)
    return found + f.where(small, less, 0.0)


def gamma(
    shape: Sequence[Any], alpha: Any, dtype: str | None = None, seed: Any = None
) -> Any:
    """Draws from the gamma distribution of scale 1.

    Args:
        shape: of the result.
        alpha: the shape parameter, a number or a tensor that broadcasts.
        dtype: of the result.
        seed: see the module.

    No gradient passes to ``alpha`` (Keras on JAX has one).

    Example:
        >>> gamma((2, 3), 2.0, seed=42).shape
        (2, 3)
    """
    from ranvier.random import _draw

    found = f.exp(_log_gamma(shape, f.stop_gradient(alpha), _draw(seed)))
    return f.cast(found, dtype or "float32")


def beta(
    shape: Sequence[Any],
    alpha: Any,
    beta: Any,
    dtype: str | None = None,
    seed: Any = None,
) -> Any:
    """Draws from the beta distribution: ``x / (x + y)`` of two gamma variates.

    Args:
        shape: of the result.
        alpha: the first parameter, a number or a tensor that broadcasts.
        beta: the second.
        dtype: of the result.
        seed: see the module.

    Example:
        >>> bool((beta((8,), 0.5, 0.5, seed=42) <= 1.0).numpy().all())
        True
    """
    from ranvier.random import _draw

    alpha, beta = (_spread(f.stop_gradient(t), shape) for t in (alpha, beta))
    both = _log_gamma((2, *shape), f.stack([alpha, beta]), _draw(seed))
    # From logarithms: variates of small parameters underflow.
    return f.cast(f.sigmoid(both[0] - both[1]), dtype or "float32")


#: log k! less Stirling's formula for it, at k = 0 … 9.
_STIRLING = [
    math.lgamma(k + 1)
    - ((k + 0.5) * math.log(k + 1) - (k + 1) + 0.5 * math.log(2 * math.pi))
    for k in range(10)
]


def _rest(k: Tensor) -> Tensor:
    """What Stirling's formula for log k! leaves out."""
    table = Tensor(value=np.asarray(_STIRLING, "float32"))
    exact = f.take(table, f.cast(f.clip(k, 0.0, 9.0), "int32"), axis=0)
    square = f.square(k + 1.0)
    series = (1 / 12 - (1 / 360 - (1 / 1260) / square) / square) / (k + 1.0)
    return f.where(k < 10.0, exact, series)


def binomial(
    shape: Sequence[Any],
    counts: Any,
    probabilities: Any,
    dtype: str | None = None,
    seed: Any = None,
) -> Any:
    """Draws how many of `counts` trials succeed.

    By adding up gaps between successes where few are expected, by Hörmann's
    transformed rejection (1993, BTRS) elsewhere.

    Args:
        shape: of the result.
        counts: how many trials, up to 2**24; a number or a tensor that broadcasts.
        probabilities: of a success; a number or a tensor that broadcasts.
        dtype: of the result.
        seed: see the module.

    Raises:
        ShapeError: RV100 for a number of trials or a probability that cannot be.

    Example:
        >>> float(binomial((1,), 5, 1.0, seed=42)[0])
        5.0
    """
    from ranvier.random import _draw

    if isinstance(probabilities, (int, float)) and not 0 <= probabilities <= 1:
        raise ShapeError(
            "RV100", f"random.binomial: a probability of {probabilities}", fix="0 … 1"
        )
    if isinstance(counts, (int, float)) and not 0 <= counts <= 2**24:
        raise ShapeError(
            "RV100", f"random.binomial: {counts} trials", fix="from 0 to 2**24"
        )
    key = _draw(seed)
    n, given = _spread(counts, shape), _spread(probabilities, shape)
    turned = given > 0.5
    p = f.where(turned, 1.0 - given, given)
    few = n * p < 10.0
    rare = _gaps(key, shape, f.where(few, n, 0.0), f.where(few, p, 0.0))
    other = f.add(key, np.array([0, 0, 0, 1 << 31], "uint32"))
    many = _transformed(other, shape, f.where(few, 100.0, n), f.where(few, 0.5, p))
    found = f.where(few, rare, many)
    return f.cast(f.where(turned, n - found, found), dtype or "float32")


def _gaps(key: Any, shape: Sequence[Any], n: Tensor, p: Tensor) -> Tensor:
    """Successes, counted by the trials from one to the next."""
    some = p > 0.0
    rate = f.log1p(f.negative(f.where(some, p, 0.5)))

    def step(turn: Tensor, used: Tensor, hits: Tensor) -> tuple[Tensor, ...]:
        gap = f.maximum(f.ceil(f.log(_uniform(key, turn + 1, shape)) / rate), 1.0)
        used = used + f.where(some, gap, n + 1.0)
        return turn + 1, used, hits + f.cast(used <= n, "float32")

    def going(turn: Tensor, used: Tensor, hits: Tensor) -> Tensor:
        return f.any(used <= n)

    zeros = f.full(tuple(shape), 0.0, "float32")
    found: Tensor = while_loop(going, step, (f.cast(0, "int32"), zeros, zeros))[2]
    return found


def _transformed(key: Any, shape: Sequence[Any], n: Tensor, p: Tensor) -> Tensor:
    q = 1.0 - p
    spread = f.sqrt(n * p * q)
    b = spread * 2.53 + 1.15
    a = b * 0.0248 + p * 0.01 - 0.0873
    sure = 0.92 - 4.2 / b
    scale = (2.83 + 5.1 / b) * spread
    odds = p / q
    mode = f.floor((n + 1.0) * p)
    top = (mode + 0.5) * f.log((mode + 1.0) / (odds * (n - mode + 1.0)))
    top = top + _rest(mode) + _rest(n - mode)

    def propose(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        u = first - 0.5
        left = 0.5 - f.absolute(u)
        k = f.floor((2.0 * a / left + b) * u + n * p + 0.5)
        inside = f.logical_and(k >= 0.0, k <= n)
        k = f.where(inside, k, mode)
        height = f.log(second * scale / (a / f.square(left) + b))
        bound = top + (n + 1.0) * f.log((n - mode + 1.0) / (n - k + 1.0))
        bound = bound + (k + 0.5) * f.log(odds * (n - k + 1.0) / (k + 1.0))
        bound = bound - _rest(k) - _rest(n - k)
        quick = f.logical_and(left >= 0.07, second <= sure)
        good = f.logical_or(quick, height <= bound)
        return k, f.logical_and(inside, good)

    return _accepted(key, shape, 2, propose)


__all__ = ["beta", "binomial", "gamma"]
