"""The IDX format of the MNIST family: a header of sizes, then the numbers.

Four bytes ``0 0 type rank``, then `rank` big-endian 32-bit sizes, then the values in C
order, big-endian. Files may be damaged or made to harm, so the sizes are compared with
the bytes that are really there before memory is asked for.

Source of the format: http://yann.lecun.com/exdb/mnist/ (section "the IDX file format").
"""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt

from ranvier.errors import FileError

__all__ = ["read_idx"]

_DTYPES = {
    0x08: ">u1",
    0x09: ">i1",
    0x0B: ">i2",
    0x0C: ">i4",
    0x0D: ">f4",
    0x0E: ">f8",
}
#: DEFLATE cannot shrink by more than this (RFC 1951: 258 bytes from 2 bits).
_MAX_RATIO = 1032
_MAX_RANK = 8


def _damaged(path: Path, why: str) -> FileError:
    return FileError(
        "RV602",
        f"{path.name} is damaged: {why}",
        details=f"file {path}",
        fix=f"rm {path}    (it is fetched again)",
    )


def read_idx(path: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """Reads an IDX file, plain or gzipped.

    Args:
        path: the file.

    Returns:
        An array of the file's shape, in native byte order.

    Raises:
        FileError: RV605 when it cannot be opened; RV602 when it is no IDX file, is
            truncated, has bytes left over, or fails gzip's own checksum.
    """
    file_path = Path(path)
    try:
        stored = file_path.stat().st_size
        with open(file_path, "rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if not zipped:
                return _read(file_path, raw, stored)
            with gzip.GzipFile(fileobj=raw) as unzipped:
                return _read(file_path, cast(IO[bytes], unzipped), stored * _MAX_RATIO)
    except (EOFError, zlib.error, gzip.BadGzipFile) as fault:
        raise _damaged(file_path, str(fault)) from fault
    except OSError as fault:
        raise FileError(
            "RV605",
            f"{file_path} cannot be read",
            details=fault.strerror or str(fault),
        ) from fault


def _read(path: Path, file: IO[bytes], available: int) -> npt.NDArray[Any]:
    head = file.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _DTYPES:
        raise _damaged(path, "it does not begin like an IDX file")
    dtype, rank = np.dtype(_DTYPES[head[2]]), head[3]
    if not 1 <= rank <= _MAX_RANK:
        raise _damaged(path, f"its header says {rank} axes")
    sizes = file.read(4 * rank)
    if len(sizes) < 4 * rank:
        raise _damaged(path, "it ends within its header")
    shape = struct.unpack(f">{rank}I", sizes)
    needed = math.prod(shape) * dtype.itemsize
    if needed > available:
        raise _damaged(
            path,
            f"its header promises {needed:,} bytes of {shape}, more than it can hold",
        )
    out = np.empty(math.prod(shape), dtype)
    view = out.view(np.uint8).data
    done = 0
    while done < needed:
        count = file.readinto(view[done:])  # type: ignore[attr-defined]
        if not count:
            raise _damaged(path, f"it ends after {done:,} of {needed:,} bytes")
        done += count
    # Reading to the end also makes gzip compare its checksum.
    if file.read(1):
        raise _damaged(path, f"it goes on after the {needed:,} bytes of {shape}")
    return out.astype(dtype.newbyteorder("="), copy=False).reshape(shape)
