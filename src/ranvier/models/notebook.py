"""What a notebook shows of a model: its summary as a table."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

from ranvier.models.summary import summary_table

__all__ = ["model_html"]


def model_html(model: Any) -> str:
    """The summary of a model as HTML; everything in it is escaped.

    Example:
        >>> import ranvier as keras
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        >>> "<td style=\\"text-align: right\\">8</td>" in model_html(model)
        True
    """
    table = summary_table(model)
    names = 2  # the columns of words; numbers stand on the right
    lines = [f"<p><b>{escape(table.title)}</b></p>", "<table>", "<thead>"]
    lines += [_row(table.head, "th", names), "</thead>", "<tbody>"]
    lines += [_row(row, "td", names) for row in table.rows]
    lines += ["</tbody>", "</table>"]
    lines += [f"<p>{'<br>'.join(map(escape, table.foot))}</p>"]
    return "\n".join(lines)


def _row(cells: Iterable[str], tag: str, names: int) -> str:
    shown = []
    for column, cell in enumerate(cells):
        side = "right" if column == names else "left"
        inner = cell.lstrip(" ")
        indent = "&nbsp;&nbsp;" * ((len(cell) - len(inner)) // 2)
        shown.append(
            f'<{tag} style="text-align: {side}">{indent}{escape(inner)}</{tag}>'
        )
    return f"<tr>{''.join(shown)}</tr>"
