"""Calls of the operations that Keras has too: what they are made of, once.

Each is taken to real Keras (oracle), and through a trace to both engines (contract).
NumPy arrays are what a model would have as tensors; everything else is a setting.
"""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

import numpy as np
import window_calls

RNG = np.random.default_rng(7)


class Call(NamedTuple):
    """One call of an operation.

    Attributes:
        name: of the function in ``ops``, such as ``"sum"`` or ``"image.resize"``.
        args: its arguments.
        kwargs: those by name.
        rtol: how far results may lie from Keras's, relative to max(1, |value|).
        smooth: whether its gradient is compared: not at kinks and ties.
    """

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    rtol: float = 2e-5
    smooth: bool = True

    def of(self, package: Any) -> Any:
        """The function in ``ranvier.ops`` or ``keras.ops``."""
        return operator.attrgetter(self.name)(package)

    def __str__(self) -> str:
        return self.name


def real(*shape: int, low: float = -3.0, high: float = 3.0) -> np.ndarray:
    """Floats without ties or zeros."""
    return RNG.uniform(low, high, shape).astype("float32")


def whole(*shape: int, low: int = -9, high: int = 9) -> np.ndarray:
    return RNG.integers(low, high, shape).astype("int32")


A, B = real(3, 4), real(3, 4)
ROW, COLUMN = real(4), real(3, 1)
CUBE = real(2, 3, 4)
POSITIVE, UNIT = real(3, 4, low=0.2, high=4.0), real(3, 4, low=-0.9, high=0.9)
INTS, COUNTS = whole(3, 4), whole(3, 4, low=1, high=6)
SMALL = INTS.astype("int8")
BYTES = whole(3, 4, low=0, high=255).astype("uint8")
TRUTH, OTHER = INTS > 0, COUNTS > 3
EMPTY = real(0, 4)
SCALAR = np.float32(1.25).reshape(())
HOLES = A.copy()
HOLES[0, 1] = HOLES[2, 3] = np.nan
NONE = HOLES.copy()
NONE[1] = np.nan
ENDS = np.array([np.nan, np.inf, -np.inf, 0.0, 1.5, -2.5], "float32")
TIES = np.array([[3, 1, 3, 2], [2, 2, 1, 1]], "float32")
SQUARE = real(2, 3, 3) + 3 * np.eye(3, dtype="float32")
SYMMETRIC = SQUARE @ SQUARE.transpose(0, 2, 1)
IMAGES = real(2, 4, 6, 8)

CALLS: list[Call] = []


def words(text: str) -> list[str]:
    return text.split()


def add(
    name: str, *args: Any, rtol: float = 2e-5, smooth: bool = True, **kw: Any
) -> None:
    CALLS.append(Call(name, args, kw, rtol, smooth))


# ------------------------------------------------------------------------ elementwise

for name in words(
    "abs absolute fabs negative sign square exp exp2 expm1 sin cos tan sinh cosh tanh "
    "arcsinh arctan cbrt deg2rad rad2deg sinc floor ceil round trunc reciprocal real "
    "imag conj conjugate angle isfinite isinf isnan isneginf isposinf isreal signbit "
    "sigmoid relu erf erfc logical_not nan_to_num copy stop_gradient"
):
    add(name, A, smooth=name not in ("angle", "imag", "stop_gradient"))
    add(name, SCALAR, smooth=False)
    add(name, EMPTY, smooth=False)
    if name not in ("erf", "sigmoid"):  # Keras on JAX takes no integers there
        add(name, INTS)
for name in words("sin exp floor sqrt log arctan sinh"):
    add(name, COUNTS)
for name in words("exp sin sqrt floor"):
    add(name, TRUTH)
    add(name, BYTES)
for name in words("log log2 log10 log1p sqrt rsqrt arccosh i0"):
    add(name, POSITIVE + (1.0 if name == "arccosh" else 0.0))
add("i0", np.array([0.0, 17.9, 18.1, 60.0, -25.0], "float32"), smooth=False)
for name in words("arcsin arccos arctanh erfinv"):
    add(name, UNIT)
add("erfinv", np.array([0.999, -0.99999, 1.0, -1.0, 0.0], "float32"), smooth=False)
add("erfc", np.array([0.4, 0.6, 3.0, 6.0, -4.0, 0.0], "float32"), rtol=1e-5)
for name in words("isfinite isinf isnan isneginf isposinf nan_to_num"):
    add(name, ENDS, smooth=False)
add("nan_to_num", ENDS, nan=1.0, posinf=5.0, neginf=-5.0, smooth=False)
add("round", A * 10, decimals=1)
add("round", INTS * 7, decimals=-1)

for name in words(
    "add subtract multiply divide true_divide divide_no_nan maximum minimum fmax fmin "
    "hypot arctan2 logaddexp logaddexp2 equal not_equal less less_equal greater "
    "greater_equal logical_and logical_or logical_xor isclose heaviside"
):
    add(name, A, B)
    add(name, A, ROW)
    add(name, COLUMN, ROW)
    add(name, A, 2.0)
    add(name, 2, A)
    add(name, SCALAR, A)
    add(name, EMPTY, ROW, smooth=False)
    add(name, INTS, COUNTS)
    add(name, INTS, A)
for name in words("add multiply maximum minimum logical_and equal"):
    add(name, TRUTH, OTHER)
    add(name, TRUTH, INTS)
    add(name, INTS, 2)
    add(name, INTS, 2.5)
for name in words("mod fmod floor_divide"):
    add(name, A, POSITIVE, smooth=name != "floor_divide")
    add(name, INTS, COUNTS)
    add(name, A, 2.0, smooth=name != "floor_divide")
for name in words("fmax fmin"):
    add(name, HOLES, B, smooth=False)
    add(name, HOLES, HOLES, smooth=False)
for name in words("logaddexp logaddexp2 hypot"):
    add(name, ENDS[1:], ENDS[1:], smooth=False)
add("divide_no_nan", A, np.array([0.0, 1.0, 0.0, 2.0], "float32"), smooth=False)
add("power", POSITIVE, B)
add("power", A, 2)
add("power", A, 3)
add("power", INTS, 2)
add("power", POSITIVE, 0.5)
add("power", 2.0, A)
add("heaviside", np.array([-1.0, 0.0, 2.0], "float32"), 0.5, smooth=False)
add("ldexp", A, COUNTS)
add("gcd", INTS, COUNTS)
add("lcm", INTS, COUNTS)
add("nextafter", A, B, smooth=False)
add("isclose", ENDS, ENDS, equal_nan=True)
add("allclose", A, A + 1e-9)
add("allclose", A, B)
add("clip", A, -1.0, 1.5)
add("clip", INTS, -3, 4)
add("clip", A, real(4, low=-2, high=0), 2.0)
for name in words("bitwise_and bitwise_or bitwise_xor"):
    add(name, INTS, COUNTS)
    add(name, INTS, 6)
for name in words("left_shift right_shift bitwise_left_shift bitwise_right_shift"):
    add(name, COUNTS, COUNTS)
    add(name, COUNTS, 2)
for name in ("bitwise_not", "bitwise_invert"):
    add(name, INTS)
    add(name, BYTES)
    add(name, TRUTH)

# ------------------------------------------------------------------------- reductions

for name in words(
    "sum prod mean var std max min amax amin all any ptp median count_nonzero "
    "nansum nanprod nanmean nanvar nanstd nanmax nanmin nanmedian logsumexp"
):
    keeps = {} if name == "count_nonzero" else {"keepdims": True}
    add(name, A)
    add(name, CUBE, axis=1)
    add(name, CUBE, axis=(0, -1), **keeps)
    add(name, CUBE, axis=-1, **keeps)
    if name != "logsumexp":
        add(name, INTS, axis=0)
for name in words("sum prod mean max min all any cumsum cumprod"):
    add(name, TRUTH, axis=0)
    add(name, BYTES[:, :2] // 40, axis=0)
    add(name, SMALL[:, :2], axis=0)
for name in words("sum prod mean all any"):
    add(name, EMPTY, axis=1, smooth=False)
add("sum", EMPTY, axis=0, smooth=False)
add("max", A, axis=0, initial=1.0)
add("min", INTS, initial=-4)
add("max", EMPTY, axis=0, initial=1.0, smooth=False)
add("prod", INTS, axis=0, dtype="float32")
add("logsumexp", ENDS[1:], smooth=False)
add("logsumexp", np.full(3, -np.inf, "float32"), smooth=False)
for name in words("argmax argmin nanargmax nanargmin"):
    for x in (A, TIES, INTS):
        add(name, x)
        add(name, x, axis=-1)
        add(name, x, axis=0, keepdims=True)
for name in words(
    "nanargmax nanargmin nanmax nanmin nanmean nanvar nanstd nansum nanprod nanmedian"
):
    add(name, HOLES, axis=0, smooth=False)
    add(name, NONE, axis=1, smooth=False)
for name in words("cumsum cumprod nancumsum nancumprod"):
    add(name, A)
    add(name, CUBE, axis=1)
    add(name, CUBE, axis=-1)
    add(name, INTS, axis=0)
    add(name, INTS, axis=0, dtype="float32")
for name in ("nancumsum", "nancumprod"):
    add(name, HOLES, axis=1, smooth=False)
add("average", A)
add("average", A, axis=0, weights=POSITIVE)
add("average", A, axis=1, weights=real(4, low=0.5, high=2))
add("average", INTS, axis=-1)
add("diff", A)
add("diff", CUBE, n=2, axis=1)
add("diff", INTS, axis=0)
add("diff", TRUTH)
add("trapezoid", A)
add("trapezoid", CUBE, x=real(3), axis=1)
add("trapezoid", A, dx=0.5, axis=0)
add("corrcoef", A, rtol=1e-4)
add("corrcoef", ROW)
for name, q in (("quantile", 0.3), ("percentile", 30.0)):
    for prefix in ("", "nan"):
        add(prefix + name, A, q)
        add(prefix + name, CUBE, q, axis=1)
        add(prefix + name, CUBE, q, axis=(0, -1), keepdims=True)
        add(prefix + name, CUBE, [q, 2 * q, 0.0], axis=-1)
        for method in ("lower", "higher", "midpoint", "nearest", "linear"):
            add(prefix + name, A, q, axis=1, method=method, smooth=method != "nearest")
    add(name, HOLES, q, axis=1, smooth=False)
    add("nan" + name, HOLES, q, axis=1, smooth=False)
    add("nan" + name, NONE, q, axis=1, smooth=False)

# -------------------------------------------------------------------- order and places

for name in ("sort", "argsort"):
    for x in (A, TIES, INTS):
        add(name, x, smooth=x is A)
        add(name, x, axis=0, smooth=x is A)
add("sort", CUBE, axis=-2)
add("top_k", A, 2)
add("top_k", TIES, 3, smooth=False)
add("top_k", INTS, 4)
add("top_k", BYTES, 2)
add("in_top_k", np.array([1, 0, 3], "int32"), A, 2)
add("searchsorted", np.sort(ROW), A)
add("searchsorted", np.sort(INTS[0]), INTS, side="right")
add("searchsorted", np.array([1.0, 2.0], "float32"), ENDS)
add("digitize", A, np.array([-1.0, 0.0, 1.0], "float32"))
add("digitize", A, np.array([1.0, 0.0, -1.0], "float32"))
add("histogram", A[0])
add("histogram", A.reshape(-1), bins=4, range=(-2.0, 2.0), smooth=False)
add("bincount", COUNTS[0])
add("bincount", COUNTS, minlength=8)
add("bincount", COUNTS[0], weights=ROW, smooth=False)
add("isin", INTS, COUNTS)
add("isin", INTS, COUNTS[0], invert=True)
add("nonzero", INTS)
add("unique", INTS)
add(
    "unique",
    TIES,
    return_index=True,
    return_inverse=True,
    return_counts=True,
    smooth=False,
)
add("unique", INTS, size=4, fill_value=7)
add("unique", TIES, axis=1, smooth=False)
add("unravel_index", np.array([0, 5, 11], "int32"), (3, 4))
add("where", TRUTH, A, B)
add("where", TRUTH, A, 0.0)
add("where", TRUTH[0], INTS, 2.5)
add("where", TRUTH, INTS, COUNTS)
add("where", INTS)
add("select", [TRUTH, OTHER], [A, B], 0.5)
add("select", [TRUTH], [INTS])
add("take", A, np.array([2, 0, -1], "int32"), axis=0)
add("take", A, np.array([[2], [0]], "int32"), axis=-1)
add("take", A, np.array([11, 0], "int32"))
add("take_along_axis", A, whole(3, 2, low=0, high=4), axis=1)
add("get_item", A, (slice(1, None), 2))
add("get_item", CUBE, (0, Ellipsis, None))

# ------------------------------------------------------------------------------ shapes

add("reshape", A, (2, -1))
add("ravel", A)
add("transpose", CUBE)
add("transpose", CUBE, (1, 2, 0))
add("swapaxes", CUBE, 0, -1)
add("moveaxis", CUBE, (0, 1), (-1, 0))
add("expand_dims", A, -1)
add("expand_dims", A, (0, 2))
add("squeeze", COLUMN)
add("squeeze", COLUMN, axis=-1)
add("broadcast_to", ROW, (3, 4))
add("flip", CUBE)
add("flip", CUBE, axis=(0, -1))
add("fliplr", CUBE)
add("flipud", CUBE)
for shift, axis in ((2, None), (-1, 1), ((1, 2), (0, 1)), (5, -1)):
    add("roll", A, shift, axis=axis)
add("roll", EMPTY, 1, axis=0, smooth=False)
for k in range(-1, 4):
    add("rot90", CUBE, k=k)
add("rot90", CUBE, axes=(1, 2))
add("repeat", A, 2)
add("repeat", A, 3, axis=-1)
add("tile", A, 2)
add("tile", A, (2, 1, 3))
add("append", A, B)
add("append", A, ROW[None], axis=0)
for name in ("concatenate", "stack"):
    add(name, [A, B])
    add(name, [A, B], axis=-1)
    add(name, [A, INTS], axis=1)
for name in ("vstack", "hstack", "dstack"):
    add(name, [A, B])
    add(name, [ROW, ROW * 2])
    add(name, [CUBE, CUBE])
add("split", A, 2, axis=1)
add("split", A, [1, 3], axis=-1)
add("array_split", A, 3, axis=1)
add("hsplit", A, 2)
add("vsplit", A, 3)
add("dsplit", CUBE, 2)
add("unstack", A)
add("unstack", CUBE, axis=-1)
add("pad", A, ((1, 2), (0, 1)))
add("pad", A, 1, constant_values=2.5)
add("pad", A, ((1, 2),))
for mode in ("edge", "reflect", "symmetric", "wrap"):
    add("pad", A, ((2, 1), (1, 3)), mode=mode)
for k in (-1, 0, 2):
    add("tril", CUBE, k=k)
    add("triu", INTS, k=k)
    add("diagonal", A, offset=k)
    add("diag", ROW, k=k)
    add("diag", A, k=k)
    add("diagflat", A[:2, :2], k=k)
    add("trace", CUBE, offset=k, axis1=-1, axis2=1)
add("trace", INTS)
add("view", A, "int32", smooth=False)
add("rearrange", CUBE, "a b c -> c (a b)")
add("rearrange", CUBE, "a b (c d) -> d a b c", d=2)
add("ndim", A)
add("size", A)
add("shape", A)
add("dtype", A)
add("is_tensor", 1.0)

# ------------------------------------------------------------------------------ making

add("arange", 5)
add("arange", 1, 10, 3)
add("arange", 0.0, 1.0, 0.25)
add("arange", 5, dtype="float32")
add("linspace", 0, 1, 7)
add("linspace", 0.0, 10.0, 5, endpoint=False)
add("linspace", A, B, 3)
add("linspace", ROW, 2.0, 4, axis=-1)
add("linspace", 0, 10, 5, dtype="int32")
add("linspace", 0, 1, 5, retstep=True)
add("logspace", 0, 2, 5)
add("logspace", 0.0, 3.0, 4, base=2)
add("geomspace", 1.0, 100.0, 5)
add("geomspace", -1.0, -8.0, 4)
for name in ("zeros", "ones"):
    add(name, (2, 3))
    add(name, (2,), dtype="int32")
    add(name + "_like", INTS)
    add(name + "_like", A, dtype="bool")
add("full", (2, 3), 4)
add("full", (2, 3), 4, dtype="int32")
add("full_like", INTS, 3)
add("full_like", A, 3, dtype="int32")
add("eye", 3)
add("eye", 3, 4, k=1)
add("identity", 3, dtype="int32")
add("tri", 3, 4, k=-1)
add("meshgrid", ROW, real(3))
add("meshgrid", ROW, real(3), indexing="ij")
add("meshgrid", ROW, real(3), real(2))
add("vander", ROW, rtol=1e-4)
add("vander", INTS[0], 3, increasing=True)
for name in ("bartlett", "blackman", "hamming", "hanning"):
    add(name, 6)
    add(name, 1)
add("kaiser", 6, 4.0)
add("array", [1, 2])
add("convert_to_tensor", [1.5, 2.5])
add("convert_to_tensor", [1, 2], dtype="float32")
add("convert_to_tensor", True)
add("cast", A, "int32", smooth=False)
add("cast", INTS, "bool")
add("saturate_cast", A * 200, "uint8", smooth=False)
add("saturate_cast", INTS, "uint8")
add("saturate_cast", A * 1e30, "int32", smooth=False)

# ---------------------------------------------------------------------------- products

add("matmul", A, real(4, 2))
add("matmul", CUBE, real(2, 4, 5))
add("matmul", ROW, real(4))
add("matmul", CUBE, ROW)
add("matmul", INTS, COUNTS.T)
add("dot", CUBE, real(4, 2))
add("dot", A, 2.0)
add("vdot", A, B)
add("inner", A, CUBE)
add("outer", A, ROW)
add("outer", INTS[0], COUNTS[0])
add("kron", A, real(2, 1))
add("kron", ROW, real(3))
add("kron", INTS, COUNTS[0])
add("cross", real(4, 3), real(4, 3))
add("cross", real(4, 2), real(4, 2))
add("cross", real(4, 2), real(4, 3))
add("cross", real(3, 4), real(3, 4), axis=0)
add("cross", real(4, 3), real(4, 2))
for mode in ("valid", "same", "full"):
    add("correlate", real(6), real(3), mode=mode)
    add("correlate", real(3), real(6), mode=mode)
    add("correlate", real(4), real(4), mode=mode)
add("tensordot", CUBE, real(3, 4, 2))
add("tensordot", CUBE, real(4, 3), axes=((-1, 1), (0, 1)))
add("tensordot", A, ROW, axes=0)
add("einsum", "ij,kj->ik", A, B)
add("einsum", "bij,bjk->bik", CUBE, real(2, 4, 3))
add("einsum", "...ij,jk->...ik", CUBE, real(4, 2))
add("einsum", "ii->i", SQUARE[0])
add("einsum", "ii", SQUARE[0])
add("einsum", "bij->b", CUBE)
add("einsum", "ij,ij,j->i", A, B, ROW)
add("einsum", "i...,i...", A, B)

# -------------------------------------------------------------------------------- math

IDS = np.array([0, 2, 2, 1, 5], "int32")
for name in ("segment_sum", "segment_max", "segment_min", "segment_prod"):
    add(name, real(5), IDS, 4, smooth=False)
    add(name, real(5, 2), np.array([0, 1, 1, 2, 0], "int32"), num_segments=3)
    add(name, INTS[0], IDS[:4], 3)
add("cdist", CUBE, real(2, 5, 4))
add("extract_sequences", CUBE, 3, 1)
add("extract_sequences", real(7), 3, 2)

# ---------------------------------------------------------------------- linear algebra

add("norm", A)
for order in (None, 1, 2, np.inf, -np.inf, 0, 3):
    add("norm", A, ord=order, axis=-1, keepdims=order == 1)
for order in (None, "fro", 1, -1, np.inf, -np.inf):
    add("norm", CUBE, ord=order, axis=(0, 2))
    add("norm", CUBE, ord=order, axis=(2, 1), keepdims=True)
add("norm", A, ord=2, smooth=False)
add("norm", A, ord="nuc", smooth=False)
add("norm", INTS, axis=0)
add("cholesky", SYMMETRIC, rtol=1e-4, smooth=False)
add("cholesky", SYMMETRIC, upper=True, rtol=1e-4, smooth=False)
add("cholesky_inverse", np.linalg.cholesky(SYMMETRIC[0]), rtol=1e-4)
add("det", SQUARE, rtol=1e-4)
add("inv", SQUARE, rtol=1e-4)
add("inv", SQUARE[0], rtol=1e-4)
add("slogdet", SQUARE, rtol=1e-4)
add("logdet", SYMMETRIC, rtol=1e-4)
add("solve", SQUARE, real(2, 3, 2), rtol=1e-4)
add("solve", SQUARE[0], real(3), rtol=1e-4)
add("solve_triangular", SQUARE, real(2, 3, 2), lower=True, rtol=1e-4)
add("solve_triangular", SQUARE[0], real(3, 2), rtol=1e-4)
add("lu_factor", SQUARE, rtol=1e-4)
add("qr", SQUARE, rtol=1e-4)
add("qr", real(5, 3), rtol=1e-4)
add("qr", real(5, 3), mode="complete", rtol=1e-4, smooth=False)
add("qr", real(3, 5), rtol=1e-4, smooth=False)
add("svd", SQUARE, compute_uv=False, rtol=1e-4, smooth=False)
add("pinv", real(4, 3), rtol=1e-4, smooth=False)
add("lstsq", real(5, 3), real(5), rtol=1e-4, smooth=False)
add("matrix_rank", SQUARE)

# ---------------------------------------------------------------------------- networks

for axis in (-1, 0, (0, 1), None):
    add("softmax", A, axis=axis)
add("log_softmax", CUBE, axis=1)
add("one_hot", COUNTS, 6)
add("one_hot", COUNTS, 6, axis=0, dtype="int32")
add("one_hot", np.array([-1, 0, 7], "int32"), 3)
add("multi_hot", COUNTS, 7)
add("multi_hot", COUNTS[0], 7)
for order in (1, 2, 3):
    add("normalize", A, axis=0, order=order)
add("normalize", np.zeros((2, 3), "float32"), smooth=False)
add("moments", CUBE, (0, 2))
add("moments", A, [1], keepdims=True)
add("batch_normalization", CUBE, ROW, real(4, low=0.5, high=2), -1)
add("batch_normalization", CUBE, real(3), real(3, low=0.5, high=2), 1, real(3), real(3))
add("layer_normalization", CUBE)
add("layer_normalization", CUBE, real(4), real(4), epsilon=1e-3)
add("layer_normalization", CUBE, real(3, 4), real(3, 4), axis=(1, 2))
add("rms_normalization", CUBE)
add("rms_normalization", CUBE, scale=real(4), axis=-1, epsilon=1e-3)
add("psnr", A, B, 2.0)
HEADS = real(2, 5, 4, 3)
add("dot_product_attention", HEADS, real(2, 6, 4, 3), real(2, 6, 4, 3))
add("dot_product_attention", HEADS, HEADS, HEADS, is_causal=True)
add(
    "dot_product_attention", HEADS, real(2, 6, 2, 3), real(2, 6, 2, 3),
    bias=real(2, 4, 5, 6), mask=RNG.random((2, 1, 5, 6)) < 0.7, scale=0.3,
)  # fmt: skip
for layout in ("channels_last", "channels_first"):
    add("depth_to_space", IMAGES, 2, data_format=layout)
    add("space_to_depth", IMAGES, 2, data_format=layout)
add("unfold", IMAGES, (2, 3), dilation=1, padding=1, stride=2)
add("unfold", IMAGES, 2, dilation=(1, 2))
add("fold", real(2, 12, 4), (4, 4), 2, stride=2)
add("fold", real(2, 8, 25), (4, 4), 2, padding=1)
LABELS = np.array([1, 0, 3], "int32")
CHANCES = real(3, 4, low=0.1, high=1)
for logits in (False, True):
    given = A if logits else CHANCES
    add("sparse_categorical_crossentropy", LABELS, given, from_logits=logits)
    add("categorical_crossentropy", CHANCES, given, from_logits=logits)
    add("binary_crossentropy", CHANCES * 0.9, given * 0.9, from_logits=logits)

# -------------------------------------------------------------------------------- core

add("slice", CUBE, (0, 1, 1), (2, 2, 3))
add("slice", CUBE, (1, 1, 2), (1, 2, -1))
add("slice", A, np.array([1, 3], "int32"), (2, 2))
add("slice_update", A, (1, 1), real(2, 2))
add("slice_update", A, np.array([2, 3], "int32"), real(2, 2))
add("scatter", np.array([[0], [2], [2]], "int32"), real(3), (4,))
add("scatter", np.array([[0, 1], [2, 0]], "int32"), real(2, 3), (3, 2, 3))
for reduction in (None, "add", "max", "min", "mul"):
    add(
        "scatter_update", A, np.array([[0, 1], [2, 3]], "int32"), real(2),
        reduction=reduction,
    )  # fmt: skip
    add(
        "scatter_update", A, np.array([[2], [0]], "int32"), real(2, 4),
        reduction=reduction,
    )  # fmt: skip
add("scatter_update", INTS, np.array([[2]], "int32"), COUNTS[:1], reduction="add")

# ---------------------------------------------------------------- convolution, pooling

for name, args, kwargs in window_calls.CALLS:
    add(name, *args, **kwargs)

# --------------------------------------------------------------------------- images

PHOTO, PHOTOS = real(7, 5, 3, low=0.05, high=0.95), real(2, 6, 5, 3, low=0.0, high=1.0)
PIXELS = whole(2, 6, 5, 3, low=0, high=255).astype("uint8")
FIRST = np.ascontiguousarray(PHOTOS.transpose(0, 3, 1, 2))

for _how in words("bilinear nearest bicubic lanczos3 lanczos5"):
    add("image.resize", PHOTOS, (9, 4), interpolation=_how, data_format="channels_last")
add("image.resize", PHOTO, (3, 3), antialias=True)
add("image.resize", FIRST, (4, 7), data_format="channels_first")
add("image.resize", PHOTOS, (4, 8), crop_to_aspect_ratio=True)
add("image.resize", PHOTOS, (4, 8), pad_to_aspect_ratio=True, fill_value=0.5)
add("image.resize", PIXELS, (4, 9))
for _mode in words("constant nearest wrap mirror reflect"):
    add(
        "image.affine_transform",
        PHOTOS,
        np.array(
            [[1.1, 0.2, -1.3, -0.1, 0.9, 0.7, 0, 0], [0.3, 1, 4, 1, -2, 3, 0, 0]], "f4"
        ),
        fill_mode=_mode,
        fill_value=0.3,
        smooth=False,
    )
    add(
        "image.map_coordinates",
        CUBE,
        real(3, 4, 5, low=-6.0, high=8.0),
        order=1,
        fill_mode=_mode,
        fill_value=-1.0,
        smooth=False,
    )
add("image.map_coordinates", A, np.array([[0.2, 1.7], [2.4, 0.6]], "f4"), order=1)
add(
    "image.map_coordinates", INTS, real(2, 6, low=-1.0, high=4.0), order=0, smooth=False
)
add(
    "image.map_coordinates", INTS, real(2, 6, low=-1.0, high=4.0), order=1, smooth=False
)
add(
    "image.affine_transform",
    PHOTO,
    np.array([0.8, 0.1, 0.4, 0.2, 1.2, -0.6, 0, 0], "f4"),
    interpolation="nearest",
    smooth=False,
)
CORNERS = np.array([[0, 0], [4, 0], [0, 5], [4, 5]], "float32")
add(
    "image.perspective_transform",
    PHOTOS,
    np.stack([CORNERS, CORNERS]),
    np.stack([CORNERS, CORNERS]) + real(2, 4, 2, low=-0.8, high=0.8),
    rtol=2e-4,
    smooth=False,
)
add("image.extract_patches", PHOTOS, (3, 2))
add("image.extract_patches", PHOTO, 2, strides=1, dilation_rate=2)
add("image.extract_patches", PHOTOS, 3, strides=(2, 2), padding="same")
add("image.extract_patches", FIRST, 2, data_format="channels_first")
add("image.extract_patches", real(2, 4, 4, 4, 2), (2, 2, 2))
add("image.extract_patches_3d", real(4, 4, 4, 2), 2, strides=1)
add("image.pad_images", PHOTOS, 1, 2, target_height=9, target_width=8)
add(
    "image.pad_images",
    PHOTO,
    bottom_padding=1,
    top_padding=0,
    left_padding=1,
    right_padding=2,
)
add("image.crop_images", PHOTOS, 1, 0, target_height=3, target_width=4)
add("image.crop_images", FIRST, top_cropping=1, bottom_cropping=2, left_cropping=0,
    right_cropping=1, data_format="channels_first")  # fmt: skip
for _name in words("rgb_to_grayscale rgb_to_hsv hsv_to_rgb"):
    add(f"image.{_name}", PHOTOS, smooth=_name != "rgb_to_hsv")
    add(f"image.{_name}", FIRST, data_format="channels_first", smooth=False)
add("image.rgb_to_grayscale", PIXELS)
add("image.rgb_to_hsv", np.array([[[0, 0, 0], [0.5, 0.5, 0.5], [1, 0, 0.5], [0, 1, 1]]], "f4"),
    smooth=False)  # fmt: skip
add("image.gaussian_blur", PHOTOS, (3, 5), (0.8, 1.5), data_format="channels_last")
add("image.gaussian_blur", PHOTO, (4, 3), data_format="channels_last")
add("image.sobel_edges", PHOTOS, data_format="channels_last")
add("image.sobel_edges", FIRST, data_format="channels_first")

for _how in words("linear bicubic lanczos3 lanczos5"):
    add("image.scale_and_translate", PHOTOS, (2, 9, 4, 3), np.array([1.73, 0.63], "f4"),
        np.array([-1.23, 0.33], "f4"), (1, 2), _how)  # fmt: skip
add("image.scale_and_translate", A, (3, 2), np.array([0.45], "f4"), np.array([0.1], "f4"),
    (-1,), "cubic", antialias=False)  # fmt: skip
add("image.ssim", PHOTOS, PHOTOS[::-1].copy(), filter_size=4, rtol=1e-4)
add("image.ssim", PHOTO, PHOTO[::-1].copy(), 2.0, 3, 0.9, 0.02, 0.05, rtol=1e-4)
add("image.ssim", FIRST, FIRST[::-1].copy(), filter_size=4, data_format="channels_first",
    rtol=1e-4)  # fmt: skip

# --------------------------------------------------------------- labels without times

SPOKEN = real(3, 7, 5)
LABELS = np.array([[1, 1, 2], [3, 4, 4], [2, 0, 0]], "int32")
TIMES = np.array([7, 6, 3], "int32")
add("ctc_loss", LABELS, SPOKEN, np.array([3, 2, 1], "int32"), TIMES, rtol=5e-5)
add(
    "ctc_loss",
    LABELS - 1,
    SPOKEN,
    np.array([3, 3, 0], "int32"),
    TIMES,
    mask_index=4,
    rtol=5e-5,
)
add("ctc_decode", SPOKEN, TIMES)
add("ctc_decode", SPOKEN, TIMES, merge_repeated=False, mask_index=None, smooth=False)
