"""The largest of each window, as three operations on the number of the tap it has.

`window_argmax` finds the tap, `window_pick` reads there and `window_spread` adds there:
the last two are linear, and each is the gradient of the other. So a maximum over windows
passes its gradient to the first of equals, differentiates again, and keeps a byte where
it would keep the values.

A sum over windows is a convolution with a kernel of ones (`conv`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ranvier.graph.dims import Size
from ranvier.graph.ir import Spec
from ranvier.graph.op import case, op, stops
from ranvier.graph.ops._infer import refuse
from ranvier.graph.ops.conv import check_windows, framed, windows

Array = np.ndarray[Any, Any]


def _out(
    name: str, specs: Sequence[Spec], sizes: Sequence[Size], attrs: dict[str, Any]
) -> tuple[Size, ...]:
    window = attrs["window"]
    found = check_windows(name, specs, sizes, window, attrs)
    for n, (low, high) in zip(window, attrs["padding"], strict=True):
        for width in (low, high):
            if isinstance(width, int) and not 0 <= width < n:
                raise refuse(name, f"padding {width} for a window of {n}", specs)
    return found


def tap_dtype(window: Sequence[int]) -> str:
    """The dtype of the number of a tap."""
    return "uint8" if math.prod(window) <= 256 else "int32"


def _argmax_infer(specs: Sequence[Spec], attrs: dict[str, Any]) -> Spec:
    (x,) = specs
    if not x.floating:
        raise refuse("window_argmax", "needs floats", specs, "ops.cast(x, 'float32')")
    out = _out("window_argmax", specs, x.shape[1:-1], attrs)
    return Spec((x.shape[0], *out, x.shape[-1]), tap_dtype(attrs["window"]))


def _pick_infer(specs: Sequence[Spec], attrs: dict[str, Any]) -> Spec:
    x, index = specs
    out = _out("window_pick", specs, x.shape[1:-1], attrs)
    want = Spec((x.shape[0], *out, x.shape[-1]), tap_dtype(attrs["window"]))
    if not x.floating or index != want:
        raise refuse("window_pick", f"needs floats and taps {want}", specs)
    return Spec(want.shape, x.dtype)


def _spread_infer(specs: Sequence[Spec], attrs: dict[str, Any]) -> Spec:
    g, index = specs
    out = _out("window_spread", specs, attrs["size"], attrs)
    want = Spec((g.shape[0], *out, g.shape[-1]), tap_dtype(attrs["window"]))
    if not g.floating or g.shape != want.shape or index != want:
        raise refuse("window_spread", f"needs floats and taps {want}", specs)
    return Spec((g.shape[0], *attrs["size"], g.shape[-1]), g.dtype)


def _taps(x: Array, window: Any, strides: Any, padding: Any) -> Array:
    """``[taps, rows, *windows, channels]``; NaN where there is only padding."""
    wide = framed(x, padding)
    out = [
        (n - k) // s + 1
        for n, k, s in zip(wide.shape[1:-1], window, strides, strict=True)
    ]
    ones = (1,) * len(out)
    return np.stack([wide[at] for _, at in windows(window, out, strides, ones)])


def _argmax_ref(x: Array, window: Any, strides: Any, padding: Any) -> Array:
    values = _taps(x, window, strides, padding)
    inside = _taps(np.ones_like(x, bool), window, strides, padding)
    values = np.where(inside, values, -np.inf)
    found = np.argmax(values, axis=0)
    # Where all are -inf the first inside.
    ok = np.take_along_axis(inside, found[None], axis=0)[0]
    found = np.where(ok, found, np.argmax(inside, axis=0))
    return found.astype(tap_dtype(window))


def _pick_ref(x: Array, index: Array, window: Any, strides: Any, padding: Any) -> Array:
    values = _taps(x, window, strides, padding)
    return np.take_along_axis(values, index[None].astype("int64"), axis=0)[0]


def _spread_ref(
    g: Array, index: Array, window: Any, strides: Any, padding: Any, size: Any
) -> Array:
    wide = framed(np.zeros((g.shape[0], *size, g.shape[-1]), g.dtype), padding)
    ones = (1,) * len(size)
    places = windows(window, g.shape[1:-1], strides, ones)
    for number, (_, at) in enumerate(places):
        wide[at] += np.where(index == number, g, g.dtype.type(0))
    return framed(wide, [(-a, -b) for a, b in padding])


def _apply(record: Any, *xs: Any, **attrs: Any) -> Any:
    from ranvier.graph.trace import apply

    return apply(record, *xs, **attrs)


_TRIED: list[tuple[tuple[int, ...], tuple[int, ...], Any, Any]] = [
    ((2, 7, 3), (3,), (2,), ((1, 1),)),
    ((2, 6, 7, 5), (2, 2), (2, 2), ((0, 0), (0, 0))),
    ((1, 7, 6, 18), (3, 2), (2, 1), ((0, 2), (1, 0))),
    ((2, 7, 6, 18), (3, 2), (2, 1), ((0, 0), (0, 0))),
    ((1, 4, 5, 4, 3), (2, 1, 3), (1, 2, 1), ((0, 0),) * 3),
    ((1, 18, 17, 2), (17, 16), (1, 1), ((0, 0), (0, 0))),
    ((1, 5, 5, 2), (2, 3), (3, 3), ((0, 0), (1, 2))),
    ((1, 4, 5, 4, 3), (2, 2, 3), (1, 2, 2), ((1, 0), (0, 1), (1, 1))),
    ((1, 18, 17, 1), (17, 16), (1, 1), ((0, 0), (3, 0))),
]


def _cases(kind: str) -> list[Any]:
    found = []
    for x, window, strides, padding in _TRIED:
        a = {"window": window, "strides": strides, "padding": padding}
        sizes = zip(x[1:-1], window, strides, padding, strict=True)
        out = tuple((n + sum(p) - k) // s + 1 for n, k, s, p in sizes)
        # Tap 0 alone may be outside: the numbers of taps are drawn where all are inside.
        taps = (0, math.prod(window), tap_dtype(window))
        y = (x[0], *out, x[-1])
        if kind == "argmax":
            found.append(case((x, -1, 1), **a))
        elif any(any(p) for p in padding):
            continue
        elif kind == "pick":
            found.append(case((x, -1, 1), (y, *taps), **a))
        else:
            found.append(case((y, -1, 1), (y, *taps), **a, size=x[1:-1]))
    return found


def _pick_grad(g: Any, y: Any, x: Any, index: Any, **a: Any) -> Sequence[Any]:
    size = tuple(x.shape[1:-1])
    return _apply(window_spread, g, index, **a, size=size), None


window_argmax = op(
    "window_argmax",
    "window",
    _argmax_infer,
    _argmax_ref,
    stops("the number of a tap"),
    _cases("argmax"),
)
window_pick = op(
    "window_pick",
    "window",
    _pick_infer,
    _pick_ref,
    _pick_grad,
    _cases("pick"),
)
window_spread = op(
    "window_spread",
    "window",
    _spread_infer,
    _spread_ref,
    lambda t, y, g, index, size, **a: (_apply(window_pick, t, index, **a), None),
    _cases("spread"),
)
