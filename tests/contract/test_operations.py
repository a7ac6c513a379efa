"""Every function of `ops` as a step of a functional model, and through its config."""

from __future__ import annotations

import inspect
import json
from typing import Any

import numpy as np
import pytest
from ops_cases import CALLS, POSITIVE, A, B, Call

import ranvier as keras
from ranvier import ops
from ranvier._operations import keras_operations, squashed
from ranvier.ops._catalogue import ON_ARRAYS
from ranvier.symbolic import KerasTensor

#: Functions of functions, and those that ask for a shape, make no step of a model.
NO_STEP = {
    "associative_scan", "cond", "custom_gradient", "fori_loop", "jvp", "map", "scan",
    "switch", "vectorize", "vectorized_map", "while_loop",
    "convert_to_numpy", "dtype", "is_tensor", "ndim", "shape", "size",
    # They make arrays out of numbers: nothing of a model goes in.
    "arange", "bartlett", "blackman", "empty", "eye", "full", "geomspace", "hamming",
    "hanning", "identity", "iota", "kaiser", "linspace", "logspace", "ones", "tri",
    "zeros", "random_bits", "random_uniform",
    # Parts of an optimizer's and of a loss's own.
    "adam_update", "check_range",
}  # fmt: skip
#: Keras's classes that hold what no file does: functions, or a batch's size.
NOT_IN_FILES = {"image.extract_patches_3d"}


#: Functions that Keras lacks, or that are compared with it in ways of their own.
OWN = [
    Call("argpartition", (A, 2), {}),
    Call("array", (A,), {}),
    Call("convert_to_tensor", (A,), {"dtype": "int32"}),
    Call("dot_general", (A, B, ((1,), (1,))), {}),
    Call("einsum", ("ij,kj->ik", A, B), {}),
    Call("empty_like", (A,), {}),
    Call("lgamma", (POSITIVE,), {}),
    Call("rint", (A,), {}),
    Call("scatter_add", (A, np.array([2, 0], "int32"), B[:2]), {}),
]


def first_calls() -> dict[str, Call]:
    """For each function the first call that takes an array with a first axis."""
    found: dict[str, Call] = {}
    for call in CALLS:
        first = call.args[0] if call.args else None
        one = isinstance(first, np.ndarray) and first.ndim > 0 and first.size > 0
        many = isinstance(first, (list, tuple)) and bool(
            [a for a in first if isinstance(a, np.ndarray)]
        )
        strange = call.name == "where" and len(call.args) == 1
        strange = strange or call.name in NO_STEP
        if (one or many) and call.name not in ON_ARRAYS and not strange:
            found.setdefault(call.name, call)
    return found | {call.name: call for call in OWN}


FIRST = first_calls()


def test_no_function_is_forgotten() -> None:
    public = {*ops.__all__, *(f"image.{name}" for name in ops.image.__all__)}
    assert public - NO_STEP - set(ON_ARRAYS) - set(FIRST) == set()


def symbols_of(value: Any, arrays: list[Any], inputs: list[KerasTensor]) -> Any:
    """Arguments with an input in place of each array."""
    if isinstance(value, np.ndarray):
        arrays.append(value)
        inputs.append(keras.Input(batch_shape=value.shape, dtype=str(value.dtype)))
        return inputs[-1]
    if isinstance(value, (list, tuple)):
        return type(value)(symbols_of(v, arrays, inputs) for v in value)
    return value


def leaves(value: Any) -> list[np.ndarray]:
    if isinstance(value, (list, tuple)):
        return [leaf for part in value for leaf in leaves(part)]
    return [np.asarray(value)]


def same(found: Any, wanted: Any) -> None:
    found, wanted = leaves(found), leaves(wanted)
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", sorted(FIRST))
def test_a_functional_model_gives_what_arrays_give(name: str) -> None:
    call = FIRST[name]
    arrays: list[Any] = []
    inputs: list[KerasTensor] = []
    args = symbols_of(call.args, arrays, inputs)
    kwargs = {k: symbols_of(v, arrays, inputs) for k, v in call.kwargs.items()}
    outputs = call.of(ops)(*args, **kwargs)
    wanted = call.of(ops)(*call.args, **call.kwargs)
    flat = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    for symbol, value in zip(flat, leaves(wanted), strict=True):
        assert symbol.shape == value.shape
        assert symbol.dtype == str(value.dtype)
    same(keras.Function(inputs, outputs)(arrays), wanted)
    operation = flat[0]._keras_history.operation
    known = keras_operations().get(squashed(name.rpartition(".")[2]))
    if known is not None and inspect.unwrap(call.of(ops)).__name__ == name:
        assert type(operation).__name__ == "Operation"
        assert operation.class_name == known.name
    if name in NOT_IN_FILES:
        return
    model = keras.Model(inputs, list(flat))
    config = json.loads(json.dumps(model.get_config()))
    again = keras.Model.from_config(config)
    same(keras.Function(again.inputs, again.outputs)(arrays), wanted)
