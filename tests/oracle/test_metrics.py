"""Every metric against real Keras, over uneven batches, eagerly and traced."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np
import pytest

from ranvier import losses, ops
from ranvier import metrics as ours
from ranvier.errors import ShapeError

BASES = {"Metric", "MeanMetricWrapper"}
HELPERS = {"get", "serialize", "deserialize", "resolve"}
CLASSES = sorted(n for n in ours.__all__ if n[0].isupper() and n not in BASES)
FUNCTIONS = sorted(n for n in ours.__all__ if n[0].islower() and n not in HELPERS)

COUNTS = [
    {},
    {"thresholds": 0.3},
    {"thresholds": [0.2, 0.5, 0.9]},
    {"thresholds": [0.0, 0.25, 0.5, 0.75, 1.0]},
]
SHARES = [
    *COUNTS,
    {"top_k": 2},
    {"class_id": 1},
    {"top_k": 3, "class_id": 0, "thresholds": 0.4},
]
ARGUMENTS: dict[str, list[dict[str, Any]]] = {
    "TruePositives": COUNTS,
    "FalsePositives": COUNTS,
    "TrueNegatives": COUNTS,
    "FalseNegatives": COUNTS,
    "Precision": SHARES,
    "Recall": SHARES,
    "SensitivityAtSpecificity": [
        {"specificity": 0.5},
        {"specificity": 0.8, "num_thresholds": 1},
        {"specificity": 0.3, "class_id": 2, "num_thresholds": 11},
    ],
    "SpecificityAtSensitivity": [{"sensitivity": 0.5}, {"sensitivity": 1.0}],
    "PrecisionAtRecall": [{"recall": 0.5}, {"recall": 0.9, "num_thresholds": 20}],
    "RecallAtPrecision": [{"precision": 0.6}, {"precision": 1.0}],
    "AUC": [
        {},
        {"curve": "PR"},
        {"curve": "PRGAIN"},
        {"summation_method": "minoring", "num_thresholds": 25},
        {"summation_method": "majoring", "curve": "PR"},
        {"thresholds": [0.1, 0.7, 0.3]},
        {"thresholds": [0.25, 0.5, 0.75]},
        {"from_logits": True},
        {"multi_label": True},
        {"multi_label": True, "num_labels": 5, "curve": "PR"},
        {"multi_label": True, "thresholds": [0.2, 0.7]},
        {"multi_label": True, "label_weights": [0.1, 0.2, 0.3, 0.4, 0.5]},
        {"label_weights": [0.1, 0.2, 0.3, 0.4, 0.5]},
    ],
    "BinaryAccuracy": [{}, {"threshold": 0.3}],
    "TopKCategoricalAccuracy": [{}, {"k": 2}],
    "SparseTopKCategoricalAccuracy": [{}, {"k": 2}, {"k": 2, "from_sorted_ids": True}],
    "BinaryCrossentropy": [{}, {"from_logits": True, "label_smoothing": 0.1}],
    "CategoricalCrossentropy": [{}, {"from_logits": True, "label_smoothing": 0.1}],
    "SparseCategoricalCrossentropy": [
        {},
        {"from_logits": True},
        {"ignore_class": 1},
    ],
    "CosineSimilarity": [{}, {"axis": 1}],
    "R2Score": [
        {},
        {"class_aggregation": None},
        {"class_aggregation": "variance_weighted_average"},
        {"num_regressors": 3},
    ],
    "F1Score": [{}, {"average": "micro"}, {"average": "weighted", "threshold": 0.4}],
    "FBetaScore": [{"beta": 2.0}, {"beta": 0.5, "average": "macro"}],
    "IoU": [
        {"num_classes": 5, "target_class_ids": [0, 3]},
        {"num_classes": 4, "target_class_ids": [1], "ignore_class": 2},
    ],
    "BinaryIoU": [{}, {"target_class_ids": [1], "threshold": 0.3}],
    "MeanIoU": [{"num_classes": 5}, {"num_classes": 5, "dtype": "float32"}],
    "OneHotIoU": [
        {"num_classes": 5, "target_class_ids": [0, 1]},
        {"num_classes": 5, "target_class_ids": [2], "dtype": "float32"},
    ],
    "OneHotMeanIoU": [{"num_classes": 5}],
}
CASES = [(n, a) for n in CLASSES for a in ARGUMENTS.get(n, [{}])]
LABELS = {
    "SparseCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
}
ONE_HOT = {
    "CategoricalAccuracy",
    "TopKCategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "KLDivergence",
    "F1Score",
    "FBetaScore",
    "OneHotIoU",
    "OneHotMeanIoU",
}
BINARY = {
    "TruePositives",
    "FalsePositives",
    "TrueNegatives",
    "FalseNegatives",
    "Precision",
    "Recall",
    "SensitivityAtSpecificity",
    "SpecificityAtSensitivity",
    "PrecisionAtRecall",
    "RecallAtPrecision",
    "AUC",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "BinaryIoU",
}
BATCHES = (9, 9, 4, 1)


def batch(name: str, arguments: dict[str, Any], rows: int, seed: int) -> list[Any]:
    """Targets and predictions that the metric is meant for (values for Mean, Sum)."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(rows, 5)).astype("float32")
    soft = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    logits = arguments.get("from_logits", False)
    labels = rng.integers(0, 5, rows).astype("int32")
    if name in ("Mean", "Sum"):
        return [scores]
    if arguments.get("from_sorted_ids"):
        return [labels, np.argsort(-scores, axis=1).astype("int32")]
    if name in LABELS:
        return [labels, scores if logits else soft]
    if name in ONE_HOT:
        return [np.eye(5, dtype="float32")[labels], scores if logits else soft]
    if name in BINARY:
        y_true = rng.integers(0, 2, (rows, 5)).astype("float32")
        # Rounded, so that predictions meet thresholds exactly, and 0 and 1 occur.
        y_pred = np.round(1.3 / (1 + np.exp(-scores)) - 0.15, 2).clip(0, 1)
        return [y_true, scores if logits else y_pred.astype("float32")]
    if name in ("IoU", "MeanIoU"):
        shape = (rows, 6)
        return [rng.integers(0, 5, shape), rng.integers(0, 5, shape)]
    if name == "Accuracy":
        return [labels, rng.integers(0, 5, rows).astype("int32")]
    if "Hinge" in name:
        return [rng.integers(0, 2, (rows, 5)).astype("float32"), scores]
    if name in ("Poisson", "MeanSquaredLogarithmicError"):
        return [rng.poisson(2.0, (rows, 5)).astype("float32"), np.exp(scores)]
    return [(scores + rng.normal(size=(rows, 5)) * 2).astype("float32"), scores]


def weight(name: str, arguments: dict[str, Any], rows: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed + 100)
    weights = rng.uniform(0, 2, rows).astype("float32")
    weights[0] = 0.5
    if "IoU" in name:
        if arguments.get("dtype") != "float32":
            weights = np.ceil(weights).astype("int32")
        if name in ("IoU", "MeanIoU"):
            weights = np.repeat(weights[:, None], 6, 1)
        if name == "BinaryIoU":
            weights = np.repeat(weights[:, None], 5, 1)
    return weights


def close(found: Any, wanted: Any, rtol: float = 2e-6, atol: float = 1e-6) -> None:
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=atol)


def quiet(metric: Any) -> Any:
    """A result; Keras warns of a case that it then handles as ranvier does."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*R2|.*r2|.*Adjusted")
        return metric.result()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("name", "arguments"), CASES, ids=str)
def test_values_over_uneven_batches(keras, name, arguments, weighted):
    own, real = (getattr(m, name)(**arguments) for m in (ours, keras.metrics))
    for _ in range(2):
        for seed, rows in enumerate(BATCHES):
            arrays = batch(name, arguments, rows, seed)
            weights = weight(name, arguments, rows, seed) if weighted else None
            own.update_state(*arrays, sample_weight=weights)
            real.update_state(*arrays, sample_weight=weights)
            found = quiet(own)
            assert found.dtype == "float32" or "dtype" in arguments or name in ("x",)
            close(found, quiet(real), 5e-6, 2e-6)
        own.reset_state()
        real.reset_state()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("name", "arguments"), CASES, ids=str)
def test_a_trace_gives_what_eager_calls_give(traced, name, arguments, weighted):
    eager, symbolic = (getattr(ours, name)(**arguments) for _ in range(2))
    count = len(batch(name, arguments, 1, 0))

    def step(**inputs):
        given = inputs["w"] if weighted else None
        symbolic.update_state(
            *[inputs[f"x{i}"] for i in range(count)], sample_weight=given
        )
        return {"result": symbolic.result()}

    def arrays(rows, seed):
        found = batch(name, arguments, rows, seed)
        named = {f"x{i}": a for i, a in enumerate(found)}
        return named | {"w": weight(name, arguments, rows, seed)}

    graph = traced(step, arrays(9, 0))
    for seed, rows in enumerate(BATCHES):
        named = arrays(rows, seed)
        given = named["w"] if weighted else None
        eager.update_state(*[named[f"x{i}"] for i in range(count)], sample_weight=given)
        found = graph.run(**named)["result"]
        close(found, quiet(eager), 1e-6, 1e-7)
    for a, b in zip(eager.variables, symbolic.variables, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-6)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(keras, name):
    real = getattr(keras.metrics, name, None) or getattr(
        __import__("keras.src.metrics.correlation_metrics", fromlist=[name]), name, None
    )
    real = real or getattr(keras.losses, name)
    known = {n.lower(): n for n in CLASSES}
    suited = {
        "binary_focal_crossentropy": "BinaryCrossentropy",
        "categorical_focal_crossentropy": "CategoricalCrossentropy",
    }.get(name, known.get(name.replace("_", ""), name))
    arrays = batch(suited, {}, 6, 1)
    close(getattr(ours, name)(*arrays), real(*arrays), 2e-5, 2e-6)


def test_weights_of_every_shape_that_keras_takes(keras):
    rng = np.random.default_rng(0)
    for shape in ((6,), (6, 4), (6, 4, 3)):
        values = rng.normal(size=shape).astype("float32")
        for rank in range(1, len(shape) + 1):
            weights = rng.uniform(0.1, 2, shape[:rank]).astype("float32")
            options = [weights]
            if rank > 1:
                options.append(weights[..., :1])
            for option in options:
                for name in ("Mean", "Sum"):
                    own, real = getattr(ours, name)(), getattr(keras.metrics, name)()
                    own.update_state(values, option)
                    real.update_state(values, option)
                    close(own.result(), real.result())
    own, real = ours.Mean(), keras.metrics.Mean()
    for metric in (own, real):
        metric.update_state(3.0)
        metric.update_state(5.0, sample_weight=2.0)
    close(own.result(), real.result())


@pytest.mark.parametrize("mask_kind", ["some", "none", "all"])
@pytest.mark.parametrize("weighted", [False, True])
def test_masks_of_the_predictions(keras, mask_kind, weighted):
    from keras.src import backend

    class Masked(np.ndarray):
        """An array that carries a mask, as a layer's output does."""

    rng = np.random.default_rng(0)
    y_true, y_pred = rng.normal(size=(2, 6, 4, 3)).astype("float32")
    mask = {
        "some": rng.integers(0, 2, (6, 4)).astype(bool),
        "none": np.zeros((6, 4), bool),
        "all": np.ones((6, 4), bool),
    }[mask_kind]
    weights = rng.uniform(0, 2, (6, 4)).astype("float32") if weighted else None
    ours_pred = y_pred.view(Masked)
    ours_pred._keras_mask = mask
    real_pred = backend.convert_to_tensor(y_pred)
    backend.set_keras_mask(real_pred, backend.convert_to_tensor(mask))
    own, real = ours.MeanSquaredError(), keras.metrics.MeanSquaredError()
    own.update_state(y_true, ours_pred, weights)
    real.update_state(y_true, real_pred, weights)
    close(own.result(), real.result())
    close(
        losses.MeanSquaredError()(y_true, ours_pred, weights),
        keras.losses.MeanSquaredError()(y_true, real_pred, weights),
    )


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=str)
def test_configurations_are_those_of_keras(keras, name, arguments):
    arguments = arguments | {"name": "mine"}
    own, real = (getattr(m, name)(**arguments) for m in (ours, keras.metrics))
    wanted, config = real.get_config(), own.get_config()
    weights = wanted.get("label_weights")
    if weights is not None:
        wanted["label_weights"] = config["label_weights"]
    extra = set(config) - set(wanted)
    assert {k: v for k, v in config.items() if k not in extra} == wanted
    assert {k: config[k] for k in extra} == {k: arguments[k] for k in extra}
    assert type(own).from_config(config).get_config() == config
    assert ours.deserialize(ours.serialize(own)).get_config() == config
    if not extra and weights is None:
        theirs = keras.metrics.serialize(real)
        assert ours.deserialize(theirs).get_config() == config
        assert keras.metrics.deserialize(ours.serialize(own)).get_config() == wanted


@pytest.mark.parametrize("name", CLASSES)
def test_names_and_defaults_are_those_of_keras(keras, name):
    def defaults(cls: type) -> dict[str, Any]:
        parameters = inspect.signature(cls.__init__).parameters.items()
        return {k: p.default for k, p in parameters}

    assert defaults(getattr(ours, name)) == defaults(getattr(keras.metrics, name))
    arguments = ARGUMENTS.get(name, [{}])[0]
    own, real = (getattr(m, name)(**arguments) for m in (ours, keras.metrics))
    # Automatic names end in a counter of objects made in the process.
    assert own.name.rstrip("_0123456789") == real.name.rstrip("_0123456789")
    shapes = [v.shape for v in real.variables]
    assert [v.shape for v in own.variables] == shapes
    assert [v.name for v in own.variables] == [v.name for v in real.variables]


def test_nothing_is_missing(keras):
    public = {n for n in dir(keras.metrics) if not n.startswith("_")}
    assert public <= set(ours.__all__)


def test_aliases(keras):
    from keras.src.metrics import ALL_OBJECTS_DICT

    for name, cls in ALL_OBJECTS_DICT.items():
        if cls.__name__ in CLASSES and cls.__name__ not in ARGUMENTS:
            assert type(ours.get(name)).__name__ == cls.__name__


def test_sums_do_not_saturate():
    """float32 stops counting at 2**24."""
    metric = ours.Mean()
    metric.total.assign(2.0**24)
    metric.count.assign(2.0**24)
    metric.update_state(np.ones(3, "float32"))
    assert metric.count.numpy() == 2**24 + 3
    assert metric.total.numpy() == 2**24 + 3
    for name, arguments in CASES:
        for variable in getattr(ours, name)(**arguments).variables:
            assert variable.dtype in ("float64", "int64")
            assert variable.kind == "metric"


def test_a_metric_of_ones_own(traced):
    class Share(ours.Metric):
        def __init__(self, name="share", **kwargs):
            super().__init__(name=name, **kwargs)
            self.hits = self.add_variable((), "zeros", name="hits")
            self.rows = self.add_weight(name="rows", dtype="int32")
            self.inner = ours.Mean()

        def update_state(self, y_true, y_pred, sample_weight=None):
            hit = ops.cast(ops.equal(y_true, y_pred), self.dtype)
            self.hits.assign_add(ops.sum(hit))
            self.rows.assign_add(ops.sum(ops.ones_like(y_true)))
            self.inner.update_state(hit)

        def result(self):
            return self.hits / ops.cast(self.rows, self.dtype)

    metric = Share()
    assert len(metric.variables) == 4
    step = traced(
        lambda a, b: metric.update_state(a, b),
        {"a": np.zeros(4, "int32"), "b": np.zeros(4, "int32")},
    )
    step.run(a=np.array([1, 2, 3], "int32"), b=np.array([1, 2, 0], "int32"))
    step.run(a=np.array([1], "int32"), b=np.array([0], "int32"))
    assert float(metric.result()) == 0.5
    assert float(metric.inner.result()) == 0.5
    metric.reset_state()
    assert all(not v.numpy().any() for v in metric.variables)


def test_resolve(keras):
    from keras.src.trainers.compile_utils import get_metric

    for identifier in ("accuracy", "acc", "Accuracy", "mse", "AUC", "mean_io_u"):
        if identifier == "mean_io_u":
            continue
        for true, pred in (
            ((4,), (4, 1)),
            ((4, 1), (4, 1)),
            ((4,), (4, 3)),
            ((4, 1), (4, 3)),
            ((4, 3), (4, 3)),
            ((4, 6), (4, 6, 3)),
        ):
            wanted = get_metric(identifier, np.zeros(true), np.zeros(pred))
            found = ours.resolve(identifier, true, pred)
            assert type(found).__name__ == type(wanted).__name__
            assert found.name == wanted.name
    found = ours.resolve(losses.huber, (4,), (4, 1))
    assert found.name == get_metric(keras.losses.huber, np.zeros(4), np.zeros(4)).name
    logits = losses.SparseCategoricalCrossentropy(from_logits=True)
    found = ours.resolve("crossentropy", (4,), (4, 3), logits)
    assert type(found).__name__ == "SparseCategoricalCrossentropy"
    assert found.from_logits
    with pytest.raises(ShapeError, match="accuracy") as caught:
        ours.resolve("acuracy", (4,), (4, 1))
    assert caught.value.code == "RV107"


def test_bad_arguments_and_shapes_are_refused():
    for make in (
        lambda: ours.Precision(thresholds=1.5),
        lambda: ours.AUC(curve="XY"),
        lambda: ours.AUC(summation_method="best"),
        lambda: ours.AUC(num_thresholds=1),
        lambda: ours.AUC(num_labels=3),
        lambda: ours.RecallAtPrecision(1.5),
        lambda: ours.FBetaScore(beta=0.0),
        lambda: ours.F1Score(average="mean"),
        lambda: ours.F1Score(threshold=2.0),
        lambda: ours.R2Score(class_aggregation="mean"),
        lambda: ours.R2Score(num_regressors=-1),
        lambda: ours.IoU(2, [2]),
    ):
        with pytest.raises(ShapeError) as caught:
            make()
        assert caught.value.code == "RV100"
    for name, true, pred in (
        ("MeanSquaredError", (4, 3), (4, 2)),
        ("SparseCategoricalAccuracy", (4, 3), (4, 3)),
        ("CategoricalAccuracy", (4,), (4, 3)),
        ("BinaryAccuracy", (4, 2), (4, 1)),
        ("Precision", (4, 2), (4, 1)),
        ("R2Score", (4,), (4,)),
        ("F1Score", (4,), (4,)),
    ):
        with pytest.raises(ShapeError) as caught:
            getattr(ours, name)().update_state(np.zeros(true), np.zeros(pred))
        assert caught.value.code == "RV101"
    for weights in ((3,), (4, 2)):
        with pytest.raises(ShapeError) as caught:
            ours.Mean().update_state(np.zeros(4), np.ones(weights))
        assert caught.value.code == "RV101"
