"""What all tests share: hypothesis profiles, and what to do without Keras."""

from __future__ import annotations

import importlib.util
import os
import signal

import pytest
from hypothesis import HealthCheck, settings

# Graphs are checked between passes, also in processes that tests start.
os.environ.setdefault("RANVIER_VERIFY", "1")

# A shell's background job ignores Ctrl-C, and so would the tests that press it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No deadline: a slow machine is no failure. Derandomised: CI gives the same verdict
# twice; `scripts/check-long fuzz` looks further.
settings.register_profile(
    "short",
    deadline=None,
    derandomize=True,
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("long", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))

_HAVE_KERAS = all(importlib.util.find_spec(name) for name in ("keras", "jax"))
_deselected = 0


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Marks tests by their folder; leaves the oracle's out where Keras is missing."""
    global _deselected
    kept, left_out = [], []
    for item in items:
        folders = item.path.parts
        if "oracle" in folders:
            item.add_marker(pytest.mark.oracle)
        if "e2e" in folders:
            item.add_marker(pytest.mark.e2e)
        (left_out if "oracle" in folders and not _HAVE_KERAS else kept).append(item)
    if left_out:
        _deselected = len(left_out)
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


def pytest_ignore_collect(collection_path: os.PathLike[str]) -> bool | None:
    """Keeps pytest from importing Keras where it is not installed."""
    global _deselected
    path = os.fspath(collection_path)
    if not _HAVE_KERAS and f"{os.sep}tests{os.sep}oracle" in path:
        _deselected = max(_deselected, 1)
        return True
    return None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says so when the comparison with real Keras did not run."""
    if _deselected:
        terminalreporter.write_line(
            "the comparison with real Keras did not run: keras and jax are not "
            "installed (pip install '.[test,oracle]')"
        )
