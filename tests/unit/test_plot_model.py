"""Drawings of models: what they show, and that nothing overlaps in any layout."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as tree
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ranvier as keras
from ranvier.errors import RanvierError
from ranvier.utils.layering import Block, Link, arrange

SVG = "{http://www.w3.org/2000/svg}"


def texts(drawing: Any) -> list[str]:
    """The texts of a drawing, read back from its XML."""
    return [e.text or "" for e in tree.fromstring(drawing.svg).iter(f"{SVG}text")]


def arrows(drawing: Any) -> int:
    """How many heads of arrows it has."""
    paths = tree.fromstring(drawing.svg).iter(f"{SVG}path")
    return sum(path.get("fill") != "none" for path in paths)


def two_ways() -> keras.Model:
    image = keras.Input((8, 8, 3), name="image")
    side = keras.Input((4,), name="a<b&c")
    x = keras.layers.Conv2D(5, 3, activation="relu", name="conv")(image)
    x = keras.layers.GlobalAveragePooling2D()(x)
    inner = keras.Sequential(
        [keras.Input((5,)), keras.layers.Dense(4, name="first")], name="nest"
    )
    both = keras.layers.concatenate([inner(x), side * 2.0])
    return keras.Model([image, side], keras.layers.Dense(2, name="out")(both))


def test_layers_arrows_and_what_is_asked_for() -> None:
    model = two_ways()
    model.get_layer("out").trainable = False
    plain = keras.utils.plot_model(model, to_file=None)
    assert sorted(texts(plain)) == sorted(
        [
            "InputLayer",
            "InputLayer",
            "Conv2D",
            "GlobalAveragePooling2D",
            "Sequential",
            "Multiply",
            "Concatenate",
            "Dense",
        ]
    )
    assert arrows(plain) == 7
    full = texts(
        keras.utils.plot_model(
            model,
            to_file=None,
            show_shapes=True,
            show_dtype=True,
            show_layer_names=True,
            show_layer_activations=True,
            show_trainable=True,
        )
    )
    for text in (
        "a<b&c (InputLayer)",
        "conv (Conv2D)",
        "nest (Sequential)",
        "Activation: relu",
        "Activation: linear",
        "Input shape: (None, 8, 8, 3)",
        "Input shape: [(None, 4), (None, 4)]",
        "Output shape: (None, 6, 6, 5)",
        "Non-trainable",
    ):
        assert text in full
    assert full.count("Trainable") == 2  # the convolution and the nested model
    assert full.count("Output dtype: float32") == 8


def test_nested_models_are_drawn_in_frames() -> None:
    nested = keras.utils.plot_model(
        two_ways(), to_file=None, expand_nested=True, show_layer_names=True
    )
    found = texts(nested)
    assert "nest" in found
    assert "first (Dense)" in found
    assert "nest (Sequential)" not in found
    # Into the frame there is no head of its own: it is at the layer within.
    assert arrows(nested) == 7


@pytest.mark.parametrize("rankdir", ["TB", "LR"])
def test_boxes_follow_the_flow(rankdir: str) -> None:
    model = keras.Sequential([keras.Input((3,))])
    for units in (7, 8, 9):
        model.add(keras.layers.Dense(units, name=f"d{units}"))
    drawing = keras.utils.plot_model(
        model, to_file=None, rankdir=rankdir, show_layer_names=True
    )
    root = tree.fromstring(drawing.svg)
    axis = {"TB": "y", "LR": "x"}[rankdir]
    places = {e.text: float(e.get(axis) or 0) for e in root.iter(f"{SVG}text")}
    assert list(places) == sorted(places, key=places.__getitem__)
    assert list(places) == ["d7 (Dense)", "d8 (Dense)", "d9 (Dense)"]
    width, height = float(root.get("width") or 0), float(root.get("height") or 0)
    assert (height > width) == (rankdir == "TB")


def test_a_shared_layer_is_one_box_also_behind_itself() -> None:
    shared = keras.layers.Dense(3)
    x = keras.Input((3,))
    model = keras.Model(x, shared(shared(x)) + shared(x))
    drawing = keras.utils.plot_model(model, to_file=None, show_shapes=True)
    assert texts(drawing).count("Dense") == 1
    assert arrows(drawing) == 3  # from the input, to itself, to the sum


def test_models_without_a_graph() -> None:
    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__(name="mine")
            self.dense = keras.layers.Dense(2)

        def call(self, x: Any) -> Any:
            return self.dense(x)

    model = Own()
    with pytest.raises(RanvierError, match="RV106"):
        keras.utils.plot_model(model, to_file=None)
    model(np.ones((1, 3), "float32"))
    assert texts(keras.utils.plot_model(model, to_file=None)) == ["Own"]


def test_files(tmp_path: Any) -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    path = tmp_path / "drawn" / "model.svg"
    drawing = keras.utils.plot_model(model, path)
    assert path.read_text(encoding="utf-8") == drawing.svg == drawing._repr_svg_()
    for name in ("model.png", "model"):
        with pytest.raises(RanvierError, match="RV100") as refused:
            keras.utils.plot_model(model, tmp_path / name)
        assert "model.svg" in str(refused.value)
        assert not (tmp_path / name).exists()
    with pytest.raises(RanvierError, match="RV100"):
        keras.utils.plot_model(model, None, rankdir="BT")
    with pytest.raises(RanvierError, match="show_shapes"):
        keras.utils.plot_model(model, None, show_shape=True)


def test_a_drawing_has_no_ids_that_would_meet_those_of_a_page() -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    svg = keras.utils.plot_model(model, None).svg
    assert not re.search(r"\bid=|<style|<script|href", svg)


@st.composite
def graphs(draw: Any) -> tuple[list[Block], list[Link]]:
    """Boxes of any size and arrows between any of them."""
    sizes = draw(
        st.lists(
            st.tuples(st.integers(1, 90), st.integers(1, 40)), min_size=1, max_size=9
        )
    )
    ends = st.integers(0, len(sizes) - 1)
    pairs = draw(st.lists(st.tuples(ends, ends), max_size=16))
    return [Block(*s) for s in sizes], [Link(*p) for p in dict.fromkeys(pairs)]


@given(graphs())
def test_nothing_overlaps(graph: tuple[list[Block], list[Link]]) -> None:
    blocks, links = graph
    layout = arrange(blocks, links)
    boxes = [
        (at - b.breadth / 2, at + b.breadth / 2, begin, begin + b.length)
        for b, (at, begin) in zip(blocks, layout.places, strict=True)
    ]
    for left, right, begin, end in boxes:
        assert left >= -1e-6
        assert right <= layout.breadth + 1e-6
        assert begin >= 0
        assert end <= layout.length + 1e-6
    for one, other in itertools.combinations(boxes, 2):
        apart = (
            one[1] < other[0] + 1e-6
            or other[1] < one[0] + 1e-6
            or one[3] <= other[2]
            or other[3] <= one[2]
        )
        assert apart
    for link, route in zip(links, layout.routes, strict=True):
        if link.source == link.target:
            continue
        first, last = boxes[link.source], boxes[link.target]
        assert route[0][1] in first[2:]
        assert route[-1][1] in last[2:]
        assert first[0] <= route[0][0] <= first[1]
        assert last[0] <= route[-1][0] <= last[1]
        for at, *ends in route[1:-1]:  # where it passes a rank, it passes every box
            for box in boxes:
                crosses = min(ends) < box[3] and max(ends) > box[2]
                assert not (crosses and box[0] < at < box[1])


def test_arrows_do_not_cross_where_they_need_not() -> None:
    # Two lines that begin in the opposite order of their ends.
    blocks = [Block(10, 10)] * 6
    links = [Link(0, 3), Link(1, 2), Link(3, 4), Link(2, 5)]
    places = arrange(blocks, links).places
    order = [places[0][0] < places[1][0], places[3][0] < places[2][0]]
    assert order[0] == order[1]
    assert order[0] == (places[4][0] < places[5][0])
