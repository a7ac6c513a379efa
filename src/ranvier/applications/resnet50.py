"""ResNet50 alone, under the name of Keras's older module."""

from __future__ import annotations

from ranvier.applications.resnet import (
    ResNet50,
    decode_predictions,
    preprocess_input,
)

__all__ = ["ResNet50", "decode_predictions", "preprocess_input"]
