"""Data sets of the files in folders, one folder a class."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ranvier import _seed
from ranvier.data.streams import StreamingDataset
from ranvier.errors import DataError, FileError, ShapeError
from ranvier.utils.images import _first, img_to_array, load_img

__all__ = ["image_dataset_from_directory", "text_dataset_from_directory"]

_IMAGES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
_MODES = {"int", "categorical", "binary", None}

Read = Callable[[Sequence[str]], npt.NDArray[Any]]


def _wrong(name: str, value: Any, accepted: str) -> ShapeError:
    return ShapeError("RV100", f"{name}={value!r}", details=f"accepted: {accepted}")


@dataclass
class _Files:
    """The files of a folder, with their labels.

    Attributes:
        paths: the files.
        labels: a label each, or None.
        names: what the labels mean, or None.
    """

    paths: list[str]
    labels: npt.NDArray[Any] | None
    names: list[str] | None

    def part(self, rows: slice) -> _Files:
        labels = None if self.labels is None else self.labels[rows]
        return _Files(self.paths[rows], labels, self.names)


def _below(folder: str, endings: tuple[str, ...], follow_links: bool) -> list[str]:
    found = []
    for place, _, files in sorted(os.walk(folder, followlinks=follow_links)):
        found += [
            os.path.join(place, name)
            for name in sorted(files)
            if name.lower().endswith(endings)
        ]
    return found


def _index(
    directory: Any,
    labels: Any,
    class_names: Any,
    endings: tuple[str, ...],
    follow_links: bool,
) -> _Files:
    root = os.fspath(directory)
    if not os.path.isdir(root):
        raise FileError("RV605", f"there is no folder {root}")
    if labels == "inferred":
        inside = [
            name
            for name in sorted(os.listdir(root))
            if os.path.isdir(os.path.join(root, name)) and name[0] != "."
        ]
        names = inside if class_names is None else list(class_names)
        unknown = sorted(set(names) - set(inside))
        if unknown:
            raise ShapeError(
                "RV100",
                f"class_names: there is no folder {', '.join(unknown)} in {root}",
                details=f"there are: {', '.join(inside)}",
            )
        paths, numbers = [], []
        for number, name in enumerate(names):
            found = _below(os.path.join(root, name), endings, follow_links)
            paths += found
            numbers += [number] * len(found)
        return _Files(paths, np.array(numbers, "int32"), names)
    if class_names is not None:
        raise ShapeError("RV100", "class_names goes with labels='inferred' only")
    paths = _below(root, endings, follow_links)
    if labels is None:
        return _Files(paths, None, None)
    if len(labels) != len(paths):
        raise ShapeError(
            "RV109", f"{len(labels)} labels for the {len(paths)} files of {root}"
        )
    names = [str(label) for label in sorted(set(labels))]
    return _Files(paths, np.array(labels, "int32"), names)


def _encode(labels: npt.NDArray[Any], mode: str, classes: int) -> npt.NDArray[Any]:
    if mode == "binary":
        return labels.astype("float32")[:, None]
    if mode == "categorical":
        return np.eye(classes, dtype="float32")[labels]
    return labels


def _datasets(
    directory: Any,
    labels: Any,
    label_mode: str | None,
    class_names: Any,
    batch_size: int | None,
    shuffle: bool,
    seed: int | None,
    validation_split: float | None,
    subset: str | None,
    follow_links: bool,
    format: str,
    verbose: bool,
    endings: tuple[str, ...],
    read: Read,
) -> Any:
    if labels not in ("inferred", None) and not isinstance(labels, (list, tuple)):
        raise _wrong("labels", labels, "'inferred', None, or a list of labels")
    if label_mode not in _MODES:
        raise _wrong("label_mode", label_mode, "'int', 'categorical', 'binary', None")
    if format not in ("tf", "grain"):
        raise _wrong("format", format, "'tf', 'grain'")
    if subset not in ("training", "validation", "both", None):
        raise _wrong("subset", subset, "'training', 'validation', 'both', None")
    if bool(validation_split) != bool(subset):
        raise ShapeError("RV100", "subset and validation_split go together only")
    if validation_split and not 0 < validation_split < 1:
        raise _wrong("validation_split", validation_split, "between 0 and 1")
    if validation_split and shuffle and seed is None:
        raise ShapeError(
            "RV100",
            "validation_split with shuffle needs a seed",
            details="without one, the two parts of two calls would overlap",
            fix="seed=0",
        )
    if label_mode is None:
        labels = None
    files = _index(directory, labels, class_names, endings, follow_links)
    if not files.paths:
        raise DataError("RV207", f"no file in {directory} ends in {', '.join(endings)}")
    mode = None if labels is None else label_mode
    if mode == "binary" and len(files.names or ()) != 2:
        raise ShapeError("RV100", f"label_mode='binary' with the classes {files.names}")
    if verbose:
        of = "" if files.names is None else f" belonging to {len(files.names)} classes"
        print(f"Found {len(files.paths)} files{of}.", file=sys.stderr)
    seed = _seed.next_seed() if seed is None else seed
    if shuffle:
        # Keras's order, so that the parts of a split hold the same files as there.
        order = np.arange(len(files.paths))
        np.random.RandomState(seed % 2**32).shuffle(order)
        files.paths = [files.paths[i] for i in order]
        files.labels = None if files.labels is None else files.labels[order]
    held = int((validation_split or 0) * len(files.paths))
    train = files.part(slice(0, len(files.paths) - held))
    validation = files.part(slice(len(files.paths) - held, None))

    def dataset(part: _Files, shuffled: bool) -> StreamingDataset:
        def samples(rows: npt.NDArray[Any]) -> Any:
            x = read([part.paths[i] for i in rows])
            if mode is None or part.labels is None:
                return x
            return x, _encode(part.labels[rows], mode, len(part.names or ()))

        made = StreamingDataset(len(part.paths), samples, batch_size, shuffled, seed)
        made.class_names, made.file_paths = part.names, part.paths
        return made

    if subset == "both":
        return [dataset(train, shuffle), dataset(validation, False)]
    return dataset(validation if subset == "validation" else train, shuffle)


def image_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    color_mode: str = "rgb",
    batch_size: int | None = 32,
    image_size: tuple[int, int] = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: str | None = None,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """A data set of the images in a folder, read while it is gone through.

    With ``labels="inferred"`` each folder inside is a class, in the order of names.

    Args:
        directory: the folder.
        labels: "inferred", None, or a label for each file in the order of paths.
        label_mode: "int" (int32), "categorical" (one column a class), "binary" (one
            column of 0 and 1), or None for images alone.
        class_names: the folders to use, in the order of their labels.
        color_mode: "rgb", "rgba" or "grayscale".
        batch_size: images of a batch, or None for single images.
        image_size: (height, width) that all are brought to.
        shuffle: a new order each time.
        seed: of the orders, and of what is validation.
        validation_split: the fraction that is for validation.
        subset: "training", "validation" or "both", with `validation_split`.
        interpolation: "bilinear" or "nearest".
        follow_links: follow links to folders.
        crop_to_aspect_ratio: cut the middle of that ratio out first.
        pad_to_aspect_ratio: must be False.
        data_format: "channels_last", or "channels_first" for channels in front.
        format: kept for Keras's signature; the data set is of ranvier's own kind.
        verbose: tell on stderr how many files there are.

    Returns:
        A data set of ``(images, labels)`` or of images, float32 with values 0 .. 255;
        for ``subset="both"`` a list of two. Its `class_names` and `file_paths` tell
        what is in it.

    Raises:
        EnvironmentFault: RV801 when Pillow is not installed.
        FileError: RV605 for a missing folder or a file that is no image.
        DataError: RV207 when there is no image.
        ShapeError: RV100 for an argument that cannot be, RV109 for labels of another
            number than files.

    Example:
        ```python
        train, validation = keras.utils.image_dataset_from_directory(
            "photos", image_size=(64, 64), validation_split=0.2, subset="both", seed=0
        )
        model.fit(train, validation_data=validation)
        ```
    """
    if isinstance(image_size, int):
        image_size = (image_size, image_size)
    if len(image_size) != 2 or not all(
        isinstance(size, (int, np.integer)) and size > 0 for size in image_size
    ):
        raise _wrong("image_size", image_size, "two integers >= 1")
    if color_mode not in ("rgb", "rgba", "grayscale"):
        raise _wrong("color_mode", color_mode, "'rgb', 'rgba', 'grayscale'")
    if interpolation not in ("bilinear", "nearest"):
        raise _wrong("interpolation", interpolation, "'bilinear', 'nearest'")
    if pad_to_aspect_ratio:
        raise _wrong("pad_to_aspect_ratio", True, "False; crop_to_aspect_ratio cuts")
    front = _first(data_format)

    def read(paths: Sequence[str]) -> npt.NDArray[Any]:
        found = []
        for path in paths:
            image = img_to_array(load_img(path, color_mode), "channels_last", "float32")
            if crop_to_aspect_ratio:
                image = _cropped(image, image_size)
            found.append(_resized(image, image_size, interpolation))
        batch = np.stack(found)
        return np.ascontiguousarray(batch.transpose(0, 3, 1, 2)) if front else batch

    return _datasets(
        directory, labels, label_mode, class_names, batch_size, shuffle, seed,
        validation_split, subset, follow_links, format, verbose, _IMAGES, read,
    )  # fmt: skip


def text_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    batch_size: int | None = 32,
    max_length: int | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """A data set of the .txt files in a folder, read while it is gone through.

    Args:
        directory: the folder.
        labels: as in `image_dataset_from_directory`.
        label_mode: as in `image_dataset_from_directory`.
        class_names: the folders to use, in the order of their labels.
        batch_size: texts of a batch, or None for single texts.
        max_length: characters kept of a text (Keras: bytes); all unless given.
        shuffle: a new order each time.
        seed: of the orders, and of what is validation.
        validation_split: the fraction that is for validation.
        subset: "training", "validation" or "both", with `validation_split`.
        follow_links: follow links to folders.
        format: kept for Keras's signature; the data set is of ranvier's own kind.
        verbose: tell on stderr how many files there are.

    Returns:
        A data set of ``(texts, labels)`` or of texts; texts are arrays of ``str``.

    Raises:
        FileError: RV605 for a missing folder or a file that is no text in UTF-8.
        DataError: RV207 when there is no text.
        ShapeError: RV100 for an argument that cannot be, RV109 for labels of another
            number than files.
    """

    def read(paths: Sequence[str]) -> npt.NDArray[Any]:
        texts = np.empty(len(paths), object)
        for index, path in enumerate(paths):
            try:
                # As it is: ends of lines are not changed.
                with open(path, encoding="utf-8", newline="") as file:
                    texts[index] = file.read(-1 if max_length is None else max_length)
            except (OSError, UnicodeDecodeError) as fault:
                raise FileError(
                    "RV605", f"{path} cannot be read as text", details=str(fault)
                ) from fault
        return texts

    return _datasets(
        directory, labels, label_mode, class_names, batch_size, shuffle, seed,
        validation_split, subset, follow_links, format, verbose, (".txt",), read,
    )  # fmt: skip


def _cropped(image: npt.NDArray[Any], size: tuple[int, int]) -> npt.NDArray[Any]:
    """The middle, as large as can be, of the ratio of `size`."""
    (height, width), (high, wide) = image.shape[:2], size
    rows = max(min(height, int(width * high / wide)), 1)
    columns = max(min(width, int(height * wide / high)), 1)
    top, left = (height - rows) // 2, (width - columns) // 2
    return image[top : top + rows, left : left + columns]


def _resized(
    image: npt.NDArray[Any], size: tuple[int, int], interpolation: str
) -> npt.NDArray[Any]:
    """At `size`; pixels are squares whose centres count, as in TensorFlow and Keras."""
    for axis, wanted in enumerate(size):
        have = image.shape[axis]
        if have == wanted:
            continue
        at = (np.arange(wanted, dtype="float32") + np.float32(0.5)) * np.float32(
            have / wanted
        )
        if interpolation == "nearest":
            image = image.take(np.minimum(at.astype(int), have - 1), axis)
            continue
        at -= np.float32(0.5)
        low = np.floor(at)
        part = (at - low).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        first = image.take(np.maximum(low.astype(int), 0), axis)
        second = image.take(np.minimum(low.astype(int) + 1, have - 1), axis)
        image = first + (second - first) * part
    return image
