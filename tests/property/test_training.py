"""Random networks trained by both engines: the same losses, metrics and weights."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import ranvier as keras
from ranvier.engines.native import engine as native

ACTIVATIONS = [
    *("relu", "tanh", "sigmoid", "softplus", "elu", "selu", "gelu", "silu", "mish"),
    *("leaky_relu", "relu6", "hard_sigmoid", "softsign", "linear", "softmax"),
    *("log_softmax", "celu", "squareplus", "tanh_shrink", "exponential"),
]
OPTIMIZERS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"learning_rate": 0.05}),
    ("SGD", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True}),
    ("Adam", {}),
    ("Adam", {"amsgrad": True, "clipnorm": 0.5}),
    ("AdamW", {"weight_decay": 0.05}),
    ("Nadam", {}),
    ("RMSprop", {"momentum": 0.5, "centered": True}),
    ("Adagrad", {"learning_rate": 0.05}),
    ("Adamax", {}),
    ("Adadelta", {"learning_rate": 1.0}),
    ("Ftrl", {"learning_rate": 0.05}),
    ("Lamb", {}),
    ("Adam", {"global_clipnorm": 0.3, "use_ema": True, "ema_momentum": 0.9}),
    ("Adam", {"gradient_accumulation_steps": 3}),
    ("SGD", {"learning_rate": 0.05, "clipvalue": 0.02, "weight_decay": 0.01}),
]
LOSSES = [
    *("mse", "mae", "huber", "log_cosh", "poisson", "mape", "cosine_similarity"),
    *("binary_crossentropy", "categorical_crossentropy", "hinge", "kl_divergence"),
    "sparse_categorical_crossentropy",
]
#: Losses whose predictions are probabilities, and the last activation that makes them.
LAST = {
    "poisson": "softplus",
    "binary_crossentropy": "sigmoid",
    "kl_divergence": "softmax",
    "categorical_crossentropy": "softmax",
    "sparse_categorical_crossentropy": "softmax",
}


class Recipe:
    """A random network, task and way to train it."""

    def __init__(self, draw: Any) -> None:
        self.widths = draw(
            st.lists(st.sampled_from([1, 3, 8, 17, 66, 130]), max_size=3)
        )
        self.activations = [draw(st.sampled_from(ACTIVATIONS)) for _ in self.widths]
        self.extras = [draw(st.sampled_from(["", "", "bn", "ln", "dropout", "prelu"]))
                       for _ in self.widths]  # fmt: skip
        self.regularized = draw(st.booleans())
        self.constrained = draw(st.booleans())
        self.optimizer = draw(st.sampled_from(OPTIMIZERS))
        self.loss = draw(st.sampled_from(LOSSES))
        self.outputs = draw(st.sampled_from([2, 5, 70]))
        self.features = draw(st.sampled_from([1, 4, 9]))
        self.batch = draw(st.sampled_from([1, 5, 16, 64]))
        self.weighted = draw(st.booleans())

    def __repr__(self) -> str:
        return f"Recipe({', '.join(f'{k}={v!r}' for k, v in vars(self).items())})"

    def model(self) -> keras.Sequential:
        """The network, always with the same weights."""
        keras.utils.set_random_seed(5)
        layers = keras.layers
        stack: list[Any] = [keras.Input((self.features,))]
        for width, activation, extra in zip(
            self.widths, self.activations, self.extras, strict=True
        ):
            stack.append(
                layers.Dense(
                    width,
                    activation=activation,
                    kernel_regularizer="l2" if self.regularized else None,
                    kernel_constraint="max_norm" if self.constrained else None,
                )
            )
            made = {
                "bn": layers.BatchNormalization,
                "ln": layers.LayerNormalization,
                "dropout": lambda: layers.Dropout(0.3),
                "prelu": layers.PReLU,
            }
            if extra:
                stack.append(made[extra]())
        stack.append(layers.Dense(self.outputs, activation=LAST.get(self.loss)))
        model = keras.Sequential(stack)
        name, arguments = self.optimizer
        model.compile(getattr(keras.optimizers, name)(**arguments), self.loss)
        return model

    def data(self, rows: int = 37) -> dict[str, Any]:
        """Rows for it."""
        rng = np.random.default_rng(1)
        x = rng.normal(size=(rows, self.features)).astype("float32")
        kind = rng.integers(0, self.outputs, rows)
        y: Any = rng.uniform(0.1, 1, (rows, self.outputs)).astype("float32")
        if self.loss == "sparse_categorical_crossentropy":
            y = kind
        elif self.loss in ("categorical_crossentropy", "hinge"):
            y = np.eye(self.outputs, dtype="float32")[kind]
        data = {"x": x, "y": y}
        if self.weighted:
            data["sample_weight"] = rng.uniform(0.5, 2, rows).astype("float32")
        return data

    def train(self, engine: str) -> tuple[list[float], list[Any], Any]:
        """Losses of two epochs, the weights, and predictions."""
        model, data = self.model(), self.data()
        with warnings.catch_warnings():
            # Warnings about a step as such (softmax inside, no gradient) are not the point.
            warnings.simplefilter("ignore", keras.errors.RanvierWarning)
            history = model.fit(
                **data, batch_size=self.batch, epochs=2, verbose=0, engine=engine
            )
        predictions = model.predict(data["x"], verbose=0, batch_size=11)
        return history.history["loss"], model.get_weights(), predictions


@st.composite
def recipes(draw: Any) -> Recipe:
    return Recipe(draw)


def assert_near(got: Any, want: Any, what: str) -> None:
    got, want = np.asarray(got, "float64"), np.asarray(want, "float64")
    scale = max(1.0, float(np.abs(want).max(initial=0)))
    np.testing.assert_allclose(got, want, rtol=0.01, atol=3e-3 * scale, err_msg=what)


@given(recipes())
def test_both_engines_train_alike(recipe: Recipe) -> None:
    want, weights, predictions = recipe.train("reference")
    # A training that blows up doubles every rounding in every step.
    assume(np.isfinite(want).all() and max(np.abs(w).max() for w in weights) < 100)
    got, native_weights, native_predictions = recipe.train("native")
    assert_near(got, want, "losses")
    for i, (a, b) in enumerate(zip(native_weights, weights, strict=True)):
        assert_near(a, b, f"weight {i}")
    assert_near(native_predictions, predictions, "predictions")


@given(recipes())
def test_training_has_the_same_bits_on_any_number_of_workers(recipe: Recipe) -> None:
    first: Any = None
    for count in (1, 2, 3, 8):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(native, "config_threads", lambda count=count: count)
            patch.setattr(native, "judge", lambda *_: native.Verdict.SEVERAL)
            losses, weights, predictions = recipe.train("native")
        bits = [np.float64(losses).tobytes(), predictions.tobytes()]
        bits += [w.tobytes() for w in weights]
        first = first or bits
        assert bits == first, f"{count} workers"
