"""Compiled networks, lent to one estimator at a time.

Tracing and planning a network takes longer than training it on a few hundred rows; a
grid search fits the same architecture again and again. So networks outlive the
estimators: an estimator keeps its weights as arrays and borrows a network for each call.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ranvier import config
from ranvier.sklearn.network import Architecture, Network

__all__ = ["borrowed", "idle", "worker_threads"]

#: Networks kept idle, and how many weights they may have in all.
COUNT = 16
PARAMETERS = 16_000_000

_lock = threading.Lock()
_idle: list[Network] = []


@contextmanager
def borrowed(shape: Architecture) -> Iterator[Network]:
    """A network of this architecture that nobody else uses meanwhile.

    Its weights, slots and penalty are whatever the last user left.
    """
    network = _take(shape)
    with config.at_most_threads(shape.threads):
        if network is None:
            network = Network(shape)
        yield network
    # One that was left by an exception is not given back: it may be half written.
    _give(network)


def idle() -> list[Architecture]:
    """Architectures of the networks that wait, the longest idle first."""
    with _lock:
        return [network.shape_of_it for network in _idle]


def _take(shape: Architecture) -> Network | None:
    with _lock:
        for i in reversed(range(len(_idle))):
            if _idle[i].shape_of_it == shape:
                return _idle.pop(i)
    return None


def _give(network: Network) -> None:
    with _lock:
        _idle.append(network)
        while len(_idle) > COUNT or (
            sum(n.shape_of_it.parameters for n in _idle) > PARAMETERS
        ):
            _idle.pop(0)


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def worker_threads(threads: int | None) -> int | None:
    """Workers for a call: those asked for; one in a worker process of joblib.

    There the processes are the parallelism, and each having a team of its own would
    only make them wait for each other. Results do not depend on it.
    """
    if threads is not None:
        return int(threads)
    process = multiprocessing.current_process()
    pooled = process.daemon or process.name.startswith("LokyProcess")
    return 1 if pooled else None
