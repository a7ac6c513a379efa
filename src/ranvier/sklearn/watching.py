"""What happens after every epoch of an estimator's training: scikit-learn's rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ranvier.callbacks import Callback

__all__ = ["Watcher"]


class Watcher(Callback):
    """Keeps the estimator's attributes, changes the learning rate, stops.

    Training stops when the loss (or, with a `score`, the validation score) has not
    improved by `tol` for more than `n_iter_no_change` epochs; with SGD's adaptive rate
    the rate is divided by 5 instead, until it is below 1e-6.

    Args:
        owner: the estimator.
        rows: rows of an epoch.
        score: gives the validation score of the network as it stands.
    """

    def __init__(
        self, owner: Any, rows: int, score: Callable[[], float] | None = None
    ) -> None:
        super().__init__()
        self.owner, self.rows, self.score = owner, rows, score
        self.best: Any = None
        self.converged = False
        self.rate = float(owner._rate)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Takes in the loss of an epoch."""
        owner = self.owner
        assert logs is not None
        owner.n_iter_ += 1
        owner.loss_ = logs["loss"]
        owner.t_ += self.rows
        owner.loss_curve_.append(owner.loss_)
        if owner.verbose:
            print(f"Iteration {owner.n_iter_}, loss = {owner.loss_:.8f}")
        self._improved()
        if owner.solver == "sgd" and owner.learning_rate == "invscaling":
            self._set_rate(owner.learning_rate_init / (owner.t_ + 1) ** owner.power_t)
        if owner._no_improvement_count > owner.n_iter_no_change:
            self._stuck()

    def _improved(self) -> None:
        owner = self.owner
        if self.score is None:
            if owner.loss_ > owner.best_loss_ - owner.tol:
                owner._no_improvement_count += 1
            else:
                owner._no_improvement_count = 0
            owner.best_loss_ = min(owner.loss_, owner.best_loss_)
            return
        found = self.score()
        owner.validation_scores_.append(found)
        if owner.verbose:
            print(f"Validation score: {found:f}")
        if found < owner.best_validation_score_ + owner.tol:
            owner._no_improvement_count += 1
        else:
            owner._no_improvement_count = 0
        if found > owner.best_validation_score_:
            owner.best_validation_score_ = found
            self.best = self.model.weights_now()

    def _stuck(self) -> None:
        owner = self.owner
        what = "Training loss" if self.score is None else "Validation score"
        message = (
            f"{what} did not improve more than tol={owner.tol:f} for "
            f"{owner.n_iter_no_change} consecutive epochs."
        )
        if owner.solver != "sgd" or owner.learning_rate != "adaptive":
            self._stop(f"{message} Stopping.")
        elif self.rate <= 1e-6:
            self._stop(f"{message} Learning rate too small. Stopping.")
        else:
            self._set_rate(self.rate / 5.0)
            owner._no_improvement_count = 0
            if owner.verbose:
                print(f"{message} Setting learning rate to {self.rate:f}")

    def _stop(self, message: str) -> None:
        if self.owner.verbose:
            print(message)
        self.converged = True
        self.model.stop_training = True

    def _set_rate(self, rate: float) -> None:
        self.rate = self.owner._rate = float(rate)
        self.model.optimizer.learning_rate = np.float32(rate)
