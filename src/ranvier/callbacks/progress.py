"""The progress of `fit`, `evaluate` and `predict`: a live line, or lines for a log.

On a terminal, and in a notebook, the line is redrawn at most ten times a second.
Anywhere else each line is complete, without control characters, in `key=value` form, and
goes to stderr.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import IO, Any

from ranvier.callbacks.callback import Callback, Logs
from ranvier.callbacks.screen import Screen

__all__ = ["ProgbarLogger"]

_REDRAW = 0.1  # seconds between two drawings of a line
_HEARTBEAT = 30.0  # seconds between two signs of life in a log
_BAR = 20  # characters


class ProgbarLogger(Callback):
    """Prints what `verbose` asks for: 0 nothing, 1 a bar, 2 a line an epoch.

    Nothing happens between batches: the loop that trains either lets `watch` look at
    its counters, or calls `update`.

    Args:
        stream: where to; by default stderr, or a notebook's cell.
    """

    def __init__(self, stream: IO[str] | None = None) -> None:
        super().__init__()
        self._screen = Screen(stream)
        self.verbose = 1
        self.epochs = 1
        self.target: int | None = None
        self.rows: int | None = None
        self._epoch: int | None = None
        self._in_fit = False
        self._step = 0
        self._done_rows: int | None = None
        self._began = 0.0
        self._drawn = 0.0
        self._lock = threading.Lock()

    # -- the hooks -------------------------------------------------------------------

    def set_params(self, params: dict[str, Any]) -> None:
        """Takes `verbose`, `epochs`, `steps` and `rows` of the call."""
        super().set_params(params)
        verbose = params.get("verbose", 1)
        self.verbose = 1 if verbose in ("auto", True) else int(verbose)
        self.epochs = params.get("epochs") or 1
        self.target = params.get("steps")
        self.rows = params.get("rows")

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Validation inside `fit` prints nothing of its own."""
        self._in_fit = True
        self._screen.begin()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Leaves no half line behind."""
        self._in_fit = False
        self._break_line()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Starts the clock."""
        self._epoch = epoch
        self._start()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Prints the line of the epoch."""
        self._finish(logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Starts the clock of `evaluate`."""
        if not self._in_fit:
            self._epoch = None
            self._screen.begin()
            self._start()

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Prints the line of `evaluate`."""
        if not self._in_fit:
            self._finish(logs)

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Starts the clock of `predict`."""
        self._epoch = None
        self._screen.begin()
        self._start()

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Prints the line of `predict`; its results are no logs."""
        self._finish(None)

    # -- what a loop calls ----------------------------------------------------------

    def update(
        self, step: int, rows: int | None = None, logs: Logs | None = None
    ) -> None:
        """Tells how far it is; redraws the bar if it is time.

        Args:
            step: batches done.
            rows: rows done, where known.
            logs: the logs so far.
        """
        with self._lock:
            self._step = step
            self._done_rows = rows
            now = time.monotonic()
            if self.verbose != 1:
                return
            if self._screen.live:
                if now - self._drawn >= _REDRAW:
                    self._drawn = now
                    self._screen.draw(self._line(logs, now), final=False)
            elif now - self._drawn >= _HEARTBEAT and "CI" not in os.environ:
                self._drawn = now
                self._screen.draw(self._record(logs, now), final=True)

    @contextmanager
    def watch(
        self, counters: Callable[[], tuple[int, int | None]]
    ) -> Iterator[ProgbarLogger]:
        """Looks at counters from a thread of its own while the block runs.

        Args:
            counters: returns batches and rows done; must be cheap.
        """
        if self.verbose != 1:
            yield self
            return
        over = threading.Event()
        pause = _REDRAW if self._screen.live else 1.0

        def look() -> None:
            while not over.wait(pause):
                self.update(*counters())

        thread = threading.Thread(target=look, name="ranvier-progress", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            over.set()
            thread.join()
            self._step, self._done_rows = counters()

    # -- drawing ---------------------------------------------------------------------

    @property
    def stream(self) -> IO[str]:
        """Where it prints; looked up late, so that a redirected stderr counts."""
        return self._screen.stream

    def _start(self) -> None:
        with self._lock:
            self._step = 0
            self._done_rows = None
            self._began = self._drawn = time.monotonic()

    def _finish(self, logs: Logs | None) -> None:
        with self._lock:
            # A loop that did not count its steps did all of them.
            self._step = self._step or self.target or 0
            self.target = self.target or self._step or None
            if self._done_rows is None:
                self._done_rows = self.rows
            if self.verbose == 0:
                return
            now = time.monotonic()
            if self._screen.live:
                self._screen.draw(self._line(logs, now, final=True), final=True)
            else:
                self._screen.draw(self._record(logs, now), final=True)

    def _break_line(self) -> None:
        with self._lock:
            self._screen.break_line()

    def _place(self) -> str:
        if self._epoch is None:
            return ""
        width = len(str(self.epochs))
        return f"epoch {self._epoch + 1:>{width}}/{self.epochs}  "

    def _line(self, logs: Logs | None, now: float, final: bool = False) -> str:
        target, step = self.target, self._step
        seconds = max(now - self._began, 1e-9)
        unit = "updates" if self._epoch is not None else "batches"
        parts = []
        if target and not final:
            filled = min(_BAR, _BAR * step // target)
            parts.append("━" * filled + "─" * (_BAR - filled))
        parts.append(f"{step:,}/{target:,} {unit}" if target else f"{step:,} {unit}")
        if self._done_rows:
            parts.append(f"{_short(self._done_rows / seconds)} rows/s")
        if final:
            parts.append(_duration(seconds))
        elif target and step:
            parts.append(f"eta {_clock(seconds * (target - step) / step)}")
        parts += [f"{name} {_number(value)}" for name, value in (logs or {}).items()]
        return self._place() + "  ".join(parts)

    def _record(self, logs: Logs | None, now: float) -> str:
        seconds = max(now - self._began, 1e-9)
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        of = f"/{self.target}" if self.target else ""
        fields = [at]
        if self._epoch is not None:
            fields.append(f"epoch={self._epoch + 1}/{self.epochs}")
        unit = "updates" if self._epoch is not None else "batches"
        fields.append(f"{unit}={self._step}{of}")
        if self._done_rows:
            fields.append(f"rows={self._done_rows}")
        fields += [f"{name}={_number(value)}" for name, value in (logs or {}).items()]
        fields.append(f"secs={seconds:.2f}")
        if self._done_rows:
            fields.append(f"rows_per_s={self._done_rows / seconds:.0f}")
        return " ".join(fields)


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, (int, float)) else str(value)


def _short(value: float) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _duration(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds < 100 else _clock(seconds)
