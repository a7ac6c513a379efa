"""Settings: the ``RANVIER_*`` environment variables and Keras's global defaults.

The variables stand in one table, `VARIABLES`; each is read when it is needed, so a test
or a notebook may set ``os.environ`` at any time (the native core reads ISA and THREADS
once, when it is loaded).

Example:
    >>> from ranvier import config
    >>> config.floatx()
    'float32'
    >>> sorted(config.VARIABLES)[0]
    'RANVIER_ENGINE'
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ranvier.errors import EnvironmentFault, ShapeError, nearest

__all__ = [
    "VARIABLES",
    "Variable",
    "at_most_threads",
    "backend",
    "cache_folder",
    "disable_interactive_logging",
    "dtype_policy",
    "enable_interactive_logging",
    "epsilon",
    "floatx",
    "get",
    "image_data_format",
    "is_interactive_logging_enabled",
    "max_epochs",
    "max_steps_per_epoch",
    "set_dtype_policy",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "set_max_epochs",
    "set_max_steps_per_epoch",
    "thread_limit",
    "version",
]


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable: how it is read, its default, what it means."""

    default: Any
    read: Callable[[str], Any]
    accepts: str
    meaning: str


def _one_of(*names: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.lower() not in names:
            raise ValueError(nearest(text, names) or names[0])
        return text.lower()

    return read


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError("0")
    return value


def _flag(text: str) -> bool:
    lowered = text.lower()
    if lowered in ("1", "true", "yes", "on"):
        return True
    if lowered in ("0", "false", "no", "off"):
        return False
    raise ValueError("1")


VARIABLES: dict[str, Variable] = {
    "RANVIER_ENGINE": Variable(
        "native",
        _one_of("native", "reference", "jax"),
        "native, reference, jax",
        "the engine that runs models unless compile() names another",
    ),
    "RANVIER_HOME": Variable(
        "~/.ranvier",
        lambda text: text,
        "a folder",
        "where downloaded data sets are kept",
    ),
    "RANVIER_ISA": Variable(
        "auto",
        _one_of("auto", "base", "avx2", "avx512", "neon"),
        "auto, base, avx2, avx512, neon",
        "the highest instruction set the native engine may use",
    ),
    "RANVIER_MAX_EPOCHS": Variable(
        0, _count, "a whole number", "fit stops after so many epochs; 0: no limit"
    ),
    "RANVIER_MAX_STEPS_PER_EPOCH": Variable(
        0, _count, "a whole number", "an epoch ends after so many steps; 0: no limit"
    ),
    "RANVIER_OFFLINE": Variable(
        False, _flag, "0, 1", "1: never open a network connection"
    ),
    "RANVIER_PREFETCH": Variable(
        True,
        _flag,
        "0, 1",
        "0: batches of iterables are made between steps, not beside",
    ),
    "RANVIER_THREADS": Variable(
        0, _count, "a whole number", "threads of the native engine; 0: one per core"
    ),
    "RANVIER_VERIFY": Variable(
        False, _flag, "0, 1", "1: check every graph and plan (for development)"
    ),
    "RANVIER_VERBOSE": Variable(
        0, _count, "0, 1, 2", "1: say what the engine chose; 2: and why"
    ),
}


def get(name: str) -> Any:
    """The value of a variable, or its default where it is unset or empty.

    Args:
        name: such as ``"RANVIER_THREADS"``; ``"THREADS"`` will do.

    Raises:
        EnvironmentFault: RV803 when the text cannot be understood.
        ShapeError: RV107 when there is no such variable.
    """
    full = name if name.startswith("RANVIER_") else f"RANVIER_{name}"
    if full not in VARIABLES:
        close = nearest(full, VARIABLES)
        raise ShapeError("RV107", f"unknown variable {full!r}", fix=close)
    variable = VARIABLES[full]
    text = os.environ.get(full, "").strip()
    if not text:
        return variable.default
    try:
        return variable.read(text)
    except ValueError as fault:
        hint = str(fault).strip("'") if "invalid literal" not in str(fault) else ""
        raise EnvironmentFault(
            "RV803",
            f"{full}={text!r} cannot be understood",
            details=f"it takes: {variable.accepts} ({variable.meaning})",
            fix=f"export {full}={hint or variable.default}",
        ) from None


def cache_folder(*parts: str) -> Path:
    """A folder inside ``RANVIER_HOME`` (default ``~/.ranvier``); not created."""
    return Path(get("RANVIER_HOME")).expanduser().joinpath(*parts)


_threads: ContextVar[int | None] = ContextVar("ranvier_threads", default=None)


@contextmanager
def at_most_threads(count: int | None) -> Iterator[None]:
    """In this block, in this thread, models run on at most so many threads.

    The numbers do not depend on it. A process that is one of many workers should take
    one thread; ``RANVIER_THREADS`` says so for all of a process.

    Args:
        count: at least 1; ``None`` changes nothing.

    Raises:
        ShapeError: RV100 for another count.

    Example:
        >>> with at_most_threads(1):
        ...     thread_limit()
        1
    """
    if count is None:
        yield
        return
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ShapeError(
            "RV100",
            f"at_most_threads takes a whole number >= 1, got {count!r}",
            fix="at_most_threads(1)",
        )
    before = _threads.set(count)
    try:
        yield
    finally:
        _threads.reset(before)


def thread_limit() -> int | None:
    """What `at_most_threads` allows here; ``None`` outside of it."""
    return _threads.get()


_floatx = "float32"
_epsilon = 1e-7
_image_data_format = "channels_last"
_interactive_logging = True
_dtype_policy: Any = None
#: Limits of dry runs that the program set, over those of the environment.
_limits: dict[str, int | None] = {}


def floatx() -> str:
    """The default float type, ``"float32"`` unless set (Keras's default)."""
    return _floatx


def set_floatx(value: str) -> None:
    """Sets the default float type.

    Raises:
        ShapeError: RV100 when it is not a float type ranvier computes in.
    """
    global _floatx
    if value not in ("float32", "float64"):
        raise ShapeError(
            "RV100",
            f"floatx must be 'float32' or 'float64', got {value!r}",
            fix="set_floatx('float32')",
        )
    _floatx = value


def dtype_policy() -> Any:
    """The policy of layers that are given none: that of `floatx` unless one was set.

    Example:
        >>> dtype_policy()
        <DTypePolicy "float32">
    """
    from ranvier._policy import DTypePolicy

    return _dtype_policy or DTypePolicy(_floatx)


def set_dtype_policy(policy: Any) -> None:
    """Sets the policy of layers that are given none.

    Args:
        policy: a `keras.DTypePolicy`, or its name; ``None`` goes back to `floatx`.

    Raises:
        ShapeError: RV100 for a dtype that layers do not compute in, such as 16-bit
            floats, or what is no policy.
    """
    global _dtype_policy
    from ranvier._policy import DTypePolicy

    if policy is not None and not isinstance(policy, (str, DTypePolicy)):
        raise ShapeError(
            "RV100",
            "set_dtype_policy takes a policy or its name, got "
            f"{type(policy).__name__} {policy!r}",
            fix="set_dtype_policy('float32')",
        )
    _dtype_policy = DTypePolicy(policy) if isinstance(policy, str) else policy


def max_epochs() -> int | None:
    """How many epochs `fit` runs at most; ``None`` without a limit.

    It is for dry runs of a program as it is. ``RANVIER_MAX_EPOCHS`` sets it from
    outside.
    """
    return _limit("EPOCHS")


def set_max_epochs(max_epochs: int | None) -> None:
    """Sets the value `max_epochs` gives; ``None`` takes the limit away.

    Raises:
        ShapeError: RV100 for what is no whole number >= 1.
    """
    _set_limit("EPOCHS", max_epochs)


def max_steps_per_epoch() -> int | None:
    """After how many steps an epoch ends at the latest; ``None`` without a limit.

    It holds for `fit`, `evaluate` and `predict`. ``RANVIER_MAX_STEPS_PER_EPOCH`` sets
    it from outside.
    """
    return _limit("STEPS_PER_EPOCH")


def set_max_steps_per_epoch(max_steps_per_epoch: int | None) -> None:
    """Sets the value `max_steps_per_epoch` gives; ``None`` takes the limit away.

    Raises:
        ShapeError: RV100 for what is no whole number >= 1.
    """
    _set_limit("STEPS_PER_EPOCH", max_steps_per_epoch)


def _limit(what: str) -> int | None:
    if what in _limits:
        return _limits[what]
    return get(f"MAX_{what}") or None


def _set_limit(what: str, value: int | None) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if value is not None and not (whole and value >= 1):
        raise ShapeError(
            "RV100",
            f"set_max_{what.lower()} takes a whole number >= 1 or None, got {value!r}",
            fix=f"set_max_{what.lower()}(None)",
        )
    _limits[what] = value


def epsilon() -> float:
    """The small number that keeps divisions and logarithms finite (Keras: 1e-7)."""
    return _epsilon


def set_epsilon(value: float) -> None:
    """Sets the value `epsilon` gives."""
    global _epsilon
    _epsilon = float(value)


def image_data_format() -> str:
    """``"channels_last"`` or ``"channels_first"`` (Keras's default: the first)."""
    return _image_data_format


def set_image_data_format(data_format: str) -> None:
    """Sets the value `image_data_format` gives.

    Raises:
        ShapeError: RV100 for any other word.
    """
    global _image_data_format
    names = ("channels_last", "channels_first")
    if data_format not in names:
        close = nearest(data_format, names) or repr(names[0])
        raise ShapeError(
            "RV100",
            f"data_format must be one of {names}, got {data_format!r}",
            fix=f"set_image_data_format({close})",
        )
    _image_data_format = data_format


def backend() -> str:
    """The name of what computes: always ``"ranvier"``."""
    return "ranvier"


def enable_interactive_logging() -> None:
    """Lets ``verbose="auto"`` show progress (the default)."""
    global _interactive_logging
    _interactive_logging = True


def disable_interactive_logging() -> None:
    """Makes ``verbose="auto"`` print one line an epoch at most."""
    global _interactive_logging
    _interactive_logging = False


def is_interactive_logging_enabled() -> bool:
    """Whether ``verbose="auto"`` shows progress."""
    return _interactive_logging


def version() -> str:
    """The version of ranvier, as Keras's ``keras.version()`` tells its own."""
    from ranvier import __version__

    return __version__
