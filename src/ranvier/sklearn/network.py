"""The network behind an estimator: dense layers with scikit-learn's loss.

The loss of a batch is the weighted mean over its rows, plus half `alpha` times the
squares of all kernels over the sum of the weights (the number of rows without them).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ranvier import gradients, layers, losses, ops, optimizers
from ranvier.graph import Variable
from ranvier.models import Sequential

__all__ = ["LINKS", "Architecture", "Network", "State"]

Array = np.ndarray[Any, Any]

#: scikit-learn's names of activations, where they are not Keras's.
ACTIVATIONS = {"identity": None, "logistic": "sigmoid"}


@dataclass(frozen=True)
class Architecture:
    """All that a compiled network depends on; two estimators may share one.

    Attributes:
        sizes: widths from input to output.
        activation: of the hidden layers.
        link: what makes predictions of scores: a key of `LINKS`.
        solver: ``("adam", beta_1, beta_2, epsilon)``, ``("sgd", momentum, nesterov)``,
            or ``("lbfgs",)``: a step then gives gradients and changes no weights.
        threads: workers at most; ``None`` for all.
    """

    sizes: tuple[int, ...]
    activation: str
    link: str
    solver: tuple[Any, ...]
    threads: int | None = None

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        return sum(b * (a + 1) for a, b in pairwise(self.sizes))


@dataclass
class State:
    """What training changes, as plain arrays.

    Attributes:
        coefs: kernels, first layer first.
        intercepts: biases.
        slots: variables of the optimizer, in its order; ``None`` before the first step.
    """

    coefs: list[Array]
    intercepts: list[Array]
    slots: list[Array] | None = None


# ---------------------------------------------------------------- losses of each row


def _softmax(y: Any, scores: Any) -> Any:
    return losses.sparse_categorical_crossentropy(y, scores, from_logits=True)


def _logistic(y: Any, scores: Any) -> Any:
    return ops.sum(ops.softplus(scores) - ops.cast(y, scores.dtype) * scores, axis=-1)


def _squared(y: Any, scores: Any) -> Any:
    error = scores - ops.cast(y, scores.dtype)
    return 0.5 * ops.sum(ops.square(error), axis=-1)


def _poisson(y: Any, scores: Any) -> Any:
    y = ops.cast(y, scores.dtype)
    # y log y is 0 at 0, and so is its derivative here: y is data.
    own = y * ops.log(ops.where(y > 0, y, ops.ones_like(y)))
    return ops.sum(ops.exp(scores) - y * scores + own - y, axis=-1)


#: Name of the output activation to the loss of a row, from scores.
LINKS = {
    "softmax": _softmax,
    "logistic": _logistic,
    "identity": _squared,
    "exp": _poisson,
}


class Network(Sequential):
    """Dense layers that give scores, compiled once for an architecture.

    Args:
        shape: the architecture.
    """

    def __init__(self, shape: Architecture) -> None:
        hidden = ACTIVATIONS.get(shape.activation, shape.activation)
        # Weights are written before each use: nothing is drawn for them here.
        stack: list[Any] = [layers.Input((shape.sizes[0],), name="x")]
        for size in shape.sizes[1:-1]:
            stack.append(layers.Dense(size, hidden, kernel_initializer="zeros"))
        stack.append(layers.Dense(shape.sizes[-1], kernel_initializer="zeros"))
        super().__init__(stack)
        self.dense: list[Any] = self.layers
        self.shape_of_it = shape
        self.alpha = Variable(0.0, trainable=False, dtype="float32", name="alpha")
        #: Where a step of ``"lbfgs"`` leaves the gradients.
        self.slopes: list[Variable] = []
        if shape.solver[0] == "lbfgs":
            for weight in self.trainable_variables:
                zeros = np.zeros_like(weight.numpy())
                self.slopes.append(Variable(zeros, trainable=False, name="slope"))
        self.compile(self._make_optimizer())
        self.optimizer.build(self.trainable_variables)

    def _make_optimizer(self) -> Any:
        kind, *rest = self.shape_of_it.solver
        if kind == "lbfgs":
            return optimizers.SGD()  # never asked
        if kind == "sgd":
            momentum, nesterov = rest
            return optimizers.SGD(momentum=momentum, nesterov=nesterov)
        beta_1, beta_2, epsilon = rest
        return optimizers.Adam(beta_1=beta_1, beta_2=beta_2, epsilon=epsilon)

    @property
    def metrics(self) -> list[Any]:
        """The mean loss of an epoch; nothing where a step is asked for its own."""
        return [] if self.slopes else super().metrics

    def train_step(self, data: Any) -> Any:
        """A step of the optimizer; the gradients alone where SciPy takes the steps."""
        if not self.slopes:
            return super().train_step(data)
        x, y, sample_weight = (*data, None)[:3]
        loss = self.compute_loss(x, y, self(x, training=True), sample_weight)
        found = gradients(loss, self.trainable_variables)
        for slope, gradient in zip(self.slopes, found, strict=True):
            slope.assign(gradient)
        return {"loss": loss}

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """scikit-learn's loss of a batch (see the module)."""
        each = LINKS[self.shape_of_it.link](y, y_pred)
        if sample_weight is None:
            share = 1.0 / ops.cast(ops.shape(x)[0], "float32")
        else:
            each = each * sample_weight
            total = ops.sum(sample_weight)
            # A batch of weights 0 says nothing: it changes nothing by itself.
            some = total > 0
            share = ops.where(some, 1.0, 0.0) / ops.where(some, total, 1.0)
        data = ops.sum(each) * share
        penalty = self._penalty() * (self.alpha * share)
        penalty = penalty - ops.stop_gradient(0.5 * penalty)
        loss = data + penalty
        outputs = self.shape_of_it.sizes[-1]
        if self.shape_of_it.link == "identity" and outputs > 1:
            # As there: outputs are summed in the gradient, averaged in what is told.
            told = data / float(outputs) + penalty
            loss = loss - ops.stop_gradient(loss - told)
        return loss

    def _penalty(self) -> Any:
        """The sum of all kernels' squares, whose gradient is the kernel, not twice it.

        Half of it is taken off where it does not count for the gradient: so an update
        costs one multiplication. Summed by columns, as wide kernels lie in memory.
        """
        found = None
        for layer in self.dense:
            kernel = layer.kernel.value
            columns = ops.sum(kernel * ops.stop_gradient(kernel), axis=0)
            total = ops.sum(columns)
            found = total if found is None else found + total
        return found

    # ------------------------------------------------------------------------- state

    def write(self, state: State, alpha: float, rate: float) -> None:
        """Goes on from a state (from slots of zeros where it has none)."""
        for layer, kernel, bias in zip(
            self.dense, state.coefs, state.intercepts, strict=True
        ):
            layer.kernel.assign(kernel)
            layer.bias.assign(bias)
        variables = self.optimizer.variables
        slots = state.slots or [np.zeros(v.shape, v.dtype) for v in variables]
        for variable, value in zip(variables, slots, strict=True):
            variable.assign(value)
        self.optimizer.learning_rate = np.array(rate, np.float32)
        self.alpha.assign(np.array(alpha, np.float32))

    def weights_now(self) -> tuple[list[Array], list[Array]]:
        """Copies of kernels and biases."""
        return (
            [layer.kernel.numpy() for layer in self.dense],
            [layer.bias.numpy() for layer in self.dense],
        )

    def slots_now(self) -> list[Array]:
        """Copies of the optimizer's variables."""
        return [variable.numpy() for variable in self.optimizer.variables]

    def train(
        self,
        x: Array,
        y: Array,
        sample_weight: Array | None,
        batch_size: int,
        epochs: int,
        seed: int | None,
        callbacks: Sequence[Any],
    ) -> None:
        """Trains on; a seed decides the order of rows in every epoch, none keeps it."""
        # The order is a function of these two.
        self.__dict__.update(_shuffle_seed=seed or 0, _epochs_done=0)
        self.fit(
            x,
            y,
            batch_size=batch_size,
            epochs=epochs,
            verbose=0,
            shuffle=seed is not None,
            sample_weight=sample_weight,
            callbacks=callbacks,
        )
        self.history = None

    def slope(
        self, weights: Sequence[Array], x: Array, y: Array, sample_weight: Array | None
    ) -> tuple[float, list[Array]]:
        """The loss of all rows, and its gradients in the order of the weights."""
        variables = [v for layer in self.dense for v in (layer.kernel, layer.bias)]
        for variable, value in zip(variables, weights, strict=True):
            variable.assign(value)
        logs = self.train_on_batch(x, y, sample_weight, return_dict=True)
        return float(logs["loss"]), [slope.numpy() for slope in self.slopes]

    def scores(self, state: State | None, x: Array) -> Array:
        """What the last layer gives, for a state or as the network stands."""
        if state is not None:
            for layer, kernel, bias in zip(
                self.dense, state.coefs, state.intercepts, strict=True
            ):
                layer.kernel.assign(kernel)
                layer.bias.assign(bias)
        found: Array = self.predict(x, batch_size=256, verbose=0)
        return found
