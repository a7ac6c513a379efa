"""Operations that move elements without computing: shapes, slices, padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ranvier.graph.dims import Dim, product
from ranvier.graph.ir import Spec
from ranvier.graph.op import case, op, stops
from ranvier.graph.ops._infer import normal_axes, refuse

Array = np.ndarray[Any, Any]


def _f() -> Any:
    from ranvier.graph import functions

    return functions


def _reshape_infer(specs: Sequence[Spec], attrs: dict[str, Any]) -> Spec:
    (x,) = specs
    if product(x.shape) != product(attrs["shape"]):
        raise refuse(
            "reshape",
            f"{product(x.shape)} elements do not fill shape {attrs['shape']}",
            specs,
        )
    return Spec(tuple(attrs["shape"]), x.dtype)


reshape = op(
    "reshape",
    "movement",
    _reshape_infer,
    lambda x, shape: np.reshape(x, shape),
    lambda g, y, x, shape: (_f().reshape(g, x.shape),),
    [case(((3, 4), -1, 1), shape=(2, 6)), case(((6,), -1, 1), shape=(1, 6, 1))],
)


def _transpose_infer(specs: Sequence[Spec], attrs: dict[str, Any]) -> Spec:
    (x,) = specs
    if sorted(attrs["perm"]) != list(range(len(x.shape))):
        raise refuse("transpose", f"{attrs['perm']} is no order of its axes", specs)
    return Spec(tuple(x.shape[i] for i in attrs["perm"]), x.dtype)


transpose = op(
    "transpose",
    "movement",
    _transpose_infer,
    lambda x, perm: np.transpose(x, perm),
    lambda g, y, x, perm: (_f().transpose(g, tuple(int(i) for i in np.argsort(perm))),),
    [case(((3, 4), -1, 1), perm=(1, 0)), case(((2, 3, 4), -1, 1), perm=(2, 0, 1))],
)


def _broadcast_infer(specs: Sequence[Spec], attrs: dict[str, Any]) -> Spec:
    (x,) = specs
    shape = tuple(attrs["shape"])
    if len(shape) != len(x.shape) or any(
        a not in (1, b) for a, b in zip(x.shape, shape, strict=True)
    ):
        raise refuse("broadcast_to", f"it does not fit shape {shape}", specs)
    return Spec(shape, x.dtype)


def _broadcast_grad(g: Any, y: Any, x: Any, shape: Sequence[Any]) -> Sequence[Any]:
    axes = tuple(
        i
        for i, (a, b) in enumerate(zip(x.shape, shape, strict=True))
        if a == 1 and b != 1
    )
    return (_f().sum(g, axis=axes, keepdims=True),) if axes else (g,)


# Only axes of size 1 grow; the rank stays (``ops.broadcast_to`` adds axes first).
broadcast_to = op(
    "broadcast_to",
    "movement",
    _broadcast_infer,
    lambda x, shape: np.broadcast_to(x, shape),
    _broadcast_grad,
    [
        case(((1, 4), -1, 1), shape=(3, 4)),
        case(((3, 1), -1, 1), shape=(3, 4)),
        case(((1, 3, 1), -1, 1), shape=(2, 3, 4)),
    ],
)


def _length(start: Any, stop: Any, step: int) -> Any:
    if isinstance(start, int) and isinstance(stop, int):
        return len(range(start, stop, step))
    return (stop - start + (step - 1)) // step if step > 0 else NotImplemented


def _slice_infer(specs: Sequence[Spec], attrs: dict[str, Any]) -> Spec:
    (x,) = specs
    shape = tuple(
        _length(*bounds)
        for bounds in zip(attrs["start"], attrs["stop"], attrs["step"], strict=True)
    )
    if len(shape) != len(x.shape):
        raise refuse("slice", "needs bounds for every axis", specs)
    return Spec(shape, x.dtype)


def _slice_grad(
    g: Any, y: Any, x: Any, start: Any, stop: Any, step: Any
) -> Sequence[Any]:
    f = _f()
    if any(s != 1 for s in step):
        # Spread the gradient out again: zeros between the elements that were taken.
        for axis, s in enumerate(step):
            if s != 1:
                g = _dilate(g, axis, s)
        stop = tuple(
            a + (n - 1) * s + 1 for a, n, s in zip(start, y.shape, step, strict=True)
        )
    high = tuple(n - b for n, b in zip(x.shape, stop, strict=True))
    return (f.pad(g, tuple(zip(start, high, strict=True))),)


def _dilate(g: Any, axis: int, step: int) -> Any:
    """Put ``step - 1`` zeros between neighbours along an axis."""
    f = _f()
    n = g.shape[axis]
    shape = list(g.shape)
    wide = f.expand_dims(g, axis + 1)
    pads = [(0, 0)] * wide.ndim
    pads[axis + 1] = (0, step - 1)
    wide = f.pad(wide, tuple(pads))
    shape[axis] = n * step
    wide = f.reshape(wide, tuple(shape))
    return f.slice_axis(wide, axis, 0, n * step - (step - 1))


slice_ = op(
    "slice",
    "movement",
    _slice_infer,
    lambda x, start, stop, step: x[
        tuple(slice(a, b, s) for a, b, s in zip(start, stop, step, strict=True))
    ],
    _slice_grad,
    [
        case(((4, 5), -1, 1), start=(1, 0), stop=(3, 5), step=(1, 1)),
        case(((4, 5), -1, 1), start=(0, 1), stop=(4, 5), step=(1, 2)),
    ],
)


def _pad_infer(specs: Sequence[Spec], attrs: dict[str, Any]) -> Spec:
    (x,) = specs
    widths = (*attrs["low"], *attrs["high"])
    if len(attrs["low"]) != len(x.shape) or len(attrs["high"]) != len(x.shape):
        raise refuse("pad", "needs two widths for every axis", specs)
    if any(isinstance(w, int) and w < 0 for w in widths):
        raise refuse("pad", f"a width is negative in {widths}", specs, "use a slice")
    shape = tuple(
        low + size + high
        for size, low, high in zip(x.shape, attrs["low"], attrs["high"], strict=True)
    )
    return Spec(shape, x.dtype)


def _pad_grad(g: Any, y: Any, x: Any, low: Any, high: Any, value: Any) -> Sequence[Any]:
    f = _f()
    for axis, (before, size) in enumerate(zip(low, x.shape, strict=True)):
        g = f.slice_axis(g, axis, before, before + size)
    return (g,)


pad = op(
    "pad",
    "movement",
    _pad_infer,
    lambda x, low, high, value: np.pad(
        x, tuple(zip(low, high, strict=True)), constant_values=value
    ),
    _pad_grad,
    [
        case(((2, 3), -1, 1), low=(1, 0), high=(0, 2), value=0.0),
        case(((4,), -1, 1), low=(2,), high=(1,), value=-1.5),
    ],
)


def _concat_infer(specs: Sequence[Spec], attrs: dict[str, Any]) -> Spec:
    axis, first = attrs["axis"], specs[0]
    total: Any = 0
    for s in specs:
        others = zip(s.shape, first.shape, strict=False)
        fits = all(a == b for i, (a, b) in enumerate(others) if i != axis)
        if len(s.shape) != len(first.shape) or s.dtype != first.dtype or not fits:
            raise refuse("concatenate", f"shapes differ off axis {axis}", specs)
        total = total + s.shape[axis]
    shape = tuple(total if i == axis else s for i, s in enumerate(first.shape))
    return Spec(shape, first.dtype)


def _concat_grad(g: Any, y: Any, *xs: Any, axis: int) -> Sequence[Any]:
    grads, at = [], 0
    for x in xs:
        stop = at + x.shape[axis]
        grads.append(_f().slice_axis(g, axis, at, stop))
        at = stop
    return grads


concat = op(
    "concat",
    "movement",
    _concat_infer,
    lambda *xs, axis: np.concatenate(xs, axis=axis),
    _concat_grad,
    [
        case(((2, 3), -1, 1), ((4, 3), -1, 1), axis=0),
        case(((2, 3), -1, 1), ((2, 1), -1, 1), axis=1),
    ],
)


def _flip_infer(specs: Sequence[Spec], attrs: dict[str, Any]) -> Spec:
    normal_axes("flip", attrs["axes"], len(specs[0].shape))
    return specs[0]


flip = op(
    "flip",
    "movement",
    _flip_infer,
    lambda x, axes: np.flip(x, axes),
    lambda g, y, x, axes: (_f().flip(g, axes),),
    [case(((2, 3), -1, 1), axes=(0,)), case(((2, 3), -1, 1), axes=(0, 1))],
)

iota = op(
    "iota",
    "movement",
    lambda specs, attrs: Spec((attrs["size"],), attrs["dtype"]),
    lambda size, dtype: np.arange(size, dtype=dtype),
    stops("counts"),
    [case(size=5, dtype="int32"), case(size=4, dtype="float32")],
)
full = op(
    "full",
    "movement",
    lambda specs, attrs: Spec(tuple(attrs["shape"]), attrs["dtype"]),
    lambda shape, value, dtype: np.full(shape, value, dtype),
    stops("a constant"),
    [case(shape=(2, 3), value=1.5, dtype="float32")],
)


def _dim_infer(specs: Sequence[Spec], attrs: dict[str, Any]) -> Spec:
    assert isinstance(attrs["size"], (int, Dim))
    return Spec((), attrs["dtype"])


# The value of a symbolic size, for means over a batch.
dim = op(
    "dim",
    "movement",
    _dim_infer,
    lambda size, dtype: np.asarray(size, dtype),
    stops("a size"),
    [case(size=7, dtype="float32")],
)
