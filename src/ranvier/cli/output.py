"""What the commands print, and for whom: a terminal, a pipe, or a machine.

Results go to stdout; a live bar, errors and findings go to stderr. In a pipe there are
no control characters and an epoch is a line of ``key=value``; with ``--json`` stdout
holds one JSON object a line and nothing else.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from collections.abc import Mapping
from typing import Any, TextIO

from ranvier.errors import Finding, RanvierError, RanvierWarning

__all__ = ["Output", "Unwritable", "number"]


def number(value: float) -> str:
    """Four decimals without trailing zeros; scientific below 1e-4 and from 1e6.

    Example:
        >>> number(0.31234), number(12.0)
        ('0.3123', '12')
    """
    if value != 0 and not 1e-4 <= abs(value) < 1e6:
        return f"{value:.4g}"
    return f"{value:.4f}".rstrip("0").rstrip(".")


class Unwritable(OSError):
    """What a command prints cannot be written: the disk it goes to is full."""


def _print(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as fault:
        raise Unwritable(fault.errno, fault.strerror) from fault


class Output:
    """Where a command writes.

    Args:
        as_json: machine-readable lines instead of text.
        quiet: only results and errors.
    """

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json, self.quiet = as_json, quiet
        term = os.environ.get("TERM", "")
        self.terminal = sys.stdout.isatty() and term != "dumb" and not as_json
        self.live = self.terminal and sys.stderr.isatty() and not quiet
        self.color = self.terminal and not os.environ.get("NO_COLOR")
        self._bar = ""
        self.findings: list[Finding] = []

    def json(self, value: Mapping[str, Any]) -> None:
        """One JSON object on a line of its own."""
        _print(json.dumps(value, default=str))

    def line(self, text: str = "") -> None:
        """A result, on stdout; nothing in JSON mode."""
        if self.as_json:
            return
        self.clear()
        _print(text)

    def talk(self, text: str) -> None:
        """A line of context; nothing when quiet or in JSON mode."""
        if not self.quiet:
            self.line(text)

    def field(self, name: str, text: str) -> None:
        """``name    text``, the name padded to a column."""
        label = f"{name:<7}"
        if self.color:
            label = f"\033[1m{label}\033[0m"
        self.talk(f"{label} {text}")

    def bar(self, text: str) -> None:
        """Replaces the live line; only in a terminal."""
        if not self.live:
            return
        try:
            width = os.get_terminal_size(sys.stderr.fileno()).columns
        except OSError:
            width = 80
        text = text[: width - 1]
        padding = " " * max(0, len(self._bar) - len(text))
        print(f"\r{text}{padding}", end="", file=sys.stderr, flush=True)
        self._bar = text

    def clear(self) -> None:
        """Removes the live line."""
        if self._bar:
            print(f"\r{' ' * len(self._bar)}\r", end="", file=sys.stderr, flush=True)
            self._bar = ""

    def error(self, fault: RanvierError) -> None:
        """An error, on stderr; in JSON mode an object on stdout as well."""
        self.clear()
        if self.as_json:
            # The place is a line of this command's own, which tells nobody anything.
            self.json({"k": "error", **fault.as_dict(), "place": ""})
        text = fault.format(place=False)
        if self.color:
            head, _, rest = text.partition(":")
            text = f"\033[31m{head}\033[0m:{rest}"
        print(text, file=sys.stderr, flush=True)

    def finding(self, finding: Finding) -> None:
        """A finding, on stderr (in JSON mode on stdout)."""
        self.findings.append(finding)
        self.clear()
        if self.as_json:
            fields = {"code": finding.code, "message": finding.message}
            self.json({"k": "finding", **fields, "fix": finding.fix})
        else:
            print(finding.format(), file=sys.stderr, flush=True)
            if os.environ.get("GITHUB_ACTIONS"):
                print(f"::warning title={finding.code}::{finding.message}", flush=True)

    def catch_findings(self) -> None:
        """Shows findings that come as Python warnings in the command's own way."""
        plain = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            finding = getattr(message, "finding", None)
            if isinstance(message, RanvierWarning) and finding is not None:
                self.finding(finding)
            else:
                plain(message, category, filename, lineno, file, line)

        warnings.showwarning = show

    @staticmethod
    def now() -> str:
        """The time in UTC, as log lines begin."""
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
