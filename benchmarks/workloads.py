"""What is timed: the rows of the table, and the data each of them uses.

Both interpreters import this file (ranvier's and the peers'), so it needs NumPy and
the standard library only.
"""

from __future__ import annotations

import gzip
import os
import struct
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

#: Where Debian's package `dataset-fashion-mnist` and the usual caches keep the files.
FASHION_FOLDERS = (
    "/usr/share/datasets/fashion-mnist",
    "~/.ranvier/datasets/fashion-mnist",
    "~/.keras/datasets/fashion-mnist",
)


@dataclass(frozen=True)
class Workload:
    """One row of the table.

    `sizes` are the widths from input to output, `scaled` the number of rows that a
    slow side really trains (its time is multiplied up to `rows` and marked). `must` and
    `aim` are the wanted ratios; `against` names the peer the wanted ratio is about
    where that is one peer and not the best of all; `only` the sides that take part,
    where not all do.
    """

    name: str
    title: str
    sizes: tuple[int, ...]
    batch: int
    rows: int
    loss: str = "mse"  # "mse" or "sparse_ce" (from logits)
    activation: str = "relu"
    data: str = "random"  # "random" or "fashion"
    #: "fit", "estimator" (scikit-learn's `fit`), "predict" (of one row) or "fresh" (process)
    kind: str = "fit"
    epochs: int = 1
    must: float | None = None
    aim: float | None = None
    against: str | None = None
    scaled: dict[str, int] = field(default_factory=dict)
    only: tuple[str, ...] = ()

    @property
    def trains(self) -> bool:
        """Whether a run is training on all rows, as it may be repeated."""
        return self.kind in ("fit", "estimator")

    @property
    def parameters(self) -> int:
        """Number of weights and biases: sum of `out * (in + 1)`."""
        pairs = zip(self.sizes, self.sizes[1:], strict=False)
        return sum(fan_out * (fan_in + 1) for fan_in, fan_out in pairs)

    @property
    def flops_per_row(self) -> int:
        """FLOPs of the matrix products of one training row.

        `2 in out` each for the forward product, the weight gradient and (in every layer
        but the first, where nobody asks for it) the input gradient.
        """
        total = 0
        for i, (fan_in, fan_out) in enumerate(
            zip(self.sizes, self.sizes[1:], strict=False)
        ):
            total += (4 if i == 0 else 6) * fan_in * fan_out
        return total


_FASHION = (784, 128, 10)
_TINY = (3, 6, 6, 1)
_SMALL = (20, 64, 64, 1)

#: scikit-learn's way to train: only these two have it.
_ESTIMATORS = ("ranvier", "sklearn")

#: At batch 1 these sides would need minutes for an epoch.
_SLOW_AT_1 = {"torch": 5000, "keras-jax": 3000, "keras-tf": 2000, "sklearn": 5000}
_SLOW_AT_32 = {"torch": 64_000, "keras-jax": 32_000, "keras-tf": 32_000}

WORKLOADS: tuple[Workload, ...] = (
    Workload(
        "fashion-b1", "784-128-10 on 60,000 Fashion-MNIST rows, batch 1", _FASHION, 1,
        60_000, "sparse_ce", data="fashion", must=3.0, aim=4.0, scaled=_SLOW_AT_1,
    ),
    Workload(
        "fashion-b32", "784-128-10, the same rows, batch 32", _FASHION, 32,
        60_000, "sparse_ce", data="fashion", must=2.0, aim=2.5,
    ),
    Workload(
        "fashion-b128", "784-128-10, the same rows, batch 128", _FASHION, 128,
        60_000, "sparse_ce", data="fashion", must=1.6, aim=2.0,
    ),
    Workload(
        "fashion-b512", "784-128-10, the same rows, batch 512", _FASHION, 512,
        60_000, "sparse_ce", data="fashion", must=1.5, aim=1.9,
    ),
    Workload(
        "wide-b64", "512-1024-1024-10, batch 64, 12,800 rows", (512, 1024, 1024, 10),
        64, 12_800, "sparse_ce", must=1.3, aim=1.6,
    ),
    Workload(
        "tiny-b1", "3-6-6-1 (73 parameters), batch 1, 100,000 rows", _TINY, 1, 100_000,
        must=6.0, aim=10.0, scaled=_SLOW_AT_1,
    ),
    Workload(
        "tiny-b32", "3-6-6-1, batch 32, 100,000 rows", _TINY, 32, 100_000,
        must=15.0, aim=25.0, scaled=_SLOW_AT_32,
    ),
    Workload(
        "estimator-b32", "`RanvierClassifier` against `MLPClassifier`: 784-128-10, batch "
        "32, 60,000 Fashion-MNIST rows", _FASHION, 32, 60_000, "sparse_ce",
        data="fashion", kind="estimator", must=3.0, only=_ESTIMATORS,
    ),
    Workload(
        "estimator-b200", "the same, batch 200", _FASHION, 200, 60_000, "sparse_ce",
        data="fashion", kind="estimator", must=1.0, only=_ESTIMATORS,
    ),
    Workload(
        "estimator-100", "the same estimators, `fit` of 100 rows: 20-100-3, 200 epochs",
        (20, 100, 3), 100, 100, "sparse_ce", kind="estimator", epochs=200, must=1.0,
        only=_ESTIMATORS,
    ),
    Workload(
        "predict-1", "`predict` of one row, 20-64-64-1, median of many calls", _SMALL,
        1, 1, kind="predict", must=1.5, aim=3.0, against="torch",
    ),
    Workload(
        "fresh", "fresh process: import, build, fit 1,000 x 20 one epoch, exit", _SMALL,
        32, 1000, kind="fresh", must=2.0, aim=3.5,
    ),
)  # fmt: skip

#: Networks that no row of the table names, to see that the speed is general.
OTHERS: tuple[Workload, ...] = (
    Workload(
        "other-deep", "784-300-200-100-50-10 tanh, batch 50, 20,000 rows",
        (784, 300, 200, 100, 50, 10), 50, 20_000, "sparse_ce", activation="tanh",
    ),
    Workload(
        "other-odd", "101-77-33-3 sigmoid, batch 37, 50,001 rows", (101, 77, 33, 3), 37,
        50_001, "sparse_ce", activation="sigmoid",
    ),
    Workload(
        "other-gelu", "256-512-256-1 gelu, batch 100, 20,000 rows", (256, 512, 256, 1),
        100, 20_000, activation="gelu",
    ),
    Workload(
        "other-regress", "13-64-64-1 relu, batch 8, 50,000 rows", (13, 64, 64, 1), 8,
        50_000, scaled={"torch": 20_000, "keras-jax": 20_000, "keras-tf": 10_000},
    ),
)  # fmt: skip

#: Sides that have no such activation leave the row out and say so.
SKLEARN_ACTIVATIONS = {"relu": "relu", "tanh": "tanh", "sigmoid": "logistic"}


def find(name: str) -> Workload:
    """The workload called `name`; `KeyError` with the known names otherwise."""
    for workload in WORKLOADS + OTHERS:
        if workload.name == name:
            return workload
    known = ", ".join(w.name for w in WORKLOADS + OTHERS)
    raise KeyError(f"no workload {name!r}; known: {known}")


def read_idx(path: Path) -> np.ndarray:
    """Reads one gzipped IDX file of unsigned bytes."""
    with gzip.open(path, "rb") as stream:
        zero, kind, rank = struct.unpack(">HBB", stream.read(4))
        if zero != 0 or kind != 8:
            raise ValueError(f"{path} is not an IDX file of unsigned bytes")
        shape = struct.unpack(f">{rank}I", stream.read(4 * rank))
        return np.frombuffer(stream.read(), np.uint8).reshape(shape)


def fashion_folder() -> Path | None:
    """The folder holding the training files of Fashion-MNIST, if there is one."""
    given = os.environ.get("RANVIER_BENCH_FASHION")
    for folder in (given,) if given else FASHION_FOLDERS:
        path = Path(folder).expanduser()
        if (path / "train-images-idx3-ubyte.gz").exists():
            return path
    return None


def make_data(workload: Workload, rows: int) -> tuple[np.ndarray, np.ndarray, str]:
    """The first `rows` rows of the workload's data, `x` in float32, and what they are.

    Labels are int32 `(n,)` for "sparse_ce" and float32 `(n, 1)` for "mse".
    """
    if workload.data == "fashion":
        folder = fashion_folder()
        if folder is not None:
            images = read_idx(folder / "train-images-idx3-ubyte.gz")[:rows]
            labels = read_idx(folder / "train-labels-idx1-ubyte.gz")[:rows]
            x = images.reshape(len(images), -1).astype(np.float32)
            x /= np.float32(255)
            return x, labels.astype(np.int32), "Fashion-MNIST"
    rng = np.random.default_rng(1)
    width, out = workload.sizes[0], workload.sizes[-1]
    if workload.data == "fashion":
        x = rng.integers(0, 256, (rows, width), dtype=np.uint8).astype(np.float32)
        x /= np.float32(255)
        what = "random bytes in the shape of Fashion-MNIST (its files were not found)"
    else:
        x = rng.standard_normal((rows, width), dtype=np.float32)
        what = "random normal rows"
    # Something that can be learned: a random linear map of the row.
    guide = rng.standard_normal((width, out), dtype=np.float32) / np.float32(width**0.5)
    scores = (x - x.mean()) @ guide
    if workload.loss == "sparse_ce":
        return x, scores.argmax(1).astype(np.int32), what
    return x, np.tanh(scores).astype(np.float32), what
