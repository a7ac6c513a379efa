"""One seed for everything random in a process."""

from __future__ import annotations

import random

import numpy as np

from ranvier.errors import ShapeError

__all__ = ["set_random_seed"]


def set_random_seed(seed: int) -> None:
    """Seeds Python's `random`, NumPy's global generator and ranvier's own.

    After it, the same program gives the same bits, for any number of threads.

    Args:
        seed: a whole number in ``0 .. 2**32 - 1`` (NumPy's range).

    Raises:
        ShapeError: RV100 for anything else.

    Example:
        >>> import numpy as np
        >>> set_random_seed(7); a = np.random.rand()
        >>> set_random_seed(7); a == np.random.rand()
        True
    """
    whole = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
    if not whole or not 0 <= seed < 2**32:
        raise ShapeError(
            "RV100",
            "seed must be a whole number in 0 .. 4294967295",
            details=f"received {seed!r} ({type(seed).__name__})",
            fix="set_random_seed(0)",
        )
    from ranvier import _seed

    random.seed(int(seed))
    np.random.seed(int(seed))  # noqa: NPY002  user code draws from this generator
    _seed.set_seed(int(seed))
