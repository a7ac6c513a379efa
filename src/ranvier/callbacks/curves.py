"""What a notebook shows of a training: where each number began and ended, and its way."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

__all__ = ["history_html"]

_WIDTH, _HEIGHT, _EDGE = 160, 28, 3
_HEAD = ("", "first", "lowest", "highest", "last", "")


def history_html(history: Mapping[str, Sequence[Any]], epochs: Sequence[int]) -> str:
    """The record of a `fit` as an HTML table with a curve for each number.

    Args:
        history: the values of each name, one an epoch.
        epochs: their numbers, from zero.

    Example:
        >>> page = history_html({"loss": [2.0, 1.0]}, [0, 1])
        >>> "1 (epoch 2)" in page, page.count("<svg")
        (True, 1)
    """
    count = max((len(values) for values in history.values()), default=0)
    title = f"<p><b>History</b>: {count:,} epoch{'' if count == 1 else 's'}</p>"
    if not history:
        return title
    head = "".join(f'<th style="text-align: left">{name}</th>' for name in _HEAD)
    rows = [_row(name, values, epochs) for name, values in history.items()]
    body = "\n".join(rows)
    return f"{title}\n<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def _row(name: str, values: Sequence[Any], epochs: Sequence[int]) -> str:
    first, last = _number(values[0]), _number(values[-1])
    points = [float(v) if np.ndim(v) == 0 else math.nan for v in values]
    finite = [i for i, value in enumerate(points) if math.isfinite(value)]
    cells = [name, first, "", "", last]
    curve = ""
    if finite:
        low = min(finite, key=points.__getitem__)
        high = max(finite, key=points.__getitem__)
        # The epochs of an earlier fit may be in front: these are the last ones.
        numbers = [*range(len(values) - len(epochs)), *epochs]
        cells[2] = f"{_number(points[low])} (epoch {numbers[low] + 1})"
        cells[3] = f"{_number(points[high])} (epoch {numbers[high] + 1})"
        curve = _curve(points, points[low], points[high])
    told = "".join(
        f'<td style="text-align: left">{escape(cell)}</td>' for cell in cells
    )
    return f"<tr>{told}<td>{curve}</td></tr>"


def _curve(points: Sequence[float], low: float, high: float) -> str:
    """A small line without axes; where a value is not finite it is broken."""
    span = (high - low) or 1.0
    step = (_WIDTH - 2 * _EDGE) / max(1, len(points) - 1)
    path, drawing = [], False
    for i, value in enumerate(points):
        if not math.isfinite(value):
            drawing = False
            continue
        x = _EDGE + i * step
        y = _EDGE + (_HEIGHT - 2 * _EDGE) * (high - value) / span
        path.append(f"{'L' if drawing else 'M'} {x:.1f} {y:.1f}")
        drawing = True
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="its curve" '
        f'width="{_WIDTH}" height="{_HEIGHT}"><path d="{" ".join(path)}" fill="none" '
        f'stroke="#0072B2" stroke-width="1.5" stroke-linecap="round"/></svg>'
    )


def _number(value: Any) -> str:
    if np.ndim(value):
        return str(np.round(np.asarray(value), 4).tolist())
    return f"{value:.4g}" if isinstance(value, (int, float)) else str(value)
