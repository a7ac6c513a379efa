"""Which engine runs a graph: the one asked for, else the reference engine, said once."""

from __future__ import annotations

from typing import Any

from ranvier.engines import api
from ranvier.errors import EnvironmentFault, Finding, warn
from ranvier.graph.ir import Graph

_said: set[str] = set()


def default_engine() -> str:
    """The engine's name from ``RANVIER_ENGINE``, else ``"native"``."""
    from ranvier import config

    return str(config.get("RANVIER_ENGINE"))


def compile_graph(graph: Graph, engine: str | None = None) -> Any:
    """An executable of the graph on this engine, or on the reference engine.

    Where the native engine is not built or lacks an operation, the reference engine
    runs the graph and a finding (RV502) says which operation it was. Other engines are
    there to compare with, so nothing takes their place.

    Raises:
        Unsupported: RV502, when another engine lacks an operation.
        EnvironmentFault: RV801, when the package that the engine needs is missing.
    """
    name = engine or default_engine()
    if name != "native":
        return api.get(name).compile(graph)
    try:
        return api.get(name).compile(graph)
    except api.Unsupported as fault:
        reason = fault.message
    except ImportError as fault:
        reason = f"the native engine is not built ({fault})"
    except EnvironmentFault as fault:
        if fault.code != "RV804":
            raise
        reason = fault.message
    if reason not in _said:
        _said.add(reason)
        warn(
            Finding(
                "RV502",
                f"runs on the slow reference engine: {reason}",
                fix="pip install . with g++ and the Python headers present"
                if "not built" in reason
                else "engine='reference' silences this",
            )
        )
    return api.get("reference").compile(graph)
