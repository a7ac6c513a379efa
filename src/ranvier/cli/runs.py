"""The folder of a run: what was asked, what happened, the model.

::

    runs/fashion-mnist-0001/
        run.json        the configuration, versions, machine; written once
        events.jsonl    one JSON object a line, only ever appended to
        model.keras     the newest model

An event is ``{"i": 0, "t": 1700000000.0, "k": "epoch", …}``: its number, Unix time
and kind (``start``, ``epoch``, ``finding``, ``checkpoint``, ``note``, ``end``). Readers
skip kinds they do not know and a last line that was cut off.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ranvier.errors import FileError, ResumeError
from ranvier.utils.files import atomic_write

__all__ = ["SCHEMA", "Run", "find_model", "read_events"]

#: Of run.json and events.jsonl; raised when a reader of today would misread tomorrow's.
SCHEMA = 1


def read_events(folder: Path) -> Iterator[dict[str, Any]]:
    """The events of a run, oldest first."""
    path = folder / "events.jsonl"
    if not path.exists():
        return
    for text in path.read_bytes().split(b"\n"):
        try:
            event = json.loads(text)
        except ValueError:
            continue
        if isinstance(event, dict) and "k" in event:
            yield event


def find_model(path: Path) -> Path:
    """The model file of a path that names it or the folder of a run.

    Raises:
        FileError: RV605 when there is none.
    """
    model = path / "model.keras" if path.is_dir() else path
    if not model.is_file():
        raise FileError(
            "RV605",
            f"no model at {path}",
            details=f"{model} does not exist",
            fix="give a .keras file or the folder of a run (ls runs)",
        )
    return model


class Run:
    """One run's folder, open for writing.

    Args:
        folder: the folder; it exists.
        config: what stands in run.json.
    """

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        self.folder, self.config = folder, config
        self._count = sum(1 for _ in read_events(folder))
        path = folder / "events.jsonl"
        try:
            # A line cut off by a crash must not swallow the first new one.
            torn = path.exists() and path.stat().st_size > 0
            self._file = open(path, "a+b", buffering=0)  # noqa: SIM115  kept open
            if torn:
                self._file.seek(-1, os.SEEK_END)
                if self._file.read(1) != b"\n":
                    self._file.write(b"\n")
        except OSError as fault:
            raise FileError(
                "RV603", f"{path} cannot be written", details=str(fault.strerror)
            ) from fault

    @property
    def model_path(self) -> Path:
        """Where the newest model is."""
        return self.folder / "model.keras"

    def event(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Appends an event, in one write, and returns it."""
        event = {"i": self._count, "t": round(time.time(), 3), "k": kind, **fields}
        text = json.dumps(event, default=float) + "\n"
        try:
            self._file.write(text.encode())
        except OSError as fault:
            raise FileError(
                "RV603",
                f"{self.folder / 'events.jsonl'} cannot be written",
                details=str(fault.strerror),
                fix="free some space, then ranvier train --resume "
                f"{self.folder}    (the last saved model is whole)",
            ) from fault
        self._count += 1
        return event

    def close(self) -> None:
        """Flushes the events to disk."""
        if not self._file.closed:
            os.fsync(self._file.fileno())
            self._file.close()

    @classmethod
    def create(cls, name: str, folder: Path | None, config: dict[str, Any]) -> Run:
        """Makes the folder, ``runs/<name>-NNNN`` unless given, and writes run.json.

        Raises:
            FileError: RV603 when it cannot be made, or already holds a run.
        """
        if folder is None:
            folder = _next_folder(name)
        elif (folder / "run.json").exists():
            raise FileError(
                "RV603",
                f"{folder} already holds a run",
                fix=f"--out another folder, or ranvier train --resume {folder}",
            )
        else:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as fault:
                raise _cannot_make(folder, fault) from fault
        with atomic_write(folder / "run.json") as file:
            text = json.dumps({"schema": SCHEMA, **config}, indent=2, default=str)
            file.write(text.encode() + b"\n")
        return cls(folder, config)

    @classmethod
    def open(cls, folder: Path) -> Run:
        """Opens the folder of an earlier run to continue it.

        Raises:
            ResumeError: RV701 when it is no run, of a newer version, or has no model.
        """
        path = folder / "run.json"
        try:
            config = json.loads(path.read_bytes())
            schema = config["schema"]
        except FileNotFoundError:
            raise ResumeError(
                "RV701",
                f"{folder} is not the folder of a run",
                details=f"{path} does not exist",
                fix="ls runs",
            ) from None
        except (OSError, ValueError, KeyError, TypeError) as fault:
            raise ResumeError(
                "RV701", f"{path} is damaged", details=str(fault)
            ) from fault
        if schema > SCHEMA:
            raise ResumeError(
                "RV701",
                f"{folder} was written by a newer ranvier",
                details=f"schema {schema}, this version reads {SCHEMA}",
                fix="pip install --upgrade ranvier",
            )
        if not (folder / "model.keras").is_file():
            raise ResumeError(
                "RV701",
                f"{folder} has no saved model yet",
                fix="start it again: ranvier train " + str(config.get("name", "")),
            )
        return cls(folder, config)


def _cannot_make(folder: Path, fault: OSError) -> FileError:
    return FileError(
        "RV603",
        f"{folder} cannot be made",
        details=fault.strerror or str(fault),
        fix="--out DIR, a folder you may write to",
    )


def _next_folder(name: str) -> Path:
    """Makes the next free ``runs/<name>-NNNN``; two runs at once get two folders."""
    parent = Path("runs")
    try:
        parent.mkdir(exist_ok=True)
        numbers = [
            int(tail)
            for entry in parent.iterdir()
            if (tail := entry.name.removeprefix(f"{name}-")).isdigit()
        ]
        count = max(numbers, default=0) + 1
        while True:
            folder = parent / f"{name}-{count:04d}"
            try:
                folder.mkdir()
            except FileExistsError:
                count += 1
            else:
                return folder
    except OSError as fault:
        raise _cannot_make(parent, fault) from fault
