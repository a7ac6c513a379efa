"""The lock under which graphs are traced and plans are made."""

from __future__ import annotations

import os
import threading


class ForkSafeLock:
    """A re-entrant lock that a forked child finds free.

    The child has one thread; whoever held the lock is not there to give it back.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


#: Held while layers are built and traced (they note weights and losses on themselves)
#: and while an engine moves variables and makes plans for where they lie: two threads
#: must not do that at a time. What is compiled runs without it.
building = ForkSafeLock()
