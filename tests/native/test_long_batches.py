"""Sums over long batches are made in parts: the same ones, however many workers there are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from plan_proofs import Made, prove, recorded

import ranvier as keras
from ranvier.engines.native import engine as native
from ranvier.engines.native import parts

layers = keras.layers
Array = np.ndarray[Any, Any]


def series() -> list[Any]:
    """Products over steps, a convolution, and widths with and without parts."""
    return [
        keras.Input((40, 24)),
        layers.Dense(64, activation="relu"),
        layers.Dense(30, activation="tanh"),
        layers.Dense(80),
        layers.Conv1D(16, 3, padding="same"),
        layers.GlobalAveragePooling1D(),
        layers.Dense(3),
    ]


def images() -> list[Any]:
    """Positions through windows, strides, channels by themselves, groups, 1x1."""
    return [
        keras.Input((17, 17, 3)),
        layers.Conv2D(16, 2, activation="relu"),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(16, 3, strides=2, padding="same"),
        layers.DepthwiseConv2D(3, padding="same"),
        layers.Conv2D(32, 3, groups=2, padding="same"),
        layers.Conv2D(48, 1, activation="relu"),
        layers.Flatten(),
        layers.Dense(3),
    ]


def table() -> list[Any]:
    """A wide input, which lies in panels, and a narrow one."""
    return [
        keras.Input((330,)),
        layers.Dense(48, activation="relu"),
        layers.Dense(64, activation="gelu"),
        layers.Dense(3),
    ]


CASES: dict[str, tuple[Any, int]] = {
    "series": (series, 80),
    "images": (images, 130),
    "table": (table, 2050),
}


def trained(name: str, engine: str = "native", optimizer: str = "adam") -> list[Array]:
    """Weights and losses after two epochs with a partial last batch."""
    made, batch = CASES[name]
    keras.utils.set_random_seed(3)
    model = keras.Sequential(made())
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss)
    rng = np.random.default_rng(0)
    rows = 2 * batch + batch // 3
    x = rng.normal(size=(rows, *model.input_shape[1:])).astype("float32")
    y = rng.integers(0, 3, rows)
    told = model.fit(x, y, batch_size=batch, epochs=2, verbose=0, engine=engine)
    return [*model.get_weights(), np.asarray(told.history["loss"])]


def steps_in_parts(made: list[Made]) -> set[str]:
    """Kernels of a plan whose steps make parts of a batch."""
    where = {"gemm_tn": 11, "conv_kernel": 25, "conv_kernel_windows": 25}
    return {
        step.kernel
        for one in made
        for step in one.builder.steps
        if (i := where.get(step.kernel)) is not None
        and len(step.dims) > i
        and step.dims[i] > 1
    }


@pytest.mark.parametrize(
    ("name", "kernels"),
    [
        ("series", {"gemm_tn", "conv_kernel"}),
        ("images", {"gemm_tn", "conv_kernel", "conv_kernel_windows"}),
        ("table", {"gemm_tn"}),
    ],
)
@pytest.mark.parametrize("threads", [2, 3, 8])
def test_workers_never_meet(name: str, kernels: set[str], threads: int) -> None:
    with recorded(threads, share_all=True) as made:
        trained(name)
    assert steps_in_parts(made) == kernels
    assert prove(made) > 0


@pytest.mark.parametrize("name", CASES)
def test_the_number_of_workers_changes_no_bit(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "judge", lambda *_: native.Verdict.SEVERAL)

    def with_threads(threads: int) -> list[bytes]:
        monkeypatch.setattr(native, "config_threads", lambda: threads)
        return [a.tobytes() for a in trained(name)]

    alone = with_threads(1)
    for threads in (2, 3, 8):
        assert with_threads(threads) == alone


@pytest.mark.parametrize("name", CASES)
def test_parts_add_up_to_what_the_reference_computes(name: str) -> None:
    # Adam divides by a gradient's size: a rounding next to zero would be a whole step.
    ours, theirs = (trained(name, e, "sgd") for e in ("native", "reference"))
    for got, want in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=2e-5 * np.abs(want).max())


@pytest.mark.parametrize(
    ("rows", "positions", "count"),
    [(64, 1024, 8), (2, 100_000, 2), (3, 100_000, 2), (32, 121, 2), (31, 49, 1)],
)
def test_parts_of_a_batch_follow_from_its_shape(
    rows: int, positions: int, count: int
) -> None:
    assert parts.kernel_parts(rows, positions) == count


def test_what_is_summed_down_columns_is_cut_evenly() -> None:
    for rows in range(1, 9000, 7):
        count = parts.column_parts(rows, 64)
        assert rows % count == 0
        assert count == 1 or rows // count >= parts.ROWS
    assert parts.column_parts(12544, 64) == 8
    assert parts.column_parts(12544, 65) == 1
