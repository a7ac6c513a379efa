"""The seed that everything unseeded draws from.

One number seeds a process; every object that asks for a seed gets the next one of a
stream made from it. The same program draws the same seeds, also when it sets none: the
stream then starts from `DEFAULT`.
"""

from __future__ import annotations

import threading
from typing import NamedTuple

__all__ = [
    "DEFAULT",
    "SeedState",
    "global_seed",
    "next_seed",
    "restore",
    "set_seed",
    "state",
]

#: the seed of a process that sets none
DEFAULT = 0

_MASK = (1 << 64) - 1
_lock = threading.Lock()


class SeedState(NamedTuple):
    """Where the stream of seeds stands; kept in checkpoints."""

    seed: int
    drawn: int = 0


_state = SeedState(DEFAULT)
#: how often the stream was started anew, so that what depends on it can notice
starts = 0


def set_seed(seed: int) -> None:
    """Starts the stream of seeds anew from `seed`.

    Example:
        >>> set_seed(7); first = next_seed(); set_seed(7); first == next_seed()
        True
    """
    restore(SeedState(int(seed)))


def global_seed() -> int:
    """The seed of this process, as last set."""
    return _state.seed


def state() -> SeedState:
    """Where the stream stands."""
    return _state


def restore(where: SeedState) -> None:
    """Goes on with the stream from where `state` said it stood."""
    global _state, starts
    with _lock:
        _state = SeedState(*where)
        starts += 1


def next_seed() -> int:
    """Draws the next seed, from 1 to 2**31 - 1."""
    global _state
    with _lock:
        seed, drawn = _state
        _state = SeedState(seed, drawn + 1)
    return 1 + _mix((_mix(seed & _MASK) + drawn) & _MASK) % (2**31 - 1)


def _mix(x: int) -> int:
    """One step of SplitMix64 (Steele, Lea and Flood, 2014): all bits into all bits."""
    x = (x + 0x9E3779B97F4A7C15) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)
