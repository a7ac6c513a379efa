"""The estimators in use: pipelines, searches, copies, parts, weights, and what is refused."""

from __future__ import annotations

import copy
import pickle
import threading
from typing import Any

import numpy as np
import pytest
from joblib import Parallel, delayed
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

from ranvier.errors import NumericsError, RanvierError, ShapeError
from ranvier.sklearn import RanvierClassifier, RanvierRegressor, pool
from ranvier.sklearn.classifier import RanvierClassifier as Classifier
from ranvier.sklearn.parameters import COMMON

unconverged = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning"
)
pytestmark = unconverged


@pytest.fixture(name="iris")
def fixture_iris() -> tuple[np.ndarray, np.ndarray]:
    x, y = load_iris(return_X_y=True)
    return StandardScaler().fit_transform(x), y


def quick(**more: Any) -> RanvierClassifier:
    return RanvierClassifier(**{"max_iter": 5, "random_state": 0, **more})


def equal(a: Any, b: Any) -> None:
    """Fitted alike, to the last bit."""
    assert a.loss_curve_ == b.loss_curve_
    for name in ("coefs_", "intercepts_"):
        for left, right in zip(getattr(a, name), getattr(b, name), strict=True):
            np.testing.assert_array_equal(left, right)


# ------------------------------------------------------------------------ in company


def test_pipeline_and_grid_search(iris) -> None:
    pipeline = make_pipeline(StandardScaler(), quick(max_iter=30))
    search = GridSearchCV(
        pipeline,
        {
            "ranvierclassifier__alpha": [1e-4, 1e3],
            "ranvierclassifier__learning_rate_init": [0.01, 1e-6],
        },
        cv=3,
    ).fit(*iris)
    best = search.best_params_
    assert best == {
        "ranvierclassifier__alpha": 1e-4,
        "ranvierclassifier__learning_rate_init": 0.01,
    }
    assert search.best_score_ > 0.85


def test_workers_of_joblib_get_the_same_and_one_thread_each(iris) -> None:
    alone = cross_val_score(quick(), *iris, cv=3)
    np.testing.assert_array_equal(
        cross_val_score(quick(), *iris, cv=3, n_jobs=2), alone
    )
    found = Parallel(n_jobs=2)(delayed(pool.worker_threads)(n) for n in (None, None, 3))
    assert found == [1, 1, 3]
    assert pool.worker_threads(None) is None


def test_python_threads_get_the_same(iris) -> None:
    wanted = quick().fit(*iris)
    with_threads = Parallel(n_jobs=4, backend="threading")(
        delayed(quick().fit)(*iris) for _ in range(8)
    )
    for found in with_threads:
        equal(found, wanted)


def test_the_number_of_threads_changes_nothing() -> None:
    x, y = load_breast_cancer(return_X_y=True)
    x = StandardScaler().fit_transform(x)
    fitted = [
        quick(hidden_layer_sizes=(300, 200), threads=n).fit(x, y) for n in (1, 2, None)
    ]
    equal(fitted[0], fitted[1])
    equal(fitted[0], fitted[2])
    np.testing.assert_array_equal(
        fitted[0].predict_proba(x), fitted[1].predict_proba(x)
    )


def test_inspection_and_several_columns_of_classes(iris) -> None:
    x, y = iris
    fitted = quick(max_iter=80, learning_rate_init=0.02).fit(x, y)
    found = permutation_importance(fitted, x, y, n_repeats=2, random_state=0)
    assert found.importances_mean[2:].min() > found.importances_mean[:2].max()
    targets = np.stack([y, (y + 1) % 3], 1)
    several = MultiOutputClassifier(quick(max_iter=80, learning_rate_init=0.02))
    assert several.fit(x, targets).score(x, targets) > 0.8


# ------------------------------------------------------------------------------ state


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))]
)
def test_copies_go_on_with_the_same_bits(iris, copied) -> None:
    x, y = iris
    original = quick().fit(x, y)
    twin = copied(original)
    np.testing.assert_array_equal(twin.predict_proba(x), original.predict_proba(x))
    for _ in range(3):
        equal(original.partial_fit(x, y), twin.partial_fit(x, y))


def test_a_clone_is_not_fitted(iris) -> None:
    fitted = quick(alpha=0.5).fit(*iris)
    fresh = clone(fitted)
    assert fresh.alpha == 0.5
    assert not hasattr(fresh, "coefs_")
    with pytest.raises(NotFittedError):
        fresh.predict(iris[0])
    equal(fresh.fit(*iris), fitted)


def test_what_shares_a_network_does_not_share_weights(iris) -> None:
    x, y = iris
    a, b = quick(random_state=1).fit(x, y), quick(random_state=2).fit(x, y)
    before = a.predict_proba(x), b.predict_proba(x)
    assert np.abs(before[0] - before[1]).max() > 0.01
    a.partial_fit(x, y), b.predict(x), a.predict(x)
    np.testing.assert_array_equal(b.predict_proba(x), before[1])
    assert np.abs(a.predict_proba(x) - before[0]).max() > 0


def test_weights_set_by_hand_count(iris) -> None:
    x, y = iris
    fitted = quick().fit(x, y)
    fitted.coefs_[-1][:] = 0
    fitted.intercepts_[-1] = np.array([0.0, 5.0, 0.0])
    assert set(fitted.predict(x)) == {1}


def test_networks_are_compiled_once(iris, monkeypatch) -> None:
    made = []
    real = pool.Network
    monkeypatch.setattr(
        pool, "Network", lambda shape: made.append(shape) or real(shape)
    )
    sizes = (13, 11)
    for alpha, rate in ((0.1, 0.01), (1.0, 0.1), (0.0, 0.001)):
        fitted = quick(hidden_layer_sizes=sizes, alpha=alpha, learning_rate_init=rate)
        fitted.fit(*iris)
        fitted.predict(iris[0])
        fitted.partial_fit(*iris)
    assert len(made) == 1
    network = pool._take(made[0])
    kinds = sorted(key[0] for key in network._steps)
    assert kinds == ["predict", "train"]
    pool._give(network)


def test_the_pool_is_bounded(monkeypatch) -> None:
    monkeypatch.setattr(pool, "COUNT", 2)
    x, y = np.ones((4, 2)), np.array([0, 1, 0, 1])
    for size in (3, 4, 5, 6):
        quick(hidden_layer_sizes=size, max_iter=1).fit(x, y)
    assert [shape.sizes[1] for shape in pool.idle()] == [5, 6]
    monkeypatch.setattr(pool, "PARAMETERS", 50)
    quick(hidden_layer_sizes=20, max_iter=1).fit(x, y)
    assert pool.idle() == []


def test_global_random_numbers_are_left_alone(iris) -> None:
    np.random.seed(3)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    quick(random_state=0).fit(*iris)
    after = np.random.get_state()[1]  # noqa: NPY002
    np.testing.assert_array_equal(after, before)
    # Without a seed they are drawn from, as everywhere in scikit-learn.
    a = quick(random_state=None).fit(*iris)
    np.random.seed(3)  # noqa: NPY002
    equal(quick(random_state=None).fit(*iris), a)
    b = quick(random_state=np.random.RandomState(3)).fit(*iris)
    equal(a, b)


def test_shuffling_changes_the_batches(iris) -> None:
    x, y = iris
    kept = quick(batch_size=10, shuffle=False).fit(x, y)
    one = quick(batch_size=10, random_state=0).fit(x, y)
    assert kept.loss_curve_ != one.loss_curve_
    # Sorted by class, rows in their order learn badly.
    assert one.loss_ < kept.loss_


# --------------------------------------------------------------- weights and classes


def test_class_weight_is_a_weight_of_rows(iris) -> None:
    x, y = iris
    y = np.where(y == 0, "rare", np.where(y == 1, "b", "c"))
    x, y = x[40:], y[40:]
    given = {"rare": 5.0, "b": 0.5, "c": 2.0}
    own = np.random.default_rng(0).uniform(0.5, 2, len(x))
    for weight in ("balanced", given):
        rows = compute_sample_weight(weight, y)
        equal(
            quick(class_weight=weight).fit(x, y), quick().fit(x, y, sample_weight=rows)
        )
        equal(
            quick(class_weight=weight).fit(x, y, sample_weight=own),
            quick().fit(x, y, sample_weight=rows * own),
        )
    equal(
        quick(class_weight=given).partial_fit(x, y, classes=np.unique(y)),
        quick().partial_fit(x, y, compute_sample_weight(given, y), np.unique(y)),
    )
    balanced = compute_class_weight("balanced", classes=np.unique(y), y=y)
    assert balanced.max() / balanced.min() > 2  # the test would see it left out


def test_batches_without_weight_change_nothing() -> None:
    x = np.random.default_rng(0).normal(size=(40, 3))
    y = (x[:, 0] > 0).astype(int)
    weights = np.repeat([0.0, 1.0], 20)
    arguments: dict[str, Any] = {
        "batch_size": 20, "shuffle": False, "solver": "sgd", "momentum": 0.0,
    }  # fmt: skip
    a = quick(**arguments).fit(x, y, sample_weight=weights)
    b = quick(**arguments).fit(x[20:], y[20:])
    for left, right in zip(a.coefs_, b.coefs_, strict=True):
        np.testing.assert_array_equal(left, right)


def test_one_class_two_classes_and_booleans(iris) -> None:
    x, y = iris
    only = quick(max_iter=1).fit(x, np.full(len(x), "same"))
    assert set(only.predict(x)) == {"same"}
    assert only.out_activation_ == "logistic"
    flags = quick(max_iter=40, learning_rate_init=0.01).fit(x, y == 0)
    assert flags.predict(x).dtype == bool
    np.testing.assert_array_equal(flags.predict(x), y == 0)


def test_sparse_rows_and_labels_are_taken(iris) -> None:
    x, y = iris
    x = np.where(x > 0.5, x, 0).astype(np.float32)
    wanted = quick().fit(x, y)
    for kind in (sparse.csr_matrix, sparse.csc_array):
        found = quick().fit(kind(x), y)
        equal(found, wanted)
        np.testing.assert_array_equal(
            found.predict_proba(kind(x)), wanted.predict_proba(x)
        )
    labels = np.stack([y == 0, y < 2], 1).astype(int)
    equal(quick().fit(x, sparse.csr_matrix(labels)), quick().fit(x, labels))


def test_float32_stays_float32(iris) -> None:
    x, y = iris
    fitted = quick().fit(x, y)
    assert fitted.predict_proba(x).dtype == np.float64
    assert fitted.predict_proba(x.astype(np.float32)).dtype == np.float32
    sums = fitted.predict_proba(x).sum(axis=1)
    np.testing.assert_allclose(sums, 1, rtol=1e-15)
    number = RanvierRegressor(max_iter=2, random_state=0).fit(x.astype(np.float32), y)
    assert number.predict(x.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize("activation", ["gelu", "silu", "elu", "softplus"])
def test_other_activations_of_keras(iris, activation) -> None:
    fitted = quick(activation=activation, max_iter=60, learning_rate_init=0.01)
    assert fitted.fit(*iris).score(*iris) > 0.85


# ------------------------------------------------------------------- parts, warm start


def test_parts_need_the_classes_once(iris) -> None:
    x, y = iris
    parts = quick()
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        parts.partial_fit(x, y)
    parts.partial_fit(x[:60], y[:60], classes=[0, 1, 2])
    assert parts.out_activation_ == "softmax"
    assert parts.n_iter_ == 1
    with pytest.raises(ValueError, match="is not the same as on last call"):
        parts.partial_fit(x, y, classes=[0, 1])
    with pytest.raises(ValueError, match="classes not in"):
        parts.partial_fit(x, y + 1)
    parts.partial_fit(x, y)
    assert parts.t_ == 60 + 150
    assert len(parts.loss_curve_) == 2
    with pytest.raises(ValueError, match="has 2 features"):
        parts.partial_fit(x[:, :2], y)


def test_plain_arrays_and_odd_ones_give_the_same(iris) -> None:
    x, y = iris
    a, b = RanvierRegressor(random_state=0), RanvierRegressor(random_state=0)
    for _ in range(3):
        a.partial_fit(x, y.astype(float))
        b.partial_fit(x.tolist(), y.tolist())
    equal(a, b)
    np.testing.assert_array_equal(a.predict(x), b.predict(x.tolist()))
    for bad in (np.nan, np.inf):
        spoiled = x.copy()
        spoiled[7, 1] = bad
        with pytest.raises(ValueError, match=r"NaN|infinity"):
            a.predict(spoiled)
        with pytest.raises(ValueError, match=r"NaN|infinity"):
            a.partial_fit(spoiled, y)
    with pytest.raises(ValueError, match="has 3 features"):
        a.predict(x[:, :3])
    with pytest.raises(ValueError, match="minimum of 1"):
        a.predict(x[:0])


def test_a_warm_start_needs_the_same_shape(iris) -> None:
    x, y = iris
    warm = quick(warm_start=True).fit(x, y)
    with pytest.raises(ValueError, match="same classes as in the previous"):
        warm.fit(x, np.minimum(y, 1))
    warm.set_params(hidden_layer_sizes=(7,))
    with pytest.raises(ShapeError, match="RV108"):
        warm.fit(x, y)
    warm.set_params(warm_start=False).fit(x, y)
    assert warm.coefs_[0].shape == (4, 7)


def test_early_stopping_keeps_the_best(iris) -> None:
    x, y = iris
    fitted = quick(
        early_stopping=True, max_iter=300, n_iter_no_change=3, learning_rate_init=0.05
    ).fit(x, y)
    scores = fitted.validation_scores_
    assert len(scores) == fitted.n_iter_ < 300
    assert fitted.best_validation_score_ == max(scores)
    assert fitted.best_loss_ is None
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping"):
        fitted.partial_fit(x, y)
    with pytest.raises(ValueError, match="validation set is too small"):
        quick(early_stopping=True, validation_fraction=0.25).fit(x[::40], y[::40])


# ------------------------------------------------------------------------ what is said


def test_progress_is_printed_as_scikit_learn_prints_it(iris, capsys) -> None:
    quick(verbose=True, max_iter=2).fit(*iris)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Iteration 1, loss = ")
    assert len(lines) == 2
    quick(verbose=True, tol=10.0, n_iter_no_change=2, max_iter=20).fit(*iris)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == (
        "Training loss did not improve more than tol=10.000000 for 2 consecutive "
        "epochs. Stopping."
    )


@pytest.mark.filterwarnings("error")
def test_an_end_without_convergence_is_told(iris) -> None:
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(3\) reached"):
        quick(max_iter=3).fit(*iris)
    quick(max_iter=50, tol=10.0).fit(*iris)  # stops, and is silent
    with pytest.warns(UserWarning, match="batch_size=500 is more than the 150 rows"):
        quick(max_iter=50, tol=10.0, batch_size=500).fit(*iris)


def test_ctrl_c_keeps_what_was_learned(iris, monkeypatch) -> None:
    x, y = iris
    real = pool.Network.train

    def train(self: Any, *args: Any) -> None:
        watcher = args[-1][0]
        inner = watcher.on_epoch_end

        def on_epoch_end(epoch: int, logs: Any = None) -> None:
            inner(epoch, logs)
            if epoch == 2:
                raise KeyboardInterrupt

        watcher.on_epoch_end = on_epoch_end
        real(self, *args)

    monkeypatch.setattr(pool.Network, "train", train)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        stopped = quick(max_iter=100).fit(x, y)
    monkeypatch.undo()
    equal(stopped, quick(max_iter=3).fit(x, y))


def test_a_loss_that_explodes_is_refused(iris) -> None:
    x, y = iris
    wild = RanvierRegressor(
        solver="sgd", learning_rate_init=1e6, max_iter=30, random_state=0
    )
    with pytest.raises(NumericsError, match="RV301"):
        wild.fit(x, y)


@pytest.mark.parametrize("name", [*COMMON, "class_weight"])
def test_bad_parameters_are_refused(iris, name) -> None:
    constraint = Classifier._parameters[name]
    bad = constraint.bad_values()
    assert bad
    for value in bad:
        with pytest.raises(RanvierError, match=name) as caught:
            quick(**{name: value}).fit(*iris)
        assert caught.value.code == "RV100"


@pytest.mark.parametrize("sizes", [(0,), (3, -1), "8", 2.5, (4, "x"), None])
def test_bad_layers_are_refused(iris, sizes) -> None:
    with pytest.raises(ShapeError, match="hidden_layer_sizes"):
        quick(hidden_layer_sizes=sizes).fit(*iris)


def test_targets_that_do_not_fit_are_refused(iris) -> None:
    x, y = iris
    with pytest.raises(ValueError, match="Unknown label type"):
        quick().fit(x, x[:, 0])
    with pytest.raises(ShapeError, match="MultiOutputClassifier"):
        quick().fit(x, np.stack([y, y], 1))
    with pytest.raises(ValueError, match="targets >= 0"):
        RanvierRegressor("poisson").fit(x, y - 1)
    with pytest.raises(ShapeError, match="balanced"):
        quick(class_weight="balanced").partial_fit(x, y, classes=[0, 1, 2])
    warm = quick(warm_start=True).fit(x, y)
    with pytest.raises(ShapeError, match="RV101"):
        warm.fit(x, np.stack([y == 0, y == 1], 1))
    parts = quick().partial_fit(x, np.stack([y == 0, y == 1], 1), classes=[0, 1])
    with pytest.raises(ShapeError, match="3 columns"):
        parts.partial_fit(x, np.stack([y == 0, y == 1, y == 2], 1))


def test_other_python_threads_see_no_limit(iris) -> None:
    from ranvier import config

    seen: list[Any] = []
    with config.at_most_threads(1):
        other = threading.Thread(target=lambda: seen.append(config.thread_limit()))
        other.start()
        other.join()
        assert config.thread_limit() == 1
    assert seen == [None]
    assert config.thread_limit() is None
