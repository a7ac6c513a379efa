"""Keras's ``ops``: NumPy-like functions on symbols and on arrays.

On symbols (inside a model, loss, metric or `ops.scan`) they record nodes of the graph;
on arrays they compute at once and return a `Tensor` that NumPy understands. Which of
them run natively, on arrays only, or are left out stands in
``docs/reference/functions.md``.

Each family is a file, loaded when one of its functions is first used.

Example:
    >>> from ranvier import ops
    >>> ops.softmax([1.0, 1.0]).numpy()
    array([0.5, 0.5], dtype=float32)
"""

# ruff: noqa: F403
from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ranvier.ops.control import *
    from ranvier.ops.core import *
    from ranvier.ops.linalg import *
    from ranvier.ops.linalg_values import *
    from ranvier.ops.math import *
    from ranvier.ops.nn import *
    from ranvier.ops.nn_alignment import *
    from ranvier.ops.nn_losses import *
    from ranvier.ops.nn_patches import *
    from ranvier.ops.nn_windows import *
    from ranvier.ops.numpy_arithmetic import *
    from ranvier.ops.numpy_joining import *
    from ranvier.ops.numpy_logic import *
    from ranvier.ops.numpy_making import *
    from ranvier.ops.numpy_nan import *
    from ranvier.ops.numpy_products import *
    from ranvier.ops.numpy_quantiles import *
    from ranvier.ops.numpy_reductions import *
    from ranvier.ops.numpy_shapes import *
    from ranvier.ops.numpy_sorting import *
    from ranvier.ops.numpy_special import *

EPSILON = 1e-7

#: The file of each function; a test holds it to the files' own lists.
FAMILIES = {
    "core": """
    adam_update cast check_range convert_to_numpy convert_to_tensor dtype is_tensor
    random_bits random_uniform saturate_cast scatter scatter_add scatter_update
    shape slice slice_update stop_gradient
    """,
    "control": """
    associative_scan cond custom_gradient fori_loop jvp map scan switch vectorize
    vectorized_map while_loop
    """,
    "numpy_arithmetic": """
    abs absolute add arccos arccosh arcsin arcsinh arctan arctan2 arctanh cbrt ceil
    clip cos cosh deg2rad divide divide_no_nan exp exp2 expm1 fabs floor
    floor_divide fmax fmin fmod heaviside hypot ldexp log log10 log1p log2 logaddexp
    logaddexp2 maximum minimum mod multiply negative power rad2deg reciprocal rint
    round sign sin sinh sqrt square subtract tan tanh true_divide trunc
    """,
    "numpy_special": """
    angle conj conjugate gcd i0 imag lcm nan_to_num real sinc
    """,
    "numpy_logic": """
    allclose bitwise_and bitwise_invert bitwise_left_shift bitwise_not bitwise_or
    bitwise_right_shift bitwise_xor equal greater greater_equal isclose isfinite
    isinf isnan isneginf isposinf isreal left_shift less less_equal logical_and
    logical_not logical_or logical_xor nextafter not_equal right_shift signbit
    """,
    "numpy_making": """
    arange array bartlett blackman copy empty empty_like eye full full_like
    geomspace hamming hanning identity iota kaiser linspace logspace meshgrid ones
    ones_like tri tril triu vander zeros zeros_like
    """,
    "numpy_shapes": """
    broadcast_to diag diagflat diagonal expand_dims flip fliplr flipud moveaxis ndim
    ravel rearrange reshape roll rot90 size squeeze swapaxes trace transpose view
    """,
    "numpy_joining": """
    append array_split concatenate dsplit dstack hsplit hstack pad repeat split
    stack tile unstack vsplit vstack
    """,
    "numpy_reductions": """
    all amax amin any argmax argmin average corrcoef count_nonzero cumprod cumsum
    diff max mean min prod ptp std sum trapezoid var
    """,
    "numpy_quantiles": """
    median percentile quantile
    """,
    "numpy_nan": """
    nanargmax nanargmin nancumprod nancumsum nanmax nanmean nanmedian nanmin
    nanpercentile nanprod nanquantile nanstd nansum nanvar
    """,
    "numpy_sorting": """
    argpartition argsort bincount digitize get_item histogram isin nonzero
    searchsorted select sort take take_along_axis unique unravel_index where
    """,
    "numpy_products": """
    correlate cross dot dot_general einsum inner kron matmul outer tensordot vdot
    """,
    "math": """
    cdist erf erfc erfinv extract_sequences in_top_k lgamma logsumexp rsqrt
    segment_max segment_min segment_prod segment_sum top_k
    """,
    "linalg": """
    cholesky cholesky_inverse det inv logdet lu_factor qr slogdet solve
    solve_triangular
    """,
    "linalg_values": """
    eigh lstsq matrix_rank norm pinv svd
    """,
    "nn": """
    batch_normalization dot_product_attention layer_normalization log_softmax
    moments multi_hot normalize one_hot psnr relu rms_normalization sigmoid softmax
    """,
    "nn_alignment": """
    ctc_decode ctc_loss
    """,
    "nn_patches": """
    depth_to_space fold space_to_depth unfold
    """,
    "nn_windows": """
    adaptive_average_pool adaptive_max_pool average_pool conv conv_transpose
    depthwise_conv max_pool separable_conv
    """,
    "nn_losses": """
    binary_crossentropy categorical_crossentropy sparse_categorical_crossentropy
    """,
}
_HOME = {name: family for family, text in FAMILIES.items() for name in text.split()}

#: Activations that Keras also has among its operations.
_ACTIVATIONS = """
    celu elu gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu
    log_sigmoid relu6 selu silu soft_shrink softplus softsign sparse_plus sparse_sigmoid
    sparsemax squareplus swish tanh_shrink threshold
    """
ACTIVATIONS = frozenset(_ACTIVATIONS.split())
#: Keras's namespaces of operations, and two of its files.
_NAMESPACES = ("core", "image", "linalg", "math", "nn", "numpy")

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """A function of a family, an activation, a namespace; else why it is not there."""
    if name in _HOME:
        family = importlib.import_module(f"ranvier.ops.{_HOME[name]}")
        value = globals()[name] = getattr(family, name)
        return value
    if name in _NAMESPACES:
        return importlib.import_module(f"ranvier.ops.{name}")
    if name.startswith("_"):
        raise AttributeError(f"module 'ranvier.ops' has no attribute {name!r}")
    if name in ACTIVATIONS:
        from ranvier import activations

        # gelu is approximate here, exact among the activations, as in Keras.
        if name == "gelu":
            return functools.partial(activations.gelu, approximate=True)
        return getattr(activations, name)
    from ranvier._missing import MissingPart, missing
    from ranvier.ops._catalogue import LEFT_OUT

    if name in LEFT_OUT:
        raise MissingPart("RV806", f"ops.{name} is left out", details=LEFT_OUT[name])
    return missing("ranvier.ops", lambda: [*__all__, *ACTIVATIONS])(name)


def __dir__() -> Any:
    return [*globals(), *__all__, *ACTIVATIONS]
