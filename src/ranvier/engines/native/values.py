"""Where values lie while a plan is made: buffers, and strided views of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ranvier.engines.api import Unsupported

#: Dtypes of the native core, in its order (native/src/step.h).
DTYPES = (
    *("float32", "float64", "int32", "int64", "uint8", "bool", "int8", "int16"),
    *("uint16", "uint32", "uint64", "float16"),
)

PANEL = 64


def dtype_number(dtype: str) -> int:
    """The core's number of a dtype.

    Raises:
        Unsupported: RV502, for a dtype the core does not know.
    """
    if dtype not in DTYPES:
        raise Unsupported("RV502", f"the native engine does not read {dtype} arrays")
    return DTYPES.index(dtype)


def itemsize(dtype: str) -> int:
    """Bytes of an element."""
    return np.dtype(dtype).itemsize


def panel_elements(rows: int, columns: int) -> int:
    """Elements of a ``[rows, columns]`` matrix in column panels, padding included."""
    whole, rest = divmod(columns, PANEL)
    return rows * (whole * PANEL + -(-rest // 16) * 16)


class Buffer:
    """A piece of memory of a plan.

    Attributes:
        space: ``"arena"`` (reused), ``"own"`` (the same for each worker), ``"slot"``
            (bound per call) or ``"const"``.
        nbytes: Its size.
        slot: Number of the slot.
        offset: Place in its space; in an arena known at the end.
        key: What a slot is bound to: an input's name or a variable.
    """

    __slots__ = ("key", "nbytes", "offset", "slot", "space")

    def __init__(
        self, space: str, nbytes: int, slot: int = -1, offset: int = -1, key: Any = None
    ) -> None:
        self.space = space
        self.nbytes = nbytes
        self.slot = slot
        self.offset = offset
        self.key = key

    def __repr__(self) -> str:
        name = getattr(self.key, "path", self.key)
        return f"<{self.space}{'' if name is None else ' ' + str(name)} {self.nbytes}B>"


class Moving(Buffer):
    """The part of a buffer that a round of a loop sees; the next round sees the next.

    Attributes:
        base: The whole, which may move itself in a loop further out.
        start: Its first byte that the first round sees.
        step: Bytes from round to round; negative when the last part comes first.
        rounds: Number of rounds.
        loop: The step of the loop.
    """

    __slots__ = ("base", "loop", "rounds", "start", "step")

    def __init__(
        self, base: Buffer, start: int, nbytes: int, step: int, rounds: int, loop: Any
    ) -> None:
        super().__init__(base.space, nbytes, base.slot, key=base.key)
        self.base = base
        self.start = start
        self.step = step
        self.rounds = rounds
        self.loop = loop


@dataclass(frozen=True, eq=False)
class View:
    """A strided window on a buffer, or a number repeated.

    Attributes:
        buffer: The memory; ``None`` for a number.
        shape: Integers.
        strides: In elements.
        dtype: Dtype.
        offset: Of the first element, in elements.
        panel: The window is a whole matrix ``[shape[0], the rest]`` in column panels, a
            weight or a batch of activations; strides mean nothing.
        number: The value everywhere, without a buffer.
    """

    buffer: Buffer | None
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: str
    offset: int = 0
    panel: bool = False
    number: float = 0.0

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def dense(self) -> bool:
        """Whether its elements lie in order without gaps."""
        return (
            self.buffer is not None
            and not self.panel
            and all(
                s == d or n == 1
                for s, d, n in zip(
                    self.strides, row_major(self.shape), self.shape, strict=True
                )
            )
        )

    @property
    def columns(self) -> bool:
        """Whether it is a matrix stored column by column without gaps."""
        return (
            self.buffer is not None
            and not self.panel
            and len(self.shape) == 2
            and self.shape[0] > 1
            and self.strides[0] == 1
            and self.strides[1] == self.shape[0]
        )

    @property
    def matrix(self) -> tuple[int, int]:
        """Rows, and elements of a row."""
        return self.shape[0], math.prod(self.shape[1:])

    def extent(self) -> tuple[int, int]:
        """First byte and number of bytes it may touch."""
        size = itemsize(self.dtype)
        if self.panel:
            return self.offset * size, panel_elements(*self.matrix) * size
        if 0 in self.shape:
            return self.offset * size, 0
        low = high = self.offset
        for stride, n in zip(self.strides, self.shape, strict=True):
            reach = stride * (n - 1)
            low, high = (low + reach, high) if reach < 0 else (low, high + reach)
        return low * size, (high - low + 1) * size

    def reshaped(self, shape: tuple[int, ...]) -> View | None:
        """The same elements in another shape, if strides can say so."""
        if self.buffer is None:
            return replace(self, shape=shape, strides=(0,) * len(shape))
        if self.panel:
            if shape == self.shape:
                return self
            kept = len(shape) > 1 and shape[0] == self.shape[0]
            return (
                replace(self, shape=shape, strides=row_major(shape)) if kept else None
            )
        strides = _reshape_strides(self.shape, self.strides, shape)
        return None if strides is None else replace(self, shape=shape, strides=strides)

    def transposed(self, perm: Sequence[int]) -> View | None:
        """Axes in another order."""
        if self.panel:
            return None
        return replace(
            self,
            shape=tuple(self.shape[i] for i in perm),
            strides=tuple(self.strides[i] for i in perm),
        )

    def broadcast(self, shape: tuple[int, ...]) -> View | None:
        """Axes of size 1 repeated."""
        if self.panel:
            return self if shape == self.shape else None
        strides = tuple(
            0 if n != m else s
            for s, n, m in zip(self.strides, self.shape, shape, strict=True)
        )
        return replace(self, shape=shape, strides=strides)

    def sliced(
        self, start: Sequence[int], step: Sequence[int], shape: tuple[int, ...]
    ) -> View | None:
        """A range of each axis."""
        if self.panel:
            return None
        offset = self.offset
        for s, a in zip(self.strides, start, strict=True):
            offset += s * a
        strides = tuple(s * d for s, d in zip(self.strides, step, strict=True))
        return replace(self, offset=offset, strides=strides, shape=shape)


def row_major(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides of a dense array, in elements."""
    strides: list[int] = []
    step = 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


def number(value: Any, shape: tuple[int, ...], dtype: str) -> View:
    """A number repeated in this shape."""
    return View(None, shape, (0,) * len(shape), dtype, number=float(value))


def _reshape_strides(
    old: tuple[int, ...], strides: tuple[int, ...], new: tuple[int, ...]
) -> tuple[int, ...] | None:
    """Strides of the same elements in another shape, or ``None`` when there are none."""
    if math.prod(old) == 0:
        return row_major(new)
    dims = [(n, s) for n, s in zip(old, strides, strict=True) if n != 1]
    result: list[int] = []
    i = j = 0
    while j < len(new):
        if new[j] == 1:
            result.append(0)
            j += 1
            continue
        if i >= len(dims):
            return None
        # Match the smallest groups of axes with the same number of elements.
        first_i, first_j, have, want = i, j, dims[i][0], new[j]
        while have != want:
            if have < want:
                i += 1
                if i >= len(dims):
                    return None
                have *= dims[i][0]
            else:
                j += 1
                want *= new[j]
        for (n, s), (n2, s2) in zip(
            dims[first_i:i], dims[first_i + 1 : i + 1], strict=True
        ):
            del n
            if s != n2 * s2:
                return None
        step = dims[i][1]
        group: list[int] = []
        for k in range(j, first_j - 1, -1):
            group.append(step)
            step *= new[k]
        result += reversed(group)
        i, j = i + 1, j + 1
    return tuple(result)


def collapse(
    shape: Sequence[int], strides: Sequence[Sequence[int]]
) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    """Join neighbouring axes that every operand steps through alike.

    Args:
        shape: Of the iteration space.
        strides: Of each operand.

    Returns:
        The shortest equal iteration space, and each operand's strides in it.
    """
    kept: list[int] = []
    steps: list[list[int]] = []  # per axis: the stride of each operand
    for axis, n in enumerate(shape):
        if n == 1:
            continue
        own = [s[axis] for s in strides]
        if kept and all(a == b * n for a, b in zip(steps[-1], own, strict=True)):
            kept[-1] *= n
            steps[-1] = own
        else:
            kept.append(n)
            steps.append(own)
    if not kept:
        return (1,), [(0,) for _ in strides]
    columns = [tuple(step[i] for step in steps) for i in range(len(strides))]
    return tuple(kept), columns
