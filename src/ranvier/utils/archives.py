"""Unpacking of archives that may come from anywhere.

Every member is checked before the first one is written: none may leave the target
folder and none may be a link or a device.
"""

from __future__ import annotations

import os
import tarfile
import zipfile
from pathlib import Path

from ranvier.errors import FileError, ShapeError

__all__ = ["extract_archive"]


def _check_member(archive: Path, folder: Path, name: str, plain: bool) -> None:
    inside = folder.resolve()
    target = (inside / name).resolve()
    if not plain or (target != inside and inside not in target.parents):
        why = "is a link or a device" if not plain else f"leads outside {folder}"
        raise FileError(
            "RV604",
            f"{archive.name} is unsafe: member {name!r} {why}",
            details="nothing was unpacked",
            fix="take the archive from a source you trust",
        )


def extract_archive(
    path: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    archive_format: str = "auto",
) -> Path:
    """Unpacks a tar (also gz, bz2, xz) or zip file into a folder.

    Args:
        path: the archive.
        folder: where to; made when missing.
        archive_format: "tar", "zip" or "auto".

    Returns:
        The folder.

    Raises:
        FileError: RV604 for a member that is a link, a device or leads outside; RV602
            for a damaged archive; RV605 when it is neither tar nor zip.
        ShapeError: RV100 for another format name.
    """
    if archive_format not in ("auto", "tar", "zip"):
        raise ShapeError(
            "RV100",
            f"archive_format must be 'auto', 'tar' or 'zip', got {archive_format!r}",
        )
    archive, target = Path(path), Path(folder)
    try:
        if archive_format in ("auto", "tar") and tarfile.is_tarfile(archive):
            _untar(archive, target)
        elif archive_format in ("auto", "zip") and zipfile.is_zipfile(archive):
            _unzip(archive, target)
        else:
            raise FileError("RV605", f"{archive.name} is not a tar or zip archive")
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as fault:
        raise FileError(
            "RV602",
            f"{archive.name} is damaged",
            details=str(fault),
            fix=f"delete {archive} and fetch it again",
        ) from fault
    except OSError as fault:
        raise FileError(
            "RV605", f"{archive} cannot be unpacked", details=str(fault)
        ) from fault
    return target


def _untar(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as tar:
        members = tar.getmembers()
        for member in members:
            _check_member(
                archive, folder, member.name, member.isfile() or member.isdir()
            )
        folder.mkdir(parents=True, exist_ok=True)
        # The "data" filter also drops set-uid bits; some 3.11 builds lack it.
        if hasattr(tarfile, "data_filter"):
            tar.extractall(folder, members, filter="data")
        else:
            tar.extractall(folder, members)


def _unzip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as zipped:
        for info in zipped.infolist():
            kind = (info.external_attr >> 16) & 0o170000
            plain = kind in (0, 0o100000, 0o040000)
            _check_member(archive, folder, info.filename, plain)
        folder.mkdir(parents=True, exist_ok=True)
        zipped.extractall(folder)
