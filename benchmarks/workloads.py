"""What is timed: the rows of the tables, in suites that run apart.

Both interpreters import this file (ranvier's and the peers'), so it needs the standard
library only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import networks


@dataclass(frozen=True)
class Workload:
    """One row of a table.

    `sizes` are the widths of a dense network from input to output; `net` is the name of
    any other one. `scaled` is the number of rows that a slow side really trains (its
    time is multiplied up to `rows` and marked). `must` and
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
    #: "fit", "estimator" (scikit-learn's `fit`), "predict" (of one batch) or "fresh" (process)
    kind: str = "fit"
    net: str = ""
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
    def network(self) -> networks.Network:
        """What is trained."""
        if self.net:
            return networks.find(self.net)
        return networks.dense(self.sizes, self.activation)


_FASHION = (784, 128, 10)
_TINY = (3, 6, 6, 1)
_SMALL = (20, 64, 64, 1)

#: scikit-learn's way to train: only these two have it.
_ESTIMATORS = ("ranvier", "sklearn")

#: At batch 1 these sides would need minutes for an epoch.
_SLOW_AT_1 = {"torch": 5000, "keras-jax": 3000, "keras-tf": 2000, "sklearn": 5000}
_SLOW_AT_32 = {"torch": 64_000, "keras-jax": 32_000, "keras-tf": 32_000}

_DENSE: tuple[Workload, ...] = (
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

_DENSE_OTHERS: tuple[Workload, ...] = (
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

_TORCHES = ("torch", "torch-nhwc")
#: Keras on TensorFlow as it is by default (XLA), and without XLA.
_TENSORFLOWS = ("keras-tf", "keras-tf-nojit")
#: Who takes part where there are no images.
_ONE_TORCH = ("ranvier", "jax", "torch", "keras-jax", *_TENSORFLOWS)


def _net(
    name: str, title: str, net: str, batch: int, rows: int, **more: Any
) -> Workload:
    return Workload(name, title, (), batch, rows, "sparse_ce", net=net, **more)


_CONVNET = "keras.io convnet (Conv32-pool-Conv64-pool-Dense10), 12,000 Fashion-MNIST rows, batch"
_NETWORKS: tuple[Workload, ...] = (
    _net(
        "convnet-b32", f"{_CONVNET} 32", "convnet", 32, 12_000, data="fashion", must=2.5,
        aim=3.3, scaled={"jax": 3200},
    ),
    _net(
        "convnet-b128", f"{_CONVNET} 128", "convnet", 128, 12_000, data="fashion",
        must=2.2, aim=2.8, scaled={"jax": 3200},
    ),
    _net(
        "residual", "residual net (3 stages of 2 blocks, 16-32-64 channels) on 32x32x3, "
        "batch 64, 1,280 rows", "residual", 64, 1280, must=1.2, aim=2.0,
        scaled={"jax": 256},
    ),
    _net(
        "separable", "depthwise-separable net (MobileNet-like, width 0.25) on 64x64x3, "
        "batch 32, 1,600 rows", "separable", 32, 1600, must=1.2, aim=2.2,
        scaled={"jax": 128},
    ),
    _net(
        "lstm", "LSTM(64) over 64 steps of 32 features, batch 32, 6,400 rows", "lstm",
        32, 6400, must=1.6, aim=2.2, only=_ONE_TORCH,
    ),
    _net(
        "transformer", "two-block causal transformer (d 64, 4 heads, T 64, 256 words), "
        "batch 16, 1,600 rows", "transformer", 16, 1600, must=2.0, aim=3.5,
        only=_ONE_TORCH,
    ),
    _net(
        "resnet50-1", "ResNet-50 `predict`, 224x224, batch 1", "resnet50", 1, 1,
        kind="predict", aim=1.0, only=("ranvier", *_TORCHES),
    ),
    _net(
        "resnet50-8", "the same, batch 8", "resnet50", 8, 8, kind="predict", aim=1.0,
        only=("ranvier", *_TORCHES),
    ),
)  # fmt: skip

#: Other kernels, channels, strides, lengths and batches than the table has.
_NETWORKS_OTHERS: tuple[Workload, ...] = (
    _net(
        "other-convnet", "5x5 convolutions of 24 and 48 channels with pools, 32x32x3, "
        "batch 50, 3,010 rows", "other-convnet", 50, 3010, scaled={"jax": 500},
    ),
    _net(
        "other-residual", "residual net (stages of 1 block, 20-48 channels) on 27x27x3, "
        "batch 24, 1,210 rows", "other-residual", 24, 1210, scaled={"jax": 240},
    ),
    _net(
        "other-separable", "depthwise-separable net, width 0.375, 48x48x3, batch 20, "
        "1,010 rows", "other-separable", 20, 1010, scaled={"jax": 100},
    ),
    _net(
        "other-lstm", "LSTM(100) over 37 steps of 20 features, batch 24, 4,810 rows",
        "other-lstm", 24, 4810, only=_ONE_TORCH,
    ),
    _net(
        "other-transformer", "one-block causal transformer (d 96, 6 heads, T 100), "
        "batch 10, 510 rows", "other-transformer", 10, 510, only=_ONE_TORCH,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Suite:
    """Rows and figures that are reported together.

    `others` are rows beyond the table, to see that the speed is general; `peers` the
    sides to compare with; `claims` ranvier's own figures (see the package `claims`).
    """

    title: str
    table: tuple[Workload, ...]
    others: tuple[Workload, ...]
    peers: tuple[str, ...]
    claims: tuple[str, ...]

    def named(self, word: str) -> list[str]:
        """Rows that `word` stands for: "table", "others", a name or its beginning."""
        sets = {"table": self.table, "others": self.others}
        every = [w.name for w in sets.get(word, self.table + self.others)]
        if word in sets or word in every:
            return every if word in sets else [word]
        return [name for name in every if name.startswith(word)]


SUITES = {
    "dense": Suite(
        "Dense networks",
        _DENSE,
        _DENSE_OTHERS,
        ("jax", "torch", "sklearn", "keras-jax", "keras-tf"),
        ("import_time", "peak", "threads", "fit_cost", "compile_time", "rows_cost",
         "memory", "shapes"),
    ),
    "networks": Suite(
        "Convolutions, recurrences, attention",
        _NETWORKS,
        _NETWORKS_OTHERS,
        ("jax", *_TORCHES, "keras-jax", *_TENSORFLOWS),
        ("conv_peak", "network_threads", "network_memory", "network_compile"),
    ),
}  # fmt: skip

WORKLOADS = {w.name: w for s in SUITES.values() for w in s.table + s.others}

#: Sides that have no such activation leave the row out and say so.
SKLEARN_ACTIVATIONS = {"relu": "relu", "tanh": "tanh", "sigmoid": "logistic"}


def find(name: str) -> Workload:
    """The workload called `name`; `KeyError` with the known names otherwise."""
    if name not in WORKLOADS:
        raise KeyError(f"no workload {name!r}; known: {', '.join(WORKLOADS)}")
    return WORKLOADS[name]
