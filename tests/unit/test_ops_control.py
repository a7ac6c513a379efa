"""Control flow, slices at traced places, and what operations refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ranvier import ops
from ranvier.engines import api
from ranvier.errors import RanvierError
from ranvier.graph import Dim, Spec, Tensor, trace
from ranvier.graph.autodiff import grad

X = np.random.default_rng(1).standard_normal((5, 3)).astype("float32")


def both(fn: Callable[..., Any], *arrays: np.ndarray) -> Any:
    """A function of arrays at once, and traced, on both engines; they must agree."""
    wanted = np.asarray(fn(*(ops.array(a) for a in arrays)))
    inputs = {f"x{i}": a for i, a in enumerate(arrays)}
    specs = {n: Spec(a.shape, str(a.dtype)) for n, a in inputs.items()}
    graph = trace(lambda symbols: {"y": fn(*symbols.values())}, specs)
    for engine in ("reference", "native"):
        found = api.get(engine).compile(graph).call(inputs)["y"]
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
        assert found.dtype == wanted.dtype
    return wanted


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 13])
@pytest.mark.parametrize("reverse", [False, True])
def test_associative_scan(n: int, reverse: bool) -> None:
    x = np.random.default_rng(n).standard_normal((n, 2)).astype("float32")
    found = both(lambda t: ops.associative_scan(ops.add, t, reverse=reverse), x)
    wanted = np.cumsum(x[::-1], 0)[::-1] if reverse else np.cumsum(x, 0)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    across = both(lambda t: ops.associative_scan(ops.multiply, t, axis=-1), x.T.copy())
    np.testing.assert_allclose(across, np.cumprod(x.T, 1), rtol=1e-5)


def test_associative_scan_of_matrices_keeps_their_order() -> None:
    x = np.random.default_rng(0).standard_normal((6, 2, 2)).astype("float32")
    found = both(lambda t: ops.associative_scan(ops.matmul, t), x)
    wanted = x[0]
    for i in range(6):
        wanted = wanted @ x[i] if i else wanted
        np.testing.assert_allclose(found[i], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("index", [-3, 0, 1, 2, 7])
def test_switch(index: int) -> None:
    branches = [lambda t: t + 1.0, lambda t: t * 2.0, lambda t: ops.sin(t)]
    found = both(lambda i, t: ops.switch(i, branches, t), np.array(index, "int32"), X)
    at = min(max(index, 0), 2)
    np.testing.assert_allclose(found, [X + 1, X * 2, np.sin(X)][at], rtol=1e-5)


def test_loops() -> None:
    total = both(lambda t: ops.fori_loop(1, 4, lambda i, s: s * 2.0 + i, t), X)
    np.testing.assert_allclose(total, ((X * 2 + 1) * 2 + 2) * 2 + 3, rtol=1e-5)
    many = np.array(3, "int32")
    found = both(lambda n, t: ops.fori_loop(0, n, lambda i, s: s * 2.0, t), many, X)
    np.testing.assert_allclose(found, X * 8)
    rows = both(lambda t: ops.vectorized_map(ops.sum, t), X)
    np.testing.assert_allclose(rows, X.sum(1), rtol=1e-5)
    pairs = both(lambda t: ops.vectorized_map(lambda p: p[0] * p[1], [t, t]), X)
    np.testing.assert_allclose(pairs, X * X)
    each = both(ops.vectorize(lambda a, b: ops.maximum(a, b)), X, X[:1] * 0)
    np.testing.assert_array_equal(each, np.maximum(X, 0))


def test_the_gradient_of_a_counted_loop() -> None:
    found = grad(lambda t: ops.sum(ops.fori_loop(0, 3, lambda i, s: s * t, t)))(X)
    np.testing.assert_allclose(found.numpy(), 4 * X**3, rtol=1e-4)


@pytest.mark.parametrize("start", [-1, 0, 2, 4])
def test_slices_at_a_traced_place(start: int) -> None:
    place = np.array(start, "int32")
    at = min(max(start, 0), 3)
    found = both(lambda p, t: ops.slice(t, (p, 1), (2, 2)), place, X)
    np.testing.assert_array_equal(found, X[at : at + 2, 1:3])
    new = np.ones((2, 2), "float32")
    found = both(lambda p, t, u: ops.slice_update(t, (p, 1), u), place, X, new)
    wanted = X.copy()
    wanted[at : at + 2, 1:3] = 1
    np.testing.assert_array_equal(found, wanted)


def test_the_last_of_several_updates_stays() -> None:
    places = np.array([[1], [3], [1], [3], [1]], "int32")
    new = np.arange(5, dtype="float32")
    found = both(ops.scatter_update, X[:, 0].copy(), places, new)
    wanted = X[:, 0].copy()
    wanted[[1, 3]] = 4, 3
    np.testing.assert_array_equal(found, wanted)


def test_forward_mode() -> None:
    y, d, aux = ops.jvp(
        lambda a, b: (ops.sin(a) * b, ops.sum(a)), (X, X + 1), (X * 0 + 1, X), True
    )
    np.testing.assert_allclose(y, np.sin(X) * (X + 1), rtol=1e-5)
    wanted = np.cos(X) * (X + 1) + np.sin(X) * X
    np.testing.assert_allclose(d, wanted, rtol=1e-4, atol=1e-5)
    assert float(aux) == pytest.approx(float(X.sum()), rel=1e-5)


SYMBOLIC: dict[str, Callable[[Any], Any]] = {
    "median": lambda t: ops.median(t, axis=0),
    "quantile": lambda t: ops.quantile(t, [0.2, 0.9], axis=0),
    "nanmedian": lambda t: ops.nanmedian(t, axis=0),
    "roll": lambda t: ops.roll(t, 2, axis=0),
    "roll back": lambda t: ops.roll(t, -1, axis=0),
    "rot90": ops.rot90,
    "tril": ops.tril,
    "diff": lambda t: ops.diff(t, axis=0),
    "trapezoid": lambda t: ops.trapezoid(t, axis=0),
    "vstack": lambda t: ops.vstack([t, t]),
    "append": lambda t: ops.append(t, t),
    "cdist": lambda t: ops.cdist(t, t),
    "unfold": lambda t: ops.unfold(ops.reshape(t, (-1, 1, 1, 3)), (1, 2)),
    "layer_normalization": ops.layer_normalization,
    "average": lambda t: ops.average(t, axis=0, weights=ops.exp(t)),
    "cov": ops.corrcoef,
    "repeat": lambda t: ops.repeat(t, 2, axis=0),
    "scatter": lambda t: ops.segment_sum(t, ops.zeros((t.shape[0],), "int32"), 2),
    "searchsorted": lambda t: ops.searchsorted(np.float32([-1, 0, 1]), t),
    "top_k": lambda t: ops.top_k(t, 2)[0],
    "one_hot": lambda t: ops.one_hot(ops.argmax(t, -1), 3),
    "moments": lambda t: ops.moments(t, 0)[1],
    "meshgrid": lambda t: ops.meshgrid(t[:, 0], t[:, 1])[0],
    "outer": lambda t: ops.outer(t[:, 0], t[:, 1]),
    "norm": lambda t: ops.norm(t, axis=0),
    "einsum": lambda t: ops.einsum("ij,kj->ik", t, t),
    "det": lambda t: ops.det(ops.einsum("bi,bj->bij", t, t) + np.eye(3, dtype="f4")),
}


@pytest.mark.parametrize("name", SYMBOLIC)
def test_a_free_size_stays_free(name: str) -> None:
    """Traced once with a named first axis, run with two lengths on both engines."""
    batch = Dim.symbol("batch")
    graph = trace(
        lambda s: {"y": SYMBOLIC[name](s["x"])}, {"x": Spec((batch, 3), "float32")}
    )
    for rows in (5, 3):
        wanted = np.asarray(SYMBOLIC[name](X[:rows]))
        for engine in ("reference", "native"):
            found = api.get(engine).compile(graph).call({"x": X[:rows]})["y"]
            np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=1e-5)


REFUSED: dict[str, Callable[[], Any]] = {
    "dtype": lambda: ops.cast(X, "bfloat16"),
    "dtype of zeros": lambda: ops.zeros((2,), "bfloat16"),
    "dtype of text": lambda: ops.convert_to_tensor([1], "string"),
    "sparse": lambda: ops.convert_to_tensor(X, sparse=True),
    "pad mode": lambda: ops.pad(X, 1, mode="mean"),
    "pad value": lambda: ops.pad(X, 1, mode="edge", constant_values=1),
    "quantile method": lambda: ops.quantile(X, 0.5, method="best"),
    "where with one": lambda: ops.where(X > 0, X),
    "select": lambda: ops.select([X > 0], []),
    "max of nothing": lambda: ops.max(X[:0], axis=0),
    "average": lambda: ops.average(X, axis=0, weights=[1.0, 2.0]),
    "split": lambda: ops.split(X, 2),
    "top_k": lambda: ops.top_k(X, 4),
    "searchsorted side": lambda: ops.searchsorted(X[0], X, side="up"),
    "searchsorted rank": lambda: ops.searchsorted(X, X),
    "cross": lambda: ops.cross(X[:4, :1], X[:4, :1]),
    "correlate": lambda: ops.correlate(X, X),
    "einsum": lambda: ops.einsum("ijk,k->ij", X, X[0]),
    "norm": lambda: ops.norm(X, ord="best", axis=0),
    "cholesky": lambda: ops.cholesky(-np.eye(2, dtype="float32")),
    "det": lambda: ops.det(X),
    "solve": lambda: ops.solve(np.eye(3, dtype="float32"), X[:2]),
    "qr": lambda: ops.qr(X, mode="raw"),
    "ldexp": lambda: ops.ldexp(X, X),
    "gcd": lambda: ops.gcd(X, 2),
    "scatter_update": lambda: ops.scatter_update(X, [[0]], X[:1], reduction="mean"),
    "normalize": lambda: ops.normalize(X, order=0),
    "one_hot": lambda: ops.one_hot([1], 2, sparse=True),
    "multi_hot": lambda: ops.multi_hot([1]),
    "rms": lambda: ops.layer_normalization(X, rms_scaling=True),
    "psnr": lambda: ops.psnr(X, X[:1], 1.0),
    "heads": lambda: ops.dot_product_attention(X, X, X),
    "data format": lambda: ops.depth_to_space(X[None, None], 1, data_format="last"),
    "rearrange": lambda: ops.rearrange(X, "a b -> a c"),
    "rearrange sizes": lambda: ops.rearrange(X, "(a b) c -> a b c"),
    "meshgrid": lambda: ops.meshgrid(X[0], indexing="yx"),
    "vectorize": lambda: ops.vectorize(ops.sum, signature="(n)->()"),
    "repeat": lambda: ops.repeat(X, [1, 2], axis=0),
    "rot90": lambda: ops.rot90(X, axes=(0, 0)),
    "trace": lambda: ops.trace(X[0]),
    "unique in a trace": lambda: trace(
        lambda s: {"y": ops.unique(s["x"])}, {"x": Spec((3,), "float32")}
    ),
    "free diagonal": lambda: trace(
        lambda s: {"y": ops.diagonal(s["x"])},
        {"x": Spec((Dim.symbol("batch"), 3), "float32")},
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    with pytest.raises(RanvierError) as caught:
        REFUSED[name]()
    assert caught.value.code in ("RV100", "RV108", "RV112")


def test_a_tensor_on_arrays_is_a_tensor() -> None:
    assert isinstance(ops.hypot(X, X), Tensor)
    assert ops.nn.softmax is ops.softmax
    assert ops.numpy.mean is ops.mean
    assert ops.linalg.norm is ops.norm
    assert ops.nn.gelu is not None
