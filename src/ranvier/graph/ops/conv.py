"""Convolutions: three sums over one relation between positions and taps.

Input position ``i``, output position ``o`` and tap ``k`` of an axis belong together where
``i = o * stride + k * dilation - low``. The three operations sum products over it: for
every output (`conv`), every input (`conv_input`), every tap (`conv_kernel`). Each is
linear in its two operands, and the gradients of each are the two others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

from ranvier.graph.dims import Size
from ranvier.graph.ir import Spec
from ranvier.graph.op import case, op
from ranvier.graph.ops._infer import refuse

Array = np.ndarray[Any, Any]
#: Axes between the rows and the channels.
MOST_AXES = 3


def reach(taps: Size, dilation: int) -> Size:
    """How many positions a window covers."""
    return (taps - 1) * dilation + 1


def positions(
    size: Size, taps: Size, stride: int, dilation: int, padding: tuple[Size, Size]
) -> Size:
    """How many windows fit into an axis with its padding."""
    low, high = padding
    return (size + low + high - reach(taps, dilation)) // stride + 1


def check_windows(
    name: str,
    specs: Sequence[Spec],
    sizes: Sequence[Size],
    taps: Sequence[Size],
    attrs: dict[str, Any],
) -> tuple[Size, ...]:
    """Number of windows along each axis between rows and channels.

    Raises:
        ShapeError: RV108, when attributes do not fit, or no window does.
    """
    rank = len(sizes)
    ones = (1,) * rank
    strides, padding = attrs["strides"], attrs["padding"]
    dilation = attrs.get("dilation", ones)
    if not 1 <= rank <= MOST_AXES or len(taps) != rank:
        raise refuse(name, "needs one to three axes between rows and channels", specs)
    if any(len(a) != rank for a in (strides, padding, dilation)):
        raise refuse(name, f"needs an attribute for each of {rank} axes", specs)
    if min(*strides, *dilation) < 1:
        raise refuse(name, "strides and dilation start at 1", specs)
    axes = zip(sizes, taps, strides, dilation, padding, strict=True)
    found = tuple(positions(*axis) for axis in axes)
    for count, size, n, d in zip(found, sizes, taps, dilation, strict=True):
        if isinstance(count, int) and count < 1:
            raise refuse(
                name,
                f"a window of {reach(n, d)} is wider than an axis of {size}",
                specs,
            )
    return found


def _groups(name: str, specs: Sequence[Spec], groups: int, inputs: Any, to: Any) -> int:
    if not isinstance(inputs, int) or not isinstance(to, int):
        raise refuse(name, "needs numbers of channels that are known", specs)
    if groups < 1 or inputs % groups or to % groups:
        raise refuse(
            name, f"{inputs} and {to} channels do not fall into {groups} groups", specs
        )
    return inputs // groups


def _common(name: str, specs: Sequence[Spec]) -> None:
    first = specs[0]
    if any(s.dtype != first.dtype for s in specs) or not first.floating:
        raise refuse(name, "needs floats of one dtype", specs)
    if any(len(s.shape) != len(first.shape) for s in specs):
        raise refuse(name, "operands need as many axes", specs)


def _conv_infer(specs: Sequence[Spec], attrs: dict[str, Any]) -> Spec:
    x, w = specs
    _common("conv", specs)
    inner, to = w.shape[-2:]
    if _groups("conv", specs, attrs["groups"], x.shape[-1], to) != inner:
        raise refuse("conv", f"the kernel takes {inner} channels a group", specs)
    out = check_windows("conv", specs, x.shape[1:-1], w.shape[:-2], attrs)
    return Spec((x.shape[0], *out, to), x.dtype)


def _input_infer(specs: Sequence[Spec], attrs: dict[str, Any]) -> Spec:
    g, w = specs
    _common("conv_input", specs)
    inner, to = w.shape[-2:]
    groups = attrs["groups"]
    channels = inner * groups
    _groups("conv_input", specs, groups, channels, to)
    size = tuple(attrs["size"])
    out = check_windows("conv_input", specs, size, w.shape[:-2], attrs)
    if g.shape[-1] != to or tuple(g.shape[1:-1]) != out:
        raise refuse("conv_input", f"needs outputs of shape {(*out, to)}", specs)
    return Spec((g.shape[0], *size, channels), g.dtype)


def _kernel_infer(specs: Sequence[Spec], attrs: dict[str, Any]) -> Spec:
    x, g = specs
    _common("conv_kernel", specs)
    taps, to = tuple(attrs["kernel"]), g.shape[-1]
    inner = _groups("conv_kernel", specs, attrs["groups"], x.shape[-1], to)
    out = check_windows("conv_kernel", specs, x.shape[1:-1], taps, attrs)
    if tuple(g.shape[1:-1]) != out or g.shape[0] != x.shape[0]:
        raise refuse("conv_kernel", f"needs outputs of shape {(*out, to)}", specs)
    return Spec((*taps, inner, to), x.dtype)


def framed(x: Array, padding: Sequence[tuple[int, int]], value: float = 0.0) -> Array:
    """Widen (or, where negative, cut) the axes between rows and channels."""
    widths = [(0, 0), *((max(a, 0), max(b, 0)) for a, b in padding), (0, 0)]
    x = np.pad(x, widths, constant_values=value)
    cut = [
        slice(max(-a, 0), n - max(-b, 0))
        for (a, b), n in zip(padding, x.shape[1:-1], strict=True)
    ]
    return x[(slice(None), *cut)]


def windows(
    taps: Sequence[int], out: Sequence[Any], strides: Any, dilation: Any
) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
    """Each tap, and where in the widened input the positions that it meets lie."""
    for tap in product(*map(range, taps)):
        axes = zip(tap, out, strides, dilation, strict=True)
        yield (
            tap,
            (
                slice(None),
                *(slice(k * d, k * d + (n - 1) * s + 1, s) for k, n, s, d in axes),
            ),
        )


def _grouped(x: Array, groups: int) -> Array:
    """``[..., channels]`` as ``[groups, positions, channels of a group]``."""
    return x.reshape(-1, groups, x.shape[-1] // groups).transpose(1, 0, 2)


def _grouped_kernel(w: Array, groups: int) -> Array:
    """``[inner, outputs]`` as ``[groups, inner, outputs of a group]``."""
    return w.reshape(w.shape[0], groups, -1).transpose(1, 0, 2)


def _conv_ref(
    x: Array, w: Array, strides: Any, padding: Any, dilation: Any, groups: int
) -> Array:
    wide = framed(x, padding)
    taps = w.shape[:-2]
    axes = zip(x.shape[1:-1], taps, strides, dilation, padding, strict=True)
    out = tuple(positions(*axis) for axis in axes)
    y: Any = 0
    with np.errstate(all="ignore"):
        for tap, place in windows(taps, out, strides, dilation):
            y = y + _grouped(wide[place], groups) @ _grouped_kernel(w[tap], groups)
    return y.transpose(1, 0, 2).reshape(x.shape[0], *out, w.shape[-1])


def _input_ref(
    g: Array,
    w: Array,
    strides: Any,
    padding: Any,
    dilation: Any,
    groups: int,
    size: Any,
) -> Array:
    taps, out = w.shape[:-2], g.shape[1:-1]
    channels = w.shape[-2] * groups
    # Room for every window from its first to its last position, also behind the end.
    axes = zip(out, strides, taps, dilation, size, padding, strict=True)
    span = [
        max((n - 1) * s + reach(k, d), i + a)  # type: ignore[type-var]
        for n, s, k, d, i, (a, _) in axes
    ]
    wide = np.zeros((g.shape[0], *span, channels), g.dtype)
    with np.errstate(all="ignore"):
        for tap, place in windows(taps, out, strides, dilation):
            kernel = _grouped_kernel(w[tap], groups).transpose(0, 2, 1)
            part = (_grouped(g, groups) @ kernel).transpose(1, 0, 2)
            wide[place] += part.reshape(g.shape[0], *out, channels)
    ends = zip(padding, size, span, strict=True)
    return framed(wide, [(-a, i + a - n) for (a, _), i, n in ends])


def _kernel_ref(
    x: Array,
    g: Array,
    strides: Any,
    padding: Any,
    dilation: Any,
    groups: int,
    kernel: Any,
) -> Array:
    wide = framed(x, padding)
    inner, out = x.shape[-1] // groups, g.shape[1:-1]
    found = np.empty((*kernel, inner, g.shape[-1]), x.dtype)
    right = _grouped(g, groups)
    with np.errstate(all="ignore"):
        for tap, place in windows(kernel, out, strides, dilation):
            part = _grouped(wide[place], groups).transpose(0, 2, 1) @ right
            found[tap] = part.transpose(1, 0, 2).reshape(inner, -1)
    return found


def _apply(record: Any, *xs: Any, **attrs: Any) -> Any:
    from ranvier.graph.trace import apply

    return apply(record, *xs, **attrs)


def _conv_grad(g: Any, y: Any, x: Any, w: Any, **a: Any) -> Sequence[Any]:
    return (
        _apply(conv_input, g, w, **a, size=tuple(x.shape[1:-1])),
        _apply(conv_kernel, x, g, **a, kernel=tuple(w.shape[:-2])),
    )


def _input_grad(t: Any, y: Any, g: Any, w: Any, size: Any, **a: Any) -> Sequence[Any]:
    return (
        _apply(conv, t, w, **a),
        _apply(conv_kernel, t, g, **a, kernel=tuple(w.shape[:-2])),
    )


def _kernel_grad(
    t: Any, y: Any, x: Any, g: Any, kernel: Any, **a: Any
) -> Sequence[Any]:
    return (
        _apply(conv_input, g, t, **a, size=tuple(x.shape[1:-1])),
        _apply(conv, x, t, **a),
    )


def _attrs(
    rank: int, stride: Any = 1, pad: Any = (0, 0), dilation: Any = 1, groups: int = 1
) -> dict[str, Any]:
    def each(value: Any) -> Any:
        return (value,) * rank if isinstance(value, int) else value

    return {
        "strides": each(stride),
        "padding": pad if isinstance(pad[0], tuple) else (pad,) * rank,
        "dilation": each(dilation),
        "groups": groups,
    }


#: Input ``(rows, *sizes, channels)``, kernel ``(*taps, inner, outputs)``, attributes.
_TRIED: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ((2, 7, 3), (3, 3, 4), _attrs(1)),
    ((2, 9, 4), (3, 2, 6), _attrs(1, 2, (2, 0), 2, 2)),
    ((1, 8, 1), (4, 1, 1), _attrs(1, 3, (1, 2))),
    ((2, 5, 6, 3), (3, 2, 3, 5), _attrs(2, 1, ((1, 1), (0, 1)))),
    ((2, 7, 8, 2), (3, 3, 2, 70), _attrs(2, 2, ((0, 1), (1, 1)))),
    ((1, 5, 5, 20), (1, 1, 20, 3), _attrs(2, 2)),
    ((2, 6, 6, 17), (3, 3, 1, 17), _attrs(2, 1, (1, 1), 1, 17)),
    ((2, 6, 5, 3), (2, 3, 1, 6), _attrs(2, (2, 1), (1, 1), (1, 2), 3)),
    ((1, 6, 6, 2), (2, 2, 2, 3), _attrs(2, 3, ((-1, 0), (0, -1)))),
    ((1, 4, 5, 3, 2), (2, 3, 2, 2, 3), _attrs(3, (1, 2, 1), (1, 0))),
]


def _sizes(x: tuple[int, ...], w: tuple[int, ...], a: dict[str, Any]) -> Any:
    axes = (x[1:-1], w[:-2], a["strides"], a["dilation"], a["padding"])
    return (x[0], *(positions(*axis) for axis in zip(*axes, strict=True)), w[-1])


conv = op(
    "conv",
    "conv",
    _conv_infer,
    _conv_ref,
    _conv_grad,
    [case((x, -1, 1), (w, -1, 1), **a) for x, w, a in _TRIED],
    64.0,
)
conv_input = op(
    "conv_input",
    "conv",
    _input_infer,
    _input_ref,
    _input_grad,
    [
        case((_sizes(x, w, a), -1, 1), (w, -1, 1), **a, size=x[1:-1])
        for x, w, a in _TRIED
    ],
    64.0,
)
conv_kernel = op(
    "conv_kernel",
    "conv",
    _kernel_infer,
    _kernel_ref,
    _kernel_grad,
    [
        case((x, -1, 1), (_sizes(x, w, a), -1, 1), **a, kernel=w[:-2])
        for x, w, a in _TRIED
    ],
    64.0,
)
