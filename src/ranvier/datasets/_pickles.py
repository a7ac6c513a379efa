"""Reading arrays out of pickles without running anything that the file names.

A pickle is a program: it may call any function it can name. Here it can name five, and
none of them is NumPy's own. They only note what the file says of an array; the array is
made afterwards, from sizes that were compared with the bytes that are there. (NumPy's
own `__setstate__` believes the flags of a pickled dtype, so even the real `ndarray` and
`dtype` would let a file place pointers.)
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
from typing import IO, Any

import numpy as np
import numpy.typing as npt

__all__ = ["read_pickle"]

_NUMBERS = frozenset("?") | {f"{k}{s}" for k in "iu" for s in (1, 2, 4, 8)}
_KINDS = _NUMBERS | {"b1", "f2", "f4", "f8", "O", "O8", "O4"}


def _refuse(what: str) -> pickle.UnpicklingError:
    return pickle.UnpicklingError(f"the file asks for {what}, which data need not")


def _text(value: Any) -> str:
    # Python 2 wrote its strings as what Python 3 reads as bytes.
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


class _Kind:
    """What a file says of an array's dtype."""

    def __init__(self, name: str) -> None:
        self.name, self.order = name, "="

    def __setstate__(self, state: Any) -> None:
        # (version, byte order, ...); the rest describes records, which are not read.
        if not isinstance(state, tuple) or len(state) < 2:
            raise _refuse("a dtype of an unknown form")
        order = _text(state[1])
        if order not in ("<", ">", "=", "|"):
            raise _refuse(f"the byte order {order!r}")
        self.order = order


class _Array:
    """What a file says of an array."""

    def __init__(self) -> None:
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise _refuse("an array of an unknown form")
        self.state = state

    def array(self) -> npt.NDArray[Any]:
        """The array, if shape, dtype and content belong together."""
        if not self.state:
            raise _refuse("an array without content")
        _, shape, kind, by_columns, content = self.state
        sizes = isinstance(shape, tuple) and all(
            isinstance(size, int) and size >= 0 for size in shape
        )
        if not sizes or len(shape) > 8 or not isinstance(kind, _Kind):
            raise _refuse("an array of an unknown form")
        count = math.prod(shape)
        if kind.name[0] == "O":
            if not isinstance(content, list) or len(content) != count:
                raise _refuse(f"{count} objects of shape {shape}, and has others")
            out = np.empty(count, object)
            out[:] = [_real(item) for item in content]
        else:
            dtype = np.dtype(kind.name).newbyteorder(kind.order)  # type: ignore[arg-type]
            if not isinstance(content, bytes):
                raise _refuse("an array of an unknown form")
            if len(content) != count * dtype.itemsize:
                raise _refuse(
                    f"{count * dtype.itemsize} bytes of shape {shape}, "
                    f"and has {len(content)}"
                )
            out = np.frombuffer(content, dtype).astype(dtype.newbyteorder("="))
        return out.reshape(shape, order="F" if by_columns else "C")


class _Name:
    """A name that a file may use: called, or handed on, but never changed."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __setstate__(self, state: Any) -> None:
        raise _refuse(f"a change of {self.name}")

    def __call__(self, *args: Any) -> Any:
        if self.name == "_reconstruct" and len(args) == 3:
            kind = args[0]
            if isinstance(kind, _Name) and kind.name == "ndarray":
                return _Array()
        elif self.name == "dtype" and args:
            name = _text(args[0])
            if name in _KINDS:
                return _Kind(name)
            raise _refuse(f"the dtype {name!r}")
        elif self.name == "bytes" and not args:
            return b""
        elif self.name == "encode" and [*map(type, args)] == [str, str]:
            # Always Latin-1: one byte for each of the first 256 characters.
            return str(args[0]).encode("latin-1")
        raise _refuse(f"a call of {self.name}")


#: What a pickle of arrays names, in the spellings of NumPy 1 and 2, and how Python 3
#: writes bytes in Python 2's protocol.
_ALLOWED = {
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    ("numpy.core.multiarray", "_reconstruct"): "_reconstruct",
    ("numpy._core.multiarray", "_reconstruct"): "_reconstruct",
    ("_codecs", "encode"): "encode",
    ("__builtin__", "bytes"): "bytes",
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise _refuse(f"{module}.{name}")
        return _Name(_ALLOWED[module, name])

    def persistent_load(self, pid: Any) -> Any:
        raise _refuse("an object outside it")


_CODES = {op.code: op for op in pickletools.opcodes}
#: Runs of instructions of a known length, but for the end and for notes far away.
_SIMPLE = re.compile(
    b"(?:"
    + b"|".join(
        re.escape(op.code.encode("latin-1")) + b".{%d}" % (op.arg.n if op.arg else 0)
        for op in pickletools.opcodes
        if op.code not in ".r" and (op.arg is None or op.arg.n >= 0)
    )
    + b")*+",
    re.DOTALL,
)


def _check_notes(data: bytes) -> None:
    """Refuses notes with numbers for which the reader would ask for too much memory.

    It keeps its notes in a table as long as the largest number: eight bytes of a file
    could ask for 64 GB.
    """
    stream, at = io.BytesIO(data), 0
    while True:
        match = _SIMPLE.match(data, at)
        at = match.end() if match else at
        op = _CODES.get(data[at : at + 1].decode("latin-1"))
        if op is None:
            raise _refuse("an instruction that does not exist")
        if op.code == ".":
            return
        stream.seek(at + 1)
        value = op.arg.reader(stream) if op.arg else None
        if op.code in "pr" and not 0 <= int(value or 0) <= len(data):
            raise _refuse(f"note {value}")
        at = stream.tell()


def _real(value: Any) -> Any:
    """Arrays in place of what was noted of them; also one level inside a dict."""
    if isinstance(value, _Array):
        return value.array()
    if isinstance(value, (_Kind, _Name)):
        raise _refuse("a name where data should be")
    return value


def read_pickle(file: IO[bytes]) -> Any:
    """The object in a pickle of plain Python data and NumPy arrays.

    Args:
        file: open for reading, at the pickle's first byte.

    Returns:
        The object; strings that Python 2 wrote are bytes.

    Raises:
        pickle.UnpicklingError: for a name outside the few that arrays need, and for
            arrays whose parts do not belong together.

    Example:
        >>> import io, os, pickle
        >>> read_pickle(io.BytesIO(pickle.dumps({"a": [1, 2]})))
        {'a': [1, 2]}
        >>> read_pickle(io.BytesIO(pickle.dumps(os.system)))
        Traceback (most recent call last):
            ...
        _pickle.UnpicklingError: the file asks for posix.system, which data need not
    """
    try:
        data = file.read()
        _check_notes(data)
        value = _Unpickler(io.BytesIO(data), encoding="bytes").load()
    except (
        AttributeError, EOFError, IndexError, KeyError, MemoryError, OverflowError,
        RecursionError, TypeError, UnicodeError, ValueError,
    ) as fault:  # fmt: skip
        # Damaged bytes make the machine of pickle stumble in any of these ways.
        raise pickle.UnpicklingError(str(fault) or type(fault).__name__) from fault
    if isinstance(value, dict):
        return {key: _real(item) for key, item in value.items()}
    return _real(value)
