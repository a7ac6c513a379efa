"""What both estimators share: the training loop of scikit-learn's perceptrons."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    validate_data,
)

from ranvier._check import Constraint
from ranvier.errors import NumericsError, ShapeError
from ranvier.sklearn.network import Architecture, Network, State
from ranvier.sklearn.parameters import COMMON, hidden_sizes, verify
from ranvier.sklearn.pool import borrowed, worker_threads
from ranvier.sklearn.watching import Watcher

__all__ = ["Perceptron"]

Array = np.ndarray[Any, Any]


class Perceptron(BaseEstimator):
    """Base of the estimators.

    A fitted estimator is plain arrays (`coefs_`, `intercepts_`, the optimizer's state):
    it is pickled, cloned and sent to other processes as such. The network that computes
    is borrowed for each call.
    """

    _parameters: ClassVar[Mapping[str, Constraint]] = COMMON

    # Parameters, as far as the methods here use them.
    hidden_layer_sizes: Any
    activation: str
    solver: str
    alpha: float
    batch_size: Any
    learning_rate: str
    learning_rate_init: float
    power_t: float
    max_iter: int
    shuffle: bool
    random_state: Any
    tol: float
    verbose: Any
    warm_start: bool
    momentum: float
    nesterovs_momentum: bool
    early_stopping: bool
    validation_fraction: float
    beta_1: float
    beta_2: float
    epsilon: float
    n_iter_no_change: float
    max_fun: int
    threads: int | None

    # What fitting leaves behind.
    coefs_: list[Array]
    intercepts_: list[Array]
    loss_curve_: list[float]
    validation_scores_: list[float] | None
    _slots: list[Array] | None
    _rate: float

    def _keep(self, given: Mapping[str, Any]) -> None:
        """Stores the arguments of ``__init__`` as they came: its ``locals()``."""
        for name, value in given.items():
            if name not in ("self", "__class__"):
                setattr(self, name, value)

    # -------------------------------------------------- what a subclass has to give

    def _targets(self, y: Any, incremental: bool) -> Array:
        """Targets as the network takes them."""
        raise NotImplementedError

    def _outputs(self, y: Array) -> tuple[int, str]:
        """Number of outputs of the network, and its output activation."""
        raise NotImplementedError

    def _weights(
        self, y: Any, sample_weight: Any, x: Array, incremental: bool
    ) -> Array | None:
        """The weight of each row."""
        return None if sample_weight is None else _check_sample_weight(sample_weight, x)

    def _score_of(self, scores: Array, y: Array, weights: Array | None) -> float:
        """The score of scores of the network against targets of `_targets`."""
        raise NotImplementedError

    def _strata(self, y: Array) -> Array | None:
        """What a validation split keeps the shares of."""
        return None

    def _checked(self, x: Any, y: Any, first: bool) -> tuple[Any, Any]:
        """Data as arrays."""
        raise NotImplementedError

    def _plain_targets(self, x: Array, y: Any) -> bool:
        """Whether targets are as `_checked` would leave them."""
        return (
            type(y) is np.ndarray
            and y.ndim == 1
            and y.dtype.kind in "iuf"
            and len(x) == len(y)
            and finite(y)
        )

    # ------------------------------------------------------------------------ fitting

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Trains for up to `max_iter` epochs.

        Args:
            X: rows ``(n, features)``, dense or sparse (which is made dense, in float32).
            y: targets ``(n,)`` or ``(n, outputs)``.
            sample_weight: weight of each row in the loss.

        Returns:
            The estimator.

        Raises:
            ShapeError: RV100 for a parameter that cannot be.
            NumericsError: RV301 when the loss is not finite.
        """
        return self._fit(X, y, sample_weight, incremental=False)

    def _fit(self, X: Any, y: Any, sample_weight: Any, incremental: bool) -> Any:
        verify(self, self._parameters)
        hidden = hidden_sizes(self.hidden_layer_sizes)
        if self.early_stopping and incremental:
            raise ShapeError(
                "RV100",
                "partial_fit does not support early_stopping=True",
                fix="fit(), or early_stopping=False",
            )
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        if not first and plain(self, X) and self._plain_targets(X, y):
            x, labels = X, y
        else:
            x, labels = self._checked(X, y, first)
            x = dense(x)
        y = self._targets(labels, incremental)
        weights = self._weights(labels, sample_weight, x, incremental)
        self._random_state = check_random_state(self.random_state)
        width, link = self._outputs(y)
        sizes = (x.shape[1], *hidden, width)
        if first:
            self._begin(sizes, link)
        else:
            self._same_shape(sizes)
        self.n_iter_ = 0
        if not incremental or self._slots is None:
            self._slots = None
            self._rate = float(self.learning_rate_init)
        self._train(x, y, weights, incremental)
        if not all(np.isfinite(w).all() for w in (*self.coefs_, *self.intercepts_)):
            raise NumericsError(
                "RV301",
                "Solver produced non-finite parameter weights",
                details="the data may hold large values",
                fix="StandardScaler() in front, or a smaller learning_rate_init",
            )
        return self

    def _begin(self, sizes: tuple[int, ...], link: str) -> None:
        """New weights: Glorot's uniform ones, drawn in scikit-learn's order."""
        self.t_ = 0
        self.n_outputs_ = sizes[-1]
        self.n_layers_ = len(sizes)
        self.out_activation_ = link
        self.coefs_, self.intercepts_ = [], []
        factor = 2.0 if self.activation == "logistic" else 6.0
        for fan_in, fan_out in pairwise(sizes):
            bound = np.sqrt(factor / (fan_in + fan_out))
            for kept, shape in (
                (self.coefs_, (fan_in, fan_out)),
                (self.intercepts_, (fan_out,)),
            ):
                drawn = self._random_state.uniform(-bound, bound, shape)
                kept.append(drawn.astype(np.float32))
        self._slots = None
        self._no_improvement_count = 0
        if self.solver == "lbfgs":
            return
        early = self.early_stopping
        self.loss_curve_ = []
        self.best_loss_ = None if early else np.inf
        self.validation_scores_ = [] if early else None
        self.best_validation_score_ = -np.inf if early else None

    def _same_shape(self, sizes: tuple[int, ...]) -> None:
        before = (self.coefs_[0].shape[0], *(len(b) for b in self.intercepts_))
        if sizes != before:
            raise ShapeError(
                "RV108",
                f"the network has the layers {before}, it is to go on with {sizes}",
                details="warm_start and partial_fit go on with the weights there are",
                fix="clone(estimator), or the hidden_layer_sizes of before",
            )

    def _train(
        self, x: Array, y: Array, weights: Array | None, incremental: bool
    ) -> None:
        if self.solver == "lbfgs":
            self._descend(x, y, weights)
            return
        held: tuple[Any, ...] = ()
        if self.early_stopping:
            x, y, weights, held = self._split(x, y, weights)
        rows = len(x)
        size = self._batch(rows)
        seed = int(self._random_state.randint(2**31 - 1)) if self.shuffle else None
        with borrowed(self._architecture()) as network:
            network.write(
                State(self.coefs_, self.intercepts_, self._slots),
                float(self.alpha),
                self._rate,
            )
            score = self._scorer(network, *held) if self.early_stopping else None
            watcher = Watcher(self, rows, score)
            epochs = 1 if incremental else int(self.max_iter)
            try:
                network.train(x, y, weights, size, epochs, seed, [watcher])
            except KeyboardInterrupt:
                warnings.warn("Training interrupted by user.", stacklevel=4)
            else:
                if not incremental and not watcher.converged:
                    warnings.warn(
                        f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) "
                        "reached and the optimization hasn't converged yet.",
                        ConvergenceWarning,
                        stacklevel=4,
                    )
            self._slots = network.slots_now()
            now = network.weights_now()
        self.coefs_, self.intercepts_ = watcher.best or now

    def _descend(self, x: Array, y: Array, weights: Array | None) -> None:
        from ranvier.sklearn.lbfgs import descend

        layers = zip(self.coefs_, self.intercepts_, strict=True)
        start = [w for pair in layers for w in pair]
        with borrowed(self._architecture()) as network:
            network.alpha.assign(float(self.alpha))
            found = descend(self, network, start, x, y, weights)
        self.coefs_, self.intercepts_ = found[::2], found[1::2]

    def _split(
        self, x: Array, y: Array, weights: Array | None
    ) -> tuple[Array, Array, Array | None, tuple[Any, ...]]:
        """Rows to train on, and those to validate on."""
        given = [x, y] if weights is None else [x, y, weights]
        parts = train_test_split(
            *given,
            random_state=self._random_state,
            test_size=self.validation_fraction,
            stratify=self._strata(y),
        )
        train, held = parts[::2], parts[1::2]
        if len(held[0]) < 2:
            raise ShapeError(
                "RV100",
                "The validation set is too small. Increase 'validation_fraction' "
                "or the size of your dataset.",
                details=f"{len(held[0])} of {len(x)} rows",
                fix="validation_fraction=0.5, or early_stopping=False",
            )
        if weights is None:
            return train[0], train[1], None, (*held, None)
        return train[0], train[1], train[2], tuple(held)

    def _scorer(
        self, network: Network, x: Array, y: Array, weights: Array | None
    ) -> Callable[[], float]:
        def score() -> float:
            found = network.scores(None, x)
            if not np.isfinite(found).all():
                return float("nan")
            return self._score_of(found, y, weights)

        return score

    def _batch(self, rows: int) -> int:
        if self.batch_size == "auto":
            return min(200, rows)
        if self.batch_size > rows:
            warnings.warn(
                f"batch_size={self.batch_size} is more than the {rows} rows there are; "
                "all rows are one batch",
                stacklevel=5,
            )
        return min(int(self.batch_size), rows)

    def _architecture(self) -> Architecture:
        solver: tuple[Any, ...] = (
            "sgd", float(self.momentum), bool(self.nesterovs_momentum)
        )  # fmt: skip
        if self.solver == "lbfgs":
            solver = ("lbfgs",)
        elif self.solver == "adam":
            floats = (self.beta_1, self.beta_2, self.epsilon)
            solver = ("adam", *map(float, floats))
        return Architecture(
            (self.coefs_[0].shape[0], *(len(b) for b in self.intercepts_)),
            self.activation,
            self.out_activation_,
            solver,
            worker_threads(self.threads),
        )

    # --------------------------------------------------------------------- predicting

    def _scores(self, X: Any) -> Array:
        """What the last layer gives, in the float type of the data."""
        if plain(self, X):
            x = X
        else:
            check_is_fitted(self)
            x = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        kind = np.float32 if x.dtype == np.float32 else np.float64
        with borrowed(self._architecture()) as network:
            found = network.scores(State(self.coefs_, self.intercepts_), dense(x))
        return found.astype(kind, copy=False)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def plain(owner: Any, x: Any) -> bool:
    """Whether data are as `validate_data` would leave them, seen at once.

    That function looks for data frames, devices and names for longer than a small
    network takes for a prediction.
    """
    return (
        type(x) is np.ndarray
        and x.ndim == 2
        and x.dtype.kind == "f"
        and x.dtype.itemsize in (4, 8)
        and len(x) > 0
        and "feature_names_in_" not in owner.__dict__
        and "coefs_" in owner.__dict__
        and x.shape[1] == owner.n_features_in_
        and finite(x)
    )


def finite(array: Array) -> bool:
    """Whether the sum is finite: then all are."""
    if array.dtype.kind != "f":
        return True
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(array.sum()))


def dense(x: Any) -> Array:
    """A sparse matrix as a float32 array; an array as it is."""
    found: Array = x.astype(np.float32).toarray() if hasattr(x, "toarray") else x
    return found
