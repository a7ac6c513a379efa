"""Weights in HDF5 as Keras wrote them before version 3, read with suspicion.

The root, or its group ``model_weights``, lists ``layer_names``; the group of a layer lists
``weight_names``, each a path inside it. Layers are told by their order, or by their names.
Of a layer the trained weights come first, then the others. A list too long for one
attribute is cut into ``layer_names0``, ``layer_names1``, ….
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

import numpy as np

from ranvier.errors import FileError, Finding, warn
from ranvier.graph import Variable
from ranvier.models.archive import allowance, damaged
from ranvier.models.weights_file import _h5py, _Reader

__all__ = ["is_legacy", "legacy_dataset", "read_legacy"]

Read = list[tuple[Variable, np.ndarray[Any, Any]]]

_HDF5 = b"\x89HDF"
_ELSEWHERE = "load into the architecture that was saved"
_TOP = (
    f"{_ELSEWHERE}; files with 'notop' in their names are for include_top=False, the "
    "others for include_top=True; by_name=True takes the layers that both have"
)


def is_legacy(file: IO[bytes], path: Any) -> bool:
    """Whether an open file is of this form.

    Raises:
        FileError: RV601 when it begins as HDF5 and is none.
    """
    file.seek(0)
    magic = file.read(len(_HDF5))
    file.seek(0)
    if magic != _HDF5:
        return False
    h5py = _h5py()
    with damaged(path, "the weights are damaged"), h5py.File(file, "r") as root:
        found = _has_list(root, "layer_names") or "model_weights" in root
    file.seek(0)
    return found


def read_legacy(
    model: Any,
    file: IO[bytes],
    path: Any,
    skip_mismatch: bool = False,
    by_name: bool = False,
) -> Read:
    """Reads all weights of a model; sets none.

    Args:
        model: a built model.
        file: the HDF5 file.
        path: its name, for messages.
        skip_mismatch: leave layers out whose weights do not match.
        by_name: tell layers by their names instead of their order.

    Raises:
        FileError: RV601 when the file is damaged or unsafe, or does not match.
    """
    with _Legacy(file, path) as legacy:
        names = legacy.names(legacy.group(""), "layer_names")
        if by_name:
            pairs = _same_names(model, names)
        else:
            pairs = _in_order(legacy, model, names)
        found: Read = []
        for layer, name in pairs:
            try:
                found += legacy.weights(f"layer {layer.name!r}", _weights(layer), name)
            except FileError as fault:
                if not skip_mismatch:
                    raise
                kept = f"layer {layer.name!r} is left as it is"
                warn(Finding("RV601", kept, fault.details))
        own = model._ordered()
        if own and legacy.group(_OWN) is not None:
            found += legacy.weights("the model itself", own, _OWN)
        return found


def legacy_dataset(
    file: IO[bytes], path: Any, layer: str, weight: str
) -> np.ndarray[Any, Any] | None:
    """One weight of the first layer whose name begins so; ``None`` where there is none.

    Raises:
        FileError: RV601 when the file is damaged or unsafe.
    """
    with _Legacy(file, path) as legacy:
        for name in legacy.names(legacy.group(""), "layer_names"):
            if name.startswith(layer):
                group = legacy.group(name)
                for found in legacy.names(group, "weight_names"):
                    if found.rpartition("/")[2].startswith(weight):
                        return legacy.array(name, found, f"{layer}, {weight}", None)
    return None


#: The group of weights that belong to no layer of the model.
_OWN = "top_level_model_weights"


def _weights(layer: Any) -> list[Variable]:
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def _same_names(model: Any, names: list[str]) -> list[tuple[Any, str]]:
    layers = {layer.name: layer for layer in model.layers}
    return [(layers[name], name) for name in names if name in layers]


def _in_order(legacy: _Legacy, model: Any, names: list[str]) -> list[tuple[Any, str]]:
    layers = [layer for layer in model.layers if _weights(layer)]
    names = [n for n in names if legacy.names(legacy.group(n), "weight_names")]
    if len(layers) != len(names):
        apart = [f"{layer.name}" for layer in layers if layer.name not in names]
        apart += [
            f"{n} (in the file)" for n in names if n not in {x.name for x in layers}
        ]
        raise legacy.refuse(
            f"the model has {len(layers)} layers with weights, the file {len(names)}"
            + (f"; only one of them has {', '.join(apart[:6])}" if apart else ""),
            _TOP,
        )
    return list(zip(layers, names, strict=True))


def _has_list(group: Any, name: str) -> bool:
    return name in group.attrs or f"{name}0" in group.attrs


class _Legacy:
    """An open file of this form."""

    def __init__(self, file: IO[bytes], path: Any) -> None:
        self.path = path
        self._guard = damaged(path, "the weights are damaged")
        h5py = _h5py()
        size = file.seek(0, 2)
        file.seek(0)
        with self._guard:
            self._file = h5py.File(file, "r")
        self._reader = _Reader(h5py, self._file, path, allowance(size))

    def __enter__(self) -> _Legacy:
        if not _has_list(self._file, "layer_names"):
            with self._guard:
                # A whole model: its weights are in a group.
                self._reader.root = self._reader.group("model_weights")
        return self

    def __exit__(self, kind: Any, fault: Any, trace: Any) -> None:
        self._file.close()
        self._guard.__exit__(kind, fault, trace)

    def refuse(self, why: str, fix: str = "") -> FileError:
        """The error for something that is not as it must be."""
        return self._reader.refuse(why, fix)

    def group(self, path: str) -> Any:
        """A group, ``None`` when there is none."""
        return self._reader.group(path)

    def names(self, group: Any, what: str) -> list[str]:
        """A list of names among a group's attributes, whole or in parts."""
        if group is None:
            raise self.refuse("a layer that it lists is not there")
        found: list[str] = []
        for key in [what] if what in group.attrs else _parts(group, what):
            value = np.asarray(group.attrs[key])
            if value.size and value.dtype.kind not in "SUO":
                raise self.refuse(
                    f"{key} of {group.name} holds {value.dtype}, not names"
                )
            found += [_text(item) for item in value.reshape(-1).tolist()]
        return found

    def weights(self, what: str, variables: list[Variable], name: str) -> Read:
        """The weights of a layer.

        Args:
            what: how messages call the layer.
            variables: what they are for.
            name: of the layer in the file.

        Raises:
            FileError: RV601 when number or shapes differ.
        """
        names = self.names(self.group(name), "weight_names")
        if len(names) != len(variables):
            raise self.refuse(
                f"{what} has {len(variables)} weights, {name!r} in the file {len(names)}",
                _TOP,
            )
        return [
            (variable, self.array(name, weight, f"{what}, {variable.name}", variable))
            for variable, weight in zip(variables, names, strict=True)
        ]

    def array(
        self, layer: str, weight: str, what: str, variable: Variable | None
    ) -> np.ndarray[Any, Any]:
        """One weight of a layer in the file."""
        place, _, last = weight.rpartition("/")
        group = self.group(f"{layer}/{place}")
        if group is None:
            raise self.refuse(f"{what}: there is no {layer}/{weight}")
        return self._reader.dataset(group, last, what, variable)


def _parts(group: Any, what: str) -> Iterator[str]:
    count = 0
    while f"{what}{count}" in group.attrs:
        yield f"{what}{count}"
        count += 1


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
