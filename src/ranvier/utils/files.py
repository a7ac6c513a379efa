"""Files fetched, checked and written so that no half a file is ever left.

A file is written under a temporary name beside its target, flushed to disk, checked,
and renamed: whoever looks sees the old file or the whole new one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from ranvier import config
from ranvier.errors import EnvironmentFault, FileError, ShapeError

__all__ = ["atomic_write", "download", "get_file", "hash_file"]

_CHUNK = 1 << 18
#: Seconds without a byte after which a connection counts as dead.
_TIMEOUT = 15.0


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Opens a file for writing that appears under its name only when it is complete.

    Leaving the block normally flushes, syncs and renames; leaving it by an exception
    removes the temporary file, and what stood there before stays.

    Args:
        path: the final name; its folder is made.

    Raises:
        FileError: RV603 when the folder cannot be made or written to.

    Example:
        >>> import tempfile, pathlib
        >>> target = pathlib.Path(tempfile.mkdtemp(), "a.bin")
        >>> with atomic_write(target) as file:
        ...     _ = file.write(b"abc")
        >>> target.read_bytes()
        b'abc'
    """
    target = Path(path).expanduser()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(
            prefix=f".{target.name}.", suffix=".part", dir=target.parent
        )
    except OSError as fault:
        raise _unwritable(target, fault) from fault
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes private files; a data or model file follows the umask.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, target)
        _sync_folder(target.parent)
    except BaseException as fault:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if isinstance(fault, OSError) and fault.errno is not None:
            raise _unwritable(target, fault) from fault
        raise


def _unwritable(target: Path, fault: OSError) -> FileError:
    return FileError(
        "RV603",
        f"{target} cannot be written",
        details=f"{fault.strerror or fault}",
        fix="choose a folder you may write to, with free space"
        + ("" if target.parent.exists() else f" ({target.parent} does not exist)"),
    )


def _sync_folder(folder: Path) -> None:
    """Makes a rename survive a power cut, where the system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def hash_file(
    path: str | os.PathLike[str], algorithm: str = "sha256", chunk_size: int = _CHUNK
) -> str:
    """The hash of a file's bytes in hexadecimal.

    Args:
        path: the file.
        algorithm: a name `hashlib` knows, ``"sha256"`` unless given.
        chunk_size: bytes read at a time.

    Raises:
        FileError: RV605 when the file cannot be read.
        ShapeError: RV107 for an unknown algorithm.
    """
    try:
        hasher = hashlib.new(algorithm)
    except ValueError:
        raise ShapeError(
            "RV107",
            f"unknown hash {algorithm!r}",
            fix="hash_algorithm='sha256'",
        ) from None
    try:
        with open(path, "rb") as file:
            while chunk := file.read(chunk_size):
                hasher.update(chunk)
    except OSError as fault:
        raise FileError(
            "RV605", f"{path} cannot be read", details=str(fault.strerror)
        ) from fault
    return hasher.hexdigest()


class _Progress:
    """A line on stderr: live in a terminal, two plain lines elsewhere."""

    def __init__(self, name: str, total: int | None) -> None:
        self.name, self.total = name, total
        self.live = sys.stderr.isatty()
        self.shown = 0.0
        size = f" ({total / 1e6:.1f} MB)" if total else ""
        if not self.live:
            print(f"download {name}{size}", file=sys.stderr, flush=True)

    def __call__(self, done: int) -> None:
        now = time.monotonic()
        if not self.live or now - self.shown < 0.1:
            return
        self.shown = now
        self._show(done)

    def _show(self, done: int, end: str = "") -> None:
        if self.total:
            filled = 24 * min(done, self.total) // self.total
            bar = "━" * filled + "─" * (24 - filled)
            text = f"{bar} {done / 1e6:5.1f}/{self.total / 1e6:.1f} MB"
        else:
            text = f"{done / 1e6:.1f} MB"
        print(f"\rdownload {self.name} {text}", end=end, file=sys.stderr, flush=True)

    def close(self, done: int) -> None:
        if self.live:
            self._show(done, end="\n")


def download(
    url: str,
    target: Path,
    *,
    check: Callable[[IO[bytes]], None] | None = None,
    remedy: str = "",
) -> Path:
    """Fetches one file, with progress on stderr, and puts it in place when it is whole.

    Args:
        url: where from.
        target: where to.
        check: reads the fetched file before it gets its name; raises to refuse.
        remedy: what the user can do when there is no network.

    Raises:
        EnvironmentFault: RV802 when the network or the server fails.
        FileError: RV602 when fewer bytes came than were announced, or `check` refuses;
            RV603 when the target cannot be written.
    """
    if config.get("RANVIER_OFFLINE"):
        raise EnvironmentFault(
            "RV802",
            f"{target.name} is not on this machine and RANVIER_OFFLINE is set",
            details=f"would be fetched from {url}",
            fix=remedy or "unset RANVIER_OFFLINE",
        )
    import http.client
    import urllib.error
    import urllib.request

    request = urllib.request.Request(url, headers={"User-Agent": "ranvier"})
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(atomic_write(target))
        try:
            # The caller names the address; file:// is as good as https:// here.
            response = stack.enter_context(
                urllib.request.urlopen(request, timeout=_TIMEOUT)
            )
            length = response.headers.get("Content-Length")
            total = int(length) if length and length.isdigit() else None
            progress = _Progress(target.name, total)
            done = 0
            # A connection that ends early shows in the count below.
            with contextlib.suppress(http.client.IncompleteRead):
                while chunk := response.read(_CHUNK):
                    file.write(chunk)
                    done += len(chunk)
                    progress(done)
            progress.close(done)
        except (
            urllib.error.URLError,
            http.client.HTTPException,
            TimeoutError,
            ConnectionError,
        ) as fault:
            if isinstance(fault, urllib.error.HTTPError):
                fault.close()
            raise EnvironmentFault(
                "RV802",
                f"{url} cannot be fetched",
                details=" ".join(
                    str(part)
                    for part in (
                        getattr(fault, "code", ""),
                        getattr(fault, "reason", fault) or type(fault).__name__,
                    )
                    if part
                ),
                fix=remedy or f"fetch it elsewhere and put it at {target}",
            ) from fault
        if total is not None and done != total:
            raise FileError(
                "RV602",
                f"{target.name} is truncated: {done:,} of {total:,} bytes came",
                details=f"from {url}; nothing was kept",
                fix="try again",
            )
        if check is not None:
            file.flush()
            file.seek(0)
            check(file)
    return target


def _hash_check(
    name: str, expected: str, algorithm: str
) -> Callable[[IO[bytes]], None]:
    def check(file: IO[bytes]) -> None:
        hasher = hashlib.new(algorithm)
        while chunk := file.read(_CHUNK):
            hasher.update(chunk)
        if hasher.hexdigest() != expected.lower():
            raise FileError(
                "RV602",
                f"{name} is not the expected file",
                details=f"{algorithm} expected {expected}\n"
                f"{algorithm} received {hasher.hexdigest()}",
                fix="try again; if it stays so, the server gives another file: "
                "nothing was kept",
            )

    return check


def get_file(
    fname: str | os.PathLike[str] | None = None,
    origin: str | None = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: str = "auto",
    cache_dir: str | os.PathLike[str] | None = None,
    force_download: bool = False,
) -> str:
    """Fetches a file once and keeps it in the cache folder.

    Arguments as in Keras; the cache folder is ``RANVIER_HOME`` (``~/.ranvier``).

    Args:
        fname: its name in the cache, without folders; the last part of `origin` when
            not given.
        origin: the address.
        untar: unpack it, as a tar archive.
        md5_hash: older name of `file_hash`, for MD5.
        file_hash: hexadecimal hash that the file must have.
        cache_subdir: folder inside the cache.
        hash_algorithm: "sha256", "md5" or "auto" (64 digits: SHA-256).
        extract: unpack it.
        archive_format: "tar", "zip", "auto".
        cache_dir: another cache folder.
        force_download: fetch it even when it is there.

    Returns:
        The path of the file, or of the folder it was unpacked into.

    Raises:
        ShapeError: RV100 for a missing `origin` or a name with folders.
        EnvironmentFault: RV802 when it cannot be fetched.
        FileError: RV602 when the hash differs, RV603 when the cache cannot be written,
            RV604 when the archive would write outside its folder.
    """
    if origin is None:
        raise ShapeError(
            "RV100",
            "get_file needs origin",
            details="it is the address to fetch from",
            fix="get_file(origin='https://…')",
        )
    if md5_hash is not None and file_hash is None:
        file_hash, hash_algorithm = md5_hash, "md5"
    if hash_algorithm == "auto":
        hash_algorithm = "sha256" if file_hash and len(file_hash) == 64 else "md5"
    name = os.fspath(fname) if fname else origin.split("?")[0].rsplit("/", 1)[-1]
    if not name or os.path.basename(name) != name or name in (".", ".."):
        raise ShapeError(
            "RV100",
            f"fname must be a plain file name, got {name!r}",
            fix="give the folder as cache_dir and cache_subdir",
        )
    base = Path(cache_dir).expanduser() if cache_dir else config.cache_folder()
    folder = base / cache_subdir
    unpack = extract or untar
    stem = name.partition(".")[0]
    target = folder / (name if not unpack or "." in name else f"{name}_archive")

    have = target.exists() and not force_download
    if have and file_hash is not None:
        have = hash_file(target, hash_algorithm) == file_hash.lower()
    if not have:
        check = _hash_check(name, file_hash, hash_algorithm) if file_hash else None
        download(origin, target, check=check)
    if not unpack:
        return str(target)

    from ranvier.utils.archives import extract_archive

    out = folder / (f"{stem}_extracted" if "." in name else name)
    extract_archive(target, out, "tar" if untar else archive_format)
    return str(out)
