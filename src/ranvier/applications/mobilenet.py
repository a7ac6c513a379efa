"""MobileNet: convolutions of one channel each, and 1x1 ones that mix them.

Example:
    >>> from ranvier import applications
    >>> model = applications.MobileNet(
    ...     input_shape=(32, 32, 3), alpha=0.25, weights=None, classes=10)
    >>> model.name, model.output_shape
    ('mobilenet_0.25_32', (None, 10))
"""

from __future__ import annotations

from typing import Any

from ranvier import layers
from ranvier._check import Interval, check_parameters
from ranvier.applications._frame import Asked, normalized, published_size
from ranvier.applications._weights import url_of
from ranvier.applications.imagenet_utils import TF, decode_predictions, preprocessing
from ranvier.models import Model

__all__ = ["MobileNet", "decode_predictions", "preprocess_input"]

#: Filters and stride of each block.
_BLOCKS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 1),
    (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip
#: Sizes of images and widths that Keras publishes weights for.
_SIZES = (128, 160, 192, 224)
_PUBLISHED = {0.25: "2_5", 0.5: "5_0", 0.75: "7_5", 1.0: "1_0"}
_PARAMETERS = {
    "alpha": Interval(float, 0, None, "right"),
    "depth_multiplier": Interval(int, 1),
    "dropout": Interval(float, 0, 1, "left"),
}


def MobileNet(
    input_shape: Any = None,
    alpha: float = 1.0,
    depth_multiplier: int = 1,
    dropout: float = 1e-3,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
) -> Model:
    """The MobileNet architecture.

    Howard et al.: MobileNets: Efficient Convolutional Neural Networks for Mobile Vision
    Applications, arXiv:1704.04861.

    Args:
        input_shape: shape of the images, ``(224, 224, 3)`` by default.
        alpha: factor of the filters of each layer.
        depth_multiplier: filters of each channel in the depthwise convolutions.
        dropout: share dropped in front of the classifier.
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
        >>> MobileNet(weights=None).count_params()
        4253864
    """
    given = {"alpha": alpha, "depth_multiplier": depth_multiplier, "dropout": dropout}
    check_parameters("MobileNet", _PARAMETERS, given)
    size = published_size(input_shape, _SIZES)
    asked = Asked(
        "MobileNet",
        include_top=include_top,
        weights=weights,
        input_tensor=input_tensor,
        input_shape=input_shape,
        pooling=pooling,
        classes=classes,
        classifier_activation=classifier_activation,
        name=name,
        url=_url(alpha, size, include_top) if depth_multiplier == 1 else "",
    )
    start = asked.begin(224)
    x = _conv(start, int(32 * alpha), 3, "conv1", strides=2)
    for i, (filters, stride) in enumerate(_BLOCKS, 1):
        if stride == 2:
            x = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"conv_pad_{i}")(x)
        x = layers.DepthwiseConv2D(
            3,
            strides=stride,
            padding="same" if stride == 1 else "valid",
            depth_multiplier=depth_multiplier,
            use_bias=False,
            name=f"conv_dw_{i}",
        )(x)
        x = _norm(x, f"conv_dw_{i}")
        x = _conv(x, int(filters * alpha), 1, f"conv_pw_{i}")
    x = _top(asked, x, dropout) if include_top else asked.pooled(x)
    return asked.model(start, x, f"mobilenet_{alpha:0.2f}_{asked.rows(224)}")


def _top(asked: Asked, x: Any, dropout: float) -> Any:
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    x = layers.Conv2D(asked.classes, 1, padding="same", name="conv_preds")(x)
    x = layers.Reshape((asked.classes,), name="reshape_2")(x)
    return layers.Activation(asked.classifier_activation, name="predictions")(x)


def _norm(x: Any, name: str) -> Any:
    return normalized(x, f"{name}_bn", layers.ReLU(6.0, name=f"{name}_relu"))


def _conv(x: Any, filters: int, size: int, name: str, **kwargs: Any) -> Any:
    x = layers.Conv2D(
        filters, size, padding="same", use_bias=False, name=name, **kwargs
    )(x)
    return _norm(x, name)


def _url(alpha: float, size: int, include_top: bool) -> str:
    if alpha not in _PUBLISHED:
        return ""
    ending = "" if include_top else "_no_top"
    return url_of("mobilenet", f"mobilenet_{_PUBLISHED[alpha]}_{size}_tf{ending}.h5")


preprocess_input = preprocessing(*TF)
