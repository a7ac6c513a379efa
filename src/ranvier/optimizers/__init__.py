"""Optimizers: how gradients change weights.

One file per optimizer; each is a list of slots and a pure `update` (see
`ranvier.optimizers.base`). `schedules` holds learning rates that depend on the step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ranvier._lookup import Lookup
from ranvier._missing import missing
from ranvier.errors import ShapeError
from ranvier.optimizers import schedules
from ranvier.optimizers.adadelta import Adadelta
from ranvier.optimizers.adafactor import Adafactor
from ranvier.optimizers.adagrad import Adagrad
from ranvier.optimizers.adam import Adam
from ranvier.optimizers.adamax import Adamax
from ranvier.optimizers.adamw import AdamW
from ranvier.optimizers.base import Optimizer
from ranvier.optimizers.ftrl import Ftrl
from ranvier.optimizers.lamb import Lamb
from ranvier.optimizers.lion import Lion
from ranvier.optimizers.loss_scale import LossScaleOptimizer
from ranvier.optimizers.muon import Muon
from ranvier.optimizers.nadam import Nadam
from ranvier.optimizers.rmsprop import RMSprop
from ranvier.optimizers.schedule_free_adamw import ScheduleFreeAdamW
from ranvier.optimizers.sgd import SGD

__all__ = [
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lamb",
    "Lion",
    "LossScaleOptimizer",
    "Muon",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "ScheduleFreeAdamW",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]

_CLASSES = (
    SGD,
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    AdamW,
    Adamax,
    Ftrl,
    Lamb,
    Lion,
    LossScaleOptimizer,
    Muon,
    Nadam,
    RMSprop,
    ScheduleFreeAdamW,
)
_NAMES = Lookup(
    "optimizer",
    "keras.optimizers",
    _CLASSES,
    {cls.__name__.lower(): cls for cls in _CLASSES},
)


def serialize(optimizer: Optimizer) -> Any:
    """Returns the dictionary that describes an optimizer in Keras's files."""
    return _NAMES.serialize(optimizer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """Builds the optimizer that `serialize` described; class names in any case."""
    if isinstance(config, dict) and "class_name" in config:
        config = config | {"class_name": _known(config["class_name"])}
    elif isinstance(config, str):
        config = _known(config)
    found = _NAMES.deserialize(config, custom_objects)
    return found() if isinstance(found, type) else found


def _known(name: str) -> str:
    """Keras's optimizers are known by their names in any case."""
    return name.lower() if name.lower() in _NAMES.names else name


def get(identifier: Any) -> Optimizer | None:
    """Resolves a name ("adam"), a description, a class, or an optimizer.

    Raises:
        ShapeError: RV107, with the nearest known name.
    """
    if isinstance(identifier, (str, dict)):
        identifier = deserialize(identifier)
    elif isinstance(identifier, type) and issubclass(identifier, Optimizer):
        # A subclass has a default learning rate of its own.
        identifier = identifier()  # type: ignore[call-arg]
    if identifier is None or isinstance(identifier, Optimizer):
        return identifier
    raise ShapeError(
        "RV107",
        f"this is no optimizer: {identifier!r}",
        fix="a name such as 'adam', or an Optimizer object",
    )


if not TYPE_CHECKING:  # a checker knows the names anyway
    __getattr__ = missing("ranvier.optimizers", lambda: __all__)
