"""Loss functions and their classes, with Keras's names, arguments and numbers.

A function takes `(y_true, y_pred)` and gives one loss per sample; a class adds the
reduction over the batch, sample weights and masks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ranvier._lookup import Lookup
from ranvier._missing import missing
from ranvier.losses.base import Loss, LossFunctionWrapper
from ranvier.losses.binary import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    binary_crossentropy,
    binary_focal_crossentropy,
)
from ranvier.losses.categorical import (
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
    SparseCategoricalCrossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_generalized_cross_entropy,
    sparse_categorical_crossentropy,
)
from ranvier.losses.ctc import CTC, ctc
from ranvier.losses.margin import (
    CategoricalHinge,
    Hinge,
    SquaredHinge,
    categorical_hinge,
    hinge,
    squared_hinge,
)
from ranvier.losses.probabilistic import KLDivergence, Poisson, kl_divergence, poisson
from ranvier.losses.regression import (
    CosineSimilarity,
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    cosine_similarity,
    huber,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
)
from ranvier.losses.similarity import Circle, Dice, Tversky, circle, dice, tversky

__all__ = [
    "CTC",
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "CategoricalHinge",
    "Circle",
    "CosineSimilarity",
    "Dice",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "LossFunctionWrapper",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "Tversky",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "categorical_hinge",
    "circle",
    "cosine_similarity",
    "ctc",
    "deserialize",
    "dice",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "resolve",
    "serialize",
    "sparse_categorical_crossentropy",
    "squared_hinge",
    "tversky",
]

_HELPERS = ("deserialize", "get", "resolve", "serialize")

_LOOKUP = Lookup(
    "loss",
    "keras.losses",
    [globals()[name] for name in __all__ if name not in _HELPERS],
    {
        "bce": binary_crossentropy,
        "BCE": binary_crossentropy,
        "cosine": cosine_similarity,
        "huber_loss": huber,
        "kld": kl_divergence,
        "KLD": kl_divergence,
        "kullback_leibler_divergence": kl_divergence,
        "logcosh": log_cosh,
        "mae": mean_absolute_error,
        "MAE": mean_absolute_error,
        "mape": mean_absolute_percentage_error,
        "MAPE": mean_absolute_percentage_error,
        "mse": mean_squared_error,
        "MSE": mean_squared_error,
        "msle": mean_squared_logarithmic_error,
        "MSLE": mean_squared_logarithmic_error,
    },
)


def get(identifier: Any) -> Any:
    """Finds a loss by name, configuration, class or itself; `None` stays `None`.

    A function's name gives the function, a class's name an instance.

    Raises:
        ShapeError: RV107 for an unknown name, naming the nearest.

    Example:
        >>> get("mse") is mean_squared_error
        True
    """
    return _LOOKUP.get(identifier)


def serialize(loss: Loss | Callable[..., Any]) -> dict[str, Any]:
    """The loss in Keras's form: `{"module", "class_name", "config", …}`.

    Example:
        >>> serialize(MeanSquaredError())["class_name"]
        'MeanSquaredError'
    """
    return _LOOKUP.serialize(loss)


def deserialize(name: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The loss that `serialize`, here or in Keras, described.

    Raises:
        ShapeError: RV107 for an unknown name, naming the nearest.

    Example:
        >>> deserialize(serialize(Huber(delta=2.0))).delta
        2.0
    """
    return _LOOKUP.deserialize(name, custom_objects)


def resolve(
    identifier: Any,
    y_true_shape: tuple[Any, ...],
    y_pred_shape: tuple[Any, ...],
) -> Loss | None:
    """The loss object that `compile(loss=identifier)` means for these shapes.

    `"crossentropy"` and `"ce"` become the binary, sparse or categorical cross-entropy
    by Keras's rule: one output unit is binary; targets of a lower rank, or with a last
    axis of one, are sparse; else categorical. Functions are wrapped in a `Loss`.

    Raises:
        ShapeError: RV107 for an unknown name, naming the nearest.

    Example:
        >>> resolve("crossentropy", (32,), (32, 10)).name
        'crossentropy'
    """
    from ranvier._lookup import object_name
    from ranvier.losses.alignment import target_kind

    if str(identifier).lower() in ("crossentropy", "ce"):
        loss: Any = {
            "binary": binary_crossentropy,
            "sparse": sparse_categorical_crossentropy,
            "categorical": categorical_crossentropy,
        }[target_kind(y_true_shape, y_pred_shape)]
    else:
        loss = get(identifier)
    if loss is None or isinstance(loss, Loss):
        return loss
    name = identifier if isinstance(identifier, str) else object_name(loss)
    return LossFunctionWrapper(loss, name=name)


if not TYPE_CHECKING:  # a checker knows the names anyway
    __getattr__ = missing("ranvier.losses", lambda: __all__)
