"""ranvier: deep learning that speaks Keras and trains on its own CPU engine.

Names are Keras's: ``import ranvier as keras`` is enough for most programs. Everything is
loaded when first used, so that importing the package takes next to no time.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_MODULES = frozenset(
    {
        "activations",
        "applications",
        "backend",
        "callbacks",
        "config",
        "constraints",
        "datasets",
        "dtype_policies",
        "engines",
        "errors",
        "graph",
        "initializers",
        "layers",
        "losses",
        "metrics",
        "models",
        "ops",
        "optimizers",
        "random",
        "regularizers",
        "saving",
        "tree",
        "utils",
    }
)
#: Modules that need an extra: there when asked for, not among the names of all.
_EXTRAS = frozenset({"sklearn"})
#: Public names, and the module that has each.
_NAMES = {
    "Input": "layers",
    "Function": "models.callable",
    "InputSpec": "layers",
    "Layer": "layers",
    "KerasTensor": "layers.base",
    "DTypePolicy": "layers.base",
    "Model": "models",
    "Operation": "_operation_base",
    "name_scope": "_scopes",
    "Sequential": "models",
    "Variable": "graph",
    "Tensor": "graph",
    "Loss": "losses",
    "Metric": "metrics",
    "Optimizer": "optimizers",
    "Initializer": "initializers",
    "Regularizer": "regularizers",
    "RanvierError": "errors",
    "RanvierWarning": "errors",
    "gradients": "graph.passes.grad",
    "value_and_grad": "graph.autodiff",
    "grad": "graph.autodiff",
    "custom_gradient": "graph.autodiff",
    "stop_gradient": "ops",
    "version": "config",
}

__all__ = sorted([*_MODULES, *_NAMES, "__version__"])


def __getattr__(name: str) -> Any:
    if name in _MODULES or name in _EXTRAS:
        return importlib.import_module(f"ranvier.{name}")
    if name in _NAMES:
        module = importlib.import_module(f"ranvier.{_NAMES[name]}")
        value = globals()[name] = getattr(module, name)
        return value
    if name.startswith("_"):
        raise AttributeError(f"module 'ranvier' has no attribute {name!r}")
    from ranvier._missing import missing

    return missing("ranvier", lambda: __all__)(name)


def __dir__() -> list[str]:
    return __all__
