"""The command ``ranvier``.

Exit codes: 0 done; 1 an error in data, model or environment; 2 wrong usage; 3 training
diverged; 130 interrupted, work saved.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code.

    Args:
        argv: the words after ``ranvier``; those of the process when not given.
    """
    import os

    from ranvier.cli.app import run

    try:
        return run(list(sys.argv[1:] if argv is None else argv))
    except BrokenPipeError:
        # The reader of the pipe left (`ranvier … | head`). Point stdout elsewhere so
        # that the interpreter does not fail again when it flushes on the way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
