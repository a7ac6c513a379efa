"""Progbar's means, names of dtypes and inputs of tensors are Keras's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ranvier

STEPS = [(1, 3.0), (2, 1.0), (5, -2.0), (5, 4.0), (9, 0.5)]


@pytest.mark.parametrize("kinds", ["none", "stateful", "stateless"])
@pytest.mark.parametrize("target", [None, 9, 12])
def test_progbar_averages(keras: Any, kinds: str, target: int | None) -> None:
    names = {} if kinds == "none" else {f"{kinds}_metrics": ["a"]}
    bars = [lib.utils.Progbar(target, verbose=0, **names) for lib in (keras, ranvier)]
    for bar in bars:
        for step, value in STEPS:
            bar.update(step, [("a", value), ("b", 2 * value)])
        bar.add(2, [("a", 7.0)])
    theirs = {k: float(np.mean(v)) / max(1, n) for k, (v, n) in bars[0]._values.items()}
    assert bars[1].means == pytest.approx(theirs, rel=1e-12)


@pytest.mark.parametrize(
    "dtype",
    [None, float, int, bool, str, "int", "float32", "bfloat16", np.float64, np.uint8]
    + [np.dtype("int16"), np.dtype("bool")],
)
def test_names_of_dtypes(keras: Any, dtype: Any) -> None:
    mine = ranvier.utils.standardize_dtype(dtype)
    assert mine == keras.utils.standardize_dtype(dtype)


@pytest.mark.parametrize("dtype", ["float31", 3, "", list])
def test_what_is_no_dtype(keras: Any, dtype: Any) -> None:
    for lib in (keras, ranvier):
        with pytest.raises(ValueError):
            lib.utils.standardize_dtype(dtype)


def test_inputs_of_a_tensor(keras: Any) -> None:
    for lib in (keras, ranvier):
        a, b, c = (lib.Input((2,), name=name) for name in "abc")
        shared = lib.layers.Dense(2)
        x = lib.layers.add([shared(b), shared(a)])
        y = lib.layers.concatenate([x, a, lib.layers.Dense(1)(c), x])
        found = lib.utils.get_source_inputs(y)
        assert [t.name for t in found] == ["b", "a", "c"]
        assert found[0] is b
        assert lib.utils.get_source_inputs(b) == [b]
        assert lib.utils.get_source_inputs(3) == 3
