"""Saving and loading models in Keras's v3 format, and weights alone.

Real Keras opens these files, and its files open here. A file is written under another
name and renamed when it is whole; reading one runs no code and imports nothing by name.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from typing import Any

from ranvier.errors import FileError, Finding, ShapeError, warn
from ranvier.layers.base import Layer
from ranvier.models import archive
from ranvier.models.assets import assets_of, take_assets
from ranvier.models.legacy_weights import is_legacy, read_legacy
from ranvier.models.registry import serialize_layer
from ranvier.models.restore import Restorer, restoring
from ranvier.models.weights_file import apply_tree, read_tree, write_tree
from ranvier.utils.files import atomic_write

__all__ = ["load_model", "load_weights", "save_model", "save_weights"]

Path = str | os.PathLike[str]


def save_model(model: Any, filepath: Path, overwrite: bool = True) -> None:
    """Writes architecture, weights, and how far training is, to a ``.keras`` file.

    Args:
        model: a model.
        filepath: its name, ending in ``.keras``.
        overwrite: whether an existing file may be replaced.

    Raises:
        FileError: RV603 when the file cannot be written, exists and `overwrite` is not
            set, or the model holds what no file can (a lambda).

    Example:
        >>> import pathlib, tempfile
        >>> import ranvier as keras
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> path = pathlib.Path(tempfile.mkdtemp(), "m.keras")
        >>> save_model(model, path)
        >>> load_model(path).count_params()
        3
    """
    _check_name(filepath, (".keras",), "model.save")
    archive.refuse_existing(filepath, overwrite)
    if not model.built:
        warn(
            Finding(
                "RV106",
                "the model is saved without weights: it has none before it knows its "
                "input shape",
                fix="start the model with keras.Input(shape=...)",
            )
        )
    config = json.dumps(serialize_layer(model))
    archive.write_archive(filepath, config, write_tree(model), assets_of(model))


def load_model(
    filepath: Path,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:
    """The model that `save_model`, here or in Keras, wrote.

    Args:
        filepath: a ``.keras`` file.
        custom_objects: layers, losses, … of one's own that the file names, by name.
        compile: whether it is compiled as it was, with the optimizer's state.
        safe_mode: kept for Keras's signature: code in a file is never run.

    Raises:
        FileError: RV605 when there is no such file; RV601 when it is damaged, carries
            code, or names what is not known.
    """
    with archive.opened(filepath) as file:
        members = archive.read_archive(file, filepath)
    described = archive.parse_json(members[archive.CONFIG], filepath)
    weights = members[archive.WEIGHTS]
    restorer = Restorer(custom_objects, archive.allowance(len(weights)), compile)
    with archive.damaged(filepath, "its configuration cannot be used"):
        model = _restored(restorer, described, filepath)
    found = read_tree(
        model,
        io.BytesIO(weights),
        filepath,
        optimizer="required" if compile else "ignored",
    )
    apply_tree(found, filepath)
    take_assets(model, members, filepath)
    return model


def _restored(restorer: Restorer, described: Any, filepath: Path) -> Any:
    from ranvier.models.model import Model

    if not isinstance(described, Mapping) or "class_name" not in described:
        raise archive.fault_of(filepath, f"{archive.CONFIG} describes no model")
    try:
        with restoring(restorer):
            model = restorer.value(described, "model")
    except FileError as fault:
        if fault.message.startswith(os.fspath(filepath)):
            raise
        raise archive.fault_of(filepath, fault.details, fault.fix) from fault
    finally:
        restorer.release()
    if not isinstance(model, Model):
        raise archive.fault_of(
            filepath, f"it describes {type(model).__name__}, which is no model"
        )
    return model


def save_weights(model: Any, filepath: Path, overwrite: bool = True) -> None:
    """Writes the weights, and the optimizer's state, to a ``.weights.h5`` file.

    Raises:
        FileError: RV603 when it cannot be written, or exists and `overwrite` is not set.
        ShapeError: RV106 when the model has no weights yet.
    """
    _check_name(filepath, (".weights.h5",), "model.save_weights")
    archive.refuse_existing(filepath, overwrite)
    _require_built(model, "save_weights")
    data = write_tree(model)
    with atomic_write(filepath) as file:
        file.write(data)


def load_weights(
    model: Any, filepath: Path, skip_mismatch: bool = False, *, by_name: bool = False
) -> None:
    """Reads weights from a ``.weights.h5`` or ``.keras`` file into a built model.

    Files of the form before Keras 3, ``.h5``, are read too: weights alone, or those of a
    whole model. All variables are read and checked before the first is set. Where model
    and file both have an optimizer, its state is read too.

    Args:
        model: a model of the architecture that was saved.
        filepath: the file.
        skip_mismatch: leave layers as they are whose variables have other shapes.
        by_name: of an old ``.h5`` file, read the layers whose names the model has, instead
            of all of them in order.

    Raises:
        FileError: RV605 when there is no such file; RV601 when it is damaged, or the
            variables do not match.
        ShapeError: RV106 when the model has no weights yet; RV100 for `by_name` with a
            file that is not of the old form.
    """
    _require_built(model, "load_weights")
    with archive.opened(filepath) as file:
        magic = file.read(2)
        file.seek(0)
        source: Any = file
        if magic == b"PK":
            members = archive.read_archive(file, filepath)
            source = io.BytesIO(members[archive.WEIGHTS])
        elif is_legacy(file, filepath):
            read = read_legacy(model, file, filepath, skip_mismatch, by_name)
            for variable, array in read:
                variable.assign(array)
            return
        if by_name:
            raise ShapeError(
                "RV100",
                "load_weights: by_name=True is for .h5 files of the form before Keras 3",
                details=f"{os.fspath(filepath)} tells layers by their places, not names",
                fix="load_weights(path, skip_mismatch=True)",
            )
        found = read_tree(
            model, source, filepath, optimizer="if there", skip_mismatch=skip_mismatch
        )
    apply_tree(found, filepath)


def _require_built(model: Layer, what: str) -> None:
    if not model.built:
        raise ShapeError(
            "RV106",
            f"{what}: the model has no weights before it knows its input shape",
            fix="start the model with keras.Input(shape=...), or call build(shape)",
        )


def _check_name(filepath: Path, endings: tuple[str, ...], what: str) -> None:
    name = os.fspath(filepath) if isinstance(filepath, str | os.PathLike) else filepath
    if not isinstance(name, str) or not name.endswith(endings):
        raise FileError(
            "RV603",
            f"{what}: the name must end in {' or '.join(endings)}, got {name!r}",
            fix=f"{os.path.splitext(str(name))[0] or 'model'}{endings[0]}",
        )
