"""Data sets that give a batch for its number, in both libraries."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ranvier
from ranvier.errors import ShapeError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype("float32")
Y = RNG.integers(0, 3, 60)
WEIGHTS = {0: 1.0, 1: 3.0, 2: 0.5}


def batch(index: int) -> tuple[Any, Any]:
    at = index % 6 * 10
    return X[at : at + 10], Y[at : at + 10]


def data(library: Any, kind: str) -> Any:
    """A data set derived from the library's own base class."""
    base = library.utils.PyDataset

    class Counted(base):  # type: ignore[misc,valid-type]
        def __len__(self) -> int:
            return 5

        def __getitem__(self, index: int) -> Any:
            return batch(index)

    class Numbered(base):  # type: ignore[misc,valid-type]
        @property
        def num_batches(self) -> int:
            return 4

        def __getitem__(self, index: int) -> Any:
            return batch(index)

    class Endless(base):  # type: ignore[misc,valid-type]
        @property
        def num_batches(self) -> None:
            return None

        def __getitem__(self, index: int) -> Any:
            return batch(index)

    return {"counted": Counted, "numbered": Numbered, "endless": Endless}[kind]()


def network(library: Any) -> Any:
    model = library.Sequential([library.Input((4,)), library.layers.Dense(3)])
    model.set_weights(
        [np.random.default_rng(2).normal(size=w.shape) for w in model.get_weights()]
    )
    loss = library.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(library.optimizers.SGD(0.1), loss, metrics=["accuracy"])
    return model


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("counted", {}),
        ("counted", {"class_weight": WEIGHTS}),
        ("counted", {"steps_per_epoch": 2}),
        ("counted", {"validation": "numbered"}),
        ("numbered", {}),
        ("endless", {"steps_per_epoch": 4}),
    ],
)
def test_fit(keras: Any, kind: str, arguments: dict[str, Any]) -> None:
    found = []
    for library in (ranvier, keras):
        given = dict(arguments)
        validation = given.pop("validation", None)
        if validation:
            given["validation_data"] = data(library, validation)
        model = network(library)
        history = model.fit(
            data(library, kind), epochs=2, shuffle=False, verbose=0, **given
        )
        found.append((history.history, history.params["steps"], model.get_weights()))
    (mine, steps, weights), (other, their_steps, their_weights) = found
    assert list(mine) == list(other)
    assert steps == their_steps
    for name in mine:
        np.testing.assert_allclose(mine[name], other[name], rtol=1e-5)
    for a, b in zip(weights, their_weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_evaluate_and_predict(keras: Any) -> None:
    ours, theirs = network(ranvier), network(keras)
    np.testing.assert_allclose(
        ours.evaluate(data(ranvier, "counted"), verbose=0),
        theirs.evaluate(data(keras, "counted"), verbose=0),
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        ours.predict(data(ranvier, "counted"), verbose=0),
        theirs.predict(data(keras, "counted"), verbose=0),
        rtol=1e-5,
        atol=1e-6,
    )


def test_batches_come_in_a_new_order_each_epoch() -> None:
    asked: list[Any] = []

    class Noted(ranvier.utils.PyDataset):
        def __len__(self) -> int:
            return 6

        def __getitem__(self, index: int) -> Any:
            asked.append(index)
            return batch(index)

        def on_epoch_begin(self) -> None:
            asked.append("begin")

        def on_epoch_end(self) -> None:
            asked.append("end")

    def orders() -> list[list[int]]:
        asked.clear()
        model = network(ranvier)
        model._shuffle_seed = 3
        model.fit(Noted(), epochs=3, verbose=0)
        rounds = [asked[i : i + 8] for i in range(0, len(asked), 8)]
        assert all(r[0] == "begin" and r[-1] == "end" for r in rounds)
        return [r[1:-1] for r in rounds]

    found = orders()
    assert [sorted(order) for order in found] == [list(range(6))] * 3
    assert len({tuple(order) for order in found}) == 3
    assert orders() == found


def test_endless_batches_need_a_number() -> None:
    with pytest.raises(ShapeError, match="without end"):
        network(ranvier).evaluate(data(ranvier, "endless"), verbose=0)


def test_what_must_be_defined_is_told() -> None:
    class Empty(ranvier.utils.PyDataset):
        pass

    with pytest.raises(ShapeError, match="must define __len__"):
        network(ranvier).fit(Empty(), verbose=0)
