"""What a notebook shows, and the bar for loops of one's own."""

from __future__ import annotations

import io
import itertools
import sys
import types
import xml.etree.ElementTree as tree
from typing import Any

import numpy as np
import pytest

import ranvier as keras
from ranvier.callbacks import screen
from ranvier.errors import RanvierError
from ranvier.utils import progbar


class Cell:
    """Stands in for IPython: what would be drawn, in order."""

    def __init__(self) -> None:
        self.blocks: list[list[str]] = []
        self.html = ""

    def display(self, data: Any, raw: bool, display_id: bool) -> Any:
        assert raw
        assert display_id
        drawn = [data["text/plain"]]
        self.blocks.append(drawn)

        def update(data: Any, raw: bool) -> None:
            drawn.append(data["text/plain"])
            self.html = data["text/html"]

        return types.SimpleNamespace(update=update)


@pytest.fixture(name="cell")
def fixture_cell(monkeypatch: pytest.MonkeyPatch) -> Cell:
    cell = Cell()
    shell = types.SimpleNamespace(kernel=object())
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: shell  # type: ignore[attr-defined]
    display = types.ModuleType("IPython.display")
    display.display = cell.display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return cell


def small() -> keras.Model:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, name="a&<b>")])
    model.compile("sgd", "mse")
    return model


def test_fit_draws_one_block_and_leaves_every_epoch(
    cell: Cell, capsys: pytest.CaptureFixture[str]
) -> None:
    x = np.ones((8, 3), "float32")
    model = small()
    model.fit(x, x[:, :1], epochs=60)
    (block,) = cell.blocks
    lines = block[-1].splitlines()
    assert lines[0] == "… 10 lines before"
    assert [line.split()[1] for line in lines[1:]] == [f"{n}/60" for n in range(11, 61)]
    assert block[-1] in cell.html.replace("&lt;", "<")
    assert "\x1b" not in block[-1]
    model.evaluate(x, x[:, :1])
    assert len(cell.blocks) == 2
    assert "loss" in cell.blocks[1][-1]
    assert capsys.readouterr().err == ""


def test_a_block_is_drawn_at_most_ten_times_a_second(
    cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count(0, 0.01)
    monkeypatch.setattr(screen.time, "monotonic", lambda: next(clock))
    shown = screen.Screen()
    shown.begin()
    for i in range(100):
        shown.draw(f"line {i}", final=True)
    shown.break_line()
    # A second by that clock, or two where it is read twice; the last of it is there.
    (block,) = cell.blocks
    assert 8 <= len(block) <= 21
    assert block[-1].endswith("line 99")


def test_terminals_and_logs_are_no_notebooks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not screen.in_notebook()
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    assert not screen.in_notebook()
    assert not screen.Screen(io.StringIO()).live


def test_a_stream_that_is_given_is_used_in_a_notebook_too(cell: Cell) -> None:
    stream = io.StringIO()
    screen.Screen(stream).draw("told", final=True)
    assert stream.getvalue() == "told\n"
    assert cell.blocks == []


# ------------------------------------------------------------------------ reprs as HTML


def test_a_model_is_a_table_of_its_layers() -> None:
    model = small()
    root = tree.fromstring(f"<div>{model._repr_html_().replace('<br>', '<br/>')}</div>")
    cells = [[cell.text for cell in row] for row in root.iter("tr")]
    assert cells == [
        ["Layer (type)", "Output Shape", "Param #"],
        ["a&<b> (Dense)", "(None, 1)", "4"],
    ]
    text = "".join(root.itertext())
    assert f'Model: "{model.name}"' in text
    assert "Total params: 4 (16.00 B)" in text
    # What is not built yet, or has no graph, is shown as well.
    assert "unbuilt" in keras.Sequential([keras.layers.Dense(2)])._repr_html_()


def test_a_history_is_a_table_with_curves() -> None:
    history = keras.callbacks.History()
    history.history = {
        "loss<": [3.0, float("nan"), 1.0, 2.0],
        "per_class": [np.array([0.5, 0.25])] * 4,
    }
    history.epoch = [2, 3]  # the first two belong to an earlier fit
    root = tree.fromstring(f"<div>{history._repr_html_()}</div>")
    rows = [[cell.text for cell in row] for row in root.iter("tr")]
    assert rows[1][:5] == ["loss<", "3", "1 (epoch 3)", "3 (epoch 1)", "2"]
    assert rows[2][:5] == ["per_class", "[0.5, 0.25]", None, None, "[0.5, 0.25]"]
    (path,) = root.iter("{http://www.w3.org/2000/svg}path")
    points = (path.get("d") or "").split()
    assert points.count("M") == 2  # it is broken where the value is not finite
    assert points.count("L") == 1
    heights = [float(points[i + 2]) for i, p in enumerate(points) if p in "ML"]
    assert heights[0] < heights[2] < heights[1]  # 3, 2, 1 from top to bottom
    assert "0 epochs" in keras.callbacks.History()._repr_html_()


# ------------------------------------------------------------------------------ Progbar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(monkeypatch: pytest.MonkeyPatch, stream: Any, step: float, **kw: Any) -> str:
    monkeypatch.delenv("TERM", raising=False)
    monkeypatch.setattr(sys, "stderr", stream)
    clock = itertools.count(0, step)
    monkeypatch.setattr(progbar.time, "monotonic", lambda: next(clock))
    bar = keras.utils.Progbar(20, **kw)
    for i in range(20):
        bar.add(1, [("loss", float(i))])
    return str(stream.getvalue())


def test_progbar_on_a_terminal_is_redrawn_at_its_interval(monkeypatch: Any) -> None:
    assert run(monkeypatch, Terminal(), 0.5).count("\r") == 20
    text = run(monkeypatch, Terminal(), 0.01, interval=0.05)
    assert 3 <= text.count("\r") <= 5
    assert text.count("\n") == 1
    assert "20/20 ━━━━━━━━━━━━━━━━━━━━" in text
    assert "10ms/step - loss: 19.0000" in text


def test_progbar_in_a_log_is_one_line(monkeypatch: Any) -> None:
    text = run(monkeypatch, io.StringIO(), 0.5, unit_name="sample")
    assert text.count("\n") == 1
    assert not set(text) & {"\r", "\b", "\x1b", "━"}
    assert text.startswith("20/20 ")
    assert "/sample - loss: 19.0000" in text
    assert run(monkeypatch, Terminal(), 0.5, verbose=0) == ""
    assert run(monkeypatch, Terminal(), 0.5, verbose=2).count("\r") == 1


def test_progbar_takes_one_kind_of_names() -> None:
    with pytest.raises(RanvierError, match="RV100"):
        keras.utils.Progbar(3, stateful_metrics=["a"], stateless_metrics=["b"])
    with pytest.raises(ValueError, match="not both"):
        keras.utils.Progbar(3, stateful_metrics=[], stateless_metrics=[])
