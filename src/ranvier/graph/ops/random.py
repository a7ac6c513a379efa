"""Counter-based random bits: Philox4x32-10 (Salmon et al., SC 2011).

The same key gives the same bits on every engine and for any number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ranvier.graph.dims import product
from ranvier.graph.ir import Spec
from ranvier.graph.op import case, op, stops
from ranvier.graph.ops._infer import refuse

Array = np.ndarray[Any, Any]

_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = 0x9E3779B9, 0xBB67AE85
_LOW = np.uint64(0xFFFFFFFF)


def philox(key: Array, counters: Array) -> Array:
    """Ten rounds of Philox4x32.

    Args:
        key: Two 32-bit words.
        counters: Shape ``(4, n)``, 32-bit words held in uint64.

    Returns:
        Shape ``(4, n)``, uint32.
    """
    c0, c1, c2, c3 = (np.asarray(c, np.uint64) for c in counters)
    k0, k1 = int(key[0]), int(key[1])
    for _ in range(10):
        p0, p1 = _M0 * c0, _M1 * c2
        c0, c1, c2, c3 = (
            (p1 >> np.uint64(32)) ^ c1 ^ np.uint64(k0),
            p1 & _LOW,
            (p0 >> np.uint64(32)) ^ c3 ^ np.uint64(k1),
            p0 & _LOW,
        )
        k0, k1 = (k0 + _W0) & 0xFFFFFFFF, (k1 + _W1) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3]).astype(np.uint32)


#: Counters that are encrypted at once: the words of all rounds stay in the cache.
AT_ONCE = 1 << 13


def random_bits_reference(key: Array, shape: Sequence[int]) -> Array:
    """32 random bits for each element.

    Element ``i`` is word ``i % 4`` of the block with counter
    ``(i // 4 low, i // 4 high, key[2], key[3])`` under the key ``(key[0], key[1])``.
    """
    n = int(np.prod(shape, dtype=int))
    words = np.asarray(key, np.uint64)
    blocks = (n + 3) // 4
    found = np.empty((blocks, 4), np.uint32)
    for first in range(0, blocks, AT_ONCE):
        block = np.arange(first, min(first + AT_ONCE, blocks), dtype=np.uint64)
        counters = np.stack(
            [
                block & _LOW,
                block >> np.uint64(32),
                np.full_like(block, words[2]),
                np.full_like(block, words[3]),
            ]
        )
        found[first : first + AT_ONCE] = philox(words, counters).T
    return found.reshape(-1)[:n].reshape(tuple(shape))


def _infer(specs: Sequence[Spec], attrs: dict[str, Any]) -> Spec:
    (key,) = specs
    if key != Spec((4,), "uint32"):
        raise refuse("random_bits", "needs a key of four uint32 words", specs)
    product(attrs["shape"])
    return Spec(tuple(attrs["shape"]), "uint32")


random_bits = op(
    "random_bits",
    "random",
    _infer,
    random_bits_reference,
    stops("random"),
    [case(((4,), 0, 2**31, "uint32"), shape=(3, 7))],
)


#: Rounds of the Feistel network that shuffles.
ROUNDS = 6


def _mix(x: Array, key: np.uint32) -> Array:
    """Sixteen well mixed bits of a 16-bit word and a 32-bit key.

    Products keep their low half: 16-bit numbers go twice as many into a vector.
    """
    h = (x + np.uint16(key & 0xFFFF)) * np.uint16(0x9E37)
    h ^= h >> np.uint16(7)
    h = (h + np.uint16(key >> 16)) * np.uint16(0xCA6B)
    return h ^ (h >> np.uint16(9))


def permutation(seed: int, epoch: int, n: int) -> Array:
    """The order of ``n`` rows in an epoch: the same on every engine.

    An (unbalanced) Feistel network (Luby & Rackoff 1988) of `ROUNDS` rounds permutes
    ``0 .. 2**k - 1``, the smallest such range of at least 256 numbers that holds all
    rows; numbers that are no rows are left out. The keys of the rounds are the first
    random words of the key ``(seed low, seed high, epoch, 0)``.
    """
    key = [seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF, epoch & 0xFFFFFFFF, 0]
    keys = random_bits_reference(np.asarray(key, np.uint32), (ROUNDS,))
    bits = max(8, (max(n, 1) - 1).bit_length())
    low = bits // 2
    low_mask = np.uint16((1 << low) - 1)
    high_mask = np.uint16((1 << (bits - low)) - 1)
    x = np.arange(1 << bits, dtype=np.uint32)
    left, right = (
        (x >> np.uint32(low)).astype(np.uint16),
        x.astype(np.uint16) & low_mask,
    )
    for i in range(0, ROUNDS, 2):
        left = left ^ (_mix(right, keys[i]) & high_mask)
        right = right ^ (_mix(left, keys[i + 1]) & low_mask)
    order = (left.astype(np.int64) << low) | right
    return order[order < n]
