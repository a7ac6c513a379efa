"""A model as a drawing of its layers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from ranvier.errors import ShapeError, nearest
from ranvier.utils.drawing import Box, Cell, Drawing, Picture, Port, render

__all__ = ["plot_model"]

_DIRECTIONS = ("TB", "LR")
_TRAINED = Cell("Trainable", "#1b7837", "#ffffff")
_FIXED = Cell("Non-trainable", "#b2182b", "#ffffff")


class _Shown(NamedTuple):
    """What boxes say, and how they stand."""

    shapes: bool
    dtype: bool
    names: bool
    activations: bool
    trainable: bool
    nested: bool
    across: bool


def plot_model(
    model: Any,
    to_file: str | os.PathLike[str] | None = "model.svg",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int | None = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    **kwargs: Any,
) -> Drawing:
    """Draws the layers of a model and what flows between them, as SVG.

    Nothing else needs to be installed, Graphviz neither. A model that is neither
    `Sequential` nor functional is one box, as in Keras.

    Args:
        model: a model that is built.
        to_file: where to write the drawing, a name that ends in ``.svg``; ``None``
            writes nothing. Keras writes ``model.png`` here.
        show_shapes: shapes of inputs and outputs.
        show_dtype: dtypes of outputs.
        show_layer_names: names of layers beside their classes.
        rankdir: ``"TB"``, from top to bottom, or ``"LR"``, from left to right.
        expand_nested: models in the model are drawn with their layers, in a frame.
        dpi: for Keras's signature; an SVG has no dots, it is sharp at any size.
        show_layer_activations: activations of the layers that have one.
        show_trainable: whether layers with weights are trained.
        **kwargs: none; Keras takes some for old programs.

    Returns:
        The drawing: a notebook shows it, ``.svg`` is its text, ``.save(path)`` writes
        it once more.

    Raises:
        ShapeError: RV106 for a model that is not built; RV100 for another direction, a
            file that is not ``.svg``, or an unknown argument.
        FileError: RV603 when the file cannot be written.

    Example:
        >>> import ranvier as keras
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        >>> drawing = keras.utils.plot_model(model, to_file=None, show_shapes=True)
        >>> "Output shape: (None, 3)" in drawing.svg
        True
    """
    if kwargs:
        raise ShapeError(
            "RV100",
            f"plot_model has no argument {next(iter(kwargs))!r}",
            fix=nearest(next(iter(kwargs)), plot_model.__annotations__),
        )
    if rankdir not in _DIRECTIONS:
        raise ShapeError(
            "RV100",
            f"plot_model(rankdir=...) takes 'TB' or 'LR', got {rankdir!r}",
            fix="rankdir='TB' (from top to bottom) or 'LR' (from left to right)",
        )
    if to_file is not None and Path(to_file).suffix.lower() != ".svg":
        name = Path(to_file).with_suffix(".svg").name
        raise ShapeError(
            "RV100",
            f"plot_model writes SVG, not {Path(to_file).suffix or 'without a suffix'!r}",
            details="browsers, notebooks, LaTeX and word processors take SVG as it is; "
            f"for pixels: rsvg-convert {name} -o {Path(name).stem}.png, or "
            f"cairosvg {name} -o {Path(name).stem}.png",
            fix=f"plot_model(model, {name!r})",
        )
    if not getattr(model, "built", False):
        raise ShapeError(
            "RV106",
            f"plot_model needs a model that is built; {_name(model)} is not",
            fix="keras.Input(shape) first, model.build(shape), or one call on data",
        )
    shown = _Shown(
        show_shapes,
        show_dtype,
        show_layer_names,
        show_layer_activations,
        show_trainable,
        expand_nested,
        rankdir == "LR",
    )
    picture = _picture(model, shown, framed=False)
    drawing = render(picture, f"Layers of the model {_name(model)}")
    if to_file is not None:
        drawing.save(to_file)
    return drawing


def _name(model: Any) -> str:
    return str(getattr(model, "name", type(model).__name__))


def _is_nest(part: Any) -> bool:
    """Whether a layer is a model whose layers can be drawn."""
    from ranvier.models import Sequential

    return isinstance(part, Sequential) or getattr(part, "_function", None) is not None


def _picture(model: Any, shown: _Shown, framed: bool) -> Picture:
    from ranvier.models import Sequential

    function = getattr(model, "_function", None)
    line = isinstance(model, Sequential)
    if not _is_nest(model):
        parts = [model]
    elif line or function is None:
        parts = list(model.layers)
    else:
        parts = list(function.operations)
    items: list[Any] = []
    for part in parts:
        if shown.nested and part is not model and _is_nest(part):
            items.append(_picture(part, shown, framed=True))
        else:
            items.append(_box(part, function, shown))
    places = {id(part): i for i, part in enumerate(parts)}
    arrows: list[tuple[int, int, int, int]] = []
    if line:
        arrows += [(i, i + 1, 0, 0) for i in range(len(parts) - 1)]
    elif function is not None and _is_nest(model):
        for node in function.nodes:
            for which, tensor in enumerate(node.input_tensors):
                made = tensor._keras_history
                ends = places[id(made.operation)], places[id(node.operation)]
                arrow = (*ends, made.tensor_index, which)
                same = [a for a in arrows if a[:2] == ends]
                framed_end = any(isinstance(items[end], Picture) for end in ends)
                if not same or (framed_end and arrow not in same):
                    arrows.append(arrow)
    if framed and parts:
        _add_ports(items, arrows, places, function, line)
    return Picture(items, arrows, _name(model) if framed else "", shown.across)


def _add_ports(
    items: list[Any],
    arrows: list[tuple[int, int, int, int]],
    places: dict[int, int],
    function: Any,
    line: bool,
) -> None:
    """Where arrows come into a frame and leave it: at its inputs, at its outputs."""
    if line:
        ends = [(0, 0)], [(len(items) - 1, 0)]
    else:
        inputs, outputs = (
            [
                (places[id(t._keras_history.operation)], t._keras_history.tensor_index)
                for t in tensors
            ]
            for tensors in (function.inputs, function.outputs)
        )
        ends = [(place, 0) for place, _ in inputs], outputs
    for out, tensors in zip((False, True), ends, strict=True):
        for place, index in tensors:
            items.append(Port(out))
            new = len(items) - 1
            arrows.append((place, new, index, 0) if out else (new, place, 0, index))


def _box(part: Any, function: Any, shown: _Shown) -> Box:
    from ranvier.layers import InputLayer

    kind = getattr(part, "class_name", type(part).__name__)
    head = f"{part.name} ({kind})" if shown.names else kind
    activation = getattr(part, "activation", None)
    lines = []
    if shown.activations and activation is not None:
        lines.append(f"Activation: {_activation_name(activation)}")
    calls = [] if function is None else function.calls.get(id(part), [])
    cells = []
    if shown.shapes:
        if not isinstance(part, InputLayer):
            cells.append(Cell(f"Input shape: {_of_calls(calls, _shapes_in)}"))
        cells.append(Cell(f"Output shape: {_of_calls(calls, _shapes_out)}"))
    if shown.dtype:
        cells.append(Cell(f"Output dtype: {_of_calls(calls, _dtypes_out)}"))
    if shown.trainable and getattr(part, "weights", None):
        cells.append(_TRAINED if part.trainable else _FIXED)
    return Box(head, lines, cells)


def _activation_name(activation: Any) -> str:
    name = getattr(activation, "name", None) or getattr(activation, "__name__", None)
    return str(name or activation)


def _of_calls(calls: Any, tell: Any) -> str:
    """What the calls of a layer have in common; each of them where they differ."""
    return " or ".join(dict.fromkeys(tell(call) for call in calls)) or "?"


def _one_or_all(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"[{', '.join(parts)}]"


def _shapes_in(call: Any) -> str:
    return _one_or_all([str(tuple(t.shape)) for t in call.input_tensors])


def _shapes_out(call: Any) -> str:
    return _one_or_all([str(tuple(t.shape)) for t in call.outputs])


def _dtypes_out(call: Any) -> str:
    return _one_or_all([str(t.dtype) for t in call.outputs])
