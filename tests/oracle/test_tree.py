"""`ranvier.tree`, scopes of names, policies and operations are Keras's."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque, namedtuple
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ranvier

Pair = namedtuple("Pair", "first second")
Other = namedtuple("Other", "first second")


def containers(inner: Any) -> Any:
    """Structures of every kind around what is inside."""
    keys = st.dictionaries(st.sampled_from("dcba"), inner, max_size=3)
    return st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.lists(inner, max_size=3).map(deque),
        st.tuples(inner, inner).map(lambda two: Pair(*two)),
        keys,
        keys.map(OrderedDict),
        keys.map(lambda d: defaultdict(list, d)),
        st.dictionaries(st.sampled_from([2, 1, "x"]), inner, max_size=3),
    )


LEAVES = st.one_of(st.none(), st.integers(0, 9), st.text(max_size=2))
TREES = st.recursive(LEAVES, containers, max_leaves=8)


@given(TREES)
def test_one_structure(keras: Any, tree: Any) -> None:
    mine, theirs = ranvier.tree, keras.tree
    assert mine.is_nested(tree) == theirs.is_nested(tree)
    assert mine.flatten(tree) == theirs.flatten(tree)
    assert mine.flatten_with_path(tree) == theirs.flatten_with_path(tree)
    leaves = [f"leaf {i}" for i in range(len(mine.flatten(tree)))]
    for lib in (mine, theirs):
        with pytest.raises(ValueError):
            lib.pack_sequence_as(tree, [*leaves, "more"])
    pairs = [
        (lib.pack_sequence_as(tree, leaves), lib.map_structure(str, tree))
        + (lib.map_structure(str, tree, none_is_leaf=False),)
        + (lib.lists_to_tuples(tree),)
        for lib in (mine, theirs)
    ]
    assert same(*pairs)
    for top_down in (True, False):
        told: list[list[Any]] = [[], []]
        found = [
            lib.traverse(seen.append, tree, top_down=top_down)
            for lib, seen in zip((mine, theirs), told, strict=True)
        ]
        assert same(*found)
        assert same(*told)


def same(one: Any, other: Any) -> bool:
    """Equal, of the same kinds, and with keys in the same order."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[k], other[k]) for k in one)
    if isinstance(one, (list, tuple, deque)):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


@given(TREES, TREES)
def test_two_structures(keras: Any, one: Any, other: Any) -> None:
    for name, args in (
        ("assert_same_structure", (one, other)),
        ("assert_same_paths", (one, other)),
        ("map_structure", (lambda a, b: (a, b), one, other)),
    ):
        found = []
        for lib in (ranvier, keras):
            try:
                found.append((True, getattr(lib.tree, name)(*args)))
            except ValueError:
                found.append((False, None))
        assert same(*found), name


def test_named_tuples_of_two_classes_differ(keras: Any) -> None:
    for lib in (ranvier, keras):
        lib.tree.assert_same_paths(Pair(1, 2), Other(3, 4))
        with pytest.raises(ValueError):
            lib.tree.assert_same_structure(Pair(1, 2), Other(3, 4))


@pytest.mark.parametrize(
    ("shallow", "deep"),
    [([0, 0], [[1, 1], [2, 2, 2]]), ({"a": 0}, {"a": (1, 2)}), ((0, [0]), ([], [[1]]))],
)
def test_up_to_a_shallow_structure(keras: Any, shallow: Any, deep: Any) -> None:
    found = [
        lib.tree.map_structure_up_to(shallow, len, deep) for lib in (ranvier, keras)
    ]
    assert same(*found)
    for lib in (ranvier, keras):
        with pytest.raises(ValueError):
            lib.tree.map_structure_up_to([0, [0, 0]], len, [[1], [2]])


@pytest.mark.parametrize(
    "shapes", [(None, 3), [(1, 2), ()], {"a": [None, 2], "b": ((3,), [(4, 5)])}]
)
def test_shapes(keras: Any, shapes: Any) -> None:
    found = [lib.tree.map_shape_structure(len, shapes) for lib in (ranvier, keras)]
    assert same(*found)


def test_none_can_be_put_in_place(keras: Any) -> None:
    for lib in (ranvier, keras):
        found = lib.tree.traverse(
            lambda v, lib=lib: lib.tree.MAP_TO_NONE if v == 2 else None, [1, (2, 3)]
        )
        assert found == [1, (None, 3)]


# ------------------------------------------------------------------- names and policies


def test_paths_of_variables_in_scopes(keras: Any) -> None:
    for lib in (ranvier, keras):
        dense = lib.layers.Dense(2, name="dense")
        with lib.name_scope("outer"):
            alone = lib.Variable([1.0, 2.0], name="v")
            with lib.name_scope("inner"):
                dense.build((None, 3))
            with lib.name_scope("last", override_parent="top/of"):
                moved = lib.Variable([1.0], name="w")
            me = object()
            with lib.name_scope("me", caller=me), lib.name_scope("me", caller=me):
                once = lib.Variable([1.0], name="x")
        after = lib.Variable([1.0], name="v")
        assert dense.kernel.path == "outer/inner/dense/kernel"
        paths = [v.path for v in (alone, moved, once, after)]
        assert paths == ["outer/v", "top/of/last/w", "outer/me/x", "v"]
        with pytest.raises(ValueError):
            lib.name_scope("a/b")


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_policies_travel_as_in_keras(keras: Any, name: str) -> None:
    mine, theirs = (
        lib.dtype_policies.serialize(lib.DTypePolicy(name)) for lib in (ranvier, keras)
    )
    assert mine == theirs
    for lib in (ranvier, keras):
        policies = lib.dtype_policies
        for given_ in (name, np.dtype(name), theirs, lib.DTypePolicy(name)):
            assert policies.get(given_).compute_dtype == name
        assert policies.get(None) == lib.config.dtype_policy()
        with pytest.raises(ValueError):
            policies.get("float31")


def test_the_policy_of_layers_that_are_given_none(keras: Any) -> None:
    for lib in (ranvier, keras):
        before = lib.config.dtype_policy()
        try:
            lib.config.set_dtype_policy("float64")
            assert lib.layers.Dense(1).compute_dtype == "float64"
            assert lib.layers.Dense(1, dtype="float32").compute_dtype == "float32"
            assert lib.DTypePolicy().name == "float64"
            lib.config.set_dtype_policy(lib.DTypePolicy("float32"))
            assert lib.layers.Dense(1).variable_dtype == "float32"
            with pytest.raises(ValueError):
                lib.config.set_dtype_policy(3)
        finally:
            lib.config.set_dtype_policy(before)


def test_operations_of_ones_own(keras: Any) -> None:
    x = np.arange(6, dtype="float32").reshape(2, 3)
    for lib in (ranvier, keras):

        class Scaled(lib.Operation):  # type: ignore[name-defined, misc]
            def __init__(self, factor: float, name: str | None = None) -> None:
                super().__init__(name)
                self.factor = factor

            def call(self, x: Any) -> Any:
                return x * self.factor

            def compute_output_spec(self, x: Any) -> Any:
                return lib.KerasTensor(x.shape, x.dtype)  # noqa: B023

        start = lib.Input((3,))
        scaled = Scaled(3.0, name="thrice")
        end = scaled(start)
        assert end.shape == (None, 3)
        assert scaled.input is start
        assert scaled.output is end
        assert scaled.get_config() == {"factor": 3.0, "name": "thrice"}
        assert isinstance(lib.layers.Dense(1), lib.Operation)
        assert not isinstance(lib.layers.Dense(1), Scaled)
        model = lib.Model(start, end)
        np.testing.assert_array_equal(model.predict(x, verbose=0), 3 * x)
        both = lib.Function(start, {"a": end, "b": [lib.ops.sum(end, axis=1)]})
        found = both(lib.ops.array(x))
        assert sorted(found) == ["a", "b"]
        np.testing.assert_array_equal(np.asarray(found["b"][0]), 3 * x.sum(1))
        again = both(lib.Input((3,)))
        assert again["a"].shape == (None, 3)
        assert again["b"][0].shape == (None,)
        assert [type(op).__name__ for op in both.operations][:2] == [
            "InputLayer",
            "Scaled",
        ]
        shapes = both.compute_output_shape((5, 3))
        assert tuple(shapes["a"]) == (5, 3)


@pytest.mark.filterwarnings("ignore:Limiting", "ignore:Your input ran out")
@pytest.mark.filterwarnings("ignore::ranvier.errors.RanvierWarning")
def test_limits_of_dry_runs(keras: Any) -> None:
    x = np.ones((20, 2), "float32")
    for lib in (ranvier, keras):
        assert lib.config.max_epochs() is None
        assert lib.config.max_steps_per_epoch() is None
        try:
            lib.config.set_max_epochs(2)
            lib.config.set_max_steps_per_epoch(3)
            model = lib.Sequential([lib.Input((2,)), lib.layers.Dense(1)])
            model.compile("sgd", "mse")
            history = model.fit(x, x[:, :1], epochs=5, batch_size=4, verbose=0)
            assert history.epoch == [0, 1]
            assert int(model.optimizer.iterations) <= 6
            assert model.predict(x, batch_size=4, verbose=0).shape == (12, 1)
        finally:
            lib.config.set_max_epochs(None)
            lib.config.set_max_steps_per_epoch(None)
