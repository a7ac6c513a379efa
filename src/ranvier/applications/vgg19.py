"""VGG19: sixteen convolutions and three dense layers.

Example:
    >>> from ranvier import applications
    >>> model = applications.VGG19(
    ...     weights=None, include_top=False, input_shape=(32, 32, 3))
    >>> model.output_shape
    (None, 1, 1, 512)
"""

from __future__ import annotations

from ranvier.applications._vgg import vgg
from ranvier.applications.imagenet_utils import (
    CAFFE,
    decode_predictions,
    preprocessing,
)

__all__ = ["VGG19", "decode_predictions", "preprocess_input"]

VGG19 = vgg("VGG19", 2, 2, 4, 4, 4)
preprocess_input = preprocessing(*CAFFE)
