"""Arrays in memory: checked, named, never copied."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ranvier.errors import DataError, ShapeError
from ranvier.graph import tree

Array = np.ndarray[Any, Any]

_WORDS = {"x": "x", "y": "y", "w": "sample_weight"}


def is_array(value: Any) -> bool:
    """Whether a value is one array: NumPy's, a frame's, another library's."""
    return hasattr(value, "__array__") or hasattr(value, "__dlpack__")


def as_leaf(value: Any, what: str) -> Array:
    """One array of numbers, without a copy where it is one already.

    Raises:
        DataError: RV203 for text, objects and ragged lists; RV207 for no rows.
    """
    if type(value) is not np.ndarray:
        value = _converted(value, what)
    kind = value.dtype.kind
    if kind not in "fiub":
        if kind in "US" and value.ndim == 0:
            raise DataError(
                "RV203",
                f"{what} is the text {str(value)[:60]!r}",
                fix="the numbers themselves; read a file first, for example with "
                "np.loadtxt(path, delimiter=',')",
            )
        raise _refused(value, what)
    return _with_rows(value, what)


def any_leaf(value: Any, what: str) -> Array:
    """One array of numbers or texts.

    Raises:
        DataError: RV203 for ragged lists and sparse matrices.
        ShapeError: RV103 for a single number or text.
    """
    return _with_rows(_converted(value, what), what)


def _with_rows(value: Array, what: str) -> Array:
    if value.ndim == 0:
        raise ShapeError(
            "RV103",
            f"{what} is a single value",
            details="the first axis counts rows",
            fix=f"{what} = np.array([[...]]) with one row",
        )
    return value


def _converted(value: Any, what: str) -> Array:
    detach = getattr(value, "detach", None)
    if detach is not None and hasattr(value, "cpu"):
        value = detach().cpu()
    if hasattr(value, "toarray") and hasattr(value, "nnz"):
        raise DataError("RV203", f"{what} is a sparse matrix", fix=f"{what}.toarray()")
    try:
        if not hasattr(value, "__array__") and hasattr(value, "__dlpack__"):
            return np.from_dlpack(value)
        return np.asarray(value)
    except (ValueError, TypeError) as fault:
        raise DataError(
            "RV203",
            f"{what} cannot be made into an array of numbers",
            details=str(fault).splitlines()[0],
            fix="give rows of one length, with numbers only",
        ) from fault


def _refused(array: Array, what: str) -> DataError:
    sample: Any = array.ravel()[0] if array.size else ""
    place = ""
    if array.dtype.kind == "O" and array.ndim == 2:
        for column in range(array.shape[1]):
            entry = array[0, column]
            if not isinstance(entry, (int, float, np.number)):
                sample, place = entry, f" in column {column}"
                break
    words = {"U": "text", "S": "bytes", "O": "Python objects", "M": "dates",
             "m": "time spans", "c": "complex numbers"}  # fmt: skip
    fix = (
        "encode categories as whole numbers or one-hot columns (utils.to_categorical); "
        "x.astype('float32') where all are numbers"
    )
    if what[0] == "x" and isinstance(sample, (str, bytes)):
        fix += "; TextVectorization or StringLookup first in a Sequential takes text"
    return DataError(
        "RV203",
        f"{what} holds {words.get(array.dtype.kind, str(array.dtype))}, not numbers",
        details=f"dtype {array.dtype}, for example {sample!r}{place}",
        fix=fix,
    )


def input_dtype(array: Array, labels: bool = False) -> str:
    """The dtype of the graph's input for an array: the engine converts to it.

    Floats become float32. Whole numbers stay int32 or int64, so that nothing overflows
    or is rounded before the model casts them.
    """
    kind = array.dtype.kind
    if kind == "f":
        return "float32"
    if kind == "b":
        return "int32" if labels else "float32"
    return "int64" if array.dtype.itemsize == 8 or array.dtype == np.uint32 else "int32"


def structured(value: Any, what: str, leaf: Callable[..., Array] = as_leaf) -> Any:
    """A tree of arrays: lists, tuples and dicts of arrays stay structures.

    Args:
        value: the structure.
        what: its name, for messages.
        leaf: makes a leaf an array.
    """
    if type(value) is np.ndarray:
        return leaf(value, what)
    if value is None:
        return None
    if isinstance(value, Mapping) and not is_array(value):
        return {k: structured(v, f"{what}[{k!r}]", leaf) for k, v in value.items()}
    if isinstance(value, (list, tuple)) and any(
        is_array(v) or isinstance(v, Mapping) for v in value
    ):
        # A list of arrays is several inputs; a list of numbers is one array.
        if all(is_array(v) and np.ndim(v) == 0 for v in value):
            return leaf(value, what)
        parts = (structured(v, f"{what}[{i}]", leaf) for i, v in enumerate(value))
        return type(value)(parts)
    return leaf(value, what)


class Arrays:
    """x, y and sample weights as named arrays of one length.

    Args:
        x: inputs, or a structure of them.
        y: targets.
        sample_weight: one weight a row.

    Raises:
        ShapeError: RV109 when lengths differ.
        DataError: RV203 for what are no numbers, RV207 when there are no rows.
    """

    __slots__ = ("named", "parts", "rows", "sample_weight", "x", "y")

    def __init__(self, x: Any, y: Any = None, sample_weight: Any = None) -> None:
        self.x = structured(x, "x")
        self.y = structured(y, "y")
        self.sample_weight = structured(sample_weight, "sample_weight")
        self.named: dict[str, Array] = {}
        for prefix, part in (("x", self.x), ("y", self.y), ("w", self.sample_weight)):
            if part is None:
                continue
            if type(part) is np.ndarray:
                self.named[prefix] = part
            else:
                for i, leaf in enumerate(tree.flatten(part)):
                    self.named[f"{prefix}{i}"] = leaf
        if not self.named:
            raise DataError("RV207", "no data were given", fix="pass x, an array")
        self.rows = len(next(iter(self.named.values())))
        if any(len(a) != self.rows for a in self.named.values()):
            raise _lengths(self.named)
        if self.rows == 0:
            raise DataError(
                "RV207",
                "the data have no rows",
                details=", ".join(
                    f"{_label(n)} has shape {a.shape}" for n, a in self.named.items()
                ),
            )


def _label(name: str) -> str:
    number = name[1:]
    return _WORDS[name[0]] + (f"[{number}]" if number else "")


def _lengths(named: Mapping[str, Array]) -> ShapeError:
    counts = ", ".join(f"{_label(n)} has {len(a):,}" for n, a in named.items())
    shortest = min(len(a) for a in named.values())
    return ShapeError(
        "RV109",
        f"numbers of rows differ: {counts}",
        details="row i of one belongs to row i of the others",
        fix=f"cut all to the {shortest:,} rows that belong together, or find the "
        "missing ones",
    )


def pack(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """The data of a step as Keras's ``train_step`` gets it."""
    if sample_weight is not None:
        return x, y, sample_weight
    if y is not None:
        return x, y
    return x if not isinstance(x, (tuple, list)) else (x,)


def unpack(data: Any) -> tuple[Any, Any, Any]:
    """x, y and sample weights of what a step got, or an iterable yielded.

    Raises:
        ShapeError: RV100 for a tuple of more than three.
    """
    if isinstance(data, list):
        data = tuple(data)
    if not isinstance(data, tuple):
        return data, None, None
    if len(data) > 3:
        raise ShapeError(
            "RV100",
            f"a batch has {len(data)} parts",
            fix="yield x, (x, y) or (x, y, sample_weight)",
        )
    return (*data, *(None,) * (3 - len(data)))  # type: ignore[return-value]
