"""The JAX engine: every operation, gradients by `jax.grad`, training, bad data.

The contract suite runs on it too, where JAX is installed (`engines.names`).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

jax = pytest.importorskip("jax")

from strategies import assert_close, draw, graph_of, named, run, specs_of  # noqa: E402

import ranvier as keras  # noqa: E402
from ranvier import config  # noqa: E402
from ranvier.engines import api  # noqa: E402
from ranvier.engines.choice import compile_graph  # noqa: E402
from ranvier.engines.jax import gaps, table, walk  # noqa: E402
from ranvier.graph import (  # noqa: E402
    COMPOSITES,
    REGISTRY,
    Dim,
    Graph,
    Spec,
    Variable,
    control,
    trace,
)
from ranvier.graph import composites as c  # noqa: E402
from ranvier.graph import functions as f  # noqa: E402
from ranvier.graph.op import NoGradient  # noqa: E402
from ranvier.graph.passes.grad import gradients  # noqa: E402
from ranvier.graph.trace import apply  # noqa: E402

B = Dim.symbol("batch")
Inputs = Mapping[str, Any]
Array = np.ndarray[Any, Any]
RECORDS = {**REGISTRY, **COMPOSITES}
CASES = [
    pytest.param(record, case, id=f"{name}-{i}")
    for name, record in sorted(RECORDS.items())
    for i, case in enumerate(record.cases)
]


def real(*shape: int, seed: int = 0) -> Array:
    """Floats without ties."""
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


# ----------------------------------------------------------------------- every operation


def test_every_operation_has_a_row_or_a_declared_gap() -> None:
    known = set(table.ROWS) | walk.OWN | walk.REGIONS
    assert known | set(gaps.GAPS) == set(REGISTRY)
    assert not known & set(gaps.GAPS)


@pytest.mark.parametrize(("record", "case"), CASES)
def test_an_operation_equals_the_reference(record: Any, case: Any) -> None:
    arrays = draw(case)
    graph = graph_of(record, specs_of(arrays), dict(case.attrs))
    want = run("reference", graph, named(arrays))
    got = run("jax", graph, named(arrays))
    for name in want:
        assert_close(got[name], want[name], record.tol, f"{record.name} {name}")


EDGES = np.float32(
    [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.5, -2.5, 3.0, -2.0]
    + [87.0, -87.0, 104.0, -104.0, 1e9, -1e9]
)
ELEMENTWISE = [
    pytest.param(record, id=name)
    for name, record in sorted(REGISTRY.items())
    if record.family == "elementwise" and record.cases[0].inputs[0][3:] == ()
]


@pytest.mark.parametrize("record", ELEMENTWISE)
def test_an_operation_equals_the_reference_at_the_edges(record: Any) -> None:
    count = len(record.cases[0].inputs)
    arrays = [a.ravel() for a in np.meshgrid(*[EDGES] * count)]
    attrs = {"dtype": "float64"} if record.name == "cast" else {}
    graph = graph_of(record, specs_of(arrays), attrs)
    want = run("reference", graph, named(arrays))["y0"]
    assert_close(run("jax", graph, named(arrays))["y0"], want, record.tol, record.name)


def test_integers_divided_by_zero() -> None:
    x = {"a": np.int32([7, -7, 0]), "b": np.int32([0, 0, 0])}

    def step(i: Inputs) -> dict[str, Any]:
        return {"q": i["a"] // i["b"], "r": i["a"] % i["b"]}

    graph = trace(step, {name: Spec((3,), "int32") for name in x})
    want = run("reference", graph, x)
    for name, value in run("jax", graph, x).items():
        np.testing.assert_array_equal(value, want[name])


# ------------------------------------------------------------------------------ gradients


def jax_gradients(graph: Graph, name: str, inputs: dict[str, Array]) -> list[Array]:
    """`jax.grad` of an output that is a number, by every input of floats."""
    floats = [n for n, a in inputs.items() if a.dtype.kind == "f"]

    def loss(values: list[Any]) -> Any:
        given = {**inputs, **dict(zip(floats, values, strict=True))}
        known = {graph.inputs[n]: jax.numpy.asarray(a) for n, a in given.items()}
        return walk.Walker().run([graph.outputs[name]], known)[0]

    with jax.enable_x64(True):
        found = jax.grad(loss)([jax.numpy.asarray(inputs[n]) for n in floats])
        return [np.asarray(g) for g in found]


def same_gradients(loss: Callable[[Inputs], Any], inputs: dict[str, Array]) -> None:
    """Our gradient pass, on the reference engine, against JAX's of the forward graph."""
    specs = {name: Spec(a.shape, str(a.dtype)) for name, a in inputs.items()}

    def backward(i: Inputs) -> dict[str, Any]:
        floats = [t for n, t in i.items() if inputs[n].dtype.kind == "f"]
        return {str(k): g for k, g in enumerate(gradients(loss(i), floats))}

    forward = trace(lambda i: {"loss": loss(i)}, specs)
    ours = run("reference", trace(backward, specs), inputs)
    theirs = jax_gradients(forward, "loss", inputs)
    assert len(ours) == len(theirs) > 0
    assert any(np.abs(g).max(initial=0) > 0 for g in theirs), "nothing is compared"
    for got, want in zip(ours.values(), theirs, strict=True):
        assert got.shape == want.shape
        scale = max(1.0, float(np.abs(want).max(initial=0)))
        np.testing.assert_allclose(got / scale, want / scale, rtol=1e-4, atol=1e-5)


#: A softmax over one number is 1, whatever that is.
CONSTANT = {"softmax-2"}
SMOOTH = [
    pytest.param(record, case, id=f"{name}-{i}")
    for name, record in sorted(RECORDS.items())
    if not isinstance(record.grad, NoGradient)
    for i, case in enumerate(record.cases)
    if all(np.prod(shape) for shape, *_ in case.inputs)
    and any(kind[2:] == [] for _, *kind in case.inputs)
    and dict(case.attrs).get("dtype", "float").startswith("float")
    and f"{name}-{i}" not in CONSTANT
]


@pytest.mark.parametrize(("record", "case"), SMOOTH)
def test_the_gradient_of_an_operation_is_that_of_jax(record: Any, case: Any) -> None:
    arrays = draw(case)

    def loss(i: Inputs) -> Any:
        found = apply(record, *i.values(), **dict(case.attrs))
        found = found if isinstance(found, tuple) else (found,)
        parts = [
            f.sum(y * real(*y.shape, seed=3 + k))
            for k, y in enumerate(found)
            if y.spec.floating
        ]
        return sum(parts[1:], parts[0])

    same_gradients(loss, named(arrays))


def dense(i: Inputs) -> Any:
    h = f.tanh(f.matmul(i["x"], i["a"]))
    losses, _ = c.sparse_softmax_cross_entropy(f.matmul(h, i["b"]), i["y"])
    return f.mean(losses)


def attention(i: Inputs) -> Any:
    scores = f.matmul(i["q"], f.transpose(i["k"], (0, 2, 1))) * 0.5
    mixed = f.matmul(c.softmax(scores), i["v"])
    normal = (mixed - f.mean(mixed, -1, True)) / (f.std(mixed, -1, True) + 0.1)
    return f.sum(normal * f.sin(normal))


def embedding(i: Inputs) -> Any:
    rows = f.take(i["table"], i["y"], axis=0)
    return f.sum(f.square(f.cumsum(rows, axis=0)) * f.max(rows))


def recurrence(i: Inputs) -> Any:
    def cell(h: Any, x: Any) -> tuple[Any, Any]:
        new = f.tanh(f.matmul(h, i["w"]) + x)
        return new, new * new

    last, all_ = control.scan(cell, i["h"], i["x"], reverse=True)
    return f.sum(last * last) + f.sum(f.exp(all_))


def branches(i: Inputs) -> Any:
    picked = control.cond(
        f.sum(i["x"]) > 0, lambda: f.sin(i["x"] * i["z"]), lambda: i["x"] * i["x"]
    )
    return f.sum(picked * i["z"])


GRAPHS: dict[str, tuple[Callable[[Inputs], Any], dict[str, Array]]] = {
    "dense": (
        dense,
        {"x": real(5, 4), "a": real(4, 6), "b": real(6, 3)}
        | {"y": np.int32([0, 2, 1, 1, 2])},
    ),
    "attention": (
        attention,
        {"q": real(2, 3, 4), "k": real(2, 5, 4, seed=1), "v": real(2, 5, 4, seed=2)},
    ),
    "embedding": (embedding, {"table": real(6, 3), "y": np.int32([5, 0, 0, 2, -1])}),
    "recurrence": (
        recurrence,
        {"h": real(2, 3), "w": real(3, 3, seed=1) / 2, "x": real(4, 2, 3, seed=2)},
    ),
    "branches": (branches, {"x": real(4) + 2, "z": real(4, seed=1)}),
    "other branch": (branches, {"x": real(4) - 3, "z": real(4, seed=1)}),
}


@pytest.mark.parametrize("name", sorted(GRAPHS))
def test_the_gradient_of_a_graph_is_that_of_jax(name: str) -> None:
    same_gradients(*GRAPHS[name])


# ------------------------------------------------------------------------------- training


def dense_model() -> Any:
    return keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(9, activation="relu"),
            keras.layers.Dropout(0.4, seed=3),
            keras.layers.Dense(4, activation="softmax"),
        ]
    )


def conv_model() -> Any:
    return keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            keras.layers.Conv2D(5, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(2),
            keras.layers.BatchNormalization(),
            keras.layers.Conv2D(4, 3, strides=2),
            keras.layers.Flatten(),
            keras.layers.Dense(4, activation="softmax"),
        ]
    )


def lstm_model() -> Any:
    return keras.Sequential(
        [
            keras.Input((5, 3)),
            keras.layers.LSTM(7),
            keras.layers.Dense(4, activation="softmax"),
        ]
    )


MODELS = {
    "dense": (dense_model, (6,)),
    "conv": (conv_model, (8, 8, 2)),
    "lstm": (lstm_model, (5, 3)),
}


def trained(name: str, engine: str) -> tuple[list[Array], dict[str, Any], Array]:
    """Weights, history and predictions after three steps, the last of fewer rows."""
    make, shape = MODELS[name]
    keras.utils.set_random_seed(5)
    model = make()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    x, y = real(20, *shape), np.arange(20, dtype="int32") % 4
    fitted = model.fit(x, y, batch_size=8, epochs=1, verbose=0, engine=engine)
    state = [v.numpy() for v in (*model.weights, *model.optimizer.variables)]
    assert model.optimizer.iterations.numpy() == 3
    model.engine = engine
    return state, fitted.history, model.predict(x, verbose=0)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_model_trains_as_on_the_reference_engine(name: str) -> None:
    """Shuffled rows, dropout, a short last batch, metrics, the optimizer's slots."""
    got, want = trained(name, "jax"), trained(name, "reference")
    assert len(got[0]) == len(want[0])
    for a, b in zip(got[0], want[0], strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)
    assert got[1].keys() == want[1].keys()
    for key in want[1]:
        np.testing.assert_allclose(got[1][key], want[1][key], rtol=1e-4)
    np.testing.assert_allclose(got[2], want[2], rtol=1e-3, atol=1e-4)


def test_the_environment_chooses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANVIER_ENGINE", "jax")
    assert config.get("RANVIER_ENGINE") == "jax"
    graph = trace(lambda i: {"y": i["x"] * 2.0}, {"x": Spec((B,), "float32")})
    executable = compile_graph(graph)
    assert type(executable).__module__ == "ranvier.engines.jax.engine"
    for rows in (3, 5):
        got = executable.call({"x": np.ones(rows)})["y"]
        np.testing.assert_array_equal(got, np.full(rows, 2, "float32"))
        got[0] = 7  # its owner may write on it


def test_jax_of_the_program_stays_as_it_is() -> None:
    x = {"x0": np.float64([1 / 3])}
    graph = graph_of(REGISTRY["neg"], [Spec((1,), "float64")], {})
    assert run("jax", graph, x)["y0"][0] == -1 / 3
    assert not jax.config.jax_enable_x64
    assert jax.numpy.ones(2).dtype == "float32"


# ------------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize("inside", [False, True])
def test_an_operation_without_a_row_is_refused(
    monkeypatch: pytest.MonkeyPatch, inside: bool
) -> None:
    """Before anything runs, and no other engine takes its place."""
    monkeypatch.delitem(table.ROWS, "cumsum")
    monkeypatch.setitem(gaps.GAPS, "cumsum", "nobody adds up here")

    def step(i: Inputs) -> dict[str, Any]:
        y = i["x"] if inside else f.cumsum(i["x"])
        return {
            "y": control.scan(lambda a, b: (f.cumsum(a) if inside else a, b), y, y)[0]
        }

    graph = trace(step, {"x": Spec((4,), "float32")})
    with pytest.raises(api.Unsupported, match="'cumsum'") as caught:
        compile_graph(graph, "jax")
    assert caught.value.code == "RV502"
    assert "nobody adds up here" in str(caught.value)


def test_a_bad_label_is_named_with_its_row_in_the_data() -> None:
    total = Variable(np.float32(0), name="total")

    def step(i: Inputs) -> dict[str, Any]:
        total.assign_add(f.sum(f.cast(f.check_range(i["y"], 0, 4), "float32")))
        return {}

    graph = trace(step, {"y": Spec((B,), "int32")})
    y = np.int32([1, 2, 3, 0, 1, 9, 2, 11])
    for order, row in ((None, 5), (np.arange(8)[::-1].copy(), 7)):
        total.assign(0.0)
        record = api.get("jax").compile(graph).run(api.Batches({"y": y}, 3, order))
        assert record.fault is not None
        assert (record.fault.code, record.fault.input) == ("RV105", "y")
        assert (record.fault.row, record.fault.value) == (row, float(y[row]))
        assert record.steps == (1 if order is None else 0)
        assert total.numpy() == (6 if order is None else 0)


@pytest.mark.parametrize("where", ["body", "test", "branch"])
def test_an_index_out_of_range_leaves_a_region(where: str) -> None:
    w = Variable(np.float32([1, 2, 3]), name="w")

    def pick(k: Any) -> Any:
        return f.take(w, k, axis=0)

    def step(i: Inputs) -> dict[str, Any]:
        k = i["k"]
        if where == "branch":
            y = control.cond(k > 0, lambda: pick(k), lambda: pick(k * 0))
        elif where == "body":
            y = control.while_loop(
                lambda n, s: n < k, lambda n, s: (n + 1, s + pick(n)), (k * 0, w[0])
            )[1]
        else:
            y = control.while_loop(
                lambda n: pick(n) < f.cast(k, "float32"), lambda n: n + 1, k * 0
            )
        w.assign(w + f.cast(y, "float32"))
        return {"y": y}

    graph = trace(step, {"k": Spec((), "int32")})
    for engine in ("reference", "jax"):
        before = w.numpy()
        with pytest.raises(keras.errors.DataError) as caught:
            run(engine, graph, {"k": np.int32(90)})
        assert caught.value.code == "RV111"
        np.testing.assert_array_equal(w.numpy(), before)
    w.assign([1, 2, 3])
    want = run("reference", graph, {"k": np.int32(2)})["y"]
    w.assign([1, 2, 3])
    np.testing.assert_array_equal(run("jax", graph, {"k": np.int32(2)})["y"], want)


def test_fit_stops_before_a_loss_that_is_not_finite() -> None:
    model = dense_model()
    model.compile("sgd", "sparse_categorical_crossentropy")
    x, y = real(8, 6), np.zeros(8, "int32")
    model.predict(x, verbose=0, batch_size=8)
    x[5, 2] = np.inf
    before = [w.numpy() for w in model.weights]
    with pytest.raises(keras.errors.DataError) as caught:
        model.fit(x, y, verbose=0, engine="jax", shuffle=False)
    assert caught.value.code == "RV204"
    assert "row 5" in str(caught.value)
    model.layers[0].kernel.assign(np.full((6, 9), 3e38, "float32"))
    x[5, 2] = 1
    with pytest.raises(keras.errors.NumericsError) as diverged:
        model.fit(x, y, verbose=0, engine="jax", shuffle=False)
    assert diverged.value.code == "RV301"
    for a, b in zip(model.weights[1:], before[1:], strict=True):
        np.testing.assert_array_equal(a.numpy(), b)


def test_jax_is_imported_when_it_is_asked_for_only() -> None:
    code = """
import sys, ranvier
from ranvier.engines import api
model = ranvier.Sequential([ranvier.Input((2,)), ranvier.layers.Dense(1)])
model.predict([[1.0, 2.0]], verbose=0)
print("jax" in sys.modules, "jax" in api.names())
api.get("jax")
print("jax" in sys.modules)
"""
    clean = {k: v for k, v in os.environ.items() if k != "RANVIER_ENGINE"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=clean
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["False", "True", "True"]
