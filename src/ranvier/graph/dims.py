"""Sizes of axes: integers, or polynomials over named symbols such as ``batch``.

A symbolic size is bound to an integer only when a graph runs, so another batch
size or sequence length never traces again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias


class Dim:
    """A symbolic size: an integer polynomial over named symbols.

    ``+``, ``-``, ``*`` and ``//`` with integers or other sizes give a `Dim`, or an
    ``int`` as soon as no symbol is left.

    Example:
        >>> b = Dim.symbol("batch")
        >>> 2 * b + 1, bind(2 * b + 1, {"batch": 32}), (6 * b) // 3, b - b
        (2*batch+1, 65, 2*batch, 0)
    """

    __slots__ = ("_hash", "terms")

    def __init__(self, terms: dict[tuple[Any, ...], int]) -> None:
        self.terms = tuple(sorted(terms.items(), key=lambda item: repr(item[0])))
        self._hash = hash(self.terms)

    @staticmethod
    def symbol(name: str) -> Dim:
        """The size called ``name``."""
        return Dim({(name,): 1})

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dim) and self.terms == other.terms

    def __add__(self, other: Size) -> Size:
        terms = dict(self.terms)
        for monomial, factor in _terms(other):
            terms[monomial] = terms.get(monomial, 0) + factor
        return _normal(terms)

    __radd__ = __add__

    def __neg__(self) -> Size:
        return self * -1

    def __sub__(self, other: Size) -> Size:
        return self + (other * -1)

    def __rsub__(self, other: int) -> Size:
        return (self * -1) + other

    def __mul__(self, other: Size) -> Size:
        terms: dict[tuple[Any, ...], int] = {}
        for left, a in self.terms:
            for right, b in _terms(other):
                monomial = tuple(sorted(left + right, key=repr))
                terms[monomial] = terms.get(monomial, 0) + a * b
        return _normal(terms)

    __rmul__ = __mul__

    def __floordiv__(self, other: Size) -> Size:
        """Divide, exactly where the polynomial allows, else as a floor atom."""
        exact = _divide(self, other)
        return Dim({(_Floor(self, other),): 1}) if exact is None else exact

    def __rfloordiv__(self, other: int) -> Size:
        return Dim({(_Floor(other, self),): 1})

    def __mod__(self, other: Size) -> Size:
        return self - (self // other) * other

    def __repr__(self) -> str:
        text = "+".join(
            str(factor)
            if not monomial
            else "*".join(
                ([str(factor)] if factor != 1 else []) + [str(a) for a in monomial]
            )
            for monomial, factor in sorted(
                self.terms, key=lambda item: (-len(item[0]), repr(item[0]))
            )
        )
        return text.replace("+-", "-")

    def symbols(self) -> set[str]:
        """Names of the symbols in this size."""
        found: set[str] = set()
        for monomial, _ in self.terms:
            for atom in monomial:
                if isinstance(atom, str):
                    found.add(atom)
                else:
                    found |= symbols(atom.top) | symbols(atom.bottom)
        return found


Size: TypeAlias = int | Dim
Shape: TypeAlias = tuple[Size, ...]


class _Floor:
    """``top // bottom`` where the division is not exact; an atom of a monomial."""

    __slots__ = ("bottom", "top")

    def __init__(self, top: Size, bottom: Size) -> None:
        self.top, self.bottom = top, bottom

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, _Floor)
            and self.top == other.top
            and self.bottom == other.bottom
        )

    def __hash__(self) -> int:
        return hash((self.top, self.bottom))

    def __repr__(self) -> str:
        return f"(({self.top})//({self.bottom}))"


def _terms(size: Size) -> Iterable[tuple[tuple[Any, ...], int]]:
    return size.terms if isinstance(size, Dim) else (((), int(size)),)


def _normal(terms: dict[tuple[Any, ...], int]) -> Size:
    kept = {monomial: factor for monomial, factor in terms.items() if factor}
    if not kept:
        return 0
    if set(kept) == {()}:
        return kept[()]
    return Dim(kept)


def _divide(top: Dim, bottom: Size) -> Size | None:
    """The exact quotient by an integer or a one-term size, or ``None``."""
    if isinstance(bottom, Dim):
        if top == bottom:
            return 1
        if len(bottom.terms) != 1:
            return None
    ((divisor, by),) = _terms(bottom)
    quotient: dict[tuple[Any, ...], int] = {}
    for monomial, factor in top.terms:
        rest = list(monomial)
        for atom in divisor:
            if atom not in rest:
                return None
            rest.remove(atom)
        if by == 0 or factor % by:
            return None
        quotient[tuple(rest)] = factor // by
    return _normal(quotient)


def symbols(size: Any) -> set[str]:
    """Names of the symbols in a size (none for an integer)."""
    return size.symbols() if isinstance(size, Dim) else set()


def product(sizes: Iterable[Size]) -> Size:
    """The product of sizes; 1 for none."""
    result: Size = 1
    for size in sizes:
        result = result * size
    return result


def bind(value: Any, sizes: Mapping[str, int]) -> Any:
    """Replace every symbolic size in a nested tuple, list or dict by its integer."""
    if isinstance(value, Dim):
        total = 0
        for monomial, factor in value.terms:
            for atom in monomial:
                factor *= (
                    sizes[atom]
                    if isinstance(atom, str)
                    else bind(atom.top, sizes) // bind(atom.bottom, sizes)
                )
            total += factor
        return total
    if isinstance(value, tuple):
        return tuple(bind(item, sizes) for item in value)
    if isinstance(value, list):
        return [bind(item, sizes) for item in value]
    if isinstance(value, dict):
        return {key: bind(item, sizes) for key, item in value.items()}
    return value


def unify(shape: Shape, actual: tuple[int, ...], sizes: dict[str, int]) -> bool:
    """Match a shape of plain symbols and integers with real sizes, filling ``sizes``.

    Returns:
        Whether they fit; ``sizes`` may be partly filled when they do not.
    """
    if len(shape) != len(actual):
        return False
    for size, real in zip(shape, actual, strict=True):
        if isinstance(size, Dim):
            ((monomial, factor),) = size.terms
            if len(monomial) != 1 or factor != 1 or not isinstance(monomial[0], str):
                if bind(size, sizes) != real:
                    return False
            elif sizes.setdefault(monomial[0], real) != real:
                return False
        elif size != real:
            return False
    return True
