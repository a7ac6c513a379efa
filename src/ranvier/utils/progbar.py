"""A bar for loops of one's own."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from ranvier.callbacks.screen import Screen
from ranvier.errors import ShapeError

__all__ = ["Progbar"]

_REDRAW = 0.1  # seconds: no eye needs it more often


class Progbar:
    """Shows how far a loop is, and the means of some numbers.

    A terminal and a notebook show a line that is drawn again in its place; anywhere
    else one line is written when the loop is done, without control characters. It goes
    to stderr, where Keras writes to stdout.

    Args:
        target: how many steps there are; ``None`` where it is not known.
        width: of the bar, in characters.
        verbose: 0 nothing, 1 a bar, 2 one line at the end.
        interval: seconds between two drawings, at least; a notebook draws at most ten
            times a second.
        stateful_metrics: names of numbers that are shown as they are; the others are
            averaged over the steps.
        stateless_metrics: names of numbers that are averaged; the others are shown as
            they are.
        unit_name: what a step is called.

    Raises:
        ShapeError: RV100 when both kinds of names are given.

    Example:
        >>> bar = Progbar(3, verbose=0)
        >>> for step in (1, 2):
        ...     bar.update(step, [("loss", 1.0 / step)])
        >>> bar.means
        {'loss': 0.75}
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Iterable[str] | None = None,
        stateless_metrics: Iterable[str] | None = None,
        unit_name: str = "step",
    ) -> None:
        if stateful_metrics is not None and stateless_metrics is not None:
            raise ShapeError(
                "RV100",
                "Progbar takes stateful_metrics or stateless_metrics, not both",
                details="each says that all other numbers are of the other kind",
                fix="Progbar(target, stateful_metrics=[...])",
            )
        self.target, self.width, self.verbose = target, width, verbose
        self.interval, self.unit_name = interval, unit_name
        self.stateful_metrics = set(stateful_metrics or ())
        self.stateless_metrics = (
            None if stateless_metrics is None else set(stateless_metrics)
        )
        self._sums: dict[str, tuple[Any, int]] = {}
        self._seen = 0
        self._screen = Screen()
        self._began = time.monotonic()
        self._drawn = -np.inf

    @property
    def means(self) -> dict[str, float]:
        """The numbers as they are shown."""
        return {
            name: float(np.mean(total)) / max(1, count)
            for name, (total, count) in self._sums.items()
        }

    def _averaged(self, name: str) -> bool:
        if self.stateless_metrics is not None:
            return name in self.stateless_metrics
        return name not in self.stateful_metrics

    def update(
        self,
        current: int,
        values: Iterable[tuple[str, Any]] | None = None,
        finalize: bool | None = None,
    ) -> None:
        """Tells how far the loop is.

        Args:
            current: steps done.
            values: names and numbers of the last step. Those that are averaged count
                for as many steps as have been done since the last call; with the last
                call the number given is the one that is shown.
            finalize: whether this is the last call; by default at `target`.
        """
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        for name, value in values or ():
            if not self._averaged(name) or finalize:
                self._sums[name] = value, 1
                continue
            steps = max(current - self._seen, 1)
            total, count = self._sums.get(name, (0.0, 0))
            self._sums[name] = total + value * steps, count + steps
        self._seen = current
        now = time.monotonic()
        screen = self._screen
        if self.verbose == 0:
            return
        if finalize:
            screen.draw(self._line(current, now, final=True), final=True)
            screen.break_line()
            return
        pause = max(self.interval, _REDRAW) if screen.notebook else self.interval
        if self.verbose == 1 and screen.live and now - self._drawn >= pause:
            self._drawn = now
            screen.draw(self._line(current, now, final=False), final=False)

    def add(self, n: int, values: Iterable[tuple[str, Any]] | None = None) -> None:
        """Tells that `n` more steps are done."""
        self.update(self._seen + n, values)

    def _line(self, current: int, now: float, final: bool) -> str:
        seconds = max(now - self._began, 0.0)
        each = seconds / current if current else 0.0
        unit = self.unit_name
        if self.target:
            done = f"{current:>{len(str(self.target))}}/{self.target}"
            filled = min(self.width, self.width * current // self.target)
            bar = "━" * filled + "─" * (self.width - filled)
            left = seconds if final else each * max(0, self.target - current)
            parts = [done, bar, _clock(left)]
        else:
            parts = [f"{current}/?", _clock(seconds)]
        if self.verbose == 2 or not self._screen.live:
            parts = [part for part in parts if not set(part) & {"━", "─"}]
        parts.append(f"{_short(each)}/{unit}")
        parts += [f"- {name}: {_number(value)}" for name, value in self.means.items()]
        return " ".join(parts)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02d}:{rest:02d}"
    return f"{minutes}:{rest:02d}" if minutes else f"{rest}s"


def _short(seconds: float) -> str:
    for size, unit in ((1.0, "s"), (1e-3, "ms")):
        if seconds >= size or seconds == 0:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds / 1e-6:.0f}us"


def _number(value: float) -> str:
    return f"{value:.4f}" if abs(value) > 1e-3 else f"{value:.4e}"
