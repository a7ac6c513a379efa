"""MobileNetV2: narrow layers that residuals connect, wide ones in between.

Example:
    >>> from ranvier import applications
    >>> model = applications.MobileNetV2(
    ...     input_shape=(32, 32, 3), alpha=0.35, weights=None, classes=10)
    >>> model.name, model.output_shape
    ('mobilenetv2_0.35_32', (None, 10))
"""

from __future__ import annotations

from typing import Any

from ranvier import layers
from ranvier._check import Interval, check_parameters
from ranvier.applications._frame import (
    Asked,
    axis_of_channels,
    normalized,
    pad_for_stride,
    published_size,
    rounded,
)
from ranvier.applications._weights import url_of
from ranvier.applications.imagenet_utils import TF, decode_predictions, preprocessing
from ranvier.models import Model

__all__ = ["MobileNetV2", "decode_predictions", "preprocess_input"]

#: Filters, stride and expansion of each block.
_BLOCKS = (
    (16, 1, 1), (24, 2, 6), (24, 1, 6), (32, 2, 6), (32, 1, 6), (32, 1, 6), (64, 2, 6),
    (64, 1, 6), (64, 1, 6), (64, 1, 6), (96, 1, 6), (96, 1, 6), (96, 1, 6),
    (160, 2, 6), (160, 1, 6), (160, 1, 6), (320, 1, 6),
)  # fmt: skip
_LAST = 1280
#: Sizes of images and widths that Keras publishes weights for.
_SIZES = (96, 128, 160, 192, 224)
_PUBLISHED = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
_PARAMETERS = {"alpha": Interval(float, 0, None, "right")}


def MobileNetV2(
    input_shape: Any = None,
    alpha: float = 1.0,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
) -> Model:
    """The MobileNetV2 architecture.

    Sandler et al.: MobileNetV2: Inverted Residuals and Linear Bottlenecks (CVPR 2018),
    arXiv:1801.04381.

    Args:
        input_shape: shape of the images, ``(224, 224, 3)`` by default.
        alpha: factor of the filters of each layer, rounded to multiples of 8.
        include_top: whether it ends in a classifier.
        weights: ``None``, or the path of a file; ``"imagenet"`` is refused.
        input_tensor: a symbolic tensor to begin with.
        pooling: ``"avg"`` or ``"max"`` where there is no classifier.
        classes: number of classes.
        classifier_activation: activation of the classifier; ``None`` gives logits.
        name: the model's name, made from `alpha` and the size by default.

    Raises:
        ShapeError: RV100 for an argument that is not allowed.
        FileError: RV606 for ``"imagenet"``, RV605 when there is no such file, RV601 when
            it does not fit.

    Example:
        >>> MobileNetV2(weights=None).count_params()
        3538984
    """
    check_parameters("MobileNetV2", _PARAMETERS, {"alpha": alpha})
    of_tensor = getattr(input_tensor, "shape", ())[1:]
    size = published_size(input_shape or of_tensor, _SIZES)
    asked = Asked(
        "MobileNetV2",
        include_top=include_top,
        weights=weights,
        input_tensor=input_tensor,
        input_shape=input_shape,
        pooling=pooling,
        classes=classes,
        classifier_activation=classifier_activation,
        name=name,
        url=_url(alpha, size, include_top),
    )
    start = asked.begin(size)
    x = _conv(start, rounded(32 * alpha), "Conv1", 3, strides=2, padding="same")
    x = _norm(x, "bn_Conv1", "Conv1_relu")
    for i, (filters, stride, expansion) in enumerate(_BLOCKS):
        x = _block(x, rounded(int(filters * alpha)), stride, expansion, i)
    x = _conv(x, rounded(_LAST * alpha) if alpha > 1.0 else _LAST, "Conv_1")
    x = _norm(x, "Conv_1_bn", "out_relu")
    if include_top:
        x = asked.classified(layers.GlobalAveragePooling2D()(x))
    else:
        x = asked.pooled(x)
    return asked.model(start, x, f"mobilenetv2_{alpha:0.2f}_{asked.rows(size)}")


def _block(inputs: Any, filters: int, stride: int, expansion: int, index: int) -> Any:
    """Wider, by channel, narrower again; and the input added where it fits."""
    given = inputs.shape[axis_of_channels()]
    name = f"block_{index}_" if index else "expanded_conv_"
    x = inputs
    if index:
        x = _conv(x, expansion * given, f"{name}expand", padding="same")
        x = _norm(x, f"{name}expand_BN", f"{name}expand_relu")
    if stride == 2:
        x = layers.ZeroPadding2D(pad_for_stride(x, 3), name=f"{name}pad")(x)
    x = layers.DepthwiseConv2D(
        3,
        strides=stride,
        padding="same" if stride == 1 else "valid",
        use_bias=False,
        name=f"{name}depthwise",
    )(x)
    x = _norm(x, f"{name}depthwise_BN", f"{name}depthwise_relu")
    x = _conv(x, filters, f"{name}project", padding="same")
    x = _norm(x, f"{name}project_BN")
    if stride == 1 and given == filters:
        x = layers.Add(name=f"{name}add")([inputs, x])
    return x


def _conv(x: Any, filters: int, name: str, size: int = 1, **kwargs: Any) -> Any:
    return layers.Conv2D(filters, size, use_bias=False, name=name, **kwargs)(x)


def _norm(x: Any, name: str, relu: str = "") -> Any:
    activation = layers.ReLU(6.0, name=relu) if relu else None
    return normalized(x, name, activation, epsilon=1e-3, momentum=0.999)


def _url(alpha: float, size: int, include_top: bool) -> str:
    if alpha not in _PUBLISHED:
        return ""
    ending = "" if include_top else "_no_top"
    stem = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels"
    return url_of("mobilenet_v2", f"{stem}_{float(alpha)}_{size}{ending}.h5")


preprocess_input = preprocessing(*TF)
