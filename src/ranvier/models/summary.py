"""The table of layers, and where each number of parameters comes from."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

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


class _Row(NamedTuple):
    """A line of the table: a layer or operation, its shape, and what it is called on."""

    part: Any
    name: str
    shape: Any
    connected: str


def _rows(model: Any, nested: bool, depth: int = 0) -> list[_Row]:
    from ranvier.models.sequential import Sequential

    function = getattr(model, "_function", None)
    parts = model.layers
    if function is not None and not isinstance(model, Sequential):
        parts = function.operations  # a Sequential's own list is without the input
    rows: list[_Row] = []
    for part in parts:
        shape, connected = None, ""
        if function is not None:
            calls = function.calls[id(part)]
            shapes = [tuple(tensor.shape) for tensor in calls[0].outputs]
            shape = shapes[0] if len(shapes) == 1 else shapes
            connected = _connected(calls)
        kind = getattr(part, "class_name", type(part).__name__)
        rows.append(
            _Row(part, "  " * depth + f"{part.name} ({kind})", shape, connected)
        )
        if nested and hasattr(part, "layers"):
            rows += _rows(part, nested, depth + 1)
    return rows


def _connected(calls: Any) -> str:
    """What the calls of a layer take: ``dense[0][0]``, its first call's first output."""
    places = [
        f"{t._keras_history.operation.name}"
        f"[{t._keras_history.node_index}][{t._keras_history.tensor_index}]"
        for call in calls
        for t in call.input_tensors
        if t._keras_history is not None
    ]
    return ", ".join(places) or "-"


def _is_a_line(model: Any) -> bool:
    """Whether each layer takes what the one before it gave, and nothing else."""
    from ranvier.models.sequential import Sequential

    function = getattr(model, "_function", None)
    if function is None or isinstance(model, Sequential):
        return True
    before = None
    for node in function.nodes:
        sources = [t.node for t in node.input_tensors]
        if not node.is_input and (len(sources) != 1 or sources[0] is not before):
            return False
        before = node
    return len(function.inputs) == 1


class SummaryTable(NamedTuple):
    """What a summary says.

    Attributes:
        title: the model's name.
        head: names of the columns.
        rows: a row a layer.
        line: whether each layer takes what the one before it gave.
        foot: what stands below: counts of parameters.
    """

    title: str
    head: list[str]
    rows: list[list[str]]
    line: bool
    foot: list[str]


def summary_table(
    model: Any,
    expand_nested: bool = False,
    show_trainable: bool = False,
    explain: bool = False,
) -> SummaryTable:
    """What `Model.summary` prints, and a notebook shows."""
    head = ["Layer (type)", "Output Shape", "Param #"]
    if show_trainable:
        head.append("Trainable")
    line_only = _is_a_line(model)
    if not line_only:
        head.append("Connected to")
    table: list[list[str]] = []
    for layer, name, shape, connected in _rows(model, expand_nested):
        if not isinstance(layer, Layer):
            count = "0"
        elif not layer.built and not layer.weights:
            count = "0 (unbuilt)"
        elif explain and not hasattr(layer, "layers"):
            count = parameter_formula(layer)
        else:
            count = f"{layer.count_params():,}"
        row = [name, _shown(shape), count]
        if show_trainable:
            trained = layer.trainable if isinstance(layer, Layer) else None
            row.append({True: "yes", False: "no", None: "-"}[trained])
        if not line_only:
            row.append(connected)
        table.append(row)
    trained = sum(math.prod(v.shape) for v in model.trainable_weights)  # type: ignore[arg-type]
    fixed = sum(math.prod(v.shape) for v in model.non_trainable_weights)  # type: ignore[arg-type]
    foot = [
        f"Total params: {trained + fixed:,} ({_size(trained + fixed)})",
        f"Trainable params: {trained:,} ({_size(trained)})",
        f"Non-trainable params: {fixed:,} ({_size(fixed)})",
    ]
    optimizer = model.optimizer
    if optimizer is not None and getattr(optimizer, "built", False):
        slots = sum(math.prod(v.shape) for v in optimizer.variables)
        foot.append(f"Optimizer params: {slots:,} ({_size(slots)})")
    if explain and model.built:
        foot.append(f"Parameters: {parameters_explained(model)}")
    return SummaryTable(f'Model: "{model.name}"', head, table, line_only, foot)


def summary_text(
    model: Any,
    line_length: int | None,
    expand_nested: bool,
    show_trainable: bool,
    explain: bool,
) -> str:
    """The text that `Model.summary` prints."""
    title, head, table, line_only, foot = summary_table(
        model, expand_nested, show_trainable, explain
    )
    widths = [max(len(r[i]) for r in [head, *table]) for i in range(len(head))]
    if line_length:
        spare = line_length - sum(widths) - 3 * (len(widths) - 1)
        widths[0] += max(0, spare)

    def line(cells: list[str]) -> str:
        left = [c.ljust(w) for c, w in zip(cells[:2], widths[:2], strict=True)]
        ends = len(cells) - (0 if line_only else 1)
        right = [c.rjust(w) for c, w in zip(cells[2:ends], widths[2:ends], strict=True)]
        return "   ".join([*left, *right, *cells[ends:]]).rstrip()

    rule = "─" * (sum(widths) + 3 * (len(widths) - 1))
    lines = [title, line(head), rule, *map(line, table), rule, *foot]
    return "\n".join(lines)
