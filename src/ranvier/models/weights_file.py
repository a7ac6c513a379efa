"""The tree of weights in HDF5, as Keras v3 lays it out, read with suspicion.

Every layer or optimizer has a group; its variables are the datasets ``vars/0``,
``vars/1``, … in it. Where a group stands follows from the objects, never from the file:
``layers/dense_1`` is the second `Dense` in ``model.layers``, whatever its name is. So a
reader knows each dataset's place, shape and dtype before it looks.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from ranvier._lookup import snake_case
from ranvier.errors import EnvironmentFault, FileError, Finding, warn
from ranvier.graph import Variable
from ranvier.layers.base import _OWN, Layer
from ranvier.models.archive import allowance, damaged, fault_of
from ranvier.models.model import Model
from ranvier.models.sequential import Sequential
from ranvier.optimizers.base import Optimizer

__all__ = ["Place", "apply_tree", "places", "read_one", "read_tree", "write_tree"]

#: Filters that HDF5 has built in: deflate, shuffle, checksum. Others would load code.
_FILTERS = {1, 2, 3}
#: The most that deflate can pack.
_DEFLATE = 1032


@dataclass(frozen=True)
class Place:
    """Where an object's variables stand in the file."""

    path: str
    owner: Any
    parent: Any = None

    @property
    def label(self) -> str:
        """How messages call the owner."""
        kind = "optimizer" if isinstance(self.owner, Optimizer) else "layer"
        return f"{kind} {self.owner.name!r}"


# -- the walk ------------------------------------------------------------------------


def places(model: Layer) -> list[Place]:
    """Everything with variables in a model, in the order of Keras's files.

    First ``layers`` of a `Sequential`, then attributes by name, private ones last; what
    was met before keeps its first place. Members of lists and dicts are named by class
    and count.
    """
    found: list[Place] = []
    _visit(Place("", model), found, set())
    return found


def _visit(place: Place, found: list[Place], seen: set[int]) -> None:
    if id(place.owner) in seen:
        return
    seen.add(id(place.owner))
    found.append(place)
    if isinstance(place.owner, Layer):
        containers: set[int] = set()
        for name, value in _attributes(place.owner):
            inner = Place(_join(place.path, name), value, place.owner)
            _descend(inner, found, seen, containers)


def _descend(
    place: Place, found: list[Place], seen: set[int], containers: set[int]
) -> None:
    value = place.owner
    if isinstance(value, (Layer, Optimizer)):
        _visit(place, found, seen)
    elif isinstance(value, (list, tuple, dict)) and id(value) not in containers:
        containers.add(id(value))
        counts: dict[str, int] = {}
        for item in list(value.values()) if isinstance(value, dict) else value:
            if isinstance(item, (Layer, Optimizer)):
                base = snake_case(type(item).__name__)
            elif isinstance(item, (list, tuple, dict)):
                base = "container"
            else:
                continue
            count = counts.get(base, 0)
            counts[base] = count + 1
            name = f"{base}_{count}" if count else base
            inner = Place(_join(place.path, name), item, place.parent)
            _descend(inner, found, seen, containers)


def _join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def _attributes(owner: Layer) -> Iterator[tuple[str, Any]]:
    if isinstance(owner, Model) and (
        isinstance(owner, Sequential) or owner._function is not None
    ):
        yield "layers", owner.layers
    hidden = _hidden(type(owner))
    names = {n for n in dir(owner) if not n.startswith("__") and n not in hidden}
    for name in sorted(names, key=lambda n: f"~{n}" if n.startswith("_") else n):
        try:
            value = getattr(owner, name)
        except Exception:
            continue
        yield name, value


def _hidden(cls: type) -> set[str]:
    """Attributes that are bookkeeping of ranvier's own classes."""
    hidden = set(dir(Layer)) | set(_OWN) - {"optimizer"} | {"metrics", "_functional"}
    if issubclass(cls, Model):
        hidden |= set(dir(Model)) - {"layers"} | {"_layers"}
    if issubclass(cls, Sequential):
        hidden |= set(dir(Sequential))
    return hidden


def _own_variables(owner: Any) -> list[Variable] | None:
    """What stands under ``vars``; `None` where the user's own class decides."""
    if isinstance(owner, Optimizer):
        plain = type(owner).load_own_variables is Optimizer.load_own_variables
        return owner.variables if plain else None
    plain = type(owner).save_own_variables is Layer.save_own_variables
    return owner._ordered() if plain else None


# -- writing -------------------------------------------------------------------------


def write_tree(model: Layer) -> bytes:
    """The weights, and the optimizer's state, as an HDF5 file.

    Raises:
        FileError: RV603 when the model holds a layer where no file can say so.
    """
    h5py = _h5py()
    everything = places(model)
    met = {id(place.owner) for place in everything}
    for layer in model._flatten_layers():
        if id(layer) not in met and layer._ordered():
            raise FileError(
                "RV603",
                f"the weights of layer {layer.name!r} would not be saved",
                details="it is held by an object that is no layer, or in a set",
                fix="hold layers in attributes, lists or dicts of a layer or model",
            )
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for place in everything:
            group = file.create_group(_join(place.path, "vars"))
            group.attrs["name"] = place.owner.name
            place.owner.save_own_variables(_Writer(group))
    return buffer.getvalue()


class _Writer(MutableMapping[str, Any]):
    """What `save_own_variables` writes into."""

    def __init__(self, group: Any) -> None:
        self.group = group

    def __setitem__(self, key: str, value: Any) -> None:
        if isinstance(value, Variable) or hasattr(value, "numpy"):
            value = value.numpy()
        self.group.create_dataset(str(key), data=np.asarray(value))

    def __getitem__(self, key: str) -> Any:
        return self.group[key][()]

    def __delitem__(self, key: str) -> None:
        del self.group[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.group.keys())

    def __len__(self) -> int:
        return len(self.group)


# -- reading -------------------------------------------------------------------------

Found = list[tuple[Place, dict[str, np.ndarray[Any, Any]]]]


def read_tree(
    model: Layer,
    file: IO[bytes],
    path: Any,
    *,
    optimizer: str = "required",
    skip_mismatch: bool = False,
) -> Found:
    """Reads all variables of a model; sets none.

    Args:
        model: a built model.
        file: the HDF5 file.
        path: its name, for messages.
        optimizer: ``"required"``, ``"if there"`` or ``"ignored"``.
        skip_mismatch: leave owners out whose variables do not match.

    Raises:
        FileError: RV601 when the file is damaged or unsafe, or a variable is missing or
            has another shape.
    """
    h5py = _h5py()
    size = file.seek(0, 2)
    file.seek(0)
    if not size:
        raise fault_of(path, "the file is empty")
    found: Found = []
    with damaged(path, "the weights are damaged"), h5py.File(file, "r") as root:
        reader = _Reader(h5py, root, path, allowance(size))
        if "layer_names" in root.attrs or "model_weights" in root:
            raise fault_of(
                path,
                "it is a file of the old .h5 format",
                "save it again with Keras 3 as .keras or .weights.h5",
            )
        for place in places(model):
            if isinstance(place.owner, Optimizer):
                if optimizer == "ignored":
                    continue
                if optimizer == "if there" and reader.group(place.path) is None:
                    continue
            try:
                found.append((place, reader.variables(place)))
            except FileError as fault:
                if not skip_mismatch:
                    raise
                warn(Finding("RV601", f"{place.label} is left as it is", fault.details))
    return found


def read_one(
    file: IO[bytes], path: Any, group: str, name: str
) -> np.ndarray[Any, Any] | None:
    """One dataset of a file; ``None`` where there is none.

    Raises:
        FileError: RV601 when the file is damaged or unsafe.
    """
    h5py = _h5py()
    size = file.seek(0, 2)
    file.seek(0)
    with damaged(path, "the weights are damaged"), h5py.File(file, "r") as root:
        reader = _Reader(h5py, root, path, allowance(size))
        found = reader.group(group)
        if found is None or name not in found:
            return None
        return reader.dataset(found, name, f"{group}/{name}", None)


def apply_tree(found: Found, path: Any) -> None:
    """Sets what `read_tree` found.

    Raises:
        FileError: RV601 when a layer of the user's own refuses it.
    """
    for place, arrays in found:
        with damaged(path, f"{place.label} does not take its variables"):
            if isinstance(place.owner, Optimizer) and len(arrays) != len(
                place.owner.variables
            ):
                for variable, array in zip(
                    place.owner.variables, arrays.values(), strict=False
                ):
                    variable.assign(array.astype(variable.dtype))
            else:
                place.owner.load_own_variables(arrays)


class _Reader:
    """Gives datasets of an open file, after looking at each from all sides."""

    def __init__(self, h5py: Any, root: Any, path: Any, budget: int) -> None:
        self.h5py, self.root, self.path = h5py, root, path
        self.budget = budget

    def refuse(self, why: str, fix: str = "") -> FileError:
        """The error for something that is not as it must be."""
        return fault_of(self.path, why, fix)

    def group(self, path: str) -> Any:
        """The group, reached through hard links only; `None` when there is none."""
        current = self.root
        for name in filter(None, path.split("/")):
            link = current.get(name, getlink=True)
            if link is None:
                return None
            if type(link) is not self.h5py.HardLink:
                raise self.refuse(f"{path} is a link to somewhere else")
            current = current[name]
            if not isinstance(current, self.h5py.Group):
                raise self.refuse(f"{path} is no group")
        return current

    def names(self, place: Place) -> list[str]:
        """Names of the datasets of an owner."""
        group = self.group(_join(place.path, "vars"))
        if group is None:
            return []
        if len(group) > 100_000:
            raise self.refuse(f"{place.label} has {len(group):,} variables")
        return sorted(group, key=lambda n: (len(n), n))

    def variables(self, place: Place) -> dict[str, np.ndarray[Any, Any]]:
        """The arrays of a layer or optimizer, of the shapes it has."""
        names = self.names(place)
        owner, parent = place.owner, place.parent
        if isinstance(owner, Optimizer) and not owner.built and len(names) > 2:
            # It is about to get its slots from the file.
            owner.build(parent.trainable_variables)
        expected = _own_variables(owner)
        if expected is None:
            return {name: self.array(place, name, None) for name in names}
        if isinstance(owner, Optimizer):
            # One that had not begun when it was saved has no slots in the file.
            begun = [v for v in expected if v.kind in ("counter", "hyper")]
            if len(names) == len(begun):
                expected = begun
        return self._matching(place, names, expected)

    def _matching(
        self, place: Place, names: list[str], expected: list[Variable]
    ) -> dict[str, np.ndarray[Any, Any]]:
        wanted = [str(i) for i in range(len(expected))]
        if names and isinstance(place.owner, Layer) and not place.owner.built:
            raise self.refuse(
                f"{place.label} has no weights yet: it makes them "
                "when it is first called, and the file does not say on which shape",
                "make the model in code, call it once on data, then load_weights(path)",
            )
        if sorted(names) != sorted(wanted):
            raise self.refuse(
                f"{place.label} has {len(expected)} variables"
                f"{_listed(expected)}, the file has {len(names)} for it, under "
                f"{_join(place.path, 'vars')}",
                "load into the architecture that was saved"
                if isinstance(place.owner, Layer)
                else "compile with the optimizer that was saved, or load the weights "
                "before compile()",
            )
        return {
            name: self.array(place, name, variable)
            for name, variable in zip(wanted, expected, strict=True)
        }

    def array(
        self, place: Place, name: str, variable: Variable | None
    ) -> np.ndarray[Any, Any]:
        """One dataset of an owner, checked against the variable it is for."""
        group = self.group(_join(place.path, "vars"))
        what = f"{place.label}, variable {variable.name if variable is not None else name!r}"
        return self.dataset(group, name, what, variable)

    def dataset(
        self, group: Any, name: str, what: str, variable: Variable | None
    ) -> np.ndarray[Any, Any]:
        """One dataset of a group; `what` is its name in messages."""
        if type(group.get(name, getlink=True)) is not self.h5py.HardLink:
            raise self.refuse(f"{what} is a link to somewhere else")
        dataset = group[name]
        if not isinstance(dataset, self.h5py.Dataset):
            raise self.refuse(f"{what} is no dataset")
        shape, dtype = dataset.shape, dataset.dtype
        if shape is None or dtype.kind not in "biuf" or dtype.itemsize > 8:
            raise self.refuse(f"{what} holds {dtype}, not plain numbers")
        if variable is not None:
            if tuple(shape) != tuple(variable.shape):
                raise self.refuse(
                    f"{what} has the shape {tuple(variable.shape)}, in the file "
                    f"{tuple(shape)}",
                    "load into the architecture that was saved",
                )
            if (dtype.kind == "f") != variable.dtype.startswith("float"):
                raise self.refuse(f"{what} is {variable.dtype}, in the file {dtype}")
        self._check_storage(dataset, what)
        value = np.asarray(dataset[()])
        return value if variable is None else value.astype(variable.dtype, copy=False)

    def _check_storage(self, dataset: Any, what: str) -> None:
        plist = dataset.id.get_create_plist()
        layout = plist.get_layout()
        h5d = self.h5py.h5d
        if layout not in (h5d.COMPACT, h5d.CONTIGUOUS, h5d.CHUNKED):
            raise self.refuse(f"{what} is a virtual dataset, made of other files")
        if plist.get_external_count():
            raise self.refuse(f"{what} is stored in another file")
        filters = {plist.get_filter(i)[0] for i in range(plist.get_nfilters())}
        if filters - _FILTERS:
            raise self.refuse(f"{what} is packed in an unknown way")
        need = math.prod(dataset.shape) * dataset.dtype.itemsize
        stored = dataset.id.get_storage_size()
        if need > stored * (_DEFLATE if 1 in filters else 1):
            raise self.refuse(f"{what} declares {need:,} bytes and stores {stored:,}")
        self.budget -= need
        if self.budget < 0:
            raise self.refuse(f"{what} and those before are larger than the file")


def _listed(variables: list[Variable]) -> str:
    shown = ", ".join(f"{v.name} {tuple(v.shape)}" for v in variables[:4])
    return f" ({shown}{', …' if len(variables) > 4 else ''})" if shown else ""


def _h5py() -> Any:
    try:
        import h5py
    except ImportError as fault:
        raise EnvironmentFault(
            "RV801",
            "model files need the package h5py",
            fix="pip install h5py",
        ) from fault
    return h5py
