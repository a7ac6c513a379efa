"""The same numbers as scikit-learn's perceptrons: losses, weights, when they stop.

Without shuffling both see the same batches, and start from the same weights: what
differs is float32 against float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
)
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ranvier.sklearn import RanvierClassifier, RanvierRegressor
from ranvier.sklearn.regressor import r2

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SETTINGS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.01},
    "plain sgd": {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.1},
    "momentum": {"solver": "sgd", "nesterovs_momentum": False},
    "invscaling": {
        "solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1,
        "power_t": 0.3,
    },
    "adaptive": {
        "solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.05,
        "n_iter_no_change": 2, "tol": 1e-2,
    },
    "stops": {"tol": 0.05, "n_iter_no_change": 3},
    "logistic": {"activation": "logistic", "alpha": 1.0},
    "small batches": {"activation": "tanh", "batch_size": 7},
    "identity": {"activation": "identity", "hidden_layer_sizes": (5, 4)},
    "no hidden layer": {"hidden_layer_sizes": ()},
    "betas": {"beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-4},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 4},
    "all held": {"early_stopping": True, "validation_fraction": 0.4, "max_iter": 8},
}  # fmt: skip


def tasks() -> dict[str, tuple[type, type, dict[str, Any], np.ndarray]]:
    """Ours, theirs, further arguments, targets for iris."""
    _, y = load_iris(return_X_y=True)
    x, _ = load_iris(return_X_y=True)
    several = np.stack([y == 1, y > 0], 1).astype(int)
    classes, numbers = (
        (RanvierClassifier, MLPClassifier),
        (
            RanvierRegressor,
            MLPRegressor,
        ),
    )
    return {
        "multiclass": (*classes, {}, np.array(["a", "b", "c"])[y]),
        "binary": (*classes, {}, y == 1),
        "multilabel": (*classes, {}, several),
        "regression": (*numbers, {}, x[:, 3] - 1.0),
        "targets": (*numbers, {}, np.stack([x[:, 3], y - 1.0, y**2.0], 1)),
        "poisson": (*numbers, {"loss": "poisson"}, y),
    }


TASKS = tasks()


def features() -> np.ndarray:
    x, _ = load_iris(return_X_y=True)
    return StandardScaler().fit_transform(x)[:, :3]


def same(ours: Any, theirs: Any) -> None:
    """Attributes of two fitted estimators."""
    near = {"rtol": 2e-4, "atol": 2e-5}
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, **near)
    names = (
        "n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_",
    )  # fmt: skip
    for name in names:
        assert getattr(ours, name) == getattr(theirs, name), name
    for name in ("loss_", "best_loss_", "best_validation_score_"):
        wanted = getattr(theirs, name)
        if wanted is None:
            assert getattr(ours, name) is None
        else:
            assert getattr(ours, name) == pytest.approx(wanted, rel=2e-4, abs=2e-5)
    if theirs.validation_scores_ is None:
        assert ours.validation_scores_ is None
    else:
        np.testing.assert_allclose(
            ours.validation_scores_, theirs.validation_scores_, **near
        )
    for name in ("coefs_", "intercepts_"):
        pairs = zip(getattr(ours, name), getattr(theirs, name), strict=True)
        for found, wanted in pairs:
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("task", TASKS)
def test_training_is_the_same(task: str, setting: str, weighted: bool) -> None:
    ours, theirs, more, y = TASKS[task]
    arguments = {
        "shuffle": False, "random_state": 3, "max_iter": 25,
        "hidden_layer_sizes": (20,), **SETTINGS[setting], **more,
    }  # fmt: skip
    x = features()
    weights = np.random.default_rng(1).uniform(0.2, 3, len(x)) if weighted else None
    a = ours(**arguments).fit(x, y, sample_weight=weights)
    b = theirs(**arguments).fit(x, y, sample_weight=weights)
    same(a, b)
    for method in ("predict_proba", "predict_log_proba"):
        if hasattr(b, method):
            found, wanted = getattr(a, method)(x), getattr(b, method)(x)
            assert found.dtype == wanted.dtype
            np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3)
    if ours is RanvierClassifier:
        np.testing.assert_array_equal(a.classes_, b.classes_)
        found, wanted = a.predict(x), b.predict(x)
        assert found.shape == wanted.shape
        assert found.dtype == wanted.dtype
        assert np.mean(found == wanted) > 0.99
    else:
        np.testing.assert_allclose(a.predict(x), b.predict(x), rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("task", TASKS)
def test_parts_add_up_to_the_same(task: str, solver: str) -> None:
    ours, theirs, more, y = TASKS[task]
    arguments = {
        "shuffle": False, "random_state": 0, "solver": solver,
        "learning_rate": "invscaling", "hidden_layer_sizes": 9, **more,
    }  # fmt: skip
    x = features()
    a, b = ours(**arguments), theirs(**arguments)
    first = {}
    if ours is RanvierClassifier:
        first = {"classes": [0, 1] if task == "multilabel" else np.unique(y)}
    for rows in (slice(0, 60), slice(50, 150), slice(20, 90), slice(0, 150)):
        a.partial_fit(x[rows], y[rows], **first)
        b.partial_fit(x[rows], y[rows], **first)
        first = {}
    same(a, b)
    # fit starts anew, with a new optimizer; parts go on with it.
    for step in ("fit", "partial_fit"):
        a.set_params(max_iter=5), b.set_params(max_iter=5)
        getattr(a, step)(x, y), getattr(b, step)(x, y)
        same(a, b)


@pytest.mark.parametrize("task", TASKS)
def test_a_warm_start_goes_on_the_same(task: str) -> None:
    ours, theirs, more, y = TASKS[task]
    arguments = {
        "shuffle": False, "random_state": 0, "max_iter": 6, "warm_start": True, **more,
    }  # fmt: skip
    x = features()
    a, b = ours(**arguments), theirs(**arguments)
    for _ in range(3):
        same(a.fit(x, y), b.fit(x, y))
    assert len(a.loss_curve_) == 18


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("task", TASKS)
def test_lbfgs_takes_the_same_way(task: str, weighted: bool) -> None:
    ours, theirs, more, y = TASKS[task]
    x = features()
    weights = np.random.default_rng(1).uniform(0.2, 3, len(x)) if weighted else None
    arguments: dict[str, Any] = {
        "solver": "lbfgs", "random_state": 0, "hidden_layer_sizes": (6,), "alpha": 0.1,
        "activation": "tanh", **more,
    }  # fmt: skip
    # A few steps are the same; later ones follow roundings, to ends that are as good.
    a = ours(max_iter=4, **arguments).fit(x, y, sample_weight=weights)
    b = theirs(max_iter=4, **arguments).fit(x, y, sample_weight=weights)
    assert (a.n_iter_, b.n_iter_) == (4, 4)
    assert a.loss_ == pytest.approx(b.loss_, rel=1e-4)
    pairs = zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True)
    for found, wanted in pairs:
        np.testing.assert_allclose(found, wanted, rtol=1e-2, atol=1e-3)
    a = ours(max_iter=300, **arguments).fit(x, y, sample_weight=weights)
    b = theirs(max_iter=300, **arguments).fit(x, y, sample_weight=weights)
    assert a.loss_ < 1.1 * b.loss_ + 1e-3
    assert a.score(x, y) > b.score(x, y) - 0.02
    assert not hasattr(a, "loss_curve_")
    assert not hasattr(a, "partial_fit")
    again = ours(max_iter=3, warm_start=True, **arguments)
    again.fit(x, y)
    first = again.loss_
    assert again.fit(x, y).loss_ < first


def test_r2_is_theirs() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=(50, 3))
    found = y + rng.normal(size=(50, 3))
    y[:, 1] = 2.0
    weights = rng.uniform(0.1, 2, 50)
    for w in (None, weights):
        assert r2(y, found, w) == pytest.approx(r2_score(y, found, sample_weight=w))
        assert r2(y, y, w) == r2_score(y, y, sample_weight=w) == 1.0


LOADERS = {
    "iris": load_iris,
    "wine": load_wine,
    "breast_cancer": load_breast_cancer,
    "digits": load_digits,
    "diabetes": load_diabetes,
}


@pytest.mark.parametrize("name", LOADERS)
def test_scores_are_as_good(name: str) -> None:
    """With orders of its own (rows are shuffled), over a few seeds."""
    x, y = LOADERS[name](return_X_y=True)
    regression = name == "diabetes"
    ours: Any = RanvierRegressor if regression else RanvierClassifier
    theirs: Any = MLPRegressor if regression else MLPClassifier
    if regression:
        y = (y - y.mean()) / y.std()
    scores = []
    for kind in (ours, theirs):
        found = []
        for seed in range(3):
            train, test, y_train, y_test = train_test_split(x, y, random_state=seed)
            network = kind(
                hidden_layer_sizes=(32,), batch_size=32, max_iter=60, tol=1e-3,
                random_state=seed, alpha=0.1, learning_rate_init=0.005,
            )  # fmt: skip
            pipeline = make_pipeline(StandardScaler(), network)
            found.append(pipeline.fit(train, y_train).score(test, y_test))
        scores.append(np.mean(found))
    margin = 0.05 if regression else 0.02
    assert scores[0] > scores[1] - margin, scores
    # Far above guessing; for diabetes no network does much better than 0.3.
    assert scores[0] > (0.2 if regression else 0.93), scores
