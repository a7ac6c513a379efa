"""Boxes with text, frames around them and arrows between them, as SVG."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from ranvier.utils.layering import PASSING, Block, Link, arrange

__all__ = ["Box", "Cell", "Drawing", "Picture", "Port", "render", "text_width"]

_FONT = "Helvetica, Arial, sans-serif"
_HEAD, _BODY = 15.0, 13.0  # sizes of text
_PAD, _ROW = 10.0, 28.0
_MARGIN = 8.0
_TIP = 8.0  # length of an arrow's head
_INK, _LINE, _PAPER = "#111418", "#5b6570", "#ffffff"

#: Widths of letters in thousandths of the size of the text, Helvetica's; others are 556.
_WIDTHS = {
    **dict.fromkeys("ijl'|", 222),
    **dict.fromkeys(" ftI.,:;/\\![]", 278),
    **dict.fromkeys('r()-{}"`', 333),
    **dict.fromkeys("ckszvxyJ", 500),
    **dict.fromkeys("FTZL", 611),
    **dict.fromkeys("AEBSPKVXY&", 667),
    **dict.fromkeys("CDHNRUw", 722),
    **dict.fromkeys("GOQ", 778),
    **dict.fromkeys("mM", 833),
    **dict.fromkeys("W", 944),
    **dict.fromkeys("%@", 1000),
}


def text_width(text: str, size: float, bold: bool = False) -> float:
    """About how wide a text is, rather too wide than too narrow: fonts differ.

    Example:
        >>> text_width("Dense", 10.0) < text_width("Convolution", 10.0)
        True
    """
    total = 0
    for letter in text:
        wide = unicodedata.east_asian_width(letter) in "WF"
        total += 1000 if wide else _WIDTHS.get(letter, 556)
    return total / 1000 * size * (1.3 if bold else 1.15)


@dataclass(frozen=True)
class Cell:
    """A piece of a box's last row.

    Attributes:
        text: what it says.
        paper: its colour.
        ink: the colour of its text.
    """

    text: str
    paper: str = _PAPER
    ink: str = _INK


@dataclass
class Box:
    """A box: a dark head, lines across it, and a row of cells.

    Attributes:
        head: the title.
        lines: full lines under the title.
        cells: side by side at the bottom.
    """

    head: str
    lines: Sequence[str] = ()
    cells: Sequence[Cell] = ()

    def size(self) -> tuple[float, float]:
        """Width and height."""
        cells = sum(_cell_width(cell) for cell in self.cells)
        wide = max(
            [
                text_width(self.head, _HEAD, bold=True),
                *(text_width(line, _BODY) for line in self.lines),
            ]
        )
        rows = len(self.lines) + bool(self.cells)
        return max(wide + 2 * _PAD, cells), _ROW * (1 + rows)

    def draw(self, x: float, y: float) -> list[str]:
        """Its elements, with the upper left corner there."""
        width, height = self.size()
        drawn = [_rectangle(x, y, width, _ROW, _INK)]
        drawn.append(_text(x + width / 2, y + 19, self.head, _HEAD, _PAPER, "bold"))
        at = y + _ROW
        for line in self.lines:
            drawn.append(_rectangle(x, at, width, _ROW, _PAPER))
            drawn.append(_text(x + width / 2, at + 18.5, line, _BODY, _INK))
            at += _ROW
        spare = width - sum(_cell_width(cell) for cell in self.cells)
        left = x
        for cell in self.cells:
            one = _cell_width(cell) + spare / len(self.cells)
            drawn.append(_rectangle(left, at, one, _ROW, cell.paper))
            drawn.append(_text(left + one / 2, at + 18.5, cell.text, _BODY, cell.ink))
            left += one
        drawn.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" '
            f'fill="none" stroke="{_INK}"/>'
        )
        return drawn


class Port:
    """Where arrows come into a frame, or leave it: a place without a size.

    Args:
        out: whether they leave.
    """

    def __init__(self, out: bool) -> None:
        self.out = out

    def size(self) -> tuple[float, float]:
        """Nothing."""
        return 0.0, 0.0

    def draw(self, x: float, y: float) -> list[str]:
        """Nothing."""
        return []


@dataclass
class Picture:
    """Boxes, frames, and the arrows between them.

    Attributes:
        items: `Box`, `Port` or another `Picture`, which is drawn with a frame.
        arrows: pairs of items by their numbers; after them, for pictures, which port of
            the first is left and which of the second is entered.
        label: what the frame says.
        across: whether arrows run from left to right instead of downwards.
    """

    items: list[Any]
    arrows: list[tuple[int, int, int, int]]
    label: str = ""
    across: bool = False
    _layout: Any = field(default=None, repr=False)

    def _arranged(self) -> Any:
        if self._layout is None:
            blocks, links = [], []
            for item in self.items:
                size = item.size()
                out = isinstance(item, Port) and item.out
                breadth, length = size[::-1] if self.across else size
                blocks.append(Block(breadth, length, out))
            for source, target, leaves, enters in self.arrows:
                shifts = (
                    _port(self.items[source], True, leaves),
                    _port(self.items[target], False, enters),
                )
                links.append(Link(source, target, *shifts))
            self._layout = arrange(blocks, links)
        return self._layout

    def size(self) -> tuple[float, float]:
        """Width and height with the frame."""
        layout = self._arranged()
        width, height = layout.breadth, layout.length
        if self.across:
            width, height = height, width
        if self.label:
            # Along the flow the way from the frame to the first box is room enough.
            sides = (0.0, _ROW + _PAD) if self.across else (2 * _PAD, _ROW / 2)
            width = max(width + sides[0], text_width(self.label, _BODY) + 2 * _PAD)
            height += sides[1]
        return width, height

    def _corner(self) -> tuple[float, float]:
        """Where the first of its inside is, seen from its upper left corner."""
        if not self.label:
            return 0.0, 0.0
        layout = self._arranged()
        inner = layout.length if self.across else layout.breadth
        return (self.size()[0] - inner) / 2, _ROW if self.across else _ROW / 2

    def port(self, out: bool, which: int) -> float:
        """Where a port is, across, from the middle."""
        ports = [
            at
            for item, (at, _) in zip(self.items, self._arranged().places, strict=True)
            if isinstance(item, Port) and item.out == out
        ]
        if not ports:
            return 0.0
        corner, size = self._corner(), self.size()
        side = 1 if self.across else 0
        return corner[side] + ports[min(which, len(ports) - 1)] - size[side] / 2

    def draw(self, x: float, y: float) -> list[str]:
        """Its elements, with the upper left corner there."""
        layout = self._arranged()
        drawn = []
        if self.label:
            width, height = self.size()
            drawn.append(
                f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" '
                f'fill="none" stroke="{_LINE}" stroke-dasharray="5 4"/>'
            )
            drawn.append(
                _text(x + _PAD, y + 19, self.label, _BODY, _INK, anchor="start")
            )
        corner = self._corner()
        x, y = x + corner[0], y + corner[1]
        for (_, target, *_), route in zip(self.arrows, layout.routes, strict=True):
            if self.label:  # from frame to frame: ports stand on the inside's edges
                route = self._to_the_frame(route)
            drawn += self._arrow(route, x, y, isinstance(self.items[target], Box))
        for item, (at, begin) in zip(self.items, layout.places, strict=True):
            width, height = item.size()
            left, top = (
                (begin, at - height / 2) if self.across else (at - width / 2, begin)
            )
            drawn += item.draw(x + left, y + top)
        return drawn

    def _to_the_frame(self, route: Any) -> Any:
        """A route whose ends at ports reach the frame."""
        layout, corner, size = self._arranged(), self._corner(), self.size()
        side = 0 if self.across else 1
        ports = {
            place
            for item, place in zip(self.items, layout.places, strict=True)
            if isinstance(item, Port)
        }
        (first, begin, a), (last, b, end) = route[0], route[-1]
        if (first, begin) in ports and len(route) > 1:
            route = [(first, -corner[side], a), *route[1:]]
        if (last, end) in ports and len(route) > 1:
            behind = size[side] - corner[side]
            route = [*route[:-1], (last, b, behind)]
        return route

    def _arrow(self, route: Any, x: float, y: float, tip: bool) -> list[str]:
        def at(across: float, along: float) -> str:
            point = (along, across) if self.across else (across, along)
            return f"{x + point[0]:g} {y + point[1]:g}"

        if len(route) == 1:  # from a box to itself, along its side
            (middle, begin, end) = route[0]
            span = (end - begin) / 4
            side = middle + self._half_breadth(route[0])
            out = side + 2 * PASSING
            path = (
                f"M {at(side, end - span)} C {at(out, end - span)} "
                f"{at(out, begin + span)} {at(side + _TIP, begin + span)}"
            )
            head = [
                at(side, begin + span),
                at(side + _TIP, begin + span - _TIP / 2),
                at(side + _TIP, begin + span + _TIP / 2),
            ]
            return [_curve(path), _head(head)]
        (across, begin, end) = route[0]
        path = f"M {at(across, begin)} L {at(across, end)}"
        now = (across, end)
        for place, (across, begin, end) in enumerate(route[1:], 1):
            final = place == len(route) - 1
            back = begin < now[1] or end < begin
            meet = begin - (0.0 if not (tip and final) else -_TIP if back else _TIP)
            middle = (now[1] + meet) / 2
            if across == now[0]:
                path += f" L {at(across, meet)}"
            else:
                path += (
                    f" C {at(now[0], middle)} {at(across, middle)} {at(across, meet)}"
                )
            if not final or not tip:
                path += f" L {at(across, end)}"
            now = (across, end)
        if not tip:
            return [_curve(path)]
        across, end = route[-1][0], route[-1][1]
        base = end + (_TIP if back else -_TIP)
        head = [
            at(across, end),
            at(across - _TIP / 2, base),
            at(across + _TIP / 2, base),
        ]
        return [_curve(path), _head(head)]

    def _half_breadth(self, stretch: tuple[float, float, float]) -> float:
        layout = self._arranged()
        for item, place in zip(self.items, layout.places, strict=True):
            if place == stretch[:2]:
                return float(item.size()[1 if self.across else 0]) / 2
        return 0.0


class Drawing:
    """A drawing as SVG; a notebook shows it.

    Args:
        svg: its text.

    Example:
        >>> Drawing('<svg xmlns="http://www.w3.org/2000/svg"/>').svg[:4]
        '<svg'
    """

    def __init__(self, svg: str) -> None:
        self.svg = svg

    def save(self, path: Any) -> None:
        """Writes the SVG to a file.

        Raises:
            FileError: RV603 when it cannot be written.
        """
        from ranvier.utils.files import atomic_write

        with atomic_write(Path(path)) as file:
            file.write(self.svg.encode())

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"<Drawing, {len(self.svg):,} bytes of SVG>"


def render(picture: Picture, title: str) -> Drawing:
    """The drawing of a picture.

    Args:
        picture: what is drawn.
        title: what a screen reader says.
    """
    width, height = (side + 2 * _MARGIN for side in picture.size())
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width:g}" '
        f'height="{height:g}" viewBox="0 0 {width:g} {height:g}" '
        f'font-family="{_FONT}">',
        f"<title>{escape(title)}</title>",
        _rectangle(0, 0, width, height, _PAPER, stroke="none"),
        *picture.draw(_MARGIN, _MARGIN),
        "</svg>",
    ]
    return Drawing("\n".join(lines) + "\n")


# -- elements ------------------------------------------------------------------------


def _port(item: Any, out: bool, which: int) -> float:
    return item.port(out, which) if isinstance(item, Picture) else 0.0


def _cell_width(cell: Cell) -> float:
    return text_width(cell.text, _BODY) + 2 * _PAD


def _rectangle(
    x: float, y: float, width: float, height: float, paper: str, stroke: str = _INK
) -> str:
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" '
        f'fill="{paper}" stroke="{stroke}"/>'
    )


def _text(
    x: float,
    y: float,
    text: str,
    size: float,
    ink: str,
    weight: str = "normal",
    anchor: str = "middle",
) -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" font-weight="{weight}" '
        f'text-anchor="{anchor}" fill="{ink}">{escape(text)}</text>'
    )


def _curve(path: str) -> str:
    return f'<path d="{path}" fill="none" stroke="{_LINE}" stroke-width="1.5"/>'


def _head(points: Sequence[str]) -> str:
    return f'<path d="M {" L ".join(points)} Z" fill="{_LINE}"/>'
