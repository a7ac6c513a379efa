"""The activation functions of Keras, as compositions of `ranvier.ops`.

Each takes an array or a symbol of any shape and returns one of the same shape and
dtype (`glu` halves an axis). They are written in forms that neither overflow nor
lose digits in float32, and whose gradients stay finite: where a branch would
overflow, its argument is clamped before the branch is chosen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ranvier import ops
from ranvier._lookup import Lookup
from ranvier._missing import missing
from ranvier.graph import composites
from ranvier.graph.functions import normal_axis
from ranvier.operation import record_calls

__all__ = [
    "celu",
    "deserialize",
    "elu",
    "exponential",
    "gelu",
    "get",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "serialize",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "swish",
    "tanh",
    "tanh_shrink",
    "threshold",
]

Activation = Callable[..., Any]

# Klambauer et al. 2017, the fixed point of mean 0 and variance 1, to float64 digits.
_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946


def linear(x: Any) -> Any:
    """Passes its input through: `x`.

    Example:
        >>> linear(3.0)
        3.0
    """
    return x


def relu(
    x: Any,
    negative_slope: float = 0.0,
    max_value: float | None = None,
    threshold: float = 0.0,
) -> Any:
    """Rectified linear unit: `max(x, 0)`, with Keras's three variations.

    `x` above the threshold, at most `max_value`; `negative_slope * (x - threshold)`
    below it.

    Args:
        x: input of any shape.
        negative_slope: the slope below the threshold.
        max_value: the largest result, or `None`.
        threshold: inputs at or below it count as negative.

    Example:
        >>> relu([-1.0, 2.0]).numpy().tolist()
        [0.0, 2.0]
    """
    x = ops.convert_to_tensor(x)
    if negative_slope != 0.0 and max_value is None and threshold == 0.0:
        return leaky_relu(x, negative_slope)
    if max_value is not None and max_value > 0.0 == threshold:
        out = composites.capped_relu(x, cap=float(max_value))
        max_value = None
    else:
        out = ops.where(x > threshold, x, 0.0) if threshold != 0.0 else ops.relu(x)
    if max_value is not None:
        out = ops.minimum(out, max_value)
        if threshold < 0.0:
            # Only a threshold below zero lets a negative number through to here.
            out = ops.maximum(out, 0.0)
    if negative_slope != 0.0:
        out = out - negative_slope * ops.relu(threshold - x)
    return out


def leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    """Leaky ReLU: `x` for `x >= 0`, else `negative_slope * x`.

    The default slope is Keras's 0.2 here and 0.3 in `layers.LeakyReLU`.

    Example:
        >>> leaky_relu([-1.0, 2.0], 0.5).numpy().tolist()
        [-0.5, 2.0]
    """
    x = ops.convert_to_tensor(x)
    return ops.where(x >= 0.0, x, x * negative_slope)


def relu6(x: Any) -> Any:
    """ReLU that ends at six: `min(max(x, 0), 6)`.

    Example:
        >>> relu6([-1.0, 8.0]).numpy().tolist()
        [0.0, 6.0]
    """
    return composites.capped_relu(ops.convert_to_tensor(x), cap=6.0)  # type: ignore[no-any-return]


def elu(x: Any, alpha: float = 1.0) -> Any:
    """Exponential linear unit: `x` for `x > 0`, else `alpha * (exp(x) - 1)`.

    Clevert et al., 2015 (arXiv:1511.07289).

    Example:
        >>> elu([1.0, -100.0]).numpy().tolist()
        [1.0, -1.0]
    """
    x = ops.convert_to_tensor(x)
    return ops.where(x > 0.0, x, ops.expm1(ops.minimum(x, 0.0)) * alpha)


def selu(x: Any) -> Any:
    """Scaled ELU: `scale * elu(x, alpha)` with the two self-normalising constants.

    `alpha = 1.67326…`, `scale = 1.05070…`; Klambauer et al., 2017 (arXiv:1706.02515).

    Example:
        >>> round(float(selu(1.0)), 6)
        1.050701
    """
    return elu(x, _SELU_ALPHA) * _SELU_SCALE


def celu(x: Any, alpha: float = 1.0) -> Any:
    """Continuously differentiable ELU: `max(x, 0) + alpha * expm1(min(x, 0) / alpha)`.

    Barron, 2017 (arXiv:1704.07483).

    Example:
        >>> celu([2.0, -100.0], alpha=2.0).numpy().tolist()
        [2.0, -2.0]
    """
    x = ops.convert_to_tensor(x)
    return ops.where(x > 0.0, x, ops.expm1(ops.minimum(x, 0.0) / alpha) * alpha)


def sigmoid(x: Any) -> Any:
    """Logistic function: `1 / (1 + exp(-x))`; float32 reaches exactly 1 at `x >= 17`.

    Example:
        >>> float(sigmoid(0.0))
        0.5
    """
    return ops.sigmoid(ops.convert_to_tensor(x))


def log_sigmoid(x: Any) -> Any:
    """Logarithm of the logistic function: `-softplus(-x)`, exact for large `|x|`.

    Example:
        >>> float(log_sigmoid(-100.0))
        -100.0
    """
    return -softplus(-ops.convert_to_tensor(x))


def hard_sigmoid(x: Any) -> Any:
    """Piecewise linear sigmoid: `x / 6 + 1/2`, held between 0 and 1.

    Example:
        >>> hard_sigmoid([-3.0, 0.0, 3.0]).numpy().tolist()
        [0.0, 0.5, 1.0]
    """
    return relu6(ops.convert_to_tensor(x) + 3.0) / 6.0


def sparse_sigmoid(x: Any) -> Any:
    """`(x + 1) / 2`, held between 0 and 1; the slope of `sparse_plus`.

    Example:
        >>> sparse_sigmoid([-2.0, 0.0, 2.0]).numpy().tolist()
        [0.0, 0.5, 1.0]
    """
    return ops.clip(ops.convert_to_tensor(x) + 1.0, 0.0, 2.0) * 0.5


def silu(x: Any) -> Any:
    """Swish: `x * sigmoid(x)`; Ramachandran et al., 2017 (arXiv:1710.05941).

    Example:
        >>> float(silu(0.0))
        0.0
    """
    x = ops.convert_to_tensor(x)
    return x * ops.sigmoid(x)


def hard_silu(x: Any) -> Any:
    """Piecewise quadratic swish: `x * hard_sigmoid(x)`; Howard et al., 2019.

    Example:
        >>> hard_silu([-3.0, 3.0]).numpy().tolist()
        [-0.0, 3.0]
    """
    x = ops.convert_to_tensor(x)
    return x * hard_sigmoid(x)


def tanh(x: Any) -> Any:
    """Hyperbolic tangent: `(exp(x) - exp(-x)) / (exp(x) + exp(-x))`.

    Example:
        >>> float(tanh(100.0))
        1.0
    """
    return ops.tanh(ops.convert_to_tensor(x))


def hard_tanh(x: Any) -> Any:
    """`x` held between -1 and 1.

    Example:
        >>> hard_tanh([-3.0, 0.5]).numpy().tolist()
        [-1.0, 0.5]
    """
    return ops.clip(ops.convert_to_tensor(x), -1.0, 1.0)


def tanh_shrink(x: Any) -> Any:
    """`x - tanh(x)`.

    Example:
        >>> float(tanh_shrink(0.0))
        0.0
    """
    x = ops.convert_to_tensor(x)
    return x - ops.tanh(x)


def hard_shrink(x: Any, threshold: float = 0.5) -> Any:
    """`x` where `|x| > threshold`, else 0.

    Example:
        >>> hard_shrink([0.25, -1.0]).numpy().tolist()
        [0.0, -1.0]
    """
    x = ops.convert_to_tensor(x)
    return ops.where(ops.abs(x) > threshold, x, 0.0)


def soft_shrink(x: Any, threshold: float = 0.5) -> Any:
    """`x` moved towards 0 by `threshold`, and 0 within it.

    Example:
        >>> soft_shrink([0.25, -1.0]).numpy().tolist()
        [0.0, -0.5]
    """
    x = ops.convert_to_tensor(x)
    below = ops.where(x < -threshold, x + threshold, 0.0)
    return ops.where(x > threshold, x - threshold, below)


def threshold(x: Any, threshold: float, default_value: float) -> Any:
    """`x` where `x > threshold`, else `default_value`.

    Example:
        >>> threshold([1.0, 3.0], 2.0, -1.0).numpy().tolist()
        [-1.0, 3.0]
    """
    x = ops.convert_to_tensor(x)
    return ops.where(x > threshold, x, float(default_value))


def softplus(x: Any) -> Any:
    """Smooth ReLU: `log(1 + exp(x))`, computed as `max(x, 0) + log1p(exp(-|x|))`.

    Example:
        >>> float(softplus(100.0))
        100.0
    """
    x = ops.convert_to_tensor(x)
    return ops.maximum(x, 0.0) + ops.log1p(ops.exp(-ops.abs(x)))


def softsign(x: Any) -> Any:
    """`x / (1 + |x|)`.

    Example:
        >>> float(softsign(-1.0))
        -0.5
    """
    x = ops.convert_to_tensor(x)
    return x / (ops.abs(x) + 1.0)


def sparse_plus(x: Any) -> Any:
    """0 up to -1, `(x + 1)² / 4` up to 1, then `x`.

    Example:
        >>> sparse_plus([-2.0, 0.0, 2.0]).numpy().tolist()
        [0.0, 0.25, 2.0]
    """
    x = ops.convert_to_tensor(x)
    middle = ops.square(x + 1.0) * 0.25
    return ops.where(x <= -1.0, 0.0, ops.where(x >= 1.0, x, middle))


def squareplus(x: Any, b: float = 4) -> Any:
    """`(x + sqrt(x² + b)) / 2`; Barron, 2021 (arXiv:2112.11687).

    Example:
        >>> float(squareplus(0.0))
        1.0
    """
    x = ops.convert_to_tensor(x)
    return (x + ops.sqrt(ops.square(x) + float(b))) * 0.5


def mish(x: Any) -> Any:
    """`x * tanh(softplus(x))`; Misra, 2019 (arXiv:1908.08681).

    Example:
        >>> float(mish(0.0))
        0.0
    """
    x = ops.convert_to_tensor(x)
    return x * ops.tanh(softplus(x))


def gelu(x: Any, approximate: bool = False) -> Any:
    """Gaussian error linear unit: `x * Φ(x)`; Hendrycks & Gimpel (arXiv:1606.08415).

    Exact: `x / 2 * (1 + erf(x / √2))`.
    Approximate: `x / 2 * (1 + tanh(√(2/π) * (x + 0.044715 x³)))`.

    Example:
        >>> round(float(gelu(1.0)), 5)
        0.84134
    """
    x = ops.convert_to_tensor(x)
    if approximate:
        inner = (x + 0.044715 * (x * x * x)) * math.sqrt(2.0 / math.pi)
        return x * ((ops.tanh(inner) + 1.0) * 0.5)
    return composites.gelu(x)


def glu(x: Any, axis: int = -1) -> Any:
    """Gated linear unit: `a * sigmoid(b)` for the halves `a, b` of an even axis.

    Dauphin et al., 2016 (arXiv:1612.08083). The axis comes out half as long.

    Example:
        >>> glu([4.0, 0.0]).numpy().tolist()
        [2.0]
    """
    a, b = ops.split(ops.convert_to_tensor(x), 2, axis=axis)
    return a * ops.sigmoid(b)


def exponential(x: Any) -> Any:
    """`exp(x)`; float32 is infinite from `x = 88.73` on.

    Example:
        >>> float(exponential(0.0))
        1.0
    """
    return ops.exp(ops.convert_to_tensor(x))


def softmax(x: Any, axis: int = -1) -> Any:
    """`exp(x) / sum(exp(x))` along an axis, with the maximum taken off first.

    Example:
        >>> softmax([0.0, 0.0]).numpy().tolist()
        [0.5, 0.5]
    """
    return ops.softmax(ops.convert_to_tensor(x), axis=axis)


def log_softmax(x: Any, axis: int = -1) -> Any:
    """`x - logsumexp(x)` along an axis.

    Example:
        >>> round(float(log_softmax([0.0, 0.0])[0]), 5)
        -0.69315
    """
    return ops.log_softmax(ops.convert_to_tensor(x), axis=axis)


def sparsemax(x: Any, axis: int = -1) -> Any:
    """The nearest point of the probability simplex: `max(x - τ, 0)`.

    `τ` is such that the result sums to 1; Martins & Astudillo, 2016 (arXiv:1602.02068).
    Needs an axis of known length. Keras up to 3.15 takes a `τ` that is too large where
    several entries stay positive (keras#23425); this is the published definition.

    Example:
        >>> sparsemax([2.0, 0.0]).numpy().tolist()
        [1.0, 0.0]
    """
    x = ops.convert_to_tensor(x)
    rank = len(x.shape)
    axis = normal_axis("sparsemax", axis, rank)
    moved = x if axis == rank - 1 else ops.moveaxis(x, axis, -1)
    length = int(moved.shape[-1])  # type: ignore[arg-type]
    descending = ops.flip(ops.sort(moved, axis=-1), axis=-1)
    total = ops.cumsum(descending, axis=-1) - 1.0
    ranks = ops.cast(ops.arange(1, length + 1), moved.dtype)
    # The support is a prefix of the sorted row; its last partial sum gives τ.
    inside = ops.cast(descending * ranks > total, moved.dtype)
    size = ops.sum(inside, axis=-1, keepdims=True)
    tau = (ops.sum(inside * descending, axis=-1, keepdims=True) - 1.0) / size
    out = ops.relu(moved - tau)
    return out if axis == rank - 1 else ops.moveaxis(out, -1, axis)


# On symbolic tensors (functional models) each notes that it was called.
record_calls(globals(), [name for name in __all__ if name != "linear"])

swish = silu
hard_swish = hard_silu

_LOOKUP = Lookup(
    "activation",
    "keras.activations",
    [
        celu,
        elu,
        exponential,
        gelu,
        glu,
        hard_shrink,
        hard_sigmoid,
        hard_silu,
        hard_tanh,
        leaky_relu,
        linear,
        log_sigmoid,
        log_softmax,
        mish,
        relu,
        relu6,
        selu,
        sigmoid,
        silu,
        soft_shrink,
        softmax,
        softplus,
        softsign,
        sparse_plus,
        sparse_sigmoid,
        sparsemax,
        squareplus,
        tanh,
        tanh_shrink,
        threshold,
    ],
    {"swish": silu, "hard_swish": hard_silu},
)


def get(identifier: Any) -> Activation:
    """Finds an activation by name, configuration or itself; `None` is `linear`.

    Raises:
        ShapeError: RV107 for an unknown name, naming the nearest.

    Example:
        >>> get("relu") is relu
        True
    """
    if identifier is None:
        return linear
    found: Activation = _LOOKUP.get(identifier)
    return found


def serialize(activation: Any) -> Any:
    """The activation's name, or Keras's dictionary for one of the user's own.

    Example:
        >>> serialize(swish)
        'silu'
    """
    name = getattr(activation, "__name__", "")
    if _LOOKUP.members.get(name) is activation:
        return name
    return _LOOKUP.serialize(activation)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The activation that `serialize` described.

    Raises:
        ShapeError: RV107 for an unknown name, naming the nearest.

    Example:
        >>> deserialize("tanh") is tanh
        True
    """
    return _LOOKUP.deserialize(config, custom_objects)


if not TYPE_CHECKING:  # a checker knows the names anyway
    __getattr__ = missing("ranvier.activations", lambda: __all__)
