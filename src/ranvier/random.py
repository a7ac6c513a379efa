"""Random tensors: counter-based, so that a seed and a shape decide every bit.

All functions take `seed`: an integer (the same numbers at every call), a
`SeedGenerator` (new numbers at every call), or `None` (a generator of the process).
They work on symbols in a trace and compute at once outside.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ranvier import _seed, ops
from ranvier._lookup import snake_case
from ranvier._rejection import beta, binomial, gamma
from ranvier.engines.choice import compile_graph
from ranvier.errors import ShapeError
from ranvier.graph import Variable, functions, trace
from ranvier.graph.dropping import kept_factor, least_kept, random_keep
from ranvier.graph.trace import Tensor, constant

__all__ = [
    "SeedGenerator",
    "beta",
    "binomial",
    "categorical",
    "dropout",
    "gamma",
    "normal",
    "randint",
    "shuffle",
    "truncated_normal",
    "uniform",
]


class SeedGenerator:
    """A state that gives a fresh key at every call of a random function.

    Args:
        seed: an integer; by default the next seed of the process
            (`utils.set_random_seed`).
        name: a name.

    Raises:
        ShapeError: RV100 if `seed` is not an integer.

    Example:
        ```python
        seed = SeedGenerator(7)
        a, b = uniform((3,), seed=seed), uniform((3,), seed=seed)  # they differ
        ```
    """

    def __init__(self, seed: int | None = None, name: str | None = None) -> None:
        if seed is not None and not isinstance(seed, (int, np.integer)):
            raise ShapeError(
                "RV100",
                f"SeedGenerator: seed={seed!r} must be an integer",
                fix="SeedGenerator(seed=42)",
            )
        self.name = name or snake_case(type(self).__name__)
        self._initial_seed = seed
        self.state = Variable(
            _key(_seed.next_seed() if seed is None else int(seed)),
            dtype="uint32",
            name="seed_generator_state",
            kind="seed",
            trainable=False,
        )

    def next(self, ordered: bool = True) -> Any:
        """Returns a key of four words and moves on."""
        key = self.state.value
        # Word 2 counts the calls; it is part of Philox's counter, not of its key.
        self.state.assign(key + np.array([0, 0, 1, 0], "uint32"))
        return key

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor arguments; the state is not part of them."""
        return {"seed": self._initial_seed, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SeedGenerator:
        """Builds the generator that `get_config` described."""
        return cls(**config)


_default: tuple[int, SeedGenerator] | None = None


def _default_generator() -> SeedGenerator:
    """The generator of the process; a new one after `set_random_seed`."""
    global _default
    if _default is None or _default[0] != _seed.starts:
        _default = (_seed.starts, SeedGenerator(name="default"))
    return _default[1]


def _key(seed: int) -> np.ndarray[Any, Any]:
    return np.array([seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF, 0, 0], "uint32")


def _draw(seed: Any) -> Any:
    if seed is None:
        return _default_generator().next()
    if isinstance(seed, SeedGenerator):
        return seed.next()
    if isinstance(seed, (int, np.integer)) and not isinstance(seed, bool):
        return Tensor(value=_key(int(seed)))
    if getattr(seed, "shape", None) == (4,):
        return seed
    raise ShapeError(
        "RV100",
        f"seed={seed!r} must be an integer, a SeedGenerator or None",
        fix="seed=42",
    )


def bits(shape: Sequence[Any], seed: Any = None) -> Any:
    """32 random bits for each element, uint32."""
    return functions.random_bits(_key_for(shape, seed), tuple(shape))


def _key_for(shape: Sequence[Any], seed: Any) -> Any:
    key = _draw(seed)
    whole = all(isinstance(size, (int, np.integer)) for size in shape)
    if not whole and key.node is None:
        # A shape with a symbolic axis has no value yet: the draw must be a node.
        key = Tensor(node=constant(key.numpy()))
    return key


#: Numbers from which a draw outside of a trace runs on the engine: op by op over arrays
#: that fit no cache takes twenty times as long.
MANY = 1 << 16


def _unit(
    shape: Sequence[Any], seed: Any, made: Callable[[Any], Any] | None = None
) -> Any:
    """Float32 multiples of 2**-24 in [0, 1), each exactly representable; `made` of them."""
    key, shape = _key_for(shape, seed), tuple(shape)

    def drawn(key: Any) -> Any:
        whole = ops.right_shift(functions.random_bits(key, shape), np.uint32(8))
        unit = ops.cast(whole, "float32") * 2.0**-24
        return unit if made is None else made(unit)

    if key.node is not None or math.prod(shape) < MANY:
        return drawn(key)
    graph = trace(lambda x: {"drawn": drawn(x["key"])}, {"key": key.spec})
    return Tensor(value=compile_graph(graph).call({"key": key.numpy()})["drawn"])


def uniform(
    shape: Sequence[Any],
    minval: float = 0.0,
    maxval: float = 1.0,
    dtype: str | None = None,
    seed: Any = None,
) -> Any:
    """Draws uniformly from `[minval, maxval)`, in steps of `(maxval - minval) / 2**24`.

    Raises:
        ShapeError: RV100 if `dtype` is not a floating-point type.

    Example:
        ```python
        x = uniform((2, 3), -1.0, 1.0, seed=42)
        ```
    """
    dtype = dtype or "float32"
    if "float" not in str(dtype):
        raise ShapeError(
            "RV100",
            f"random.uniform: dtype={dtype!r} must be a floating-point type",
            fix="random.randint draws integers",
        )
    found = _unit(shape, seed, lambda u: u * (maxval - minval) + minval)
    return ops.cast(found, dtype)


def randint(
    shape: Sequence[Any],
    minval: int,
    maxval: int,
    dtype: str = "int32",
    seed: Any = None,
) -> Any:
    """Draws integers uniformly from `minval` to `maxval - 1`.

    Raises:
        ShapeError: RV100 if the range is empty or `dtype` is not an integer type.

    Example:
        ```python
        dice = randint((10,), 1, 7, seed=42)
        ```
    """
    if "int" not in str(dtype) or not int(minval) < int(maxval):
        raise ShapeError(
            "RV100",
            f"random.randint: cannot draw {dtype} from {minval} to {maxval} - 1",
            fix="minval < maxval, and an integer dtype",
        )
    # 32 bits modulo the range: the largest bias is range / 2**32.
    whole = ops.cast(bits(shape, seed), "int64")
    return ops.cast(ops.mod(whole, int(maxval) - int(minval)) + int(minval), dtype)


def normal(
    shape: Sequence[Any],
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: str | None = None,
    seed: Any = None,
) -> Any:
    """Draws from the normal distribution.

    Example:
        ```python
        noise = normal((2, 3), stddev=0.1, seed=42)
        ```
    """
    found = _unit(shape, seed, lambda u: _quantile(u) * stddev + mean)
    return ops.cast(found, dtype or "float32")


#: the standard normal distribution function at -2
_BELOW = 0.022750131948179195


def truncated_normal(
    shape: Sequence[Any],
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: str | None = None,
    seed: Any = None,
) -> Any:
    """Draws from the normal distribution cut off at two standard deviations.

    Example:
        ```python
        w = truncated_normal((784, 128), stddev=0.05, seed=42)
        ```
    """

    def cut(u: Any) -> Any:
        z = ops.clip(_quantile(u * (1 - 2 * _BELOW) + _BELOW), -2.0, 2.0)
        return z * stddev + mean

    return ops.cast(_unit(shape, seed, cut), dtype or "float32")


def _quantile(u: Any) -> Any:
    """The normal number below which the share `u + 2**-25` of all numbers lies.

    Wichura's rational approximations (algorithm AS 241, 1988, PPND7), whose error is
    about 1e-7 of the result. The third piece, for shares below exp(-25), is never
    reached: the smallest here is 2**-25.
    """
    half = 2.0**-25
    # Multiples of 2**-25 up to 1/2 are exact, so both tails are drawn alike.
    q = (u - 0.5) + half
    r = 0.180625 - q * q
    top = ((5.9109374720e1 * r + 1.5929113202e2) * r + 5.0434271938e1) * r
    low = ((6.7187563600e1 * r + 7.8757757664e1) * r + 1.7895169469e1) * r
    centre = q * (top + 3.3871327179) / (low + 1.0)
    tail = ops.where(q < 0, u + half, (1.0 - u) - half)
    r = ops.sqrt(-ops.log(ops.maximum(tail, half))) - 1.6
    top = ((1.7023821103e-1 * r + 1.3067284816) * r + 2.7568153900) * r
    low = (1.2021132975e-1 * r + 7.3700164250e-1) * r
    far = (top + 1.4234372777) / (low + 1.0)
    return ops.where(ops.abs(q) <= 0.425, centre, ops.sign(q) * far)


def dropout(
    inputs: Any,
    rate: float,
    noise_shape: Sequence[Any] | None = None,
    seed: Any = None,
) -> Any:
    """Sets each element to 0 with probability `rate` and divides the others by
    `1 - rate`.

    Args:
        inputs: a tensor.
        rate: from 0 to 1.
        noise_shape: shape of the random choice, broadcast to `inputs`; `None` in it
            means the size of `inputs`.
        seed: see the module.

    Example:
        ```python
        y = dropout(x, 0.5, seed=42)
        ```
    """
    if rate <= 0:
        return inputs
    if rate >= 1:
        return ops.zeros_like(inputs)
    sizes = tuple(inputs.shape)
    if noise_shape is not None:
        sizes = tuple(
            full if size is None else size
            for full, size in zip(sizes, noise_shape, strict=True)
        )
    key = _key_for(sizes, seed)
    keep = random_keep(key, shape=sizes, least=least_kept(rate))
    if sizes != tuple(inputs.shape):
        keep = ops.broadcast_to(keep, tuple(inputs.shape))
    return ops.where(keep, inputs * kept_factor(rate), 0.0)


def shuffle(x: Any, axis: int = 0, seed: Any = None) -> Any:
    """Puts the slices of `x` along `axis` in random order.

    Example:
        ```python
        shuffled = shuffle(np.arange(10), seed=42)
        ```
    """
    if not hasattr(x, "shape"):
        x = np.asarray(x)
    order = ops.argsort(bits((x.shape[axis],), seed))
    return ops.take(x, order, axis=axis)


def categorical(
    logits: Any, num_samples: int, dtype: str = "int32", seed: Any = None
) -> Any:
    """Draws `num_samples` classes for each row of `logits`, of shape (rows, classes).

    A class is drawn with probability `softmax(logits)`: it is the one whose logit plus
    Gumbel noise is largest.

    Raises:
        ShapeError: RV108 if `logits` has not two axes.

    Example:
        ```python
        drawn = categorical(np.log([[0.1, 0.9]]), 5, seed=42)
        ```
    """
    shape = tuple(logits.shape)
    if len(shape) != 2:
        raise ShapeError(
            "RV108",
            "random.categorical: logits must have two axes, (rows, classes)",
            details=f"received shape {shape}",
            fix="logits[None, :]",
        )
    u = _unit((shape[0], num_samples, shape[1]), seed) + 2.0**-25
    noise = -ops.log(-ops.log(u))
    scores = ops.cast(ops.expand_dims(logits, 1), "float32") + noise
    return ops.cast(ops.argmax(scores, axis=-1), dtype)
