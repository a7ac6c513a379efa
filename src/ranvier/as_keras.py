"""Makes ``import keras`` mean ranvier in this process.

    import ranvier.as_keras          # first line of the program
    import keras                     # is ranvier
    from keras import layers         # is ranvier.layers
    import tensorflow as tf          # tf.keras is ranvier; nothing else is there

Nothing on disk changes; the alias lasts as long as the process. ``ranvier run SCRIPT``
does the same from outside, without touching the script.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import Any

from ranvier._missing import MissingPart
from ranvier.errors import EnvironmentFault, nearest

__all__ = ["MissingModule", "MissingPart", "install"]

_PREFIXES = ("tensorflow.keras", "keras")


class MissingModule(EnvironmentFault, ImportError):
    """RV806, also an ImportError: a module of Keras or TensorFlow that is not here."""


def _ours(name: str) -> str | None:
    """The ranvier module a Keras module name stands for, or None."""
    for prefix in _PREFIXES:
        if name == prefix or name.startswith(prefix + "."):
            return "ranvier" + name[len(prefix) :]
    return None


class _Tensorflow(types.ModuleType):
    """A module with one attribute of use: ``keras``."""

    __path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name == "keras":
            return importlib.import_module("tensorflow.keras")
        if name == "__version__":
            return importlib.import_module("ranvier").__version__
        if name.startswith("__"):
            raise AttributeError(name)
        raise MissingPart(
            "RV806",
            f"tf.{name} is TensorFlow's own; ranvier stands in for tf.keras only",
            fix="use tf.keras.ops or NumPy, or run the program with TensorFlow",
        )


class _Alias(Loader):
    """Gives an existing ranvier module under another name."""

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        name = _ours(spec.name)
        if name is None:
            return _Tensorflow("tensorflow", "Stands in for tf.keras.")
        module = importlib.import_module(name)
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        # The import system has just put the alias's spec on the module; give it back
        # its own, so that reloading and pickling still see `ranvier.…`.
        spec = module.__spec__
        if spec is not None and spec.loader_state is not None:
            module.__spec__ = spec.loader_state


class _Finder(MetaPathFinder):
    """Answers for keras, keras.*, tensorflow and tensorflow.keras.*."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: types.ModuleType | None = None,
    ) -> ModuleSpec | None:
        if fullname == "tensorflow":
            return ModuleSpec(fullname, _Alias(), is_package=True)
        ours = _ours(fullname)
        if ours is None:
            if fullname.startswith("tensorflow."):
                raise MissingModule(
                    "RV806",
                    f"{fullname} is TensorFlow's own; ranvier stands in for "
                    "tensorflow.keras only",
                    fix="run the program with TensorFlow",
                )
            return None
        try:
            found = importlib.util.find_spec(ours)
        except ModuleNotFoundError:
            found = None
        if found is None and ours not in sys.modules:
            import ranvier

            parts = [n for n in dir(ranvier) if not n.startswith("_")]
            close = nearest(ours.rpartition(".")[2], parts)
            raise MissingModule(
                "RV806",
                f"ranvier has no {fullname}",
                details=f"nearest: keras.{close[1:-1]}" if close else "",
                fix="import only Keras's public modules (not keras.src)",
            )
        return ModuleSpec(fullname, _Alias(), is_package=True)


_finder = _Finder()


def install() -> None:
    """Puts the alias in place; done by importing this module. Safe to repeat.

    Raises:
        EnvironmentFault: RV806 when the real Keras is already imported.
    """
    for name in ("keras", "tensorflow"):
        module = sys.modules.get(name)
        if module is None or isinstance(module, _Tensorflow):
            continue
        if getattr(module, "__name__", "") != "ranvier":
            raise EnvironmentFault(
                "RV806",
                f"{name} was imported before ranvier.as_keras",
                details=f"from {getattr(module, '__file__', 'an unknown place')}",
                fix="make `import ranvier.as_keras` the first line of the program",
            )
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


install()
