"""Layers of images: what they do for given draws against real Keras, what they draw."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ranvier

ROWS = 5
SHAPE = (ROWS, 6, 9, 2)


def pictures(dtype: str = "float32", seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 255, SHAPE).astype(dtype)


def column(low: float, high: float, *shape: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(low, high, shape).astype("float32")


FLIPS = np.array([True, False, True, True, False]).reshape(ROWS, 1, 1, 1)
FILLS = ["reflect", "wrap", "constant", "nearest"]
SAMPLED = [
    {"fill_mode": f, "interpolation": i, "fill_value": 7.0}
    for f in FILLS
    for i in ("bilinear", "nearest")
]
DRAWN: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    *[
        ("RandomFlip", {"mode": m}, {"flips": FLIPS, "input_shape": SHAPE})
        for m in ("horizontal", "vertical", "horizontal_and_vertical")
    ],
    (
        "RandomContrast",
        {"factor": 0.5},
        {"contrast_factor": column(0.5, 1.5, ROWS, 1, 1, 1)},
    ),
    (
        "RandomBrightness",
        {"factor": 0.5},
        {"rgb_delta": column(-99, 99, ROWS, 1, 1, 1)},
    ),
    *[
        (
            "RandomTranslation",
            {"height_factor": 0.9, "width_factor": 0.9, **s},
            {"translations": column(-20, 20, ROWS, 2), "input_shape": SHAPE},
        )
        for s in SAMPLED
    ],
    *[
        (
            "RandomZoom",
            {"height_factor": 0.9, **s},
            {
                "height_zoom": column(0.3, 3.9, ROWS, 1),
                "width_zoom": column(-0.2, 2.5, ROWS, 1),
                "input_shape": SHAPE,
            },
        )
        for s in SAMPLED
    ],
]


@pytest.mark.parametrize(("name", "args", "drawn"), DRAWN)
def test_the_same_change_for_the_same_draw(
    keras: Any, name: str, args: dict[str, Any], drawn: dict[str, Any]
) -> None:
    x = pictures()
    own = getattr(ranvier.layers, name)(**args)
    theirs = getattr(keras.layers, name)(**args)
    given = {k: ranvier.ops.convert_to_tensor(v) for k, v in drawn.items()}
    wanted = np.asarray(theirs.transform_images(x, drawn, training=True))
    found = own.transform_images(ranvier.ops.convert_to_tensor(x), given).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=2e-3)
    assert not np.allclose(found, x)


@pytest.mark.parametrize("sampling", SAMPLED, ids=str)
def test_turned_like_keras(keras: Any, sampling: dict[str, Any]) -> None:
    x = pictures()
    angles = np.array([0.0, 33.0, -75.0, 180.5, 301.0], "float32")
    own = ranvier.layers.RandomRotation(1.0, **sampling)
    theirs = keras.layers.RandomRotation(1.0, **sampling)
    zeros = np.zeros(ROWS, "float32")
    matrix = theirs._compute_affine_matrix(
        0.5, 0.5, keras.ops.convert_to_tensor(angles), zeros, zeros, zeros + 1, zeros,
        zeros, SHAPE[1], SHAPE[2],
    )  # fmt: skip
    wanted = np.asarray(theirs.transform_images(x, {"rotation_matrix": matrix}))
    found = own.transform_images(
        ranvier.ops.convert_to_tensor(x),
        {"angle": ranvier.ops.convert_to_tensor(angles)},
    ).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=2e-2)


@pytest.mark.parametrize("size", [(3, 4), (8, 4), (3, 12), (9, 9)])
def test_windows(keras: Any, size: tuple[int, int]) -> None:
    x = pictures()
    own, theirs = ranvier.layers.RandomCrop(*size), keras.layers.RandomCrop(*size)
    start = (2, 3) if size == (3, 4) else None
    given = start or own.get_random_transformation(ranvier.ops.convert_to_tensor(x))
    if start is None:
        assert given == theirs.get_random_transformation(x)
    wanted = np.asarray(theirs.transform_images(x, given))
    found = own.transform_images(ranvier.ops.convert_to_tensor(x), given).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-3)
    # In inference: what Keras documents, which is what its Resizing does.
    middle = keras.layers.Resizing(*size, crop_to_aspect_ratio=True)
    np.testing.assert_allclose(
        own(x, training=False).numpy(), np.asarray(middle(x)), rtol=1e-5, atol=1e-3
    )
    assert own.compute_output_shape((None, *SHAPE[1:])) == (None, *size, SHAPE[3])
    assert own.get_config() | {"name": ""} == ranvier.layers.RandomCrop.from_config(
        theirs.get_config() | {"seed": None}
    ).get_config() | {"name": ""}


@pytest.mark.parametrize("name", ["Resizing", "CenterCrop"])
@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32"])
@pytest.mark.parametrize("size", [(3, 4), (8, 13)])
def test_sizes_of_whole_numbers_and_of_single_images(
    keras: Any, name: str, dtype: str, size: tuple[int, int]
) -> None:
    x = pictures(dtype)
    own = getattr(ranvier.layers, name)(*size)
    theirs = getattr(keras.layers, name)(*size)
    wanted, found = np.asarray(theirs(x)), own(x).numpy()
    assert found.dtype == wanted.dtype
    whole = wanted.dtype.kind in "iu"
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1 if whole else 1e-3)
    assert (found != wanted).mean() < 0.02 or not whole
    np.testing.assert_array_equal(own(x[0]).numpy(), found[0])


def test_draws_are_those_that_are_documented() -> None:
    n = 4000
    x = ranvier.ops.zeros((n, 4, 8, 1))
    layers = ranvier.layers

    def drawn(layer: Any, key: str) -> np.ndarray:
        return layer.get_random_transformation(x)[key].numpy().astype("float64")

    def uniform(found: np.ndarray, low: float, high: float) -> None:
        found = np.sort(((found - low) / (high - low)).ravel())
        steps = np.arange(1, n + 1) / n
        # Kolmogorov and Smirnov: larger than 1.95 / sqrt(n) once in a thousand.
        assert np.abs(found - steps).max() < 1.95 / np.sqrt(n)

    assert abs(drawn(layers.RandomFlip(seed=1), "flips").mean() - 0.5) < 0.03
    uniform(
        drawn(layers.RandomContrast((0.2, 0.6), seed=1), "contrast_factor"), 0.8, 1.6
    )
    uniform(drawn(layers.RandomBrightness(0.5, seed=1), "rgb_delta"), -127.5, 127.5)
    uniform(drawn(layers.RandomRotation((0.1, 0.2), seed=1), "angle"), 36, 72)
    moved = drawn(layers.RandomTranslation((0.1, 0.5), 0.25, seed=1), "translations")
    uniform(moved[:, 0], -2, 2)
    uniform(moved[:, 1], 0.4, 2)
    zoom = layers.RandomZoom((-0.2, 0.4), 0.3, seed=1)
    found = zoom.get_random_transformation(x)
    uniform(found["height_zoom"].numpy(), 0.8, 1.4)
    uniform(found["width_zoom"].numpy(), 0.7, 1.3)
    same = layers.RandomZoom(0.3, seed=1).get_random_transformation(x)
    np.testing.assert_array_equal(
        same["height_zoom"].numpy(), same["width_zoom"].numpy()
    )
    crop = layers.RandomCrop(2, 5, seed=1)
    starts = [
        tuple(int(s.numpy()) for s in crop.get_random_transformation(x))
        for _ in range(200)
    ]
    assert {s[0] for s in starts} == {0, 1, 2}
    assert {s[1] for s in starts} == {0, 1, 2, 3}


@pytest.mark.parametrize(
    "name", ["RandomFlip", "RandomRotation", "RandomZoom", "RandomContrast"]
)
def test_a_seed_decides(name: str) -> None:
    args = {} if name == "RandomFlip" else {"factor": 0.3}
    if name == "RandomZoom":
        args = {"height_factor": 0.3}
    x = pictures()
    kind = getattr(ranvier.layers, name)
    first, again, other = (
        kind(**args, seed=1),
        kind(**args, seed=1),
        kind(**args, seed=2),
    )
    one = first(x).numpy()
    np.testing.assert_array_equal(one, again(x).numpy())
    assert not np.array_equal(one, first(x).numpy())
    assert not np.array_equal(one, other(x).numpy())
    np.testing.assert_array_equal(first(x, training=False).numpy(), x)


def test_weighted_counts(keras: Any) -> None:
    x = np.array([[0, 2, 2], [1, 1, 5]])
    weights = np.array([[0.5, 2, 1], [1, 3, 9]], "float32")
    own = ranvier.layers.CategoryEncoding(4, "count")
    theirs = keras.layers.CategoryEncoding(4, "count")
    for given in ({}, {"count_weights": weights}):
        np.testing.assert_allclose(
            own(x, **given).numpy(), np.asarray(theirs(x, **given))
        )
