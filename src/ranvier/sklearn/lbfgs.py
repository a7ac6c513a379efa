"""The solver ``"lbfgs"``: SciPy takes the steps, the network gives loss and gradients.

All rows are one batch. The network computes in float32, and so the last digits of the
loss are noise: SciPy's search ends where that noise begins.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning

from ranvier.sklearn.network import Network

__all__ = ["descend"]

Array = np.ndarray[Any, Any]

#: SciPy's message where no step along its direction gives less: with float32 that is
#: how a search ends that has come as far as it can.
_NO_LESS = "ABNORMAL"


def descend(
    owner: Any,
    network: Network,
    weights: Sequence[Array],
    x: Array,
    y: Array,
    sample_weight: Array | None,
) -> list[Array]:
    """The weights at the minimum; sets `n_iter_` and `loss_` of the estimator.

    Args:
        owner: the estimator.
        network: of the solver ``("lbfgs",)``.
        weights: where to begin, in the order of the network's variables.
        x: rows.
        y: targets.
        sample_weight: weight of each row.
    """
    shapes = [w.shape for w in weights]
    cuts = np.cumsum([w.size for w in weights])[:-1]
    # Once, and not for every look at the loss.
    x = np.ascontiguousarray(x, np.float32)

    def unpack(vector: Array) -> list[Array]:
        parts = np.split(vector.astype(np.float32), cuts)
        return [part.reshape(s) for part, s in zip(parts, shapes, strict=True)]

    def look(vector: Array) -> tuple[float, Array]:
        loss, found = network.slope(unpack(vector), x, y, sample_weight)
        return loss, np.concatenate([g.ravel() for g in found]).astype(np.float64)

    start = np.concatenate([w.ravel() for w in weights]).astype(np.float64)
    limits = {
        "maxfun": int(owner.max_fun), "maxiter": int(owner.max_iter), "gtol": owner.tol,
    }  # fmt: skip
    done = minimize(look, start, method="L-BFGS-B", jac=True, options=limits)
    owner.n_iter_ = min(int(done.nit), int(owner.max_iter))
    owner.loss_ = float(done.fun)
    if owner.verbose:
        print(f"Iteration {owner.n_iter_}, loss = {owner.loss_:.8f}: {done.message}")
    if not done.success and _NO_LESS not in str(done.message):
        warnings.warn(
            f"lbfgs stopped after {owner.n_iter_} iterations: {done.message}; raise "
            "max_iter or max_fun, or scale the data",
            ConvergenceWarning,
            stacklevel=6,
        )
    return unpack(done.x)
