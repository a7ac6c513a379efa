"""`RanvierRegressor`: one or several numbers a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import validate_data

from ranvier._check import Constraint, OneOf
from ranvier.errors import ShapeError
from ranvier.sklearn.base import Perceptron
from ranvier.sklearn.parameters import COMMON

__all__ = ["RanvierRegressor"]

Array = np.ndarray[Any, Any]


class RanvierRegressor(RegressorMixin, Perceptron):
    """A multi-layer perceptron that predicts numbers; in the place of `MLPRegressor`.

    ``"squared_error"`` is half the mean squared error, ``"poisson"`` half the Poisson
    deviance with an exponential as output activation. To the loss of a batch
    ``alpha / 2 * sum of squared weights / rows`` is added.

    Args:
        loss: ``"squared_error"`` or ``"poisson"`` (targets >= 0).
        hidden_layer_sizes: widths of the hidden layers.
        activation: of the hidden layers: ``"identity"``, ``"logistic"``, ``"tanh"``,
            ``"relu"``, or another of Keras's such as ``"gelu"`` or ``"silu"``.
        solver: ``"adam"``, ``"sgd"``, or ``"lbfgs"`` (SciPy's, on all rows at once; for
            small data).
        alpha: strength of the L2 penalty.
        batch_size: rows of an update; ``"auto"`` is ``min(200, n)``.
        learning_rate: for ``"sgd"``: ``"constant"``, ``"invscaling"`` (each epoch
            ``learning_rate_init / (t_ + 1) ** power_t``) or ``"adaptive"`` (divided by 5
            whenever training is stuck).
        learning_rate_init: the (first) learning rate.
        power_t: exponent of ``"invscaling"``.
        max_iter: epochs at most.
        shuffle: a new order of the rows in every epoch.
        random_state: seed or generator of weights, validation split and orders.
        tol: an improvement below it is none.
        verbose: print a line for every epoch.
        warm_start: `fit` goes on from the weights there are.
        momentum: of ``"sgd"``.
        nesterovs_momentum: use Nesterov's form of it.
        early_stopping: hold `validation_fraction` of the rows back, stop when their R2
            is stuck, and keep the best weights.
        validation_fraction: share of the rows held back.
        beta_1: memory of Adam's mean gradient.
        beta_2: memory of Adam's mean square.
        epsilon: keeps Adam's division finite.
        n_iter_no_change: epochs without improvement before training stops.
        max_fun: looks at the loss that ``"lbfgs"`` may take.
        threads: threads at most; all by default, in a worker process of joblib one. The
            numbers do not depend on it.

    Attributes:
        coefs_: kernels, float32 ``(inputs, units)``, first layer first.
        intercepts_: biases.
        loss_: the loss of the last epoch; with several targets their mean.
        loss_curve_: the loss of every epoch.
        best_loss_: the smallest; ``None`` with `early_stopping`.
        validation_scores_: with `early_stopping`, R2 after every epoch.
        best_validation_score_: the largest of them.
        n_iter_: epochs done by the last call.
        t_: rows seen.
        n_layers_: layers, input and output included.
        n_outputs_: targets of a row.
        out_activation_: ``"identity"`` or ``"exp"``.
        n_features_in_: columns of the data.
        feature_names_in_: their names, where the data had some.

    Raises:
        ShapeError: RV100, when fitting, for a parameter that cannot be.

    Example:
        >>> import numpy as np
        >>> from ranvier.sklearn import RanvierRegressor
        >>> x = np.linspace(-2, 2, 400)[:, None]
        >>> network = RanvierRegressor(learning_rate_init=0.01, tol=0, random_state=0)
        >>> bool(network.fit(x, np.sin(2 * x[:, 0])).score(x, np.sin(2 * x[:, 0])) > 0.95)
        True
    """

    _parameters: ClassVar[Mapping[str, Constraint]] = {
        **COMMON,
        "loss": OneOf("squared_error", "poisson"),
    }
    loss: str

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        threads: int | None = None,
    ) -> None:
        self._keep(locals())

    @available_if(lambda self: self.solver != "lbfgs")
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None
    ) -> RanvierRegressor:
        """Trains for one epoch, on from where it stands, optimizer state included.

        Args:
            X: rows.
            y: targets.
            sample_weight: weight of each row.
        """
        self._fit(X, y, sample_weight, incremental=True)
        return self

    def _checked(self, x: Any, y: Any, first: bool) -> tuple[Any, Any]:
        kinds = (np.float64, np.float32)
        sparse = ["csr", "csc"]
        return validate_data(
            self, x, y, accept_sparse=sparse, multi_output=True, y_numeric=True,
            dtype=kinds, reset=first,
        )  # fmt: skip

    def _targets(self, y: Any, incremental: bool) -> Array:
        y = np.asarray(y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if y.dtype.kind != "f":
            y = y.astype(np.float64)
        if self.loss == "poisson" and y.min() < 0:
            raise ShapeError(
                "RV101",
                f"loss='poisson' needs targets >= 0, the smallest is {y.min()}",
                fix="loss='squared_error'",
            )
        return y[:, None] if y.ndim == 1 else y

    def _outputs(self, y: Array) -> tuple[int, str]:
        return y.shape[1], "exp" if self.loss == "poisson" else "identity"

    def _link(self, scores: Array) -> Array:
        return np.exp(scores) if self.out_activation_ == "exp" else scores

    def _score_of(self, scores: Array, y: Array, weights: Array | None) -> float:
        return r2(y, self._link(scores), weights)

    def predict(self, X: Any) -> Array:
        """Targets ``(n,)``, or ``(n, outputs)`` where there are several."""
        found = self._link(self._scores(X))
        return found.ravel() if found.shape[1] == 1 else found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def r2(y: Array, found: Array, weights: Array | None) -> float:
    """The coefficient of determination, mean over targets, as `r2_score` gives it.

    ``1 - sum(w (y - f)**2) / sum(w (y - mean(y))**2)``; a target that never changes
    counts 1 where it was met exactly, else 0.
    """
    each = 1.0 if weights is None else weights[:, None]
    wrong: Any = np.sum(each * (y - found) ** 2, axis=0, dtype=np.float64)
    middle = np.average(y, axis=0, weights=weights)
    spread: Any = np.sum(each * (y - middle) ** 2, axis=0, dtype=np.float64)
    varied = spread != 0
    scores = np.where(wrong == 0, 1.0, 0.0)
    scores[varied] = 1.0 - wrong[varied] / spread[varied]
    return float(scores.mean())
