"""The examples in the documentation of activations, losses and metrics hold."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil

import pytest

import ranvier.activations
import ranvier.losses
import ranvier.metrics

PACKAGES = (ranvier.losses, ranvier.metrics)
MODULES = [
    "ranvier._lookup",
    "ranvier.activations",
    *(
        f"{package.__name__}.{found.name}"
        for package in PACKAGES
        for found in pkgutil.iter_modules(package.__path__)
    ),
    *(package.__name__ for package in PACKAGES),
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    found = doctest.testmod(importlib.import_module(name))
    assert found.failed == 0


@pytest.mark.parametrize("module", [ranvier.activations, *PACKAGES])
def test_everything_public_has_an_example(module):
    for name in module.__all__:
        text = inspect.getdoc(getattr(module, name)) or ""
        assert ">>> " in text, f"{module.__name__}.{name}"
