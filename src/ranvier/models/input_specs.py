"""What the inputs of a step's graph are for given data: dtypes, and sizes left open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ranvier.data.arrays import Arrays, input_dtype
from ranvier.graph import Dim, Spec, tree

#: Axis and size, and the symbol that such a size has.
Symbols = dict[tuple[int, int], Dim]


def input_specs(model: Any, data: Arrays) -> dict[str, Spec]:
    """The spec of each array of `data` as an input of the model's step.

    A size that the model declares as ``None`` is a symbol, so that other lengths need no
    other trace. Arrays whose sizes on an axis are equal share it, targets and weights
    too, where the output that they belong to leaves that axis open.
    """
    declared = _declared(model, data)
    shape = next(iter(declared.values()), (None, None))[0]
    rows = model._rows(shape)
    symbols: Symbols = {}
    for name, (want, _) in declared.items():
        array = data.named[name]
        if want is None or len(want) != array.ndim:
            continue
        for axis, size in enumerate(want):
            if axis and size is None:
                _symbol(symbols, axis, array.shape[axis])
    given = _of_outputs(model, data) if symbols else {}
    for name, want in given.items():
        for axis, size in enumerate(want[: data.named[name].ndim]):
            if axis and size is None:
                known = (axis, data.named[name].shape[axis]) in symbols
                if not known:
                    return _specs(data, declared, {}, {}, rows)  # every size a number
    return _specs(data, declared, given, symbols, rows)


def _specs(
    data: Arrays,
    declared: Mapping[str, tuple[Any, str | None]],
    given: Mapping[str, Sequence[Any]],
    symbols: Symbols,
    rows: Any,
) -> dict[str, Spec]:
    specs = {}
    for name, array in data.named.items():
        want = given.get(name)
        if name[0] == "x":
            want, dtype = declared[name]
            dtype = dtype or input_dtype(array)
        elif name[0] == "w":
            dtype = "float32"
        else:
            dtype = input_dtype(array, labels=True)
        sizes: list[Any] = [rows, *array.shape[1:]]
        if want is not None and (name[0] != "x" or len(want) == array.ndim):
            for axis, size in enumerate(want[: array.ndim]):
                if axis and size is None:
                    sizes[axis] = symbols.get((axis, sizes[axis]), sizes[axis])
        specs[name] = Spec(tuple(sizes), dtype)
    return specs


def _symbol(symbols: Symbols, axis: int, size: int) -> None:
    if (axis, size) not in symbols:
        count = sum(1 for other, _ in symbols if other == axis)
        base = "time" if axis == 1 else f"free{axis}"
        symbols[axis, size] = Dim.symbol(f"{base}_{count}" if count else base)


def _declared(model: Any, data: Arrays) -> dict[str, tuple[Any, str | None]]:
    """Shape and dtype that the model declares for each array of x."""
    names = [name for name in data.named if name[0] == "x"]
    function = model._function
    if function is not None and function.host is not None:
        begins = function.host.inputs
        return {n: (t.shape, t.dtype) for n, t in zip(names, begins, strict=True)}
    if function is None:
        dtype = model._dtype_of_input()
        shape = getattr(model, "input_shape", None) if names == ["x"] else None
        return {name: (shape, dtype) for name in names}
    structure = "x" if names == ["x"] else tree.rebuild(data.x, names)
    matched = function.matched(structure, model.name)
    found: dict[str, tuple[Any, str | None]] = {n: (None, None) for n in names}
    for name, tensor in zip(matched, function.inputs, strict=True):
        found[name] = tensor.shape, tensor.dtype
    return found


def _of_outputs(model: Any, data: Arrays) -> dict[str, Sequence[Any]]:
    """For targets and weights the shape of the output that they belong to."""
    function = model._function
    if function is None:
        return {}
    shapes = [tensor.shape for tensor in function.outputs]
    by_name = dict(zip(function.output_names, shapes, strict=True))
    if isinstance(function.outputs_struct, Mapping):
        by_name = dict(zip(sorted(function.outputs_struct), shapes, strict=True))
    found: dict[str, Sequence[Any]] = {}
    for prefix, part in (("y", data.y), ("w", data.sample_weight)):
        if part is None:
            continue
        names = [name for name in data.named if name[0] == prefix]
        if isinstance(part, Mapping):
            pairs = zip(names, [by_name.get(k) for k in sorted(part)], strict=False)
            found |= {name: shape for name, shape in pairs if shape is not None}
        elif len(names) == len(shapes):
            found |= dict(zip(names, shapes, strict=True))
    return found


__all__ = ["input_specs"]
