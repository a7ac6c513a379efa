"""The examples in the documentation hold, in every module that has one."""

from __future__ import annotations

import doctest
import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest

import ranvier
import ranvier.activations
import ranvier.losses
import ranvier.metrics

ROOT = Path(ranvier.__file__).parent
#: These need an extra, or make networks of a hundred megabytes: tests of their own run
#: their examples (tests/sklearn, tests/unit/test_applications.py).
ELSEWHERE = ("ranvier.sklearn", "ranvier.engines.jax", "ranvier.applications.")


def name_of(path: Path) -> str:
    parts = ("ranvier", *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts).removesuffix(".__init__")


MODULES = [
    name_of(path)
    for path in sorted(ROOT.rglob("*.py"))
    if not name_of(path).startswith(ELSEWHERE)
    and ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    module = importlib.import_module(name)
    found = doctest.testmod(module)
    assert found.failed == 0
    # Not only in text that nobody runs: a dictionary, a string of its own. What needs
    # a download is marked.
    assert found.attempted > 0 or "+SKIP" in inspect.getsource(module)


def members(module: Any) -> list[str]:
    """Its public classes and functions, but for mere marks."""
    things = ((name, getattr(module, name)) for name in module.__all__)
    shown = [n for n, x in things if inspect.isclass(x) or inspect.isfunction(x)]
    return [name for name in shown if not name.isupper()]


#: Packages in which everything that can be called shows how.
SHOWN = ("activations", "layers", "losses", "metrics", "ops.image", "tree")


@pytest.mark.parametrize("package", SHOWN)
def test_everything_public_has_an_example(package: str) -> None:
    module = importlib.import_module(f"ranvier.{package}")
    without = [
        name
        for name in members(module)
        if not any(
            mark in (inspect.getdoc(getattr(module, name)) or "")
            for mark in (">>> ", "```python")
        )
    ]
    assert without == []
