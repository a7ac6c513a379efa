"""Operations joined with engines: an empty cell is declared with a reason, or a fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from ranvier.engines import api
from ranvier.engines.native import rows as _rows  # noqa: F401  (fills the table)
from ranvier.engines.native.engine import KERNELS
from ranvier.engines.native.gaps import GAPS
from ranvier.engines.native.nodes import ALIASES
from ranvier.engines.native.programs import ELEMENTWISE
from ranvier.engines.native.table import ROWS
from ranvier.engines.table import LEAVES, render, rows
from ranvier.graph import COMPOSITES, REGISTRY, Spec, trace
from ranvier.graph import control as c
from ranvier.graph import functions as f

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "ops.md"
TABLE = {row.name: row for row in rows()}


def test_the_table_has_every_operation() -> None:
    assert set(TABLE) == (set(REGISTRY) | set(COMPOSITES)) - LEAVES


@pytest.mark.parametrize("name", sorted(TABLE))
def test_no_cell_is_empty_without_a_reason(name: str) -> None:
    row = TABLE[name]
    assert row.native or row.gap, (
        f"the native engine has no row for {name!r}: add one, or declare the gap in "
        "engines/native/gaps.py"
    )
    assert not (row.native and row.gap), f"{name!r} runs natively: its gap is closed"
    assert row.gradient


def test_nothing_is_declared_that_does_not_exist() -> None:
    known = set(REGISTRY) | set(COMPOSITES)
    assert set(GAPS) <= known
    assert set(ROWS) <= known
    assert known >= KERNELS
    assert set(ROWS) >= ALIASES
    assert known >= ELEMENTWISE
    assert all(reason.strip() for reason in GAPS.values())


def test_an_operation_has_one_row_only() -> None:
    assert not set(ROWS) & ELEMENTWISE


@pytest.mark.parametrize("inside", [False, True])
def test_a_gap_is_named_when_a_graph_meets_it(
    monkeypatch: pytest.MonkeyPatch, inside: bool
) -> None:
    """Also in the body of a loop. The row of a running sum is taken away for it."""
    monkeypatch.delitem(ROWS, "cumsum")
    monkeypatch.setitem(GAPS, "cumsum", "nobody adds up here")

    def step(x):  # type: ignore[no-untyped-def]
        y = f.cumsum(x["x"]) if not inside else x["x"]
        return {"y": c.scan(lambda a, b: (f.cumsum(a) if inside else a, b), y, y)[0]}

    graph = trace(step, {"x": Spec((4,), "float32")})
    with pytest.raises(api.Unsupported) as caught:
        api.get("native").compile(graph)
    assert caught.value.code == "RV502"
    assert "'cumsum'" in caught.value.message
    assert "nobody adds up here" in str(caught.value)
    assert __file__ in str(caught.value)


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(rows()), (
        "run: python -m ranvier.engines.table docs/reference/ops.md"
    )
