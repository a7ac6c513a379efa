"""MobileNetV3: inverted residuals as a search found them, some weighed by channel.

Example:
    >>> from ranvier import applications
    >>> model = applications.MobileNetV3Small(weights=None, classes=10)
    >>> model.input_shape, model.output_shape
    ((None, None, None, 3), (None, 10))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ranvier import layers
from ranvier._check import InstanceOf, Interval, check_parameters
from ranvier.applications._frame import (
    POOLS,
    Asked,
    axis_of_channels,
    normalized,
    pad_for_stride,
    rounded,
)
from ranvier.applications._weights import url_of
from ranvier.applications.imagenet_utils import (
    INSIDE,
    decode_predictions,
    preprocessing,
)
from ranvier.models import Model

# Keras has the two models beside this module, and here only the functions.
__all__ = [
    "MobileNetV3Large",
    "MobileNetV3Small",
    "decode_predictions",
    "preprocess_input",
]


class _Block(NamedTuple):
    """Expansion, filters, kernel, stride; whether channels are weighed; whether the
    activation is the better one. Kernels of 5, weights and that activation are left out
    of minimalistic models."""

    expansion: float
    filters: int
    kernel: int
    stride: int
    weighed: bool
    hard: bool


_SMALL = (
    _Block(1, 16, 3, 2, True, False),
    _Block(72 / 16, 24, 3, 2, False, False),
    _Block(88 / 24, 24, 3, 1, False, False),
    _Block(4, 40, 5, 2, True, True),
    _Block(6, 40, 5, 1, True, True),
    _Block(6, 40, 5, 1, True, True),
    _Block(3, 48, 5, 1, True, True),
    _Block(3, 48, 5, 1, True, True),
    _Block(6, 96, 5, 2, True, True),
    _Block(6, 96, 5, 1, True, True),
    _Block(6, 96, 5, 1, True, True),
)
_LARGE = (
    _Block(1, 16, 3, 1, False, False),
    _Block(4, 24, 3, 2, False, False),
    _Block(3, 24, 3, 1, False, False),
    _Block(3, 40, 5, 2, True, False),
    _Block(3, 40, 5, 1, True, False),
    _Block(3, 40, 5, 1, True, False),
    _Block(6, 80, 3, 2, False, True),
    _Block(2.5, 80, 3, 1, False, True),
    _Block(2.3, 80, 3, 1, False, True),
    _Block(2.3, 80, 3, 1, False, True),
    _Block(6, 112, 3, 1, True, True),
    _Block(6, 112, 3, 1, True, True),
    _Block(6, 160, 5, 2, True, True),
    _Block(6, 160, 5, 1, True, True),
    _Block(6, 160, 5, 1, True, True),
)
_SQUEEZE = 0.25
_PARAMETERS = {
    "alpha": Interval(float, 0, None, "right"),
    "minimalistic": InstanceOf(bool),
    "dropout_rate": Interval(float, 0, 1, "left"),
    "include_preprocessing": InstanceOf(bool),
}

_Activation = Callable[[Any], Any]


class _Kind(NamedTuple):
    """What makes a model: blocks, units before the classifier, and the arguments that
    no other family has."""

    blocks: Sequence[_Block]
    units: int
    alpha: float
    minimalistic: bool
    dropout_rate: float
    include_preprocessing: bool


def _mobilenet_v3(asked: Asked, kind: _Kind) -> Model:
    start = x = asked.begin(None)
    hard = _relu if kind.minimalistic else _hard_swish
    if kind.include_preprocessing:
        x = layers.Rescaling(1.0 / 127.5, offset=-1.0)(x)
    x = _conv(x, 16, "conv", 3, strides=2)
    x = hard(_norm(x, "conv_bn"))
    for i, block in enumerate(kind.blocks):
        if kind.minimalistic:
            block = block._replace(kernel=3, weighed=False)
        filters = rounded(block.filters * kind.alpha)
        x = _block(x, block, filters, hard if block.hard else _relu, i)
    x = _conv(x, rounded(x.shape[axis_of_channels()] * 6), "conv_1")
    x = hard(_norm(x, "conv_1_bn"))
    if not asked.include_top:
        return asked.model(start, asked.pooled(x, POOLS))
    units = rounded(kind.units * kind.alpha) if kind.alpha > 1.0 else kind.units
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = hard(_conv(x, units, "conv_2", use_bias=True))
    if kind.dropout_rate > 0:
        x = layers.Dropout(kind.dropout_rate)(x)
    x = layers.Flatten()(_conv(x, asked.classes, "logits", use_bias=True))
    x = layers.Activation(asked.classifier_activation, name="predictions")(x)
    return asked.model(start, x)


def _block(
    inputs: Any, block: _Block, filters: int, activation: _Activation, index: int
) -> Any:
    """Wider, by channel, weighed, narrower again; and the input added where it fits."""
    given = inputs.shape[axis_of_channels()]
    wide = rounded(given * block.expansion)
    name = f"expanded_conv_{index}_" if index else "expanded_conv_"
    x = inputs
    if index:
        x = activation(_norm(_conv(x, wide, f"{name}expand"), f"{name}expand_bn"))
    padding = "same"
    if block.stride == 2:
        around = pad_for_stride(x, block.kernel)
        x = layers.ZeroPadding2D(around, name=f"{name}depthwise_pad")(x)
        padding = "valid"
    x = layers.DepthwiseConv2D(
        block.kernel,
        strides=block.stride,
        padding=padding,
        use_bias=False,
        name=f"{name}depthwise",
    )(x)
    x = activation(_norm(x, f"{name}depthwise_bn"))
    if block.weighed:
        x = _weighed(x, wide, f"{name}squeeze_excite")
    x = _norm(_conv(x, filters, f"{name}project"), f"{name}project_bn")
    if block.stride == 1 and given == filters:
        x = layers.Add(name=f"{name}add")([inputs, x])
    return x


def _weighed(x: Any, wide: int, name: str) -> Any:
    """The channels, each times a number that follows from all of them."""
    weight = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_avg_pool")(x)
    weight = _conv(weight, rounded(wide * _SQUEEZE), f"{name}_conv", use_bias=True)
    weight = layers.ReLU(name=f"{name}_relu")(weight)
    weight = _conv(weight, wide, f"{name}_conv_1", use_bias=True)
    weight = layers.ReLU(6.0)(weight + 3.0) * (1.0 / 6.0)
    return layers.Multiply(name=f"{name}_mul")([x, weight])


def _relu(x: Any) -> Any:
    return layers.ReLU()(x)


def _hard_swish(x: Any) -> Any:
    return layers.Activation("hard_swish")(x)


def _conv(x: Any, filters: int, name: str, size: int = 1, **kwargs: Any) -> Any:
    given = {"padding": "same", "use_bias": False, **kwargs}
    return layers.Conv2D(filters, size, name=name, **given)(x)


def _norm(x: Any, name: str) -> Any:
    return normalized(x, name, epsilon=1e-3, momentum=0.999)


_DOC = """The {what} architecture.

Howard et al.: Searching for MobileNetV3 (ICCV 2019), arXiv:1905.02244. Takes pixels
0 .. 255: the model scales them itself.

Args:
    input_shape: shape of the images; of any size by default.
    alpha: factor of the filters of each layer, rounded to multiples of 8.
    minimalistic: leave out what is slow on other hardware than phones: kernels of 5,
        the weighing of channels, and the hard-swish activation.
    include_top: whether it ends in a classifier.
    weights: ``None``, or the path of a file; ``"imagenet"`` is refused.
    input_tensor: a symbolic tensor to begin with.
    classes: number of classes.
    pooling: ``"avg"`` or ``"max"`` where there is no classifier.
    dropout_rate: share dropped in front of the classifier.
    classifier_activation: activation of the classifier; ``None`` gives logits.
    include_preprocessing: whether the model scales pixels; without, it takes -1 .. 1.
    name: the model's name.

Raises:
    ShapeError: RV100 for an argument that is not allowed.
    FileError: RV606 for ``"imagenet"``, RV605 when there is no such file, RV601 when it
        does not fit.

Example:
    >>> {what}(weights=None).count_params()
    {count}
"""


def _member(
    what: str, size: str, blocks: Sequence[_Block], units: int, count: int
) -> Any:
    def make(
        input_shape: Any = None,
        alpha: float = 1.0,
        minimalistic: bool = False,
        include_top: bool = True,
        weights: Any = "imagenet",
        input_tensor: Any = None,
        classes: int = 1000,
        pooling: str | None = None,
        dropout_rate: float = 0.2,
        classifier_activation: Any = "softmax",
        include_preprocessing: bool = True,
        name: str = what,
    ) -> Model:
        own = {
            "alpha": alpha,
            "minimalistic": minimalistic,
            "dropout_rate": dropout_rate,
            "include_preprocessing": include_preprocessing,
        }
        check_parameters(what, _PARAMETERS, own)
        asked = Asked(
            what,
            include_top=include_top,
            weights=weights,
            input_tensor=input_tensor,
            input_shape=input_shape,
            pooling=pooling,
            classes=classes,
            classifier_activation=classifier_activation,
            name=name,
            url=_url(size, alpha, minimalistic, include_top),
        )
        return _mobilenet_v3(asked, _Kind(blocks, units, **own))

    make.__name__ = make.__qualname__ = what
    make.__doc__ = _DOC.format(what=what, count=count)
    return make


def _url(size: str, alpha: float, minimalistic: bool, include_top: bool) -> str:
    if alpha not in ((1.0,) if minimalistic else (0.75, 1.0)):
        return ""
    kind = f"{size}_minimalistic" if minimalistic else size
    ending = "" if include_top else "_no_top_v2"
    file = f"weights_mobilenet_v3_{kind}_224_{float(alpha)}_float{ending}.h5"
    return url_of("mobilenet_v3", file)


MobileNetV3Large = _member("MobileNetV3Large", "large", _LARGE, 1280, 5507432)
MobileNetV3Small = _member("MobileNetV3Small", "small", _SMALL, 1024, 2554968)
preprocess_input = preprocessing(*INSIDE)
