"""What inputs a layer accepts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ranvier.errors import ShapeError
from ranvier.graph import Dim, tree
from ranvier.symbolic import KerasTensor


class InputSpec:
    """Which inputs a layer accepts.

    Args:
        dtype: dtype; any by default.
        shape: whole shape, ``None`` where free.
        ndim: number of axes.
        max_ndim: at most so many axes.
        min_ndim: at least so many axes.
        axes: size of some axes, such as ``{-1: 784}``.
        allow_last_axis_squeeze: kept for Keras's signature.
        name: name of the input.
        optional: kept for Keras's signature.

    Example:
        >>> import ranvier as keras
        >>> class Rows(keras.layers.Layer):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.input_spec = InputSpec(ndim=2, axes={-1: 3})
        ...
        ...     def call(self, x):
        ...         return x
        >>> Rows()(keras.Input((3,))).shape
        (None, 3)
    """

    def __init__(
        self,
        dtype: str | None = None,
        shape: Sequence[int | None] | None = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: Mapping[int, int] | None = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
    ) -> None:
        self.dtype = dtype
        self.shape = None if shape is None else tuple(shape)
        self.ndim = len(self.shape) if self.shape is not None else ndim
        self.max_ndim = max_ndim
        self.min_ndim = min_ndim
        self.axes = dict(axes or {})
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        self.name = name
        self.optional = optional


def dims_of(value: Any) -> Any:
    """A tensor's shape, with ``None`` for sizes known only later."""
    shape = getattr(value, "shape", None)
    if shape is None:
        return None
    return tuple(None if isinstance(size, Dim) else size for size in shape)


def show(shape: Sequence[Any]) -> str:
    """A shape as text: ``(None, 784)``, symbols as ``rows``."""
    inner = ", ".join(
        "rows" if s is None or isinstance(s, Dim) else str(s) for s in shape
    )
    return f"({inner}{',' if len(shape) == 1 else ''})"


def check_inputs(layer: Any, spec: Any, inputs: Any) -> None:
    """Refuses inputs that do not fit a layer's `InputSpec`.

    Raises:
        ShapeError: RV103, saying what came and what is needed.
    """
    specs = spec if isinstance(spec, (list, tuple)) else [spec]
    for one, value in zip(specs, tree.flatten(inputs), strict=False):
        if one is None or not hasattr(value, "shape"):
            continue
        _check(layer, one, tuple(value.shape))


def _check(layer: Any, spec: InputSpec, shape: tuple[Any, ...]) -> None:
    rank = len(shape)
    who = f"layer {layer.name!r} ({type(layer).__name__})"
    if spec.ndim is not None and rank != spec.ndim:
        raise ShapeError(
            "RV103",
            f"{who} takes inputs with {spec.ndim} axes, got {show(shape)}",
            fix="x[..., None] adds an axis; layers.Flatten() or layers.Reshape() "
            "change their number",
        )
    if spec.min_ndim is not None and rank < spec.min_ndim:
        raise ShapeError(
            "RV103",
            f"{who} takes inputs with at least {spec.min_ndim} axes, got {show(shape)}",
            details="the first axis counts rows",
            fix="x[:, None] for a single column; x[None] for a single row",
        )
    if spec.max_ndim is not None and rank > spec.max_ndim:
        raise ShapeError(
            "RV103",
            f"{who} takes inputs with at most {spec.max_ndim} axes, got {show(shape)}",
            fix="layers.Flatten() before it",
        )
    for axis, size in spec.axes.items():
        if size is None or not -rank <= axis < rank:
            continue
        got = shape[axis]
        if isinstance(got, int) and got != size:
            raise ShapeError(
                "RV103",
                f"{who} was built for {size:,} inputs on axis {axis}, got {got:,}",
                details=f"input shape {show(shape)}",
                fix=f"give data with {size:,} values there, or build a new network "
                f"for {got:,}",
            )
    if spec.shape is not None:
        for want, got in zip(spec.shape, shape, strict=True):
            if want is not None and isinstance(got, int) and want != got:
                raise ShapeError(
                    "RV103",
                    f"{who} takes inputs of shape {show(spec.shape)}, got {show(shape)}",
                )


def wrong_input(got: Sequence[Any], want: Sequence[Any]) -> ShapeError:
    """The error for rows that a built model cannot take, in the user's numbers."""
    rows, own = tuple(got[1:]), tuple(want[1:])
    free = any(s is None for s in own)
    if own and not free and rows == own[1:]:
        return ShapeError(
            "RV103",
            f"got rows of shape {show(rows)}, this network takes {show(own)}: "
            "one row without the axis that counts rows",
            fix="model.predict(x[None]), or x[None] wherever x is one row",
        )
    if not free and all(isinstance(s, int) for s in rows) and (rows or own):
        have, need = math.prod(rows), math.prod(own)
        if have == need:
            return ShapeError(
                "RV103",
                f"rows have shape {show(rows)}, this network takes {show(own)}",
                details=f"both hold {need:,} values",
                fix=f"x.reshape(-1, {', '.join(map(str, own))})",
            )
        mine = "x".join(map(str, rows)) or "one value"
        other = "x".join(map(str, own)) or "one value"
        verb = "flattens to" if len(rows) > 1 else "means"
        built = f"{need:,}" + (f" = {other}" if len(own) > 1 else "")
        fix = (
            f"resize the images to {other}"
            if len(own) > 1 and len(rows) > 1
            else f"give rows of shape {show(own)}, or build a network for {show(rows)}"
        )
        return ShapeError(
            "RV103",
            f"{mine} {verb} {have:,} inputs, this network was built for {built}",
            fix=fix,
        )
    return ShapeError(
        "RV103", f"got inputs of shape {show(got)}, the model takes {show(want)}"
    )


__all__ = ["InputSpec", "KerasTensor", "check_inputs", "dims_of", "show", "wrong_input"]
