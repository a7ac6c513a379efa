"""Batches that a program of the user's makes one by one."""

from __future__ import annotations

from typing import Any

from ranvier.errors import ShapeError


class PyDataset:
    """Base class of data sets that give a batch for its number.

    A subclass defines ``__len__``, the number of batches, and ``__getitem__``, which
    gives ``(x, y)`` or ``(x, y, sample_weight)``; it may define `on_epoch_begin` and
    `on_epoch_end`. `fit` asks for the batches in a new order every epoch unless it is
    given ``shuffle=False``. They are made while steps compute, and used in their order.

    Args:
        workers: how many batches are made at a time, each in a thread; 0 makes them in
            the thread that called `fit`, between its steps.
        use_multiprocessing: whether they are made in processes (forked, at each epoch)
            instead; batches are then copied from one to the other.
        max_queue_size: how many are made ahead, at most.

    Raises:
        ShapeError: RV106, when it is used and does not define these two.

    Example:
        >>> import numpy as np
        >>> import ranvier as keras
        >>> class Squares(keras.utils.PyDataset):
        ...     def __len__(self):
        ...         return 4
        ...     def __getitem__(self, index):
        ...         x = np.full((8, 1), index, "float32")
        ...         return x, x**2
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile("adam", "mse")
        >>> len(model.fit(Squares(), epochs=2, verbose=0).history["loss"])
        2
    """

    def __init__(
        self,
        workers: int = 1,
        use_multiprocessing: bool = False,
        max_queue_size: int = 10,
    ) -> None:
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    @property
    def num_batches(self) -> int | None:
        """Number of batches: ``len(self)``, unless a subclass tells another.

        ``None`` stands for batches without end; `fit` then needs ``steps_per_epoch``.
        """
        if hasattr(self, "__len__"):
            return len(self)
        raise ShapeError(
            "RV106",
            f"{type(self).__name__} must define __len__(), the number of batches",
        )

    def __getitem__(self, index: int) -> Any:
        raise ShapeError(
            "RV106",
            f"{type(self).__name__} must define __getitem__(index), which gives (x, y)",
        )

    def on_epoch_begin(self) -> None:
        """Called before an epoch."""

    def on_epoch_end(self) -> None:
        """Called after an epoch."""


#: Keras's older name of it.
Sequence = PyDataset
