"""Attention and row normalisation: the kernels give the bits of their bodies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from strategies import run

import ranvier
from ranvier import layers
from ranvier.engines.native import engine as native
from ranvier.engines.native import sequences
from ranvier.graph import Spec, trace
from ranvier.graph import composites as c
from ranvier.graph import functions as f
from ranvier.graph.attention import attention
from ranvier.graph.norms import layer_norm
from ranvier.graph.passes.grad import gradients

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(11)


def causal(b: int, h: int, i: int, j: int) -> Array:
    return (np.arange(i)[:, None] >= np.arange(j))[None, None]


def lengths(b: int, h: int, i: int, j: int) -> Array:
    """Sequences of several lengths, one of them empty."""
    ends = np.linspace(0, j, b).astype(int)
    return (np.arange(j) < ends[:, None])[:, None, None]


def some_rows_empty(b: int, h: int, i: int, j: int) -> Array:
    mask = RNG.integers(0, 4, (b, h, i, j)) == 0
    mask[:, :, 1::3, :] = False
    mask[:, :, ::2, j // 3 :] = False
    return mask


def queries(b: int, h: int, i: int, j: int) -> Array:
    return RNG.integers(0, 2, (b, 1, i, 1)) > 0


def attended(mask: Array | None, rate: float = 0.0) -> Any:
    """A step: attention and its gradients."""

    def step(x: Mapping[str, Any]) -> dict[str, Any]:
        own = [f.as_tensor(np.arange(4, dtype="uint32"))] if rate else []
        own += [] if mask is None else [f.as_tensor(mask)]
        out, _ = attention(
            *(x["q"], x["k"], x["v"], *own),
            scale=0.3,
            rate=rate,
            empty_is_zero=rate > 0,
        )
        wrt = [x["q"], x["k"], x["v"]]
        found = gradients(f.sum(out * x["g"]), wrt)
        return {"out": out} | dict(zip("qkv", found, strict=True))

    return step


def same_bits(graph: Any, given: Mapping[str, Array], patch: Any) -> None:
    fused = run("native", graph, given)
    patch.setattr(native, "KERNELS", native.KERNELS - FUSED)
    plain = run("native", graph, given)
    for name in fused:
        assert np.isfinite(plain[name]).all()
        np.testing.assert_array_equal(fused[name], plain[name], err_msg=name)


FUSED = frozenset(
    (
        "attention",
        "attention_grad",
        "layer_norm",
        "layer_norm_grad",
        "gelu",
        "gelu_grad",
        "random_keep",
    )
)
SIZES = [(3, 2, 20, 20, 16, 16), (2, 3, 64, 64, 16, 16), (3, 1, 33, 90, 5, 7)]


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("kind", [None, causal, lengths, some_rows_empty, queries])
@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_attention(
    sizes: Any, kind: Any, rate: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    b, h, i, j, d, e = sizes
    given = {
        name: RNG.normal(size=shape).astype("float32")
        for name, shape in {
            "q": (b, i, h, d), "k": (b, j, h, d), "v": (b, j, h, e), "g": (b, i, h, e),
        }.items()
    }  # fmt: skip
    mask = None if kind is None else kind(b, h, i, j)
    specs = {name: Spec(x.shape, "float32") for name, x in given.items()}
    same_bits(trace(attended(mask, rate), specs), given, monkeypatch)


def test_scores_below_what_masks_give(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then what is masked has the largest score, and is not left out."""
    given = {name: np.ones((1, 20, 1, 4), "float32") for name in "qkvg"}
    given["q"] *= np.float32(-1e19)
    given["k"] *= np.float32(2e19)
    specs = {name: Spec(x.shape, "float32") for name, x in given.items()}
    out = run("native", trace(attended(causal(1, 1, 20, 20)), specs), given)["out"]
    want = run("reference", trace(attended(causal(1, 1, 20, 20)), specs), given)["out"]
    np.testing.assert_allclose(out, want, rtol=1e-6)


def test_long_sequences_go_op_by_op(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a head does not fit a worker's scratch."""
    given = {name: RNG.normal(size=(1, 30, 2, 4)).astype("float32") for name in "qkvg"}
    specs = {name: Spec(x.shape, "float32") for name, x in given.items()}
    graph = trace(attended(causal(1, 2, 30, 30)), specs)
    fused = run("native", graph, given)
    monkeypatch.setattr(sequences, "ROOM", 100)
    plain = run("native", graph, given)
    for name in fused:
        np.testing.assert_array_equal(fused[name], plain[name], err_msg=name)


@pytest.mark.parametrize("shape", [(5, 7), (3, 4, 64), (33, 130), (2, 3, 4, 20)])
def test_layer_norm(shape: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = shape[-1:]
    given = {
        name: RNG.normal(size=size).astype("float32")
        for name, size in {"x": shape, "gamma": wide, "beta": wide, "g": shape}.items()
    }

    def step(x: Mapping[str, Any]) -> dict[str, Any]:
        y = layer_norm(x["x"], x["gamma"], x["beta"], epsilon=1e-3)[0]
        z = c.gelu(y)
        wrt = [x["x"], x["gamma"], x["beta"]]
        found = gradients(f.sum(z * x["g"]), wrt)
        return {"z": z} | dict(zip(("dx", "dgamma", "dbeta"), found, strict=True))

    specs = {name: Spec(x.shape, "float32") for name, x in given.items()}
    same_bits(trace(step, specs), given, monkeypatch)


def test_rows_of_a_narrow_product() -> None:
    """A narrow batch lies by columns; what normalises its rows wants them as rows."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(33, 4)).astype("f4"), rng.normal(size=(33, 1)).astype("f4")

    def trained(engine: str) -> list[Any]:
        ranvier.utils.set_random_seed(4)
        parts = [layers.Dense(6), layers.BatchNormalization()]
        parts += [layers.LayerNormalization(), layers.Dropout(0.3, seed=1)]
        parts += [layers.Dense(6), layers.PReLU(), layers.Dense(1)]
        model = ranvier.Sequential([layers.Input((4,)), *parts])
        model.compile(ranvier.optimizers.SGD(0.1), "mse", engine=engine)
        model.fit(x, y, batch_size=33, epochs=3, verbose=0)
        return [*model.get_weights(), model.predict(x, verbose=0)]

    for a, b in zip(trained("native"), trained("reference"), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
