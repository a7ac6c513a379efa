"""``ranvier predict``: class and probability of images."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import ranvier as keras
from ranvier.cli.output import Output
from ranvier.cli.runs import find_model
from ranvier.errors import DataError, EnvironmentFault, FileError, ShapeError

__all__ = ["main", "read_image"]


def main(
    *,
    model: Path,
    images: tuple[Path, ...],
    resize: bool,
    invert: bool,
    top: int,
    as_json: bool,
) -> int:
    """Prints a line an image and class; returns the exit code."""
    output = Output(as_json=as_json)
    output.catch_findings()
    path = find_model(model)
    network = keras.models.load_model(path)
    if getattr(network, "input_shape", None) is None:
        raise ShapeError(
            "RV106",
            f"{path} does not say what its inputs look like",
            fix="build the model before it is saved: keras.Input(shape) as its first "
            "layer",
        )
    shape = tuple(network.input_shape[1:])
    names = _class_names(path, network)
    rows = [_fit(read_image(image, resize, shape), image, shape) for image in images]
    if len({row.shape for row in rows}) > 1:
        raise ShapeError(
            "RV103",
            "the arrays differ in shape",
            details=", ".join(
                f"{image}: {row.shape}" for image, row in zip(images, rows, strict=True)
            ),
            fix="one call for each shape",
        )
    batch = np.stack(rows)
    if invert:
        batch = 255 - batch
    raw = np.asarray(network.predict(batch, verbose=0), np.float64)
    raw = raw.reshape(len(raw), -1)
    if raw.shape[1] == 1:
        # One unit is no choice among classes: the number it gives, as it is.
        for image, value in zip(images, raw[:, 0], strict=True):
            if as_json:
                output.json({"image": str(image), "value": round(float(value), 6)})
            output.line(f"{value:.4g}   {image}")
        return 0
    for image, row in zip(images, _probabilities(network, raw), strict=True):
        best = np.argsort(-row, kind="stable")[:top]
        found = [
            {
                "class": int(label),
                "name": names[label] if label < len(names) else f"class {label}",
                "probability": round(float(row[label]), 6),
            }
            for label in best
        ]
        if as_json:
            output.json({"image": str(image), "predictions": found})
        for item in found:
            output.line(f"{item['name']} {item['probability']:.2f}   {image}")
    return 0


def read_image(path: Path, resize: bool, shape: tuple[Any, ...]) -> npt.NDArray[Any]:
    """A grey image as ``(height, width)``, or what a .npy file holds.

    Args:
        path: PNG, JPEG and whatever Pillow reads, or .npy.
        resize: scale pictures to the model's size.
        shape: the model's input shape.

    Raises:
        FileError: RV605 when it cannot be read as an image.
        DataError: RV203, RV204 for arrays of no numbers, or with NaN or infinity.
        EnvironmentFault: RV801 when Pillow is needed and missing.
    """
    if not path.is_file():
        raise FileError("RV605", f"no such image: {path}")
    if path.suffix == ".npy":
        try:
            array = np.load(path, allow_pickle=False)
        except (ValueError, OSError, EOFError) as fault:
            raise FileError(
                "RV605", f"{path} is not a readable .npy array", details=str(fault)
            ) from fault
        if array.dtype.kind not in "uifb":
            raise DataError("RV203", f"{path} holds {array.dtype}, not numbers")
        if not np.isfinite(array).all():
            raise DataError(
                "RV204",
                f"{path} has values that are not finite",
                fix="np.nan_to_num(array), or another picture",
            )
        return np.asarray(array)
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise EnvironmentFault(
            "RV801",
            f"reading {path.name} needs Pillow",
            fix="pip install 'ranvier[images]'    (.npy files need nothing)",
        ) from None
    color = len(shape) == 3 and shape[-1] == 3
    try:
        with Image.open(path) as image:
            picture = image.convert("RGB" if color else "L")
            if resize and len(shape) >= 2 and None not in shape[:2]:
                size = (int(shape[1]), int(shape[0]))
                picture = picture.resize(size, Image.Resampling.LANCZOS)
            return np.asarray(picture)
    except UnidentifiedImageError:
        raise FileError(
            "RV605",
            f"{path} is not an image",
            details="its content is none of the formats Pillow knows",
        ) from None
    except (OSError, ValueError, Image.DecompressionBombError) as fault:
        raise FileError(
            "RV605", f"{path} cannot be read as an image", details=str(fault)
        ) from fault


def _fit(
    array: npt.NDArray[Any], path: Path, shape: tuple[Any, ...]
) -> npt.NDArray[Any]:
    """The array in the model's input shape, when it has as many numbers."""
    if None in shape:  # sizes that the model leaves open: the array's own
        open_sizes = [
            s if s is not None else n for s, n in zip(shape, array.shape, strict=False)
        ]
        if array.ndim == len(shape) and tuple(open_sizes) == array.shape:
            return array
        raise ShapeError(
            "RV103",
            f"{path} has shape {array.shape}, the model takes rows of shape {shape}",
            fix="an array of that shape",
        )
    wanted = math.prod(shape)
    if array.size == wanted and (
        array.ndim != len(shape) or tuple(array.shape) == shape
    ):
        return array.reshape(shape)
    size = "x".join(map(str, array.shape))
    square = "x".join(map(str, shape))
    raise ShapeError(
        "RV103",
        f"{size} flattens to {array.size:,} inputs, this network was built for "
        f"{wanted:,}" + (f" = {square}" if len(shape) > 1 else ""),
        details=str(path),
        fix=f"an array of shape {shape}" if path.suffix == ".npy" else "--resize",
    )


def _probabilities(network: Any, raw: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Probabilities from what the model gives: softmax of logits, or as they are."""
    last = network.layers[-1]
    while isinstance(last, keras.Sequential) and last.layers:
        last = last.layers[-1]
    activation = last.get_config().get("activation")
    if activation in ("linear", None) and not isinstance(last, keras.layers.Softmax):
        raw = np.exp(raw - raw.max(axis=1, keepdims=True))
        return raw / raw.sum(axis=1, keepdims=True)
    return raw


def _class_names(path: Path, network: Any) -> list[str]:
    """From the run beside the model, or from the data set the model is named after."""
    try:
        names = json.loads((path.parent / "run.json").read_bytes())["class_names"]
        return [str(name) for name in names]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    if str(network.name).startswith("fashion_mnist"):
        return list(keras.datasets.fashion_mnist.class_names)
    return []
