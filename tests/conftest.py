"""What all tests share: hypothesis profiles, and what to do without Keras."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import os
import signal

import pytest
from hypothesis import HealthCheck, settings

# Graphs are checked between passes, also in processes that tests start.
os.environ.setdefault("RANVIER_VERIFY", "1")

# Processes of pytest-xdist share the cores: with more threads than cores, workers of the
# engine wait for each other's turn at every step. Tests about threads ask for them.
_PROCESSES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
if _PROCESSES > 1:
    _CORES = len(os.sched_getaffinity(0))
    os.environ.setdefault("RANVIER_THREADS", str(max(1, _CORES // _PROCESSES)))

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

_EXTRA = "pip install '.[test,oracle]'"
_TENSORFLOW = "pip install tensorflow-cpu"
#: Parts of the suite that need packages, what those are called, and how to get them.
_NEEDS = {
    f"{os.sep}oracle{os.sep}": (
        ("keras", "jax"),
        "the comparison with real Keras",
        _EXTRA,
    ),
    f"{os.sep}sklearn{os.sep}": (("scikit-learn",), "the estimators' tests", _EXTRA),
    f"{os.sep}test_frames": (("pandas",), "the tests with data frames", _EXTRA),
    # Keras keeps words, hashes and quantiles in TensorFlow, which is too large to install
    # for a few tests: where it is there, they run.
    f"{os.sep}oracle{os.sep}test_lookup": (
        ("tensorflow",),
        "Keras's layers of words",
        _TENSORFLOW,
    ),
    f"{os.sep}oracle{os.sep}test_quantiles": (
        ("tensorflow",),
        "Keras's quantiles",
        _TENSORFLOW,
    ),
}


def _missing(path: str) -> list[str]:
    """What a file of tests needs and is not there, in words."""
    found = []
    inside = path.partition(f"{os.sep}tests{os.sep}")[2]
    for part, (packages, what, how) in _NEEDS.items():
        if part in f"{os.sep}{inside}" and not all(map(_installed, packages)):
            found.append(f"{what}: {' and '.join(packages)} not installed ({how})")
    return found


@functools.cache
def _installed(package: str) -> bool:
    if package == "tensorflow":  # also as tensorflow-cpu
        return importlib.util.find_spec(package) is not None
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


_left_out: set[str] = set()


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Marks tests by their folder; leaves out those whose packages are missing."""
    kept, left_out = [], []
    for item in items:
        for name in ("oracle", "e2e"):
            if name in item.path.parts:
                item.add_marker(getattr(pytest.mark, name))
        reasons = _missing(os.fspath(item.path))
        _left_out.update(reasons)
        (left_out if reasons else kept).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are numbered: compressed ones hold the time, and names of tests must not."""
    return argname if isinstance(val, bytes) else None


def pytest_ignore_collect(collection_path: os.PathLike[str]) -> bool | None:
    """Keeps pytest from importing tests whose packages are not installed."""
    path = os.fspath(collection_path)
    reasons = _missing(path) if path.endswith(".py") else []
    _left_out.update(reasons)
    return True if reasons else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says what did not run, and why."""
    for reason in sorted(_left_out):
        terminalreporter.write_line(f"did not run, {reason}")
