"""Models: `Model` to subclass, `Sequential`, saving and loading."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ranvier._missing import missing
from ranvier.models.cloning import clone_model, model_from_json
from ranvier.models.model import Model
from ranvier.models.sequential import Sequential


def load_model(
    filepath: Any,
    custom_objects: Any = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:
    """Reads a model from a ``.keras`` file; runs no code from it.

    Args:
        filepath: the file.
        custom_objects: the caller's own classes and functions by name.
        compile: also restore optimizer, loss and metrics.
        safe_mode: kept for Keras; loading is always safe.

    Raises:
        FileError: RV601 … for what is missing, damaged or not allowed.
    """
    from ranvier.models.saving import load_model as load

    return load(
        filepath, custom_objects=custom_objects, compile=compile, safe_mode=safe_mode
    )


def save_model(
    model: Any, filepath: Any, overwrite: bool = True, zipped: Any = None, **kwargs: Any
) -> None:
    """Writes a model to a ``.keras`` file; the same as ``model.save(filepath)``."""
    model.save(filepath, overwrite=overwrite, zipped=zipped, **kwargs)


__all__ = [
    "Model",
    "Sequential",
    "clone_model",
    "load_model",
    "model_from_json",
    "save_model",
]

if not TYPE_CHECKING:  # a checker knows the names anyway
    __getattr__ = missing("ranvier.models", lambda: __all__)
