"""Real Keras, on JAX, beside ranvier: what the oracle tests share."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")

from ranvier.engines import api
from ranvier.graph import Dim, Graph, Spec, trace


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Lets warnings of Keras and JAX themselves pass; ranvier's are errors."""
    for item in items:
        if "oracle" in item.path.parts:
            for message in ("__array__ implementation", "Explicitly requested dtype"):
                item.add_marker(pytest.mark.filterwarnings(f"ignore:{message}"))


@pytest.fixture(scope="session")
def keras() -> Any:
    """Real Keras; the suite is left out where the extra `[oracle]` is missing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("keras")


class Traced:
    """A function of arrays, traced once with a symbolic first axis.

    `run` evaluates it on the reference engine for arrays of any length, and carries
    the variables it assigns from call to call. The native engine must agree.
    """

    #: Operations that the native engine declares it has no kernel for.
    gaps = frozenset({"scan"})

    def __init__(self, fn: Callable[..., Any], example: Mapping[str, Any]) -> None:
        batch = Dim.symbol("batch")
        specs = {}
        for name, array in example.items():
            array = np.asarray(array)
            shape = (batch, *array.shape[1:]) if array.ndim else ()
            specs[name] = Spec(shape, str(array.dtype))
        self.graph: Graph = trace(lambda inputs: fn(**inputs) or {}, specs)
        self.reference = api.get("reference").compile(self.graph)
        self.native = None
        if not self.gaps & {node.op.name for node in self.graph.nodes()}:
            self.native = api.get("native").compile(self.graph)

    def run(self, **arrays: Any) -> dict[str, np.ndarray]:
        """Named outputs for these arrays; assigned variables are updated."""
        arrays = {name: np.asarray(a) for name, a in arrays.items()}
        variables = self.graph.variables()
        before = [v.numpy() for v in variables]
        found = self.reference.call(arrays)
        after = [v.numpy() for v in variables]
        if self.native is not None:
            for variable, value in zip(variables, before, strict=True):
                variable.assign(value)
            again = self.native.call(arrays)
            for name, wanted in found.items():
                agree(again[name], wanted)
            for variable, wanted in zip(variables, after, strict=True):
                agree(variable.numpy(), wanted)
                variable.assign(wanted)
        return found


def agree(found: np.ndarray, wanted: np.ndarray) -> None:
    """Equal up to the rounding of another order of operations in float32."""
    assert found.dtype == wanted.dtype
    np.testing.assert_allclose(found, wanted, rtol=5e-5, atol=1e-5)


@pytest.fixture(scope="session")
def traced() -> type[Traced]:
    """Traces a function with a symbolic batch size: `traced(fn, example).run(...)`."""
    return Traced
