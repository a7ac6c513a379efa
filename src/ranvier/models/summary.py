"""The table of layers, and where each number of parameters comes from."""

from __future__ import annotations

import math
from typing import Any

from ranvier.layers.base import Layer


def parameter_formula(layer: Layer) -> str:
    """The arithmetic of a layer's parameters, in words of its own shape.

    Example:
        >>> from ranvier import layers
        >>> dense = layers.Dense(6); dense.build((None, 3)); parameter_formula(dense)
        '6*(3+1) = 24'
    """
    shapes = [tuple(v.shape) for v in layer.weights]
    count = sum(math.prod(s) for s in shapes)
    kind = type(layer).__name__
    if kind == "Dense" and shapes and len(shapes[0]) == 2:
        inputs, units = shapes[0]
        bias = "+1" if len(shapes) > 1 else ""
        inner = f"({inputs}{bias})" if bias else str(inputs)
        return f"{units}*{inner} = {count:,}"
    if kind == "Embedding" and shapes:
        return f"{shapes[0][0]}*{shapes[0][1]} = {count:,}"
    if not shapes:
        return "0"
    if all(len(s) == 1 for s in shapes) and len(set(shapes)) == 1 and len(shapes) > 1:
        return f"{len(shapes)}*{shapes[0][0]} = {count:,}"
    terms = ["*".join(map(str, s)) or "1" for s in shapes]
    return (
        f"{' + '.join(terms)} = {count:,}"
        if len(terms) > 1
        else f"{terms[0]} = {count:,}"
    )


def parameters_explained(model: Any) -> str:
    """The parameters of a whole model as one sum.

    Example:
        ``128*(784+1) + 10*(128+1) = 101,770``
    """
    terms = [
        parameter_formula(layer).split(" = ")[0]
        for layer in leaves(model)
        if layer.weights
    ]
    return f"{' + '.join(terms) or '0'} = {model.count_params():,}"


def leaves(model: Any) -> list[Layer]:
    """Layers that are no models themselves, in order."""
    found: list[Layer] = []
    for layer in model.layers:
        found += leaves(layer) if hasattr(layer, "layers") else [layer]
    return found


def _shown(shape: Any) -> str:
    if shape is None:
        return "?"
    if isinstance(shape, tuple):
        inner = ", ".join("None" if s is None else str(s) for s in shape)
        return f"({inner}{',' if len(shape) == 1 else ''})"
    return str(shape)


def _size(count: int) -> str:
    size = float(count * 4)
    for unit in ("B", "KB", "MB"):
        if size < 1024:
            return f"{size:.2f} {unit}"
        size /= 1024
    return f"{size:.2f} GB"


def _rows(model: Any, nested: bool, depth: int = 0) -> list[tuple[Layer, str, Any]]:
    shape = getattr(model, "input_shape", None)
    rows: list[tuple[Layer, str, Any]] = []
    for layer in model.layers:
        if shape is not None and hasattr(model, "_layers"):
            shape = layer.compute_output_shape(shape)
        else:
            shape = None
        name = "  " * depth + f"{layer.name} ({type(layer).__name__})"
        rows.append((layer, name, shape))
        if nested and hasattr(layer, "layers"):
            rows += _rows(layer, nested, depth + 1)
    return rows


def summary_text(
    model: Any,
    line_length: int | None,
    expand_nested: bool,
    show_trainable: bool,
    explain: bool,
) -> str:
    """The text that `Model.summary` prints."""
    head = ["Layer (type)", "Output Shape", "Param #"]
    if show_trainable:
        head.append("Trainable")
    table: list[list[str]] = []
    for layer, name, shape in _rows(model, expand_nested):
        if not layer.built and not layer.weights:
            count = "0 (unbuilt)"
        elif explain and not hasattr(layer, "layers"):
            count = parameter_formula(layer)
        else:
            count = f"{layer.count_params():,}"
        row = [name, _shown(shape), count]
        if show_trainable:
            row.append("yes" if layer.trainable else "no")
        table.append(row)
    widths = [max(len(r[i]) for r in [head, *table]) for i in range(len(head))]
    if line_length:
        spare = line_length - sum(widths) - 3 * (len(widths) - 1)
        widths[0] += max(0, spare)

    def line(cells: list[str]) -> str:
        left = [c.ljust(w) for c, w in zip(cells[:2], widths[:2], strict=True)]
        right = [c.rjust(w) for c, w in zip(cells[2:], widths[2:], strict=True)]
        return "   ".join([*left, *right]).rstrip()

    rule = "─" * (sum(widths) + 3 * (len(widths) - 1))
    trained = sum(math.prod(v.shape) for v in model.trainable_weights)  # type: ignore[arg-type]
    fixed = sum(math.prod(v.shape) for v in model.non_trainable_weights)  # type: ignore[arg-type]
    lines = [f'Model: "{model.name}"', line(head), rule]
    lines += [line(row) for row in table]
    lines += [
        rule,
        f"Total params: {trained + fixed:,} ({_size(trained + fixed)})",
        f"Trainable params: {trained:,} ({_size(trained)})",
        f"Non-trainable params: {fixed:,} ({_size(fixed)})",
    ]
    optimizer = model.optimizer
    if optimizer is not None and getattr(optimizer, "built", False):
        slots = sum(math.prod(v.shape) for v in optimizer.variables)
        lines.append(f"Optimizer params: {slots:,} ({_size(slots)})")
    if explain and model.built:
        lines.append(f"Parameters: {parameters_explained(model)}")
    return "\n".join(lines)
