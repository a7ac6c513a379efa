"""What callbacks say to the user: lines on stderr, so that stdout stays for data."""

from __future__ import annotations

import sys

__all__ = ["say"]


def say(message: str) -> None:
    """Prints a line."""
    sys.stderr.write(message + "\n")
    sys.stderr.flush()
