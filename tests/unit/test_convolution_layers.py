"""Convolution and pooling layers refuse what does not fit, when they are made or built."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ranvier
from ranvier import layers
from ranvier.engines import api
from ranvier.graph import Spec, trace

CONV: dict[str, Any] = {"filters": 4, "kernel_size": 3}

BAD: list[tuple[str, dict[str, Any], str]] = [
    ("Conv2D", {**CONV, "filters": 0}, "filters"),
    ("Conv2D", {**CONV, "filters": 2.5}, "filters"),
    ("Conv2D", {**CONV, "kernel_size": 0}, "kernel_size"),
    ("Conv2D", {**CONV, "kernel_size": (3, 3, 3)}, "kernel_size"),
    ("Conv2D", {**CONV, "strides": (1, 0)}, "strides"),
    ("Conv2D", {**CONV, "padding": "causal"}, "padding"),
    ("Conv2D", {**CONV, "padding": 1}, "padding"),
    ("Conv2D", {**CONV, "data_format": "channels"}, "data_format"),
    ("Conv2D", {**CONV, "dilation_rate": -1}, "dilation_rate"),
    ("Conv2D", {**CONV, "groups": 3}, "groups"),
    ("Conv2D", {**CONV, "groups": 0}, "groups"),
    ("Conv2D", {**CONV, "strides": 2, "dilation_rate": 2}, "dilation_rate"),
    ("Conv1DTranspose", {**CONV, "output_padding": 1}, "output_padding"),
    ("Conv2DTranspose", {**CONV, "strides": 2, "output_padding": -1}, "output_padding"),
    ("Conv2DTranspose", {**CONV, "padding": "causal"}, "padding"),
    ("DepthwiseConv2D", {"kernel_size": 3, "depth_multiplier": 0}, "depth_multiplier"),
    ("SeparableConv1D", {**CONV, "depth_multiplier": True}, "depth_multiplier"),
    ("MaxPooling2D", {"pool_size": 0}, "pool_size"),
    ("MaxPooling2D", {"strides": (1, 2, 3)}, "strides"),
    ("AveragePooling1D", {"pool_size": 2, "padding": "full"}, "padding"),
    ("GlobalMaxPooling2D", {"data_format": "first"}, "data_format"),
    ("AdaptiveMaxPooling2D", {"output_size": (2, 0)}, "output_size"),
]


@pytest.mark.parametrize(("name", "args", "word"), BAD)
def test_bad_arguments(name: str, args: dict[str, Any], word: str) -> None:
    with pytest.raises(ranvier.RanvierError) as caught:
        getattr(layers, name)(**args)
    assert caught.value.code == "RV100"
    assert word in str(caught.value)
    assert name in str(caught.value)


UNFIT: list[tuple[str, dict[str, Any], tuple[Any, ...], str, str]] = [
    ("Conv2D", CONV, (2, 8, 3), "RV108", "does not fit into 2"),
    ("Conv2D", {**CONV, "dilation_rate": 4}, (8, 9, 3), "RV108", "a window of 9"),
    ("Conv2D", {**CONV, "groups": 2}, (8, 8, 3), "RV108", "2 groups"),
    ("Conv2D", CONV, (8, 8, None), "RV108", "number of channels"),
    ("Conv2D", CONV, (8, 8), "RV103", "4 axes"),
    (
        "Conv2D",
        {**CONV, "data_format": "channels_first"},
        (3, 2, 8),
        "RV108",
        "does not fit into 2",
    ),
    ("DepthwiseConv1D", {"kernel_size": 5}, (4, 3), "RV108", "does not fit into 4"),
    ("SeparableConv2D", CONV, (8, 1, 3), "RV108", "does not fit into 1"),
    ("MaxPooling2D", {"pool_size": 3}, (2, 8, 3), "RV108", "does not fit into 2"),
    ("MaxPooling2D", {}, (8, 8), "RV103", "4 axes"),
    ("AdaptiveAveragePooling1D", {"output_size": 2}, (None, 3), "RV108", "positions"),
]


@pytest.mark.parametrize(("name", "args", "shape", "code", "word"), UNFIT)
def test_inputs_that_do_not_fit_are_refused_when_it_is_built(
    name: str, args: dict[str, Any], shape: Any, code: str, word: str
) -> None:
    layer = getattr(layers, name)(**args)
    with pytest.raises(ranvier.RanvierError) as caught:
        ranvier.Sequential([ranvier.Input(shape), layer])
    assert caught.value.code == code
    assert word in str(caught.value)


def test_other_channels_than_it_was_built_for() -> None:
    layer = layers.Conv2D(2, 3)
    layer(np.zeros((1, 5, 5, 3), "float32"))
    with pytest.raises(ranvier.RanvierError) as caught:
        layer(np.zeros((1, 5, 5, 4), "float32"))
    assert caught.value.code == "RV103"


@pytest.mark.parametrize(("size", "strides"), [(3, 2), (2, 3), (1, 2), (4, 4), (3, 1)])
@pytest.mark.parametrize("name", ["Conv1D", "MaxPooling1D", "AveragePooling1D"])
def test_a_length_that_is_known_only_when_it_runs(
    name: str, size: int, strides: int
) -> None:
    """``padding="same"`` follows it, as if it had been known."""
    ranvier.utils.set_random_seed(1)
    args: dict[str, Any] = {"strides": strides, "padding": "same"}
    args |= {"filters": 3, "kernel_size": size} if name == "Conv1D" else {}
    args |= {} if name == "Conv1D" else {"pool_size": size}
    free = ranvier.Sequential([ranvier.Input((None, 2)), getattr(layers, name)(**args)])
    for length in (4, 5, 6, 7, 8):
        own = ranvier.Sequential(
            [ranvier.Input((length, 2)), getattr(layers, name)(**args)]
        )
        own.set_weights(free.get_weights())
        x = np.random.default_rng(length).normal(size=(3, length, 2)).astype("float32")
        np.testing.assert_allclose(
            free.predict(x, verbose=0), own.predict(x, verbose=0), rtol=1e-6, atol=1e-6
        )


def test_second_names_are_the_same_layers() -> None:
    for n in (1, 2, 3):
        for short, name in (
            (f"Convolution{n}D", f"Conv{n}D"),
            (f"Convolution{n}DTranspose", f"Conv{n}DTranspose"),
            (f"MaxPool{n}D", f"MaxPooling{n}D"),
            (f"AvgPool{n}D", f"AveragePooling{n}D"),
            (f"GlobalMaxPool{n}D", f"GlobalMaxPooling{n}D"),
            (f"GlobalAvgPool{n}D", f"GlobalAveragePooling{n}D"),
        ):
            assert getattr(layers, short) is getattr(layers, name)
    assert layers.SeparableConvolution2D is layers.SeparableConv2D


def test_global_average_of_masked_steps() -> None:
    x = np.arange(12, dtype="float32").reshape(2, 3, 2)
    mask = np.array([[True, False, True], [True, False, False]])
    found = layers.GlobalAveragePooling1D()(x, mask=mask).numpy()
    np.testing.assert_allclose(found, [[2.0, 3.0], [6.0, 7.0]])


def test_float64_is_named_where_the_native_engine_has_no_kernel() -> None:
    from ranvier import ops

    def step(t: Any) -> dict[str, Any]:
        return {"y": ops.conv(t["x"], t["w"]), "z": ops.max_pool(t["x"], 2)}

    specs = {"x": Spec((1, 5, 2), "float64"), "w": Spec((2, 2, 3), "float64")}
    with pytest.raises(api.Unsupported) as caught:
        api.get("native").compile(trace(step, specs))
    assert caught.value.code == "RV502"
    assert "float64" in str(caught.value)
