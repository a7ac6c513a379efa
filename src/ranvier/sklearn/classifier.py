"""`RanvierClassifier`: one or several labels a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from scipy.special import expit
from sklearn.base import ClassifierMixin
from sklearn.utils import column_or_1d, compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import (
    check_classification_targets,
    type_of_target,
    unique_labels,
)
from sklearn.utils.validation import validate_data

from ranvier._check import Constraint, InstanceOf, OneOf, Optional
from ranvier.errors import ShapeError
from ranvier.sklearn.base import Perceptron
from ranvier.sklearn.parameters import COMMON, Either

__all__ = ["RanvierClassifier"]

Array = np.ndarray[Any, Any]

_CLASS_WEIGHT = Optional(Either((OneOf("balanced"), InstanceOf(dict, list))))


class RanvierClassifier(ClassifierMixin, Perceptron):
    """A multi-layer perceptron that classifies; takes the place of `MLPClassifier`.

    Two classes: one sigmoid output and the binary log-loss; more: softmax and the
    log-loss; a 0/1 matrix of labels: a sigmoid for each column. To the mean log-loss of
    a batch ``alpha / 2 * sum of squared weights / rows`` is added.

    Args:
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
        early_stopping: hold `validation_fraction` of the rows back, stop when their
            score is stuck, and keep the best weights.
        validation_fraction: share of the rows held back.
        beta_1: memory of Adam's mean gradient.
        beta_2: memory of Adam's mean square.
        epsilon: keeps Adam's division finite.
        n_iter_no_change: epochs without improvement before training stops.
        max_fun: looks at the loss that ``"lbfgs"`` may take.
        class_weight: weight of each class: a dict, or ``"balanced"`` for
            ``n / (classes * rows of the class)``; multiplied with `sample_weight`.
        threads: threads at most; all by default, in a worker process of joblib one. The
            numbers do not depend on it.

    Attributes:
        classes_: the labels.
        coefs_: kernels, float32 ``(inputs, units)``, first layer first.
        intercepts_: biases.
        loss_: the loss of the last epoch.
        loss_curve_: the loss of every epoch.
        best_loss_: the smallest; ``None`` with `early_stopping`.
        validation_scores_: with `early_stopping`, the accuracy after every epoch.
        best_validation_score_: the largest of them.
        n_iter_: epochs done by the last call.
        t_: rows seen.
        n_layers_: layers, input and output included.
        n_outputs_: outputs of the network: 1 for two classes.
        out_activation_: ``"softmax"`` or ``"logistic"``.
        n_features_in_: columns of the data.
        feature_names_in_: their names, where the data had some.

    Raises:
        ShapeError: RV100, when fitting, for a parameter that cannot be.

    Example:
        >>> from sklearn.datasets import load_digits
        >>> from ranvier.sklearn import RanvierClassifier
        >>> x, y = load_digits(return_X_y=True)
        >>> network = RanvierClassifier((64,), max_iter=30, tol=0.01, random_state=0)
        >>> bool(network.fit(x[:1500] / 16, y[:1500]).score(x[1500:] / 16, y[1500:]) > 0.85)
        True
    """

    _parameters: ClassVar[Mapping[str, Constraint]] = {
        **COMMON,
        "class_weight": _CLASS_WEIGHT,
    }
    class_weight: Any
    classes_: Array

    def __init__(
        self,
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
        class_weight: Any = None,
        threads: int | None = None,
    ) -> None:
        self._keep(locals())

    # ------------------------------------------------------------------------ fitting

    @available_if(lambda self: self.solver != "lbfgs")
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None
    ) -> RanvierClassifier:
        """Trains for one epoch, on from where it stands, optimizer state included.

        Args:
            X: rows.
            y: labels.
            sample_weight: weight of each row.
            classes: all labels that will ever come; needed in the first call.

        Raises:
            ShapeError: RV100 for `classes` that are missing or others than before.
        """
        if not hasattr(self, "classes_"):
            if classes is None:
                raise ShapeError(
                    "RV100",
                    "classes must be passed on the first call to partial_fit",
                    fix="partial_fit(X, y, classes=np.unique(all_labels))",
                )
            several = type_of_target(y).startswith("multilabel")
            self._learn_classes(np.asarray(y if several else classes))
        elif classes is not None and not np.array_equal(
            self.classes_, unique_labels(classes)
        ):
            raise ShapeError(
                "RV100",
                f"classes={classes!r} is not the same as on last call to partial_fit, "
                f"was: {self.classes_!r}",
                fix="leave classes out",
            )
        self._fit(X, y, sample_weight, incremental=True)
        return self

    def _checked(self, x: Any, y: Any, first: bool) -> tuple[Any, Any]:
        kinds = (np.float64, np.float32)
        sparse = ["csr", "csc"]
        return validate_data(
            self, x, y, accept_sparse=sparse, multi_output=True, dtype=kinds,
            reset=first,
        )  # fmt: skip

    def _learn_classes(self, y: Array) -> None:
        """Decides from labels what the outputs of the network are."""
        check_classification_targets(y)
        self._kind = type_of_target(y)
        if self._kind == "multiclass-multioutput":
            raise ShapeError(
                "RV101",
                "several columns of labels with more than two values each",
                details="a matrix of targets must be 0/1: one column a label",
                fix="one estimator a column: MultiOutputClassifier(RanvierClassifier())",
            )
        if self._kind == "multilabel-indicator":
            self.classes_ = np.arange(y.shape[1])
        else:
            self.classes_ = np.unique(y)
            self._kind = "multiclass" if len(self.classes_) > 2 else "binary"

    def _targets(self, y: Any, incremental: bool) -> Array:
        several = type_of_target(y) == "multilabel-indicator"
        y = y.toarray() if hasattr(y, "toarray") else np.asarray(y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._learn_classes(y)
        elif several != (self._kind == "multilabel-indicator"):
            raise ShapeError(
                "RV101",
                f"targets are {type_of_target(y)}, before they were {self._kind}",
                fix="clone(estimator) for another kind of targets",
            )
        elif several:
            self._same_labels(y.shape[1])
        else:
            self._same_classes(y, incremental)
        if several:
            return (y > 0).astype(np.float32)
        codes = np.searchsorted(self.classes_, y)
        if self._kind == "multiclass":
            return codes.astype(np.int32)
        return codes.astype(np.float32)[:, None]

    def _same_labels(self, columns: int) -> None:
        if columns != len(self.classes_):
            raise ShapeError(
                "RV101",
                f"y has {columns} columns of labels, before it had {len(self.classes_)}",
                fix="the same columns in the same order",
            )

    def _same_classes(self, y: Array, incremental: bool) -> None:
        found = np.unique(y)
        if incremental:
            if len(np.setdiff1d(found, self.classes_, assume_unique=True)):
                raise ShapeError(
                    "RV101",
                    "`y` has classes not in `self.classes_`",
                    details=f"classes_ is {self.classes_}, y has {found}",
                    fix="name all classes in the first call to partial_fit",
                )
        elif not np.array_equal(found, self.classes_):
            raise ShapeError(
                "RV101",
                "warm_start can only be used where `y` has the same classes as in the "
                "previous call to fit",
                details=f"previously {self.classes_}, now {found}",
                fix="warm_start=False, or partial_fit",
            )

    def _outputs(self, y: Array) -> tuple[int, str]:
        if self._kind == "multiclass":
            return len(self.classes_), "softmax"
        return y.shape[1], "logistic"

    def _weights(
        self, y: Any, sample_weight: Any, x: Array, incremental: bool
    ) -> Array | None:
        weights = super()._weights(y, sample_weight, x, incremental)
        if self.class_weight is None:
            return weights
        if incremental and isinstance(self.class_weight, str):
            raise ShapeError(
                "RV100",
                "class_weight='balanced' is not known to partial_fit: it sees a part "
                "of the labels",
                fix="class_weight=dict(zip(classes, compute_class_weight('balanced', "
                "classes=classes, y=all_labels)))",
            )
        if hasattr(y, "toarray"):
            y = y.toarray()
        each = compute_sample_weight(self.class_weight, y)
        return each if weights is None else each * weights

    def _strata(self, y: Array) -> Array | None:
        # As scikit-learn does, for two classes only.
        return y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else None

    def _score_of(self, scores: Array, y: Array, weights: Array | None) -> float:
        if y.ndim == 1:
            right = scores.argmax(axis=1) == y
        else:
            right = np.all((scores > 0) == (y > 0.5), axis=1)
        return float(np.average(right, weights=weights))

    # --------------------------------------------------------------------- predicting

    def predict(self, X: Any) -> Array:
        """The most likely label of each row; a 0/1 matrix for several labels a row."""
        scores = self._scores(X)
        if self._kind == "multiclass":
            return self.classes_[scores.argmax(axis=1)]
        likely = scores > 0
        if self._kind == "multilabel-indicator":
            return likely.astype(np.int64)
        if len(self.classes_) == 1:
            return np.repeat(self.classes_, len(scores))
        return self.classes_[likely[:, 0].astype(np.intp)]

    def predict_proba(self, X: Any) -> Array:
        """Probabilities ``(n, classes)``, classes in the order of `classes_`."""
        return self._probabilities(self._scores(X))

    def predict_log_proba(self, X: Any) -> Array:
        """Logarithms of the probabilities; minus infinity where one rounds to 0."""
        found = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            return np.log(found, out=found)

    def _probabilities(self, scores: Array) -> Array:
        if self._kind == "multiclass":
            scores -= scores.max(axis=1, keepdims=True)
            np.exp(scores, out=scores)
            return scores / scores.sum(axis=1, keepdims=True)
        likely = expit(scores)
        if self._kind == "multilabel-indicator":
            return likely
        return np.hstack([1 - likely, likely])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
