"""What the arguments of `fit`, `evaluate` and `predict` may be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ranvier._check import Interval, OneOf, Optional, check_parameters
from ranvier.errors import ShapeError

_SIZE = Optional(Interval(int, 1))
_TABLE = {
    "batch_size": _SIZE,
    "validation_batch_size": _SIZE,
    "epochs": Interval(int, 0),
    "initial_epoch": Interval(int, 0),
    "steps": _SIZE,
    "steps_per_epoch": _SIZE,
    "validation_steps": _SIZE,
}
_VERBOSE = OneOf("auto", 0, 1, 2, False, True)


def check_loop(method: str, given: Mapping[str, Any]) -> None:
    """Checks the arguments that say how far and how loudly a loop runs.

    Raises:
        ShapeError: RV100 for what is no number of batches, rows or epochs, or no
            ``verbose``.
    """
    # The usual values pass without a closer look: a fit of a small network is short.
    odd = {
        name: value
        for name, value in given.items()
        if name in _TABLE
        and value is not None
        and not (type(value) is int and value > 0)
    }
    if given.get("epochs", 1) is None:
        odd["epochs"] = None
    if odd:
        check_parameters(method, _TABLE, odd)
    verbose = given.get("verbose", 0)
    if type(verbose) is str or verbose is None:
        check_parameters(method, {"verbose": _VERBOSE}, {"verbose": verbose})


def check_frequency(freq: Any) -> None:
    """Checks ``validation_freq``: every so many epochs, or a list of them.

    Raises:
        ShapeError: RV100.
    """
    if type(freq) is int and freq > 0:
        return
    whole = Interval(int, 1)
    several = isinstance(freq, (list, tuple, set, frozenset, range))
    if not (all(map(whole.accepts, freq)) if several else whole.accepts(freq)):
        raise ShapeError(
            "RV100",
            f"fit: validation_freq={freq!r} is neither a whole number >= 1 nor a list "
            "of epochs",
            fix="validation_freq=1, or validation_freq=[1, 5, 10]",
        )
