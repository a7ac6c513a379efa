"""``ranvier doctor``: the facts a bug report or a slow run is about."""

from __future__ import annotations

import importlib
import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from ranvier import config
from ranvier.cli.datasets import table
from ranvier.cli.output import Output
from ranvier.errors import RanvierError

__all__ = ["facts", "main"]


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _native() -> dict[str, Any]:
    """What the compiled module says of itself, or why it is not there."""
    try:
        module: Any = importlib.import_module("ranvier._native")
    except (ImportError, RanvierError) as fault:
        return {"loaded": False, "why": str(fault)}
    facts: dict[str, Any] = {"loaded": True, "file": getattr(module, "__file__", "")}
    for name in ("isa", "isas", "threads", "warning"):
        value = getattr(module, name, None)
        if value is not None:
            facts[name] = value() if callable(value) else value
    if not facts.get("warning"):
        facts.pop("warning", None)
    return facts


def facts() -> dict[str, Any]:
    """Everything, as one tree."""
    problems: list[str] = []
    variables: dict[str, Any] = {}
    for name in config.VARIABLES:
        try:
            variables[name] = config.get(name)
        except RanvierError as fault:
            variables[name] = os.environ.get(name)
            problems.append(f"[{fault.code}] {fault.message}")
    native = _native()
    if not native["loaded"]:
        problems.append(
            "[RV804] the native engine is missing: "
            "apt install g++ python3-dev, then pip install ."
        )
    elif "warning" in native:
        problems.append(f"[RV803] {native['warning']}")
    home = config.cache_folder() if "RANVIER_HOME" in variables else Path()
    affinity = getattr(os, "sched_getaffinity", None)
    packages = ("numpy", "h5py", "click", "pillow", "scikit-learn")
    return {
        "ranvier": _version("ranvier") or "not installed (run from its sources)",
        "python": f"{platform.python_version()} {sys.executable}",
        "system": platform.platform(),
        "cpu": _cpu(),
        "cores": len(affinity(0)) if affinity else os.cpu_count(),
        "native": native,
        "packages": {name: _version(name) for name in packages},
        "variables": variables,
        "cache": str(home),
        "datasets": {row["name"]: row["where"] for row in table()},
        "problems": problems,
    }


def main(*, as_json: bool) -> int:
    """Prints the facts; exit code 1 when something is wrong."""
    output = Output(as_json=as_json)
    found = facts()
    if as_json:
        output.json(found)
        return 1 if found["problems"] else 0
    problems = found.pop("problems")
    for name, value in found.items():
        if isinstance(value, dict):
            for key, item in value.items():
                output.line(f"{name + '.' + key:<28} {'-' if item is None else item}")
        else:
            output.line(f"{name:<28} {value}")
    for problem in problems:
        output.line(f"problem: {problem}")
    if not problems:
        output.line("no problem found")
    return 1 if problems else 0
