"""Where progress is shown: a terminal's line, a notebook's block, or lines of a log."""

from __future__ import annotations

import os
import shutil
import sys
import time
from html import escape
from typing import IO, Any

__all__ = ["Screen", "in_notebook"]

#: How many finished lines a notebook's block shows before the oldest go.
_LINES = 50
#: Seconds between two drawings of a notebook's block.
_REDRAW = 0.1


def in_notebook() -> bool:
    """Whether this process is a notebook's kernel.

    IPython is only looked for where somebody has imported it already.
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


class Screen:
    """Shows lines, the last of which is redrawn in place while it is not final.

    Args:
        stream: where to; by default stderr as it is when something is shown, and in a
            notebook a block of the cell's output.
    """

    def __init__(self, stream: IO[str] | None = None) -> None:
        self._stream = stream
        self._open_line = False
        self._cell: Any = None
        self._lines: list[str] = []
        self._gone = 0
        self._waiting = ""
        self._drawn = 0.0

    @property
    def stream(self) -> IO[str]:
        """Where it prints; looked up late, so that a redirected stderr counts."""
        return self._stream or sys.stderr

    @property
    def notebook(self) -> bool:
        """Whether it draws a block of a notebook."""
        return self._stream is None and in_notebook()

    @property
    def live(self) -> bool:
        """Whether a line can be drawn again in its place."""
        if self.notebook:
            return True
        stream = self.stream
        terminal = hasattr(stream, "isatty") and stream.isatty()
        return terminal and os.environ.get("TERM") != "dumb"

    def begin(self) -> None:
        """What comes belongs to another call: in a notebook, to another block."""
        self._flush()
        self._cell, self._lines, self._gone = None, [], 0

    def draw(self, text: str, final: bool) -> None:
        """Shows a line in place of the one that was not final.

        Args:
            text: the line.
            final: whether it stays.
        """
        if self.notebook:
            self._draw_in_cell(text, final)
            return
        stream = self.stream
        end = "\n" if final else ""
        if self.live:
            width = shutil.get_terminal_size().columns - 1
            # \r and "erase to the end of the line": the line may have been longer.
            cut = text if final else text[:width]
            stream.write(f"\r{cut}\x1b[K{end}")
        else:
            stream.write(text + end)
        self._open_line = not final
        stream.flush()

    def break_line(self) -> None:
        """Leaves no half line behind, and nothing that was not shown yet."""
        self._flush()
        if self._open_line:
            self.stream.write("\n")
            self._open_line = False

    def _draw_in_cell(self, text: str, final: bool) -> None:
        lines = [*self._lines, text]
        if final:
            self._gone += max(0, len(lines) - _LINES)
            self._lines = lines = lines[-_LINES:]
        head = [f"… {self._gone:,} lines before"] if self._gone else []
        self._waiting = "\n".join([*head, *lines])
        if self._cell is None or time.monotonic() - self._drawn >= _REDRAW:
            self._flush()

    def _flush(self) -> None:
        """Shows in the notebook what was kept back, for epochs of milliseconds."""
        if not self._waiting:
            return
        from IPython.display import display

        text = escape(self._waiting)
        data = {
            "text/plain": self._waiting,
            "text/html": f'<pre style="white-space: pre">{text}</pre>',
        }
        if self._cell is None:
            self._cell = display(data, raw=True, display_id=True)
        else:
            self._cell.update(data, raw=True)
        self._waiting, self._drawn = "", time.monotonic()
