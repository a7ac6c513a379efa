"""`Normalization`: what it takes from data and what it is given, as Keras does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import ranvier
from ranvier.errors import RanvierError

TABLE = (np.random.default_rng(0).random((50, 4)) * [1, 10, 100, -5]).astype("float32")
CUBES = np.random.default_rng(1).random((7, 3, 4)).astype("float32")

Adapt = Callable[[Any], None]
ADAPTED: dict[str, tuple[dict[str, Any], Adapt, Any]] = {
    "columns": ({}, lambda layer: layer.adapt(TABLE), TABLE),
    "all": ({"axis": None}, lambda layer: layer.adapt(TABLE), TABLE),
    "two axes": ({"axis": (1, 2)}, lambda layer: layer.adapt(CUBES), CUBES),
    "a middle axis": ({"axis": 1}, lambda layer: layer.adapt(CUBES), CUBES),
    "backwards": ({"invert": True}, lambda layer: layer.adapt(TABLE), TABLE),
    "anew": ({}, lambda layer: (layer.adapt(TABLE), layer.adapt(TABLE * 2)), TABLE),  # type: ignore[dict-item,return-value]
}
GIVEN: dict[str, tuple[dict[str, Any], Any]] = {
    "numbers": ({"mean": 2.0, "variance": 3.0}, TABLE),
    "numbers for all": ({"mean": 2.0, "variance": 3.0, "axis": None}, TABLE),
    "a middle axis": (
        {"axis": 1, "mean": [1.0, 2.0, 3.0], "variance": [1.0, 4.0, 9.0]},
        CUBES,
    ),
    "the last of two axes": (
        {"axis": (1, 2), "mean": [1.0, 2.0, 3.0, 4.0], "variance": [1.0, 4, 9, 1]},
        CUBES,
    ),
    "a column": (
        {"axis": (1, 2), "mean": [[1.0], [2], [3]], "variance": [[1.0], [2], [3]]},
        CUBES,
    ),
}


def alike(ours: Any, theirs: Any, x: Any) -> None:
    np.testing.assert_allclose(
        ours(x).numpy(), np.asarray(theirs(x)), rtol=1e-4, atol=1e-4
    )
    for which in ("mean", "variance"):
        mine, other = getattr(ours, which), np.asarray(getattr(theirs, which))
        assert mine.shape == other.shape
        np.testing.assert_allclose(mine.numpy(), other, rtol=1e-4)


@pytest.mark.parametrize("name", ADAPTED)
def test_adapted(keras: Any, name: str) -> None:
    arguments, adapt, x = ADAPTED[name]
    ours = ranvier.layers.Normalization(**arguments)
    theirs = keras.layers.Normalization(**arguments)
    assert ours.mean is None
    assert theirs.mean is None
    adapt(ours), adapt(theirs)
    alike(ours, theirs, x)


@pytest.mark.parametrize("kind", [list, iter])
def test_batches(keras: Any, kind: Callable[[Any], Any]) -> None:
    """Real Keras needs TensorFlow to read batches; it is given the whole."""
    ours, theirs = ranvier.layers.Normalization(), keras.layers.Normalization()
    ours.adapt(kind([TABLE[:20], TABLE[20:]]))
    theirs.adapt(TABLE)
    alike(ours, theirs, TABLE)


@pytest.mark.parametrize("name", GIVEN)
def test_given(keras: Any, name: str) -> None:
    arguments, x = GIVEN[name]
    ours = ranvier.layers.Normalization(**arguments)
    theirs = keras.layers.Normalization(**arguments)
    ours.build((None, *x.shape[1:])), theirs.build((None, *x.shape[1:]))
    alike(ours, theirs, x)


def test_blocks_of_rows_are_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many rows are looked at together."""
    from ranvier.layers import preprocessing

    monkeypatch.setattr(preprocessing, "_BLOCK", 29)
    layer = ranvier.layers.Normalization()
    layer.adapt(TABLE)
    np.testing.assert_allclose(layer.mean.numpy()[0], TABLE.mean(0), rtol=1e-5)
    np.testing.assert_allclose(layer.variance.numpy()[0], TABLE.var(0), rtol=1e-5)


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("RV100", lambda layer: layer(mean=[1.0, 2.0], variance=[1.0])),
        ("RV100", lambda layer: layer(mean=[[1.0]], variance=[[1.0]])),
        ("RV100", lambda layer: layer(axis=5).adapt(TABLE)),
        ("RV103", lambda layer: both(layer(), TABLE, CUBES)),
        ("RV103", lambda layer: both(layer(), TABLE, TABLE[:, :3])),
        ("RV108", lambda layer: layer(mean=[1.0, 2.0], variance=[1.0, 2.0])(TABLE)),
        ("RV203", lambda layer: layer().adapt(np.array([["a", "b"]]))),
        ("RV207", lambda layer: layer().adapt(TABLE[:0])),
        ("RV207", lambda layer: layer().adapt([])),
    ],
)
def test_what_does_not_fit_is_told(code: str, fault: Callable[[Any], Any]) -> None:
    with pytest.raises(RanvierError) as caught:
        fault(ranvier.layers.Normalization)
    assert caught.value.code == code


def both(layer: Any, first: Any, second: Any) -> None:
    layer.adapt(first)
    layer.adapt(second)
