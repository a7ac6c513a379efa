"""The `.keras` file: a zip with few members, read with suspicion, written at once.

No path from the file is used. Only the members that Keras v3 writes are known: three, and
files that layers keep beside their weights, such as vocabularies, under ``assets/``. Each is
stored or deflated, appears once, overlaps no other, and may not grow far beyond the size of
the file.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from ranvier.errors import FileError, RanvierError
from ranvier.utils.files import atomic_write

__all__ = [
    "ASSETS",
    "CONFIG",
    "METADATA",
    "WEIGHTS",
    "allowance",
    "damaged",
    "opened",
    "parse_json",
    "read_archive",
    "refuse_existing",
    "write_archive",
]

METADATA, CONFIG, WEIGHTS = "metadata.json", "config.json", "model.weights.h5"
#: The folder of what layers keep beside their weights.
ASSETS = "assets/"

#: The version of Keras whose file format is written.
FORMAT = "3.15.1"

_MEBI = 1 << 20
#: What a small file may unpack to; larger ones may grow fourfold.
_FLOOR = 64 * _MEBI
#: Configurations of thousand-layer networks are below 10 MiB.
_JSON_BYTES = 32 * _MEBI
_JSON_DEPTH = 100
_JSON_ITEMS = 2_000_000
_ENCRYPTED = 0x1
_FOREIGN = "save it again with Keras 3 (model.save('m.keras')) or with ranvier"


def allowance(size: int) -> int:
    """How many bytes may come out of a file of this size."""
    return max(_FLOOR, 4 * size)


def fault_of(path: Any, why: str, fix: str = "") -> FileError:
    """The error for a file whose content cannot be used."""
    return FileError(
        "RV601",
        f"{os.fspath(path)} cannot be loaded",
        details=why,
        fix=fix or "take another copy of the file, or save the model again",
    )


class damaged:
    """Whatever goes wrong inside the block is the file's fault, and said so (RV601)."""

    # A class, since a generator would put contextlib between us and the user's line.

    def __init__(self, path: Any, what: str) -> None:
        self.path, self.what = path, what

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, fault: BaseException | None, trace: Any) -> None:
        if not isinstance(fault, Exception) or isinstance(fault, FileError):
            return
        fix = ""
        if isinstance(fault, RanvierError):
            why, fix = f"{fault.code}: {fault.message}", fault.fix
            if fault.details:
                why += f"\n{fault.details}"
        elif isinstance(fault, MemoryError):
            why = "it asks for more memory than there is"
        else:
            text = str(fault).split("\n")[0][:300] or "no further details"
            why = f"{type(fault).__name__}: {text}"
        raise fault_of(self.path, f"{self.what}: {why}", fix) from fault


def opened(path: str | os.PathLike[str]) -> IO[bytes]:
    """The file, open for reading.

    Raises:
        FileError: RV605 when there is none, it is a folder, or it may not be read.
    """
    if not isinstance(path, str | os.PathLike):
        raise FileError("RV605", f"the path of a file was expected, got {path!r:.80}")
    place = Path(path).expanduser()
    if place.is_dir():
        raise FileError("RV605", f"{place} is a folder, not a model file", fix=_FOREIGN)
    try:
        return open(place, "rb")
    except (OSError, ValueError) as fault:
        beside = _beside(place)
        raise FileError(
            "RV605",
            f"{place} cannot be read",
            details=getattr(fault, "strerror", None) or str(fault),
            fix=f"in that folder: {beside}" if beside else "check the path",
        ) from fault


def _beside(place: Path) -> str:
    """Names of a few model files in the same folder."""
    with contextlib.suppress(OSError, ValueError):
        endings = (".keras", ".h5")
        return ", ".join(
            sorted(p.name for p in place.parent.iterdir() if p.suffix in endings)[:5]
        )
    return ""


def read_archive(file: IO[bytes], path: Any) -> dict[str, bytes]:
    """The members of a `.keras` file.

    Raises:
        FileError: RV601 when it is damaged, unsafe, or no Keras v3 file.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    magic = file.read(8)
    file.seek(0)
    if not size:
        raise fault_of(path, "the file is empty")
    if magic.startswith(b"\x89HDF"):
        raise fault_of(
            path,
            "it is an HDF5 file: weights alone, or a model of the old .h5 format",
            "model.load_weights(path) for weights; " + _FOREIGN,
        )
    if not magic.startswith(b"PK"):
        raise fault_of(
            path, "it is not a Keras v3 file: those are zip archives", _FOREIGN
        )
    with damaged(path, "the archive is damaged"), zipfile.ZipFile(file) as archive:
        infos = archive.infolist()
        _check_members(infos, size, path)
        # Two bytes more than declared would show a lie; zipfile checks the CRC too.
        members = {}
        for info in infos:
            with archive.open(info) as member:
                data = member.read(info.file_size + 1)
            if len(data) != info.file_size:
                raise fault_of(path, f"member {info.filename} is shorter than declared")
            members[info.filename] = data
    missing = [name for name in (CONFIG, WEIGHTS) if name not in members]
    if missing:
        raise fault_of(path, f"{' and '.join(missing)} is not in the archive", _FOREIGN)
    return members


def _check_members(infos: list[zipfile.ZipInfo], size: int, path: Any) -> None:
    known = (METADATA, CONFIG, WEIGHTS)
    seen: set[str] = set()
    end = 0
    total = 0
    for info in sorted(infos, key=lambda i: i.header_offset):
        name = info.filename
        if name not in known and not name.startswith(ASSETS):
            raise fault_of(
                path,
                f"member {name[:80]!r} is unknown; known are {', '.join(known)}",
                _FOREIGN,
            )
        if name in seen:
            raise fault_of(path, f"member {name} appears twice")
        seen.add(name)
        if info.flag_bits & _ENCRYPTED:
            raise fault_of(path, f"member {name} is encrypted")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise fault_of(path, f"member {name} is packed in an unknown way")
        if info.header_offset < end or info.header_offset + info.compress_size > size:
            raise fault_of(path, f"member {name} overlaps another or the file's end")
        end = info.header_offset + info.compress_size
        total += info.file_size
        limit = _JSON_BYTES if name in (METADATA, CONFIG) else allowance(size)
        if info.file_size > limit or total > allowance(size):
            raise fault_of(
                path,
                f"member {name} would unpack to {info.file_size:,} bytes, from a file "
                f"of {size:,}",
            )


def parse_json(data: bytes, path: Any) -> Any:
    """JSON of bounded depth and size.

    Raises:
        FileError: RV601 when it is no JSON, or too deep or large.
    """
    with damaged(path, f"{CONFIG} is damaged"):
        value = json.loads(data.decode("utf-8"))
    level, count, depth = [value], 0, 0
    while level:
        depth += 1
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
        count += len(inner)
        if depth > _JSON_DEPTH or count > _JSON_ITEMS:
            raise fault_of(path, f"{CONFIG} is nested too deeply or too large")
        level = inner
    return value


def refuse_existing(path: str | os.PathLike[str], overwrite: bool) -> None:
    """Raises RV603 when the file exists and must not be replaced."""
    if not overwrite and os.path.lexists(Path(path).expanduser()):
        raise FileError(
            "RV603",
            f"{os.fspath(path)} exists already, and overwrite=False",
            fix="another name, or overwrite=True",
        )


def write_archive(
    path: str | os.PathLike[str],
    config: str,
    weights: bytes,
    assets: Mapping[str, bytes] | None = None,
) -> None:
    """Writes a whole `.keras` file, or leaves what was there.

    Args:
        path: its name.
        config: what describes the model.
        weights: an HDF5 file.
        assets: further files by their names under ``assets/``.

    Raises:
        FileError: RV603 when it cannot be written.
    """
    now = datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")
    metadata = json.dumps({"keras_version": FORMAT, "date_saved": now})
    with atomic_write(path) as file, zipfile.ZipFile(file, "w") as archive:
        # ZipInfo made from a name alone carries 1980-01-01, as in Keras's files.
        archive.writestr(zipfile.ZipInfo(METADATA), metadata)
        archive.writestr(zipfile.ZipInfo(CONFIG), config)
        archive.writestr(zipfile.ZipInfo(WEIGHTS), weights)
        for name, data in (assets or {}).items():
            archive.writestr(zipfile.ZipInfo(ASSETS + name), data)
