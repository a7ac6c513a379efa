"""Nested structures: lists, tuples, named tuples, deques and dicts with leaves in them.

Values of dicts come in the order of their keys, those of an ``OrderedDict`` in its own.
``None`` is a leaf. Subclasses of list and dict, arrays and tensors are leaves as well.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ranvier._missing import missing
from ranvier.errors import ShapeError

__all__ = [
    "MAP_TO_NONE",
    "assert_same_paths",
    "assert_same_structure",
    "flatten",
    "flatten_with_path",
    "is_nested",
    "lists_to_tuples",
    "map_shape_structure",
    "map_structure",
    "map_structure_up_to",
    "pack_sequence_as",
    "traverse",
]

_DICTS = (dict, OrderedDict, defaultdict)
_Path = tuple[Any, ...]


class MAP_TO_NONE:
    """What a function of `traverse` returns where ``None`` is to stand."""


def _is_named(value: Any) -> bool:
    return isinstance(value, tuple) and hasattr(type(value), "_fields")


def is_nested(structure: Any) -> bool:
    """Whether something is a structure and not a leaf.

    Example:
        >>> is_nested([]), is_nested(None), is_nested("text")
        (True, False, False)
    """
    kind = type(structure)
    return kind in (list, tuple, deque, *_DICTS) or _is_named(structure)


def _keys(structure: Any) -> list[Any]:
    """Keys of a dict or indices of a sequence, in order."""
    if type(structure) is OrderedDict:
        return list(structure)
    if type(structure) in _DICTS:
        try:
            return sorted(structure)
        except TypeError:
            pass
        try:  # keys of several types: by type first
            return sorted(structure, key=lambda k: (_type_name(k), k))
        except TypeError:
            return list(structure)
    return list(range(len(structure)))


def _type_name(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _rebuilt(structure: Any, parts: dict[Any, Any]) -> Any:
    """A structure of the same kind with other parts."""
    kind = type(structure)
    if kind is defaultdict:
        return defaultdict(structure.default_factory, {k: parts[k] for k in structure})
    if kind in _DICTS:
        return kind((key, parts[key]) for key in structure)
    values = [parts[i] for i in range(len(structure))]
    if kind is deque:
        return deque(values, structure.maxlen)
    return kind(*values) if _is_named(structure) else kind(values)


def _walk(structure: Any, path: _Path = ()) -> Iterator[tuple[_Path, Any]]:
    if not is_nested(structure):
        yield path, structure
        return
    for key in _keys(structure):
        yield from _walk(structure[key], (*path, key))


def flatten(structure: Any) -> list[Any]:
    """The leaves in order.

    Example:
        >>> flatten({"b": [1, (2,)], "a": None})
        [None, 1, 2]
    """
    return [leaf for _, leaf in _walk(structure)]


def flatten_with_path(structure: Any) -> list[tuple[_Path, Any]]:
    """Pairs of a path of keys and indices, and the leaf that is there.

    Example:
        >>> flatten_with_path([{"a": 42}])
        [((0, 'a'), 42)]
    """
    return list(_walk(structure))


def pack_sequence_as(structure: Any, flat_sequence: Any) -> Any:
    """Leaves in a structure; the inverse of `flatten`.

    Args:
        structure: where to.
        flat_sequence: as many leaves as it has.

    Raises:
        ShapeError: RV100 for more leaves or fewer.

    Example:
        >>> pack_sequence_as({"b": 0, "a": (0, 0)}, [1, 2, 3])
        {'b': 3, 'a': (1, 2)}
    """
    leaves = list(flat_sequence)
    wanted = len(flatten(structure))
    if len(leaves) != wanted:
        raise ShapeError(
            "RV100",
            f"the structure has {wanted} leaves, {len(leaves)} were given",
            fix="tree.flatten of a structure of the same form",
        )
    rest = iter(leaves)
    return _map(lambda _: next(rest), [structure], is_nested)


def _map(
    func: Callable[..., Any],
    structures: Sequence[Any],
    goes_on: Callable[[Any], bool],
    path: _Path = (),
) -> Any:
    """Maps the leaves of the first structure and what stands there in the others."""
    first = structures[0]
    if not goes_on(first):
        return func(*structures)
    keys = _keys(first)
    for other in structures[1:]:
        _check_alike(first, other, path)
    return _rebuilt(
        first,
        {
            key: _map(func, [s[key] for s in structures], goes_on, (*path, key))
            for key in keys
        },
    )


def _check_alike(one: Any, other: Any, path: _Path) -> None:
    """Refuses two parts that are not of the same kind and size."""
    dicts = type(one) in _DICTS and type(other) in _DICTS
    same = set(one) == set(other) if dicts else False
    if not dicts and type(one) is type(other):
        same = not is_nested(one) or len(one) == len(other)
    if not same:
        raise _different(one, other, path)


def _different(one: Any, other: Any, path: _Path) -> ShapeError:
    place = "".join(f"[{key!r}]" for key in path) or "the top"
    return ShapeError(
        "RV100",
        "two structures are not nested in the same way",
        details=f"at {place}: {f'{one!r}':.80} and {f'{other!r}':.80}",
    )


def map_structure(
    func: Callable[..., Any], *structures: Any, none_is_leaf: bool = True
) -> Any:
    """Applies a function to the leaves of structures of the same form.

    Args:
        func: takes a leaf of each.
        *structures: at least one.
        none_is_leaf: whether `func` gets ``None`` too; else it stays ``None``.

    Raises:
        ShapeError: RV100 for none, or for structures of different forms.

    Example:
        >>> map_structure(lambda a, b: a + b, {"x": [1, 2]}, {"x": [10, 20]})
        {'x': [11, 22]}
    """
    if not structures:
        raise ShapeError("RV100", "map_structure needs at least one structure")

    def at_leaf(*leaves: Any) -> Any:
        if not none_is_leaf and any(leaf is None for leaf in leaves):
            if not all(leaf is None for leaf in leaves):
                raise _different(leaves[0], leaves[1], ())
            return None
        for leaf in leaves[1:]:
            if is_nested(leaf):
                raise _different(leaves[0], leaf, ())
        return func(*leaves)

    return _map(at_leaf, structures, is_nested)


def map_structure_up_to(
    shallow_structure: Any, func: Callable[..., Any], *structures: Any
) -> Any:
    """Applies a function to what stands where a shallow structure has its leaves.

    Args:
        shallow_structure: says how far to go; `func` does not get its leaves.
        func: takes a part of each structure.
        *structures: at least one, of this form or deeper.

    Raises:
        ShapeError: RV100 for none, or for one that is shallower or of another form.

    Example:
        >>> map_structure_up_to([0, 0], len, [[1, 1], [2, 2, 2]])
        [2, 3]
    """
    if not structures:
        raise ShapeError("RV100", "map_structure_up_to needs at least one structure")
    return _map(
        lambda _, *parts: func(*parts), [shallow_structure, *structures], is_nested
    )


def assert_same_structure(a: Any, b: Any, check_types: Any = None) -> None:
    """Refuses two structures that are not nested in the same way.

    Dicts of all kinds are alike where their keys are; lists, tuples, named tuples of
    different classes and deques are not.

    Args:
        a: a structure.
        b: another.
        check_types: deprecated in Keras; it changes nothing.

    Raises:
        ShapeError: RV100 where they differ, with the place.

    Example:
        >>> assert_same_structure([(0, 1)], [(2, 3)])
    """
    map_structure(lambda *_: None, a, b)


def assert_same_paths(a: Any, b: Any) -> None:
    """Refuses two structures whose leaves have different paths.

    Args:
        a: a structure.
        b: another; it may have lists where the first has tuples.

    Raises:
        ShapeError: RV100 with the paths of one that the other lacks.

    Example:
        >>> assert_same_paths([0, {"x": 1}], (2, {"x": 3}))
    """
    first, second = ({path for path, _ in _walk(s)} for s in (a, b))
    if first != second:
        alone = [
            f"only in `{name}`: {', '.join(sorted(map(str, paths)))}"
            for name, paths in (("a", first - second), ("b", second - first))
            if paths
        ]
        raise ShapeError(
            "RV100", "two structures have different paths", details="; ".join(alone)
        )


def traverse(func: Callable[[Any], Any], structure: Any, top_down: bool = True) -> Any:
    """Goes through a structure and all its parts, and may replace them.

    Args:
        func: gets each part, leaves included. What it returns takes the part's place;
            ``None`` leaves it as it is, `MAP_TO_NONE` puts ``None`` there. From the top
            down what was replaced is not gone into.
        structure: the structure.
        top_down: whether a whole comes before its parts.

    Example:
        >>> traverse(lambda p: sum(p) if isinstance(p, tuple) else None, [(1, 2), 3])
        [3, 3]
    """

    def parts() -> Any:
        if not is_nested(structure):
            return structure
        done = {
            key: traverse(func, structure[key], top_down) for key in _keys(structure)
        }
        return _rebuilt(structure, done)

    if top_down:
        found = func(structure)
        if found is None:
            return parts()
    else:
        whole = parts()
        found = func(whole)
        if found is None:
            return whole
    return None if found is MAP_TO_NONE else found


def lists_to_tuples(structure: Any) -> Any:
    """The structure with tuples where it has lists.

    Example:
        >>> lists_to_tuples([1, {"a": [2]}])
        (1, {'a': (2,)})
    """
    return traverse(
        lambda part: tuple(part) if isinstance(part, list) else None,
        structure,
        top_down=False,
    )


def map_shape_structure(func: Callable[[Any], Any], structure: Any) -> Any:
    """Applies a function to the shapes in a structure.

    Args:
        func: gets a shape: a tuple or list of integers and ``None``.
        structure: shapes in lists, tuples and dicts.

    Example:
        >>> map_shape_structure(len, {"a": (None, 3), "b": [(1, 2, 3), ()]})
        {'a': 2, 'b': [3, 0]}
    """

    def inside(part: Any) -> bool:
        shape = isinstance(part, (list, tuple)) and all(
            size is None or isinstance(size, int) for size in part
        )
        return is_nested(part) and not shape

    return _map(func, [structure], inside)


__getattr__ = missing("ranvier.tree", lambda: __all__)
