"""Keras's namespace ``ops.image``: images resized, turned, cut, coloured."""

from __future__ import annotations

from ranvier._missing import missing
from ranvier.operation import record_calls
from ranvier.ops.image_color import hsv_to_rgb, rgb_to_grayscale, rgb_to_hsv
from ranvier.ops.image_maps import (
    affine_transform,
    map_coordinates,
    perspective_transform,
)
from ranvier.ops.image_scaling import scale_and_translate, ssim
from ranvier.ops.image_windows import (
    crop_images,
    extract_patches,
    extract_patches_3d,
    gaussian_blur,
    pad_images,
    resize,
    sobel_edges,
)

__all__ = [
    "affine_transform",
    "crop_images",
    "extract_patches",
    "extract_patches_3d",
    "gaussian_blur",
    "hsv_to_rgb",
    "map_coordinates",
    "pad_images",
    "perspective_transform",
    "resize",
    "rgb_to_grayscale",
    "rgb_to_hsv",
    "scale_and_translate",
    "sobel_edges",
    "ssim",
]

record_calls(globals(), __all__)
__getattr__ = missing("ranvier.ops.image", lambda: __all__)
