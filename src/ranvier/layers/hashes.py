"""The hash functions of TensorFlow's categories: FarmHash64, and SipHash-2-4 with a key.

Both take many byte strings at once. The strings stand one after the other in a buffer, and
every step of a hash is done for all strings of a kind together, on arrays of 64-bit words.
FarmHash is Google's (its function `Fingerprint64`, which never changes); SipHash is by
Aumasson and Bernstein.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Words = np.ndarray[Any, np.dtype[np.uint64]]
Pair = tuple[Any, Any]

_U = np.uint64
_K0, _K1, _K2 = (
    _U(k) for k in (0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F)
)
_SEED = 81


class _Strings:
    """Byte strings in one buffer, read word by word at any place."""

    def __init__(self, strings: Sequence[bytes]) -> None:
        self.sizes = np.fromiter(map(len, strings), np.int64, len(strings))
        self.starts = np.cumsum(self.sizes) - self.sizes
        # The words at the last bytes reach beyond them.
        buffer = b"".join((*strings, bytes(16)))
        self.bytes = np.frombuffer(buffer, np.uint8)
        # A word for every byte: they overlap.
        self.words: Words = np.ndarray(len(buffer) - 7, "<u8", buffer, 0, (1,))

    def word(self, at: Any) -> Words:
        """The eight bytes at these places."""
        return self.words[at].astype(_U)

    def half(self, at: Any) -> Words:
        """The four bytes at these places."""
        return self.word(at) & _U(0xFFFFFFFF)

    def byte(self, at: Any) -> Words:
        """The bytes at these places."""
        return self.bytes[at].astype(_U)


def _rotated(x: Words, right: int) -> Words:
    return (x >> _U(right)) | (x << _U(64 - right))


# -- FarmHash ------------------------------------------------------------------------


def farmhash64(strings: Sequence[bytes]) -> Words:
    """The 64-bit FarmHash fingerprint of each byte string.

    Example:
        >>> [hex(h) for h in farmhash64([b"", b"ranvier"]).tolist()]
        ['0x9ae16a3b2f90404f', '0x6b6e191fe43794cc']
    """
    given = _Strings(strings)
    found = np.full(len(strings), _K2, _U)
    kinds = ((1, 3, _to_3), (4, 7, _to_7), (8, 16, _to_16), (17, 32, _to_32))
    for low, high, function in (*kinds, (33, 64, _to_64)):
        rows = np.flatnonzero((given.sizes >= low) & (given.sizes <= high))
        if rows.size:
            found[rows] = function(given, given.starts[rows], given.sizes[rows])
    blocks = np.where(given.sizes > 64, (given.sizes - 1) // 64, 0)
    for count in np.unique(blocks[blocks > 0]).tolist():
        rows = np.flatnonzero(blocks == count)
        found[rows] = _long(given, given.starts[rows], given.sizes[rows], count)
    return found


def _shifted(x: Words) -> Words:
    return x ^ (x >> _U(47))


def _mixed(u: Words, v: Words, factor: Words) -> Words:
    a = _shifted((u ^ v) * factor)
    return _shifted((v ^ a) * factor) * factor


def _factor(sizes: Any) -> Words:
    return _K2 + sizes.astype(_U) * _U(2)


def _to_3(given: _Strings, at: Any, sizes: Any) -> Words:
    first, middle = given.byte(at), given.byte(at + (sizes >> 1))
    y = first + (middle << _U(8))
    z = sizes.astype(_U) + (given.byte(at + sizes - 1) << _U(2))
    return _shifted((y * _K2) ^ (z * _K0)) * _K2


def _to_7(given: _Strings, at: Any, sizes: Any) -> Words:
    front = sizes.astype(_U) + (given.half(at) << _U(3))
    return _mixed(front, given.half(at + sizes - 4), _factor(sizes))


def _to_16(given: _Strings, at: Any, sizes: Any) -> Words:
    factor = _factor(sizes)
    a = given.word(at) + _K2
    b = given.word(at + sizes - 8)
    c = _rotated(b, 37) * factor + a
    d = (_rotated(a, 25) + b) * factor
    return _mixed(c, d, factor)


def _to_32(given: _Strings, at: Any, sizes: Any) -> Words:
    factor = _factor(sizes)
    a = given.word(at) * _K1
    b = given.word(at + 8)
    c = given.word(at + sizes - 8) * factor
    d = given.word(at + sizes - 16) * _K2
    front = _rotated(a + b, 43) + _rotated(c, 30) + d
    return _mixed(front, a + _rotated(b + _K2, 18) + c, factor)


def _to_64(given: _Strings, at: Any, sizes: Any) -> Words:
    factor = _factor(sizes)
    a = given.word(at) * _K2
    b = given.word(at + 8)
    c = given.word(at + sizes - 8) * factor
    d = given.word(at + sizes - 16) * _K2
    y = _rotated(a + b, 43) + _rotated(c, 30) + d
    z = _mixed(y, a + _rotated(b + _K2, 18) + c, factor)
    e = given.word(at + 16) * factor
    f = given.word(at + 24)
    g = (y + given.word(at + sizes - 32)) * factor
    h = (z + given.word(at + sizes - 24)) * factor
    front = _rotated(e + f, 43) + _rotated(g, 30) + h
    return _mixed(front, e + _rotated(f + a, 18) + g, factor)


def _weak(given: _Strings, at: Any, a: Words, b: Words) -> Pair:
    """Two words of 32 bytes and two seeds."""
    w, x, y, z = (given.word(at + i) for i in (0, 8, 16, 24))
    a = a + w
    b = _rotated(b + a + z, 21)
    c = a
    a = a + x + y
    return a + z, b + _rotated(a, 44) + c


def _long(given: _Strings, at: Any, sizes: Any, blocks: int) -> Words:
    """Strings of more than 64 bytes: so many whole blocks, then the last 64 bytes."""
    y = np.full(len(at), (_SEED * int(_K1) + 113) & (2**64 - 1), _U)
    z = _shifted(y * _K2 + _U(113)) * _K2
    x = _U((_SEED * int(_K2)) & (2**64 - 1)) + given.word(at)
    zero = np.zeros(len(at), _U)
    v: Pair = zero, zero
    w: Pair = zero, zero
    nine = _U(1)
    factor: Any = _K1
    last = (sizes - 1) & 63
    for block in range(blocks + 1):
        if block == blocks:
            factor = _K1 + ((z & _U(0xFF)) << _U(1))
            nine = _U(9)
            first = w[0] + last.astype(_U)
            v = v[0] + first, v[1]
            w = first + v[0], w[1]
            at = at + last - 63
        x = _rotated(x + y + v[0] + given.word(at + 8), 37) * factor
        y = _rotated(y + v[1] + given.word(at + 48), 42) * factor
        x = x ^ (w[1] * nine)
        y = y + v[0] * nine + given.word(at + 40)
        z = _rotated(z + w[0], 33) * factor
        v = _weak(given, at, v[1] * factor, x + w[0])
        w = _weak(given, at + 32, z + w[1], y + given.word(at + 16))
        z, x = x, z
        at = at + 64
    front = _mixed(v[0], w[0], factor) + _shifted(y) * _K0 + z
    return _mixed(front, _mixed(v[1], w[1], factor) + x, factor)


# -- SipHash -------------------------------------------------------------------------


def siphash24(strings: Sequence[bytes], key: Sequence[int]) -> Words:
    """SipHash-2-4 of each byte string.

    Args:
        strings: the byte strings.
        key: two whole numbers.

    Example:
        >>> hex(siphash24([b"ranvier"], [133, 137])[0])
        '0xdd3ea9910bc765de'
    """
    given = _Strings(strings)
    found = np.empty(len(strings), _U)
    words = given.sizes // 8
    for count in np.unique(words).tolist():
        rows = np.flatnonzero(words == count)
        found[rows] = _sip(given, given.starts[rows], given.sizes[rows], count, key)
    return found


def _sip(given: _Strings, at: Any, sizes: Any, count: int, key: Sequence[int]) -> Words:
    """SipHash of strings with as many whole words."""
    k = [_U(int(part) & (2**64 - 1)) for part in key]
    start = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261,
             0x7465646279746573)  # fmt: skip
    state = [np.full(len(at), _U(s) ^ k[i % 2], _U) for i, s in enumerate(start)]
    for i in range(count + 1):
        if i < count:
            word = given.word(at + 8 * i)
        else:  # the bytes that are left, and the size above them
            left = (sizes % 8).astype(_U)
            kept = (_U(1) << (left * _U(8))) - _U(1)
            word = given.word(at + 8 * i) & kept
            word = word | ((sizes.astype(_U) & _U(0xFF)) << _U(56))
        state[3] = state[3] ^ word
        _rounds(state, 2)
        state[0] = state[0] ^ word
    state[2] = state[2] ^ _U(0xFF)
    _rounds(state, 4)
    return state[0] ^ state[1] ^ state[2] ^ state[3]


def _rounds(state: list[Words], count: int) -> None:
    a, b, c, d = state
    for _ in range(count):
        a = a + b
        b = _rotated(b, 51) ^ a
        a = _rotated(a, 32)
        c = c + d
        d = _rotated(d, 48) ^ c
        a = a + d
        d = _rotated(d, 43) ^ a
        c = c + b
        b = _rotated(b, 47) ^ c
        c = _rotated(c, 32)
    state[:] = a, b, c, d


# -- what layers use -----------------------------------------------------------------


def buckets(
    strings: Sequence[bytes], count: int, salt: Sequence[int] | None
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Which of `count` places each byte string takes.

    Args:
        strings: the byte strings.
        count: how many places there are.
        salt: key of SipHash; ``None`` for FarmHash.
    """
    found = farmhash64(strings) if salt is None else siphash24(strings, salt)
    return (found % _U(count)).astype(np.int64)


def salt_of(owner: str, salt: Any) -> list[int] | None:
    """A salt as two whole numbers.

    Raises:
        ShapeError: RV100 for anything else.
    """
    from ranvier.errors import ShapeError

    if salt is None:
        return None
    parts = [salt, salt] if isinstance(salt, int) else salt
    fits = isinstance(parts, (list, tuple)) and len(parts) == 2
    if not fits or not all(isinstance(p, int) and 0 <= p < 2**64 for p in parts):
        raise ShapeError(
            "RV100",
            f"{owner}: salt={salt!r} must be a whole number from 0 on, or two of them",
            fix="salt=[133, 137]",
        )
    return list(parts)


__all__ = ["buckets", "farmhash64", "salt_of", "siphash24"]
