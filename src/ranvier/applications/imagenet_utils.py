"""Pixels as architectures expect them, and the names of ImageNet's classes."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from ranvier import config, ops
from ranvier._check import InstanceOf, Interval, OneOf, Optional, check_parameters
from ranvier.applications._weights import find_cached
from ranvier.errors import FileError, ShapeError

__all__ = ["decode_predictions", "preprocess_input"]

#: What is subtracted from each channel, and what it is divided by then.
_STATISTICS = {
    "caffe": ((103.939, 116.779, 123.68), None),
    "torch": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
_MODES = OneOf("caffe", "tf", "torch")
_FORMATS = Optional(OneOf("channels_first", "channels_last"))
_CLASSES = "imagenet_class_index.json"
_CLASSES_URL = f"https://storage.googleapis.com/download.tensorflow.org/data/{_CLASSES}"
_COUNT = 1000


def preprocess_input(
    x: Any, data_format: str | None = None, mode: str = "caffe"
) -> Any:
    """Pixels ``0 .. 255``, red first, as an architecture was trained on them.

    * ``"tf"``: ``x / 127.5 - 1``, from -1 to 1;
    * ``"torch"``: ``(x / 255 - mean) / deviation``, by ImageNet's channels;
    * ``"caffe"``: blue first, ``x - mean`` by ImageNet's channels.

    Unlike Keras's, it leaves the array it was given as it is.

    Args:
        x: an image ``(height, width, 3)`` or a batch of them; an array, or a tensor in a
            model.
        data_format: ``"channels_last"`` or ``"channels_first"``; the configured one by
            default.
        mode: see above.

    Returns:
        The pixels, an array for an array; whole numbers become `config.floatx`.

    Raises:
        ShapeError: RV100 for another mode or data format.

    Example:
        >>> import numpy as np
        >>> preprocess_input(np.full((1, 1, 3), 255), mode="tf").tolist()
        [[[1.0, 1.0, 1.0]]]
        >>> preprocess_input(np.zeros((1, 1, 3), "float32")).round(1).tolist()
        [[[-103.9000015258789, -116.80000305175781, -123.69999694824219]]]
    """
    given = {"mode": mode, "data_format": data_format}
    table = {"mode": _MODES, "data_format": _FORMATS}
    check_parameters("preprocess_input", table, given)
    plain = isinstance(x, np.ndarray)
    if not str(x.dtype).startswith(("float", "bfloat")):
        x = x.astype(config.floatx()) if plain else ops.cast(x, config.floatx())
    if mode == "tf":
        return x / 127.5 - 1.0
    first = (data_format or config.image_data_format()) == "channels_first"
    axis = -3 if first else -1
    if mode == "torch":
        x = x / 255.0
    else:
        x = (np.flip if plain else ops.flip)(x, axis)

    def by_channel(numbers: Any) -> Any:
        shape = (3, 1, 1) if first else (3,)
        return np.asarray(numbers, str(x.dtype)).reshape(shape)

    mean, deviation = _STATISTICS[mode]
    x = x - by_channel(mean)
    return x if deviation is None else x / by_channel(deviation)


def preprocessing(mode: str | None, kind: str) -> Callable[..., Any]:
    """The `preprocess_input` of an architecture.

    Args:
        mode: see `preprocess_input`; ``None`` where the model itself does it.
        kind: what it does, for the docstring.
    """

    def preprocess(x: Any, data_format: str | None = None) -> Any:
        if mode is None:
            return x
        return _general(x, data_format=data_format, mode=mode)

    preprocess.__name__ = preprocess.__qualname__ = "preprocess_input"
    preprocess.__doc__ = f"""Pixels ``0 .. 255``, red first, as the models expect them.

    {kind}

    Args:
        x: an image ``(height, width, 3)`` or a batch of them; an array, or a tensor in a
            model.
        data_format: where the channels are; the configured place by default.

    Raises:
        ShapeError: RV100 for another data format.
    """
    return preprocess


_general = preprocess_input
#: The four kinds there are.
CAFFE = ("caffe", "``x - mean`` by ImageNet's channels, blue first.")
TF = ("tf", "``x / 127.5 - 1``: from -1 to 1.")
TORCH = ("torch", "``(x / 255 - mean) / deviation`` by ImageNet's channels.")
INSIDE = (None, "They come back as they are: the models have layers for this.")


def decode_predictions(
    preds: Any, top: int = 5, class_index: str | os.PathLike[str] | None = None
) -> list[list[tuple[str, str, Any]]]:
    """Names of the classes that a model trained on ImageNet finds most probable.

    The names are read from Keras's file ``imagenet_class_index.json``: in the folder
    ``models`` of ranvier's or of Keras's cache, or where `class_index` says. It is not
    downloaded.

    Args:
        preds: predictions ``(rows, 1000)``.
        top: how many of them.
        class_index: path of the file.

    Returns:
        For each row a list of ``(WordNet id, name, probability)``, the best first.

    Raises:
        ShapeError: RV108 when the predictions are of another shape.
        FileError: RV606 when the file is not on this machine, RV605 when it cannot be
            read, RV602 when it is damaged.

    Example:
        >>> import json, pathlib, tempfile
        >>> import numpy as np
        >>> path = pathlib.Path(tempfile.mkdtemp(), "imagenet_class_index.json")
        >>> names = {str(i): [f"n{i:08}", f"thing {i}"] for i in range(1000)}
        >>> _ = path.write_text(json.dumps(names))
        >>> preds = np.eye(1000, dtype="float32")[[7]]
        >>> [(key, name, float(p)) for key, name, p in
        ...  decode_predictions(preds, top=1, class_index=path)[0]]
        [('n00000007', 'thing 7', 1.0)]
    """
    table = {
        "top": Interval(int, 1),
        "class_index": Optional(InstanceOf(str, os.PathLike)),
    }
    check_parameters(
        "decode_predictions", table, {"top": top, "class_index": class_index}
    )
    rows = np.asarray(preds)
    if rows.ndim != 2 or rows.shape[1] != _COUNT or rows.dtype.kind not in "fiu":
        raise ShapeError(
            "RV108",
            f"decode_predictions takes the predictions for ImageNet's {_COUNT} classes",
            details=f"received {rows.dtype} of shape {rows.shape}, not (rows, {_COUNT})",
            fix="model.predict(images) of a model with include_top=True",
        )
    names = _class_names(class_index)
    best = np.argsort(rows, axis=1, kind="stable")[:, ::-1][:, :top]
    return [
        [(*names[i], row[i]) for i in order]
        for row, order in zip(rows, best, strict=True)
    ]


def _class_names(given: str | os.PathLike[str] | None) -> list[tuple[str, str]]:
    path = given or find_cached(_CLASSES)
    if path is None:
        raise FileError(
            "RV606",
            "the names of ImageNet's classes are not on this machine",
            details=f"they stand in Keras's file {_CLASSES}",
            fix=f"fetch {_CLASSES_URL}\ninto {config.cache_folder('models')}, or give "
            "class_index=path",
        )
    path = os.path.expanduser(path)
    return _read_names(path, os.stat(path).st_mtime_ns if os.path.isfile(path) else 0)


@functools.lru_cache(maxsize=4)
def _read_names(path: str, changed: int) -> list[tuple[str, str]]:
    """The names in a file, read once for each of its versions."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except OSError as fault:
        why = fault.strerror or str(fault)
        raise FileError("RV605", f"{path} cannot be read", details=why) from fault
    except ValueError as fault:
        raise _damaged(path, f"it is no JSON: {fault}") from fault
    if not isinstance(found, dict):
        raise _damaged(path, "it holds no table")
    names = []
    for i in range(_COUNT):
        entry = found.get(str(i))
        if not (
            isinstance(entry, list)
            and len(entry) == 2
            and all(isinstance(part, str) for part in entry)
        ):
            raise _damaged(path, f"class {i} has no WordNet id and name")
        names.append((entry[0], entry[1]))
    return names


def _damaged(path: str, why: str) -> FileError:
    return FileError(
        "RV602",
        f"{path} is not the list of ImageNet's classes",
        details=why[:300],
        fix=f"fetch {_CLASSES_URL} again",
    )
