"""Images as files, as Pillow's objects and as arrays."""

from __future__ import annotations

import io
import os
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from ranvier import config
from ranvier.errors import EnvironmentFault, FileError, RanvierWarning, ShapeError

__all__ = ["array_to_img", "img_to_array", "load_img", "save_img"]

_MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}
_FILTERS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise EnvironmentFault(
            "RV801",
            "images need the package Pillow",
            fix="pip install 'ranvier[images]'",
        ) from None
    return Image


def _first(data_format: str | None) -> bool:
    """Whether channels come first."""
    found = config.image_data_format() if data_format is None else data_format
    if found not in ("channels_first", "channels_last"):
        raise ShapeError(
            "RV100",
            f"data_format must be 'channels_last' or 'channels_first', got {found!r}",
        )
    return found == "channels_first"


def array_to_img(
    x: npt.ArrayLike,
    data_format: str | None = None,
    scale: bool = True,
    dtype: Any = None,
) -> Any:
    """An image of Pillow's from an array.

    Args:
        x: an array of shape ``(height, width, channels)``, of 1, 3 or 4 channels.
        data_format: "channels_last", or "channels_first" for channels in front.
        scale: stretch the values to 0 .. 255.
        dtype: computed in it; `config.floatx()` unless given.

    Raises:
        EnvironmentFault: RV801 when Pillow is not installed.
        ShapeError: RV108 for another shape.
    """
    image = _pillow()
    array = np.asarray(x, dtype=dtype or config.floatx())
    if array.ndim == 3 and _first(data_format):
        array = array.transpose(1, 2, 0)
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        raise ShapeError(
            "RV108",
            f"an image is (height, width, 1, 3 or 4 channels), got {array.shape}",
        )
    if scale:
        array = array - np.min(array)
        top = np.max(array)
        array = array / (top if top != 0 else 1) * 255
    if array.shape[2] > 1:
        return image.fromarray(np.ascontiguousarray(array.astype("uint8")))
    wide = np.max(array) > 255
    return image.fromarray(array[:, :, 0].astype("int32" if wide else "uint8"))


def img_to_array(
    img: Any, data_format: str | None = None, dtype: Any = None
) -> npt.NDArray[Any]:
    """An array of shape ``(height, width, channels)`` from an image of Pillow's.

    Args:
        img: the image.
        data_format: "channels_last", or "channels_first" for channels in front.
        dtype: of the array; `config.floatx()` unless given.

    Raises:
        ShapeError: RV108 when it is no image.

    Example:
        >>> img_to_array([[0, 255], [1, 2]]).shape
        (2, 2, 1)
    """
    array = np.asarray(img, dtype=dtype or config.floatx())
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3:
        raise ShapeError("RV108", f"an image has 2 or 3 axes, got {array.shape}")
    return array.transpose(2, 0, 1) if _first(data_format) else array


def save_img(
    path: Any,
    x: npt.ArrayLike,
    data_format: str | None = None,
    file_format: str | None = None,
    scale: bool = True,
    **kwargs: Any,
) -> None:
    """Writes an array as an image file.

    Args:
        path: the file, or an open one.
        x: as in `array_to_img`.
        data_format: as in `array_to_img`.
        file_format: "png", "jpeg", ...; by the file's name unless given.
        scale: stretch the values to 0 .. 255.
        **kwargs: given to Pillow's ``save``.

    Raises:
        EnvironmentFault: RV801 when Pillow is not installed.
        FileError: RV603 when the file cannot be written.
        ShapeError: RV100 for an unknown format, RV108 for another shape.
    """
    image = array_to_img(x, data_format=data_format, scale=scale)
    named = isinstance(path, (str, os.PathLike))
    if file_format is None and named:
        file_format = os.path.splitext(os.fspath(path))[1][1:]
    kind = (file_format or "").lower() or None
    kind = "jpeg" if kind == "jpg" else kind
    if image.mode == "RGBA" and kind == "jpeg":
        warnings.warn(
            RanvierWarning("save_img: JPEG has no transparency; saved without it"),
            stacklevel=2,
        )
        image = image.convert("RGB")
    try:
        image.save(path, format=kind, **kwargs)
    except OSError as fault:
        raise FileError(
            "RV603",
            f"{path} cannot be written",
            details=fault.strerror or str(fault),
        ) from fault
    except (KeyError, ValueError) as fault:
        raise ShapeError(
            "RV100",
            f"save_img: Pillow does not write {kind!r}",
            fix="file_format='png'",
        ) from fault


def load_img(
    path: Any,
    color_mode: str = "rgb",
    target_size: tuple[int, int] | None = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Any:
    """Reads an image file as an image of Pillow's; `img_to_array` makes an array of it.

    Args:
        path: the file, or an ``io.BytesIO``.
        color_mode: "rgb", "rgba" or "grayscale".
        target_size: (height, width); its own size unless given.
        interpolation: "nearest", "bilinear", "bicubic", "hamming", "box" or "lanczos".
        keep_aspect_ratio: cut the middle of that ratio out first.

    Raises:
        EnvironmentFault: RV801 when Pillow is not installed.
        FileError: RV605 when it cannot be read or is no image.
        ShapeError: RV100 for another word.
    """
    image = _pillow()
    if color_mode not in _MODES:
        raise ShapeError(
            "RV100",
            f"color_mode must be one of {', '.join(_MODES)}, got {color_mode!r}",
        )
    if interpolation not in _FILTERS:
        raise ShapeError(
            "RV100",
            f"interpolation must be one of {', '.join(_FILTERS)}, got {interpolation!r}",
        )
    try:
        if not isinstance(path, io.BytesIO):
            with open(path, "rb") as file:
                path = io.BytesIO(file.read())
        img = image.open(path)
        img.load()
    except (OSError, SyntaxError, ValueError, image.DecompressionBombError) as fault:
        raise FileError(
            "RV605", f"{path} cannot be read as an image", details=str(fault)
        ) from fault
    # Grey images of 16 and 32 bits stay as they are.
    grey = color_mode == "grayscale" and img.mode in ("L", "I;16", "I")
    if not grey and img.mode != _MODES[color_mode]:
        img = img.convert(_MODES[color_mode])
    if target_size is None or img.size == (target_size[1], target_size[0]):
        return img
    height, width = target_size
    box = None
    if keep_aspect_ratio:
        high = min(img.size[1], img.size[0] * height // width)
        wide = min(img.size[0], img.size[1] * width // height)
        top, left = (img.size[1] - high) // 2, (img.size[0] - wide) // 2
        box = (left, top, left + wide, top + high)
    method = getattr(image.Resampling, interpolation.upper())
    return img.resize((width, height), method, box=box)
