"""Archives of arrays (.npz), among them arrays of lists, from files nobody vouches for."""

from __future__ import annotations

import math
import pickle
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from ranvier.datasets._pickles import read_pickle
from ranvier.errors import FileError

__all__ = ["damaged", "read_npz"]


def damaged(path: Path, title: str, why: str) -> FileError:
    """RV602 for a file of a data set."""
    return FileError(
        "RV602",
        f"{path.name} is damaged or is not {title}",
        details=f"{why}\nfile {path}",
        fix=f"rm {path}    (it is fetched again)",
    )


def read_npz(
    path: Path, names: Sequence[str], title: str
) -> tuple[npt.NDArray[Any], ...]:
    """Arrays of an .npz file, all with the same number of rows in pairs.

    Args:
        path: the file.
        names: which arrays; each second one holds the labels of the one before it.
        title: what the file should be, for the message.

    Raises:
        FileError: RV602 when the file is damaged, lacks an array, or asks for code.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            arrays = tuple(_member(archive, f"{name}.npy") for name in names)
    except (
        OSError, ValueError, KeyError, EOFError, NotImplementedError, RuntimeError,
        zlib.error, zipfile.BadZipFile, pickle.UnpicklingError,
    ) as fault:  # fmt: skip
        why = str(fault.args[0] if fault.args else "") or type(fault).__name__
        raise damaged(path, title, why) from fault
    for rows, labels in zip(arrays[::2], arrays[1::2], strict=True):
        if rows.ndim < 1 or labels.ndim != 1 or len(rows) != len(labels):
            raise damaged(
                path, title, f"rows of {rows.shape} with labels of {labels.shape}"
            )
        if labels.dtype == object:
            raise damaged(path, title, "the labels are no numbers")
    return arrays


def _member(archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    size = archive.getinfo(name).file_size
    with archive.open(name) as member:
        version = np.lib.format.read_magic(member)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if read is None:
            raise ValueError(f"{name} is of version {version} of NumPy's format")
        shape, by_columns, dtype = read(member)
        if dtype.kind == "O":
            return _objects(member, name, shape)
        # The header alone must not make memory be asked for.
        needed = math.prod(shape) * dtype.itemsize
        if dtype.hasobject or needed > size:
            raise ValueError(f"{name} holds {dtype} of {shape} in {size:,} bytes")
        content = member.read(needed)
        if len(content) != needed:
            raise ValueError(f"{name} ends after {len(content):,} bytes")
        flat = np.frombuffer(content, dtype).copy()
        return flat.reshape(shape, order="F" if by_columns else "C")


def _objects(member: IO[bytes], name: str, shape: tuple[int, ...]) -> Any:
    array = read_pickle(member)
    if not isinstance(array, np.ndarray) or array.shape != shape:
        raise ValueError(f"{name} does not hold objects of shape {shape}")
    return array
