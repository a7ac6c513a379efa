"""Public names: sorted, importable, documented; and what importing must not load."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys

import pytest

import ranvier

MODULES = sorted(
    name
    for name in ranvier.__all__
    if inspect.ismodule(getattr(ranvier, name)) and name != "as_keras"
)


def order(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions, as ruff sorts ``__all__``."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2
    return kind, name


@pytest.mark.parametrize("module", ["ranvier", *(f"ranvier.{m}" for m in MODULES)])
def test_public_names_exist_once_and_in_order(module: str) -> None:
    found = importlib.import_module(module)
    names = list(found.__all__)
    assert len(set(names)) == len(names)
    assert names in (sorted(names), sorted(names, key=order))
    for name in names:
        assert getattr(found, name) is not None
    assert set(names) <= set(dir(found))


@pytest.mark.parametrize("module", MODULES)
def test_public_things_are_documented(module: str) -> None:
    found = importlib.import_module(f"ranvier.{module}")
    assert found.__doc__
    for name in found.__all__:
        thing = getattr(found, name)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            assert thing.__doc__, f"ranvier.{module}.{name} has no docstring"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        ranvier.nothing_of_the_kind  # noqa: B018


def loaded(code: str) -> set[str]:
    """Modules in a fresh interpreter after some code."""
    script = f"import sys\n{code}\nprint(' '.join(sys.modules))"
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(found.stdout.split())


def test_importing_loads_next_to_nothing() -> None:
    names = loaded("import ranvier")
    assert not names & {
        "numpy", "h5py", "click", "rich", "safetensors", "ranvier._native",
        "ranvier.layers", "ranvier.losses", "ranvier.graph",
    }  # fmt: skip


def test_training_loads_neither_files_nor_terminal() -> None:
    names = loaded(
        "import numpy as np, ranvier as k\n"
        "m = k.Sequential([k.Input((2,)), k.layers.Dense(1)])\n"
        "m.compile('adam', 'mse')\n"
        "m.fit(np.ones((4, 2)), np.ones(4), verbose=0)\n"
        "m.predict(np.ones((1, 2)), verbose=0)"
    )
    assert "ranvier._native" in names
    assert not names & {
        "h5py", "click", "rich", "safetensors", "http.client", "PIL", "ranvier.cli",
        "ranvier.datasets", "ranvier.models.saving", "asyncio", "multiprocessing", "logging",
    }  # fmt: skip
