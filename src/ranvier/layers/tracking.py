"""What a layer owns: variables, sublayers and metrics held in its attributes."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ranvier.graph import Variable
from ranvier.metrics.base import Metric
from ranvier.random import SeedGenerator

if TYPE_CHECKING:
    from ranvier.layers.base import Layer

_changes = itertools.count(1)


class _Version:
    """Grows with every change of structure anywhere, so that caches can notice."""

    now = 0


def changed() -> None:
    """A layer, a variable or a ``trainable`` flag was added or changed."""
    _Version.now = next(_changes)


def version() -> int:
    """The number of changes of structure so far."""
    return _Version.now


#: What attributes mostly hold; asked first, for asking for a Mapping is slow.
_PLAIN = (str, int, float, type(None))


def leaves_of(value: Any, kinds: Any, depth: int = 0) -> Iterator[Any]:
    """Objects of these kinds in a value: itself, or nested in lists and dicts."""
    if isinstance(value, kinds):
        yield value
    elif depth < 8 and not isinstance(value, _PLAIN):
        if isinstance(value, Mapping):
            for item in value.values():
                yield from leaves_of(item, kinds, depth + 1)
        elif isinstance(value, (list, tuple, set, frozenset)):
            for item in value:
                yield from leaves_of(item, kinds, depth + 1)


def attributes(owner: Any, kinds: Any, skip: frozenset[str]) -> list[Any]:
    """Objects of these kinds held by an object, each once, in order of assignment."""
    found: dict[int, Any] = {}
    for name, value in list(vars(owner).items()):
        if name not in skip:
            for leaf in leaves_of(value, kinds):
                found.setdefault(id(leaf), leaf)
    return list(found.values())


def unique(variables: Iterator[Variable]) -> list[Variable]:
    """Each variable once, in order."""
    return list({id(v): v for v in variables}.values())


def structure(layer: Layer) -> tuple[Any, ...]:
    """What a compiled step of this layer depends on: parts and what is trained.

    Another model that grows changes `version`, not this. Kept until the next change.
    """
    now = version()
    kept = layer.__dict__.get("_structure")
    if kept is None or kept[0] != now:
        parts = layer._flatten_layers()
        flags = tuple((part, part.trainable, part.built) for part in parts)
        state = tuple((v, v.trainable) for v in layer.variables)
        kept = now, (flags, state, tuple(layer._known_metrics()))
        layer.__dict__["_structure"] = kept
    return kept[1]


def stateful(layer: Layer) -> bool:
    """Whether a layer, or one inside it, keeps a state for each row of a batch."""
    return any(getattr(part, "stateful", False) for part in layer._flatten_layers())


class CallContext(threading.local):
    """What the outermost layer call of this thread says to those inside."""

    def __init__(self) -> None:
        self.training: bool | None = None
        self.depth = 0
        #: names of the layers whose call is running, outermost first
        self.path: tuple[str, ...] = ()


context = CallContext()


@contextmanager
def calling(layer: Layer, training: bool | None) -> Iterator[None]:
    """Layers called inside inherit ``training`` unless they are told otherwise."""
    before = context.training, context.depth, context.path
    context.training = training
    context.depth += 1
    context.path = (*context.path, layer.name)
    try:
        yield
    finally:
        context.training, context.depth, context.path = before


__all__ = [
    "Metric",
    "SeedGenerator",
    "attributes",
    "calling",
    "changed",
    "context",
    "leaves_of",
    "stateful",
    "structure",
    "unique",
    "version",
]
