"""Files that layers keep in a model file beside their weights, such as vocabularies.

They stand where the layer's weights stand, ``assets/layers/text_vectorization/``, as in
Keras. A layer of the user's own may write and read some too: `save_assets` and `load_assets`
are given a folder.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from ranvier.layers.base import Layer
from ranvier.layers.host import HostLayer
from ranvier.models.archive import ASSETS, damaged, fault_of
from ranvier.models.weights_file import places

__all__ = ["assets_of", "take_assets"]


def assets_of(model: Layer) -> dict[str, bytes]:
    """The files of all layers of a model, by their names under ``assets/``."""
    found: dict[str, bytes] = {}
    for place in places(model):
        inside = f"{place.path}/" if place.path else ""
        files = _written(place.owner)
        found |= {inside + name: data for name, data in files.items()}
    return found


def _written(owner: Any) -> dict[str, bytes]:
    if isinstance(owner, HostLayer):
        return owner.assets()
    if not hasattr(owner, "save_assets"):
        return {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        owner.save_assets(name)
        files = sorted(p for p in folder.rglob("*") if p.is_file())
        return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


def take_assets(model: Layer, members: Mapping[str, bytes], path: Any) -> None:
    """Gives all layers the files that they wrote.

    Args:
        model: the model.
        members: the members of a model file.
        path: its name, for messages.

    Raises:
        FileError: RV601 when a file is named strangely, belongs to no layer, or its layer
            does not take it.
    """
    given = {
        name.removeprefix(ASSETS): data
        for name, data in members.items()
        if name.startswith(ASSETS)
    }
    if not given:
        return
    for name in given:
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if not parts or ".." in parts or name.startswith("/") or ":" in name:
            raise fault_of(path, f"member {ASSETS}{name[:80]!r} has no proper name")
    left = set(given)
    for place in places(model):
        inside = f"{place.path}/" if place.path else ""
        files = {
            name.removeprefix(inside): data
            for name, data in given.items()
            if name.startswith(inside)
        }
        if not isinstance(place.owner, HostLayer) and not hasattr(
            place.owner, "load_assets"
        ):
            continue
        left -= {inside + name for name in files}
        with damaged(path, f"{place.label} does not take its files"):
            _read(place.owner, files)
    if left:
        name = min(left)
        raise fault_of(path, f"member {ASSETS}{name[:80]} belongs to no layer")


def _read(owner: Any, files: Mapping[str, bytes]) -> None:
    if isinstance(owner, HostLayer):
        owner.take_assets(files)
    else:
        with tempfile.TemporaryDirectory() as folder:
            for name, data in files.items():
                file = Path(folder, name)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)
            owner.load_assets(folder)
