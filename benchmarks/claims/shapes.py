"""Networks, losses, optimizers and batch sizes that the table does not name.

Cost per FLOP (of the matrix products) is compared with that of the nearest row of the
table, nearest in work per step: the figure that decides how much a fixed cost weighs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import networks
import workloads

from claims._common import build, rows_for, seconds, tell


@dataclass(frozen=True)
class Shape:
    """A network off the table."""

    sizes: tuple[int, ...]
    batch: int
    loss: str = "sparse_ce"
    activation: str = "relu"
    optimizer: str = "adam"


SHAPES = (
    Shape((784, 300, 200, 100, 50, 10), 50, activation="tanh"),
    Shape((784, 128, 10), 33),
    Shape((784, 128, 10), 100, optimizer="sgd"),
    Shape((784, 128, 10), 128, optimizer="rmsprop"),
    Shape((784, 100, 10), 32, activation="gelu"),
    Shape((256, 512, 256, 1), 100, "mse", "gelu"),
    Shape((300, 300, 300, 5), 200, activation="elu"),
    Shape((101, 77, 33, 3), 37, activation="sigmoid"),
    Shape((1000, 64, 2), 16, activation="swish", optimizer="nadam"),
    Shape((64, 64, 64, 64, 64, 1), 64, "mean_absolute_error"),
    Shape((784, 128, 64, 10), 1),
    Shape((13, 64, 64, 1), 8, "mse"),
)
ROUNDS = 4
WORK = 6e9  # FLOPs of one timed fit, about


def flops(sizes: tuple[int, ...]) -> int:
    """FLOPs per row."""
    return networks.dense(sizes).train_flops


def main() -> None:
    """Rows of the table and the others take turns."""
    table = [
        Shape(w.sizes, w.batch, w.loss)
        for w in workloads.SUITES["dense"].table
        if w.kind == "fit"
    ]
    jobs = []
    for shape in [*table, *SHAPES]:
        steps = max(20, math.ceil(WORK / flops(shape.sizes) / shape.batch))
        count = min(steps * shape.batch, 60_000)
        network = networks.dense(shape.sizes, shape.activation)
        x, y = rows_for(network, count, shape.loss)
        model = build(network, shape.loss, shape.optimizer)
        jobs.append((shape, model, x, y, []))
    for turn in range(ROUNDS + 1):
        for shape, model, x, y, times in jobs:
            spent = seconds(
                lambda m=model, x=x, y=y, b=shape.batch: m.fit(
                    x, y, batch_size=b, epochs=1, verbose=0
                )
            )
            if turn:  # the first traces and plans
                times.append(spent / (flops(shape.sizes) * len(x)) * 1e12)

    def work(shape: Shape) -> float:
        return math.log(flops(shape.sizes) * shape.batch)

    cost = {shape: min(times) for shape, *_, times in jobs}
    rows = []
    for shape in SHAPES:
        near = min(table, key=lambda row: abs(work(row) - work(shape)))
        rows.append(
            {
                "network": "-".join(map(str, shape.sizes)),
                "batch": shape.batch,
                "activation": shape.activation,
                "loss": shape.loss,
                "optimizer": shape.optimizer,
                "ps per FLOP": cost[shape],
                "nearest row": f"{'-'.join(map(str, near.sizes))}, {near.batch}",
                "its ps per FLOP": cost[near],
                "ratio": cost[shape] / cost[near],
            }
        )
    tell(rows, all(row["ratio"] <= 1.4 for row in rows))


if __name__ == "__main__":
    main()
