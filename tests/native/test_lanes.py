"""Recurrent loops whose rows belong to workers: no waits in a round, the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from layer_parts import Part, made
from plan_proofs import Made, prove, recorded
from strategies import workers

import ranvier as keras
from ranvier.engines.native.lanes import Lanes, lanes_of

SEQUENCES = {"return_sequences": True}
#: Layers, with the waits that their plan has inside loops on two workers.
LAYERS: dict[str, tuple[str, dict[str, Any]]] = {
    "simple": ("SimpleRNN", {"units": 64}),
    "lstm": ("LSTM", {"units": 64}),
    "lstm-narrow": ("LSTM", {"units": 20, **SEQUENCES}),
    "lstm-uneven": ("LSTM", {"units": 33, "recurrent_dropout": 0.3, "seed": 1}),
    "gru": ("GRU", {"units": 64, **SEQUENCES}),
    "gru-before": ("GRU", {"units": 24, "reset_after": False, "go_backwards": True}),
    "both": ("Bidirectional", {"layer": Part("GRU", {"units": 16, **SEQUENCES})}),
    "stack": (
        "RNN",
        {"cell": [Part("LSTMCell", {"units": 16}), Part("GRUCell", {"units": 32})]},
    ),
}


def model_of(kind: str, masked: bool) -> Any:
    name, args = LAYERS[kind]
    keras.utils.set_random_seed(0)
    first = (
        [
            keras.Input((7,), dtype="int32"),
            keras.layers.Embedding(9, 10, mask_zero=True),
        ]
        if masked
        else [keras.Input((7, 10))]
    )
    model = keras.Sequential([*first, made(keras, name, args), keras.layers.Dense(3)])
    model.compile("adam", "mse")
    return model


def trained(kind: str, masked: bool, rows: int) -> list[Any]:
    """Trains two batches; weights and predictions."""
    model = model_of(kind, masked)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2 * rows, 7, 10)).astype("float32")
    if masked:
        x = rng.integers(0, 9, (2 * rows, 7)).astype("int32")
    y = rng.normal(size=(2 * rows, *model.output_shape[1:])).astype("float32")
    model.fit(x, y, batch_size=rows, shuffle=False, epochs=2, verbose=0)
    return [*model.get_weights(), model.predict(x, batch_size=rows, verbose=0)]


TRIED = [*((kind, False) for kind in LAYERS), ("lstm-uneven", True), ("both", True)]


@pytest.mark.parametrize(("kind", "masked"), TRIED)
def test_workers_never_meet(kind: str, masked: bool) -> None:
    for count, rows in ((2, 32), (8, 32), (3, 13)):
        with recorded(count, share_all=True) as plans:
            trained(kind, masked, rows)
        assert prove(plans)


@pytest.mark.parametrize(("kind", "masked"), TRIED)
def test_the_same_bits_on_any_number_of_workers(kind: str, masked: bool) -> None:
    first: list[Any] | None = None
    for count in (1, 2, 3, 8):
        with workers(count):
            found = trained(kind, masked, 24)
        first = first or found
        for a, b in zip(found, first, strict=True):
            np.testing.assert_array_equal(a, b)


def rounds(plan: Made) -> list[tuple[int, int]]:
    """For each loop how many steps a round has, and how many waits."""
    steps, found = plan.builder.steps, []
    for at, step in enumerate(steps):
        if step.loop >= 0:
            size = plan.builder.loops[step.loop][0]
            inside = steps[at + 1 : at + 1 + size]
            found.append((size, sum(bool(s.barrier) for s in inside)))
    return found


@pytest.mark.parametrize(
    ("kind", "steps"), [("simple", [1, 2]), ("lstm", [2, 2]), ("gru", [2, 5])]
)
def test_a_round_has_few_steps_and_no_wait(kind: str, steps: list[int]) -> None:
    with recorded(2) as plans:
        trained(kind, False, 32)
    assert rounds(plans[0]) == [(size, 0) for size in steps]


def test_rows_that_do_not_divide_are_shared_otherwise() -> None:
    assert lanes_of([(32, 5), (32, 64)], 2) == Lanes(32, 2)
    for shapes, count in (
        ([(32, 5)], 1),
        ([(33, 5)], 2),
        ([(32, 5), (16, 5)], 2),
        ([(32, 5, 2)], 2),
        ([(8, 5)], 4),
        ([], 2),
    ):
        assert lanes_of(shapes, count) is None


def test_a_wrong_division_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof sees bytes, not what lowering says of them."""
    monkeypatch.setattr(Lanes, "fits", lambda self, shape, dims: shape[0] == self.rows)
    with recorded(8, share_all=True) as plans:
        trained("lstm-uneven", False, 32)
    with pytest.raises(AssertionError, match="workers"):
        prove(plans)
